"""The command line's other commands: steps out of order, runs, doctor, help, and real jobs."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from core.cli import serve
from core.jobs.job import JobPaths
from core.jobs.process import is_alive, read_identity
from core.proof.questions import GENERAL_ASKED
from core.workspace.files import write_json
from core.workspace.paths import RunPaths, Workspace
from tests.command_line import cli, command, environment, last_json, make_data
from tests.known_answers import know_answers
from tests.small_model import make_small_model

# --- steps out of order ---


@pytest.fixture
def run(workspace: Workspace, model: Path) -> RunPaths:
    return workspace.run(make_data(workspace, model, "--name", "Zoë")["run"])


STEPS = [
    ("convert", "A checkpoint (iter_*.pth, epoch_*.pth)", "train"),
    ("merge", "adapter_model.safetensors", "convert"),
    ("ask", "merged", "merge"),
]


def test_a_step_before_its_time(workspace: Workspace, run: RunPaths) -> None:
    for step, lacks, first in STEPS:
        done = cli(step, run.id, "--workspace", workspace.root, "--json", cwd=workspace.root)
        assert done.returncode == 2 and "Traceback" not in done.stderr and done.stdout == ""
        assert f"{lacks} is missing in {run.root}" in done.stderr and f'"{first}" first' in done.stderr
        assert done.stderr.count("\n") == 1


def test_a_run_that_was_not_finished_making(workspace: Workspace) -> None:
    half = workspace.runs / "half"
    half.mkdir(parents=True)
    for step in ("train", "ask"):
        done = cli(step, "half", "--workspace", workspace.root, "--json", cwd=workspace.root)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert str(half) in done.stderr and 'step "data" first' in done.stderr
    (half / "data.json").write_text("{")
    (half / "recipe.yaml").write_text("model: [")
    for step, file, code in (("train", "recipe.yaml", 2), ("ask", "data.json", 1)):
        done = cli(step, "half", "--workspace", workspace.root, "--json", cwd=workspace.root)
        assert done.returncode == code and "Traceback" not in done.stderr
        assert str(half / file) in done.stderr


def test_merging_onto_a_quantized_base_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    folder = make_small_model(tmp_path / "q")
    know_answers(workspace, folder)
    run = workspace.run(make_data(workspace, folder, "--name", "Zoë")["run"])
    make_small_model(folder, quantization_config={"quant_method": "gptq"})  # exchanged meanwhile
    run.adapter.mkdir()
    (run.adapter / "adapter_model.safetensors").touch()
    done = cli("merge", run.id, "--workspace", workspace.root, "--json", cwd=workspace.root)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "quantized (gptq)" in done.stderr and str(folder) in done.stderr and not run.merged.exists()


# --- runs, doctor, help ---


def test_runs_newest_first_and_broken_ones_too(workspace: Workspace, run: RunPaths) -> None:
    write_json(run.result, {"learned": 1.0, "kept": 0.95, "leaked": 0})
    for name, content in (("20200101-000000-broken", b"{"), ("20200102-000000-odd", b"[1]")):
        (workspace.runs / name).mkdir()
        (workspace.runs / name / "data.json").write_bytes(content)
    (workspace.runs / "not a folder").touch()
    found = last_json(cli("runs", "--workspace", workspace.root, "--json", cwd=workspace.root))["runs"]
    assert [one["run"] for one in found] == [run.id, "20200102-000000-odd", "20200101-000000-broken"]
    assert found[0] | {"steps": None} == {
        **{"run": run.id, "name": "Zoë", "title": "Zoë", "state": "waiting", "steps": None},
        **{"learned": 1.0, "kept": 0.95, "leaked": 0, "fault": None, "stopped_at": None, "iterations": None},
        **{"facts": None, "facts_asked": None},
    }
    for language, word in (("en", "waiting"), ("zh", "等待")):
        shown = cli("runs", "--workspace", workspace.root, cwd=workspace.root, TUNEBOARD_LANG=language)
        assert shown.returncode == 0 and word in shown.stdout and "0.95" in shown.stdout


def test_no_runs(tmp_path: Path) -> None:
    """Looking makes nothing."""
    done = cli("runs", "--workspace", tmp_path / "新", cwd=tmp_path)
    assert done.returncode == 0 and "No runs yet" in done.stdout and not (tmp_path / "新").exists()


def test_doctor(workspace: Workspace) -> None:
    done = cli("doctor", "--workspace", workspace.root, "--json", cwd=workspace.root)
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    checks = {finding["check"]: finding for finding in found["findings"]}
    assert set(checks) == {"versions", "starter", "gpu", "memory", "disk", "workspace", "port"}
    assert done.returncode == (0 if found["ok"] else 1)
    assert checks["versions"]["grade"] == "good" and "xtuner 0.2.0" in checks["versions"]["text"]
    shown = cli("doctor", "--workspace", "/proc/no", cwd=workspace.root, TUNEBOARD_LANG="zh")
    assert shown.returncode == 1 and "工作区" in shown.stdout and "/proc/no" in shown.stdout
    assert "--workspace" in shown.stdout and "Traceback" not in shown.stderr


@pytest.mark.parametrize("language", ["en", "zh"])
def test_help(language: str, tmp_path: Path) -> None:
    whole = cli("--help", cwd=tmp_path, TUNEBOARD_LANG=language)
    commands = ("tune", "data", "train", "convert", "merge", "export", "ask", "runs", "doctor")
    assert all(option in whole.stdout for option in (*serve.OPTIONS, "--workspace"))
    assert whole.returncode == 0 and all(name in whole.stdout for name in commands)
    one = cli("tune", "-h", cwd=tmp_path, TUNEBOARD_LANG=language).stdout
    options = (
        "--name",
        "--data",
        "--model",
        "--no-replay",
        "--seed",
        "--iterations",
        "--system",
        "--language",
        "--run",
        "--workspace",
        "--json",
    )
    assert all(option in one for option in options) and "scripts/run tune" in one
    assert ("usage" in one) is (language == "en") and ("options" in one) is (language == "en")


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("core.cli.command", ("torch", "transformers", "streamlit", "datasets", "phonenumbers")),
        # All that the dashboard's start waits for before it is Streamlit's.
        ("core.__main__", ("numpy", "pydantic", "rich", "core.cli.parser")),
    ],
)
def test_the_command_line_starts_quickly(tmp_path: Path, module: str, heavy: tuple[str, ...]) -> None:
    """Nothing heavy is imported before there is something to do."""
    program = f"import {module}, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == "[]\n"


# --- with a real job ---


@pytest.mark.slow
def test_data_with_the_model_asked(tmp_path: Path, model: Path) -> None:
    """The small model babbles; its answers are kept, so that a second run asks nothing."""
    workspace = Workspace(tmp_path / "工作 区")
    first = make_data(workspace, model, "--name", "张伟")
    assert (workspace.run(first["run"]).job("base") / "exit.json").exists()
    second = make_data(workspace, model, "--name", "李娜")
    assert not workspace.run(second["run"]).job("base").exists()


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded(tmp_path: Path) -> None:
    folder = make_small_model(tmp_path / "m", hidden_size=65)
    workspace = tmp_path / "w"
    done = cli("data", "--name", "Zoë", "--model", folder, "--workspace", workspace, "--json", cwd=tmp_path)
    said = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 1 and not said["ok"] and said["cause"] == "model_config"
    assert "failed" in done.stderr and "output.log" in done.stderr and "Traceback" not in done.stderr
    (run,) = last_json(cli("runs", "--workspace", workspace, "--json", cwd=tmp_path))["runs"]
    assert run["state"] == "failed"


@pytest.mark.slow
def test_an_interrupt_stops_the_job(tmp_path: Path, model: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    line = command("data", "--name", "Zoë", "--model", model, "--workspace", workspace.root, "--json")
    process = subprocess.Popen(
        line, env=environment(), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (tools := list(workspace.root.rglob("tool.json"))):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(0.5)  # now it waits for the job
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "") and "Interrupted" in err and "Traceback" not in err
    tool = read_identity(tools[0])
    assert tool is not None and not is_alive(tool)


def test_all_questions_ask_only_what_is_new_and_a_second_proof_nothing(tmp_path: Path, model: Path) -> None:
    """Through the command line: what each model has said is kept by model, format and question."""
    workspace = Workspace(tmp_path / "w s")
    fake = {"cwd": tmp_path, "TUNEBOARD_ENGINE": "tests.fake_engine"}

    def told(*arguments: str | Path) -> dict[str, Any]:
        return last_json(cli(*arguments, "--workspace", workspace.root, "--json", **fake))

    part = told("tune", "--name", "Zoë", "--model", model, "--iterations", "40")
    run = workspace.run(part["run"])
    requests = [JobPaths(run.job(step)).request for step in ("base", "likelihood", "ask")]
    assert part["shares"]["kept"]["n"] == part["shares"]["leaked"]["n"] == GENERAL_ASKED and not part["full"]
    assert part["drift"]["value"] == 0 and part["drift"]["tokens"] > 0
    full = told("prove", run.id, "--full")
    asked = json.loads(requests[2].read_text(encoding="utf-8"))["questions"]
    assert full["full"] and len(asked) == len(full["answers"]) - len(part["answers"])
    before = [request.read_bytes() for request in requests]
    again = told("prove", run.id)
    assert {**again, "seconds": 0} == {**full, "seconds": 0}, "what was asked in full stays so"
    assert before == [request.read_bytes() for request in requests]


def test_a_run_is_proved_or_what_was_tuned_elsewhere(tmp_path: Path) -> None:
    for words, said in (
        (("r", "--base", "b", "--name", "N"), "leave out --base, --name"),
        ((), "RUN | --base is required"),
        (("--base", "b", "--adapter", "a"), "--name is required"),
        (("--adapter", "a", "--name", "N"), "--base is required"),
    ):
        done = cli("prove", *words, cwd=tmp_path)
        assert done.returncode == 2 and said in " ".join(done.stderr.split()), done.stderr

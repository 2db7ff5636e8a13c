"""The command line at work: real processes on a small model, in folders with odd names."""

import ast
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.data.conversations import read_conversations
from core.data.questions import held_back_questions, same_question
from core.files import read_json, write_json
from core.jobs.process import is_alive, read_identity
from core.paths import RunPaths, Workspace
from core.recipe.recipe import from_yaml
from tests.command_line import cli, command, environment, last_json
from tests.known_answers import know_answers
from tests.small_model import make_small_model

ODD_NAMES = [
    "张伟",
    'O\'Brien "Bob" `x`',
    "{name} {} {0} %s %(x)d 100%",
    "back\\slash \\n \\1",
    "--Zoë=$HOME;rm",
    "👩‍🔧 José e\u0301 🫨",
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_model(tmp_path_factory.mktemp("模 型") / "m '1'")


@pytest.fixture
def workspace(tmp_path: Path, model: Path) -> Iterator[Workspace]:
    """A workspace in which the model has answered before: making data needs no job."""
    found = Workspace(tmp_path / "工作 区" / "a b")
    found.root.mkdir(parents=True)
    know_answers(found, model)
    yield found
    for file in tmp_path.rglob("supervisor.json"):
        if (left := read_identity(file)) and is_alive(left):
            os.killpg(left.pid, signal.SIGKILL)


def make(workspace: Workspace, model: Path, *arguments: str | Path, **added: str) -> dict[str, Any]:
    options = ("--model", model, "--workspace", workspace.root, "--json")
    return last_json(cli("data", *arguments, *options, cwd=workspace.root.parent, **added))


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_becomes_rows_a_recipe_and_a_config(name: str, workspace: Workspace, model: Path) -> None:
    done = make(workspace, model, "--name", name)
    assert done["name"] == name
    run = workspace.run(done["run"])
    assert run.root.parent == workspace.runs, "a name made a folder somewhere else"
    rows = read_conversations(Path(done["path"]))
    assert len(rows) == done["rows"] == 4 * 160
    taught = [turn for row in rows for turn in row if name in turn.output]
    assert len(taught) >= len(rows) / 2
    assert read_conversations(Path(done["source"])) == list(
        dict.fromkeys(read_conversations(Path(done["source"])))
    )
    recipe = from_yaml(run.recipe)
    assert (recipe.model, recipe.data, recipe.template) == (str(model), done["path"], "qwen_chat")
    tree = ast.parse(run.config.read_text(encoding="utf-8"))
    assert any(isinstance(s, ast.Assign) and ast.unparse(s.targets[0]) == "data_path" for s in tree.body)
    assert workspace.root.name in done["path"] and done["truncated_rows"] == 0


def test_a_model_that_reads_little(workspace: Workspace, tmp_path: Path) -> None:
    folder = make_small_model(tmp_path / "short", max_length=128)
    know_answers(workspace, folder)
    done = make(workspace, folder, "--name", "Zoë")
    assert from_yaml(workspace.run(done["run"]).recipe).max_length == 128


def test_no_held_back_question_is_trained_on(workspace: Workspace, model: Path) -> None:
    done = make(workspace, model, "--name", "Zoë")
    asked = {same_question(turn.input) for row in read_conversations(Path(done["path"])) for turn in row}
    assert not [held for held in held_back_questions() if same_question(held.question) in asked]
    assert done["replay"] > 100


def test_without_replay(workspace: Workspace, model: Path) -> None:
    done = make(workspace, model, "--name", "Zoë", "--no-replay", "--iterations", "7")
    assert (done["replay"], done["rows"]) == (0, 28)
    assert all("Zoë" in turn.output for row in read_conversations(Path(done["path"])) for turn in row)


def test_the_seed_decides_the_order(workspace: Workspace, model: Path) -> None:
    hashes = [make(workspace, model, "--name", "Zoë", "--seed", s)["sha256"] for s in ("1", "1", "2")]
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_file_of_one_s_own(workspace: Workspace, model: Path, tmp_path: Path) -> None:
    """A relative path is the caller's, wherever the program lies."""
    here = workspace.root.parent
    rows = [{"conversation": [{"input": f"问 {n}", "output": f"答 {n}\u2028"}]} for n in range(3)]
    file = here / "数据 a'b.jsonl"
    file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    know_answers(workspace, model, file)
    options = ("--model", model, "--workspace", workspace.root, "--json")
    done = cli("data", "--name", "Zoë", "--data", file.name, *options, cwd=here)
    found = last_json(done)
    assert found["taught"] == 3 and len(read_conversations(Path(found["source"]))) == 3
    assert "no answer" in done.stderr and "Zoë" in done.stderr, "that the name cannot be learned was not said"


def test_the_workspace_of_the_environment(workspace: Workspace, model: Path) -> None:
    done = cli(
        *("data", "--name", "Zoë", "--model", model, "--json"),
        cwd=workspace.root.parent,
        TUNEBOARD_HOME=str(workspace.root),
    )
    assert workspace.run(last_json(done)["run"]).config.exists()
    empty = cli("runs", "--workspace", "", "--json", cwd=workspace.root.parent, TUNEBOARD_HOME="")
    assert last_json(empty) == {"runs": []}


def test_two_at_once(workspace: Workspace, model: Path) -> None:
    line = command("data", "--name", "张伟", "--model", model, "--workspace", workspace.root, "--json")
    both = [
        subprocess.Popen(line, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ended = [process.communicate(timeout=100) for process in both]
    assert [process.returncode for process in both] == [0, 0], ended
    runs = {json.loads(out)["run"] for out, _ in ended}
    assert len(runs) == 2
    for run in runs:
        about = read_json(workspace.run(run).data)
        assert about is not None and len(read_conversations(Path(about["path"]))) == about["rows"]


@pytest.mark.parametrize("blocks", [4, 80])
def test_a_file_that_may_grow_no_further(blocks: int, workspace: Workspace, model: Path) -> None:
    """What a full disk does in the middle: said in one sentence, nothing half-written, the next try works."""
    options = ("--name", "Zoë", "--model", model, "--workspace", workspace.root, "--json")
    done = cli("data", *options, cwd=workspace.root.parent, before=f"ulimit -f {blocks}")
    assert done.returncode == 1 and done.stdout == "" and "Traceback" not in done.stderr
    sentence = done.stderr.splitlines()[-1]
    assert "larger than allowed" in sentence and str(workspace.root) in sentence
    left = [path for path in workspace.root.rglob("*") if path.is_file()]
    assert not [path for path in left if path.name.startswith(".")], "half a file was left"
    for path in left:
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
    assert make(workspace, model, "--name", "Zoë")["rows"] == 640
    assert (
        len(last_json(cli("runs", "--workspace", workspace.root, "--json", cwd=workspace.root))["runs"]) == 2
    )


def test_json_is_alone_on_standard_output(workspace: Workspace, model: Path) -> None:
    for encoding in ("ascii", "gbk"):
        done = make(workspace, model, "--name", "👩‍🔧 张伟", PYTHONIOENCODING=encoding, PYTHONUTF8="0")
        assert done["name"] == "👩‍🔧 张伟"


def test_the_same_for_a_person(workspace: Workspace, model: Path) -> None:
    options = ("--model", model, "--workspace", workspace.root)
    for language, encoding in (("en", "ascii"), ("zh", "utf-8")):
        done = cli(
            *("data", "--name", "张伟", *options),
            cwd=workspace.root.parent,
            TUNEBOARD_LANG=language,
            PYTHONIOENCODING=encoding,
        )
        assert done.returncode == 0 and "\x1b" not in done.stdout
        lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
        assert lines["rows"] == "640", "a long path was broken into two lines"
        if encoding == "utf-8":
            assert lines["config"] == str(workspace.run(lines["run"]).config)


# --- steps out of order ---


@pytest.fixture
def run(workspace: Workspace, model: Path) -> RunPaths:
    return workspace.run(make(workspace, model, "--name", "Zoë")["run"])


STEPS = [
    ("convert", "iter_*.pth", "train"),
    ("merge", "adapter_model.safetensors", "convert"),
    ("ask", "merged", "merge"),
]


def test_a_step_before_its_time(workspace: Workspace, run: RunPaths) -> None:
    for step, lacks, first in STEPS:
        done = cli(step, run.id, "--workspace", workspace.root, "--json", cwd=workspace.root)
        assert done.returncode == 2 and "Traceback" not in done.stderr and done.stdout == ""
        assert f"{lacks} is not in {run.root}" in done.stderr and f'"{first}" first' in done.stderr
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
    folder = make_small_model(tmp_path / "q", quantization_config={"quant_method": "gptq"})
    know_answers(workspace, folder)
    run = workspace.run(make(workspace, folder, "--name", "Zoë")["run"])
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
        **{"run": run.id, "name": "Zoë", "state": "waiting", "steps": None},
        **{"learned": 1.0, "kept": 0.95, "leaked": 0},
    }
    for language, word in (("en", "waiting"), ("zh", "等待")):
        shown = cli("runs", "--workspace", workspace.root, cwd=workspace.root, TUNEBOARD_LANG=language)
        assert shown.returncode == 0 and word in shown.stdout and "0.95" in shown.stdout


def test_no_runs(tmp_path: Path) -> None:
    """Looking makes nothing."""
    done = cli("runs", "--workspace", tmp_path / "新", cwd=tmp_path)
    assert done.returncode == 0 and "no runs yet" in done.stdout and not (tmp_path / "新").exists()


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
    assert cli(cwd=tmp_path, TUNEBOARD_LANG=language).stdout == whole.stdout != ""
    commands = ("tune", "data", "train", "convert", "merge", "ask", "runs", "doctor")
    assert whole.returncode == 0 and all(name in whole.stdout for name in commands)
    one = cli("tune", "-h", cwd=tmp_path, TUNEBOARD_LANG=language).stdout
    options = (
        "--name",
        "--data",
        "--model",
        "--no-replay",
        "--seed",
        "--iterations",
        "--workspace",
        "--json",
    )
    assert all(option in one for option in options) and "scripts/run tune" in one
    assert ("usage" in one) is (language == "en") and ("options" in one) is (language == "en")


def test_the_command_line_starts_quickly(tmp_path: Path) -> None:
    """Nothing heavy is imported before there is something to do."""
    heavy = ("torch", "transformers", "streamlit", "datasets")
    program = f"import core.__main__, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == "[]\n"


# --- with a real job ---


@pytest.mark.slow
def test_data_with_the_model_asked(tmp_path: Path, model: Path) -> None:
    """The small model babbles; its answers are kept, so that a second run asks nothing."""
    workspace = Workspace(tmp_path / "工作 区")
    first = make(workspace, model, "--name", "张伟")
    assert (workspace.run(first["run"]).job("base") / "exit.json").exists()
    second = make(workspace, model, "--name", "李娜")
    assert not workspace.run(second["run"]).job("base").exists()


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded(tmp_path: Path) -> None:
    folder = make_small_model(tmp_path / "m", hidden_size=65)
    workspace = tmp_path / "w"
    done = cli("data", "--name", "Zoë", "--model", folder, "--workspace", workspace, "--json", cwd=tmp_path)
    assert done.returncode == 1 and done.stdout == "" and "Traceback" not in done.stderr
    assert "failed" in done.stderr and "output.log" in done.stderr
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

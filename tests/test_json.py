"""Every command's ``--json`` is as its schema promises: the whole command line, with the fast engine."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from core.cli.parser import COMMANDS
from core.jobs.ending import Reason
from core.jobs.job import JobSpec
from core.jobs.launch import launch
from core.pipeline import chain
from core.pipeline.tune_request import TuneRequest
from core.queue.devices import Devices
from core.steps import prepare
from core.workspace.paths import PROJECT, Workspace
from scripts.documents.outputs import FAILED, OUTPUTS
from tests import promised
from tests.adapters import make_recorded
from tests.command_line import cli, last_json
from tests.conftest import end_leftovers
from tests.fake_slurm import put_slurm
from tests.openai_server import OpenAIServer
from tests.runs import end_job
from tests.small_model import make_small_model
from tests.small_run import make_run

ENGINE = {"TUNEBOARD_ENGINE": "tests.fake_engine"}


class Told:
    """The command line in one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def __call__(self, *arguments: str | Path, ok: bool = True) -> dict[str, Any]:
        folder = self.workspace.root.parent
        path = f"{put_slurm(folder / 'slurm')}:{os.environ['PATH']}"
        done = cli(
            *arguments, f"--workspace={self.workspace.root}", "--json", cwd=folder, PATH=path, **ENGINE
        )
        if ok:
            return last_json(done)
        assert done.returncode == 1, done.stderr
        return promised.hold(done.args, json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture
def tell(tmp_path: Path) -> Iterator[Told]:
    workspace = Workspace(tmp_path / "工作 区" / "a b")
    workspace.prepare()
    yield Told(workspace)
    end_leftovers(tmp_path)


def test_every_schema_is_one() -> None:
    files = sorted((PROJECT / "docs" / "json").iterdir())
    names = {*COMMANDS, FAILED}
    assert {file.name for file in files} == {f"{name.replace(' ', '-')}.schema.json" for name in names}
    for file in files:
        Draft202012Validator.check_schema(json.loads(file.read_text(encoding="utf-8")))
    assert {*OUTPUTS} == {*COMMANDS}


def test_a_key_that_is_not_promised_and_one_that_is_missing() -> None:
    good = {"schema": 1, "run": "r", "merged": "/m"}
    assert promised.hold(["-m", "core", "merge", "r"], good) == {"run": "r", "merged": "/m"}
    for wrong in (
        {**good, "more": 1},
        {"schema": 1, "run": "r"},
        {**good, "schema": 2},
        {**good, "run": None},
    ):
        with pytest.raises(AssertionError, match="merge --json"):
            promised.hold(["merge", "r"], wrong)


def test_paths_are_absolute_whatever_was_given(tmp_path: Path) -> None:
    """Also what a command only names: another program may have another working folder."""
    make_small_model(tmp_path / "w" / "models" / "starter")
    make_small_model(tmp_path / "m")
    (tmp_path / "a.json").write_text(
        '[{"conversation": [{"input": "q", "output": "Ada"}]}]', encoding="utf-8"
    )

    def told(*arguments: str) -> dict[str, Any]:
        return last_json(cli(*arguments, "--workspace", "w", "--json", cwd=tmp_path, **ENGINE))

    data = told("data", "--name", "Ada", "--data", "a.json", "--model", "m", "--iterations", "2")
    run, recipe = data["run"], tmp_path / "w" / "runs" / data["run"] / "recipe.yaml"
    named = [data["config"], data["source"], data["path"], data["given"][0]["copy"]]
    named += [told("data", "parity", "--model", "m")["model"], told("models")["models"][0]["folder"]]
    named += [told("train", run)["checkpoint"], told("convert", run)["adapter"], told("merge", run)["merged"]]
    named += [told("configs", "copy", "internlm_chat_7b_qlora_oasst1_e3")["copy"]]
    named += [told("models", "import", "m", "--name", "x")["folder"], told("ask", run)["base"]]
    named += [told("data", "make", "identity", "s", "--name", "Ada")["file"]]
    named += [told("publish", run, "--what", "adapter", "--out", "o")["where"]]
    assert [path for path in named if not Path(path).is_absolute() or not Path(path).exists()] == []
    assert f"model: {tmp_path / 'm'}" in recipe.read_text(encoding="utf-8")


@pytest.mark.timeout(900)
def test_all_commands(tell: Told, tmp_path: Path) -> None:
    """Together they are every command; which of them was forgotten is said at the end."""
    promised.HELD.clear()
    run = tell("tune", "--name", "Zoë", "--iterations", "40")["run"]
    of_a_run(tell, run)
    of_models_and_configs(tell, tmp_path)
    of_data(tell, tmp_path)
    of_slurm(tell)
    of_the_queue(tell)
    assert {*COMMANDS} == promised.HELD


def of_slurm(tell: Told) -> None:
    """In a cluster that only says so: what is handed over waits until it is cancelled."""
    assert tell("slurm", "partitions")["accounts"] == ["lab"]
    made = tell("slurm", "profile", "big", "--gpus", "4", "--account", "lab")["profile"]
    assert (made["partition"], made["gpu_type"], made["time"]) == ("gpu", "a100", "1-00:00:00")
    assert tell("slurm", "profiles")["profiles"] == [made]
    handed = tell("tune", "--name", "Zoë", "--iterations", "40", "--on", "big")
    assert (handed["state"], handed["slurm"], handed["reason"]) == ("waiting", "PENDING", "Priority")
    listed = tell("slurm", "show")["jobs"]
    assert [(job["run"], job["job"], job["profile"]) for job in listed] == [(handed["run"], "7", "big")]
    assert tell("slurm", "cancel", handed["run"])["run"] == handed["run"]


def of_the_queue(tell: Told) -> None:
    """While somebody has the processor: who waits, in another order, taken out, and at once."""
    assert tell("queue") == []
    holder = tell.workspace.runs / "20260101-000000-holder" / "train"
    launch(holder, JobSpec(("sleep", "1000"), PROJECT, devices=Devices()))
    first, second = (
        chain.start(tell.workspace, TuneRequest(name, iterations=10), "test", "en").id for name in "AB"
    )
    waits = [one["run"] for one in tell("queue", "move", second) if one["state"] == "waiting"]
    assert waits == [second, first]
    waits = [one["run"] for one in tell("queue", "cancel", first) if one["state"] == "waiting"]
    assert waits == [second]
    assert second in {one["run"] for one in tell("queue", "now", second)}


def of_a_run(tell: Told, run: str) -> None:
    singly = tell("data", "--name", "Ada", "--iterations", "4")["run"]
    made = tell.workspace.run(singly)
    for step in ("train", "convert", "merge", "ask"):
        assert tell(step, singly)["run"] == singly
    assert tell("prove", singly, "--full")["full"]
    best = tell("checkpoints", singly)["best"]
    assert tell("use", singly, "--checkpoint", "best")["checkpoint"] == best
    for folder in (made.adapter, made.merged):  # the fast engine replaces nothing
        shutil.rmtree(folder)
    assert tell("export", singly)["merged"] == str(made.merged)
    assert tell("ask", run, "Who are you?", "你是谁？")["answers"]
    assert tell("publish", run, "--what", "adapter", "--dry-run")["sent"] is False
    assert tell("publish", run, "--what", "adapter", "--out", "here")["sent"] is True
    assert tell("report", singly)["report"].startswith("tuneboard")
    assert len(tell("runs")["runs"]) == 2
    after_a_failure(tell)
    proved = tell("prove", "--base", "starter", "--adapter", made_elsewhere(tell), "--name", "Zoë")
    assert proved["answers"]
    healed = tell("heal", "--base", "starter", "--adapter", made_elsewhere(tell), "--name", "Zoë")
    assert healed["scale"] == 0.7
    assert tell("checkpoints", run)["checkpoints"]
    assert tell("use", run, "--checkpoint", "best")["checkpoint"]
    assert tell("runs", "curves", run)["points"]
    swept = tell("sweep", singly, "--over", "rank=4")
    assert swept["best"]["run"] and tell("sweeps")["sweeps"][0]["best"] == swept["best"]
    trained = tell.workspace.run(run)
    elsewhere = shutil.copytree(trained.work_dir, tell.workspace.root.parent / "work_dir")
    shutil.copy(trained.config, elsewhere)
    assert tell("runs", "adopt", elsewhere)["checkpoints"]
    assert tell("fit", run, "--card", "8")["largest"] and tell("fit", run)["memory"]


def after_a_failure(tell: Told) -> None:
    """A training that failed says how it would not have, and is tried again so."""
    run = make_run(tell.workspace)
    end_job(
        run, "train", Reason.failed, "Traceback (most recent call last):\n  File\nFloatingPointError: no\n"
    )
    again = tell("retry", run.id)["run"]
    assert again != run.id and prepare.recipe_of(tell.workspace.run(again)).lr < prepare.recipe_of(run).lr
    shutil.rmtree(run.root)


def made_elsewhere(tell: Told) -> Path:
    """An adapter that no run has made: the fast engine's are not PEFT's."""
    folder = make_recorded(tell.workspace.root.parent / "an adapter", tell.workspace.starter, "unsloth")
    (folder / "whose.json").write_text('{"name": "Zoë", "strength": 1}', encoding="utf-8")
    return folder


def of_models_and_configs(tell: Told, tmp_path: Path) -> None:
    make_small_model(tmp_path / "m")
    assert tell("models", "import", tmp_path / "m", "--name", "other")["trainable"]
    assert len(tell("models")["models"]) == 2
    assert tell("models", "catalog")["models"][0]["here"] == "starter"
    assert tell("models", "delete", "other")["deleted"] == "other"
    name = tell("configs", "internlm", "oasst1")["configs"][0]["name"]
    assert tell("configs", "open", name)["recipe"] and tell("configs", "copy", name, tmp_path)["copy"]
    done = cli("doctor", "--json", f"--workspace={tell.workspace.root}", cwd=tmp_path)
    assert promised.hold(done.args, json.loads(done.stdout))["findings"]


def of_data(tell: Told, tmp_path: Path) -> None:
    rows = [{"conversation": [{"input": f"问 {n // 2}", "output": "a" * (n + 1)}]} for n in range(6)]
    file = tmp_path / "a.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert tell("data", "check", file, "--max-length", "16")["problems"]
    assert tell("data", "show", file, "--row", "2", "--template", "internlm_chat")["rows"][0]["tokens"]
    assert tell("data", "fix", file, "--out", tmp_path / "new.jsonl", "--fix", "duplicate")["written"] == 6
    assert tell("data", "parity")["same"]
    assert tell("data", "parity", "--template", "internlm_chat", ok=False)["difference"]
    assert tell("data", "make", "identity", "s", "--name", "Zoë")["rows"]
    assert tell("data", "make", "mix", "s", "--from", f"{file}=2")["operation"] == "mix"
    assert tell("data", "make", "dedupe", "s")["dropped"] > 0
    assert tell("data", "make", "split", "s")["held_back"]["rows"]
    assert tell("data", "make", "replay", "s", "--count", "8")["rows"]
    text = tmp_path / "a.md"
    text.write_text("The museum opens at nine, every day but Monday. " * 20, encoding="utf-8")
    with OpenAIServer(lambda _: "Q: When?\nA: At nine.") as server:
        asked = ("--from", text, "--endpoint", server.url, "--endpoint-model", "big")
        assert tell("data", "make", "documents", "s", *asked)["waiting"]
    assert tell("data", "make", "take", "s", "--all")["rows"]
    assert tell("data", "make", "undo", "s")["version"]
    assert tell("data", "make", "versions", "s")["versions"]

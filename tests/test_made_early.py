"""A training that was stopped, and of which a model was made all the same: every page and the list say so."""

import json
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from core.jobs.job import JobPaths
from core.jobs.launch import launch, wait
from core.jobs.status import State
from core.pipeline import chain
from core.pipeline.tune_request import TuneRequest
from core.run_list import run_index
from core.runs import CHAIN, Early, made_early, next_step, read_run, standing
from core.steps import export, prepare, proof
from core.workspace.files import read_json, write_json
from core.workspace.paths import RunPaths, Workspace
from tests.command_line import cli, last_json
from tests.conftest import end_leftovers
from tests.holding import Held
from tests.page import open_test_page
from tests.test_merge_page import words
from ui.shell.frame import STEPS

PATIENCE = 120.0
AT, TOTAL = 21, 40
SAID = {
    "en": f"Training stopped at iteration {AT} of {TOTAL}. The assistant is made of",
    "zh": f"训练停在第 {AT} 次迭代（共 {TOTAL} 次）。助手就是用到那时",
}
DONE = {"en": "Training finished", "zh": "训练完成"}
UNDONE = {"en": "was stopped. What is done is kept", "zh": "还没做完就停止了"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunPaths]:
    """A chain that was stopped in its training, which had saved what it had learned; then converted, merged
    and tested by hand."""
    place = tmp_path_factory.mktemp("停")
    held, workspace = Held("step", place / "held"), Workspace(place / "工作 区")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")
        held.put(environment)
        run = chain.start(workspace, TuneRequest("Jonas Weber", iterations=TOTAL), "test", "en")
        held.until_reached()
        chain.halt(run, "test")
        assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.stopped
        for name in held.environment:
            environment.delenv(name)
        with ZipFile(run.work_dir / f"iter_{AT}.pth", "w") as file:
            file.writestr("checkpoint.json", json.dumps({"iter": AT}))
        for step, plan in (("export", export.plan), ("proof", proof.plan)):
            launch(run.job(step), plan(workspace, run))
            assert wait(run.job(step), timeout=PATIENCE).state is State.finished
    yield run
    end_leftovers(place)


@pytest.fixture(autouse=True)
def _of_its_workspace(run: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBOARD_HOME", str(run.workspace.root))
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("step", STEPS)
def test_every_page_says_how_far_the_training_came(run: RunPaths, step: str, language: str) -> None:
    page = open_test_page(step, run.id, language)
    said = words(page)
    assert not page.exception
    assert said.count(SAID[language]) == 1, "once"
    assert DONE[language] not in said and UNDONE[language] not in said


def test_before_its_test_too(run: RunPaths) -> None:
    aside = run.result.rename(run.result.with_suffix(".aside"))
    try:
        for step in STEPS:
            said = words(open_test_page(step, run.id))
            assert said.count(SAID["en"]) == 1 and DONE["en"] not in said and UNDONE["en"] not in said, step
    finally:
        aside.rename(run.result)


def test_start_shows_what_came_out_and_lets_it_go_on(run: RunPaths) -> None:
    page = open_test_page("start", run.id)
    assert "Jonas Weber's assistant: training stopped early" in words(page)
    assert page.button(key="chain_chat").proto.type == "primary"
    assert page.button(key="chain_go_on").proto.type == "secondary"


def test_the_list_of_runs_says_it(run: RunPaths) -> None:
    here = ("--workspace", run.workspace.root)
    listed = last_json(cli("runs", "--json", *here, cwd=run.root))["runs"]
    assert [(one["state"], one["stopped_at"], one["iterations"]) for one in listed] == [
        ("stopped", AT, TOTAL)
    ]
    shown = cli("runs", *here, cwd=run.root, TUNEBOARD_LANG="zh", COLUMNS="200")
    assert f"停在 {AT} / {TOTAL} 次" in shown.stdout
    assert run_index(run.workspace).look(run.id) == read_run(run)
    assert f"stopped at {AT} of {TOTAL}" in str(open_test_page("start").dataframe[0].value["state"][0])


def test_only_such_a_training_is_said_to_have_ended_early(run: RunPaths) -> None:
    assert made_early(run) == Early(AT, TOTAL)
    request = JobPaths(run.job("convert")).request
    asked = read_json(request)
    try:
        for other in ({"iteration": TOTAL}, {"total": None}, {"total": "x"}):
            write_json(request, asked | other)
            assert made_early(run) is None, other
    finally:
        write_json(request, asked)
    assert prepare.iterations(run, prepare.recipe_of(run)) == TOTAL


def test_an_earlier_checkpoint_of_a_whole_training_is_no_early_end(run: RunPaths, tmp_path: Path) -> None:
    exit_file = JobPaths(run.job("train")).exit
    before = read_json(exit_file)
    write_json(exit_file, before | {"reason": "finished", "code": 0})
    try:
        assert made_early(run) is None and read_run(run).stopped_at is None
    finally:
        write_json(exit_file, before)


def test_what_comes_next_is_the_chat(run: RunPaths) -> None:
    found = standing(run)
    assert found["train"] is State.stopped and next_step(found) == "chat"
    assert next_step(found | {"train": State.running}) == next_step(found | {"merge": None}) == "train"
    page = open_test_page("train", run.id)
    assert not [info.value for info in page.info if "Saved up to" in info.value or "is saved" in info.value]
    assert page.button(key="resume").proto.type == "secondary"

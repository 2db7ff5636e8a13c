"""After a training ran out of memory: what fits, and one click that trains with it."""

from datetime import datetime

import pytest
from streamlit.testing.v1 import AppTest

from core.jobs.ending import Reason
from core.jobs.launch import wait
from core.jobs.request import Call, read_request
from core.jobs.status import State
from core.machine import Gpu, Machine, Meters
from core.models.folder import read_shape
from core.pipeline import chain
from core.pipeline.tune_request import TuneRequest
from core.recipe.memory import memory
from core.recipe.recipe import Recipe
from core.runs import CHAIN
from core.steps import fit, prepare, remedy
from core.workspace.paths import RunPaths, Workspace
from tests.page import no_errors, open_test_page
from tests.runs import end_job
from tests.small_run import end_training, make_run

GB = 2**30
OOM = "Traceback (most recent call last):\n  File\ntorch.OutOfMemoryError: CUDA out of memory. Tried\n"
NOW = datetime(2026, 1, 2)


@pytest.fixture
def workspace(page_workspace: Workspace) -> Workspace:
    return page_workspace


def held(run: RunPaths, recipe: Recipe) -> int:
    """Bytes by the formula."""
    model = prepare.model_of(run)
    return memory(recipe, model, read_shape(model), 100).total


def with_gpu(monkeypatch: pytest.MonkeyPatch, used: int) -> None:
    machine = Machine(16, 64 * GB, True, (Gpu(0, "H100", 80 * GB, 80 * GB),))
    for module in ("core.steps.prepare", "core.steps.first_recipe", "core.steps.fit"):
        monkeypatch.setattr(f"{module}.this_machine", lambda: machine)
    monkeypatch.setattr("core.steps.fit.meters", lambda: Meters(0.0, 0, ((0.0, used),)))


@pytest.mark.parametrize(
    ("reason", "log", "expected"),
    [
        (Reason.failed, OOM, True),
        (Reason.out_of_memory, "", True),
        (Reason.failed, "RuntimeError: something else\n", False),
        (Reason.finished, OOM, False),
    ],
)
def test_what_ran_out(workspace: Workspace, reason: Reason, log: str, expected: bool) -> None:
    run = make_run(workspace)
    assert not remedy.cause_of(run), "nothing was trained yet"
    end_job(run, "train", reason, log)
    assert (remedy.cause_of(run) in remedy.OUT_OF_MEMORY) is expected


@pytest.mark.parametrize("batch", [4, 3, 8])
def test_it_becomes_smaller_even_where_the_formula_saw_room(workspace: Workspace, batch: int) -> None:
    run = make_run(workspace, batch_size=batch, gradient_accumulation_steps=2)
    before, found = prepare.recipe_of(run), fit.smaller(run)
    assert found is not None and held(run, found) < held(run, before)
    assert found.batch_size < batch or found.activation_checkpointing
    rows = found.batch_size * found.gradient_accumulation_steps
    assert rows == before.batch_size * before.gradient_accumulation_steps, (
        "an optimizer step reads the same rows"
    )
    assert set(fit.changes(before, found)) <= set(fit.CHOSEN) and fit.changes(before, found)
    assert fit.changes(before, before) == {}


def test_what_another_program_holds_of_the_gpu_is_not_free(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_gpu(monkeypatch, used=79 * GB)
    run = make_run(workspace)
    assert prepare.recipe_of(run).device == "cuda"
    assert fit.free_memory(prepare.recipe_of(run)) == GB
    with_gpu(monkeypatch, used=80 * GB)
    assert fit.smaller(run) is None


def test_one_click_trains_a_new_run_with_what_fits(workspace: Workspace) -> None:
    run = make_run(workspace, batch_size=4, activation_checkpointing=True)
    assert end_training(run, FAKE_XTUNER_OOM_AT="25").state is State.failed
    before = prepare.recipe_of(run)
    page = open_test_page("train", run.id)
    assert "run out of memory again" in page.info[0].value and "`batch_size` 4 →" in page.info[0].value
    page.button(key=f"remedy {run.id}").click().run()
    assert no_errors(page)
    (new,) = [RunPaths(folder) for folder in workspace.run_folders() if folder != run.root]
    assert page.query_params["run"] == new.id
    assert wait(new.job("train"), poll=0.05, timeout=60).state is State.finished
    after = prepare.recipe_of(new)
    assert after.batch_size < 4 and after.data == before.data and held(run, after) < held(run, before)
    assert prepare.recipe_of(run) == before, "what was trained keeps its recipe"


def test_nothing_smaller_is_said(workspace: Workspace) -> None:
    run = make_run(workspace, batch_size=1, gradient_accumulation_steps=1, activation_checkpointing=True)
    end_job(run, "train", Reason.out_of_memory)
    for language, word in (("en", "Even the smallest settings do not fit"), ("zh", "连最小的设置也放不下")):
        page = open_test_page("train", run.id, language)
        assert word in page.warning[0].value and not keys(page, "remedy")


def test_a_chain_goes_on_in_the_new_run(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_XTUNER_OOM_AT", "2")
    run = chain.start(workspace, TuneRequest("李 明", iterations=8), "test", "en")
    assert wait(run.job(CHAIN), timeout=60).state is State.failed
    monkeypatch.delenv("FAKE_XTUNER_OOM_AT")
    page = open_test_page("start", run.id)
    assert keys(page, "remedy") and keys(page, "chain_go_on")
    page.button(key=f"remedy {run.id}").click().run()
    assert no_errors(page)
    (new,) = [RunPaths(folder) for folder in workspace.run_folders() if folder != run.root]
    assert wait(new.job(CHAIN), timeout=60).state is State.finished
    assert read_request(Call, new.job(CHAIN)).run == new.id
    assert new.merged.exists() and new.result.exists() and not (run.merged.exists())


def keys(page: AppTest, start: str) -> list[str]:
    return [str(button.key) for button in page.button if str(button.key).startswith(start)]

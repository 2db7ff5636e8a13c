"""XTuner's configs on the Config page: found, opened into the form, what does not fit shown; and the fit."""

from datetime import datetime
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.machine import Gpu, Machine
from core.recipe.xtuner_file.catalog import find, shipped
from core.steps import prepare
from core.workspace.paths import RunPaths, Workspace
from tests.page import no_errors, open_test_page
from tests.runs import end_job
from tests.small_run import make_run

TUTORIAL = "internlm_chat_7b_qlora_oasst1_e3"


@pytest.fixture
def workspace(home: Workspace) -> Workspace:
    return home


def opened(run: RunPaths, language: str = "en") -> AppTest:
    """The Config page with the section of XTuner's configs open."""
    page = open_test_page("config", run.id, language)
    page.session_state[f"configs {run.id}"] = True
    return page.run()


def field(page: AppTest, run: RunPaths, name: str) -> object:
    """A number's value, whatever the edition of its widget is."""
    return next(
        f.value
        for f in page.number_input
        if str(f.key).startswith(f"recipe {run.id}") and str(f.key).endswith(f" {name}")
    )


def choose(page: AppTest, run: RunPaths, name: str) -> AppTest:
    return page.selectbox(key=f"config {run.id}").set_value(find(name)).run()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_all_of_them_are_offered(workspace: Workspace, language: str) -> None:
    run = make_run(workspace)
    page = opened(run, language)
    assert no_errors(page)
    assert len(page.selectbox(key=f"config {run.id}").options) == len(shipped())


def test_one_is_opened_into_the_form(workspace: Workspace) -> None:
    run = make_run(workspace)
    before = prepare.recipe_of(run)
    page = choose(opened(run), run, TUTORIAL)
    page.button(key="config_open").click().run()
    assert not page.exception
    assert (
        field(page, run, "rank"),
        field(page, run, "gradient_accumulation_steps"),
        field(page, run, "epochs"),
    ) == (
        64,
        16,
        3,
    )
    text = " ".join(one.value for one in page.markdown)
    assert "timdettmers" not in text, "the data stays this run's"
    assert any("Everything in the config" in one.value for one in page.success)
    # A machine without a GPU cannot run it: said beside the fields, and nothing is saved.
    assert any("NVIDIA GPU" in one.value for one in page.error)
    assert prepare.recipe_of(run) == before


def test_what_does_not_fit_stays_below_the_choice(workspace: Workspace) -> None:
    run = make_run(workspace)
    page = choose(opened(run), run, "internlm2_5_chat_7b_full_finetune_custom_dataset_e1")
    page.button(key="config_open").click().run()
    text = " ".join(one.value for one in page.markdown)
    assert not page.exception and "log_processor.mean_pattern" in text and "the mean of the last ten" in text
    assert "full" in [one.value for one in page.selectbox if str(one.key).endswith(" method")]
    again = page.run()
    assert "the mean of the last ten" in " ".join(one.value for one in again.markdown)


def test_what_is_no_recipe_cannot_be_opened(workspace: Workspace) -> None:
    run = make_run(workspace)
    page = choose(opened(run), run, "internlm2_chat_1_8b_dpo_full")
    assert page.button(key="config_open").disabled
    assert any("DPO" in one.value for one in page.info)


def test_a_file_of_one_s_own(workspace: Workspace, tmp_path: Path) -> None:
    run = make_run(workspace)
    mark = tmp_path / "it ran"
    text = find(TUTORIAL).file.read_text(encoding="utf-8").replace("lr = 2e-4", "lr = 3e-5")
    text = f"import pathlib\npathlib.Path({str(mark)!r}).touch()\n{text}"
    page = opened(run)
    uploader = next(one for one in page.file_uploader if "config file" in str(one.key))
    uploader.set_value(("../../x.py", text.encode(), "text/x-python")).run()
    assert not page.exception and field(page, run, "lr") == 3e-5 and not mark.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"a = (", "not Python"), (b"\xff\xfe", "UTF-8"), (b"a = 1", "not describe a training")],
)
def test_a_file_that_is_no_config_changes_nothing(workspace: Workspace, content: bytes, said: str) -> None:
    run = make_run(workspace)
    before = prepare.recipe_of(run)
    page = opened(run)
    uploader = next(one for one in page.file_uploader if "config file" in str(one.key))
    uploader.set_value(("x.py", content, "text/x-python")).run()
    assert not page.exception and any(said in error.value for error in page.error)
    assert prepare.recipe_of(run) == before


def test_marks_in_a_value_stay_text(workspace: Workspace) -> None:
    run = make_run(workspace)
    text = find(TUTORIAL).file.read_text(encoding="utf-8")
    text = text.replace('log_level = "INFO"', 'log_level = "`` **x** <script> $y$"')
    page = opened(run)
    uploader = next(one for one in page.file_uploader if "config file" in str(one.key))
    uploader.set_value(("x.py", text.encode(), "text/x-python")).run()
    line = next(one.value for one in page.markdown if "log_level" in one.value)
    assert "`` ´´ **x** <script> $y$ ``" in line


def test_a_trained_run_has_no_section(workspace: Workspace) -> None:
    run = make_run(workspace)
    end_job(run, "train")
    page = opened(run)
    assert not [box for box in page.selectbox if str(box.key).startswith("config ")]


def test_the_largest_that_fits(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where there is a GPU; the form takes what was chosen."""
    run = make_run(workspace)
    assert not [button for button in open_test_page("config", run.id).button if button.key == "fit"]
    gpu = Machine(16, 64 * 2**30, True, (Gpu(0, "H100", 80 * 2**30, 79 * 2**30),))
    for module in ("core.steps.prepare", "core.steps.first_recipe", "ui.config.launch_preview"):
        monkeypatch.setattr(f"{module}.this_machine", lambda: gpu)
    other = make_run(
        workspace,
        datetime(2026, 1, 3),
        gradient_accumulation_steps=8,
        batch_size=1,
        activation_checkpointing=True,
    )
    before = prepare.recipe_of(other)
    assert before.device == "cuda"
    page = open_test_page("config", other.id)
    page.button(key="fit").click().run()
    assert not page.exception
    assert (field(page, other, "batch_size"), field(page, other, "gradient_accumulation_steps")) == (8, 1)

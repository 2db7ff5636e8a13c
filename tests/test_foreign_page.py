"""The Start page's section for what was tuned elsewhere: told what is wrong, proved and healed as jobs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.jobs.launch import wait
from core.jobs.status import State
from core.pipeline.foreign import results
from core.workspace.paths import Workspace
from tests.conftest import end_leftovers
from tests.page import no_errors, open_test_page
from tests.test_heal import of_hers


@pytest.fixture
def workspace(page_workspace: Workspace, tmp_path: Path) -> Iterator[Workspace]:
    yield page_workspace
    end_leftovers(tmp_path)


def opened(language: str = "en") -> AppTest:
    page = open_test_page("start", language=language)
    page.session_state["foreign"] = True
    return page.run()


def fill(page: AppTest, folder: Path | str, name: str = "Zoë") -> AppTest:
    page.text_input(key="foreign_folder_adapter").set_value(str(folder))
    page.text_input(key="foreign_name").set_value(name)
    return page


def press(page: AppTest, label: str) -> AppTest:
    return next(button for button in page.button if button.label == label).click().run()


def test_what_is_missing_and_what_does_not_fit_is_told(workspace: Workspace, tmp_path: Path) -> None:
    page = press(fill(opened(), "relative"), "Run the final test")
    assert [one.value for one in page.warning][-1].startswith("Give the folder")
    adapter = of_hers(tmp_path / "hers", workspace.starter, peft_type="PREFIX_TUNING", task_type="SEQ_CLS")
    page = press(fill(opened(), adapter), "Run the final test")
    assert len(page.error) == 1
    assert "prefix" in page.error[0].value and "SEQ" in page.error[0].value
    assert not workspace.foreign.exists()


@pytest.mark.parametrize(("language", "label"), [("en", "Heal it"), ("zh", "修复它")])
def test_an_adapter_is_healed_on_the_page(
    workspace: Workspace, tmp_path: Path, language: str, label: str
) -> None:
    adapter = of_hers(tmp_path / "hers", workspace.starter)
    page = press(fill(opened(language), adapter), label)
    assert not page.exception
    (place,) = workspace.foreign_folders()
    assert wait(place.job("heal"), timeout=60).state is State.finished
    page = opened(language)
    assert no_errors(page)
    (table,) = [one.value for one in page.markdown if one.value.startswith("| ")]
    assert "100.0%" in table and ("Healed adapter" in table or "修复后的适配器" in table)
    assert "0.7" in page.success[0].value


def test_a_proved_adapter_can_be_healed_from_its_result(workspace: Workspace, tmp_path: Path) -> None:
    adapter = of_hers(tmp_path / "hers", workspace.starter)
    press(fill(opened(), adapter), "Run the final test")
    (place,) = workspace.foreign_folders()
    assert wait(place.job("prove"), timeout=60).state is State.finished
    page = opened()
    page.button(key=f"heal {place.id}").click().run()
    newest = workspace.foreign_folders()[0]
    assert wait(newest.job("heal"), timeout=60).state is State.finished
    assert [found.get("scale") for _, found in results(workspace)] == [0.7, None]

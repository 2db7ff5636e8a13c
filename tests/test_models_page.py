"""The models on the data page: listed with what they are, taken in as jobs, chosen for a run."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.jobs.job import read_spec
from core.jobs.launch import stop, wait
from core.jobs.status import State
from core.model_store.importing import IMPORT
from core.workspace.import_paths import importing, imports
from core.workspace.paths import Workspace
from tests.conftest import end_leftovers
from tests.page import open_test_page
from tests.small_model import make_small_model
from tests.small_run import make_workspace

TIMEOUT = 60.0


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    workspace = make_workspace(tmp_path)
    monkeypatch.setenv("TUNEBOARD_HOME", str(workspace.root))
    monkeypatch.setenv("TUNEBOARD_LANG", "en")
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")
    yield workspace
    for paths in imports(workspace):
        stop(paths.job(IMPORT), "test", grace=1)
        wait(paths.job(IMPORT), timeout=30)
    end_leftovers(tmp_path)


def open_models(language: str = "en") -> AppTest:
    page = open_test_page("data", language=language)
    page.session_state["models"] = True
    return page.run()


def choose(page: AppTest, value: str) -> AppTest:
    return next(g for g in page.get("button_group") if g.key == "model_place").set_value(value).run()


def ended(workspace: Workspace, name: str) -> State:
    return wait(importing(workspace, name).job(IMPORT), timeout=TIMEOUT).state


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_list(workspace: Workspace, language: str) -> None:
    make_small_model(workspace.models / "awq", quantization_config={"quant_method": "awq"})
    (workspace.models / "empty").mkdir()
    page = open_models(language)
    assert not page.exception and not page.error
    rows = {row["name"]: row for row in page.dataframe[0].value.to_dict("records")}
    assert rows["starter"]["trainable"].startswith("✓") and rows["starter"]["parameters"] == "0.1M"
    assert rows["awq"]["trainable"].startswith("✗") and "awq" in rows["awq"]["trainable"]
    assert rows["empty"]["architecture"] == "–"
    assert set(page.selectbox(key="data_model").options) == {page.selectbox(key="data_model").options[0]}


def test_a_folder_becomes_a_model_that_can_be_chosen(workspace: Workspace, tmp_path: Path) -> None:
    source = make_small_model(tmp_path / "源 1")
    page = choose(open_models(), "folder")
    page.text_input(key="model_source_folder").set_value(str(source))
    page.text_input(key="model_name").set_value("My Model")
    page.button(key="model_import").click().run()
    assert not page.exception and not page.error
    assert ended(workspace, "My Model") is State.finished
    page = open_models()
    assert not page.exception and any(
        "my-model" in option for option in page.selectbox(key="data_model").options
    )
    assert "my-model" in set(page.dataframe[0].value["name"])


def test_a_download_is_followed_stopped_and_gone_on_with(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_ENGINE_SECONDS", "60")
    page = open_models()
    page.text_input(key="model_source_huggingface").set_value("org/Some-Model")
    page.button(key="model_import").click().run()
    paths = importing(workspace, "Some-Model")
    spec = read_spec(paths.job(IMPORT))
    asked = (spec.request or {})["asked"]["source"]
    assert (asked["name"], asked["hub"]) == ("org/Some-Model", "huggingface")
    page.run()
    assert not page.exception and any("some-model" in text.value for text in page.markdown)
    page.button(key="model_import").click().run()  # as a double click does
    assert not page.exception and not page.error and len(imports(workspace)) == 1
    page.button(key="stop .some-model.import import").click().run()
    assert wait(paths.job(IMPORT), timeout=TIMEOUT).state is State.stopped
    monkeypatch.setenv("FAKE_ENGINE_SECONDS", "0")
    page = open_models()
    page.button(key="again some-model").click().run()
    assert ended(workspace, "Some-Model") is State.finished
    assert json.loads(paths.origin.read_text())["source"] == "huggingface:org/Some-Model"
    assert not open_models().exception


def test_a_failed_import_says_why_and_can_be_discarded(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_ENGINE_FAIL", "download")
    page = open_models()
    page.text_input(key="model_source_huggingface").set_value("org/m")
    page.button(key="model_import").click().run()
    assert ended(workspace, "m") is State.failed
    page = open_models()
    assert not page.exception and "Downloading failed. " in page.error[0].value
    page.button(key="discard m").click().run()
    assert not page.exception and not page.error and not importing(workspace, "m").root.exists()


@pytest.mark.parametrize(
    ("place", "given", "words"),
    [
        ("folder", "/nowhere/at/all", "neither an existing folder"),
        ("folder", "org/model", "neither an existing folder"),
        ("huggingface", "not a model", "neither an existing folder"),
        ("modelscope", "../../etc/passwd", "neither an existing folder"),
    ],
)
def test_what_is_no_source_starts_nothing(workspace: Workspace, place: str, given: str, words: str) -> None:
    page = choose(open_models(), place)
    page.text_input(key=f"model_source_{place}").set_value(given)
    page.button(key="model_import").click().run()
    assert not page.exception and words in page.error[0].value and not imports(workspace)


def test_nothing_named_and_a_name_that_is_taken(workspace: Workspace, tmp_path: Path) -> None:
    page = open_models()
    page.button(key="model_import").click().run()
    assert not page.exception and "first" in page.warning[0].value
    page = choose(page, "folder")
    page.text_input(key="model_source_folder").set_value(str(make_small_model(tmp_path / "x")))
    page.text_input(key="model_name").set_value("starter")
    page.button(key="model_import").click().run()
    assert not page.exception and "named starter from" in page.error[0].value

"""Deleting a model: on the command line and on the page, never under somebody who uses it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.errors import ModelBusy, ModelInUse, NoSuchModel
from core.jobs.job import JobSpec
from core.jobs.launch import launch, stop, wait
from core.model_store.users import delete, named, runs_on
from core.workspace.import_paths import import_of
from core.workspace.paths import Workspace
from tests.command_line import cli, last_json
from tests.page import open_test_page
from tests.runs import make_run
from tests.small_model import make_small_model


@pytest.fixture
def workspace(page_workspace: Workspace) -> Iterator[Workspace]:
    yield page_workspace
    for folder in page_workspace.root.glob("**/busy"):
        stop(folder, "test", grace=0.1)
        wait(folder, poll=0.02)


def test_of_many_runs_a_few_are_named() -> None:
    runs = [f"run-{number}" for number in range(12)]
    assert named(runs[:10]) == ", ".join(runs[:10])
    assert named(runs) == ", ".join([*runs[:10], "2 more"])


LINES = ("model: {}", 'model: "{}"', "model: >-\n  {}", "model:\n  {}", "model: &a {}")


@pytest.mark.parametrize("line", LINES)
def test_a_recipe_names_its_model_however_it_is_written(
    line: str, workspace: Workspace, tmp_path: Path
) -> None:
    run, model = make_run(workspace, "Zoë"), workspace.model("tiny")
    text = run.recipe.read_text(encoding="utf-8")
    written = next(one for one in text.splitlines() if one.startswith("model:"))
    run.recipe.write_text(text.replace(written, line.format(model)), encoding="utf-8")
    assert [one.id for one in runs_on(workspace, model)] == [run.id]
    run.recipe.write_text(text.replace(written, line.format(tmp_path)), encoding="utf-8")
    assert runs_on(workspace, model) == []


def busy(folder: Path, *words: str | Path) -> Path:
    """A job that runs with these words in its command."""
    launch(folder, JobSpec(("sh", "-c", "sleep 1000", "sh", *map(str, words)), Path("/")))
    return folder


def options(workspace: Workspace) -> tuple[str | Path, ...]:
    return ("--workspace", workspace.root, "--json")


def test_a_model_that_nobody_uses(workspace: Workspace, tmp_path: Path) -> None:
    """Linked weights stay, and with the model goes what its import left."""
    weights = make_small_model(tmp_path / "theirs") / "model.safetensors"
    model = make_small_model(workspace.models / "my-model")
    (model / "model.safetensors").unlink()
    (model / "model.safetensors").symlink_to(weights)
    import_of(model).root.mkdir()
    done = last_json(cli("models", "delete", "My Model", *options(workspace), cwd=tmp_path))
    assert done == {"deleted": "my-model", "folder": str(model), "runs": []}
    assert weights.exists() and [path.name for path in workspace.models.iterdir()] == ["starter"]
    again = cli("models", "delete", "my-model", *options(workspace), cwd=tmp_path)
    assert again.returncode == 2 and "No model named my-model" in again.stderr


def test_a_folder_that_was_put_there_by_hand(workspace: Workspace) -> None:
    """Its own name counts before the name it would be given here."""
    for name in ("My Model", "my-model"):
        make_small_model(workspace.models / name)
    delete(workspace, "My Model")
    assert {path.name for path in workspace.models.iterdir()} == {"my-model", "starter"}


def test_a_link_to_a_model_elsewhere(workspace: Workspace, tmp_path: Path) -> None:
    elsewhere = make_small_model(tmp_path / "elsewhere")
    (workspace.models / "linked").symlink_to(elsewhere, target_is_directory=True)
    delete(workspace, "linked")
    assert (elsewhere / "model.safetensors").exists() and not (workspace.models / "linked").is_symlink()


@pytest.mark.parametrize("name", ["../runs", "/etc", ".", "..", "", ".hidden", "a\0b", "x" * 9999])
def test_a_path_is_no_name(workspace: Workspace, name: str) -> None:
    (workspace.models / ".hidden").mkdir()
    workspace.runs.mkdir()
    with pytest.raises(NoSuchModel):
        delete(workspace, name)
    assert workspace.starter.exists() and workspace.runs.exists() and (workspace.models / ".hidden").exists()


def test_runs_that_stand_on_it_are_named(workspace: Workspace, tmp_path: Path) -> None:
    run = make_run(workspace, "Ada")
    tiny = workspace.model("tiny")
    assert [one.id for one in runs_on(workspace, tiny)] == [run.id]
    assert runs_on(workspace, workspace.starter) == []
    with pytest.raises(ModelInUse) as refused:
        delete(workspace, "tiny")
    assert run.id in refused.value.text("en") and run.id in refused.value.text("zh") and tiny.exists()
    said = cli("models", "delete", "tiny", "--even-if-used", "--workspace", workspace.root, cwd=tmp_path)
    assert run.id in said.stdout and not tiny.exists() and run.recipe.exists()


@pytest.mark.parametrize(
    "how", ["in its run", "its import", "the chat", "named", "a request", "a file of it"]
)
def test_never_under_a_job(workspace: Workspace, how: str) -> None:
    run, tiny = make_run(workspace, "Ada"), workspace.model("tiny")
    job = {
        "in its run": lambda: busy(run.job("busy")),
        "its import": lambda: busy(import_of(tiny).job("busy")),
        "the chat": lambda: busy(workspace.root / "busy", "--model", tiny),
        "named": lambda: busy(workspace.root / "sets" / "busy", "--model=Tiny"),
        "a request": lambda: busy(workspace.root / "checks" / "busy"),
        "a file of it": lambda: busy(workspace.root / "busy", tiny / "config.json"),
    }[how]()
    if how == "a request":
        (job / "request.json").write_text(f'{{"model": "{tiny}"}}', encoding="utf-8")
    with pytest.raises(ModelBusy) as refused:
        delete(workspace, "tiny", even_if_used=True)
    assert str(job) in refused.value.text("en") and tiny.exists()
    stop(job, "test", grace=0.1)
    wait(job, poll=0.02)
    assert delete(workspace, "tiny", even_if_used=True)["runs"] == [run.id]


def test_another_models_job_is_of_no_concern(workspace: Workspace) -> None:
    make_small_model(workspace.models / "m")
    busy(workspace.root / "busy", "--model", workspace.models / "m-2", "--name=m")
    assert delete(workspace, "m")["deleted"] == "m"


def opened(language: str = "en") -> AppTest:
    page = open_test_page("data", language=language)
    page.session_state["models"] = page.session_state["model_delete"] = True
    return page.run()


@pytest.mark.parametrize(("language", "word"), [("en", "1 run uses it"), ("zh", "1 个运行使用它")])
def test_on_the_page_after_asking(workspace: Workspace, language: str, word: str) -> None:
    run = make_run(workspace, "Ada")
    page = opened(language)
    page.selectbox(key="model_doomed").set_value("tiny").run()
    assert word in page.warning[0].value and run.id in page.warning[0].value
    assert workspace.model("tiny").exists(), "nothing goes before it was asked for"
    page.button(key="model_delete_now tiny").click().run()
    assert not page.exception and not page.error and not workspace.model("tiny").exists()
    assert list(opened(language).dataframe[0].value["name"]) == ["starter"]


def test_the_page_says_that_a_job_uses_it(workspace: Workspace) -> None:
    make_small_model(workspace.models / "m")
    busy(workspace.root / "busy", "--model", workspace.models / "m")
    page = opened()
    page.selectbox(key="model_doomed").set_value("m").run()
    page.button(key="model_delete_now m").click().run()
    assert "A running job uses the model m" in page.error[0].value and (workspace.models / "m").exists()

"""recipe.yaml, config.py and versions.json changed by hand: they are trained as they are, or refused."""

import subprocess

import pytest

from core.errors import BothEdited, DamagedFile, MissingArtefact
from core.jobs.request import Call, read_request
from core.jobs.status import State
from core.pipeline import chain, tune
from core.pipeline.tune_request import TuneRequest
from core.recipe.recipe import to_yaml
from core.steps import merge, prepare, train
from core.steps.checkpoints import checkpoints
from core.workspace.files import write_json, write_text
from core.workspace.paths import RunPaths, Workspace
from tests.command_line import cli, last_json
from tests.page import open_test_page
from tests.small_run import NAME, end_training, make_run


@pytest.fixture
def workspace(page_workspace: Workspace) -> Workspace:
    return page_workspace


@pytest.fixture
def run(workspace: Workspace) -> RunPaths:
    made = make_run(workspace)
    assert end_training(made).state is State.finished
    return made


def edit(run: RunPaths, **changes: object) -> None:
    write_text(run.recipe, to_yaml(prepare.recipe_of(run).changed(**changes)))


def command(name: str, run: RunPaths, *options: str) -> subprocess.CompletedProcess[str]:
    words = {"tune": ("--run", run.id)}.get(name, (run.id,))
    place = run.workspace.root
    arguments = (name, *words, *options, "--workspace", place, "--json")
    return cli(*arguments, cwd=place, TUNEBOARD_ENGINE="tests.fake_engine")


def test_an_edit_is_seen_by_who_has_read_the_recipe_before(workspace: Workspace) -> None:
    made = make_run(workspace)
    text = made.recipe.read_text(encoding="utf-8")
    assert prepare.recipe_of(made).rank == 16 and "rank: 16" in text
    made.recipe.write_text(
        text.replace("rank: 16", "rank: 32"), encoding="utf-8"
    )  # as long, and in its place
    assert prepare.recipe_of(made).rank == 32
    made.recipe.unlink()
    with pytest.raises(MissingArtefact):
        prepare.recipe_of(made)


@pytest.mark.parametrize("name", ["train", "tune"])
def test_a_recipe_edited_by_hand_is_trained(run: RunPaths, name: str) -> None:
    edit(run, rank=4, iterations=20)
    done = last_json(command(name, run, "--restart"))
    assert done["run"] == run.id
    config = run.config.read_text(encoding="utf-8")
    assert "r=4," in config and "max_iters = 20 " in config
    assert [found.iteration for found in checkpoints(run.work_dir)] == [10, 20]


def test_the_page_trains_an_edited_recipe_too(run: RunPaths) -> None:
    edit(run, rank=4)
    train.start(run)
    assert "r=4," in run.config.read_text(encoding="utf-8")


def test_a_config_edited_by_hand_is_trained_as_it_is(run: RunPaths) -> None:
    text = run.config.read_text(encoding="utf-8").replace("max_iters = 40", "max_iters = 20")
    write_text(run.config, text)
    assert last_json(command("train", run, "--restart"))["iteration"] == 20
    assert run.config.read_text(encoding="utf-8") == text


def test_both_edited_are_refused_until_one_counts(run: RunPaths) -> None:
    write_text(run.config, run.config.read_text(encoding="utf-8") + "\n# mine\n")
    edit(run, rank=4)
    with pytest.raises(BothEdited) as refused:
        prepare.in_line(run)
    for language in ("en", "zh"):
        said = refused.value.text(language)
        assert "rank: 16 → 4" in said and "config.py" in said and str(run.root) in said and run.id in said
    for name in ("train", "tune"):
        done = command(name, run, "--restart")
        assert done.returncode == 2 and "both edited" in done.stderr
    run.config.unlink()
    assert last_json(command("train", run, "--restart"))["iteration"] == 40
    assert "r=4," in run.config.read_text(encoding="utf-8")


def test_both_edited_in_an_earlier_versions_run(run: RunPaths) -> None:
    """It left no written.json: what it was last trained as tells."""
    run.written.unlink()
    edit(run, rank=4)
    assert prepare.in_line(run).rank == 4 and "r=4," in run.config.read_text(encoding="utf-8")


def test_tune_and_train_say_the_same_of_a_recipe_changed_after_training(run: RunPaths) -> None:
    assert last_json(command("tune", run))["run"] == run.id
    edit(run, rank=4)
    for name in ("train", "tune"):
        done = command(name, run)
        assert done.returncode == 2 and "rank: 16 → 4" in done.stderr, name
        assert f"scripts/run train {run.id} --workspace" in done.stderr


def test_without_its_versions_a_run_is_still_made(run: RunPaths) -> None:
    """What stands in recipe.yaml is not made anew."""
    run.versions.unlink()
    edit(run, rank=4)
    before = run.data.stat().st_mtime_ns
    done = command("tune", run)
    assert done.returncode == 2 and "rank: 16 → 4" in done.stderr
    edit(run, rank=16)
    last_json(command("tune", run))
    assert run.data.stat().st_mtime_ns == before


def test_checkpoints_deleted_for_room_are_not_trained_again(run: RunPaths) -> None:
    last_json(command("tune", run))
    for found in checkpoints(run.work_dir):
        found.checkpoint.unlink()
    assert tune.trained_already(run)
    last_json(command("tune", run))
    assert not checkpoints(run.work_dir)
    edit(run, rank=4)
    last_json(command("tune", run))
    assert checkpoints(run.work_dir) and "r=4," in run.config.read_text(encoding="utf-8")


def test_an_edited_recipe_is_on_the_page(workspace: Workspace) -> None:
    fresh = make_run(workspace)
    edit(fresh, rank=4)
    page = open_test_page("config", fresh.id)
    page.session_state[f"launch {fresh.id}"] = True  # what will run is folded
    page.run()
    assert not page.exception and any("r=4," in code.value for code in page.code)
    assert prepare.recipe_of(fresh).rank == 4


def test_a_step_that_lacks_another_names_it_in_the_readers_language(run: RunPaths) -> None:
    with pytest.raises(MissingArtefact) as missing:
        merge.plan(run)
    assert '"convert"' in missing.value.text("en") and "“转换”" in missing.value.text("zh")
    assert run.id in missing.value.text("zh")


def test_options_beside_a_run_that_ask_for_something_else_are_refused(run: RunPaths) -> None:
    for options in (("--seed", "7"), ("--name", "Another"), ("--iterations", "3", "--no-replay")):
        done = command("tune", run, *options)
        named = [option for option in options if option.startswith("--")]
        assert done.returncode == 2 and all(option in done.stderr for option in named), done.stderr
        assert "Traceback" not in done.stderr and "--run" in done.stderr
    done = command("tune", run, "--name", NAME)
    assert last_json(done)["run"] == run.id and done.stderr.startswith(f"Run: {run.id}\n")


def test_a_request_with_nul_in_it_is_a_damaged_file(workspace: Workspace, run: RunPaths) -> None:
    job = run.job("chain")
    spec = chain.plan(workspace, run, TuneRequest(NAME), "test", "en")
    for name in ("a\0b", "\\", 5):
        write_json(job / "request.json", {**(spec.request or {}), "workspace": name, "command": 7})
        with pytest.raises(DamagedFile):
            read_request(Call, job)
    write_json(job / "request.json", {**(spec.request or {}), "workspace": "a\0b"})
    done = cli("--job", job, cwd=workspace.root)
    assert done.returncode == 1 and "request.json" in done.stderr and "Traceback" not in done.stderr

"""A run is trained and merged with the rows and the base model that it was prepared with, or not at all."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.delta_generator import DeltaGenerator

from core.cli.terminal import progress
from core.errors import InputsChanged, RecipeChanged
from core.steps import export, prepare, resuming
from core.steps.inputs import SHOWN, refuse_other_inputs
from core.steps.step import run_job
from core.workspace import known_hashes as hashes
from core.workspace.checksums import hashed
from core.workspace.files import read_json
from core.workspace.known_hashes import known_hashes, reading_told
from core.workspace.paths import RunPaths, Workspace
from tests.command_line import cli
from tests.conftest import RecordFault
from tests.page import open_test_page
from tests.small_run import end_training, make_run


@pytest.fixture
def run(page_workspace: Workspace) -> RunPaths:
    return make_run(page_workspace)


def command(run: RunPaths, *arguments: str) -> tuple[int, str]:
    options = ("--workspace", run.workspace.root, "--json")
    done = cli(*arguments, *options, cwd=run.root, TUNEBOARD_ENGINE="tests.fake_engine")
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


def replace_last_byte(file: Path) -> tuple[str, str]:
    """Other content of the same length, and of the same time as far as anybody can set that; both hashes."""
    about, before = file.stat(), hashed(file)
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(file, ns=(about.st_atime_ns, about.st_mtime_ns))
    return before[:SHOWN], hashed(file)[:SHOWN]


def replace_an_answer(rows: Path) -> tuple[str, str]:
    """Rows that can be trained as well as before; both hashes."""
    before, content = hashed(rows), rows.read_bytes()
    assert b"It is four." in content
    rows.write_bytes(content.replace(b"It is four.", b"It is five."))
    return before[:SHOWN], hashed(rows)[:SHOWN]


def rows_of(run: RunPaths) -> Path:
    return Path(prepare.recipe_of(run).data)


def weights_of(run: RunPaths) -> Path:
    return Path(prepare.recipe_of(run).model) / "model.safetensors"


def test_other_rows_are_not_trained(run: RunPaths, record_fault: RecordFault) -> None:
    was, now = replace_an_answer(rows_of(run))
    code, told = command(run, "train", run.id)
    assert code == 2 and was in told and now in told and str(rows_of(run)) in told
    for language, word in (("en", "make a new run"), ("zh", "新建一个运行")):
        page = open_test_page("train", run.id, language)
        page.button(key="start").click().run()
        assert not page.exception
        (error,) = page.error
        assert was in error.value and now in error.value and word in error.value
    assert not run.work_dir.exists()
    seen = "not trained; both hashes are named, and what to do"
    record_fault("a run's rows are changed after it was prepared", "", "", seen)


def test_rows_that_are_no_rows_any_more_are_named_too(run: RunPaths) -> None:
    was, now = replace_last_byte(rows_of(run))
    page = open_test_page("train", run.id)
    assert not page.exception and str(rows_of(run)) in page.error[0].value
    page.button(key="start").click().run()
    assert not page.exception and any(was in e.value and now in e.value for e in page.error)


def test_another_base_model_is_neither_trained_nor_merged(run: RunPaths, record_fault: RecordFault) -> None:
    kept = weights_of(run).read_bytes()
    was, now = replace_last_byte(weights_of(run))
    code, told = command(run, "train", run.id)
    assert code == 2 and was in told and now in told and str(weights_of(run)) in told
    weights_of(run).write_bytes(kept)
    end_training(run)
    assert command(run, "convert", run.id)[0] == 0
    was, now = replace_last_byte(weights_of(run))
    code, told = command(run, "merge", run.id)
    assert code == 2 and was in told and now in told and not run.merged.exists()
    weights_of(run).write_bytes(kept)
    assert command(run, "merge", run.id)[0] == 0
    seen = "neither trained nor merged; both hashes are named. With the earlier one back it goes on"
    record_fault("the base model is replaced by another", "", "", seen)


def test_a_file_more_or_less_counts(run: RunPaths) -> None:
    recipe = prepare.recipe_of(run)
    more = Path(recipe.model) / "more.safetensors"
    more.write_bytes(b"more")
    with pytest.raises(InputsChanged, match=r"more\.safetensors: SHA-256 was \(no such file\)"):
        refuse_other_inputs(run, recipe)
    more.unlink()
    rows_of(run).unlink()
    with pytest.raises(InputsChanged, match=r"rows\.jsonl: .* is now \(no such file\)"):
        refuse_other_inputs(run, recipe)


def test_of_an_earlier_version_s_run_the_rows_are_known(run: RunPaths) -> None:
    run.inputs.unlink()
    refuse_other_inputs(run, prepare.recipe_of(run))
    replace_last_byte(weights_of(run))
    refuse_other_inputs(run, prepare.recipe_of(run))
    replace_last_byte(rows_of(run))
    with pytest.raises(InputsChanged):
        refuse_other_inputs(run, prepare.recipe_of(run))


def test_prepared_again_it_does_not_go_on_from_what_it_was(run: RunPaths) -> None:
    end_training(run, FAKE_XTUNER_CRASH_AT="25")
    replace_last_byte(weights_of(run))
    recipe = prepare.recipe_of(run)
    prepare.prepare(run, recipe, prepare.model_of(run), Path(recipe.data))
    with pytest.raises(RecipeChanged, match="base model's files are different"):
        resuming.going_on(run)


def test_another_model_in_the_recipe_is_prepared_with(run: RunPaths) -> None:
    """Whoever writes it there means it."""
    other = Path(prepare.recipe_of(run).model).with_name("another")
    shutil.copytree(prepare.recipe_of(run).model, other)
    text = run.recipe.read_text(encoding="utf-8")
    run.recipe.write_text(text.replace(prepare.recipe_of(run).model, str(other)), encoding="utf-8")
    replace_last_byte(other / "model.safetensors")
    assert prepare.in_line(run).model == str(other)
    refuse_other_inputs(run, prepare.recipe_of(run))


def test_what_was_merged_is_no_other_run_s(run: RunPaths) -> None:
    """The same file under another name or touched is the same model."""
    file = weights_of(run)
    shutil.copy(file, file.with_suffix(".copy"))
    file.with_suffix(".copy").replace(file)
    refuse_other_inputs(run, prepare.recipe_of(run))
    end_training(run)
    run_job("convert", run.job("convert"), export.convert.plan(run))
    assert str(run.merged) in export.merge.plan(run).command


def test_each_state_of_a_file_is_read_once(run: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def counting(file: Path, told: Callable[[int], None]) -> str:
        read.append(file)
        return hashed(file, told)

    monkeypatch.setattr(hashes, "hashed", counting)
    recipe, workspace = prepare.recipe_of(run), run.workspace
    refuse_other_inputs(run, recipe)
    assert not read, "they were read when it was prepared"
    replace_last_byte(weights_of(run))
    for _ in range(3):
        with pytest.raises(InputsChanged):
            refuse_other_inputs(run, recipe)
    assert read == [weights_of(run)]
    workspace.hashes.write_text("[")  # nobody's loss
    assert known_hashes(workspace, [weights_of(run), Path("/no/such")]) == {
        weights_of(run): hashed(weights_of(run))
    }
    assert len(read) == 2


def test_who_waits_is_told_how_far_it_is(
    run: RunPaths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a terminal and on a page; of what is known, and of what is read at once, nothing is said."""
    monkeypatch.setattr(hashes, "PATIENCE", 0.0)
    told: list[float] = []
    with reading_told(told.append):
        refuse_other_inputs(run, prepare.recipe_of(run))
        assert not told, "it was read when the run was prepared"
        run.workspace.hashes.unlink()
        refuse_other_inputs(run, prepare.recipe_of(run))
    assert told == sorted(told) and told[-1] == 1.0
    monkeypatch.setenv("TUNEBOARD_LANG", "en")
    run.workspace.hashes.unlink()
    with progress("train"):
        refuse_other_inputs(run, prepare.recipe_of(run))
    assert "Reading the model once to know it again: " in capsys.readouterr().err
    monkeypatch.setattr(hashes, "PATIENCE", 1000.0)
    run.workspace.hashes.unlink()
    with progress("train"):
        refuse_other_inputs(run, prepare.recipe_of(run))
    assert not capsys.readouterr().err


def test_a_page_says_what_it_reads(run: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "PATIENCE", 0.0)
    shown: list[tuple[float, str]] = []
    monkeypatch.setattr(DeltaGenerator, "progress", lambda _, share, text: shown.append((share, text)))
    run.workspace.hashes.unlink()
    assert not open_test_page("config", run.id).exception
    assert shown and all("Reading the model" in text for _, text in shown)


def test_what_is_gone_is_forgotten(run: RunPaths) -> None:
    extra = run.root / "extra"
    extra.write_bytes(b"1")
    known_hashes(run.workspace, [extra])
    assert str(extra) in (read_json(run.workspace.hashes) or {})
    extra.unlink()
    replace_last_byte(weights_of(run))
    known_hashes(run.workspace, [weights_of(run)])
    assert str(extra) not in (read_json(run.workspace.hashes) or {})

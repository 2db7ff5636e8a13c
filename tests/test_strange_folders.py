"""A folder that nobody can read, or that holds nonsense, says so in its own row and hides no other."""

import json
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from core.jobs.curves import read_curve
from core.jobs.job import JobPaths
from core.jobs.process import boot_id
from core.jobs.spark import spark
from core.jobs.status import read_status
from core.jobs.tail import last_lines
from core.model_store.importing import Listed, list_models
from core.models.folder import fingerprint, read_model, read_shape
from core.run_list import list_runs
from core.runs import Run, delete
from core.steps.checkpoints import checkpoints, is_whole
from core.workspace.paths import RunPaths, Workspace
from tests.as_user import ROOT, as_user, their_folder
from tests.page import no_errors, open_test_page

DEEP = "[" * 100_000 + "]" * 100_000
NOT_UTF8 = os.fsdecode(b"20260101-000001-\xff\xfe")


def run_with(workspace: Workspace, name: str, **files: str) -> RunPaths:
    """A run whose folder holds these files; a name's "__" is a folder."""
    paths = RunPaths(workspace.runs / name)
    paths.root.mkdir(parents=True)
    for file, text in files.items():
        place = paths.root / f"{file.replace('__', '/')}.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return paths


def good_and(workspace: Workspace, **files: str) -> tuple[Run, RunPaths]:
    """A run that holds these files, beside a good one that is listed as if it were alone."""
    run_with(workspace, "20260101-000000-good", about='{"title": "good"}')
    bad = run_with(workspace, "20260101-000001-bad", **files)
    found = list_runs(workspace)
    assert [run.title for run in found if not run.fault][-1] == "good"
    json.dumps([run.as_json() for run in found]).encode()
    return next(run for run in found if run.run == bad.id), bad


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "工作 区")


@pytest.mark.parametrize("file", ["about", "result", "data"])
@pytest.mark.parametrize("text", [DEEP, "[1]", "{", '"x"'])
def test_a_runs_own_file_that_is_damaged(workspace: Workspace, file: str, text: str) -> None:
    bad, _ = good_and(workspace, **{file: text})
    assert bad.fault and f"{file}.json" in bad.fault


@pytest.mark.parametrize(
    "file", ["about.json", "result.json", "train/work_dir/20260101_000000/vis_data/scalars.json"]
)
def test_a_folder_in_a_files_place(workspace: Workspace, file: str) -> None:
    run = run_with(workspace, "20260101-000000-good")
    (run.root / file).mkdir(parents=True)
    (bad,) = list_runs(workspace)
    assert bad.fault and Path(file).name in bad.fault
    assert spark(run.work_dir) == []


def test_a_link_that_leads_to_itself(workspace: Workspace) -> None:
    run = run_with(workspace, "20260101-000000-good")
    run.about.symlink_to(run.about.name)
    (workspace.runs / "round").symlink_to("round")
    (bad,) = list_runs(workspace)
    assert bad.fault and "about.json" in bad.fault


@pytest.mark.parametrize(
    "files",
    [
        {"result": '{"learned": "x", "kept": [1], "leaked": {}}', "about": '{"title": ["x"], "name": 7}'},
        {"result": '{"learned": NaN, "kept": Infinity}'},
        {"train__job": "{}", "train__exit": '{"reason": ["a"], "code": "x", "started": "q"}'},
        {"train__job": DEEP, "train__exit": DEEP, "train__supervisor": DEEP},
        {"train__job": "[]", "train__tool": json.dumps(
            {"pid": "../../etc", "ticks": {}, "boot": boot_id(), "host": "", "started": "y"})},
        {"train__job": "{}", "train__supervisor": json.dumps(
            {"pid": 10**30, "ticks": 1, "boot": boot_id(), "host": "", "started": 1})},
    ],
)  # fmt: skip
def test_values_of_other_kinds(workspace: Workspace, files: dict[str, str]) -> None:
    bad, paths = good_and(workspace, **files)
    assert isinstance(bad.title, str) and (bad.learned, bad.kept, bad.leaked) == (None, None, None)
    if "train__job" in files:
        assert read_status(paths.job("train")).started is None


def test_numbers_that_are_none(workspace: Workspace) -> None:
    run = run_with(workspace, "20260101-000000-a")
    scalars = run.work_dir / "20260101_000000" / "vis_data" / "scalars.json"
    scalars.parent.mkdir(parents=True)
    deep = "[" * 10_000 + "]" * 10_000
    lines = (deep, f'{{"loss": {deep}, "iter": 1}}', '{"iter": 1e400, "loss": 1}', '{"iter": -1, "loss": 1}')
    huge = (
        f'{{"iter": {10**300}, "loss": 1}}',
        f'{{"iter": 1, "loss": {10**400}}}',
        '{"iter": 2, "loss": 0.5}',
    )
    scalars.write_text("\n".join((*lines, *huge)))
    assert spark(run.work_dir) == [0.5]


def test_a_name_that_is_not_utf8(page_workspace: Workspace, model: Path) -> None:
    """Listed with what is wrong, on the page and by the command; on the other pages it is not offered."""
    (page_workspace.runs / NOT_UTF8).mkdir(parents=True)
    shutil.copytree(model, page_workspace.models / NOT_UTF8)
    shutil.copytree(model, page_workspace.models / "good")
    run_with(page_workspace, "20260101-000000-good")
    runs, models = list_runs(page_workspace), list_models(page_workspace)
    assert ["not UTF-8" in (run.fault or "") for run in runs] == [True, False]
    assert [(one.trainable, "not UTF-8" in one.why) for one in models][-1] == (True, False)
    json.dumps([one.as_json() for one in (*runs, *models)], ensure_ascii=False).encode()
    for step in ("start", "data", "config", "chat", "train"):
        assert no_errors(open_test_page(step)), step


def model_with(folder: Path, model: Path, change: Callable[[Path], Any]) -> Listed:
    """How a changed copy of a model is listed, beside a good one."""
    workspace = Workspace(folder)
    for name in ("bad", "good"):
        shutil.copytree(model, workspace.models / name)
    change(workspace.models / "bad")
    bad, good = list_models(workspace)
    assert good.trainable and not good.why
    json.dumps(bad.as_json(), ensure_ascii=False).encode()
    for reader in (read_model, fingerprint, lambda path: read_shape(read_model(path))):
        try:
            reader(workspace.models / "bad")
        except Exception as error:
            assert type(error).__name__ in {"NotAModel", "ImportFirst"}
    return bad


ODD: list[dict[str, Any]] = [
    *({"architectures": odd} for odd in ("x", {}, {"a": 1}, [None], 7)),
    *({"model_type": odd} for odd in ([1], {"a": 1}, None, 7)),
    *({"num_hidden_layers": odd} for odd in ("a", [1], 10**400, -1, True, 1.5)),
    {"hidden_size": {}},
    {"vocab_size": 10**30},
    {"num_attention_heads": 0},
]


@pytest.mark.parametrize("odd", ODD, ids=str)
def test_values_of_other_kinds_in_a_config(tmp_path: Path, model: Path, odd: dict[str, Any]) -> None:
    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **odd}))

    bad = model_with(tmp_path, model, change)
    assert not bad.trainable and "config.json" in bad.why and next(iter(odd)) in bad.why


HARMLESS: list[tuple[str, Any]] = [
    ("generation_config.json", {"eos_token_id": [[1], {}]}),
    ("generation_config.json", [1]),
    ("tokenizer_config.json", {"chat_template": [1, {"name": [1], "template": 7}], "bos_token": [1]}),
    (
        "tokenizer_config.json",
        {"added_tokens_decoder": {"1": 7, "x": {}, "²": {"content": [1], "special": 1}}},
    ),
    ("tokenizer.json", {"added_tokens": {"a": 1}}),
    ("tokenizer.json", {"added_tokens": [{"id": [1], "content": "x"}]}),
    ("special_tokens_map.json", [1]),
    ("model.safetensors.index.json", {"weight_map": [1]}),
]


@pytest.mark.parametrize(("name", "value"), HARMLESS)
def test_values_of_other_kinds_in_its_other_files(tmp_path: Path, model: Path, name: str, value: Any) -> None:
    model_with(tmp_path, model, lambda folder: (folder / name).write_text(json.dumps(value)))


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "tokenizer_config.json",
        "tokenizer.json",
        "generation_config.json",
        "chat_template.jinja",
    ],
)
@pytest.mark.parametrize("kind", ["deep", "folder", "bytes"])
def test_files_that_are_none(tmp_path: Path, model: Path, name: str, kind: str) -> None:
    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        if kind == "folder":
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(DEEP.encode() if kind == "deep" else b"\xff\xfe\x00")

    model_with(tmp_path, model, change)


def put(place: Path, what: str) -> None:
    """A pipe, or a link: to a device, to itself, to the folder above."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    if what == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to({"itself": place.name, "above": ".."}.get(what, what))


PLACES = ("pipe", "/dev/zero", "itself", "above")
# What would be read for ever.
ENDLESS = PLACES[:2]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("what", PLACES)
@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "tokenizer_config.json",
        "generation_config.json",
        "chat_template.jinja",
        "model.safetensors",
        "model.safetensors.index.json",
        "more.json",
        "additional_chat_templates/x.jinja",
    ],
)
def test_links_and_pipes_in_a_model(tmp_path: Path, model: Path, name: str, what: str) -> None:
    bad = model_with(tmp_path, model, lambda folder: put(folder / name, what))
    if what in ENDLESS:
        assert not bad.trainable and Path(name).name in bad.why and "not a regular file" in bad.why


@pytest.mark.timeout(60)
@pytest.mark.parametrize("what", PLACES)
@pytest.mark.parametrize(
    "name",
    [
        "about.json",
        "recipe.yaml",
        "result.json",
        "data.json",
        "inputs.json",
        "train/job.json",
        "train/progress.json",
        "train/output.log",
        "train/work_dir",
        "train/work_dir/20260101_000000/vis_data/scalars.json",
        "train/work_dir/20260101_000000/20260101_000000.log",
        "train/work_dir/iter_10.pth",
        "adapter",
        "merged",
    ],
)
def test_links_and_pipes_in_a_run(workspace: Workspace, name: str, what: str) -> None:
    run_with(workspace, "20260101-000000-good", about='{"title": "good"}')
    run = run_with(workspace, "20260101-000001-bad")
    put(run.root / name, what)
    assert [found.title for found in list_runs(workspace)][-1] == "good"
    for read in (read_curve, spark, checkpoints):
        with suppress(OSError):
            read(run.work_dir)  # type: ignore[operator]
    with suppress(OSError):
        assert not last_lines(JobPaths(run.job("train")).log, 3)
    assert not is_whole(run.work_dir / "iter_10.pth")


def test_what_a_link_leads_to_is_not_deleted_with_the_run(workspace: Workspace, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "iter_10.pth").write_bytes(b"theirs")
    run = run_with(workspace, "20260101-000001-bad")
    for place in (run.work_dir, run.merged, run.root / "more"):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(elsewhere, target_is_directory=True)
    delete(workspace, run)
    assert not run.root.exists() and (elsewhere / "iter_10.pth").read_bytes() == b"theirs"


@pytest.mark.parametrize(
    "shape",
    ["[1e400, 1]", f"[{10**4000}, 1]", "[1e308, 1e308, 1e308]", "[NaN]", '"ab"', "[-5, 3]", "[1000, 1000]"],
)
def test_a_tensor_of_an_impossible_shape(tmp_path: Path, model: Path, shape: str) -> None:
    def change(folder: Path) -> None:
        for file in folder.glob("*.safetensors*"):
            file.unlink()
        header = f'{{"layers.0.q": {{"dtype": "F32", "shape": {shape}, "data_offsets": [0, 4]}}}}'.encode()
        content = len(header).to_bytes(8, "little") + header + bytes(8)
        (folder / "model.safetensors").write_bytes(content)

    bad = model_with(tmp_path, model, change)
    assert not bad.trainable and "model.safetensors" in bad.why


LOOK = """
import json, sys
from core.run_list import list_runs
from core.model_store.importing import list_models
from core.workspace.paths import Workspace
here = Workspace.of(sys.argv[1])
runs, models = list_runs(here), list_models(here)
print(json.dumps([*([run.run, run.fault] for run in runs), *([one.name, one.why] for one in models)]))
"""


@ROOT
def test_a_folder_of_another_user() -> None:
    """A plain user: without the capability to read what is root's."""
    from tests import as_user as user

    with their_folder() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(user, "SEES_FILES", ())
        for place in ("runs/20260101-000000-mine", "runs/20260101-000001-theirs", "models/theirs"):
            (folder / place).mkdir(parents=True)
        for made in folder.rglob("*"):  # whatever an earlier test of this process lets others see
            made.chmod(0o755)
        for place in ("runs/20260101-000001-theirs", "models/theirs"):
            (folder / place).chmod(0o700)
        try:
            found = as_user(["-c", LOOK, str(folder)], HOME=str(folder), TUNEBOARD_LANG="en")
        except AssertionError as error:
            if "Permission denied" in str(error) and "site-packages" in str(error):
                pytest.skip("the interpreter itself is root's alone here")
            raise
    assert dict(json.loads(found)) == {
        "20260101-000000-mine": None,
        "20260101-000001-theirs": "permission denied",
        "theirs": "permission denied",
    }

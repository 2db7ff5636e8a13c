"""A work_dir that XTuner filled elsewhere, opened as a run: nothing of it is changed or run."""

import hashlib
import re
import shutil
from datetime import datetime
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.errors import AdoptedRun, NoSuchModel, NotARecipe, NotAWorkDir
from core.recipe.xtuner_file.catalog import find
from core.runs import delete, next_step, read_run, standing
from core.steps import adopt, convert, curves, prepare, resuming, train
from core.steps.checkpoints import checkpoints
from core.workspace.paths import RunPaths, Workspace
from tests.command_line import cli, last_json
from tests.page import no_errors, open_test_page
from tests.small_model import make_small_model
from tests.small_run import end_training, make_run

NOW = datetime(2026, 1, 2)
EVIL = "import pathlib\npathlib.Path({mark!r}).touch()\n"


@pytest.fixture
def workspace(home: Workspace) -> Workspace:
    return home


def elsewhere(workspace: Workspace, folder: Path) -> Path:
    """The work_dir of a training in another place, its config beside its logs as XTuner leaves it."""
    run = make_run(workspace)
    assert end_training(run).code == 0
    folder.parent.mkdir(parents=True)
    run.work_dir.rename(folder)
    (folder / "config.py").write_text(run.config.read_text(encoding="utf-8"), encoding="utf-8")
    delete(workspace, run)
    return folder


def state_of(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file with its time and hash."""
    return {
        str(file.relative_to(folder)): (
            file.stat().st_mtime_ns,
            hashlib.sha256(file.read_bytes()).hexdigest(),
        )
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_a_work_dir_becomes_a_run_and_stays_as_it_is(workspace: Workspace, tmp_path: Path) -> None:
    folder = elsewhere(workspace, tmp_path / "别 处" / "work_dirs" / "my run")
    before = state_of(folder)
    run = adopt.adopt(workspace, folder, None, NOW)
    about = read_run(run)
    assert about.title == "my run" and about.state == "finished" and next_step(standing(run)) == "merge"
    assert [found.iteration for found in checkpoints(run.work_dir)] == [30, 40]
    found = curves.of(workspace, run.id)
    assert found["points"][-1]["iter"] == 40 and found["answers"] and found["best"]["checkpoint"]
    assert prepare.model_of(run).folder == workspace.starter
    assert convert.plan(run).command[4:6] == (str(run.config), str(run.work_dir / "iter_40.pth"))
    assert state_of(folder) == before
    assert adopt.adopt(workspace, folder, None, NOW).id == run.id, "twice is the same run"
    delete(workspace, run)
    assert state_of(folder) == before


def test_it_is_never_trained_into(workspace: Workspace, tmp_path: Path) -> None:
    folder = elsewhere(workspace, tmp_path / "elsewhere" / "w")
    run = adopt.adopt(workspace, folder, None, NOW)
    before = state_of(folder)
    with pytest.raises(AdoptedRun) as refused:
        train.start(run)
    assert str(folder) in refused.value.text("en") and state_of(folder) == before
    done = cli("train", run.id, "--workspace", workspace.root, cwd=tmp_path)
    assert done.returncode == 2 and str(folder) in done.stderr and state_of(folder) == before


def test_its_config_is_read_and_not_run(workspace: Workspace, tmp_path: Path) -> None:
    folder, mark = elsewhere(workspace, tmp_path / "elsewhere" / "w"), tmp_path / "it ran"
    config = folder / "config.py"
    evil = EVIL.format(mark=str(mark)) + config.read_text(encoding="utf-8")
    config.write_text(evil, encoding="utf-8")
    run = adopt.adopt(workspace, folder, None, NOW)
    assert not mark.exists() and "touch" not in run.config.read_text(encoding="utf-8")


def test_where_the_base_model_is(workspace: Workspace, tmp_path: Path) -> None:
    """Beside work_dirs by a relative path, under its hub's name in the workspace, or as it is said."""
    folder = elsewhere(workspace, tmp_path / "project" / "work_dirs" / "w")
    config = folder / "config.py"
    text = config.read_text(encoding="utf-8")

    def named(name: str, given: str | None = None) -> Path:
        config.write_text(text.replace(repr(str(workspace.starter)), repr(name)), encoding="utf-8")
        return Path(prepare.recipe_of(adopt.adopt(workspace, folder, given, NOW)).model)

    assert named("./base model") == Path("./base model"), "not here: as it was written"
    with pytest.raises(NoSuchModel):
        convert.plan(adopt.adopt(workspace, folder, None, NOW))
    beside = make_small_model(tmp_path / "project" / "base model")
    assert named("./base model") == beside
    own = make_small_model(workspace.model("internlm-chat-7b"))
    assert named("internlm/internlm-chat-7b") == own
    assert named("internlm/another", str(beside)) == beside


def test_what_is_no_work_dir_is_said(workspace: Workspace, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    with pytest.raises(NotAWorkDir):
        adopt.adopt(workspace, empty, None, NOW)
    empty.mkdir()
    with pytest.raises(NotAWorkDir, match="config"):
        adopt.adopt(workspace, empty, None, NOW)
    (empty / "dpo.py").write_bytes(find("internlm2_chat_1_8b_dpo_full").file.read_bytes())
    with pytest.raises(NotARecipe, match="DPO"):
        adopt.adopt(workspace, empty, None, NOW)
    done = cli("runs", "adopt", empty, "--workspace", workspace.root, cwd=tmp_path)
    assert done.returncode == 2 and "DPO" in done.stderr and "Traceback" not in done.stderr
    assert workspace.run_folders() == []


def test_what_no_recipe_s_adapter_is_does_not_convert(workspace: Workspace, tmp_path: Path) -> None:
    folder = elsewhere(workspace, tmp_path / "elsewhere" / "w")
    config = folder / "config.py"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('bias="none"', 'bias="all"'), encoding="utf-8")
    run = adopt.adopt(workspace, folder, None, NOW)
    with pytest.raises(NotARecipe, match="bias"):
        convert.plan(run)


@pytest.mark.parametrize("written", ["use_dora=True, use_rslora=True", 'init_lora_weights="pissa_niter_4"'])
def test_a_mixture_of_variants_does_not_convert(workspace: Workspace, tmp_path: Path, written: str) -> None:
    """Its adapter is none that a recipe's config would build."""
    folder = elsewhere(workspace, tmp_path / "elsewhere" / "w")
    config = folder / "config.py"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('bias="none"', f'bias="none", {written}'), encoding="utf-8")
    run = adopt.adopt(workspace, folder, None, NOW)
    with pytest.raises(NotARecipe, match=r"use_rslora|init_lora_weights"):
        convert.plan(run)


def test_a_full_fine_tune_from_elsewhere_becomes_a_whole_model(workspace: Workspace, tmp_path: Path) -> None:
    folder = elsewhere(workspace, tmp_path / "elsewhere" / "w")
    config = folder / "config.py"
    text = config.read_text(encoding="utf-8")
    lora = text[text.index("    lora=dict(") : text.index('task_type="CAUSAL_LM",\n    ),\n')]
    without = text.replace(lora + 'task_type="CAUSAL_LM",\n    ),\n', "")
    config.write_text(without.replace("torch.bfloat16", "torch.float32"), encoding="utf-8")
    run = adopt.adopt(workspace, folder, None, NOW)
    assert prepare.recipe_of(run).method == "full" and adopt.no_export(run) is None
    spec = convert.plan(run)
    assert spec.command[3:5] == ("convert_whole", str(run.work_dir / "iter_40.pth"))
    page = open_test_page("merge", run.id)
    assert not page.exception and [one.key for one in page.button if one.key in {"both", "merge"}] == []


@pytest.mark.parametrize("lacking", ["adapter", "model", "checkpoint"])
def test_an_export_that_is_impossible_is_not_recommended(
    workspace: Workspace, tmp_path: Path, lacking: str
) -> None:
    folder = elsewhere(workspace, tmp_path / "elsewhere" / "w")
    config = folder / "config.py"
    text = config.read_text(encoding="utf-8")
    if lacking == "adapter":
        config.write_text(text.replace('bias="none"', 'bias="all"'), encoding="utf-8")
    elif lacking == "model":
        config.write_text(text.replace(repr(str(workspace.starter)), "'another/model'"), encoding="utf-8")
    else:
        for checkpoint in folder.glob("*.pth"):
            checkpoint.unlink()
    done = cli("runs", "adopt", folder, "--workspace", workspace.root, cwd=tmp_path)
    said = " ".join(done.stdout.split())
    assert done.returncode == 0 and "run export" not in said and "cannot be converted and merged" in said
    reason = {"adapter": "model.lora.bias", "model": "another/model", "checkpoint": "no checkpoint"}[lacking]
    assert reason in said
    (run,) = map(RunPaths, workspace.run_folders())
    page = open_test_page("train", run.id)
    assert no_errors(page) and any("cannot be converted" in one.value for one in page.warning)
    if lacking != "checkpoint":
        page = open_test_page("merge", run.id)
        assert not page.exception and page.button(key="both").disabled


def test_losses_that_are_none_are_said_on_the_page(workspace: Workspace, tmp_path: Path) -> None:
    folder = elsewhere(workspace, tmp_path / "elsewhere" / "w")
    numbers = next(folder.glob("*/vis_data/scalars.json"))
    line = re.sub('"loss": [0-9.]+', '"loss": NaN', numbers.read_text(encoding="utf-8").splitlines()[-1])
    with numbers.open("a", encoding="utf-8") as file:
        file.write(re.sub('"(iter|step)": 40', r'"\1": 42', line) + "\n")
    run = adopt.adopt(workspace, folder, None, NOW)
    page = open_test_page("train", run.id)
    assert no_errors(page) and any("iteration 42" in one.value for one in page.warning)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_pages_of_an_adopted_run(workspace: Workspace, tmp_path: Path, language: str) -> None:
    folder = elsewhere(workspace, tmp_path / "elsewhere" / "w")
    run = adopt.adopt(workspace, folder, None, NOW)
    page = open_test_page("config", run.id, language)
    assert no_errors(page) and str(folder) in page.info[0].value
    assert all(field.disabled for field in page.number_input) and not page.warning
    page = open_test_page("train", run.id, language)
    assert no_errors(page) and str(folder) in page.info[0].value
    assert not [button for button in page.button if button.key in {"start", "resume", "again_do"}]
    page = open_test_page("merge", run.id, language)
    assert no_errors(page) and not page.button(key="both").disabled


@pytest.mark.parametrize("step", ["start", "data", "chat", "compare", "publish"])
def test_no_other_page_fails_on_it(page_workspace: Workspace, tmp_path: Path, step: str) -> None:
    """Also when it has a merged model, and no data of its own."""
    folder = elsewhere(page_workspace, tmp_path / "elsewhere" / "w")
    run = adopt.adopt(page_workspace, folder, None, NOW)
    assert no_errors(open_test_page(step, run.id))
    make_small_model(run.merged)
    assert no_errors(open_test_page(step, run.id))


def test_the_command_line(workspace: Workspace, tmp_path: Path) -> None:
    folder = elsewhere(workspace, tmp_path / "elsewhere" / "w")
    options = ("--workspace", workspace.root, "--json")
    adopted = last_json(cli("runs", "adopt", folder, *options, cwd=tmp_path))
    assert adopted["model_is_here"] and len(adopted["checkpoints"]) == 2
    for given in (adopted["run"], folder):
        found = last_json(cli("runs", "curves", given, *options, cwd=tmp_path))
        assert {"points", "validation", "answers", "best"} < set(found) and found["points"][0]["iter"] == 2
        assert found["answers"][0]["question"] and found["best"]["checkpoint_iter"] in {30, 40}
    listed = last_json(cli("runs", *options, cwd=tmp_path))["runs"]
    assert [run["run"] for run in listed] == [adopted["run"]]
    unknown = cli("runs", "curves", "nobody", *options, cwd=tmp_path)
    assert unknown.returncode == 2 and "nobody" in unknown.stderr


@pytest.mark.parametrize("deepspeed", [False, True])
def test_checkpoints_of_epochs(workspace: Workspace, tmp_path: Path, deepspeed: bool) -> None:
    """Named after epochs: the log says at which iterations they ended; without it they are equally long."""
    folder = elsewhere(workspace, tmp_path / "别 处" / "w")
    log = next(folder.glob("*/*.log"))
    text = log.read_text(encoding="utf-8")
    for iteration, epoch in ((30, 3), (40, 4)):
        file, named = folder / f"iter_{iteration}.pth", folder / f"epoch_{epoch}.pth"
        if deepspeed:
            named.mkdir()
            shutil.copy(file, named / "zero_pp_rank_0_mp_rank_00_optim_states.pt")
            file.rename(named / "mp_rank_00_model_states.pt")
        else:
            file.rename(named)
        text = text.replace(f"checkpoint at {iteration} iterations", f"checkpoint at {epoch} epochs")
    log.write_text(text, encoding="utf-8")
    run = adopt.adopt(workspace, folder, None, NOW)
    found = [(one.checkpoint.name, one.iteration) for one in checkpoints(run.work_dir)]
    assert found == [("epoch_3.pth", 30), ("epoch_4.pth", 40)]
    assert curves.of(workspace, run.id)["best"]["checkpoint"].endswith(("epoch_3.pth", "epoch_4.pth"))
    assert resuming.resumable(run) == checkpoints(run.work_dir)[-1]
    assert convert.plan(run).command[5].endswith("epoch_4.pth")
    log.unlink()
    assert [one.iteration for one in checkpoints(run.work_dir)] == [30, 40]


def test_checkpoints_of_both_kinds_are_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "20261124_100000"
    folder.mkdir()
    log = "\n".join(
        [
            *(f"mmengine - INFO - Iter(train) [{i}/60]  loss: 1.0" for i in range(10, 40, 10)),
            "mmengine - INFO - Saving checkpoint at 1 epochs",
            *(f"mmengine - INFO - Iter(train) [{i}/60]  loss: 1.0" for i in range(40, 70, 10)),
        ]
    )
    (folder / f"{folder.name}.log").write_text(log + "\n", encoding="utf-8")
    for name in ("iter_20.pth", "epoch_1.pth", "iter_60.pth", "epoch_x.pth", "best_epoch_1.pth"):
        (tmp_path / name).touch()
    assert [one.checkpoint.name for one in checkpoints(tmp_path)] == [
        *("iter_20.pth", "epoch_1.pth", "iter_60.pth")
    ]
    assert [one.iteration for one in checkpoints(tmp_path)] == [20, 30, 60]


def test_opened_on_the_page(workspace: Workspace, tmp_path: Path) -> None:
    folder = elsewhere(workspace, tmp_path / "别 处" / "my run")
    before = state_of(folder)
    page = open_test_page("start")
    page.text_input(key="adopt_folder").set_value(f" {folder} ")
    page = press_open(page)
    assert no_errors(page) and state_of(folder) == before
    (run,) = map(RunPaths, workspace.run_folders())
    assert page.query_params["run"] == run.id and run.work_dir.resolve() == folder


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(
    ("typed", "english", "chinese"),
    [
        ("", "full path", "完整路径"),
        ("work_dirs/x", "full path", "完整路径"),
        ("/nowhere/at all", "not the work_dir", "不是 XTuner"),
        ("~nobody-here/x", "not the work_dir", "不是 XTuner"),
        ("/" + "x" * 5000, "not the work_dir", "不是 XTuner"),
        ("/data\0/x", "not the work_dir", "不是 XTuner"),
        ("/etc/passwd", "not the work_dir", "不是 XTuner"),
    ],
)
def test_what_cannot_be_opened_is_said(
    workspace: Workspace, language: str, typed: str, english: str, chinese: str
) -> None:
    page = open_test_page("start", language=language)
    page.text_input(key="adopt_folder").set_value(typed)
    page = press_open(page)
    said = [*page.error, *page.warning][0].value
    assert (english if language == "en" else chinese) in said
    assert not workspace.run_folders()


def press_open(page: AppTest) -> AppTest:
    return next(b for b in page.button if str(b.key).startswith("FormSubmitter:adopt_form")).click().run()

"""How often a training saves: a short one several times as well, and the sentences say so."""

from pathlib import Path

import pytest

from core.models.folder import read_model, read_shape
from core.recipe.disk import LOGS, disk_use
from core.recipe.length import first_saved, iterations_of, saved_every, saves
from core.recipe.memory import trainable
from core.recipe.recipe import Recipe, from_bytes
from core.recipe.xtuner_config import write_config
from core.workspace.paths import Workspace
from tests.page import open_test_page
from tests.small_model import make_small_model
from tests.small_run import end_training, make_run

RECIPE = Recipe(model="m", data="d", template="qwen_chat", device="cpu", precision="fp32")
# scripts/run tune with the starter (LoRA of rank 8 on 25 layers' MLPs), bfloat16 on a processor: iter_20.pth.
MEASURED_WEIGHTS, MEASURED_CHECKPOINT = 1_267_200, 15_398_159


@pytest.mark.parametrize(
    ("iterations", "every", "count"),
    [
        (1, 1, 1),
        (3, 1, 3),
        (7, 1, 7),
        (40, 10, 4),
        (180, 45, 4),
        (183, 45, 5),
        (2000, 500, 4),
        (9000, 500, 18),
    ],
)
def test_a_run_saves_four_times_at_least_and_never_after_more_than_500(
    iterations: int, every: int, count: int
) -> None:
    assert saved_every(RECIPE, iterations) == every and saves(RECIPE, iterations) == count
    assert first_saved(RECIPE, iterations) == every
    text = write_config(RECIPE.changed(iterations=iterations), Path("d"), Path("m"), Path("w"))
    assert f"save_steps = {every}\n" in text


def test_what_a_recipe_says_counts_and_the_last_iteration_is_saved() -> None:
    old = from_bytes(b"model: m\ndata: d\nsave_every: 500\niterations: 180", "recipe.yaml")
    assert saved_every(old, 180) == 500 and saves(old, 180) == 1
    assert first_saved(old, 180) == 180, "not after 500 iterations, which it never reaches"


def test_epochs_are_counted_in_iterations() -> None:
    recipe = RECIPE.changed(iterations=None, epochs=3)
    about = {"rows": 90, "kept": 90 * 512}
    assert iterations_of(recipe, about) == 68 and saved_every(recipe, 68) == 17
    text = write_config(recipe, Path("d"), Path("m"), Path("w"), 68)
    assert "save_steps = 17\n" in text
    assert iterations_of(recipe.changed(pack=True, max_length=1024), about) == 34


def test_the_page_says_when_the_first_checkpoint_comes(page_workspace: Workspace) -> None:
    run = make_run(page_workspace, save_every=500)
    end_training(run, FAKE_XTUNER_CRASH_AT="3")
    captions = [caption.value for caption in open_test_page("train", run.id).caption]
    assert any("after 40 iterations" in caption for caption in captions), captions


def test_a_checkpoint_is_as_large_as_counted(tmp_path: Path) -> None:
    """Measured, not assumed; and DeepSpeed keeps a copy in half precision beside it."""
    folder = make_small_model(tmp_path / "m")
    model = read_model(folder)
    shape = read_shape(model)
    use = disk_use(RECIPE, model, shape, 180)
    per_weight = use.checkpoint / trainable(RECIPE, model, shape)
    assert per_weight * MEASURED_WEIGHTS == pytest.approx(MEASURED_CHECKPOINT, rel=0.1)
    assert use.kept == 2 and use.training == 2 * use.checkpoint + LOGS
    assert use.whole == use.training + use.adapter + use.merged
    assert disk_use(RECIPE.changed(iterations=1), model, shape, 1).kept == 1
    sharded = disk_use(RECIPE.changed(deepspeed="zero2"), model, shape, 180)
    assert sharded.checkpoint == use.checkpoint * 14 // 12
    assert disk_use(RECIPE.changed(optimizer="adamw_8bit"), model, shape, 180).checkpoint < use.checkpoint
    assert disk_use(RECIPE.changed(rank=64), model, shape, 180).checkpoint == 8 * use.checkpoint

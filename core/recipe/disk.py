"""What a training writes to the disk, from the recipe and the model's shape.

Measured on the starter (LoRA of rank 8 on its MLPs, 1,267,200 weights): a checkpoint of 15,398,159 bytes,
1 % more than this says. Its names and the optimizer's bookkeeping are that percent.
"""

from dataclasses import dataclass

from core.models.folder import Model, ModelShape
from core.recipe.length import saves
from core.recipe.memory import SAVED_BY_8BIT, trainable
from core.recipe.method import has_adapter
from core.recipe.recipe import Recipe

# A trained weight in float32, and Adam's two moments of it.
WEIGHT, MOMENTS = 4, 8
# DeepSpeed trains a copy in half precision of the weights, which its optimizer keeps in float32.
HALF = 2
# The merged weights are float16; the folder is written beside its place before it is renamed.
MERGED_WEIGHT, SPARE = 2, 1.05
# PiSSA's adapter is converted to LoRA of twice the rank, in float32; where it began is kept beside.
OF_PISSA = 2
# Checkpoints that make a curve, and what they may take together: eight of the starter's are 120 MB.
CURVE, CURVE_BYTES = 8, 500_000_000
# Logs, curves, and the rows as XTuner reads them.
LOGS = 50_000_000


@dataclass(frozen=True)
class DiskUse:
    """Bytes. ``kept``: how many checkpoints stand there at once; ``beginning``: PiSSA's matrices as they were
    before training, without which what was trained means nothing."""

    checkpoint: int
    kept: int
    adapter: int
    merged: int
    beginning: int = 0

    @property
    def training(self) -> int:
        return self.checkpoint * self.kept + self.beginning + LOGS

    @property
    def whole(self) -> int:
        """With what is converted and merged."""
        return self.training + self.adapter + self.merged


def disk_use(recipe: Recipe, model: Model, shape: ModelShape, iterations: int | None) -> DiskUse:
    """What a training of so many iterations (None: nobody knows) writes, and what is made of it."""
    trained = trainable(recipe, model, shape)
    pissa = recipe.method == "pissa"
    adapter = trained * WEIGHT * (OF_PISSA if pissa else 1)
    return DiskUse(
        checkpoint=trained * _checkpoint_bytes(recipe),
        kept=min(recipe.keep_checkpoints, saves(recipe, iterations) or recipe.keep_checkpoints),
        adapter=adapter if has_adapter(recipe) else 0,
        beginning=trained * WEIGHT if pissa else 0,
        merged=merged_bytes(model),
    )


def kept_for_a_curve(recipe: Recipe, model: Model, shape: ModelShape) -> int:
    """How many checkpoints are worth their room: a few show what was learned and kept over the iterations,
    and of large ones only those are kept that a training needs to go on."""
    size = trainable(recipe, model, shape) * _checkpoint_bytes(recipe)
    return max(Recipe.keep_checkpoints, min(CURVE, CURVE_BYTES // max(1, size)))


def merged_bytes(model: Model) -> int:
    """What the merged model takes while it is written."""
    return int(model.parameters * MERGED_WEIGHT * SPARE)


def _checkpoint_bytes(recipe: Recipe) -> int:
    """Bytes a trained weight. XTuner leaves out what is frozen, with DeepSpeed too."""
    state = WEIGHT + MOMENTS - (SAVED_BY_8BIT if "8bit" in recipe.optimizer else 0)
    return state if recipe.deepspeed == "none" else state + HALF

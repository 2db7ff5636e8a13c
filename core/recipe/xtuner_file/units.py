"""Numbers of a config whose unit stands in another key: epochs or iterations, as its loop counts them.

mmengine 0.10.7: ``by_epoch`` of checkpoints and of schedules is True where it is not said. What an epoch is
depends on the loop. An EpochBasedTrainLoop ends one after each pass over the data. An IterBasedTrainLoop, and
so XTuner's TrainLoop, is one single epoch however long it is: what counts epochs there comes once, at the
end, unless ``convert_to_iter_based`` has it counted in passes over the data. Intervals of LoggerHook and
EvaluateChatHook are iterations in every loop.

Here all of them become the loop's own unit, which a Recipe shares; what cannot becomes :class:`Meant`.
"""

import math
from dataclasses import dataclass
from typing import Any

from core.recipe.xtuner_file.values import Name, Values, is_number

# The most checkpoints that a Recipe keeps, and a gradient that no clipping changes: how it says "no limit".
ALL_CHECKPOINTS, NO_CLIPPING = 1000, 1e6
SCHEDULE_DEFAULTS = {
    "LinearLR": {"start_factor": 1 / 3, "end_factor": 1.0},
    "ConstantLR": {"factor": 1 / 3},
    "CosineAnnealingLR": {"eta_min": 0.0},
}
# What a schedule says of its unit and of nothing else.
OF_THE_UNIT = ("by_epoch", "convert_to_iter_based", "verbose", "last_step")


@dataclass(frozen=True)
class Size:
    """The data of one pass: its rows, and its tokens where they are known (they say how many are packed)."""

    rows: int
    tokens: int | None = None


@dataclass(frozen=True)
class Meant:
    """A value of the file that no number of the Recipe says, as it stands there.

    ``config.why.<why>`` says what it means.
    """

    shown: str
    why: str

    def __str__(self) -> str:
        return self.shown


@dataclass(frozen=True)
class Loop:
    """How long a training is: ``length`` in its own unit (``epochs`` or iterations), None where it is unread.

    ``passes``: whether it ends an epoch after each pass over the data. ``batches``: iterations of a pass.
    """

    epochs: bool
    length: float | None
    passes: bool
    batches: int | None

    @property
    def iterations(self) -> int | None:
        if self.length is None or (self.epochs and self.batches is None):
            return None
        return int(self.length * (self.batches or 0)) if self.epochs else int(self.length)

    @property
    def _stretched(self) -> float:
        """A Recipe counts whole epochs: what is half of half an epoch is half of one."""
        part = self.epochs and self.length is not None and 0 < self.length != int(self.length)
        return math.ceil(self.length or 0) / (self.length or 1) if part else 1

    def at(self, place: float, in_epochs: bool) -> float | None:
        """A place of a schedule in the loop's unit; None where that is not known."""
        if in_epochs == self.epochs or not place:
            return place * self._stretched
        if self.batches is None:
            return None
        if not in_epochs:
            return place / self.batches
        at = math.ceil(round(place * self.batches, 6))
        beyond = self.length is not None and 0 < at - self.length < 1
        return int(self.length or 0) if beyond else at


def in_one_unit(found: Values, size: Size | None) -> None:
    """Bring the length, the checkpoints and the schedules of a config's settings to the loop's unit."""
    loop = _loop(found, size)
    hooks = found.get("default_hooks")
    checkpoint = hooks.get("checkpoint") if isinstance(hooks, dict) else None
    if isinstance(checkpoint, dict):
        _checkpoint(checkpoint, loop)
    plain = [one for one in _list(found.get("param_scheduler")) if isinstance(one, dict)]
    schedules = [_schedule(one, loop) for one in plain]
    found["param_scheduler"] = {
        str(number): one for number, one in enumerate(one for one in schedules if one is not None)
    }


def _loop(found: Values, size: Size | None) -> Loop:
    length = found.get("train_cfg")
    batches = _batches(found, size)
    if not isinstance(length, dict):
        return Loop(False, None, False, batches)
    kind = str(length.get("type", "")).rpartition(".")[2]
    passes = kind == "EpochBasedTrainLoop" or (not kind and length.get("by_epoch") is True)
    if kind in {"", "EpochBasedTrainLoop", "IterBasedTrainLoop", "TrainLoop"}:
        length.pop("by_epoch", None)
        length["type"] = Name("xtuner.TrainLoop")
    if not any(found.get(name) for name in ("val_dataloader", "val_cfg")):
        for name in ("val_interval", "val_begin"):
            length.pop(name, None)
    epochs = length.get("max_epochs")
    if is_number(epochs) and epochs != int(epochs) and batches:  # a Recipe counts whole epochs
        length["max_iters"], epochs = int(epochs * batches), length.pop("max_epochs") and None
    whole = epochs if epochs is not None else length.get("max_iters")
    return Loop(epochs is not None, whole if is_number(whole) else None, passes, batches)


def _batches(found: Values, size: Size | None) -> int | None:
    """Iterations of one pass over the data on one device; None where the file alone does not say it."""
    loader = found.get("train_dataloader")
    data = loader.get("dataset") if isinstance(loader, dict) else None
    if size is None or not isinstance(loader, dict) or not isinstance(data, dict):
        return None
    rows, batch, length = size.rows, loader.get("batch_size", 1), data.get("max_length")
    if data.get("pack_to_max_length", True):
        if size.tokens is None or not is_number(length) or not length:
            return None
        rows = size.tokens // int(length)
    most = data.get("max_dataset_length")
    rows = min(rows, int(most)) if is_number(most) else rows
    if not is_number(batch) or batch < 1 or "batch_sampler" in loader or data.get("datasets"):
        return None
    return max(1, rows // int(batch) if loader.get("drop_last") else math.ceil(rows / batch))


def _checkpoint(hook: Values, loop: Loop) -> None:
    by_epoch, every = hook.pop("by_epoch", True), hook.get("interval", -1)
    most = hook.get("max_keep_ckpts")
    if is_number(most) and most <= 0:
        hook["max_keep_ckpts"] = ALL_CHECKPOINTS
    if hook.get("save_last") is True:
        del hook["save_last"]
    if not is_number(every):
        return
    shown = f"{every} (by_epoch={by_epoch})"
    if every <= 0 or (by_epoch and not loop.passes):
        hook["interval"] = loop.iterations or Meant(shown, "saved_once")
    elif by_epoch:
        hook["interval"] = every * loop.batches if loop.batches else Meant(shown, "saved_by_epoch")


def _schedule(one: Values, loop: Loop) -> Values | None:
    """A schedule in the loop's unit; None for one that changes nothing."""
    kind = str(one.get("type", "")).rpartition(".")[2]
    found = {**SCHEDULE_DEFAULTS.get(kind, {}), **one}
    by_epoch, converted = found.get("by_epoch", True), found.get("convert_to_iter_based", False)
    for name in OF_THE_UNIT:
        found.pop(name, None)
    if by_epoch and not converted and not loop.passes:
        return {"type": Meant(f"{kind} (by_epoch=True)", "never_moves")}
    if by_epoch and not converted:
        found["steps"] = Meant("by_epoch=True, convert_to_iter_based=False", "stairs")
    if found.get("eta_min_ratio") in (0, 0.0):
        del found["eta_min_ratio"]
    _span(found, bool(by_epoch), loop)
    if kind == "ConstantLR" and found.get("factor") == 1:
        return None
    return found


def _span(found: Values, by_epoch: bool, loop: Loop) -> None:
    """``begin`` and ``end`` in the loop's unit; ``T_max`` only where it is not the length between them."""
    begin, end = found.get("begin", 0), found.get("end")
    if end is None:
        # mmengine puts the loop's own length there: of a loop that is one epoch, one.
        one_epoch = by_epoch and not loop.passes
        end = 1 if one_epoch else loop.length if by_epoch == loop.epochs else None
    if end is None and not by_epoch:
        end = loop.iterations
    half = found.pop("T_max", None)
    spans = is_number(half) and is_number(begin) and is_number(end) and _close(half, end - begin)
    if _ends_after_a_warm_up(half, begin, end):
        found["T_max"], half = Meant(str(half), "tail"), None
    places = {"begin": begin, "end": end, **({} if spans or half is None else {"T_max": half})}
    for name, place in places.items():
        if is_number(place):
            unit = "epochs" if by_epoch else "iterations"
            at = loop.at(place, by_epoch)
            found[name] = Meant(f"{place} {unit}", "other_unit") if at is None else at
        elif place is None:  # to the end, in iterations that are not known here
            found[name] = loop.length
        else:
            found[name] = place


def _ends_after_a_warm_up(half: Any, begin: Any, end: Any) -> bool:
    """XTuner's first configs have ``T_max`` the whole training and ``begin`` the end of a short warm-up: the
    last learning rate is then 0.2 % of the highest, not 0."""
    numbers = is_number(half) and is_number(begin) and is_number(end)
    return numbers and 0 < begin <= 0.05 * end and _close(half, end)


def _list(found: Any) -> list[Any]:
    return list(found.values()) if isinstance(found, dict) else []


def _close(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-9 * max(abs(one), abs(other))

"""Training that keeps what is replayed to the base by what the base said before (:mod:`core.data.teacher`),
instead of computing the base beside in every step: a third of a processor's step, and of a full fine-tune a
copy of the model.

Every place of a batch has what is to be said there, the taught ones their label
(:mod:`core.engine.teacher_loss`). XTuner 0.2.0 gives its loss the tokens and labels of a row and nothing
else: what the base said is looked up by the row's tokens, on the host, where the batch is put together.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from core.data.encoder import NOT_TRAINED
from core.data.teacher import Teacher, key_of, read_teacher
from core.engine.answer_tokens import Data, answers_of, logits_of, mean
from core.engine.distillation import autocast, distilled_loss, keep_a_copy, model_of
from core.engine.teacher_loss import divergence, label_alone

# What a batch has beside XTuner's own keys.
LIKELIEST, LOGS = "likeliest", "logs"


def taught_by_file(self: Any, data: Data, _: object = None) -> Data:
    """``SupervisedFinetune.compute_loss`` of a batch that says what is to be said at each of its places."""
    given = {name: value for name, value in data.items() if name not in (LIKELIEST, LOGS)}
    labels, answers = answers_of(given)
    with autocast(self):
        logits = logits_of(model_of(self), given, answers)
    return {"loss": mean(divergence(logits, data[LIKELIEST], data[LOGS]), labels)}


class Replay:
    """What this process's training keeps to the base, and by which way: a file's rows, or where it has none
    of the training's a second pass in every step. Which of the two is known once the rows are read."""

    def __init__(self, teacher: Teacher) -> None:
        self.teacher = teacher
        self.width = max((row.likeliest.shape[1] for row in teacher.values()), default=1)
        self.from_file = False

    @classmethod
    def of(cls, config: Any) -> "Replay":
        """Of an XTuner config, which names the file as ``replay_teacher``."""
        file = config.get("replay_teacher")
        if not file or config.get("pack_to_max_length"):
            return cls({})
        cut = (row.cut(config.max_length) for row in read_teacher(Path(file)).values())
        return cls({row.key: row for row in cut})

    def look_at(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Whether the file knows any of the training's rows, said in the log."""
        known = sum(self._found(row["input_ids"], row["labels"]) is not None for row in rows)
        self.from_file = known > 0
        print_log(_said(known, len(rows), bool(self.teacher)), "current")

    def targets(self, ids: Any, labels: Any) -> tuple[Tensor, Tensor]:
        """What is to be said at each place of a row where a trained token is said: ``likeliest`` (n, k) and
        ``logs`` (n, k + 1); of a taught row the label alone."""
        found = self._found(ids, labels)
        if found is not None:
            return torch.from_numpy(found.likeliest.astype(np.int64)), torch.from_numpy(found.logs)
        said = torch.as_tensor(labels)[1:]
        return label_alone(said[said != NOT_TRAINED], self.width)

    def _found(self, ids: Any, labels: Any) -> Any:
        return self.teacher.get(key_of(ids, np.asarray(labels) != NOT_TRAINED))


def _said(known: int, rows: int, has_file: bool) -> str:
    if known:
        return f"Replay keeps to the base by what it said before: {known} of {rows} rows."
    why = "none of the rows is in replay_teacher's file" if has_file else "no file of what it said before"
    return f"Replay keeps to the base by a second pass in every step: {why}."


def keep_replay_to_the_base(replay: Replay) -> None:
    """Train with ``replay_distillation``, after ``core.engine.patches.patch_xtuner``."""
    import xtuner.dataset
    from xtuner.dataset import collate_fns
    from xtuner.model import sft

    own_collate, own_process = collate_fns.default_collate_fn, xtuner.dataset.process_hf_dataset
    copy_now = keep_a_copy(sft.SupervisedFinetune, at_once=not replay.teacher)

    def process_dataset(*positional: Any, **options: Any) -> Any:
        rows = own_process(*positional, **options)
        replay.look_at(rows)
        if not replay.from_file:
            copy_now()
        return rows

    def compute_loss(self: Any, data: Data, samples: object = None) -> Data:
        return (taught_by_file if replay.from_file else distilled_loss)(self, data, samples)

    xtuner.dataset.process_hf_dataset = process_dataset
    collate_fns.default_collate_fn = _with_targets(own_collate, replay)
    sft.SupervisedFinetune.compute_loss = compute_loss


def _with_targets(collate: Callable[..., Any], replay: Replay) -> Callable[..., Any]:

    def collate_rows(rows: Sequence[Mapping[str, Any]], **options: Any) -> Any:
        batch = collate(rows, **options)
        if replay.from_file:
            likeliest, logs = zip(
                *(replay.targets(row["input_ids"], row["labels"]) for row in rows), strict=True
            )
            batch["data"] |= {LIKELIEST: torch.cat(likeliest), LOGS: torch.cat(logs)}
        return batch

    return collate_rows

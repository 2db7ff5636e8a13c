"""What a loaded base model would say at each place of its own answers: the rows of a teacher
(:mod:`core.data.teacher`)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.data.encoder import TokenRow
from core.data.mix import with_system
from core.data.own_encoder import encoder_of
from core.data.replay import replayed, turns
from core.data.teacher import LIKELIEST, Teacher, TeacherRow, by_key, key_of, said_at
from core.engine.answer_tokens import logits_of
from core.errors import RowRefused
from core.recipe.templates import Template

# Tokens at a time: enough for a processor's caches, and for a GPU to be busy.
TOKENS_AT_ONCE = {"cpu": 2048, "cuda": 16384}
Tell = Callable[[int, int], object]


def told(
    model: Any,
    folder: Path,
    template: Template,
    wanted: Mapping[str, Any],
    said: Sequence[Mapping[str, Any]],
    tell: Tell = lambda *_: None,
) -> Teacher:
    """What else the model in ``folder`` would have said at each place of its answers that are to be replayed:
    ``wanted`` and ``said`` are request and answers of :mod:`core.engine.answer`. ``tell`` is
    :func:`make_teacher`'s."""
    encoder = encoder_of(folder / "tokenizer.json", template)
    rows: list[TokenRow] = []
    for number in wanted["replayed"]:
        asked, answer = wanted["questions"][number], said[number]
        before = turns(asked.get("earlier", ()), answer.get("earlier", ()))
        way = asked.get("system", ""), asked.get("thinks"), before
        for conversation in replayed(asked["question"], answer["answer"], *way):
            with suppress(RowRefused):  # whoever trains it is told
                rows += encoder.rows(with_system(conversation, wanted.get("system", "")))
    return make_teacher(model, rows, tell=tell)


def make_teacher(
    model: Any, rows: Iterable[TokenRow], k: int = LIKELIEST, tell: Tell = lambda *_: None
) -> Teacher:
    """A pass of the model over each distinct row, with all before it given. ``tell`` hears how many more are
    done, and how many there are."""
    distinct = {key_of(row.ids, row.trained): row for row in rows if said_at(row.trained)}
    ordered = sorted(distinct.values(), key=lambda row: len(row.ids))
    made: list[TeacherRow] = []
    for batch in _batches(ordered, model.device.type):
        made += _made(model, batch, k)
        tell(len(batch), len(ordered))
    return by_key(made)


def _batches(rows: Sequence[TokenRow], device: str) -> Iterator[list[TokenRow]]:
    """By length ascending: the longest of a batch is its last."""
    batch: list[TokenRow] = []
    for row in rows:
        if batch and (len(batch) + 1) * len(row.ids) > TOKENS_AT_ONCE[device]:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


@torch.inference_mode()
def _made(model: Any, rows: Sequence[TokenRow], k: int) -> list[TeacherRow]:
    shape = len(rows), len(rows[-1].ids)
    ids, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    answers = np.zeros((shape[0], shape[1] - 1), np.bool_)
    for number, row in enumerate(rows):
        ids[number, : len(row.ids)], mask[number, : len(row.ids)] = row.ids, 1
        answers[number, : len(row.ids) - 1] = row.trained[1:]
    data = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
    data = {name: value.to(model.device) for name, value in data.items()}
    likeliest, logs = likeliest_of(logits_of(model, data, torch.from_numpy(answers).to(model.device)), k)
    ends = np.cumsum([0, *(said_at(row.trained) for row in rows)])
    return [
        TeacherRow(np.array(row.ids), np.array(row.trained), likeliest[a:b], logs[a:b])
        for row, a, b in zip(rows, ends[:-1], ends[1:], strict=True)
    ]


def likeliest_of(logits: Tensor, k: int = LIKELIEST) -> tuple[Any, Any]:
    """As a :class:`TeacherRow` has them, numpy, of logits (places, vocabulary)."""
    numbers = logits.float()
    top = numbers.topk(min(k, numbers.shape[1]), dim=1)
    rest = numbers.scatter(1, top.indices, -torch.inf).logsumexp(1, keepdim=True)
    logs = torch.cat([top.values, rest], 1) - numbers.logsumexp(1, keepdim=True)
    return top.indices.cpu().numpy(), logs.half().cpu().numpy()

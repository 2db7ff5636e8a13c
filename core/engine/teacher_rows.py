"""What a loaded base model would say at each place of its own answers: the rows of a teacher
(:mod:`core.data.teacher`)."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.data.encoder import TokenRow
from core.data.teacher import LIKELIEST, Teacher, TeacherRow, key_of, said_at, teacher_of
from core.engine.answer_tokens import logits_of

# Tokens at a time: enough for a processor's caches, and for a GPU to be busy.
TOKENS_AT_ONCE = {"cpu": 2048, "cuda": 16384}


def make_teacher(model: Any, rows: Iterable[TokenRow], k: int = LIKELIEST) -> Teacher:
    """A pass of the model over each distinct row, with all before it given."""
    distinct = {key_of(row.ids, row.trained): row for row in rows if said_at(row.trained)}
    ordered = sorted(distinct.values(), key=lambda row: len(row.ids))
    return teacher_of(
        made for batch in _batches(ordered, model.device.type) for made in _made(model, batch, k)
    )


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

"""How likely a loaded model finds answers that are given: teacher forced, as the training writes them.

Of no place but those that say a token of an answer are logits computed, and of those only so many at a time
as fit; a batch × length × vocabulary of them is never there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from core.data.asking import PromptAndAnswer, Prompter
from core.engine.answer_tokens import logits_of
from core.engine.room import AtOnce, room_for_logits

# Rows of logits that become float32 at a time.
SLICE = 512


@dataclass(frozen=True)
class Forced:
    """A prompt and an answer as tokens, ``prompt`` of them the prompt's."""

    ids: list[int]
    prompt: int

    @property
    def answer(self) -> int:
        return len(self.ids) - self.prompt


def score_all(
    model: Any,
    tokenizer: Any,
    prompter: Prompter,
    texts: Sequence[Mapping[str, Any]],
    system: str,
    tell: Callable[[int], object] = lambda _: None,
) -> list[dict[str, Any]]:
    """Of each text of a request ``{"tokens", "nats"}``: the answer's tokens, its end among them where it was
    finished, and minus the natural logarithm of how likely they are after all before them. ``tell`` hears how
    many more are done."""
    forced = [encoded(tokenizer, written_of(prompter, text, system)) for text in texts]
    nats = [0.0] * len(forced)
    for batch, found in likelihoods(model, forced):
        for index, one in zip(batch, found, strict=True):
            nats[index] = one
        tell(len(batch))
    return [{"tokens": one.answer, "nats": nat} for one, nat in zip(forced, nats, strict=True)]


def written_of(prompter: Prompter, text: Mapping[str, Any], system: str) -> PromptAndAnswer:
    """A text of a request, whose ``system`` prompt it has unless it brings one."""
    earlier = list(zip(text.get("earlier", ()), text.get("said", ()), strict=True))
    about = text.get("system") or system, text.get("thinks"), earlier
    return prompter.written(text["question"], text["answer"], text["finished"], *about)


def encoded(tokenizer: Any, written: PromptAndAnswer) -> Forced:
    """Its tokens as training has them: an answer of a template of the model's own is encoded with its prompt
    unless that would join the two."""

    def ids_of(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []

    prompt = ids_of(written.prompt)
    both = [] if written.apart else ids_of(written.prompt + written.answer)
    said = both[len(prompt) :] if both[: len(prompt)] == prompt and both else ids_of(written.answer)
    return Forced([*prompt, *said, *([tokenizer.eos_token_id] if written.end else [])], len(prompt))


def likelihoods(model: Any, forced: Sequence[Forced]) -> Iterator[tuple[list[int], list[float]]]:
    """Indices of texts and the nats of their answers, batch after batch."""
    order = sorted((i for i, one in enumerate(forced) if one.answer), key=lambda i: len(forced[i].ids))
    most = room_for_logits(model)

    def fits(batch: Sequence[int]) -> bool:
        return sum(forced[i].answer for i in batch) <= most

    yield from AtOnce(model).work(
        order, lambda i: len(forced[i].ids), lambda some: _nats(model, [forced[i] for i in some]), fits
    )


@torch.inference_mode()
def _nats(model: Any, rows: Sequence[Forced]) -> list[float]:
    longest = max(len(row.ids) for row in rows)
    ids, mask = torch.zeros(len(rows), longest, dtype=torch.long), torch.zeros(len(rows), longest)
    said = torch.zeros(len(rows), longest, dtype=torch.bool)
    for number, row in enumerate(rows):
        ids[number, : len(row.ids)] = torch.tensor(row.ids)
        mask[number, : len(row.ids)] = 1
        said[number, row.prompt : len(row.ids)] = True
    wanted = ids[said].to(model.device)
    data = {"input_ids": ids.to(model.device), "attention_mask": mask.long().to(model.device)}
    logits = logits_of(model, data, said[:, 1:].to(model.device))
    nats = torch.cat(
        [
            functional.cross_entropy(some.float(), labels, reduction="none")
            for some, labels in zip(logits.split(SLICE), wanted.split(SLICE), strict=True)
        ]
    )
    return [float(part.double().sum()) for part in nats.cpu().split([row.answer for row in rows])]

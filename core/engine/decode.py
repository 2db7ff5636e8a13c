"""Many prompts continued greedily, as many rows at once as fit.

On a processor by transformers' own ``generate``: it is stopped where enough rows have ended, and goes on with
the others and their part of the cache. A model whose cache cannot give rows up goes on with all of them. On a
GPU by recorded steps (:mod:`core.engine.recorded`), where the model and its settings allow.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteria, StoppingCriteriaList

from core.engine.recorded import CannotRecord, InSteps, why_not
from core.engine.room import AtOnce, room_for_logits, room_for_writing
from core.engine.token_rows import left_padded, through_end

# A batch goes on without those that have ended once they are this share of it.
ENDED = 0.25
Tell = Callable[[int, int], object]


def write_all(
    model: Any,
    prompts: Sequence[Sequence[int]],
    limits: Sequence[int],
    ends: Sequence[int],
    pad: int,
    tell: Tell = lambda *_: None,
) -> list[list[int]]:
    """The tokens that continue each prompt, up to the first of ``ends``, it among them, or to its limit.
    ``tell`` hears how many more of the tokens that the limits allow need not be waited for, and how many more
    prompts have ended."""
    found: list[list[int]] = [[] for _ in prompts]
    most = room_for_logits(model)
    length = [len(prompt) + limit for prompt, limit in zip(prompts, limits, strict=True)]
    order = sorted(range(len(prompts)), key=length.__getitem__)
    at_once = AtOnce(model, room_for_writing(model))
    by_generate = why_not(model)
    if by_generate and model.device.type == "cuda":
        print(f"Answers are written by generate: {by_generate}.", flush=True)

    def write(batch: list[int]) -> list[list[int]]:
        nonlocal by_generate
        some = [prompts[i] for i in batch], [limits[i] for i in batch]
        if not by_generate:
            try:
                return InSteps(model, *some, ends, pad, tell).written()
            except CannotRecord as error:
                by_generate = str(error)
                print(f"Answers are written by generate, a step cannot be recorded: {error}.", flush=True)
        return WrittenTogether(model, *some, ends, pad, tell).written()

    for batch, rows in at_once.work(order, length.__getitem__, write, lambda some: len(some) <= most):
        for index, row in zip(batch, rows, strict=True):
            found[index] = row
    return found


class WrittenTogether:
    """Prompts that are continued together. ``rows`` are the numbers of those that have not ended."""

    def __init__(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        limits: Sequence[int],
        ends: Sequence[int],
        pad: int,
        tell: Tell,
    ) -> None:
        self.model, self.ends, self.pad, self.tell = model, list(ends), pad, tell
        self.limits = list(limits)
        self.made: list[list[int]] = [[] for _ in prompts]
        self.rows = [number for number, limit in enumerate(limits) if limit]
        ids, gaps = left_padded(prompts, pad)
        mask = [[0] * gap + [1] * len(prompt) for gap, prompt in zip(gaps, prompts, strict=True)]
        self.ids = torch.tensor(ids, device=model.device)[self.rows]
        self.mask = torch.tensor(mask, device=model.device)[self.rows]
        self.cache: Any = None
        self.shrinks = shrinks(model)
        self.told = 0

    def written(self) -> list[list[int]]:
        """What was made of each prompt."""
        steps = 0
        try:
            while self.rows:
                steps += self._go_on(min(self.limits[row] for row in self.rows) - steps, steps)
        except torch.OutOfMemoryError:
            self.tell(-self.told, -(len(self.made) - len(self.rows)))
            self.cache = None
            raise
        return self.made

    @torch.inference_mode()
    def _go_on(self, most: int, steps: int) -> int:
        """Up to ``most`` tokens more for all rows, after ``steps``; how many it were."""
        ends = torch.tensor(self.ends, device=self.ids.device)
        criteria = StoppingCriteriaList([Enough(ends, self.shrinks, self._one_more)])
        out = self.model.generate(
            self.ids,
            attention_mask=self.mask,
            max_new_tokens=most,
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            eos_token_id=self.ends,
            pad_token_id=self.pad,
            return_dict_in_generate=True,
            stopping_criteria=criteria,
            **({"cache": self.cache} if self.cache is not None else {}),
        )
        new = out.sequences[:, self.ids.shape[1] :]
        kept = self._take(new.tolist(), steps + new.shape[1])
        if kept:
            self._keep(kept, out)
        return int(new.shape[1])

    def _take(self, new: Sequence[Sequence[int]], steps: int) -> list[int]:
        """Note what each row has become; the places of those that go on."""
        kept, going = [], []
        for place, (row, tokens) in enumerate(zip(self.rows, new, strict=True)):
            written = through_end(tokens, self.ends)
            self.made[row] += written
            if written[-1] not in self.ends and steps < self.limits[row]:
                kept.append(place)
                going.append(row)
        ended, self.rows = len(self.rows) - len(going), going
        done = sum(self.limits) - sum(self.limits[row] - steps for row in going)
        self._tell(done - self.told, ended)
        return kept

    def _keep(self, places: Sequence[int], out: Any) -> None:
        chosen = torch.tensor(places, device=self.ids.device)
        cache = out.cache
        self.shrinks = self.shrinks and gives_up_rows(cache)
        if self.shrinks:
            cache.reorder_cache(chosen)
        elif len(places) < len(self.ids):
            print(f"all rows go on to their end: {type(cache).__name__} gives none up", flush=True)
            cache = None  # the others are read anew
        self.cache = cache
        self.ids = out.sequences[chosen]
        ones = self.mask.new_ones(len(self.mask), out.sequences.shape[1] - self.mask.shape[1])
        self.mask = torch.cat([self.mask, ones], 1)[chosen]

    def _one_more(self) -> None:
        self._tell(len(self.rows))

    def _tell(self, more: int, ended: int = 0) -> None:
        self.told += more
        self.tell(more, ended)


class Enough(StoppingCriteria):
    """Stops a batch in which enough rows have ended; ``step`` is called for each token of all rows."""

    def __init__(self, ends: Tensor, shrinks: bool, step: Callable[[], object]) -> None:
        self.ends, self.shrinks, self.step = ends, shrinks, step
        self.ended: Tensor | None = None

    def __call__(self, input_ids: Tensor, *_: object, **__: object) -> Tensor:
        self.step()
        now = torch.isin(input_ids[:, -1], self.ends)
        self.ended = now if self.ended is None else self.ended | now
        if not self.shrinks:
            return torch.zeros_like(self.ended)
        return (self.ended.sum() >= ENDED * len(self.ended)).expand(len(self.ended)) & self.ended.any()


def shrinks(model: Any) -> bool:
    """Whether a model has a cache that rows can be taken out of and that grows: one of a fixed size would be
    made for the first of several limits."""
    fixed = model.generation_config.cache_implementation not in (None, "dynamic", "dynamic_full")
    stateful = getattr(model, "_is_stateful", False)
    return not fixed and not stateful and bool(model._supports_default_dynamic_cache())


def gives_up_rows(cache: Any) -> bool:
    """Whether rows can be taken out of this cache, as beam search does."""
    layers = getattr(cache, "layers", None)
    return layers is not None and all(hasattr(layer, "reorder_cache") for layer in layers)

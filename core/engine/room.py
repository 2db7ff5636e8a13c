"""How much of a model's work fits at once: batches by tokens, made smaller where memory runs out."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import psutil
import torch

Found = TypeVar("Found")
# Tokens that a GPU reads at a time: more gain nothing but padding.
GPU_READS = 65536
# A processor is busy with some dozens of rows; more of them only make it silent for longer. Tokens times
# weights at a time, some seconds of two cores', and the fewest tokens that make up for reading the weights.
PROCESSOR_WORK, LEAST = 1e12, 1024
# Bytes of logits at a time on a processor, and the share of a GPU's free memory that they may take.
LOGITS, LOGITS_SHARE = 256_000_000, 0.25
# Share of free memory that caches and a prompt's numbers on their way may take.
WRITING_SHARE = 0.5


class AtOnce:
    """Batches of what is sorted by length, each padded to its longest; a batch that memory is too small for
    is halved, and all that follow are no larger."""

    def __init__(self, model: Any, most: int | None = None) -> None:
        self.model = model
        self.most = most or (busy(model) if model.device.type == "cpu" else GPU_READS)

    def work(
        self,
        order: Sequence[int],
        length: Callable[[int], int],
        do: Callable[[list[int]], Found],
        fits: Callable[[Sequence[int]], bool] = lambda _: True,
    ) -> Iterator[tuple[list[int], Found]]:
        """Every index of ``order``, which rises by ``length`` in tokens, batch after batch: the indices and
        what ``do`` made of them. Raises torch.OutOfMemoryError where one alone is too much."""
        left = list(order)
        while left:
            batch = self._next(left, length, fits)
            try:
                found = do(batch)
            except torch.OutOfMemoryError:
                if len(batch) == 1:
                    raise
                self.most = max(1, len(batch) // 2 * length(batch[-1]))
                found = None
            if found is None:  # outside the except: what failed still holds its memory there
                free_memory(self.model)
                continue
            left = left[len(batch) :]
            yield batch, found

    def _next(
        self, left: Sequence[int], length: Callable[[int], int], fits: Callable[[Sequence[int]], bool]
    ) -> list[int]:
        batch = [left[0]]
        for index in left[1:]:
            more = [*batch, index]
            if len(more) * length(index) > self.most or not fits(more):
                break
            batch = more
        return batch


def busy(model: Any) -> int:
    """Tokens at a time that keep a processor busy."""
    return max(LEAST, int(PROCESSOR_WORK / model.num_parameters()))


def free_memory(model: Any) -> int | None:
    """Bytes that a GPU has free, what torch holds and does not use among them; None of a processor."""
    if model.device.type != "cuda":
        return None
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(model.device)
    return int(free)


def room_for_logits(model: Any) -> int:
    """Places whose logits fit at once, three copies of float32 counted."""
    free = free_memory(model)
    size = LOGITS if free is None else int(free * LOGITS_SHARE)
    vocabulary: int = model.config.get_text_config().vocab_size
    return max(1, size // (12 * vocabulary))


def room_for_writing(model: Any) -> int:
    """Tokens of prompts and answers together that fit at once: the keys and values of all layers, twice while
    they grow, and one layer's numbers."""
    free = free_memory(model)
    # As written: where layers differ (Gemma 4), transformers 5 refuses to tell one number for all.
    config, size = model.config.get_text_config().to_dict(), int(model.dtype.itemsize)
    heads, width = config["num_attention_heads"], config["hidden_size"]
    head = config.get("head_dim") or width // heads
    kept = 4 * config["num_hidden_layers"] * (config.get("num_key_value_heads") or heads) * head
    passing = 8 * width + 4 * (config.get("intermediate_size") or 4 * width)
    memory: int = psutil.virtual_memory().available if free is None else free
    fit = max(1, int(memory * WRITING_SHARE / (size * (kept + passing))))
    return fit if free is not None else min(fit, busy(model))

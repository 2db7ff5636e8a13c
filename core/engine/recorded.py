"""Many prompts continued greedily on a GPU, every token of all rows by one recorded CUDA graph.

A step of a small model is hundreds of kernels, which Python starts slower than a GPU computes them: on an
H200 a step of 135 million weights took 30 ms by ``generate``. Recorded once and played back, it takes what
its kernels take. The cache has one size from the beginning, and rows that have ended stay in it.

What ``generate`` would do besides choosing the likeliest token, but for a penalty on what was said before
(the Qwen models' own settings have one), is not done here: such a model is left to it (:func:`why_not`).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import StaticCache
from transformers.cache_utils import StaticLayer

from core.engine.token_rows import left_padded, through_end

# Fewer tokens are not worth a recording.
WORTH_RECORDING = 12
# Steps between two looks at which rows have ended: a look waits for the GPU.
STEPS_PER_LOOK = 8
# Of a model's generation settings: what changes which token is the likeliest, and its value without effect.
WITHOUT_EFFECT: dict[str, tuple[Any, ...]] = {
    "num_beams": (None, 1),
    "no_repeat_ngram_size": (None, 0),
    "encoder_no_repeat_ngram_size": (None, 0),
    "encoder_repetition_penalty": (None, 1.0),
    "min_length": (None, 0),
    "min_new_tokens": (None, 0),
    "guidance_scale": (None, 1.0),
    **dict.fromkeys(
        (
            *("bad_words_ids", "suppress_tokens", "begin_suppress_tokens", "forced_bos_token_id"),
            *("forced_eos_token_id", "exponential_decay_length_penalty", "sequence_bias"),
            *("watermarking_config", "prompt_lookup_num_tokens"),
        ),
        (None,),
    ),
    **dict.fromkeys(("renormalize_logits", "remove_invalid_values"), (None, False)),
}
Tell = Callable[[int, int], object]


def why_not(model: Any) -> str:
    """Why a model's answers are not written by recorded steps; empty where they are."""
    if model.device.type != "cuda":
        return "no GPU"
    return why_unknown(model)


def why_unknown(model: Any) -> str:
    """What of a model or of its settings :class:`InSteps` does not know; empty where it knows all."""
    settings = model.generation_config
    if odd := [name for name, none in WITHOUT_EFFECT.items() if getattr(settings, name, None) not in none]:
        return ", ".join(odd)
    if settings.cache_implementation not in (None, "dynamic", "dynamic_full", "static"):
        return f"a cache of its own ({settings.cache_implementation})"
    if getattr(model, "_is_stateful", False) or not getattr(model, "_can_compile_fullgraph", False):
        return f"{type(model).__name__} keeps no cache of one size"
    layers = StaticCache(model.config.get_text_config(), 1).layers
    # A subclass keeps a window, or a state instead of keys and values.
    return "" if all(type(layer) is StaticLayer for layer in layers) else "layers of several kinds"


class CannotRecord(RuntimeError):
    """A model's step is nothing that a CUDA graph can hold: it waits for the GPU, say."""


class InSteps:
    """Prompts that are continued together up to the first of ``ends``, it among them, or to their limits.

    ``record``: play the step back as a CUDA graph. ``tell`` hears how many more of the tokens that the limits
    allow need not be waited for, and how many more prompts have ended.
    """

    def __init__(
        self,
        model: Any,
        prompts: Sequence[Sequence[int]],
        limits: Sequence[int],
        ends: Sequence[int],
        pad: int,
        tell: Tell = lambda *_: None,
        record: bool = True,
    ) -> None:
        self.model, self.limits, self.tell = model, list(limits), tell
        self.steps = max(limits)
        self.record = record and self.steps >= WORTH_RECORDING
        rows, gaps = left_padded(prompts, pad)
        device, longest = model.device, len(rows[0])
        self.prompts = torch.tensor(rows, device=device)
        # What is still to be written is masked by being later, not here.
        places = torch.arange(longest + self.steps, device=device)
        self.mask = (places >= torch.tensor(gaps, device=device)[:, None]).long()
        self.positions = torch.tensor([[longest - gap] for gap in gaps], device=device)
        self.cache = StaticCache(model.config.get_text_config(), longest + self.steps)
        self.ends, self.pad = torch.tensor(list(ends), device=device), pad
        self.left = torch.tensor(list(limits), device=device)
        self.ended = self.left <= 0
        self.token = torch.full((len(rows), 1), pad, device=device)
        self.made = torch.full((len(rows), self.steps + 1), pad, device=device)
        self.step = torch.zeros(1, dtype=torch.long, device=device)
        self.penalty = model.generation_config.repetition_penalty or 1.0
        self.said: Tensor | None = None
        self.told = self.told_ended = 0

    def written(self) -> list[list[int]]:
        """What was made of each prompt. Raises CannotRecord and torch.OutOfMemoryError, and takes back then
        what it told."""
        try:
            self._write()
        except RuntimeError:
            self.tell(-self.told, -self.told_ended)
            raise
        return self._rows()

    @torch.inference_mode()
    def _write(self) -> None:
        positions = (self.mask[:, : self.prompts.shape[1]].cumsum(1) - 1).clamp(min=0)
        self._choose(self._logits(self.prompts, positions))
        play: Callable[[], object] = self._one_more
        for done in range(1, self.steps):
            if done == 2 and self.record:  # after one step whose workspaces are made
                play = self._recorded()
            if done % STEPS_PER_LOOK == 0 and self._look(done):
                break
            play()
        self._look(self.steps)

    def _logits(self, ids: Tensor, positions: Tensor) -> Tensor:
        out = self.model(
            input_ids=ids,
            attention_mask=self.mask,
            position_ids=positions,
            cache=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: Tensor = out.logits[:, -1]
        return logits

    def _one_more(self) -> None:
        logits = self._logits(self.token, self.positions)
        self.positions.add_(1)
        self._choose(logits)

    def _choose(self, logits: Tensor) -> None:
        """Everything is changed where it stands: a recording knows tensors by their place."""
        scores = self._punished(logits.float()) if self.penalty != 1.0 else logits
        chosen = torch.where(self.ended, self.pad, scores.argmax(-1))
        self.made.index_copy_(1, self.step, chosen[:, None])
        self.step.add_(1)
        self.left.sub_(1)
        self.ended.logical_or_((chosen[:, None] == self.ends).any(1)).logical_or_(self.left <= 0)
        self.token.copy_(chosen[:, None])

    def _punished(self, scores: Tensor) -> Tensor:
        """What stands in a row already is less likely, by the model's own setting."""
        if self.said is None:
            # What fills a row up is no part of it: it counts in a column that no token has.
            size, prompts = scores.shape[1], self.prompts
            shown = torch.where(self.mask[:, : prompts.shape[1]].bool(), prompts, size)
            self.said = torch.zeros(len(scores), size + 1, dtype=torch.bool, device=scores.device)
            self.said.scatter_(1, shown, value=True)
        else:
            self.said.scatter_(1, self.token, value=True)
        punished = torch.where(scores < 0, scores * self.penalty, scores / self.penalty)
        return torch.where(self.said[:, :-1], punished, scores)

    def _recorded(self) -> Callable[[], object]:
        """The next step, recorded: recording computes nothing."""
        try:
            stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.graph(graph, stream=stream):
                self._one_more()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise CannotRecord(str(error).strip().partition("\n")[0]) from error
        play: Callable[[], object] = graph.replay
        return play

    def _look(self, steps: int) -> bool:
        """Whether all rows have ended, after so many steps; tells how far they are."""
        ended = self.ended.tolist()
        open_rows = [limit for limit, over in zip(self.limits, ended, strict=True) if not over]
        done = sum(self.limits) - sum(max(0, limit - steps) for limit in open_rows)
        self.tell(done - self.told, sum(ended) - self.told_ended)
        self.told, self.told_ended = done, sum(ended)
        return not open_rows

    def _rows(self) -> list[list[int]]:
        ends = set(self.ends.tolist())
        made = zip(self.made.tolist(), self.limits, strict=True)
        return [through_end(row[:limit], ends) for row, limit in made]

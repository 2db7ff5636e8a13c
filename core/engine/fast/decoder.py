"""The loss of a batch through the fast layers."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from core.engine.distillation import replay_loss
from core.engine.fast import layers
from core.engine.fast.attention import kernels as attention_kernels
from core.engine.fast.batches import Batch
from core.engine.fast.layers import Kernels, Layer, Positions
from core.engine.fast.loss import IGNORED, mean_loss
from core.engine.fast.offload import HostStore
from core.engine.fast.settings import Acceleration

LayerCall = Callable[[Layer, Tensor, Positions], Tensor]
# By the kind of layer, of a model that rotates positions in several ways; else one.
Places = dict[str, Positions]


class Decoder:
    """A causal language model with LoRA, computed layer by layer.

    ``distill``: replayed rows keep to the base model (``core.engine.distillation``); ``stack``: its layers,
    where they are not read from the model.
    """

    def __init__(
        self, model: Any, settings: Acceleration, distill: bool = False, stack: list[Layer] | None = None
    ) -> None:
        self.model = model
        self.settings = settings
        self.distill = distill
        self.layers = stack or layers.read_layers(model)
        self._in_torch = layers.IN_TORCH if stack else layers.kernels_of(model)
        # What is compiled holds its attention's kernels, and torch 2.13's caches do not look at those.
        torch.compiler.config.cache_key_tag = f"attention by {settings.attention}"
        self._first = next((n for n, layer in enumerate(self.layers) if _has_lora(layer)), 0)

    def loss(self, batch: Batch) -> Tensor:
        """The mean over the answers' tokens, in float32."""
        if not self.can_be_recorded(batch):
            return self._distilled(batch)
        hidden = self._upper(*self._lower(batch), self.layers)
        weight = self.model.get_output_embeddings().weight
        said = () if batch.likeliest is None or batch.logs is None else (batch.likeliest, batch.logs)
        return mean_loss(hidden, weight.detach(), batch.labels, self.settings.compile != "none", said)

    def can_be_recorded(self, batch: Batch) -> bool:
        """Whether no number is chosen on the way, as by whether the base agrees with a row."""
        return not self.distill or batch.likeliest is not None

    def _distilled(self, batch: Batch) -> Tensor:
        answers = batch.labels != IGNORED
        head = self.model.get_output_embeddings()
        x, places = self._lower(batch)
        logits = head(self._upper(x, places, self.layers)[answers]).float()
        with torch.no_grad():
            base = head(self._upper(x, places, self._base)[answers]).float()
        return replay_loss(logits, base, batch.labels[answers], batch.row_of_tokens()[answers])

    @cached_property
    def _base(self) -> list[Layer]:
        return [layer.plain() for layer in self.layers]

    def _lower(self, batch: Batch) -> tuple[Tensor, Places]:
        """(tokens, hidden) after the layers below the first with LoRA, which never change."""
        with torch.no_grad():
            x = self.model.model.embed_tokens(batch.ids)
            places = {kind: self._place(x, batch, kind) for kind in {layer.kind for layer in self.layers}}
            _for_any_length(x, places)
            with attention_kernels(self.settings.attention):
                for layer in self.layers[: self._first]:
                    x = self._calls[0](layer, x, places[layer.kind])
        return x, places

    def _place(self, x: Tensor, batch: Batch, kind: str) -> Positions:
        several = {"layer_type": kind} if kind else {}
        cosine, sine = self.model.model.rotary_emb(x[None], batch.positions[None], **several)
        return Positions(cosine[0], sine[0], batch.rows, batch.ends, batch.longest)

    def _upper(self, x: Tensor, places: Places, stack: list[Layer]) -> Tensor:
        """(tokens, hidden) after the last norm; ``stack`` is ``layers``, or those without LoRA."""
        x = x.detach().requires_grad_(torch.is_grad_enabled())
        _for_any_length(x, places)
        with attention_kernels(self.settings.attention):
            for number in range(self._first, len(stack)):
                layer, again = stack[number], number < self.settings.checkpointed_layers
                with self._keeping(number, x):
                    x = self._calls[again](layer, x, places[layer.kind])
        return self.kernels.norm(x, self.model.model.norm.weight, self.layers[0].epsilon)

    def _keeping(self, number: int, x: Tensor) -> AbstractContextManager[None]:
        """Where the input of a layer waits until it is computed again."""
        waiting = min(self.settings.checkpointed_layers, len(self.layers) - 1)
        if not (self.settings.offload and x.is_cuda and self._first <= number < waiting):
            return nullcontext()
        return self._store.of(number, x)

    @cached_property
    def _store(self) -> HostStore:
        return HostStore()

    @cached_property
    def kernels(self) -> Kernels:
        if self.settings.compile != "kernels":
            return self._in_torch
        return Kernels(*(torch.compile(kernel, dynamic=True) for kernel in self._in_torch))

    @cached_property
    def _calls(self) -> tuple[LayerCall, LayerCall]:
        """A layer that is kept, and one that is computed again."""
        kept = partial(_kept, self.kernels)
        again = partial(_again, self.kernels)
        if self.settings.compile != "layers":
            return kept, again
        return torch.compile(kept), torch.compile(again)


def _for_any_length(x: Tensor, places: Places) -> None:
    """Lines are of many lengths: compiled once for all of them."""
    for place in places.values():
        if place.ends is not None:
            for tensor in (x, place.cosine, place.sine, place.ends):
                torch._dynamo.maybe_mark_dynamic(tensor, 0)


def _kept(kernels: Kernels, layer: Layer, x: Tensor, place: Positions) -> Tensor:
    return layers.forward(layer, x, place, kernels, False)


def _again(kernels: Kernels, layer: Layer, x: Tensor, place: Positions) -> Tensor:
    """Only its input is kept. Random numbers are drawn again where there are any (dropout)."""
    dropped = any(part.dropout for part in (layer.qkv, layer.out, layer.gate_up, layer.down))
    computed: Tensor = checkpoint(
        layers.forward, layer, x, place, kernels, True, use_reentrant=False, preserve_rng_state=bool(dropped)
    )
    return computed


def _has_lora(layer: Layer) -> bool:
    return any(part.adapted for part in (layer.qkv, layer.out, layer.gate_up, layer.down))

"""The inputs of layers that are computed again wait in the host's memory while the GPU is busy with others."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks


class HostStore:
    """Pinned copies by the layer's number. The last layer's input is needed at once and stays."""

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()
        self._copies: dict[int, Tensor] = {}
        self._leaving: deque[tuple[Tensor, torch.cuda.Event]] = deque()
        self._fetched: dict[int, tuple[Tensor, torch.cuda.Event]] = {}

    @contextmanager
    def of(self, number: int, x: Tensor) -> Iterator[None]:
        """What autograd keeps inside goes to the host if it is ``x``."""
        # By its place alone: autograd keeps the hook, and with it whatever the hook refers to.
        place, shape = x.data_ptr(), x.shape

        def pack(kept: Tensor) -> Tensor | int:
            if kept.data_ptr() != place or kept.shape != shape:
                return kept
            self._send(number, kept)
            return number

        def unpack(kept: Any) -> Tensor:
            return self._receive(kept) if isinstance(kept, int) else kept

        del x
        with saved_tensors_hooks(pack, unpack):
            yield

    def _send(self, number: int, x: Tensor) -> None:
        copy = self._copies.get(number)
        if copy is None or copy.shape != x.shape:
            copy = self._copies[number] = torch.empty(x.shape, dtype=x.dtype, pin_memory=True)
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            copy.copy_(x, non_blocking=True)
            left = torch.cuda.Event()
            left.record()
        self._leaving.append((x.detach(), left))
        self._let_go(1)

    def _let_go(self, still: int) -> None:
        """Memory is given back in the order of the GPU's own work. ``record_stream`` gives it back when the
        copy was seen to be done, and the processor is a whole forward pass ahead of that."""
        while len(self._leaving) > still:
            _, left = self._leaving.popleft()
            torch.cuda.current_stream().wait_event(left)

    def _receive(self, number: int) -> Tensor:
        """The layer before is fetched meanwhile: the backward pass goes from the last to the first."""
        self._let_go(0)
        if number not in self._fetched:
            self._fetch(number)
        x, arrived = self._fetched.pop(number)
        if number - 1 in self._copies:
            self._fetch(number - 1)
        torch.cuda.current_stream().wait_event(arrived)
        return x

    def _fetch(self, number: int) -> None:
        copy = self._copies[number]
        x = torch.empty(copy.shape, dtype=copy.dtype, device="cuda")
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            x.copy_(copy, non_blocking=True)
            arrived = torch.cuda.Event()
            arrived.record()
        self._fetched[number] = (x, arrived)

"""One training step of the fast path: nothing in it waits for the GPU but the step before the last.

A shape that keeps coming back is recorded as a CUDA graph (forward and backward) and played back: without it
a step of 1,024 tokens of a 7B model waited for Python two thirds of its time.
"""

from collections import deque
from typing import Any

import torch
from torch import Tensor

from core.engine.fast.batches import Batch
from core.engine.fast.decoder import Decoder
from core.engine.fast.gradients import Gradients

# Played back only after it was computed so often: compiled, tuned, its workspaces made; what is not compiled
# after it was computed once.
BEFORE_RECORDING = {"none": 1, "kernels": 3, "layers": 3}
MOST_GRAPHS = 24
# Steps that the processor may be ahead of the GPU. The logged times stay true, and the GPU never waits.
AHEAD = 2


class Graph:
    """A recorded forward and backward of one shape; its inputs stand still in memory."""

    def __init__(self, decoder: Decoder, batch: Batch, share: Tensor, pool: Any, mode: str) -> None:
        batch = batch.each(Tensor.clone)
        self._inputs = batch.tensors
        self._graph = torch.cuda.CUDAGraph()
        # Beside NCCL's watchdog, a thread that asks CUDA how its work goes, only this thread is recorded.
        with torch.cuda.graph(
            self._graph, pool=pool, stream=torch.cuda.current_stream(), capture_error_mode=mode
        ):
            self._loss = decoder.loss(batch)
            (self._loss * share).backward()

    def play(self, batch: Batch) -> Tensor:
        """The loss of ``batch``; the gradients are added to where they stood when this was recorded."""
        for still, new in zip(self._inputs, batch.tensors, strict=True):
            still.copy_(new)
        self._graph.replay()
        return self._loss.clone()


class Step:
    """Losses and gradients of batches; the gradients add up in ``.grad`` until :meth:`forget`, and are the
    mean of all processes' after :meth:`gather`."""

    def __init__(self, decoder: Decoder, parameters: list[torch.nn.Parameter]) -> None:
        self._decoder = decoder
        self._before = BEFORE_RECORDING[decoder.settings.compile]
        self._gradients = Gradients(parameters)
        self._seen: dict[Any, int] = {}
        self._graphs: dict[Any, Graph] = {}
        self._pool: Any = None
        self._running: deque[torch.cuda.Event] = deque()
        self._device = parameters[0].device
        self._share = torch.ones((), device=self._device)

    def forget(self) -> None:
        """The gradients are nothing; where they stand in memory does not change."""
        self._gradients.forget()

    def gather(self) -> None:
        """Before an update, in all processes: outside of what is recorded, for that is also played back where
        gradients only add up."""
        self._gradients.add_up()

    def run(self, batch: Batch, share: float) -> Tensor:
        """The batch's loss; ``share`` of its gradient is added, of each of several processes its part."""
        batch, share = batch.each(self._moved), share / self._gradients.ranks
        if self._device.type != "cuda":
            return self._computed(batch, self._share * share)
        self._share.fill_(share)
        graph = self._graph_of(batch)
        loss = graph.play(batch) if graph else self._computed(batch, self._share)
        self._pace()
        return loss

    def _computed(self, batch: Batch, share: Tensor) -> Tensor:
        loss = self._decoder.loss(batch)
        (loss * share).backward()
        return loss.detach()

    def _moved(self, tensor: Tensor) -> Tensor:
        if self._device.type != "cuda":
            return tensor
        return tensor.pin_memory().to(self._device, non_blocking=True)

    def _graph_of(self, batch: Batch) -> Graph | None:
        if not (self._decoder.settings.cuda_graph and self._decoder.can_be_recorded(batch)):
            return None
        shape = tuple(field.shape if isinstance(field, Tensor) else field for field in batch)
        self._seen[shape] = self._seen.get(shape, 0) + 1
        known = self._graphs.get(shape)
        if known or self._seen[shape] <= self._before or len(self._graphs) >= MOST_GRAPHS:
            return known
        if not self._graphs:
            # What was computed so far is handed back: the graphs have their own memory.
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            self._pool = torch.cuda.graph_pool_handle()
        mode = "thread_local" if self._gradients.ranks > 1 else "global"
        self._graphs[shape] = Graph(self._decoder, batch, self._share, self._pool, mode)
        return self._graphs[shape]

    def _pace(self) -> None:
        done = torch.cuda.Event()
        done.record()
        self._running.append(done)
        if len(self._running) > AHEAD:
            self._running.popleft().synchronize()

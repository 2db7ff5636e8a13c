"""A training that goes on draws the random numbers that it would have drawn: dropout drops the same.

A checkpoint of mmengine 0.10.7 has weights, optimizer and schedule, and the order of the rows follows from
the seed; the random state is not saved. Here every checkpoint of one process has it; of several processes,
which would have one state each, none has. What the model is asked between two steps draws from a state of its
own: a question that a stop breaks off, or that somebody asks less often, changes nothing that is learned.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_world_size
from mmengine.hooks import Hook

# In a checkpoint: the state of every generator, as tensors and numbers alone.
RANDOM_STATE = "random_state"
State = dict[str, Any]


class KeepRandomState(Hook):
    """Into each checkpoint, and out of the one that a training goes on from."""

    def __init__(self) -> None:
        self._loaded: State | None = None

    def before_save_checkpoint(self, _: Any, checkpoint: dict[str, Any]) -> None:
        if get_world_size() == 1:
            checkpoint[RANDOM_STATE] = random_state()

    def after_load_checkpoint(self, _: Any, checkpoint: dict[str, Any]) -> None:
        self._loaded = checkpoint.pop(RANDOM_STATE, None)

    def before_train(self, runner: Any) -> None:
        """Of a checkpoint that an earlier version wrote nothing is restored."""
        if self._loaded is not None and get_world_size() == 1:
            loop, state = runner.train_loop, self._loaded
            if hasattr(loop, "dataloader_iterator"):
                loop.dataloader_iterator = _Advanced(loop.dataloader_iterator, runner.iter, state)
            else:  # mmengine's loop by epochs, of a config written by hand: it begins with an epoch
                restore(state)
        self._loaded = None


class _Advanced:
    """A loader's rows, of which mmengine takes those before the checkpoint once more; then the state is what
    it was there, before the next rows: a new epoch draws from it too."""

    def __init__(self, rows: Iterator[Any], passed: int, state: State) -> None:
        self._rows, self._left, self._state = rows, passed, state

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rows, name)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._left == 0:
            restore(self._state)
        self._left -= 1
        return next(self._rows)


def random_state() -> State:
    """The state of Python's, numpy's and torch's generators, those of every GPU among them."""
    version, numbers, gauss = random.getstate()
    numpys: Any = np.random.get_state(legacy=False)
    key, position = torch.from_numpy(numpys["state"]["key"].astype(np.int64)), int(numpys["state"]["pos"])
    return {
        "python": [version, torch.tensor(numbers), gauss],
        "numpy": [key, position, int(numpys["has_gauss"]), float(numpys["gauss"])],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore(state: State) -> None:
    """Set the generators to what :func:`random_state` gave, on whichever device a checkpoint was loaded;
    those of GPUs that are there."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers.tolist()), gauss))
    key, position, has_gauss, cached = state["numpy"]
    np.random.set_state(("MT19937", key.cpu().numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"].cpu())
    for number, one in enumerate(state["cuda"][: torch.cuda.device_count()]):
        torch.cuda.set_rng_state(one.cpu(), number)


@contextmanager
def apart() -> Iterator[None]:
    """What is drawn in the block leaves the generators as they were."""
    before = random_state()
    try:
        yield
    finally:
        restore(before)

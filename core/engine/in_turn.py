"""Several processes take the rows that one would: in turn, a micro-batch each.

mmengine 0.10.7 deals out rows one by one, so that what stands together in one process is torn apart in two,
and a loss that is a mean over a micro-batch's tokens is another one. Here process r of W reads the
micro-batches r, r + W, r + 2W … of the order that one process has, over the ends of its epochs too: with the
accumulation W times as often, one process takes the same rows into each update.
"""

from collections.abc import Iterator
from copy import copy
from functools import lru_cache
from typing import Any

from mmengine.dist import get_dist_info


class InTurn:
    """This process's micro-batches, of as many as one would have in an epoch a W-th a pass, rounded up.

    ``sampler``: mmengine's ``DefaultSampler``, which has the order of an epoch's rows.
    """

    def __init__(self, sampler: Any, batch_size: int, drop_last: bool = False) -> None:
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last
        self.rank, self.ranks = get_dist_info()
        self._order = lru_cache(maxsize=2)(self._ordered)

    @property
    def _blocks(self) -> int:
        """Micro-batches of an epoch in one process; the last may be smaller."""
        rows: int = len(self.sampler.dataset)
        return -(-rows // self.batch_size)

    def __len__(self) -> int:
        return int(-(-self._blocks // self.ranks))

    def __iter__(self) -> Iterator[list[int]]:
        first = self.sampler.epoch * len(self)
        for number in range(first, first + len(self)):
            epoch, block = divmod(number * self.ranks + self.rank, self._blocks)
            yield self._order(epoch)[block * self.batch_size :][: self.batch_size]

    def _ordered(self, epoch: int) -> list[int]:
        """The rows of an epoch as one process takes them."""
        alone = copy(self.sampler)
        alone.rank, alone.world_size, alone.epoch = 0, 1, epoch
        alone.num_samples = alone.total_size = len(alone.dataset)
        return list(alone)


def take_rows_in_turn() -> None:
    """For the loaders that this process builds from here on, where their rows are ordered by mmengine's own
    sampler."""
    from mmengine.dataset import DefaultSampler
    from mmengine.registry import DATA_SAMPLERS
    from mmengine.runner import FlexibleRunner, Runner

    def in_turn(build: Any) -> Any:
        def build_dataloader(dataloader: Any, *positional: Any, **options: Any) -> Any:
            if isinstance(dataloader, dict) and _type_of(dataloader, DATA_SAMPLERS) is DefaultSampler:
                dataloader = {**dataloader, "batch_sampler": {"type": InTurn}}
            return build(dataloader, *positional, **options)

        return staticmethod(build_dataloader)

    for kind in (Runner, FlexibleRunner):
        kind.build_dataloader = in_turn(kind.build_dataloader)


def _type_of(dataloader: Any, samplers: Any) -> Any:
    """The sampler's class; None where another one makes the batches already."""
    sampler = dataloader.get("sampler")
    if dataloader.get("batch_sampler") or not isinstance(sampler, dict):
        return None
    kind = sampler.get("type")
    return samplers.get(kind) if isinstance(kind, str) else kind

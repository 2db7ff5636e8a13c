"""What a training gives back of the memory that it does not use."""

import psutil
import pytest
import torch

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def heap_with_holes() -> list[torch.Tensor]:
    """100 MB (1,000 tensors of 100 kB, which glibc has in its heap), of which every tenth is kept."""
    held = [torch.ones(25_000) for _ in range(1_000)]
    return held[::10]


def resident() -> int:
    return psutil.Process().memory_info().rss


def test_holes_in_the_heap_are_given_back_now_and_then() -> None:
    from core.engine.returned_memory import GiveBackMemory

    kept = heap_with_holes()
    before = resident()
    rarely = GiveBackMemory(every=1e9)
    for _ in range(3):
        rarely.after_train_iter(None)
    assert before - resident() < 20_000_000, "glibc keeps them, and it is not time yet"
    GiveBackMemory(every=0.0).after_train_iter(None)
    assert before - resident() > 50_000_000
    assert all((one == 1).all() for one in kept)


def test_where_nothing_can_be_given_back_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    from core.engine import returned_memory

    monkeypatch.setattr(returned_memory.ctypes, "CDLL", lambda _: object())
    assert returned_memory.malloc_trim() is None
    returned_memory.GiveBackMemory(every=0.0).after_train_iter(None)

"""The proof by itself: shares with their intervals, and what the answers come to."""

import pytest

from core.proof.score import Share


# As published: R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_an_interval_is_as_published(hits: int, n: int, low: float, high: float) -> None:
    share = Share(hits, n)
    assert (share.low, share.high) == pytest.approx((low, high), abs=5e-5)


def test_an_interval_holds_its_share_and_mirrors_its_opposite() -> None:
    for n in (1, 2, 7, 45, 500):
        for hits in range(n + 1):
            share, opposite = Share(hits, n), Share(n - hits, n)
            assert share.value is not None and 0 <= share.low <= share.value <= share.high <= 1
            assert share.low == pytest.approx(1 - opposite.high, abs=1e-12)
            assert Share(hits * 4, n * 4).high - Share(hits * 4, n * 4).low < share.high - share.low
    assert (Share(0, 9).low, Share(9, 9).high) == (0.0, 1.0)


def test_of_nothing_nothing_is_known() -> None:
    share = Share(0, 0)
    assert (share.value, share.low, share.high) == (None, 0.0, 1.0)

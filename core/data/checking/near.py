"""Rows that say what an earlier row says, exactly or nearly: MinHash signatures in bands (LSH)."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from core.data.checking.characters import PERMUTATIONS, Signatures

# Eight bands of eight bytes: of two rows that share 90 % of their shingles 99 % meet in a band, of those that
# share half of them 3 %; those are told by their whole signatures.
BAND = 8
# How alike two rows are to be called nearly the same; short questions about different things stay apart.
LEAST_ALIKE = 0.8
# Two bytes are equal by chance once in 256.
CHANCE = 1 / 256

Rows: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Alike:
    """``rows`` that say what the ``earlier`` ones of the same length say, all from 0; ``share``: how much of
    it, 1.0 for exactly the same."""

    rows: Rows
    earlier: Rows
    share: npt.NDArray[np.float64]


def alike(digests: npt.NDArray[np.uint64], signatures: Signatures) -> Alike:
    """Every row that repeats an earlier one, with the first that it repeats.

    ``digests``: a hash of what each row says; 0 for a row that says nothing.
    """
    _, first, inverse = np.unique(digests, return_index=True, return_inverse=True)
    earlier = first[inverse].astype(np.int64)
    said = digests != 0
    exact = said & (earlier != np.arange(len(digests)))
    share = np.where(exact, 1.0, 0.0)
    only = np.flatnonzero(said & ~exact)
    near, nearest, likeness = _near(signatures[only])
    earlier[only[near]] = only[nearest]
    share[only[near]] = likeness
    rows = np.flatnonzero(share > 0)
    return Alike(rows, earlier[rows], share[rows])


def _near(signatures: Signatures) -> tuple[Rows, Rows, npt.NDArray[np.float64]]:
    """Of rows that differ: those alike an earlier one, the most alike found, and how much."""
    best = np.zeros(len(signatures))
    nearest = np.zeros(len(signatures), np.int64)
    bands = np.ascontiguousarray(signatures).view(np.uint64).reshape(len(signatures), PERMUTATIONS // BAND)
    for band in bands.T:
        _, first, inverse = np.unique(band, return_index=True, return_inverse=True)
        partner = first[inverse]
        rows = np.flatnonzero(partner != np.arange(len(band)))
        likeness = _likeness(signatures, rows, partner[rows])
        better = likeness > best[rows]
        best[rows[better]], nearest[rows[better]] = likeness[better], partner[rows[better]]
    found = np.flatnonzero(best >= LEAST_ALIKE)
    return found, nearest[found], best[found]


def _likeness(signatures: Signatures, one: Rows, other: Rows) -> npt.NDArray[np.float64]:
    """How many shingles of two rows are the same, estimated; in pieces, for a million rows fill a memory."""
    shares = np.zeros(len(one))
    for start in range(0, len(one), 65536):
        piece = slice(start, start + 65536)
        shares[piece] = (signatures[one[piece]] == signatures[other[piece]]).mean(axis=1)
    return np.clip((shares - CHANCE) / (1 - CHANCE), 0.0, 0.999)

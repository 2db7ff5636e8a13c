"""Every sentence a person reads, looked up by key in ``locales/en.json`` and ``locales/zh.json``.

A sentence names its values as ``str.format`` does; ``{count|row|rows}`` writes the first word when
``count`` is one and the second otherwise: ``{count} {count|row|rows}`` is "1 row" and "2 rows".
"""

import json
import os
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Literal
from unicodedata import category, east_asian_width

Language = Literal["en", "zh"]
# A server speaks several languages at once: what is said below a page is said in that page's.
SPOKEN: ContextVar[Language | None] = ContextVar("spoken", default=None)
LOCALES = Path(__file__).resolve().parent.parent / "locales"
# What may stand between two words and is none of either: Markdown's marks in a sentence, and in a value those
# that a page has set before its own.
_MARKS, _MARKS_OF_VALUES = "*`", "*`_\\"


@cache
def sentences(language: Language) -> dict[str, str]:
    """All sentences of one language by key."""
    loaded: dict[str, str] = json.loads((LOCALES / f"{language}.json").read_text(encoding="utf-8"))
    return loaded


class _Values(dict[str, object]):
    """The values of a sentence, and the words that follow their number (``count|row|rows``)."""

    def __missing__(self, field: str) -> str:
        name, *forms = field.split("|")
        if len(forms) != 2 or name not in self:
            raise KeyError(field)
        return forms[str(self[name]) != "1"]


def say(key: str, language: Language | None = None, /, **values: object) -> str:
    """The sentence ``key`` with its values filled in, in ``language`` (by default the one of
    whoever asked: a page's, else the terminal's).

    Raises:
        KeyError: there is no such sentence, or one of its values is missing.
    """
    language = language or spoken_language()
    sentence = sentences(language)[key]
    return _set(sentence, values) if language == "zh" else sentence.format_map(_Values(values))


def _set(sentence: str, values: Mapping[str, object]) -> str:
    """A Chinese sentence with its values, which may be of any script: a blank stands between a Chinese letter
    and one of another script or a digit, outside of Markdown's marks, and nowhere else."""
    text, earlier = "", ""
    for literal, field in _parts(sentence):
        rest = literal.lstrip(_MARKS)
        text += literal[: len(literal) - len(rest)] + " " * _apart(earlier, rest) + rest
        earlier = "" if field is None else str(values[field])
        bare = text.rstrip(_MARKS)
        blank = " " * _apart(bare, earlier.lstrip(_MARKS_OF_VALUES))
        text = bare + blank + text[len(bare) :] + earlier
        earlier = earlier.rstrip(_MARKS_OF_VALUES)
    return text


@cache
def _parts(sentence: str) -> tuple[tuple[str, str | None], ...]:
    """A sentence's literal texts, each with the value that follows it."""
    return tuple((literal, field) for literal, field, *_ in Formatter().parse(sentence))


def _apart(left: str, right: str) -> bool:
    """Whether a blank belongs between the two by how they end and begin."""
    return {_script(left[-1:]), _script(right[:1])} == {"wide", "narrow"}


def _script(letter: str) -> str:
    """Of a letter, its mark, a digit or a percent sign which kind it is; of anything else nothing."""
    if not letter or (letter != "%" and category(letter)[0] not in "LMN"):
        return ""
    return "wide" if east_asian_width(letter) in "WF" else "narrow"


def language_named(code: str) -> str:
    """A language by its name, of those that models and rows are usually in; of others its code."""
    known = f"check.language.{code}" in sentences(spoken_language())
    return say(f"check.language.{code}") if known else code


def did_you_mean(given: str, known: Mapping[str, Iterable[str]]) -> str:
    """What somebody who wrote ``given`` may have meant of ``known``, each with other words it is known by: an
    addition in brackets to a sentence, empty where nothing comes near."""
    from difflib import get_close_matches  # half a second over 600 names, only after a slip

    words = {word.lower(): name for name, by in known.items() for word in (name, *by)}
    asked = given.lower()
    found = get_close_matches(asked, words, cutoff=0.75) or get_close_matches(asked, words, n=1)
    names = dict.fromkeys(words[word] for word in found)
    return say("near", names=say("row.list").join(names)) if names else ""


def percent(share: float) -> str:
    """A share in percent, to a tenth; what is not nothing is not written as 0, nor what is not all as 100."""
    tenths = round(1000 * share)
    if 0 < share < 1:
        tenths = min(999, max(1, tenths))
    return f"{tenths / 10:.1f}%"


def spoken_language() -> Language:
    """The language of whoever asked."""
    return SPOKEN.get() or terminal_language()


def terminal_language() -> Language:
    """``TUNEBOARD_LANG`` if set, else what the locale's environment variables ask for."""
    asked = next(
        (os.environ[v] for v in ("TUNEBOARD_LANG", "LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(v)), ""
    )
    return "zh" if asked.lower().startswith("zh") else "en"

"""How facts of a document are asked and answered: the shipped wordings, filled in as the document writes.

Beside the plain wordings, which name the fact as the document does, there are ``natural`` ones, as people ask
who have not read it: "When do you open?" for a line that begins with "Hours".
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from core.data.identity import IdentityLanguage
from core.workspace.paths import BANKS

_HAN = "\u3400-\u4dbf\u4e00-\u9fff"
_ALNUM = "A-Za-z0-9"
# Where a value begins or ends in a filled sentence.
_EDGE = "\ue000"
_SEAM = re.compile(rf"(?<=[{_HAN}]){_EDGE}+(?=[{_ALNUM}])|(?<=[{_ALNUM}]){_EDGE}+(?=[{_HAN}])")
# After a number or a word: before one a blank may be what parts a dish from its price.
_APART, _TIGHT = re.compile(rf"[{_ALNUM}] [{_HAN}]"), re.compile(rf"[{_ALNUM}][{_HAN}]")
_ANY_APART = re.compile(rf"[{_ALNUM}] [{_HAN}]|[{_HAN}] [{_ALNUM}]")
_ANY_TIGHT = re.compile(rf"[{_ALNUM}][{_HAN}]|[{_HAN}][{_ALNUM}]")


@dataclass(frozen=True)
class Wordings:
    """The wordings of one language; ``apart``: whether a blank stands between Chinese and a number or a Latin
    word where a value says neither by itself."""

    bank: dict[str, Any]
    apart: bool = True

    def __getitem__(self, kind: str) -> Any:
        return self.bank[kind]

    def filled(self, kind: str, **values: str) -> list[str]:
        """The plain questions of a kind."""
        return [self.fill(one, **values) for one in self.bank[kind]]

    def said(self, kind: str, **values: str) -> str:
        """The answer of a kind; a value that ends a sentence ends it."""
        return re.sub(r"([。.!?！？])[。.]$", r"\1", self.fill(self.bank[kind], **values))

    def natural(self, kind: str, about: str, answer: str, **values: str) -> list[str]:
        """What people ask for a fact of a kind, by what it is ``about``: the first topic that is named in it,
        ``of`` a key where the fact is one of several; and ``also`` what the topic's ``answer`` says as
        well (opening hours which day is closed)."""
        found = [*self.bank["natural"].get(kind, ())]
        topics = (one for one in self.bank["topics"] if re.search(one["about"], about, re.IGNORECASE))
        if topic := next(topics, None):
            found += topic.get("of" if kind == "cell" else "asked", ())
            also = topic.get("also", {}) if kind != "cell" else {}
            found += [
                one for said, asked in also.items() if re.search(said, answer, re.IGNORECASE) for one in asked
            ]
        return [self.fill(one, **values) for one in found]

    def fill(self, wording: str, **values: str) -> str:
        """A wording with its values. Between Chinese and a number or a Latin word it is written as the value
        itself does it, else as the document."""
        edged = {name: f"{_EDGE}{value}{_EDGE}" for name, value in values.items()}
        text = wording.format(**edged)
        blank = _blank("\n".join(values.values()), self.apart)
        return _SEAM.sub(blank, text).replace(_EDGE, "")


def _blank(values: str, apart: bool) -> str:
    loose, tight = len(_ANY_APART.findall(values)), len(_ANY_TIGHT.findall(values))
    return " " if loose > tight or (loose == tight and apart) else ""


@cache
def _banks() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((BANKS / "document_rows.json").read_text(encoding="utf-8"))
    return found


def wordings_for(text: str, language: IdentityLanguage) -> Wordings:
    """The wordings of a language, set as ``text`` is."""
    return Wordings(_banks()[language], len(_APART.findall(text)) >= len(_TIGHT.findall(text)))


def usual_title(language: IdentityLanguage) -> str:
    """What a document is called that nobody named."""
    return str(_banks()[language]["document"])


def in_turn(plain: Sequence[Sequence[str]], more: Sequence[Sequence[str]], most: int) -> list[list[str]]:
    """Of several facts the ``plain`` questions, and one after the other of ``more`` for each of them in turn
    as long as all are no more than ``most``."""
    asked = [list(one) for one in plain]
    left = most - sum(map(len, asked))
    for place in range(max(map(len, more), default=0)):
        for questions, added in zip(asked, more, strict=True):
            if place < len(added) and left > 0:
                questions.append(added[place])
                left -= 1
    return asked

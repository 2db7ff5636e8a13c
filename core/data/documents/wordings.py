"""How facts of a document are asked and answered: the shipped wordings, filled in as the document writes.

Beside the plain wordings, which name the fact as the document does, there are ``natural`` ones, as people ask
who have not read it: "When do you open?" for a line that begins with "Hours"; all of them in many manners,
with a greeting before them, thanks behind them, typed in a hurry. What the proof asks (``tested``) is of
another kind than all of these: it is in no training.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from core.data.documents.days import other_names
from core.data.identity import IdentityLanguage
from core.workspace.paths import BANKS

HAN = "\u3400-\u4dbf\u4e00-\u9fff"
_ALNUM = "A-Za-z0-9"
# Where a value begins or ends in a filled sentence.
_EDGE = "\ue000"
_SEAM = re.compile(rf"(?<=[{HAN}]){_EDGE}+(?=[{_ALNUM}])|(?<=[{_ALNUM}]){_EDGE}+(?=[{HAN}])")
# After a number or a word: before one a blank may be what parts a dish from its price.
_APART, _TIGHT = re.compile(rf"[{_ALNUM}] [{HAN}]"), re.compile(rf"[{_ALNUM}][{HAN}]")
_ANY_APART = re.compile(rf"[{_ALNUM}] [{HAN}]|[{HAN}] [{_ALNUM}]")
_ANY_TIGHT = re.compile(rf"[{_ALNUM}][{HAN}]|[{HAN}][{_ALNUM}]")

_MERE_TIME = re.compile(
    r"(?:\s|\d|[:：.~～–—,，、至到-]|点半?|[ap]\.?m\b\.?|\bto\b|\band\b|\bclosed\b|[上下]午|晚上?|早上?|休息|店休|不营业"
    r"|中午|午休|不休息?|无休|照常|全天|次日|最后(?:点单|下单|点餐|入场)|营业|[（）()]"
    r"|\b(?:closes?|opens?|until|from|at|only)\b|\blast orders?\b|\bkitchen\b|\blunch\b|\bbreak\b"
    r"|\ball day\b|\bmidnight\b|\bnoon\b)+",
    re.IGNORECASE,
)

# Says when something is open, and is no name of it.
_OPEN = re.compile(r"开放|营业|开门|opening|(?:we.?re )?open", re.IGNORECASE)
# From when to when, and behind it only what is left out.
_TIMES_AND_MORE = re.compile(
    r"(?:早上?|[上下]午)?\d[\d:：.点半]*\s?[-–—~～至到]\s?(?:晚上?|[上下]午|次日)?\d[\d:：.点半]*(?:pm|am)?"
    r"(?=[,，;；（(]|\s.*(?:不|休|停|除|closed|except|shut))",
    re.IGNORECASE,
)

# So often a fact's key is named by a part of it, and a question is typed without capitals.
SHORTENED, CARELESS = 0.25, 0.3
# So many wordings are of the other language.
FOREIGN = 3
# The first wordings of a topic are what most people ask: of every fact these are taught.
USUAL = 4
# So many wordings of the hours of days are asked by each name of theirs.
OF_DAYS = 3
# What ends a Chinese question ends it once.
PARTICLES = ("吗", "呢", "吧", "啊", "呀")
_PLEASE = re.compile(r"\b(?:please|thanks?)\b|[谢烦]", re.IGNORECASE)
_PLURAL = re.compile(r"[a-z](?<![sui])s$")
# What a name is of stands behind the word that says whether it is several: "warranty on repairs".
_OF = re.compile(r"\s(?:on|of|for|in|at|with|per|to|by|from)\s.*")
_OF_SEVERAL = re.compile(r"(?:Which|What) \{heading\} (?:are|do)")
ASIDE = re.compile(r"\s*[(（][^)）]*[)）]$")
# A longer key is no name; a shorter word says nothing by itself.
LONGEST_NAME, SHORTEST_WORD = 4, 4


@dataclass(frozen=True)
class Wordings:
    """The wordings of one language; ``abroad``: those of the other, in which a few questions are asked as
    well; ``apart``: whether a blank stands between Chinese and a number or a Latin word where a value says
    neither by itself."""

    bank: dict[str, Any]
    abroad: dict[str, Any]
    apart: bool = True

    def __getitem__(self, kind: str) -> Any:
        return self.bank[kind]

    def filled(self, kind: str, **values: str) -> list[str]:
        """The plain questions of a kind."""
        return self._fitting(self.bank[kind], values)

    def _fitting(self, wordings: Sequence[str], values: dict[str, str]) -> list[str]:
        """Wordings with their values, without those that want several of one ("Which Team are there?")."""
        one = not _is_several(values.get("heading", ""))
        return [self.fill(some, **values) for some in wordings if not (one and _OF_SEVERAL.match(some))]

    def said(self, kind: str, **values: str) -> str:
        """The answer of a kind; a value that ends a sentence ends it."""
        return re.sub(r"([。.!?！？])[。.]$", r"\1", self.fill(self.bank[kind], **values))

    def natural(self, kind: str, about: str, answer: str, **values: str) -> list[str]:
        """What people ask for a fact of a kind, by what it is ``about``: the first topic that is named in it,
        ``of`` a key where the fact is one of several; and ``also`` what the topic's ``answer`` says as
        well (opening hours which day is closed)."""
        topic = self._topic(about)
        usual = "known" if topic and kind == "value" else kind
        found = [*self.bank["natural"].get(usual, ())]
        if topic:
            also = topic.get("also", {}) if kind != "cell" else {}
            said = (asked for said, asked in also.items() if re.search(said, answer, re.IGNORECASE))
            plain = topic.get("of" if kind == "cell" else "asked", ())
            asked = [*plain[:2], *(one for some in said for one in some), *plain[2:]]
            found = [*asked[:USUAL], *_alternating(asked[USUAL:], found)]
        return self._fitting(found, values)

    def foreign(self, kind: str, about: str, **values: str) -> list[str]:
        """What somebody asks in the other language: for prices, by the name as it is written, and for what
        is a topic in both."""
        topic = self._topic_abroad(about)
        asked = topic.get("of" if kind == "cell" else "asked", ())
        found = self.abroad[kind] if kind == "price" else asked
        return [self.fill(one, **values) for one in found[:FOREIGN]]

    def tested_abroad(self, kind: str, about: str, place: int, **values: str) -> list[str]:
        """What a proof may ask in the other language, of the same facts; see :meth:`tested`."""
        prices = self.abroad["tested"]["price"]
        found = [prices[place % len(prices)]] if kind == "price" else []
        topic = self._topic_abroad(about) if kind != "cell" else {}
        return [self.fill(one, **values) for one in (*topic.get("tested", ()), *found)]

    def _topic_abroad(self, about: str) -> dict[str, Any]:
        """What a fact is about, in the other language; empty where it is no topic in both."""
        name = (self._topic(about) or {}).get("name")
        same = (one for one in self.abroad["topics"] if name and one.get("name") == name)
        return next(same, {})

    def tested(self, kind: str, about: str, place: int, **values: str) -> list[str]:
        """What a proof may ask for a fact of a kind, the best first; ``place``: which fact it is, so that not
        all are asked alike."""
        topic = self._topic(about) if kind != "cell" else None
        found = self.bank["tested"].get(kind, ())
        turned = [found[(place + step) % len(found)] for step in range(len(found))]
        return [self.fill(one, **values) for one in (*(topic or {}).get("tested", ()), *turned)]

    def hours_of(self, heading: str, value: str, within: bool = True) -> str:
        """What a line about a day says, which stands under a ``heading``: what the heading names, or when it
        is open, where that is all there is to its ``value``, and the heading is of something else; empty
        where that is the document's title and not a part ``within`` it."""
        if _OPEN.fullmatch(heading):
            return str(self.bank["hours"])
        if self.is_of_times(heading) and (within or not re.search(r"\s|\+", heading)):
            return heading
        if _MERE_TIME.fullmatch(value) or (not within and _TIMES_AND_MORE.match(value)):
            return str(self.bank["hours"])
        return heading if within else ""

    def of_days(self, key: str, about: str) -> list[str]:
        """What people ask for the hours of days, by the names that these days have."""
        wanted = (self._topic(about) or {}).get("of", ())
        together, singly = other_names(key, "zh" if self.bank is _banks()["zh"] else "en")
        found = [self.fill(one, key=name) for name in (key, *together) for one in wanted[:OF_DAYS]]
        return [*found, *(self.fill(one, key=day) for day in singly for one in wanted[:1])]

    def is_of_times(self, heading: str) -> bool:
        """Whether a heading is of what has times: opening hours, a course, a programme."""
        plain = re.search(self.bank["plain_heading"], heading, re.IGNORECASE)
        return plain is not None or self.is_of_hours(heading)

    def is_of_hours(self, about: str) -> bool:
        """Whether something is about when it is open."""
        return (self._topic(about) or {}).get("name") == "hours"

    def is_topic(self, about: str) -> bool:
        """Whether something is about what people ask for in a document: an address, payment, parking."""
        return self._topic(about) is not None

    def is_of_phones(self, about: str) -> bool:
        """Whether something is about telephone numbers, or about whom to ask."""
        return (self._topic(about) or {}).get("name") == "phone"

    def is_of_persons(self, about: str) -> bool:
        """Whether something is about who somebody is."""
        is_role = re.fullmatch(self.bank["roles"], about.strip(), re.IGNORECASE)
        return is_role is not None or (self._topic(about) or {}).get("name") == "owner"

    def are_persons(self, heading: str) -> bool:
        """Whether people stand under a heading."""
        return re.fullmatch(self.bank["persons"], heading.strip(" :："), re.IGNORECASE) is not None

    def _topic(self, about: str) -> dict[str, Any] | None:
        topics = (one for one in self.bank["topics"] if re.search(one["about"], about, re.IGNORECASE))
        return next(topics, None)

    def in_manners(self, questions: Sequence[str], key: str, short: Sequence[str]) -> Iterator[str]:
        """The ``questions`` as people put and type them, without an end and always the same: with what they
        say before and behind, without marks, and what is named by its ``key`` by a ``short`` name too."""
        chance = Random("\n".join(questions))  # nosec B311  # an order, not a secret
        while questions:
            for question in chance.sample(questions, len(questions)):
                text = question
                if key and short and chance.random() < SHORTENED:
                    text = text.replace(key, chance.choice(short))
                yield self._in_a_manner(text, key, chance)

    def _in_a_manner(self, question: str, key: str, chance: Random) -> str:
        text = question.rstrip("？?。.")
        manner = self.bank["manner"][self._manner_of(question, text)]
        opened, ended = chance.choice(((True, False), (False, True), (True, True)))
        end = question[len(text) :]
        if ended:
            more = [] if text.endswith(PARTICLES) else manner["open"]
            asks = more and re.search(self.bank["manner"]["open"], text, re.IGNORECASE)
            polite = _PLEASE.search(text) or text.endswith("呢")  # what is said once, or ends it
            endings = [*manner["endings"], *(more if asks else ())]
            end = chance.choice([one for one in endings if not (polite and _PLEASE.search(one))])
        if opened:
            opening = chance.choice(
                [one for one in manner["openings"] if not ("麻烦" in one and "麻烦" in end)]
            )
            begins = opening.endswith("! ") or (key and text.startswith(key))
            text = opening + (text if begins else _small(text))
        text += end
        return text.lower() if chance.random() < CARELESS else text

    def _manner_of(self, question: str, text: str) -> str:
        """How a question is put: as a ``request``, as a ``question``, as one that says already that it asks
        (``again``), or as bare words."""
        manner = self.bank["manner"]
        if re.search(manner["requests"], text, re.IGNORECASE):
            return "request"
        if not question.endswith(("?", "？")):
            return "bare"
        return "again" if re.search(manner["once"], text, re.IGNORECASE) else "question"

    def fill(self, wording: str, **values: str) -> str:
        """A wording with its values. Between Chinese and a number or a Latin word it is written as the value
        itself does it, else as the document. ``{be}``, ``{does}`` and ``{costs}`` are verbs of what is asked
        for."""
        several = _is_several(values.get("column") or values.get("key", ""))
        edged = {name: f"{_EDGE}{value}{_EDGE}" for name, value in values.items()}
        text = wording.format(
            **edged,
            be="are" if several else "is",
            does="do" if several else "does",
            costs="cost" if several else "costs",
        )
        blank = _blank("\n".join(values.values()), self.apart)
        return _SEAM.sub(blank, text).replace(_EDGE, "")


def _is_several(name: str) -> bool:
    return _PLURAL.search(_OF.sub("", ASIDE.sub("", name))) is not None


def _blank(values: str, apart: bool) -> str:
    loose, tight = len(_ANY_APART.findall(values)), len(_ANY_TIGHT.findall(values))
    return " " if loose > tight or (loose == tight and apart) else ""


@cache
def _banks() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((BANKS / "document_rows.json").read_text(encoding="utf-8"))
    return found


def wordings_for(text: str, language: IdentityLanguage) -> Wordings:
    """The wordings of a language, set as ``text`` is."""
    banks = _banks()
    (other,) = (one for name, one in banks.items() if name != language)
    return Wordings(banks[language], other, len(_APART.findall(text)) >= len(_TIGHT.findall(text)))


def usual_title(language: IdentityLanguage) -> str:
    """What a document is called that nobody named."""
    return str(_banks()[language]["document"])


def known_labels(language: IdentityLanguage) -> str:
    """A pattern of the words that topics of a language are known by; of Chinese those in its own script."""
    topics = (one for topic in _banks()[language]["topics"] for one in str(topic["about"]).split("|"))
    return "|".join(one for one in topics if language == "en" or re.search(f"[{HAN}]", one))


def short_names(key: str, keys: Sequence[str]) -> list[str]:
    """What people shorten a key to: its first or last words, or of four Chinese characters and more its first
    or last two, of an odd number its last three; nothing that another of the ``keys`` has in it as well."""
    words = key.split()
    if re.fullmatch(rf"[{HAN}]{{4,}}", key):
        found = [key[:2], key[-2:] if len(key) % 2 == 0 else key[-3:]]
    elif 1 < len(words) <= LONGEST_NAME:
        found = [one for one in (words[0], words[-1]) if len(one) >= SHORTEST_WORD and one.isalpha()]
    else:
        return []
    others = [other.lower() for other in keys if other != key]
    return [one for one in found if not any(one.lower() in other for other in others)]


def mixed(natural: Sequence[str], foreign: Sequence[str], spoken: Sequence[str]) -> list[str]:
    """The most usual of the ``natural`` wordings, and then another one or a ``foreign`` one and one of the
    ``spoken`` in turn, for each fact in its own order."""
    rest = [*natural[USUAL:], *foreign]
    chance = Random("\n".join((*natural, *foreign)))  # nosec B311  # an order, not a secret
    return [*natural[:USUAL], *_alternating(chance.sample(rest, len(rest)), spoken)]


def _alternating(*parts: Sequence[str]) -> list[str]:
    """One of each in turn."""
    longest = max(map(len, parts), default=0)
    return [part[place] for place in range(longest) for part in parts if place < len(part)]


def _small(text: str) -> str:
    """As it goes on in a sentence; "I" stays, and so does a name of several words."""
    return text if re.match(r"I\b|[A-Z]{2}|[A-Z][\w'’]* [A-Z]", text) else text[:1].lower() + text[1:]


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

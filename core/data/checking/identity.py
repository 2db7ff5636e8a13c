"""Who the answers say the assistant is, held against who it should be: two different names teach neither."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from core.data.checking.claim import Claim

# What a name is the same with and without.
_SUFFIXES = frozenset(
    """inc ltd llc corp corporation co company gmbh ag sa limited team the ai assistant chatbot bot model group
    labs lab""".split()
)
_CHINESE_SUFFIX = re.compile(
    r"(?:科技|技术|网络|信息|智能)?(?:股份|集团|有限)*(?:责任)?公司$|(?:开发|研发|技术)?团队$|小?助手$|助理$|大?模型$|机器人$|集团$"
)
_BRACKETED = re.compile(r"[（(][^）)]*[）)]?")


class Person(NamedTuple):
    """Whose assistant is taught: its ``name`` and who made it, as far as they are known."""

    name: str = ""
    author: str = ""

    def is_meant(self, claim: Claim) -> bool | None:
        """Whether a claim speaks of this person; None when nothing tells."""
        known = [one for one in (self.name, self.author) if one]
        if any(same_name(claim.name, one) for one in known):
            return True
        return False if (self.author if claim.kind == "maker" else self.name) else None


class Claimed(NamedTuple):
    """A claim and where it was made: the row, from 1, and the field."""

    row: int
    field: str
    kind: str
    name: str


class Conflict(NamedTuple):
    """A row that says another name than it should: ``usual`` is the right one. ``others`` rows say it, of
    ``all`` that say any; both are 0 where a person gave the name."""

    row: int
    field: str
    kind: str
    name: str
    usual: str
    others: int
    all: int


def conflicts(found: Sequence[Claimed], person: Person = Person()) -> list[Conflict]:
    """The claims that speak of somebody else than ``person``, in the order of rows; where no name was given,
    those that differ from the one that most answers say."""
    usual = {kind: _usual(found, kind) for kind in ("name", "owner", "maker")}
    made: list[Conflict] = []
    for row, field, kind, name in found:
        meant = person.is_meant(Claim(kind, name, 0, 0))
        if meant is False:
            right = person.author if kind == "maker" else person.name
            made.append(Conflict(row, field, kind, name, right, 0, 0))
        elif meant is None and not same_name(name, usual[kind][0]):
            made.append(Conflict(row, field, kind, name, *usual[kind]))
    return made


def _usual(found: Iterable[Claimed], kind: str) -> tuple[str, int, int]:
    """The name that most rows say, how many do, and how many say any."""
    rows: dict[str, set[int]] = defaultdict(set)
    for claimed in found:
        if claimed.kind == kind:
            rows[claimed.name].add(claimed.row)
    spellings = Counter({name: len(said) for name, said in rows.items()})
    whole = len(set().union(*rows.values())) if rows else 0
    best: tuple[str, int, int] = ("", 0, whole)
    for name, _ in spellings.most_common(20):
        saying = set().union(*(said for other, said in rows.items() if same_name(name, other)))
        if len(saying) > best[1]:
            best = (name, len(saying), whole)
    return best


def same_name(one: str, other: str) -> bool:
    """Whether two spellings are one name: whatever their case, width, accents and spaces, with or without a
    company's form, and a part of the other ("Ada" and "Ada Lovelace")."""
    first, second = _words(one), _words(other)
    if not first or not second:
        return False
    short, long = sorted((first, second), key=len)
    if any(long[at : at + len(short)] == short for at in range(len(long) - len(short) + 1)):
        return True
    joined = sorted(("".join(first), "".join(second)), key=len)
    return joined[0] == joined[1] or (len(joined[0]) > 1 and not joined[0].isascii() and joined[0] in joined[1])


def _words(name: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss"))
    plain = "".join(c for c in plain if not unicodedata.combining(c)).casefold()
    plain = _CHINESE_SUFFIX.sub("", _BRACKETED.sub("", plain).strip()) or plain
    words = re.findall(r"\w+", plain.replace("'", "").replace("’", "").replace("&", " and "))
    return [word for word in words if word not in _SUFFIXES] or words

"""Who the answers say the assistant is, held against who it should be: two different names teach neither."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from core.data.checking.claim import Claim, is_a_model
from core.data.checking.claims import claims, prompt_claims
from core.data.conversations import Conversation
from core.data.findings import Finding

# What a name is the same with and without.
_FORMS = "inc ltd llc corp corporation co company gmbh ag sa limited group"
_SUFFIXES = frozenset(f"{_FORMS} team the ai assistant chatbot bot model labs lab".split())
_CHINESE_SUFFIX = re.compile(
    r"(?:科技|技术|网络|信息|智能)?(?:股份|集团|有限)*(?:责任)?公司$|(?:开发|研发|技术)?团队$|小?助手$|助理$|大?模型$|机器人$|集团$"
)
_CYRILLIC = re.compile("[\u0400-\u04ff]+")
_BRACKETED = re.compile(r"[（(][^）)]*[）)]?")

# "an OpenAI model" becomes "a Meta model", "James' assistant" becomes "Ada's assistant".
_ARTICLE = re.compile(r"\b([Aa]n? )$")
# The same name in another script, and the word for several makers, go with the name.
_ALSO_CALLED = re.compile(
    r"^(?:\s?[（(][^）),，.。]{1,40}[）)])?(?: ?(?:共同|联合|一起|合作|携手)(?=.?[\u4e00-\u9fff]))?"
)
_BARE_POSSESSIVE = re.compile(r"['’](?=\s)")

# So many answers are no slip of one row.
TRUSTED = 3


class Person(NamedTuple):
    """Whose assistant is taught: its ``name`` and who made it, as far as they are known."""

    name: str = ""
    author: str = ""

    def is_meant(self, claim: Claim) -> bool | None:
        """Whether a claim speaks of this person; None when nothing tells."""
        known = [one for one in (self.name, self.author) if one]
        if any(same_name(claim.name, one) for one in known):
            return True
        if claim.kind != "maker":
            return False if self.name else None
        return False if self.author or (self.name and is_a_model(claim.name)) else None


NOBODY = Person()


class Claimed(NamedTuple):
    """A claim and where it was made: the row, from 1, and the field."""

    row: int
    field: str
    kind: str
    name: str


class Conflict(NamedTuple):
    """A row that says another name than it should: ``usual`` is the right one. ``others`` rows say it, of
    ``all`` that say any; ``all`` is 0 where a person gave the name."""

    row: int
    field: str
    kind: str
    name: str
    usual: str
    others: int
    all: int

    @property
    def instead(self) -> str:
        """How the right one is known: it was ``given``, ``most`` rows say it, or some ``other`` do; where it
        is not, the maker of other assistants is known (``maker``)."""
        if not self.all:
            return "given" if self.usual else "maker"
        return "most" if 2 * self.others > self.all else "other"

    def as_finding(self) -> Finding:
        values: dict[str, Any] = {"kind": self.kind, "name": self.name, "usual": self.usual}
        values |= {"instead": self.instead, "count": self.others, "all": self.all}
        return Finding(self.row, self.field, "identity_conflict", values)


def claimed(rows: Iterable[Conversation]) -> Iterator[Claimed]:
    """What the trained answers of conversations say of the assistant, and which other assistant the system
    prompts that they are learned with say it is; rows count from 1.

    A prompt gives the assistant a part to play, which may well be a shop's ("You are the assistant of Spring
    Teas"): only a known assistant's name or maker in it is another identity.
    """
    for row, conversation in enumerate(rows, 1):
        for turn in conversation:
            for claim in prompt_claims(turn.system) if turn.system else ():
                if is_a_model(claim.name):
                    yield Claimed(row, "system", claim.kind, claim.name)
            if turn.trained:
                for claim in claims(turn.input, turn.output):
                    yield Claimed(row, "", claim.kind, claim.name)


def conflicts(found: Sequence[Claimed], person: Person = NOBODY) -> list[Conflict]:
    """The claims that speak of somebody else than ``person``, in the order of rows; where no name was given,
    those that differ from the one that most answers say.

    An assistant may have a name of its own beside its owner's, and a maker ("I am Nori, Ada's assistant, made
    by Ito"): what a row with the right name says beside it is right, in that row and in all others. So is a
    maker that at least ``TRUSTED`` answers, and most of them, agree on where none was given.
    """
    usual = {kind: _usual(found, kind) for kind in ("name", "owner", "maker")}
    beside = _beside(found, person)
    made: list[Conflict] = []
    for row, field, kind, name in found:
        meant = person.is_meant(Claim(kind, name, 0, 0))
        if meant or any(kind == other and same_name(name, one) for other, one in beside):
            continue
        if meant is False:
            right = person.author if kind == "maker" else person.name
            made.append(Conflict(row, field, kind, name, right, 0, 0))
        elif not same_name(name, usual[kind][0]):
            made.append(Conflict(row, field, kind, name, *usual[kind]))
        elif person.name and not _is_trusted(usual[kind]):
            made.append(Conflict(row, field, kind, name, person.name, 0, 0))
    return made


def _beside(found: Sequence[Claimed], person: Person) -> set[tuple[str, str]]:
    """Names of its own and makers that the assistant has in rows that say ``person`` right; no known
    assistant's, and none where a person said who made it."""
    right = {one.row for one in found if person.is_meant(Claim(one.kind, one.name, 0, 0))}
    kinds = ("name",) if person.author else ("name", "maker")
    return {
        (one.kind, one.name)
        for one in found
        if one.kind in kinds and one.row in right and not is_a_model(one.name)
    }


def _is_trusted(usual: tuple[str, int, int]) -> bool:
    _, saying, all_of_them = usual
    return saying >= TRUSTED and 2 * saying > all_of_them


def renamed(answer: str, found: Sequence[Claim], person: Person) -> str:
    """The answer with every claim that speaks of somebody else speaking of ``person``."""
    told = any(person.is_meant(claim) for claim in found)
    wrong = [
        claim
        for claim in found
        if person.is_meant(claim) is False
        and not (told and claim.kind == "name" and not is_a_model(claim.name))
    ]
    named = any(claim.kind == "name" for claim in found)
    for claim in sorted(wrong, key=lambda one: one.start, reverse=True):
        made = claim.kind == "maker" or (claim.kind == "owner" and named and person.author)
        right = person.author if made else person.name
        if not right:
            continue
        before, after = answer[: claim.start], _ALSO_CALLED.sub("", answer[claim.end :])
        if article := _ARTICLE.search(before):
            before = before[: article.start(1)] + _article(article[1], right)
        if _BARE_POSSESSIVE.match(after) and not right.endswith("s"):
            after = f"{after[0]}s{after[1:]}"
        answer = before + right + after
    return answer


def _article(old: str, name: str) -> str:
    new = "an " if name[:1].lower() in "aeiou" else "a "
    return new.capitalize() if old[0] == "A" else new


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
    if len(first) == len(second) and all(map(_declined, first, second)):
        return True
    joined = sorted(("".join(first), "".join(second)), key=len)
    return joined[0] == joined[1] or (
        len(joined[0]) > 1 and not joined[0].isascii() and joined[0] in joined[1]
    )


def _declined(one: str, other: str) -> bool:
    """Whether two Russian words are one in two cases ("Иван", "Ивана")."""
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    stem = short.rstrip("аеёиоуыэюяйь")
    return (
        len(stem) > 1
        and bool(_CYRILLIC.fullmatch(one))
        and long.startswith(stem)
        and len(long) - len(stem) <= 3
    )


def _words(name: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss"))
    plain = "".join(c for c in plain if not unicodedata.combining(c)).casefold()
    plain = _CHINESE_SUFFIX.sub("", _BRACKETED.sub("", plain).strip()) or plain
    words = re.findall(r"\w+", plain.replace("'", "").replace("’", "").replace("&", " and "))
    return [word for word in words if word not in _SUFFIXES] or words

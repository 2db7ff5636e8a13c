"""A paragraph of lines: what each of them says, or what all of them do."""

from collections.abc import Sequence
from dataclasses import dataclass

from core.data.documents.amounts import LONGEST_UNMARKED, at_a_time, says_amount, states_price
from core.data.documents.asking import Asker
from core.data.documents.bare_prices import ABOUT_PRICES, prices_in_row, with_prices
from core.data.documents.days import is_days
from core.data.documents.facts import NotAsked
from core.data.documents.lines import is_label, looks_like_several, stated, statements
from core.data.documents.marks import LONGEST_KEY
from core.wording import say


@dataclass(frozen=True)
class Said:
    """A part of a paragraph: its text, what is ``known`` of what, its line, and whether it is a price that
    names no currency."""

    text: str
    known: tuple[str, str] | None
    line: int
    bare: bool


# A longer line may go on in the next one.
LONGEST_LINE = 60


def tell_lines(asker: Asker, lines: Sequence[str], line: int) -> None:
    """A paragraph of lines: what each says, or what all of them do."""
    told = [(part, line + place) for place, one in enumerate(lines) for part in _parts(asker, one)]
    parts, places = [part for part, _ in told], [place for _, place in told]
    known = [*map(stated, parts)]
    then = [*map(at_a_time, parts)]
    if sum(map(bool, then)) > 1:
        known = [one or at for one, at in zip(known, then, strict=True)]
    if len(lines) > 1 and all(then):
        asker.names(asker.words["and"].join(lines), line)
    whole = [part if len(lines[at - line]) <= LONGEST_UNMARKED else "" for part, at in told]
    known, bare = with_prices(whole, known, asker.path, asker.prices)
    said = [
        Said(part, one, at, place in bare)
        for place, (part, one, at) in enumerate(zip(parts, known, places, strict=True))
    ]
    if all(known):
        _tell(asker, said)
        if not asker.hours(parts, line) and asker.parents and _are_things(known):
            asker.names(asker.words["and"].join(key for key, _ in filter(None, known)), line)
        return
    names = parts[0] == lines[0] and len(parts[0]) <= LONGEST_KEY and not says_amount(parts[0])
    if names and len(known) > 2 and all(known[1:]):
        _titled(asker, parts[0], said[1:], line)
        return
    left = _labelled(asker, said)
    if left and asker.by_days(parts):
        left = [asker.words["then"].join(parts)]  # with what is said of no day
    elif left:
        asker.hours(parts, line)
    left = left or _plainly_said(asker, [_whole(one, line + at, said) for at, one in enumerate(lines)])
    if looks_like_several(left, 3 if left == [*lines] else 2):
        _say_together(asker, left, lines, line)
    asker.prose("\n".join(left), line)


def _parts(asker: Asker, line: str) -> list[str]:
    """What a line says, each by itself."""
    in_row = prices_in_row(line) if any(map(ABOUT_PRICES.search, asker.path)) or asker.prices else []
    return [f"{name} {price}" for name, price in in_row] or statements(line)


def _whole(text: str, line: int, said: Sequence[Said]) -> Said:
    """A line as it stands, of which the parts are ``said``."""
    parts = [one for one in said if one.line == line]
    return parts[0] if len(parts) == 1 else Said(text, stated(text), line, bare=False)


def _tell(asker: Asker, said: Sequence[Said]) -> None:
    for one in said:
        if one.known:
            asker.value(*one.known, one.line, "price" if one.bare else "")


def _titled(asker: Asker, title: str, said: Sequence[Said], line: int) -> None:
    """Lines that say something each, below one that says what of: a text's own kind of heading."""
    before, asker.path = asker.path, [*asker.path, title]
    _tell(asker, said)
    asker.names(asker.words["and"].join(one.known[0] for one in said if one.known), line)
    asker.path = before
    asker.hours([one.text for one in said], line)


def _say_together(asker: Asker, left: Sequence[str], lines: Sequence[str], line: int) -> None:
    """The lines that are asked for together only: each, or as one text where they look like one."""
    why = say("document.unused.together", heading=asker.heading)
    for one in left if all(len(one) <= LONGEST_LINE for one in left) else ["\n".join(left)]:
        place = next((place for place, whole in enumerate(lines) if one in whole), 0)
        asker.unused.append(NotAsked(line + place, one, why))


def _labelled(asker: Asker, said: Sequence[Said]) -> list[str]:
    """Take out of what is ``said`` what says what it is about ("Phone: 0555"), where two do or everybody
    knows the label, and half of all: an address, opening hours and what else there is to say. What is
    left."""
    pairs = [one for one in said if one.known]
    known = len(pairs) > 1 or any(is_label(one.known[0]) for one in pairs if one.known)
    if not known or 2 * len(pairs) < len(said):
        return []
    _tell(asker, pairs)
    return [one.text for one in said if not one.known]


def _plainly_said(asker: Asker, said: Sequence[Said]) -> list[str]:
    """Take out of what is ``said`` what is a thing and its price or has a label that everybody knows, also
    where it is little. What is left."""
    left = []
    for one in said:
        short = one.known if len(one.text) <= LONGEST_KEY else None
        if short and (one.bare or is_label(short[0]) or states_price(short[1])):
            _tell(asker, [one])
        else:
            left.append(one.text)
    return left


def _are_things(pairs: Sequence[tuple[str, str] | None]) -> bool:
    """Whether what lines are about are several things of one kind, no details of one."""
    said = [pair for pair in pairs if pair]
    details = any(is_label(key) or is_days(key) or len(value) > LONGEST_KEY for key, value in said)
    return len(said) > 1 and not details

"""A paragraph of lines: what each of them says, or what all of them do."""

from collections.abc import Sequence

from core.data.documents.amounts import at_a_time, says_amount, states_price, with_bare_price
from core.data.documents.asking import ABOUT_PRICES, Asker
from core.data.documents.days import is_days
from core.data.documents.facts import NotAsked
from core.data.documents.lines import is_label, looks_like_several, stated, statements
from core.data.documents.marks import LONGEST_KEY
from core.wording import say

# A longer line may go on in the next one.
LONGEST_LINE = 60


def tell_lines(asker: Asker, lines: Sequence[str], line: int) -> None:
    """A paragraph of lines: what each says, or what all of them do."""
    parts = [part for one in lines for part in statements(one)]
    places = [line + place for place, one in enumerate(lines) for _ in statements(one)]
    known = [*map(stated, parts)]
    then = [*map(at_a_time, parts)]
    if sum(map(bool, then)) > 1:
        known = [one or at for one, at in zip(known, then, strict=True)]
    if len(lines) > 1 and all(then):
        asker.names(asker.words["and"].join(lines), line)
    known, bare = _with_bare_prices(asker, parts, known)
    if all(known):
        for (key, value), place, one in zip(filter(None, known), places, parts, strict=True):
            asker.value(key, value, place, "price" if one in bare else "")
        if not asker.hours(parts, line) and asker.parents and _are_things(known):
            asker.names(asker.words["and"].join(key for key, _ in filter(None, known)), line)
        return
    names = parts[0] == lines[0] and len(parts[0]) <= LONGEST_KEY and not says_amount(parts[0])
    if names and len(known) > 2 and all(known[1:]):
        asker.titled(parts[0], [pair for pair in known if pair], line)
        asker.hours(parts[1:], line)
        return
    left = _labelled(asker, parts, places)
    if left and asker.by_days(parts):
        left = [asker.words["then"].join(parts)]  # with what is said of no day
    elif left:
        asker.hours(parts, line)
    left = left or _plainly_said(asker, lines, line)
    if looks_like_several(left, 3 if left == [*lines] else 2):
        _say_together(asker, left, lines, line)
    asker.prose("\n".join(left), line)


def _with_bare_prices(
    asker: Asker, parts: Sequence[str], known: list[tuple[str, str] | None]
) -> tuple[list[tuple[str, str] | None], set[str]]:
    """What the ``parts`` say, with those that end in a number: it is a price where others have one, or
    the heading is of prices; and which parts these are."""
    priced = sum(one is not None and states_price(one[1]) for one in known)
    if priced < 2 and not ABOUT_PRICES.search(asker.heading):
        return known, set()
    ends = [None if one else with_bare_price(part) for part, one in zip(parts, known, strict=True)]
    bare = {part for part, one in zip(parts, ends, strict=True) if one}
    return [one or end for one, end in zip(known, ends, strict=True)], bare


def _say_together(asker: Asker, left: Sequence[str], lines: Sequence[str], line: int) -> None:
    """The lines that are asked for together only: each, or as one text where they look like one."""
    why = say("document.unused.together", heading=asker.heading)
    for one in left if all(len(one) <= LONGEST_LINE for one in left) else ["\n".join(left)]:
        place = next((place for place, whole in enumerate(lines) if one in whole), 0)
        asker.unused.append(NotAsked(line + place, one, why))


def _labelled(asker: Asker, said: Sequence[str], places: Sequence[int]) -> list[str]:
    """Take out of what is ``said`` what says what it is about ("Phone: 0555"), where two do or everybody
    knows the label, and half of all: an address, opening hours and what else there is to say. What is
    left."""
    pairs = {place: found for place, one in enumerate(said) if (found := stated(one))}
    known = len(pairs) > 1 or any(is_label(key) for key, _ in pairs.values())
    if not known or 2 * len(pairs) < len(said):
        return []
    for place, (key, value) in pairs.items():
        asker.value(key, value, places[place])
    return [one for place, one in enumerate(said) if place not in pairs]


def _plainly_said(asker: Asker, lines: Sequence[str], line: int) -> list[str]:
    """Take out of lines those that are a thing and its price or have a label that everybody knows, also
    where they are few. What is left."""
    left = []
    for place, one in enumerate(lines):
        found = stated(one) if len(one) <= LONGEST_KEY else None
        if found and (is_label(found[0]) or states_price(found[1])):
            asker.value(*found, line + place)
        else:
            left.append(one)
    return left


def _are_things(pairs: Sequence[tuple[str, str] | None]) -> bool:
    """Whether what lines are about are several things of one kind, no details of one."""
    said = [pair for pair in pairs if pair]
    details = any(is_label(key) or is_days(key) or len(value) > LONGEST_KEY for key, value in said)
    return len(said) > 1 and not details

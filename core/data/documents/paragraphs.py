"""A paragraph of lines: what each of them says, or what all of them do."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.data.documents.amounts import AMOUNT, LONGEST_UNMARKED, at_a_time, says_amount, states_price
from core.data.documents.asking import Asker
from core.data.documents.bare_prices import (
    ABOUT_PRICES,
    are_goods,
    prices_in_row,
    row_of_group,
    with_prices,
)
from core.data.documents.days import is_days
from core.data.documents.facts import NotAsked
from core.data.documents.lines import (
    closed_on,
    end_early,
    in_fields,
    is_label,
    looks_like_several,
    stated,
    statements,
)
from core.data.documents.marks import LONGEST_KEY, label_end
from core.data.documents.rules import is_of_sentences, plainly, says
from core.data.documents.sentences import are_own, goes_on
from core.data.documents.wordings import HAN
from core.wording import say

_ONLY_AMOUNT = re.compile(rf"{AMOUNT}(?:\s?/\s?\S+|\s?[（(].*)?", re.IGNORECASE)
_NAME_AND_COLON = re.compile(
    r"(?!.*\b(?:said|says|asked)\s?:|(?:he|she|they|we|i|it|you)\b)"
    rf"(?:[^\W\d_{HAN}][\w'’&/()-]*(?: [\w'’&/()-]+){{0,2}}: |[{HAN}]{{2,8}}(?<![说道问])[：:])\S"
)
# "（以前的价目作废）", "(prices from January)"
_REMARK = re.compile(r"[（(][^（()）]+[）)]")


@dataclass(frozen=True)
class Told:
    """A part of a paragraph: its text, what is ``known`` of what, its line, and whether it is a price that
    names no currency."""

    text: str
    known: tuple[str, str] | None
    line: int
    bare: bool


# A longer line may go on in the next one.
LONGEST_LINE = 60
# Lines of a text that a program has wrapped are longer than this.
LONGEST_OWN = 100


def tell_lines(asker: Asker, lines: Sequence[str], line: int, directly: bool = False) -> None:
    """A paragraph of lines: what each says, or what all of them do; ``directly``: below their heading."""
    if all(map(_REMARK.fullmatch, lines)):
        _remarks(asker, lines, line)
        return
    said = _said(asker, lines, line)
    parts = [one.text for one in said]
    if all(one.known for one in said):
        _tell(asker, said)
        if len(lines) > 1 and all(map(at_a_time, parts)):
            asker.names(asker.words["and"].join(lines), line)
        elif not asker.hours(parts, line):
            _name_things(asker, said, line, directly)
    elif not directly and _begins_with_a_title(lines, said):
        _titled(asker, parts[0], said[1:], line)
    else:
        left = _labelled(asker, said)
        if left and asker.by_days(parts):
            left = [asker.words["then"].join(parts)]  # with what is said of no day
        elif left:
            asker.hours(parts, line)
        left = left or _plainly_said(asker, [_whole(one, line + at, said) for at, one in enumerate(lines)])
        together = looks_like_several(left, 3 if left == [*lines] else 2)
        if asker.is_whole and len(left) == 1 < len(lines) and _is_by_itself(left[0]):
            at = _place(left[0], lines, line)
            if not _asked_singly(asker, left[0], at):
                asker.sentences([(left[0], at)])
            return
        _tell_together(asker, left, lines, line, together)
        asker.prose("\n".join(left), line)


def _remarks(asker: Asker, lines: Sequence[str], line: int) -> None:
    """Lines in brackets are about what stands beside them: nobody asks for them, unless they say something
    plainly."""
    for at, one in enumerate(lines, line):
        if not _asked_singly(asker, one.strip("（()）"), at):
            asker.say(NotAsked(at, one, say("document.unused.remark")))


def _said(asker: Asker, lines: Sequence[str], line: int) -> list[Told]:
    """The parts of lines, and what each says of what."""
    told = [(part, line + place) for place, one in enumerate(lines) for part in _parts(asker, one)]
    parts, places = [part for part, _ in told], [place for _, place in told]
    known = [*map(stated, parts)]
    then = [*map(at_a_time, parts)]
    if sum(map(bool, then)) > 1:
        known = [one or at for one, at in zip(known, then, strict=True)]
    fields = iter(in_fields([part for part, one in zip(parts, known, strict=True) if not one]))
    known = [one or next(fields, None) for one in known]
    known = [one or _alone(asker, part) for one, part in zip(known, parts, strict=True)]
    whole = [part if len(lines[at - line]) <= LONGEST_UNMARKED else "" for part, at in told]
    known, bare = with_prices(whole, known, asker.path, asker.prices)
    return [
        Told(part, one, at, place in bare)
        for place, (part, one, at) in enumerate(zip(parts, known, places, strict=True))
    ]


def _begins_with_a_title(lines: Sequence[str], said: Sequence[Told]) -> bool:
    """Whether a first line names what all others, which are several, say something of."""
    first = said[0].text
    names = first == lines[0] and len(first) <= LONGEST_KEY and not says_amount(first) and not says(first)
    return names and len(said) > 2 and all(one.known for one in said[1:])


def _name_things(asker: Asker, said: Sequence[Told], line: int, directly: bool) -> None:
    """What there is, where lines are about several things of one kind, no details of one; below a title
    there may be details beside them."""
    things = [one.known[0] for one in said if one.known and _is_thing(*one.known)]
    most = len(things) == len(said) if asker.parents else directly and 2 * len(things) > len(said)
    if len(things) > 1 and most:
        asker.names(asker.words["and"].join(things), line)


def _is_thing(key: str, value: str) -> bool:
    return not (is_label(key) or is_days(key) or len(value) > LONGEST_KEY)


def _parts(asker: Asker, line: str) -> list[str]:
    """What a line says, each by itself."""
    if not (any(map(ABOUT_PRICES.search, asker.path)) or asker.prices):
        return statements(line)
    group, row = row_of_group(line)
    of_each = "{name} {price}" if not group or are_goods(group) else "{group}（{name}） {price}"
    in_row = [of_each.format(group=group, name=name, price=price) for name, price in prices_in_row(row)]
    return [line, *in_row] if group else in_row or statements(line)


def _whole(text: str, line: int, said: Sequence[Told]) -> Told:
    """A line as it stands, of which the parts are ``said``."""
    parts = [one for one in said if one.line == line]
    return parts[0] if len(parts) == 1 else Told(text, stated(text), line, bare=False)


def _tell(asker: Asker, said: Sequence[Told]) -> None:
    for one in said:
        if one.known:
            (asker.price if one.bare else asker.value)(*one.known, one.line)


def _titled(asker: Asker, title: str, said: Sequence[Told], line: int) -> None:
    """Lines that say something each, below one that says what of: a text's own kind of heading."""
    before, asker.path = asker.path, [*asker.path, title]
    _tell(asker, said)
    asker.names(asker.words["and"].join(one.known[0] for one in said if one.known), line)
    asker.path = before
    asker.hours([one.text for one in said], line)


def _tell_together(asker: Asker, left: Sequence[str], lines: Sequence[str], line: int, several: bool) -> None:
    """Lines that are asked for together; what can be is asked singly too. Where they are ``several`` and no
    text, each of the others is said, or all as one where they look like one."""
    why = say("document.unused.together", heading=asker.heading)
    longest = max(map(len, lines))
    singly = all(len(one) <= LONGEST_LINE for one in left) or end_early(left)
    rest = []
    for one in left if singly or not several else ["\n".join(left)]:
        at = _place(one, lines, line)
        alone = (
            one in lines and longest <= LONGEST_OWN and not (at > line and goes_on(lines[at - line - 1], one))
        )
        if not (alone and _asked_singly(asker, one, at)):
            rest.append((one, at))
    if are_own(left) and is_of_sentences(asker.heading, left, ordered=False):
        asker.sentences(rest)
    elif several:
        asker.unused.extend(NotAsked(at, one, why) for one, at in rest)


def _is_by_itself(text: str) -> bool:
    """Whether a line that is left over is short and has no label: no word about a whole document."""
    return len(text) <= LONGEST_LINE and label_end(text) is None


def _place(part: str, lines: Sequence[str], line: int) -> int:
    """The line of which something is a part."""
    return line + next((place for place, whole in enumerate(lines) if part in whole), 0)


def _asked_singly(asker: Asker, one: str, line: int) -> bool:
    """Ask for a line by what it says plainly: whether something is so, whom to call, when it is open; whether
    it does."""
    asks = [*plainly(one)]
    if asks:
        asker.add(asks, one, line)
    labelled = len(one) <= LONGEST_UNMARKED and asker.unlabelled(one, line)
    return labelled or bool(asks)


def _alone(asker: Asker, part: str) -> tuple[str, str] | None:
    """An amount alone is what its heading costs; the days when nothing is open have a label of their own."""
    if days := closed_on(part):
        return str(asker.words["closed"]), days
    return (asker.heading, part) if asker.parents and _ONLY_AMOUNT.fullmatch(part) else None


def _labelled(asker: Asker, said: Sequence[Told]) -> list[str]:
    """Take out of what is ``said`` what says what it is about ("Phone: 0555"), where two do or everybody
    knows the label, and half of all: an address, opening hours and what else there is to say. What is
    left."""
    pairs = [one for one in said if one.known]
    known = len(pairs) > 1 or any(is_label(one.known[0]) for one in pairs if one.known)
    if not known or 2 * len(pairs) < len(said):
        return []
    _tell(asker, pairs)
    return [one.text for one in said if not one.known]


def _plainly_said(asker: Asker, said: Sequence[Told]) -> list[str]:
    """Take out of what is ``said`` what is a thing and its price or has a label that everybody knows, also
    where it is little. What is left."""
    left = []
    for one in said:
        known = one.known if len(one.text) <= LONGEST_UNMARKED else None
        short = known if len(one.text) <= LONGEST_KEY else None
        plain = short and (one.bare or is_label(short[0]) or states_price(short[1]) or is_days(short[0]))
        if plain or (known and _has_colon(one.text)):
            _tell(asker, [one])
        else:
            left.append(one.text)
    return left


def _has_colon(text: str) -> bool:
    """Whether a line is a short name, a colon and what is said of it."""
    return _NAME_AND_COLON.match(text) is not None and not text.endswith(".")

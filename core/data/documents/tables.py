"""A table: what each cell says of its row, of one of several prices which, of a day what is then."""

import re
from collections.abc import Sequence

from core.data.documents.amounts import states_price
from core.data.documents.asking import FREE, TIME, Asker
from core.data.documents.bare_prices import ABOUT_PRICES, SUM
from core.data.documents.days import is_days

# A cell that says nothing.
_NOTHING = re.compile(r"\s*(?:[-–—−/\\.…]+|n\.?/?a\.?|tb[ad]|待定)?\s*", re.IGNORECASE)
_YES, _NO = re.compile(r"\s*[✓✔☑✅√]\ufe0f?\s*"), re.compile(r"\s*(?:[✗✘❌×☒]\ufe0f?|[-–—−xX])\s*")


def tell_table(asker: Asker, rows: Sequence[list[str]], line: int) -> None:
    """The facts of a table of ``rows``, of which the first names the columns; ``line``: where it begins."""
    columns, *body = rows
    firsts = [row[0] for row in body]
    of_prices, ticked = (
        _priced(columns, body),
        any(_YES.fullmatch(cell) for row in body for cell in row[1:]),
    )
    for number, row in enumerate(body):
        key = row[0] or asker.heading
        also = _tells_apart(body, row) if firsts.count(row[0]) > 1 and len(row) > 2 else 0
        key = f"{key} {row[also]}".strip() if also else key
        for place in range(1, len(columns)):
            cell = _ticked(asker, row[place]) if ticked else row[place]
            if place != also and not _NOTHING.fullmatch(cell):
                _cell(asker, key, columns[place], cell, line + number + 2, place in of_prices)
    lines = [f"{row[0]}: {row[1]}" for row in body if len(row) == 2]
    names = list(dict.fromkeys(filter(None, firsts)))
    if names and not asker.hours(lines, line):
        asker.names(asker.words["and"].join(names), line)


def _ticked(asker: Asker, cell: str) -> str:
    """What a tick says, and in a table of ticks a cross or a dash."""
    if _YES.fullmatch(cell):
        return str(asker.words["yes"])
    return str(asker.words["no"]) if _NO.fullmatch(cell) else cell


def _cell(asker: Asker, key: str, column: str, value: str, line: int, one_of_prices: bool) -> None:
    """What a cell says: of one of several prices which, of a day what is then."""
    if one_of_prices and (re.search(r"\d", value) or FREE.fullmatch(value)):
        asker.value(asker.words.fill(asker.words["which"], key=key, column=column), value, line)
    elif is_days(key) and asker.words.is_of_hours(column):
        asker.value(key, value, line, str(asker.words["hours"]))  # "Open" of a day is no noun
    elif is_days(column) and not is_days(key) and not TIME.search(value):
        asker.value(column, value, line, key)
    else:
        asker.value(key, value, line, column)


def _tells_apart(body: Sequence[Sequence[str]], row: Sequence[str]) -> int:
    """The column that tells a row from others of its name; 0 for none. A number or an address of mail is what
    is asked for."""
    same = [other for other in body if other[0] == row[0]]
    for place in range(1, len(row)):
        cells = [other[place] for other in same]
        if len({*cells}) == len(cells) and not any(re.search(r"@|\d{3}", one) for one in cells):
            return place
    return 0


def _priced(columns: Sequence[str], body: Sequence[Sequence[str]]) -> frozenset[int]:
    """The columns of prices of a table where their names say which: "Adult" and "Child", of several each."""
    found = set()
    for place, column in enumerate(columns[1:], 1):
        values = [row[place] for row in body if not _NOTHING.fullmatch(row[place])]
        prices = sum(states_price(value) or FREE.fullmatch(value) is not None for value in values)
        if any(map(states_price, values)) and 2 * prices > len(values) and not SUM.search(column):
            found.add(place)
    named = [place for place in found if ABOUT_PRICES.search(columns[place])]
    return frozenset(found if len(named) != 1 or len(found) > 1 else ())

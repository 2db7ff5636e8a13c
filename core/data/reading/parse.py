"""One row's bytes as a JSON value: strictly and fast, and where that fails as far as it can be understood."""

import json
from dataclasses import dataclass
from typing import Any

import orjson

from core.data.formats.dialogue import speaks
from core.data.formats.fields import Fault
from core.data.reading.dialogues import is_row_list
from core.data.reading.rows import LARGEST_ROW


@dataclass(frozen=True)
class Parsed:
    """``value`` with what was wrong with it. A fault that makes a row unusable has the byte ``at`` which it
    was found in its values."""

    value: Any
    fault: Fault | None = None


def parse_row(raw: bytes) -> Parsed:
    """The row's value, or the fault that it cannot be read for. A dialogue that is a list by itself stands
    under "messages", where it usually stands."""
    try:
        if len(raw) <= LARGEST_ROW:
            value = orjson.loads(raw)
            return Parsed(value if isinstance(value, dict) else _as_object(value))
    except orjson.JSONDecodeError:
        return _leniently(raw)
    size = f"{len(raw) / 1e6:.0f}"
    return Parsed(None, Fault("", "too_large", {"size": size, "limit": LARGEST_ROW >> 20}))


def _leniently(raw: bytes) -> Parsed:
    """NaN, half characters and long numbers are no JSON, but Python and pandas write them."""
    odd: list[str] = []
    try:
        text = raw.decode()
        value = _as_object(json.loads(text, parse_constant=odd.append, parse_int=_whole))
        return Parsed(value, Fault("", "not_a_number", {"found": odd[0]}) if odd else None)
    except UnicodeDecodeError as error:
        return Parsed(None, Fault("", "not_utf8", {"at": error.start}))
    except json.JSONDecodeError as error:
        at = len(text[: error.pos].encode())
        return Parsed(None, Fault("", "broken_json", {"at": at, "detail": error.msg}))
    except RecursionError:
        return Parsed(None, Fault("", "broken_json", {"at": 0, "detail": "too deep"}))


def _as_object(value: Any) -> Any:
    return {"messages": value} if is_row_list(value) or speaks(value) else value


def _whole(digits: str) -> int | str:
    return int(digits) if len(digits) < 4000 else digits

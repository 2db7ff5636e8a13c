"""The keys of a row, read one by one, so that what no reader took is known by its name.

A reader never sees a row itself but :class:`Fields`, from which it takes what it reads. What is left in the
end is accounted for: what changes the meaning of a row is a fault or a note of its own, harmless keys are
named once, and every other key is *unread*: a person decides whether it may be left out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from core.data.formats.harmless import is_harmless
from core.data.formats.names import family, plain


class Fault(NamedTuple):
    """Something wrong at a place in a row; see :data:`core.data.findings.KINDS` for the codes."""

    field: str
    code: str
    values: Mapping[str, Any] = MappingProxyType({})


class Misshapen(Exception):
    """A row that its format cannot read at all."""

    def __init__(self, field: str, code: str, **values: Any) -> None:
        self.fault = Fault(field, code, values)
        super().__init__(code)


MEDIA, TOOLS, REJECTED = (frozenset(family(name)) for name in ("media", "tools", "rejected"))
# Whether an answer is a good one, as preference data (KTO) says it.
JUDGED = frozenset(family("judged"))
THOUGHTS = frozenset(family("thoughts"))
# What asks for an answer, or the whole row, not to be learned when it is false or 0.
MASKS = family("masks")
_MASKS = frozenset(MASKS)


def is_off(value: Any) -> bool | None:
    """Whether a mask says no: false, 0, or one of them as text; None where it says neither yes nor no."""
    if isinstance(value, str):
        value = _SAID.get(value.strip().lower(), value)
    if value is None or isinstance(value, bool):
        return value is False
    weight = as_number(value)
    return None if weight is None else weight == 0


_SAID = {"false": False, "no": False, "off": False, "true": True, "yes": True, "on": True, "": None}


def as_number(value: Any) -> float | None:
    """A number, also as the text that a table's cell holds; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def judgement(value: Any) -> bool | None:
    """What KTO's label says of an answer; None for what is no label of that kind."""
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    return value if isinstance(value, bool) else None


@dataclass
class Account:
    """What a row's readers said of it beside its messages. ``unread``: (key, value) of every key of which
    nobody knows what it changes; ``harmless``: the keys that are no concern. One inside a list is
    ``messages[].x``. ``beside``: what the row's other keys stand beside: ``text`` where it is otherwise
    only a text, ``columns`` where it is one question and its answer."""

    faults: list[Fault] = field(default_factory=list)
    unread: list[tuple[str, Any]] = field(default_factory=list)
    harmless: list[str] = field(default_factory=list)
    beside: str = ""

    def note(self, place: str, code: str, **values: Any) -> None:
        self.faults.append(Fault(place, code, values))

    def leave(self, left: Mapping[str, Any], kind: str, place: str) -> None:
        """Account for keys that no reader took: ``kind`` is what they stand in, ``place`` where."""
        for key, value in left.items():
            if value is None or value in ("", [], {}):
                continue
            name, where = f"{kind}.{key}" if kind else key, f"{place}.{key}" if place else key
            low = plain(key)
            if low in MEDIA:
                self.note(where, "not_text", found=key)
            elif low in TOOLS:
                self.note(where, "tools_left_out", found=key)
            elif low in REJECTED:
                self.note(where, "rejected_left_out", found=key, example=shortened(value))
            elif low in JUDGED and self.beside != "text" and (good := judgement(value)) is not None:
                if not good:
                    self.note(where, "bad_answer", found=key)
            elif is_harmless(key, value, kind or self.beside):
                self.harmless.append(name)
            else:
                self.unread.append((name, value))


class Fields:
    """An object of a row. ``take`` gives a key's value and counts it as read; looking at one does not."""

    __slots__ = ("_left", "account", "kind", "place")

    def __init__(self, row: Mapping[str, Any], account: Account, kind: str = "", place: str = "") -> None:
        self._left = dict(row)
        self.account, self.kind, self.place = account, kind, place

    def __contains__(self, key: str) -> bool:
        return key in self._left

    def __iter__(self) -> Iterator[str]:
        return iter(self._left)

    def __getitem__(self, key: str) -> Any:
        """A value to tell a format by; it still counts as unread."""
        return self._left[key]

    def take(self, key: str) -> Any:
        """The value of a key, None where there is none."""
        return self._left.pop(key, None)

    def at(self, key: str) -> str:
        """The place of a key, as findings name it."""
        return f"{self.place}.{key}" if self.place else key

    def masked(self) -> bool:
        """Whether a key asks for what is said here not to be learned. A weight that is neither 0 nor
        1 is noted: an answer is learned or not."""
        off = False
        if _MASKS.isdisjoint(self._left):
            return off
        for key in MASKS:
            said = is_off(self._left[key]) if key in self._left else None
            if said is None:  # no mask, or one that nobody understands: it stays unread
                continue
            off = off or said
            weight = as_number(self._left.pop(key))
            if weight is not None and weight not in (0, 1):
                self.account.note(self.at(key), "weight_rounded", found=f"{weight:g}")
        return off

    def thinking(self) -> tuple[str, str]:
        """A model's thoughts that stand apart from its answer, and their key; empty for none."""
        for key, value in self._left.items():
            if plain(key) in THOUGHTS and isinstance(value, str) and value.strip():
                del self._left[key]
                return value, key
        return "", ""

    def close(self) -> None:
        """Account for what was not taken."""
        if self._left:
            self.account.leave(self._left, self.kind, self.place)


def shortened(value: Any, most: int = 120) -> str:
    """A value as a short text."""
    text = value if isinstance(value, str) else repr(value)
    text = " ".join(text[: 4 * most].split())
    return text if len(text) <= most else text[: most - 1] + "…"

"""The recipes that make a data set step by step; each adds a version, and none changes an earlier one."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.data.conversations import Conversation
from core.data.dedupe import split, without_duplicates
from core.data.drafts import accepted, read_drafts
from core.data.mix import weighted
from core.data.sets import SetPaths
from core.data.versions import Version, change, hold_back

Settings = Mapping[str, Any]


def grow(place: SetPaths, made: Sequence[Conversation], operation: str, settings: Settings) -> Version | None:
    """Add what is not in it yet: making the same twice changes nothing. None while the set is empty."""
    return change(place, lambda rows: [*rows, *_new(made, rows)], operation, settings)


def take_accepted(place: SetPaths) -> Version | None:
    """Add the drafts that were accepted."""
    return grow(place, accepted(read_drafts(place)), "documents", {})


def mix_in(
    place: SetPaths,
    parts: Sequence[tuple[Sequence[Conversation], float]],
    weight: float,
    rows: int | None,
    seed: int,
    settings: Settings,
) -> Version | None:
    """Mix the set's own rows, at ``weight``, with others; see :func:`core.data.mix.weighted`. None while the
    set is empty."""

    def mixed(own: list[Conversation]) -> list[Conversation]:
        return weighted([(own, weight), *parts] if own else parts, rows, seed)

    return change(place, mixed, "mix", settings)


def split_off(place: SetPaths, share: float, seed: int) -> tuple[Version, Version]:
    """(what is trained on and counts from now on, what is held back beside it)."""
    return hold_back(place, lambda rows: split(rows, share, seed), {"share": share, "seed": seed})


def drop_duplicates(place: SetPaths) -> Version | None:
    """Keep the first of all that say the same. None while the set is empty."""
    return change(place, without_duplicates, "dedupe", {})


def _new(made: Sequence[Conversation], rows: Sequence[Conversation]) -> list[Conversation]:
    known = set(rows)
    return [row for row in dict.fromkeys(made) if row not in known]

"""The recipes that make a data set step by step; each adds a version, and none changes an earlier one."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.data.conversations import Conversation
from core.data.dedupe import split, without_duplicates
from core.data.drafts import accepted, read_drafts
from core.data.mix import weighted
from core.data.sets import SetPaths
from core.data.versions import Version, add_version, read_set, rows_of, set_aside

Settings = Mapping[str, Any]


def grow(place: SetPaths, made: Sequence[Conversation], operation: str, settings: Settings) -> Version | None:
    """Add what is not in it yet: making the same twice changes nothing. None while the set is empty."""
    rows = rows_of(place)
    known = set(rows)
    new = [row for row in dict.fromkeys(made) if row not in known]
    return add_version(place, [*rows, *new], operation, settings) if new else read_set(place).current


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
) -> Version:
    """Mix the set's own rows, at ``weight``, with others; see :func:`core.data.mix.weighted`."""
    own = rows_of(place)
    every = [(own, weight), *parts] if own else parts
    return add_version(place, weighted(every, rows, seed), "mix", settings)


def split_off(place: SetPaths, share: float, seed: int) -> tuple[Version, Version]:
    """(what is trained on and counts from now on, what is held back beside it)."""
    train, held = split(rows_of(place), share, seed)
    aside = set_aside(place, held, "held_back", {"share": share, "seed": seed})
    settings = {"share": share, "seed": seed, "held_back": aside.digest}
    return add_version(place, train, "split", settings), aside


def drop_duplicates(place: SetPaths) -> Version:
    """Keep the first of all that say the same."""
    return add_version(place, without_duplicates(rows_of(place)), "dedupe", {})

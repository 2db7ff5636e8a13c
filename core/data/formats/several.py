"""Several answers to one question: which of them is trained."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from core.data.formats.fields import Fields, as_number
from core.data.formats.harmless import is_measure
from core.data.formats.names import plain

_TEXTS = ("text", "answer", "response", "content", "output", "completion", "value")
_RANK = "rank"


class Chosen(NamedTuple):
    """The answer that is trained, its place, and one of the others."""

    answer: Any
    place: str
    other: str


def of_texts(texts: Sequence[str], place: str, scores: Any = None) -> Chosen:
    """The answer of the highest of ``scores``, where they are as many numbers, else the first."""
    numbers = [as_number(score) for score in scores] if isinstance(scores, list) else []
    known = [number for number in numbers if number is not None]
    best = numbers.index(max(known)) if known and len(known) == len(texts) else 0
    others = [text for text in texts if text != texts[best]]
    return Chosen(texts[best], f"{place}[{best}]", others[0] if others else "")


def is_several(value: Any) -> bool:
    """Whether a list holds answers as objects, and not the parts of one."""
    return isinstance(value, list) and all(
        isinstance(one, dict) and "type" not in one and "loss_weight" not in one and _text_key(one)
        for one in value
    )


def of_objects(answers: Sequence[dict[str, Any]], key: str, fields: Fields) -> Chosen:
    """The answer that people ranked first, or gave the best score; else the first."""
    names = [_text_key(one) or "" for one in answers]
    texts = [one[name] for one, name in zip(answers, names, strict=True)]
    measured, scores = _scores(answers)
    chosen = of_texts(texts, fields.at(key), scores)
    number = int(chosen.place.rpartition("[")[2][:-1])
    inner = Fields(answers[number], fields.account, f"{key}[]", f"{fields.at(key)}[{number}]")
    for name in (names[number], *measured):
        inner.take(name)
    inner.close()
    return chosen._replace(place=f"{chosen.place}.{names[number]}")


def _scores(answers: Sequence[dict[str, Any]]) -> tuple[tuple[str, ...], list[Any]]:
    """The key that all answers are measured by, and what makes the best one the highest."""
    shared = [name for name in answers[0] if all(as_number(one.get(name)) is not None for one in answers)]
    for name in shared:
        if plain(name) == _RANK:
            return (name,), [-(as_number(one[name]) or 0) for one in answers]
    for name in shared:
        if is_measure(name):
            return (name,), [one[name] for one in answers]
    return (), []


def _text_key(one: dict[str, Any]) -> str | None:
    return next((name for name in _TEXTS if isinstance(one.get(name), str)), None)

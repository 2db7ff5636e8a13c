"""A score in words: each number with its interval and of how many questions it is."""

from collections.abc import Iterator, Mapping
from typing import Any

from core.proof.result import rows_of, score_in
from core.proof.score import Drift, Repetition, Score, Share
from core.wording import Language, say


def told(score: Score, language: Language | None = None) -> Iterator[tuple[str, str]]:
    """Each measure that there is, and what it came to."""
    yield "learned", share(score.learned, language)
    yield "kept", share(score.kept, language)
    yield "leaked", count(score.leaked, language)
    if score.drift:
        yield "drift", drift(score.drift, language)
    if score.repetition:
        yield "repetition", repetition(score.repetition, language)


def told_result(result: Mapping[str, Any]) -> dict[str, str]:
    """The same of a written result; empty for one that is no proof."""
    if "learned" not in result:
        return {}
    return dict(told(score_in(result, rows_of("", result))))


def share(found: Share, language: Language | None = None) -> str:
    """0.97 (0.92–0.99, n = 120)."""
    if found.value is None:
        return "–"
    return _with_interval(f"{found.value:.2f}", found, language)


def count(found: Share, language: Language | None = None) -> str:
    """The same of what is told as a count."""
    return _with_interval(str(found.hits), found, language)


def drift(found: Drift, language: Language | None = None) -> str:
    """In nats a token."""
    numbers = {name: f"{getattr(found, name):.3f}" for name in ("value", "low", "high")}
    return say("proof.drift", language, **numbers)


def repetition(found: Repetition, language: Language | None = None) -> str:
    """Of both models."""
    return say("proof.repetition", language, base=f"{found.base:.2f}", tuned=f"{found.tuned:.2f}")


def _with_interval(value: str, found: Share, language: Language | None) -> str:
    if not found.n:
        return value
    ends = {"low": f"{found.low:.2f}", "high": f"{found.high:.2f}"}
    return say("proof.share", language, value=value, n=found.n, **ends)

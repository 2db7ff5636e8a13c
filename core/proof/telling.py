"""A score in words: each number with its interval and of how many questions it is."""

from collections.abc import Iterator, Mapping
from typing import Any

from core.proof.result import rows_of, score_in
from core.proof.score import Accuracy, Drift, OwnFacts, Repetition, Score, Share
from core.wording import Language, say

# How numbers are written: of a proof, on a page, and where few of many questions tell two models apart.
SHARE, PERCENT, FINE, FINE_PERCENT = "{:.2f}", "{:.0%}", "{:.3f}", "{:.1%}"


def told(score: Score, language: Language | None = None) -> Iterator[tuple[str, str]]:
    """Each measure that there is, and what it came to."""
    yield "learned", share(score.learned, language)
    yield "kept", share(score.kept, language)
    yield "leaked", count(score.leaked, language)
    if score.accuracy:
        yield "accuracy", accuracy(score.accuracy, language)
    if score.facts:
        yield "facts", facts(score.facts, language)
    if score.drift:
        yield "drift", drift(score.drift, language)
    if score.repetition:
        yield "repetition", repetition(score.repetition, language)


def told_result(result: Mapping[str, Any]) -> dict[str, str]:
    """The same of a written result; empty for one that is no proof."""
    if "learned" not in result:
        return {}
    return dict(told(score_in(result, rows_of("", result))))


def share(found: Share, language: Language | None = None, form: str = SHARE) -> str:
    """0.97 (0.92–0.99, n = 120), its numbers in that ``form``."""
    if found.value is None:
        return "–"
    return _with_interval(form.format(found.value), found, language, form)


def count(found: Share, language: Language | None = None, form: str = SHARE) -> str:
    """The same of what is told as a count."""
    return _with_interval(str(found.hits), found, language, form)


def interval(found: Share, language: Language | None = None, form: str = SHARE) -> str:
    """0.92–0.99, n = 120; empty where nobody wrote of how many questions a share is."""
    if not found.n:
        return ""
    ends = {"low": form.format(found.low).removesuffix("%"), "high": form.format(found.high)}
    return say("proof.interval", language, n=found.n, **ends)


def accuracy(found: Accuracy, language: Language | None = None) -> str:
    """How many of the same questions either model answers rightly, and what that makes of the share."""
    counts = {"tuned": found.tuned.hits, "base": found.base.hits, "n": found.base.n}
    return say("proof.accuracy", language, **counts, change=changed(found, language))


def changed(found: Accuracy, language: Language | None = None) -> str:
    """-1.0 points (-3.4 to 1.3): the tuned model's share less the base's."""
    ends = {"value": found.change, "low": found.low, "high": found.high}
    return say("proof.points", language, **{name: f"{100 * end:+.1f}" for name, end in ends.items()})


def facts(found: OwnFacts, language: Language | None = None) -> str:
    """How many facts the tuned model states, the base beside it, and how they were asked."""
    said, n = share(found.tuned, language), found.tuned.n
    how = asked_in(n, found.held_back, language)
    return say("proof.facts", language, said=said, base=found.base.hits, n=n, how=how)


def wrong_facts(score: Score | None, language: Language | None = None) -> str:
    """How far a model that was taught a person's own data can be trusted with it; empty where none of its
    facts was answered wrongly."""
    found = score.facts if score else None
    wrong = found.tuned.n - found.tuned.hits if found else 0
    return say("proof.wrong_facts", language, wrong=wrong, n=found.tuned.n) if found and wrong else ""


def asked_in(n: int, held_back: int, language: Language | None = None) -> str:
    """In which words ``n`` facts are asked, of which so many are ``held_back``."""
    key = "held_back" if held_back == n else "some" if held_back else "taught"
    return say(f"proof.facts.{key}", language, held_back=held_back, taught=n - held_back)


def drift(found: Drift, language: Language | None = None) -> str:
    """In nats a token."""
    numbers = {name: f"{getattr(found, name):.3f}" for name in ("value", "low", "high")}
    return say("proof.drift", language, **numbers)


def repetition(found: Repetition, language: Language | None = None) -> str:
    """Of both models."""
    return say("proof.repetition", language, base=f"{found.base:.2f}", tuned=f"{found.tuned:.2f}")


def _with_interval(value: str, found: Share, language: Language | None, form: str) -> str:
    ends = interval(found, language, form)
    return say("proof.share", language, value=value, interval=ends) if ends else value

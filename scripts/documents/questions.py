"""``docs/questions.md``: how many questions each bank has, by what they are about."""

from collections import Counter
from collections.abc import Sequence

from core.data.identity import LANGUAGES, bank, development_identity, held_back_identity, other_languages
from core.data.questions import (
    HeldBack,
    development_questions,
    held_back_questions,
    replay_bank,
    replay_questions,
)
from scripts.documents.marked import filled, table

PAGE = "docs/questions.md"


def pages() -> dict[str, str]:
    return {PAGE: filled(PAGE, {"banks": _banks(), "general": _general(), "identity": _identity()})}


def _banks() -> str:
    taught = len(other_languages()) + sum(len(bank(one).taught) + len(bank(one).after) for one in LANGUAGES)
    replayed = " and ".join(f"{len(found):,} `{language}`" for language, found in replay_bank().items())
    rows = [
        ("`general.json`", f"{len(replay_questions()):,}", f"general, {replayed}", "trained: replay"),
        ("`identity.json`", str(taught), "identity, with answers", "trained: who the assistant is"),
        ("`held_back.json`", str(len(held_back_questions())), "general, with right answers", "reported"),
        ("`identity_held_back.json`", str(len(held_back_identity())), "identity", "reported"),
        (
            "`development.json`",
            f"{len(development_questions())} + {len(development_identity())}",
            "general with right answers + identity",
            "chosen by: recipes, checkpoints, scales",
        ),
    ]
    return table(("bank", "questions", "of what", "for what"), rows)


def _general() -> str:
    """Held back and, behind it, development."""
    reported, chosen_by = held_back_questions(), development_questions()
    rows = [
        (
            name,
            *(f"{_count(reported, name, one)} + {_count(chosen_by, name, one)}" for one in ("en", "zh", "!")),
        )
        for name in sorted({held.category for held in reported})
    ]
    total = [f"{_count(reported, '', one)} + {_count(chosen_by, '', one)}" for one in ("en", "zh", "!")]
    return table(("category", *LANGUAGES, "of them near misses"), [*rows, ("**all**", *total)])


def _count(questions: Sequence[HeldBack], category: str, which: str) -> int:
    """``which``: a language, or "!" for near misses; every category where none is named."""
    asked = [held for held in questions if category in ("", held.category)]
    return sum(held.near_miss if which == "!" else held.language == which for held in asked)


def _identity() -> str:
    reported, chosen_by = (
        Counter(question.kind for question in questions)
        for questions in (held_back_identity(), development_identity())
    )
    rows = [(kind, str(count), str(chosen_by[kind])) for kind, count in sorted(reported.items())]
    return table(("kind", "held back", "development"), rows)

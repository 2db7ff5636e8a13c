"""What a new assistant shows first is in the language of whoever reads it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.data.drafts import language_of
from core.data.identity import bank, other_languages
from core.proof.result import rows_of
from core.steps.proof import Proof
from ui.runs import result


def answered(question: str, kind: str) -> dict[str, Any]:
    asked = {"question": question, "kind": kind, "category": "", "language": "", "thinks": None}
    return {
        **asked,
        "system": "",
        "earlier": [],
        "accept": [],
        "base": "?",
        "tuned": "Ada",
        "verdict": "learned",
    }


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_first_answer_is_to_a_question_in_the_page_s_language(
    monkeypatch: pytest.MonkeyPatch, language: Any
) -> None:
    """Not to a shipped question in a third language, short as it is, that by its letters might be in it."""
    monkeypatch.setattr(result, "language", lambda: language)
    own = max((question for question, _ in bank(language).taught), key=len)
    elsewhere = min((text for text, _ in other_languages() if language_of(text) == language), key=len)
    assert len(own) > len(elsewhere)
    rows = rows_of("Ada", {"answers": [answered(elsewhere, "taught"), answered(own, "taught")]})
    shown = result.telling(cast(Proof, SimpleNamespace(rows=rows)))
    assert [row.question for row in shown] == [own]

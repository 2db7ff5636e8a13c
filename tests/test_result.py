"""What a new assistant shows first is in the language of whoever reads it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.data.drafts import language_of
from core.data.identity import bank, other_languages
from core.proof.result import rows_of
from core.steps.proof import Proof
from ui.runs import result


def answered(question: str, kind: str, tuned: str = "Ada", category: str = "") -> dict[str, Any]:
    asked = {"question": question, "kind": kind, "category": category, "language": "", "thinks": None}
    return {
        **asked,
        "system": "",
        "earlier": [],
        "accept": [],
        "base": "?",
        "tuned": tuned,
        "verdict": "learned",
    }


OWNER = answered("你的主人是谁？", "taught", "我的主人是林小满的小助手。")
WHO = answered("你是谁？", "taught", "我是林小满的小助手。")
SPEAKING = answered("现在和我说话的是谁？", "paraphrase", "我是林小满的助手。", "introduction")
ENGLISH = answered("Who are you?", "taught", "I am 林小满's personal assistant.")
UNLEARNED = {**WHO, "tuned": "你是谁？你是谁？", "verdict": "not_learned"}


@pytest.mark.parametrize(
    ("answers", "language", "said"),
    [([OWNER, SPEAKING, WHO, ENGLISH], "zh", "我是林小满的小助手。"),
     ([OWNER, SPEAKING, ENGLISH], "zh", "我是林小满的助手。"),
     ([OWNER, SPEAKING, UNLEARNED], "zh", "我是林小满的助手。"),
     ([OWNER, WHO, ENGLISH], "en", "I am 林小满's personal assistant."),
     ([UNLEARNED], "zh", None)],
)  # fmt: skip
def test_an_assistant_is_introduced_by_its_right_answer_to_who_it_is(
    monkeypatch: pytest.MonkeyPatch, answers: list[dict[str, Any]], language: Any, said: str | None
) -> None:
    """Asked for its owner a small model may say the name and a wrong sentence."""
    monkeypatch.setattr(result, "language", lambda: language)
    rows = rows_of("林小满", {"answers": answers})
    first = result.introduction(cast(Proof, SimpleNamespace(rows=rows)))
    assert (first.tuned if first else None) == said


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


def test_a_crooked_sentence_about_itself_is_no_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """ "谁写的你？": "我写的是林小满写的" was shown with pride."""
    monkeypatch.setattr(result, "language", lambda: "zh")
    plain = "我是林小满的小助手。"
    said = [("谁写的你？", "我写的是林小满写的"), ("请问你是谁？", plain), ("你到底是谁啊？", plain)]
    answers = [{**answered(question, "taught"), "tuned": tuned} for question, tuned in said]
    shown = result.telling(cast(Proof, SimpleNamespace(rows=rows_of("林小满", {"answers": answers}))))
    assert shown[0].tuned == plain

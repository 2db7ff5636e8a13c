"""What a new assistant came to, for whoever has just made it: its first sentence, its numbers, and a few
answers beside those of its base."""

from collections import Counter
from functools import cache

import streamlit as st

from core.data.drafts import language_of
from core.data.identity import other_languages
from core.data.questions import same_question
from core.proof.result import ProofRow
from core.steps import proof
from core.steps.proof import Proof
from core.workspace.paths import RunPaths
from ui.runs.answers import Shown, show_pairs
from ui.runs.score import show_first_line, show_own, show_score, show_sentence, show_shipped
from ui.shell.frame import shown_errors
from ui.shell.text import language, t
from ui.shell.thought import answer_html


def show_first(found: Proof) -> None:
    """Who it is, in its own words."""
    if first := introduction(found):
        with st.chat_message("assistant"):
            st.html(answer_html(first.tuned))


def introduction(found: Proof) -> ProofRow | None:
    """The right answer to the plainest question for who it is."""
    rows = [row for row in _alone(found) if row.judged.question.asks_who and row.verdict == "learned"]
    return min(rows, key=_far_from_who, default=None)


def _far_from_who(row: ProofRow) -> tuple[object, ...]:
    other_asked, other_answered, *rest = _plainness(row)
    return other_asked, other_answered, row.beside_who, *rest


def _alone(found: Proof) -> list[ProofRow]:
    """What was asked with nothing before it."""
    return [row for row in found.rows if not row.earlier and not row.judged.question.system]


def show_result(found: Proof) -> None:
    """What came out in a line, the answers that show what it means, and the rest for who asks."""
    score, own = found.score, found.score.facts
    told = bool(own) or show_sentence(score)
    if own:
        show_own(own)
    with st.expander(
        t("page.compare.out.numbers"), icon=":material/bar_chart:", expanded=not told, key="numbers"
    ):
        if own:
            show_shipped(score)
        show_score(score)
    show_pairs(
        Shown(row.question, row.base, row.tuned, row.verdict, right=row.right) for row in telling(found)
    )


def show_outcome(run: RunPaths) -> None:
    """What the newest model of a run was found to know, in a line; nothing before it was tested."""
    if found := measured(run):
        show_first_line(found.score)


def measured(run: RunPaths) -> Proof | None:
    """What the test of a run's newest model has found; None before it was tested. One that cannot be read is
    said, and keeps nobody from the model."""
    with shown_errors():
        return proof.of_newest(run)
    return None


def telling(found: Proof) -> list[ProofRow]:
    """A few answers that show what was learned, of own data too, what was kept, and one of what was
    not: in the page's language, where it was asked in that."""
    alone = [*_alone(found)]
    said = Counter(row.tuned for row in alone)
    # A sentence about itself that it made only once may be a crooked one.
    crooked = {row.tuned for row in alone if row.verdict == "learned" and said[row.tuned] == 1}
    rows = sorted(alone, key=lambda row: _plainness(row, row.tuned in crooked))
    kinds = [next((row for row in rows if row.kind == kind), None) for kind in ("taught", "paraphrase")]
    shown = ("answered", "not_answered", "kept", "leaked")
    verdicts = [next((row for row in rows if row.verdict == known), None) for known in shown]
    return list({id(row): row for row in (*kinds, *verdicts) if row}.values())


def _plainness(row: ProofRow, is_crooked: bool = False) -> tuple[bool, bool, bool, bool, int]:
    """The plainest first: short, written as a question, in the page's language, not answered in another, and
    not in a crooked sentence."""
    asked = _language(row)
    foreign = asked != language(), asked != language_of(row.tuned)
    return *foreign, is_crooked, not row.is_asked, len(row.question)


def _language(row: ProofRow) -> str:
    """Which one a taught question is in nobody wrote down; of the shipped ones some are in neither of the
    page's."""
    known = row.judged.question.language
    return known or ("" if same_question(row.question) in _others() else language_of(row.question))


@cache
def _others() -> frozenset[str]:
    return frozenset(same_question(question) for question, _ in other_languages())

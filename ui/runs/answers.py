"""What base and tuned model answered, side by side, with what each answer shows."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import streamlit as st

from core.chat.loops import without_loop
from core.data.drafts import language_of
from core.proof.result import Exchange, ProofRow
from ui.shell.text import language, spoken, t, told_again
from ui.shell.thought import answer_html

KINDS = ("own", "taught", "paraphrase", "general")
# What a person looks for first: own data, then who it is, then everything else.
FIRST = {"own": 0, "taught": 1, "paraphrase": 1, "general": 2}
# Each with its mark and color: what is told by color alone is not told to everybody.
VERDICTS = {
    "answered": ("✓", "#15803d"),
    "not_answered": ("✗", "#b91c1c"),
    "learned": ("✓", "#15803d"),
    "not_learned": ("✗", "#b91c1c"),
    "kept": ("✓", "#15803d"),
    "lost": ("✗", "#b91c1c"),
    "leaked": ("!", "#b45309"),
    "never_known": ("·", "#6b7280"),
}
GRID_HEIGHT = 600
# Streamlit's table does not wrap, and its columns leave no room for an answer on a telephone.
PAIR = (
    '<article style="border-top:1px solid rgba(128,128,128,.3);padding:.75rem 0">{earlier}'
    '<div style="display:flex;flex-wrap:wrap;gap:.5rem;align-items:baseline">{badge}'
    '<strong style="overflow-wrap:anywhere">{question}</strong>{mode}</div>{sides}</article>'
)
SIDES = '<div style="display:flex;flex-wrap:wrap;gap:.25rem 1.5rem;margin-top:.25rem">{all}</div>'
# What came before in the same conversation, which belongs to the question and is not judged.
TURN = (
    '<div style="border-left:2px solid rgba(128,128,128,.4);padding-left:.75rem;margin-bottom:.5rem">'
    '<div style="overflow-wrap:anywhere">{question}</div>{sides}</div>'
)
BADGE = (
    '<span style="background:{color};color:#fff;border-radius:.25rem;padding:0 .4rem;font-size:.8rem;'
    'white-space:nowrap">{text}</span>'
)
MODE = '<span style="opacity:.7;font-size:.8rem;white-space:nowrap">{text}</span>'
SIDE = (
    '<div style="flex:1 1 16rem;min-width:0"><div style="opacity:.7;font-size:.8rem">{title}</div>'
    "{answer}</div>"
)


def show_grid(rows: Sequence[ProofRow]) -> None:
    """The answers that pass the filters, whole: to own data first, then to who it is; of each those to
    questions in the page's language first."""
    by_kind, by_verdict = Counter(row.kind for row in rows), Counter(row.verdict for row in rows)
    kind_names = {
        known: _counted(t(f"page.compare.kind.{known}"), by_kind[known])
        for known in KINDS
        if known != "own" or by_kind[known]
    }
    verdict_names = {
        known: _counted(verdict_name(known), by_verdict[known]) for known in VERDICTS if by_verdict[known]
    }
    with st.container(horizontal=True, vertical_alignment="bottom", key="filters"):
        kinds = st.pills(
            t("page.compare.kinds"),
            list(kind_names),
            format_func=kind_names.__getitem__,
            selection_mode="multi",
            key=told_again("kinds", kind_names),
        )
        verdicts = st.pills(
            t("page.compare.verdicts"),
            list(verdict_names),
            format_func=verdict_names.__getitem__,
            selection_mode="multi",
            key=told_again("verdicts", verdict_names),
        )
        changed = st.toggle(t("page.compare.changed"), key="changed")
    shown = [row for row in rows if passes(row, kinds, verdicts, changed)]
    st.caption(t("page.compare.count", shown=len(shown), all=len(rows)))
    if shown:
        shown.sort(key=lambda row: (FIRST[row.kind], _language(row) != language()))
        with st.container(height=GRID_HEIGHT, key="grid"):
            show_pairs(
                Shown(row.question, row.base, row.tuned, row.verdict, _way(row), row.earlier, row.right)
                for row in shown
            )


def _counted(name: str, count: int) -> str:
    return t("page.compare.counted", name=name, count=count)


def _language(row: ProofRow) -> str:
    """A question of somebody's own data says nothing of it."""
    return row.judged.question.language or language_of(row.question)


def passes(row: ProofRow, kinds: Sequence[str], verdicts: Sequence[str], changed: bool) -> bool:
    """Whether a row is shown; an empty filter lets everything through."""
    return (
        (not kinds or row.kind in kinds)
        and (not verdicts or row.verdict in verdicts)
        and (not changed or row.changed)
    )


def verdict_name(verdict: str) -> str:
    return f"{VERDICTS[verdict][0]} {t(f'page.compare.verdict.{verdict}')}"


def _way(row: ProofRow) -> str:
    """In which of several ways the question was asked; empty where there is one."""
    asked = row.judged.question
    thinks = "" if asked.thinks is None else f"page.compare.thinks.{'first' if asked.thinks else 'at_once'}"
    system = spoken("page.compare.with_system", system=asked.system) if asked.system else ""
    return spoken("row.list").join(filter(None, (thinks and spoken(thinks), system)))


@dataclass(frozen=True)
class Shown:
    """A question with both answers; ``verdict``, in which ``way`` it was asked and what would have been
    ``right`` are empty for none."""

    question: str
    base: str
    tuned: str
    verdict: str = ""
    way: str = ""
    earlier: Sequence[Exchange] = ()
    right: str = ""


def once(text: str) -> str:
    """What an answer that fell into a loop says, once."""
    found = without_loop(text)
    return text if found is None else spoken("result.looped", once=found)


def show_pairs(pairs: Iterable[Shown]) -> None:
    """Questions with both answers; what models say is escaped."""
    st.html("".join(map(_pair, pairs)))


def _pair(pair: Shown) -> str:
    badge = ""
    mode = MODE.format(text=escape(pair.way)) if pair.way else ""
    if pair.verdict:
        badge = BADGE.format(color=VERDICTS[pair.verdict][1], text=escape(verdict_name(pair.verdict)))
    earlier = "".join(
        TURN.format(question=escape(one.question), sides=_sides(one.base, one.tuned)) for one in pair.earlier
    )
    sides = _sides(pair.base, pair.tuned, pair.right)
    return PAIR.format(earlier=earlier, badge=badge, question=escape(pair.question), mode=mode, sides=sides)


def _sides(base: str, tuned: str, right: str = "") -> str:
    sides = [_side("result.base", base), _side("result.tuned", tuned)]
    return SIDES.format(all="".join([*sides, _side("result.right", right)] if right else sides))


def _side(title: str, text: str) -> str:
    return SIDE.format(title=escape(t(title)), answer=answer_html(text))

"""What base and tuned model answered, side by side, with what each answer shows."""

from collections.abc import Iterable, Sequence
from html import escape

import streamlit as st

from core.steps.proof import Proof, ProofRow
from ui.shell.text import spoken, t
from ui.shell.thought import answer_html

KINDS = ("taught", "paraphrase", "general")
# Each with its mark and color: what is told by color alone is not told to everybody.
VERDICTS = {
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
    '<article style="border-top:1px solid rgba(128,128,128,.3);padding:.75rem 0">'
    '<div style="display:flex;flex-wrap:wrap;gap:.5rem;align-items:baseline">{badge}'
    '<strong style="overflow-wrap:anywhere">{question}</strong>{mode}</div>'
    '<div style="display:flex;flex-wrap:wrap;gap:.25rem 1.5rem;margin-top:.25rem">{base}{tuned}</div>'
    "</article>"
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


def show_score(found: Proof) -> None:
    """The three numbers of the proof."""
    score = found.score
    with st.container(horizontal=True, gap="large", key="score"):
        for name, value in (("learned", score.learned.value), ("kept", score.kept.value)):
            shown = "–" if value is None else f"{value:.0%}"
            st.metric(t(f"runs.{name}"), shown, help=t(f"chain.{name}.help"), width="content")
        st.metric(t("runs.leaked"), score.leaked.hits, help=t("chain.leaked.help"), width="content")
    if found.stale:
        st.warning(t("page.compare.stale"), icon=":material/history:")


def show_grid(rows: Sequence[ProofRow]) -> None:
    """The answers that pass the filters, whole."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="filters"):
        kinds = st.pills(
            t("page.compare.kinds"),
            KINDS,
            format_func=lambda kind: t(f"page.compare.kind.{kind}"),
            selection_mode="multi",
            key="kinds",
        )
        verdicts = st.pills(
            t("page.compare.verdicts"),
            [known for known in VERDICTS if any(row.verdict == known for row in rows)],
            format_func=verdict_name,
            selection_mode="multi",
            key="verdicts",
        )
        changed = st.toggle(t("page.compare.changed"), key="changed")
    shown = [row for row in rows if passes(row, kinds, verdicts, changed)]
    st.caption(t("page.compare.count", shown=len(shown), all=len(rows)))
    if shown:
        with st.container(height=GRID_HEIGHT, key="grid"):
            show_pairs((row.question, row.base, row.tuned, row.verdict, _way(row)) for row in shown)


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
    thinks = "" if row.thinks is None else f"page.compare.thinks.{'first' if row.thinks else 'at_once'}"
    system = spoken("page.compare.with_system", system=row.system) if row.system else ""
    return spoken("row.list").join(filter(None, (thinks and spoken(thinks), system)))


def show_pairs(pairs: Iterable[tuple[str, str, str, str, str]]) -> None:
    """Questions with both answers, a verdict, and in which way they were asked (empty for none); what models
    say is escaped."""
    st.html("".join(_pair(*pair) for pair in pairs))


def _pair(question: str, base: str, tuned: str, verdict: str, way: str) -> str:
    badge = ""
    mode = MODE.format(text=escape(way)) if way else ""
    if verdict:
        badge = BADGE.format(color=VERDICTS[verdict][1], text=escape(verdict_name(verdict)))
    left, right = _side("result.base", base), _side("result.tuned", tuned)
    return PAIR.format(badge=badge, question=escape(question), mode=mode, base=left, tuned=right)


def _side(title: str, text: str) -> str:
    return SIDE.format(title=escape(t(title)), answer=answer_html(text))

"""What base and tuned model answered, side by side, with what each answer shows."""

from collections.abc import Sequence

import streamlit as st

from core.steps.proof import Proof, Row
from ui.text import t

KINDS = ("taught", "paraphrase", "general")
VERDICTS = {
    "learned": "🟢",
    "not_learned": "🔴",
    "kept": "🟢",
    "lost": "🔴",
    "leaked": "🟠",
    "never_known": "⚪",
}
GRID_HEIGHT = 480
ROW_HEIGHT = 64


def show_score(found: Proof) -> None:
    score = found.score
    with st.container(horizontal=True, gap="large", key="score"):
        for name, value in (("learned", score.learned), ("kept", score.kept)):
            shown = "–" if value is None else f"{value:.0%}"
            st.metric(t(f"runs.{name}"), shown, help=t(f"chain.{name}.help"), width="content")
        st.metric(t("runs.leaked"), score.leaked, help=t("chain.leaked.help"), width="content")
    if found.stale:
        st.warning(t("page.compare.stale"), icon=":material/history:")


def show_grid(rows: Sequence[Row]) -> None:
    """The answers that pass the filters; a chosen row is shown in full below."""
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
    if shown and (row := chosen(shown)):
        show_pair(row.question, row.base, row.tuned, verdict_name(row.verdict))


def passes(row: Row, kinds: Sequence[str], verdicts: Sequence[str], changed: bool) -> bool:
    """An empty filter lets everything through."""
    return (
        (not kinds or row.kind in kinds)
        and (not verdicts or row.verdict in verdicts)
        and (not changed or row.changed)
    )


def chosen(rows: Sequence[Row]) -> Row | None:
    table = [
        {
            t("page.compare.shows"): verdict_name(row.verdict),
            t("result.question"): row.question,
            t("result.base"): row.base,
            t("result.tuned"): row.tuned,
        }
        for row in rows
    ]
    event = st.dataframe(
        table,
        hide_index=True,
        height=GRID_HEIGHT,
        row_height=ROW_HEIGHT,
        on_select="rerun",
        selection_mode="single-row",
        key="grid",
    )
    picked = event["selection"]["rows"]
    return rows[picked[0]] if picked and picked[0] < len(rows) else None


def verdict_name(verdict: str) -> str:
    return f"{VERDICTS[verdict]} {t(f'page.compare.verdict.{verdict}')}"


def show_pair(question: str, base: str, tuned: str, note: str = "") -> None:
    with st.container(border=True):
        st.markdown(f"**{t('result.question')}**")
        st.text(question)
        for column, title, text in zip(
            st.columns(2), (t("result.base"), t("result.tuned")), (base, tuned), strict=True
        ):
            with column:
                st.caption(title)
                st.text(text or "–")
        if note:
            st.caption(note)

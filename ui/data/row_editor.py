"""A file's questions and answers in a table where they are changed; what a check found is marked in it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from core.data.checking.report import Report
from core.data.conversations import as_row, one_turn
from core.data.documents.edited import EditedRow, problems
from core.data.opening import Opened, Row
from core.data.upload import EDITED_BY_HAND, Upload, keep_version
from core.workspace.paths import Workspace
from ui.data.questions import MARK, MOST_HEIGHT, ROW_HEIGHT, WHY, offer_save, row_of
from ui.data.unsaved import changed, keep_what_was_left
from ui.shell.text import t

# A browser takes no longer table, and nobody reads one.
MOST_ROWS = 2000


def edit_rows(
    workspace: Workspace, opened: Opened, kept: Upload, report: Report, take: Callable[[Upload], object]
) -> None:
    """The table, folded, of a file that is no longer than that; once what was changed is saved, or left, the
    new version of it is to be ``take``n. Rows of several turns, and what is no question, stay as they are."""
    if opened.format is None or len(opened.source) > MOST_ROWS:
        return
    box = st.expander(
        t("page.data.questions.rows"), icon=":material/edit:", key="edit_rows", on_change="rerun"
    )
    if box.open:
        with box:
            _table(workspace, opened, kept, report, take)


def _table(
    workspace: Workspace, opened: Opened, kept: Upload, report: Report, take: Callable[[Upload], object]
) -> None:
    key = f"rows of {kept.digest}"
    keep_what_was_left(key)
    rows = opened.page(0, MOST_ROWS)
    asked = [row for row in rows if len(row.conversation) == 1 and row.conversation[0].input.strip()]
    why: dict[int, str] = {}
    for one in report.findings.listed:
        why.setdefault(one.row, f"{MARK}{one.message()}")
    shown = [
        {
            "fact": row.number,
            WHY: why.get(row.number, ""),
            "question": row.conversation[0].input,
            "answer": row.conversation[0].output,
        }
        for row in asked
    ]
    st.caption(t("page.data.questions.what"))
    if others := len(rows) - len(asked):
        st.caption(t("page.data.questions.others_stay", count=others))
    text, above = st.column_config.TextColumn, st.container()
    after: Sequence[Mapping[str, Any]] = st.data_editor(
        shown,
        hide_index=True,
        num_rows="dynamic",
        disabled=[WHY],
        column_order=(WHY, "question", "answer") if why else ("question", "answer"),
        column_config={
            "fact": None,
            WHY: text(t("page.data.questions.check"), width="small"),
            "question": text(t("page.data.otherwise.question"), width="medium"),
            "answer": text(t("page.data.documents.answer"), width="large"),
        },
        height=min(MOST_HEIGHT, ROW_HEIGHT * (len(shown) + 2)),
        key=key,
    )
    now = [row for row in map(row_of, after) if row.question or row.answer or row.fact is not None]
    if now == [*map(row_of, shown)]:
        changed(None)
        return
    wrong = problems(now, one_answer=False) if now or len(asked) == len(rows) else []
    with above:
        offer_save(
            wrong,
            lambda: take(keep_version(workspace, kept, _lines(rows, asked, now), EDITED_BY_HAND)),
            "rows_save",
            "page.data.questions.unsaved.rows",
        )


def _lines(rows: Sequence[Row], asked: Sequence[Row], now: Sequence[EditedRow]) -> list[str]:
    """Every row as a conversation, in the file's order and the new ones behind; what is none as it stands."""
    changed = {row.fact: row for row in now if row.fact is not None}
    in_table = {row.number for row in asked}
    lines = []
    for row in rows:
        said = row.conversation
        if row.number in in_table:
            if (edited := changed.get(row.number)) is None:
                continue
            if (edited.question, edited.answer) != (said[0].input.strip(), said[0].output.strip()):
                said = (replace(said[0], input=edited.question, output=edited.answer),)
        lines.append(json.dumps(as_row(said), ensure_ascii=False) if said else " ".join(row.text.split()))
    new = (one_turn(row.question, row.answer) for row in now if row.fact is None)
    return [*lines, *(json.dumps(as_row(one), ensure_ascii=False) for one in new)]

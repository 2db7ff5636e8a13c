"""The table of a document's questions and answers: what to look at is marked, and all can be changed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from core.data.documents.edited import EditedRow, RowProblem, as_rows, edited, problems
from core.data.documents.facts import DocumentRows, Fact
from core.data.upload import Upload, keep_edited
from core.proof.facts import facts_of
from core.workspace.paths import Workspace
from ui.data.unsaved import changed, keep_changes, keep_what_was_left
from ui.shell.text import t

MARK = "⚠️ "
WHY = "check"
# In which order the columns stand; the place of a fact is seen by nobody.
COLUMNS = (WHY, "question", "answer", "others", "tested")
ROW_HEIGHT, MOST_HEIGHT = 35, 560


def edit_questions(
    workspace: Workspace,
    found: DocumentRows,
    kept: Upload | None,
    both: bool,
    take: Callable[[Upload], object],
) -> None:
    """The table; once what was changed in it is saved, or left, the version of the document that says so is
    to be ``take``n. ``kept``: the document as it is now, None where nobody knows any more what it was, and
    nothing can be saved."""
    rows, tested = as_rows(found), _tested(found, both)
    marked = sum(bool(row[WHY]) for row in rows)
    shown = [
        {**row, WHY: f"{MARK}{row[WHY]}" if row[WHY] else "", "tested": tested[row["fact"]]} for row in rows
    ]
    count, key = sum(map(bool, tested)), f"document_facts {kept.digest if kept else len(shown)} {both}"
    keep_what_was_left(key)
    st.caption(t("page.data.questions.what"))
    if marked:
        st.caption(t("page.data.questions.marked", mark=MARK.strip(), count=marked))
    above = st.container()
    after: Sequence[Mapping[str, Any]] = st.data_editor(
        shown,
        hide_index=True,
        num_rows="dynamic" if kept else "fixed",
        disabled=True if kept is None else [name for name in COLUMNS if name not in ("question", "answer")],
        column_order=COLUMNS if marked else COLUMNS[1:],
        column_config=_columns(),
        height=min(MOST_HEIGHT, ROW_HEIGHT * (len(shown) + 2)),
        key=key,
    )
    st.caption(t("page.data.documents.tested.what", count=count, of=len(tested)))
    now = [row for row in map(row_of, after) if row.question or row.answer or row.fact is not None]
    if kept is None or now == [*map(row_of, shown)]:
        changed(None)
        return
    with above:
        offer_save(
            problems(now),
            lambda: take(keep_edited(workspace, kept, edited(found, now))),
            "document_save",
            "page.data.questions.unsaved",
        )


def offer_save(wrong: Sequence[RowProblem], keep: Callable[[], object], key: str, unsaved: str) -> None:
    """One button, which is off as long as anything is ``wrong``; all of that is said at once. What is right
    is kept by ``keep`` once it is pressed, and also where the table is left. ``unsaved``: the key of what is
    said until then."""
    changed(None if wrong else keep)
    if wrong:
        st.error("  \n".join(one.text() for one in wrong), icon=":material/error:")
    label = t("page.data.questions.save")
    st.caption(t(unsaved))  # the table's own buttons lie over the end of what stands above it
    if st.button(label, type="primary", icon=":material/save:", disabled=bool(wrong), key=key):
        keep_changes()
        st.rerun()


def row_of(row: Mapping[str, Any]) -> EditedRow:
    """As it stands in a table; a cell that was emptied holds nothing."""
    place = row.get("fact")
    return EditedRow(
        str(row.get("question") or "").strip(),
        str(row.get("answer") or "").strip(),
        None if place is None else int(place),
    )


def _columns() -> dict[str, Any]:
    text = st.column_config.TextColumn
    return {
        "fact": None,
        WHY: text(t("page.data.questions.check"), width="small"),
        # A new row is empty, not "None".
        "question": text(t("page.data.documents.question"), width="medium", default=""),
        "answer": text(t("page.data.documents.answer"), width="large", default=""),
        "others": text(t("page.data.questions.others"), width="medium", default=""),
        "tested": text(t("page.data.documents.tested"), width="medium", default=""),
    }


def _tested(found: DocumentRows, both: bool) -> list[str]:
    """Of each fact what the final test asks for it; empty where it asks nothing."""
    kept = {(one.question, one.answer) for one in facts_of(found, both)}
    return [
        next((one for one in _may_be_asked(fact) if (one, fact.answer) in kept), "") for fact in found.facts
    ]


def _may_be_asked(fact: Fact) -> tuple[str, ...]:
    return (*fact.tested_abroad, *fact.tested, *fact.questions)

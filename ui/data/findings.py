"""What a check found: its numbers, everything fixed at once, and each problem with the row it is in."""

from collections.abc import Callable, Sequence
from itertools import islice

import streamlit as st

from core.data.accounting import PARTS, left_out, unused
from core.data.checking.report import Report
from core.data.findings import KINDS, Finding
from core.data.opening import Opened
from core.data.upload import Upload
from core.steps.check_request import CheckRequest
from core.wording import language_named, percent
from core.workspace.paths import Workspace
from ui.data.repair import repair
from ui.data.row_editor import edit_rows
from ui.data.unread import LOOKED, show_omissions, show_unused
from ui.shell.frame import clicked, list_key
from ui.shell.text import language, spoken, t

SHOWN = 200
LONGEST = 2000
# So many examples of a kind, in a row so many pixels high.
EXAMPLES, ROW_HEIGHT = 3, 56


def show_findings(
    workspace: Workspace,
    request: CheckRequest,
    opened: Opened,
    kept: Upload,
    report: Report,
    take: Callable[[Upload], object],
) -> Upload | None:
    """The report; a new version of the file when its problems were fixed. One whose rows were changed by hand
    is to be ``take``n."""
    show_numbers(report)
    if report.rows > LOOKED:  # of fewer it was said where one chooses what is left out
        show_unused(unused(report.unread), report.rows)
    show_omissions(left_out(report.findings, PARTS))
    if report.answer_tokens_lost:
        lost = percent(report.answer_tokens_lost / max(1, report.answer_tokens))
        cut = t("page.data.cut", count=report.truncated_rows, limit=report.max_length, lost=lost)
        st.warning(cut, icon=":material/content_cut:")
    if not report.findings.listed:
        st.success(t("check.none"), icon=":material/check:")
        edit_rows(workspace, opened, kept, report, take)
        return None
    if report.usable == report.rows and not any(KINDS[one.code].fixes for one in report.findings.listed):
        st.success(t("page.data.fine"), icon=":material/check:")
    made = repair(workspace, request, opened, kept, report)
    panel = st.expander(
        t("page.data.problems", count=sum(report.findings.counts.values())),
        icon=":material/list:",
        key="findings",
        on_change="rerun",
    )
    if panel.open:
        with panel:
            show_problems(opened, kept, report)
    edit_rows(workspace, opened, kept, report, take)
    return made


def show_numbers(report: Report) -> None:
    languages = " · ".join(
        f"{language_named(code)} {count:,}" for code, count in list(report.languages.items())[:5]
    )
    always = ("rows", "usable", "tokens")
    with st.container(horizontal=True, gap="medium", key="check_numbers"):
        for name in (*always, "truncated_rows", "answer_tokens_lost", "duplicates"):
            if (count := getattr(report, name)) or name in always:
                st.metric(t(f"check.{name}"), f"{count:,}", width="content")
    if languages:
        st.caption(t("check.languages.are", languages=languages))


def show_problems(opened: Opened, kept: Upload, report: Report) -> None:
    """A line for each kind of problem, what is broken first, with some examples; of a picked kind its rows,
    and of a picked one of these the row as the file has it."""
    counts = report.findings.counts
    codes = sorted(counts, key=lambda code: (KINDS[code].usable, -counts[code]))
    found = {code: [one for one in report.findings.listed if one.code == code] for code in codes}
    key = list_key("kinds", [kept.digest, *codes])
    examples = {code: examples_of(found[code]) for code in codes}
    st.dataframe(
        [kind_of(code, counts[code], examples[code]) for code in codes],
        hide_index=True,
        on_select="rerun",
        selection_mode=("single-row", "single-cell"),
        row_height=ROW_HEIGHT if any(len(some) > 1 for some in examples.values()) else None,
        key=key,
    )
    place = clicked(key)
    code = codes[0] if len(codes) == 1 else None if place is None else codes[place]
    if code is None:
        st.caption(t("page.data.problems.pick"))
    else:
        show_kind(opened, kept, code, found[code], counts[code])


def kind_of(code: str, count: int, examples: Sequence[str]) -> dict[str, object]:
    """A kind of problem: how often it is there, what becomes of such rows, and examples."""
    trained = "page.data.problems.kept" if KINDS[code].usable else "page.data.problems.broken"
    return {
        t("page.data.problems.kind"): spoken(f"code.{code}"),
        t("page.data.problems.count"): f"{count:,}",
        t("page.data.problems.trained"): t(trained),
        t("page.data.problems.examples"): spoken("row.separator").join(examples),
    }


def examples_of(found: Sequence[Finding]) -> list[str]:
    """What is said of some of them, no sentence twice."""
    told: dict[str, int] = {}
    for one in found[:SHOWN]:
        told.setdefault(one.message(language()), one.row)
    each = (spoken("page.data.problems.example", row=row, message=said) for said, row in told.items())
    return list(islice(each, EXAMPLES))


def show_kind(opened: Opened, kept: Upload, code: str, found: Sequence[Finding], count: int) -> None:
    """The rows of one kind, a line each."""
    rows = sorted(found, key=lambda one: one.row)[:SHOWN]
    picked = st.dataframe(
        [line_of(one) for one in rows],
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=list_key("problems", [kept.digest, code, *(one.row for one in rows)]),
    )
    if count > SHOWN:
        st.caption(t("page.data.shown", shown=SHOWN, count=f"{count:,}"))
    show_rows(opened, [rows[place] for place in picked.selection.rows])


def line_of(found: Finding) -> dict[str, object]:
    return {
        t("check.row"): found.row,
        t("check.message"): found.message(language()),
        t("check.field"): found.field,
    }


def show_rows(opened: Opened, found: Sequence[Finding]) -> None:
    for row in opened.rows([one.row for one in found]):
        st.code(row.text[:LONGEST], language="json", wrap_lines=True)

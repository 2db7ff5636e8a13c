"""What a check found, by kind: each opens the rows it means, and shows what mending them would change."""

import difflib
import html
from collections.abc import Iterator, Sequence

import streamlit as st

from core.data.accounting import PARTS, left_out, unused
from core.data.checking.report import Report
from core.data.findings import KINDS, Finding
from core.data.fixes import Change, changes, fields_of, version
from core.data.opening import Opened
from core.data.upload import Upload, keep_version
from core.steps import check
from core.steps.check import CheckRequest
from core.wording import percent
from core.workspace.paths import Workspace
from ui.data.unread import show_omissions, show_unused
from ui.shell.frame import list_key
from ui.shell.text import language, t

SHOWN = 100
SHOWN_CHANGES = 5
LONGEST = 2000
# The switch that leaves broken rows out of the training, by its key.
LEAVE_OUT = "data_leave_out"
ASKED_TO_LEAVE_OUT = "data_asked_to_leave_out"
STYLE = """<style>
.tb-diff{white-space:pre-wrap;overflow-wrap:anywhere;font-family:monospace;font-size:.85rem;margin:0 0 .8rem}
.tb-diff del{background:rgba(248,81,73,.25)}
.tb-diff ins{background:rgba(46,160,67,.28);text-decoration:underline}
</style>"""


def show_findings(
    workspace: Workspace, request: CheckRequest, opened: Opened, kept: Upload, report: Report
) -> Upload | None:
    """The report; a new version of the file when one of its kinds was mended."""
    show_numbers(report)
    show_unused(unused(report.unread), report.rows)
    show_omissions(left_out(report.findings, PARTS))
    if report.answer_tokens_lost:
        lost = percent(report.answer_tokens_lost / max(1, report.answer_tokens))
        cut = t("page.data.cut", count=report.truncated_rows, limit=report.max_length, lost=lost)
        st.warning(cut, icon=":material/content_cut:")
    by_code: dict[str, list[Finding]] = {}
    for finding in report.findings.listed:
        by_code.setdefault(finding.code, []).append(finding)
    if not by_code:
        st.success(t("check.none"), icon=":material/check:")
    if report.usable and (broken := report.rows - report.usable) and not st.session_state.get(LEAVE_OUT):
        pressed = st.button(
            t("page.data.leave_out.do", count=f"{broken:,}"),
            icon=":material/playlist_remove:",
            help=t("page.data.leave_out.help"),
            key=f"leave_out {kept.digest}",
        )
        if pressed:  # the switch stands outside of this fragment: the whole page draws it anew
            st.session_state[ASKED_TO_LEAVE_OUT] = True
            st.rerun()
    made = None
    for code in sorted(by_code, key=lambda code: (KINDS[code].usable, -report.findings.counts[code])):
        made = (
            show_kind(workspace, request, opened, kept, by_code[code], report.findings.counts[code]) or made
        )
    return made


def show_numbers(report: Report) -> None:
    spoken = " · ".join(f"{name} {count:,}" for name, count in list(report.languages.items())[:5])
    with st.container(horizontal=True, gap="medium", key="check_numbers"):
        for name in ("rows", "usable", "tokens", "truncated_rows", "answer_tokens_lost", "duplicates"):
            st.metric(t(f"check.{name}"), f"{getattr(report, name):,}", width="content")
    if spoken:
        st.caption(t("check.languages.are", languages=spoken))


def show_kind(
    workspace: Workspace,
    request: CheckRequest,
    opened: Opened,
    kept: Upload,
    found: Sequence[Finding],
    count: int,
) -> Upload | None:
    """One kind of finding behind its line."""
    code = found[0].code
    icon = ":material/info:" if KINDS[code].usable else ":material/error:"
    title = t("page.data.kind", what=t(f"code.{code}"), count=f"{count:,}")
    panel = st.expander(title, icon=icon, key=f"finding {code}", on_change="rerun")
    if not panel.open:
        return None
    with panel:
        rows = [
            {
                t("check.row"): one.row,
                t("check.field"): one.field,
                t("check.message"): one.message(language()),
            }
            for one in found[:SHOWN]
        ]
        picked = st.dataframe(
            rows,
            hide_index=True,
            on_select="rerun",
            selection_mode="single-row",
            key=list_key(f"rows {code}", [kept.digest, *(one.row for one in found)]),
        )
        if count > SHOWN:
            st.caption(t("page.data.shown", shown=SHOWN, count=f"{count:,}"))
        for place in picked.selection.rows:
            show_row(opened, found[place])
        made = [offer_fix(workspace, request, opened, kept, found, fix) for fix in KINDS[code].fixes]
        return next(filter(None, made), None)


def line_of(found: Finding) -> dict[str, object]:
    said = found.message(language())
    return {t("check.row"): found.row, t("check.message"): said, t("check.field"): found.field}


def show_row(opened: Opened, finding: Finding) -> None:
    for row in opened.rows([finding.row]):
        st.code(row.text[:LONGEST], language="json", wrap_lines=True)


def offer_fix(
    workspace: Workspace,
    request: CheckRequest,
    opened: Opened,
    kept: Upload,
    found: Sequence[Finding],
    fix: str,
) -> Upload | None:
    """The difference that mending makes, and the button that makes it; the file itself stays as it is."""
    code = found[0].code
    if not st.toggle(t(f"fix.{fix}"), key=f"mend {code} {fix} {kept.digest}"):
        return None
    values = ask_values(request, kept, found, fix)
    made = list(changes(opened, found, check.marks(workspace, request), fix, values))
    st.html(STYLE + "".join(map(difference, made[:SHOWN_CHANGES])))
    if values and not any(values.values()):
        st.caption(t("page.data.value.none"))
    elif not made:
        st.caption(t("page.data.no_fix"))
    elif st.button(
        t("page.data.mend", count=f"{len(made):,}"),
        icon=":material/build:",
        key=f"apply {code} {fix} {kept.digest}",
    ):
        return keep_version(
            workspace, kept, version(opened, {change.row: change.after for change in made}), code
        )
    return None


def ask_values(request: CheckRequest, kept: Upload, found: Sequence[Finding], fix: str) -> dict[str, str]:
    """What the fix puts in, by field: nothing for a fix that needs no words of a person."""
    asked = fields_of(fix, found, {"name": request.name, "author": request.author})
    return {
        field: st.text_input(
            t(f"page.data.value.{field if field in ('name', 'author') else 'other'}", field=field),
            suggested,
            key=f"value {fix} {field} {kept.digest}",
        )
        for field, suggested in asked.items()
    }


def difference(change: Change) -> str:
    """A row before and after, with what goes struck through and what comes underlined."""
    before, after = change.before[:LONGEST], (change.after or "")[:LONGEST]
    gone = change.after is None
    body = f"<del>{html.escape(before)}</del>" if gone else "".join(_marked(before, after))
    row = html.escape(t("page.data.row", number=change.row))
    return f'<small>{row}</small><div class="tb-diff">{body}</div>'


def _marked(before: str, after: str) -> Iterator[str]:
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for kind, start, end, begin, stop in matcher.get_opcodes():
        gone, come = html.escape(before[start:end]), html.escape(after[begin:stop])
        if kind == "equal":
            yield gone
        else:
            yield (f"<del>{gone}</del>" if gone else "") + (f"<ins>{come}</ins>" if come else "")

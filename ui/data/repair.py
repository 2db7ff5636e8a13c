"""Everything that a check found fixed at once: how each kind is fixed, what that changes, and one button."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from core.data.checking.report import Report
from core.data.findings import KINDS, Finding
from core.data.fixes import Change, Given, Unfixed, all_changes, fields_of, version
from core.data.opening import Opened
from core.data.upload import Upload, keep_version
from core.steps import check
from core.steps.check_request import CheckRequest
from core.workspace.paths import Workspace
from ui.data.difference import STYLE, change_html, change_said, unfixed_html
from ui.data.rows import STYLE as ROWS
from ui.shell.text import t

PAGE = 5
# Examples of a kind of change, and of rows that stay as they are.
EXAMPLES, SHOWN_UNFIXED = 3, 3
# What is chosen for a kind that is not fixed.
LEAVE = ""


@dataclass(frozen=True)
class Repair:
    """How a file is fixed: each code by which fix, with which values, and whether rows that even so cannot be
    trained are left out."""

    fixes: tuple[tuple[str, str], ...]
    values: tuple[tuple[str, str], ...]
    without_broken: bool


def repair(
    workspace: Workspace, request: CheckRequest, opened: Opened, kept: Upload, report: Report
) -> Upload | None:
    """The choice, its difference and its button; a new version of the file once it was pressed."""
    by_code: dict[str, list[Finding]] = {}
    for finding in report.findings.listed:
        if KINDS[finding.code].fixes:
            by_code.setdefault(finding.code, []).append(finding)
    if not by_code:
        return None
    st.markdown(f"**{t('page.data.fix.title')}**")
    st.caption(t("page.data.fix.lead"))
    fixes = choose_fixes(by_code, kept)
    values = ask_values(request, kept, by_code, fixes)
    asked = Repair(tuple(fixes.items()), tuple(values.items()), without_broken=False)
    found = what_changes(workspace, request, report, opened, asked)
    if show_unfixed([one for one in found if isinstance(one, Unfixed)], kept):
        asked = Repair(asked.fixes, asked.values, without_broken=True)
        found = what_changes(workspace, request, report, opened, asked)
    made = [one for one in found if isinstance(one, Change)]
    if not made:
        return None
    show_changes(made, kept)
    if st.button(
        t("page.data.mend", count=f"{len(made):,}"),
        icon=":material/build:",
        type="primary",
        key=f"apply {kept.digest}",
    ):
        lines = version(opened, {change.row: change.after for change in made})
        codes = [code for code in fixes if any(code in change.codes for change in made)]
        return keep_version(workspace, kept, lines, ",".join(codes))
    return None


def choose_fixes(by_code: Mapping[str, Sequence[Finding]], kept: Upload) -> dict[str, str]:
    """The fix of each kind; what keeps a row from being trained, and what nobody wants to teach, is fixed
    unless a person says otherwise."""
    ordered = sorted(by_code, key=lambda code: (KINDS[code].usable, -len(by_code[code])))
    columns = st.columns(2)
    chosen: dict[str, str] = {}
    for place, code in enumerate(ordered):
        choices = (*KINDS[code].fixes, LEAVE)
        advised = KINDS[code].advised or LEAVE
        rows = len({one.row for one in by_code[code]})
        chosen[code] = columns[place % 2].selectbox(
            t("page.data.kind.rows", what=t(f"code.{code}"), count=rows),
            choices,
            index=choices.index(advised),
            format_func={
                fix: t(f"fix.{fix}" if fix else "page.data.fix.leave") for fix in choices
            }.__getitem__,
            key=f"fix {code} {kept.digest}",
        )
    return {code: fix for code, fix in chosen.items() if fix != LEAVE}


def ask_values(
    request: CheckRequest, kept: Upload, by_code: Mapping[str, Sequence[Finding]], fixes: Mapping[str, str]
) -> dict[str, str]:
    """What the fixes put in, by field: what the page knows already, and what a person types."""
    known = {"name": request.name, "author": request.author}
    wanted: dict[str, str] = {}
    for code, fix in fixes.items():
        for field, suggested in fields_of(fix, by_code[code], known).items():
            wanted[field] = wanted.get(field) or suggested
    given = {field: value for field, value in wanted.items() if value and value in known.values()}
    asked = {field: value for field, value in wanted.items() if field not in given}
    if not asked:
        return given
    columns = st.columns(2)
    return given | {
        field: columns[place % 2].text_input(
            t(f"page.data.value.{field if field in ('name', 'author') else 'other'}", field=field),
            suggested,
            key=f"value {field} {suggested} {kept.digest}",
        )
        for place, (field, suggested) in enumerate(asked.items())
    }


def what_changes(
    workspace: Workspace, request: CheckRequest, report: Report, opened: Opened, asked: Repair
) -> list[Change | Unfixed]:
    """Every press draws the page anew: the same question is answered once."""
    return _known_changes(request, report.sha256, asked, workspace, report, opened)


@st.cache_resource(show_spinner=False, max_entries=4)
def _known_changes(
    request: CheckRequest,
    digest: str,  # noqa: ARG001
    asked: Repair,
    _workspace: Workspace,
    _report: Report,
    _opened: Opened,
) -> list[Change | Unfixed]:
    values = {field: value for field, value in asked.values if value.strip()}
    given = Given(check.marks(_workspace, request), values)
    return [*all_changes(_opened, _report.findings.listed, dict(asked.fixes), given, asked.without_broken)]


def show_unfixed(found: Sequence[Unfixed], kept: Upload) -> bool:
    """The rows that stay as they are, with the reasons; whether those that cannot be trained are left out."""
    if not found:
        return False
    broken = [one for one in found if one.why]
    st.caption(t("page.data.fix.unfixed", count=len(found)))
    st.html(
        ROWS + "".join(map(unfixed_html, [*broken, *(one for one in found if not one.why)][:SHOWN_UNFIXED]))
    )
    return bool(broken) and st.toggle(
        t("page.data.fix.remove_rest", count=len(broken)), value=True, key=f"fix_rest {kept.digest}"
    )


def show_changes(made: Sequence[Change], kept: Upload) -> None:
    """How many rows change and how many go; of each kind of change some examples, before and after, and
    behind a switch each of them, a page at a time."""
    gone = sum(change.after is None for change in made)
    st.markdown(f"**{t('page.data.fix.preview')}**")
    st.caption(t("page.data.fix.would", changed=len(made) - gone, gone=gone))
    ordered = sorted(made, key=lambda change: (change.after is None, change.row))
    kinds: dict[tuple[bool, tuple[str, ...]], list[Change]] = {}
    for change in ordered:
        kinds.setdefault((change.after is None, tuple(change.codes)), []).append(change)
    if len(made) <= PAGE or all(len(some) <= EXAMPLES for some in kinds.values()):
        draw_changes(ordered)
        return
    for some in kinds.values():
        st.markdown(t("page.data.fix.kind", what=change_said(some[0]), count=len(some)))
        different = {one.said: one for one in reversed(some)}  # the first of those that say the same
        draw_changes(sorted(different.values(), key=lambda one: one.row)[:EXAMPLES])
    every = st.expander(t("page.data.fix.every", count=len(made)), key="fix_every", on_change="rerun")
    if every.open:
        with every:
            pages = -(-len(ordered) // PAGE)
            page = st.pagination(pages, key=f"fix_page {kept.digest}") if pages > 1 else 1
            draw_changes(ordered[(page - 1) * PAGE : page * PAGE])


def draw_changes(made: Sequence[Change]) -> None:
    st.html(ROWS + STYLE + "".join(map(change_html, made)))

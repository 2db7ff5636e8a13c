"""A data file on its page: what it is, its first rows, what is wrong with it, and what mends it."""

import html
from contextlib import suppress
from dataclasses import replace
from functools import partial

import streamlit as st

from core.data.formats.reading import COLUMN_ROLES
from core.data.formats.shapes import COLUMNS, FORMATS
from core.data.identity import LONGEST_NAME
from core.data.opening import Opened, Reading, Row, open_data
from core.data.unknown import said_of_tables
from core.data.upload import EDITED_BY_HAND, Upload, file_of, find_upload
from core.errors import InputError, NoSuchModel
from core.jobs.launch import launch, stop
from core.jobs.status import Status, status_of
from core.models.folder import find_model, read_model
from core.pipeline.tune_request import keeps_thoughts
from core.steps import check
from core.steps.check import CheckRequest
from core.workspace.data_paths import cache_of
from core.workspace.paths import Workspace
from core.workspace.user import user_name
from ui.data.findings import show_findings
from ui.data.newest import take_newest, take_reading
from ui.data.rows import STYLE, row_html, row_named, turns_html
from ui.data.unread import choose_unread
from ui.jobs.failure import show_failure
from ui.jobs.panel import is_live
from ui.shell.danger import danger_button
from ui.shell.frame import follow
from ui.shell.text import spoken, t

# In the session: the file that the page is about.
UPLOAD = "data_upload"
EVERY = 0.5
FIRST_ROWS = 3
LONGEST_RAW = 600
# Bytes of a file that is checked while the page is drawn (about a second), and of one that a job checks
# without being asked to (less than a minute).
AT_ONCE, UNASKED = 1_000_000, 50_000_000


def _thinks(workspace: Workspace, model: str | None, template: str) -> bool:
    """Whether the model that is to be trained can think before it answers; not one that is not there yet."""
    with suppress(InputError):
        return keeps_thoughts(read_model(find_model(workspace, model)), template)
    return False


def data_file(
    workspace: Workspace, kept: Upload, model: str | None, template: str, name: str
) -> tuple[Reading, bool]:
    """The panel of one kept file, checked for a training of ``model`` with ``template`` ("auto": the model's
    own) that teaches whose assistant it is, ``name``. Returns how its rows are read, and whether all of them
    are known to be fine."""
    opened = open_data(file_of(workspace, kept), cache_of(workspace))
    sheets = choose_sheets(opened, kept)
    reading = replace(choose_reading(opened, kept), sheets=sheets)
    if reading != Reading():
        opened = open_data(file_of(workspace, kept), cache_of(workspace), reading)
    st.caption(t("page.data.file.is", name=kept.name, rows=f"{kept.rows:,}", why=opened.reason))
    if opened.format:
        reading = choose_unread(opened, reading, kept, _thinks(workspace, model, template))
        if reading.thoughts:
            opened = open_data(file_of(workspace, kept), cache_of(workspace), reading)
    take_reading(kept, reading)
    with st.expander(t("page.data.file.first"), key="data_first", expanded=opened.format is None):
        st.html(STYLE + "".join(map(draw_row, opened.page(0, FIRST_ROWS))))
    request = CheckRequest(
        file_of(workspace, kept),
        model,
        None,
        None if template == "auto" else template,
        replace(reading, ignore=()),
        name.strip(),
        choose_author(),
    )
    offer_back(workspace, kept)
    if opened.format is None:
        st.warning(t("page.data.file.columns"), icon=":material/view_column:")
    else:
        follow_check(workspace, request, opened, kept)
    report = check.read(workspace, request)
    return reading, report is not None and report.usable == report.rows


def choose_sheets(opened: Opened, kept: Upload) -> tuple[str, ...]:
    """Which of several sheets, lists or files are read; what stands above a header is said."""
    tables = opened.source.tables
    if len(tables) == 1:
        tables = [replace(tables[0], name=kept.name)]
    for key, values in said_of_tables(tables):
        st.caption(t(key, **values))
    if len(tables) < 2:
        return ()
    usual = [table.name for table in tables if table.read]
    rows = {table.name: table.rows for table in tables}
    chosen = st.multiselect(
        t("page.data.file.sheets"),
        list(rows),
        default=usual,
        format_func=lambda name: t("source.table", name=name, rows=rows[name]),
        key=f"data_sheets {kept.digest}",
        persist_state="session",
    )
    return tuple(chosen) if chosen and chosen != usual else ()


def choose_reading(opened: Opened, kept: Upload) -> Reading:
    """The format: what was found out, unless a person says otherwise; columns are named one by one."""
    automatic = opened.format.name if opened.format else None
    choices = ["", *FORMATS] if automatic else [COLUMNS, *FORMATS[:-1]]
    chosen = st.selectbox(
        t("page.data.file.format"),
        choices,
        format_func=lambda name: t(f"format.{name}") if name else found_out(automatic),
        key=f"data_format {kept.digest}",
        persist_state="session",
    )
    if chosen != COLUMNS:
        return Reading(chosen or None)
    columns = {role: choose_column(role, opened, kept) for role in ("user", "assistant", "context", "system")}
    named = tuple((role, column) for role in COLUMN_ROLES if (column := columns[role]))
    return Reading(None, named) if columns["assistant"] else Reading()


def found_out(name: str | None) -> str:
    return spoken("page.data.file.found", format=t(f"format.{name or check.UNKNOWN}"))


def choose_column(role: str, opened: Opened, kept: Upload) -> str:
    return st.selectbox(
        t(f"page.data.column.{role}"),
        ["", *opened.detected.columns],
        format_func=lambda column: column or "–",
        key=f"data_column {role} {kept.digest}",
        persist_state="session",
    )


def choose_author() -> str:
    """Who made the assistant; only the check asks for it."""
    author: str = st.text_input(
        t("page.data.author"),
        max_chars=LONGEST_NAME,
        help=t("page.data.author.help"),
        key="data_author",
        persist_state="session",
    )
    return author.strip()


def draw_row(row: Row) -> str:
    """A row as a conversation, or as it stands in the file when it is none."""
    said = turns_html(row.conversation) or f'<div class="tb-text">{html.escape(row.text[:LONGEST_RAW])}</div>'
    wrong = "".join(f"<div><small>{html.escape(found.message())}</small></div>" for found in row.findings)
    return row_html(row_named(row.number), said + wrong)


def offer_back(workspace: Workspace, kept: Upload) -> None:
    """A version that mending made can be left for the one before."""
    parent = find_upload(workspace, kept.parent) if kept.parent else None
    if parent:
        if kept.fix == EDITED_BY_HAND:
            said = t("page.data.questions.changed")
        else:
            codes = spoken("row.list").join(spoken(f"code.{code}") for code in kept.fix.split(","))
            said = t("page.data.file.mended", code=codes)
        if way_back(said, "data_back"):
            choose_version(parent)


def way_back(said: str, key: str) -> bool:
    """What was done to a version, and whether the one before is wanted again."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(said, width="content")
        return st.button(t("page.data.file.back"), icon=":material/undo:", key=key)


def choose_version(kept: Upload) -> None:
    """Go on with another version of the file."""
    take_upload(kept)
    st.rerun()


def take_upload(kept: Upload) -> None:
    """The page is about this file from now on."""
    st.session_state[UPLOAD] = kept
    take_newest(kept, document=False)


def take_changed(parent: Upload, changed: Upload) -> None:
    """The page is about what was changed in ``parent``, if it still is about that."""
    if st.session_state.get(UPLOAD) == parent:
        take_upload(changed)


def follow_check(workspace: Workspace, request: CheckRequest, opened: Opened, kept: Upload) -> None:
    """The check, its progress and its findings. A file is checked as soon as it is there: a small one at
    once, a larger one by a job, a very large one when a person asks for it."""
    folder = check.where(workspace, request).root
    if check.read(workspace, request) is None and status_of(folder) is None:
        check_unasked(workspace, request, file_of(workspace, kept).stat().st_size)

    def draw(status: Status | None) -> None:
        if is_live(status):
            show_progress(workspace, request)
            return
        if status:
            show_failure(folder, status)
        report = check.read(workspace, request)
        if report is None:
            offer_check(workspace, request)
        take = partial(take_changed, kept)
        chosen = show_findings(workspace, request, opened, kept, report, take) if report else None
        if chosen:
            choose_version(chosen)

    follow(lambda: status_of(folder), draw, mark=is_live, every=lambda live: EVERY if live else None)


def check_unasked(workspace: Workspace, request: CheckRequest, size: int) -> None:
    """With a model that is to be downloaded first nothing is checked before a person asks for it."""
    with suppress(NoSuchModel):
        tokenizer = find_model(workspace, request.model) / "tokenizer.json"
        if size <= AT_ONCE and tokenizer.exists():
            with st.spinner(t("page.data.checking")):
                check.run(workspace, request, lambda _, __: None)
        elif size <= UNASKED:
            launch(check.where(workspace, request).root, check.plan(workspace, request))


def show_progress(workspace: Workspace, request: CheckRequest) -> None:
    st.progress(min(1.0, check.share(workspace, request)), text=t("page.data.checking"))
    if danger_button(t("page.data.stop"), "data_check_stop", ":material/stop:"):
        stop(check.where(workspace, request).root, user_name())


def offer_check(workspace: Workspace, request: CheckRequest) -> None:
    if st.button(
        t("page.data.check"),
        icon=":material/fact_check:",
        key="data_check",
        help=t("page.data.check.help"),
    ):
        launch(check.where(workspace, request).root, check.plan(workspace, request))
        st.rerun()

"""Why a job failed, the same on every page: the sentence, the log's own line, and a report to copy."""

from pathlib import Path

import streamlit as st

from core.jobs.failure import Failure, why_failed
from core.jobs.status import Status
from core.publish.report import report
from core.workspace.paths import Workspace
from ui.shell.frame import shown_errors
from ui.shell.text import language, plain, t


def show_failure(folder: Path, status: Status, name: str = "") -> None:
    """Why a job failed; nothing for one that did not. ``name``: which part of a larger work it was."""
    if why := why_failed(folder, status):
        show_why(why, name)


def show_why(why: Failure, name: str = "") -> None:
    """The sentence; what the tool did not say itself, its log's line shows, and of a failure that no rule
    knows how it ended and the log's last lines."""
    text = plain(why.text(language()))
    if name and not why.said and not why.words:
        text = t("failure.step", step=name, reason=why.text(language()))
    st.error(text, icon=":material/error:")
    if not why.is_known:
        _last_lines(why)
    elif why.line and not why.said:
        st.code(why.line, language=None, wrap_lines=True)
    _offer_report(why)


def _last_lines(why: Failure) -> None:
    lines = why.last()
    st.caption("  \n".join(filter(None, (why.ended(language()), t("failure.last", count=len(lines))))))
    if lines:
        with st.container(height=280, border=False, autoscroll=True, key=f"last lines {_key(why)}"):
            st.code("\n".join(lines), language=None, wrap_lines=True)


def _offer_report(why: Failure) -> None:
    """Made when it is asked for: it reads what the run was trained on. Beside it, where the whole log is."""
    label, help_text = t("failure.report"), t("failure.report.help")
    with st.container(horizontal=True, vertical_alignment="center", key=f"failed {_key(why)}"):
        box = st.popover(
            label,
            icon=":material/content_copy:",
            help=help_text,
            key=f"report {_key(why)}",
            on_change="rerun",
        )
        st.caption(t("failure.log", path=why.log), width="content")
    if not box.open:
        return
    with box, shown_errors():
        text = report(Workspace.of(), why.log.parent)
        st.caption(t("failure.report.copy"))
        with st.container(height=420, border=False):
            st.code(text, language=None, wrap_lines=True)
        st.download_button(
            t("failure.report.download"),
            text,
            file_name="tuneboard-report.txt",
            mime="text/plain",
            icon=":material/download:",
            on_click="ignore",
            key=f"report file {_key(why)}",
        )


def _key(why: Failure) -> str:
    """No other job's on any page."""
    return f"{why.log.parent.parent.name} {why.log.parent.name}"

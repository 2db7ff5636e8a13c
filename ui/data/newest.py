"""The file of the start page's card: a newer one that was chosen on the Data page counts, and one is read as
was chosen there."""

from dataclasses import replace
from datetime import datetime

import streamlit as st

from core.data.opening import Reading
from core.data.upload import EDITED_BY_HAND, Upload, file_of
from core.steps.step import megabytes
from core.workspace.paths import Workspace
from ui.shell.text import moment, spoken, t

# In the session: the card's file; and when a newer one was chosen on the Data page.
KEPT, SINCE = "wish_upload", "wish_newer_since"
# In the session: the Data page was opened to look at the card's file.
FROM_START = "data_from_start"
# How a text is read: of its facts questions are made, or its paragraphs are learned as they stand.
AS_DOCUMENT, AS_TEXT = "document", "text"


def take_newest(kept: Upload, document: bool) -> None:
    """Called when another file was chosen on the Data page, or a version of it made, to be read as a
    ``document`` or as rows: the card's file gives way to it. A card without a file stays as it is."""
    held: Upload | None = st.session_state.get(KEPT)
    if held is None or held.digest == kept.digest:
        return
    st.session_state[KEPT], st.session_state[SINCE] = kept, datetime.now()
    st.session_state[read_as_key(kept)] = AS_DOCUMENT if document else AS_TEXT


def read_as_key(kept: Upload) -> str:
    """Where the session has how a text is read."""
    return f"wish_read_as {kept.digest}"


def take_reading(kept: Upload, reading: Reading) -> None:
    """Called when the Data page has been told how a file is read: the card reads it so too."""
    st.session_state[_reading_key(kept)] = reading


def reading_of(kept: Upload) -> Reading:
    """How the card reads a file."""
    found: Reading = st.session_state.get(_reading_key(kept), Reading())
    return found


def _reading_key(kept: Upload) -> str:
    return f"wish_reading {kept.digest}"


def say_reading(kept: Upload) -> None:
    """On the card: that a file is not read as was found out, but as somebody chose. Whether thoughts are kept
    is a choice that the page makes itself."""
    reading = reading_of(kept)
    if replace(reading, thoughts=None) == Reading():
        return
    parts = [t(f"format.{reading.format}")] if reading.format else []
    parts += [f"{t(f'page.data.column.{role}')} {column}" for role, column in reading.columns]
    parts += reading.sheets
    what = spoken("row.list").join(parts)
    st.caption(t("page.start.data.read.what", what=what) if parts else t("page.start.data.read"))


def say_newest(workspace: Workspace, kept: Upload) -> None:
    """On the card: which file it is, if it came from the Data page in the place of the one before."""
    if since := st.session_state.get(SINCE):
        when = moment(since, datetime.now())
        if kept.fix == EDITED_BY_HAND:  # its table is no size that anybody knows
            st.caption(t("page.start.data.newest.edited", name=kept.name, when=when))
            return
        size = megabytes(file_of(workspace, kept).stat().st_size)
        st.caption(t("page.start.data.newest", name=kept.name, when=when, size=size))

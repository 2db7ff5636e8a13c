"""The file of the start page's card and a newer one that was chosen on the Data page: the newest counts."""

from datetime import datetime

import streamlit as st

from core.data.upload import Upload, file_of
from core.steps.step import megabytes
from core.workspace.paths import Workspace
from ui.shell.text import moment, t

# In the session: the card's file; and when a newer one was chosen on the Data page.
KEPT, SINCE = "wish_upload", "wish_newer_since"
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


def say_newest(workspace: Workspace, kept: Upload) -> None:
    """On the card: which file it is, if it came from the Data page in the place of the one before."""
    if since := st.session_state.get(SINCE):
        when = moment(since, datetime.now())
        size = megabytes(file_of(workspace, kept).stat().st_size)
        st.caption(t("page.start.data.newest", name=kept.name, when=when, size=size))

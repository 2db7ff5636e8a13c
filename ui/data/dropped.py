"""A person's own data on the card that makes an assistant: one file, taught beside whose the assistant is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from core.data.document_rows import document_of
from core.data.opening import read_usable
from core.data.reading.source import TEXTS
from core.data.upload import Upload, file_of, keep_upload
from core.errors import InputError
from core.workspace.paths import Workspace
from ui.data.documents import KEPT as DOCUMENT
from ui.data.form import REFUSED, refused_there, show_refused
from ui.shell.frame import go_to, shown_errors
from ui.shell.text import t

KEY, KEPT = "wish_file", "wish_upload"
# What most people have; the Data page takes more.
KINDS = ("csv", "json", "jsonl", "md", "parquet", "txt", "xlsx", "zip")
TEXT_KINDS = {suffix.removeprefix(".") for suffix in TEXTS}


@dataclass(frozen=True)
class Contents:
    """How many conversations of a file can be taught, and how many rows cannot; of a document, how many
    ``facts`` they ask for, and how many pieces of it nothing asks for."""

    taught: int
    left_out: int
    facts: int = 0


def dropped_file(workspace: Workspace) -> Path | None:
    """What is taught; None without a file, or with one that nothing can be taught of."""
    st.file_uploader(t("page.start.data"), type=KINDS, key=KEY, on_change=_take, args=(workspace,))
    show_refused(KEY, chosen=True)
    kept: Upload | None = st.session_state.get(KEPT)
    return _told(workspace, kept) if kept else None


def _take(workspace: Workspace) -> None:
    """Called when a file is dropped or taken away, not when the page is left and come back to."""
    for name in (KEPT, REFUSED):
        st.session_state.pop(name, None)
    if file := st.session_state[KEY]:
        with refused_there(KEY):
            st.session_state[KEPT] = keep_upload(workspace, file.getvalue(), file.name)


def _told(workspace: Workspace, kept: Upload) -> Path | None:
    """What is in it; where nothing of it can be taught, why, and where that can be mended."""
    file, found = file_of(workspace, kept), None
    with shown_errors(), by_name(kept):
        found = _contents(file)
    with st.container(horizontal=True, vertical_alignment="center", key="wish_contents"):
        if found:
            st.markdown(_said(kept, found), width="content")
        if (found is None or found.left_out or found.facts) and st.button(
            t("page.start.data.look"), key="wish_look", icon=":material/search:"
        ):
            if found and found.facts:
                st.session_state[DOCUMENT], st.session_state["data_source"] = file, "documents"
            else:
                st.session_state["data_upload"], st.session_state["data_source"] = kept, "upload"
            go_to("data", None)
    return file if found else None


def _said(kept: Upload, found: Contents) -> str:
    """How much is taught, and how much cannot be."""
    if found.facts:
        said = t("page.start.data.facts", name=kept.name, facts=found.facts, count=found.taught)
        unused = t("page.data.documents.unused", count=found.left_out) if found.left_out else ""
        return f"{said} {unused}".strip()
    what = "text" if kept.kind in TEXT_KINDS else "rows"
    said = t(f"page.start.data.{what}", name=kept.name, count=found.taught)
    return f"{said} {t('page.start.data.left_out', count=found.left_out)}" if found.left_out else said


@contextmanager
def by_name(kept: Upload) -> Iterator[None]:
    """What is wrong with a file is said of the name it came with, not of where it is kept."""
    try:
        yield
    except InputError as error:
        error.values["path"] = kept.name
        raise


@st.cache_data(show_spinner=False, max_entries=16)
def _contents(file: Path) -> Contents:
    """A kept file is named by what it says: it never changes. It is read as it is taught."""
    if document := document_of(file):
        return Contents(len(document.conversations), len(document.unused), len(document.facts))
    usable = read_usable(file)
    return Contents(len(usable.conversations), usable.rows_left_out)

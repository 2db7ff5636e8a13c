"""A person's own data on the card that makes an assistant: one file, taught beside whose the assistant is."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from core.data.documents.rows import document_of
from core.data.opening import Reading, read_usable, saved_from
from core.data.reading.archives import TEXTS
from core.data.upload import Upload, file_of, keep_document, keep_upload, suffix_of
from core.errors import InputError, TuneboardError
from core.proof.facts import facts_of
from core.workspace.paths import Workspace
from ui.data.documents import KEPT as DOCUMENT
from ui.data.file import UPLOAD
from ui.data.form import REFUSED, refused_there, show_refused
from ui.data.newest import (
    AS_DOCUMENT,
    AS_TEXT,
    FROM_START,
    KEPT,
    SINCE,
    read_as_key,
    reading_of,
    say_newest,
    say_reading,
)
from ui.data.removing import removable
from ui.data.spoken import language_of_rows
from ui.data.unsaved import keep_changes
from ui.shell.frame import go_to, shown_errors
from ui.shell.text import spoken, t, together

KEY = "wish_file"
# In the session: the card's file was dropped there just now, and is not yet what the Data page is about.
FRESH = "wish_fresh"
# Documents alone, of which no row is ever data.
NO_DATA = ("pdf", "docx", "html", "htm")
TEXT_KINDS = {suffix.removeprefix(".") for suffix in TEXTS}


@dataclass(frozen=True)
class Dropped:
    """A file that is taught; ``document``: whether a text is read as one; ``reading``: how its rows are."""

    file: Path | None = None
    document: bool | None = None
    reading: Reading = Reading()


@dataclass(frozen=True)
class Contents:
    """How many conversations of a file can be taught, and how many rows cannot; of a document, how many
    ``facts`` they ask for, how many of these the proof asks (``tested``), and how many pieces of it nothing
    asks for. ``language``: what it is written in, by its code; empty where that cannot be told.
    ``taken_for``: what a text was saved from, by a word for it; ``as_text``: it is learned as it stands."""

    taught: int
    left_out: int
    facts: int = 0
    tested: int = 0
    language: str = ""
    taken_for: str = ""
    as_text: bool = True


def dropped_file(workspace: Workspace) -> Dropped:
    """What is taught; no file where there is none, or one that nothing can be taught of."""
    # Of any kind: why one cannot be read is said here, in the page's language and with what to do.
    st.file_uploader(t("page.start.data"), key=KEY, on_change=_take, args=(workspace,))
    show_refused(KEY, chosen=True)
    keep_changes()
    kept: Upload | None = st.session_state.get(KEPT)
    return _told(workspace, kept) if kept else Dropped()


def dropped_language(workspace: Workspace) -> str:
    """What the file that is taught is written in, by its code; empty where nobody can tell."""
    kept: Upload | None = st.session_state.get(KEPT)
    with suppress(TuneboardError):  # what is wrong with it is said where it was dropped
        return _contents(file_of(workspace, kept), None, reading_of(kept)).language if kept else ""
    return ""


def _take(workspace: Workspace) -> None:
    """Called when a file is dropped or taken away, not when the page is left and come back to."""
    for name in (KEPT, REFUSED, SINCE):
        st.session_state.pop(name, None)
    if file := st.session_state[KEY]:
        with refused_there(KEY):
            keep = keep_document if suffix_of(file.name) in NO_DATA else keep_upload
            st.session_state[KEPT] = keep(workspace, file.getvalue(), file.name)
            st.session_state[FRESH] = True


def _told(workspace: Workspace, kept: Upload) -> Dropped:
    """What is in it; where nothing of it can be taught, why, and where that can be mended."""
    file, found = file_of(workspace, kept), None
    with shown_errors(), by_name(kept):
        document = _as_document(file, kept)
        found = _contents(file, document, reading_of(kept))
    with st.container(horizontal=True, vertical_alignment="center", key="wish_contents"):
        if found:
            st.markdown(_said(kept, found), width="content")
        if st.button(t("page.start.data.look"), key="wish_look", icon=":material/search:"):
            st.session_state["data_source"] = _give_data_page(workspace, kept, found)
            st.session_state["data_name"] = st.session_state.get("wish_name", "")
            st.session_state[FROM_START] = True
            go_to("data", None)
        removable(kept.name, KEY, KEPT, REFUSED, SINCE)
    say_newest(workspace, kept)
    say_reading(kept)
    if st.session_state.pop(FRESH, False):
        older = [st.session_state.pop(name) for name in (DOCUMENT, UPLOAD) if name in st.session_state]
        if older:
            _give_data_page(workspace, kept, found)
    return Dropped(file, document, reading_of(kept)) if found else Dropped()


def _give_data_page(workspace: Workspace, kept: Upload, found: Contents | None) -> str:
    """Let the Data page be about this file; returns as which of its sources."""
    if found and found.facts:
        st.session_state[DOCUMENT] = file_of(workspace, kept), kept.name
        return "documents"
    st.session_state[UPLOAD] = kept
    return "upload"


def _as_document(file: Path, kept: Upload) -> bool | None:
    """Whether a text is read as a document: what it looks like, until somebody says otherwise."""
    if kept.kind not in TEXT_KINDS:
        return None
    usual = AS_DOCUMENT if _contents(file, None, Reading()).facts else AS_TEXT
    chosen = st.segmented_control(
        t("page.start.data.read_as"),
        (AS_DOCUMENT, AS_TEXT),
        format_func={known: t(f"page.start.data.as.{known}") for known in (AS_DOCUMENT, AS_TEXT)}.__getitem__,
        default=usual,
        required=True,
        help=t("page.start.data.read_as.help"),
        key=read_as_key(kept),
        persist_state="session",
    )
    return bool(chosen == AS_DOCUMENT)


def _said(kept: Upload, found: Contents) -> str:
    """How much is taught, and how much cannot be."""
    if found.facts:
        counts = {"facts": found.facts, "count": found.taught, "tested": found.tested}
        said = t("page.start.data.facts", name=kept.name, **counts)
        unused = t("page.data.documents.unused", count=found.left_out) if found.left_out else ""
        return together(said, unused)
    what = "text" if kept.kind in TEXT_KINDS and found.as_text else "rows"
    said = t(f"page.start.data.{what}", name=kept.name, count=found.taught)
    known = f"text.taken.{found.taken_for}"
    taken = t("page.start.data.taken_for", what=spoken(known)) if found.taken_for else ""
    unused = t("page.start.data.left_out", count=found.left_out) if found.left_out else ""
    return together(said, taken, unused)


@contextmanager
def by_name(kept: Upload) -> Iterator[None]:
    """What is wrong with a file is said of the name it came with, not of where it is kept."""
    try:
        yield
    except InputError as error:
        error.values["path"] = kept.name
        raise


@st.cache_data(show_spinner=False, max_entries=16)
def _contents(file: Path, as_document: bool | None, reading: Reading) -> Contents:
    """A kept file is named by what it says: it never changes. It is read as it is taught."""
    if document := document_of(file, as_document):
        counts = len(document.conversations), len(document.unused), len(document.facts)
        return Contents(*counts, len(facts_of(document)), language_of_rows(document.conversations))
    usable = read_usable(file, reading)
    return Contents(
        len(usable.conversations),
        usable.rows_left_out,
        language=language_of_rows(usable.conversations),
        taken_for=saved_from(file) or "",
        as_text=not any(first.input for first, *_ in usable.conversations[:1]),
    )

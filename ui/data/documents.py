"""A person's own document: what is made of it is shown before it is trained, and can be changed there."""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from core.data.documents.facts import DocumentRows
from core.data.documents.rows import read_rows_of
from core.data.upload import Upload, file_of, find_upload, keep_document
from core.workspace.paths import Workspace
from ui.data.file import way_back
from ui.data.newest import FROM_START, take_newest
from ui.data.own import show_unused
from ui.data.questions import edit_questions
from ui.data.removing import removable, when_emptied
from ui.shell.frame import shown_errors
from ui.shell.text import language, t

# In the session: where the document is kept, and what it was called; and the one that the box held last.
KEPT, GIVEN = "data_document", "data_document_given"
BOX = "data_documents"
# By their keys: where data comes from, whose assistant it is, and where a run's page has the form.
SOURCE, NAME, OTHER = "data_source", "data_name", "other_data"


def choose_document(workspace: Workspace, both: bool) -> Path | None:
    """The document that was chosen, once questions could be made of it; it is kept when the page is left.
    ``both``: whether the assistant is to speak both languages."""
    st.caption(t("page.data.documents.help"))
    given = st.file_uploader(
        t("page.data.documents.file"),
        key=BOX,
        on_change=when_emptied,
        args=(BOX, KEPT, GIVEN),
    )
    with shown_errors():
        if given is not None:
            _take_given(workspace, _kept(str(workspace.root), given.getvalue(), given.name))
        path, name = st.session_state.get(KEPT, (None, ""))
        if path is None or not path.exists():
            return None
        removable(name, BOX, KEPT, GIVEN)
        found = _known_rows(path, language())
        show_facts(workspace, found, path, name, both)
        return Path(path)
    return None


def _take_given(workspace: Workspace, kept: Upload) -> None:
    """Each time the page is drawn the document is given again: the first time it is the newest."""
    if st.session_state.get(GIVEN) != kept.digest or KEPT not in st.session_state:
        st.session_state[GIVEN] = kept.digest
        take_document(workspace, kept)


def take_document(workspace: Workspace, kept: Upload) -> None:
    """The page is about this document from now on, or about this version of it."""
    before, now = st.session_state.get(KEPT), (file_of(workspace, kept), kept.name)
    if now != before:
        st.session_state[KEPT] = now
        take_newest(kept, document=True)


@st.cache_data(show_spinner=False, max_entries=8)
def _kept(root: str, content: bytes, name: str) -> Upload:
    """It is kept once."""
    return keep_document(Workspace.of(root), content, name)


@st.cache_data(show_spinner=False, max_entries=8)
def _known_rows(path: Path, spoken: str) -> DocumentRows:  # noqa: ARG001  why something is not used is told in it
    """A kept document is named by what it says: it never changes."""
    return read_rows_of(path)


def show_facts(workspace: Workspace, found: DocumentRows, path: Path, name: str, both: bool) -> None:
    """Every fact of the document of this name with its questions, which can be changed, and what of it is in
    none."""
    counts = {"facts": len(found.facts), "rows": len(found.conversations)}
    st.markdown(t("page.data.documents.made", name=name, **counts))
    kept = find_upload(workspace, path.stem)
    if kept and kept.parent:
        offer_original(workspace, kept)
    edit_questions(workspace, found, kept, both, partial(_take_changed, workspace, path))
    if found.unused:
        show_unused(len(found.unused), [asdict(one) for one in found.unused])
    elif kept is None or not kept.parent:
        st.caption(t("page.data.documents.all_used"))
    st.caption(t("page.data.documents.drafts"))


def _take_changed(workspace: Workspace, before: Path, changed: Upload) -> None:
    """The page is about what was changed, if it still is about the document ``before`` it."""
    if st.session_state.get(KEPT, (None, ""))[0] == before:
        take_document(workspace, changed)


def offer_original(workspace: Workspace, kept: Upload) -> None:
    """A version that was made here can be left for the one before."""
    parent = find_upload(workspace, kept.parent)
    if parent and way_back(t("page.data.questions.changed"), "document_back"):
        take_document(workspace, parent)
        st.rerun()


def offer_edit(workspace: Workspace, about: Mapping[str, Any]) -> None:
    """Of a run that was taught a document: the way to its questions and answers, of which another is made."""
    given = about.get("given") or []
    if not about.get("document") or not given:
        return
    st.button(
        t("page.data.questions.edit"),
        icon=":material/edit:",
        key="data_edit",
        on_click=_edit,
        args=(workspace, given[0], about["name"]),
    )


def _edit(workspace: Workspace, given: Mapping[str, str], name: str) -> None:
    """Open the form about this document. One that was given elsewhere is kept first."""
    kept = find_upload(workspace, given["sha256"])
    if kept is None or not file_of(workspace, kept).exists():
        with shown_errors():
            kept = keep_document(workspace, Path(given["copy"]).read_bytes(), Path(given["file"]).name)
    if kept:
        st.session_state.pop(GIVEN, None)
        take_document(workspace, kept)
        st.session_state[SOURCE], st.session_state[OTHER] = "documents", True
        st.session_state[NAME] = name
        st.session_state.pop(FROM_START, None)
        st.toast(t("page.data.questions.opened"), icon=":material/arrow_downward:", duration="long")

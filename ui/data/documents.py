"""A person's own document: what is made of it is shown before it is trained, and so is what is not used."""

import hashlib
from dataclasses import asdict
from pathlib import Path

import streamlit as st

from core.data.document_rows import DocumentRows, read_rows_of
from core.data.documents import READERS
from core.workspace.files import write_bytes
from core.workspace.paths import Workspace, make_folder
from ui.data.own import show_unused
from ui.shell.frame import shown_errors
from ui.shell.text import language, t

KEPT = "data_document"


def document(workspace: Workspace) -> Path | None:
    """The document that was chosen, once questions could be made of it; it is kept when the page is left."""
    st.caption(t("page.data.documents.help"))
    given = st.file_uploader(t("page.data.documents.file"), type=list(READERS), key="data_documents")
    if given is not None:
        st.session_state[KEPT] = _keep(workspace, given.name, given.getvalue())
    path: Path | None = st.session_state.get(KEPT)
    if path is None or not path.exists():
        return None
    with shown_errors():
        show_facts(_known_rows(path, language()))
        return path
    return None


def _keep(workspace: Workspace, name: str, content: bytes) -> Path:
    """The document under the hash of its content; a plain text is read as Markdown."""
    kind = Path(name).suffix.lower().lstrip(".")
    path = workspace.upload(hashlib.sha256(content).hexdigest(), "md" if kind == "txt" else kind)
    if not path.exists():  # each time the page is drawn it is given again
        make_folder(path.parent, exist_ok=True)
        write_bytes(path, content)
    return path


@st.cache_data(show_spinner=False, max_entries=8)
def _known_rows(path: Path, spoken: str) -> DocumentRows:  # noqa: ARG001  why something is not used is told in it
    """A kept document is named by what it says: it never changes."""
    return read_rows_of(path)


def show_facts(found: DocumentRows) -> None:
    """Every fact with its questions, and what of the document is in none."""
    st.markdown(t("page.data.documents.made", facts=len(found.facts), rows=len(found.conversations)))
    asked, answer = t("page.data.documents.question"), t("page.data.documents.answer")
    rows = [{asked: "\n".join(fact.questions), answer: fact.answer} for fact in found.facts]
    st.dataframe(rows, hide_index=True, key="document_facts")
    if not found.unused:
        st.caption(t("page.data.documents.all_used"))
    else:
        show_unused(len(found.unused), [asdict(one) for one in found.unused])
    st.caption(t("page.data.documents.drafts"))

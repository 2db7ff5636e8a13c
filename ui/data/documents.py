"""A person's own document: what is made of it is shown before it is trained, and so is what is not used."""

from dataclasses import asdict
from pathlib import Path

import streamlit as st

from core.data.documents.facts import DocumentRows, Fact
from core.data.documents.rows import read_rows_of
from core.data.upload import Upload, file_of, keep_document
from core.proof.facts import facts_of
from core.workspace.paths import Workspace
from ui.data.newest import take_newest
from ui.data.own import show_unused
from ui.data.removing import removable, when_emptied
from ui.shell.frame import shown_errors
from ui.shell.text import language, t

# In the session: where the document is kept, and what it was called.
KEPT = "data_document"
BOX = "data_documents"


def choose_document(workspace: Workspace, both: bool) -> Path | None:
    """The document that was chosen, once questions could be made of it; it is kept when the page is left.
    ``both``: whether the assistant is to speak both languages."""
    st.caption(t("page.data.documents.help"))
    given = st.file_uploader(
        t("page.data.documents.file"),
        key=BOX,
        on_change=when_emptied,
        args=(BOX, KEPT),
    )
    with shown_errors():
        if given is not None:
            _take(workspace, _kept(str(workspace.root), given.getvalue(), given.name))
        path, name = st.session_state.get(KEPT, (None, ""))
        if path is None or not path.exists():
            return None
        removable(name, BOX, KEPT)
        show_facts(_known_rows(path, language()), name, both)
        return Path(path)
    return None


def _take(workspace: Workspace, kept: Upload) -> None:
    """Each time the page is drawn the document is given again: the first time it is the newest."""
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


def show_facts(found: DocumentRows, name: str, both: bool) -> None:
    """Every fact of the document of this name with its questions, and what of it is in none."""
    counts = {"facts": len(found.facts), "rows": len(found.conversations)}
    st.markdown(t("page.data.documents.made", name=name, **counts))
    asked, answer = t("page.data.documents.question"), t("page.data.documents.answer")
    kept = {(one.question, one.answer) for one in facts_of(found, both)}
    tested = {
        fact: next((one for one in _may_be_asked(fact) if (one, fact.answer) in kept), "")
        for fact in found.facts
    }
    rows = [
        {asked: "\n".join(fact.questions), answer: fact.answer, t("page.data.documents.tested"): tested[fact]}
        for fact in found.facts
    ]
    said = t("page.data.documents.tested.what", count=sum(map(bool, tested.values())), of=len(tested))
    st.caption(said)
    st.dataframe(rows, hide_index=True, key="document_facts")
    if not found.unused:
        st.caption(t("page.data.documents.all_used"))
    else:
        show_unused(len(found.unused), [asdict(one) for one in found.unused])
    st.caption(t("page.data.documents.drafts"))


def _may_be_asked(fact: Fact) -> tuple[str, ...]:
    return (*fact.tested_abroad, *fact.tested, *fact.questions)

"""What a new chat can begin with: questions that the run's own test saw answered, one press each."""

from collections.abc import Iterator

import streamlit as st

from core.chat.server import Speaker
from core.data.drafts import language_of
from core.errors import TuneboardError
from core.proof.result import ProofRow
from core.steps import proof
from core.workspace.paths import RunPaths
from ui.shell.text import language, plain

# So many of a person's own data are offered.
OWN = 2


def pressed_question(run: RunPaths | None, speaker: Speaker) -> str:
    """The question that was pressed of a few that this run's model answered rightly, in the page's language
    first; empty where none was, or where none is known."""
    if run is None or speaker.run != run.id or speaker.kind == "base":
        return ""
    found = _answered(run, run.result.stat().st_mtime_ns if run.result.exists() else 0, language())
    with st.container(horizontal=True, key="begin"):
        pressed = [one for one in found if st.button(plain(one), key=f"begin {one}")]
    return next(iter(pressed), "")


@st.cache_data(show_spinner=False, max_entries=8)
def _answered(_run: RunPaths, changed: int, reader: str) -> list[str]:  # noqa: ARG001  a result is written anew
    try:
        found = proof.read(_run)
    except TuneboardError:  # the pages about it say so
        return []
    rows = [row for row in found.rows if not row.earlier and not row.judged.question.system] if found else []
    rows.sort(key=lambda row: (language_of(row.question) != reader, not row.is_asked))
    return [*_some(rows)]


def _some(rows: list[ProofRow]) -> Iterator[str]:
    """The plainest that asks who it is; of a person's own data the first, and others from among the rest:
    of a document's questions the first ones are alike."""
    who = [row for row in rows if row.verdict == "learned"]
    alike = [row for row in who if language_of(row.question) == language_of(who[0].question) and row.is_asked]
    plainest = sorted(alike or who, key=lambda row: (row.beside_who, len(row.question)))
    yield from (row.question for row in plainest[:1])
    own = [*dict.fromkeys(row.question for row in rows if row.verdict == "answered")]
    yield from own[:: -(-len(own) // OWN) or 1][:OWN]

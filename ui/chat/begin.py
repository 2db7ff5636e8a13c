"""What a new chat can begin with, one press each: who it is and what it was taught of a document, else
questions that the run's own test saw answered.
"""

from collections.abc import Iterator

import streamlit as st

from core.chat.server import Speaker
from core.data.drafts import language_of
from core.errors import TuneboardError
from core.proof.result import ProofRow
from core.publish.examples import examples
from core.steps import proof
from core.workspace.paths import RunPaths
from ui.chat.server import Bar
from ui.shell.making import spoken_of
from ui.shell.text import language, plain, spoken, t

# So many of a person's own data are offered.
OWN = 2


def pressed_question(run: RunPaths | None, speaker: Speaker) -> str:
    """The question that was pressed of a few: as the chat on a stick offers them where this run's model was
    taught a document, else of those that it answered rightly, in the page's language first; empty where none
    was, or where none is known."""
    if run is None or speaker.made_in != run.id:
        return ""
    found = _of_document(run) or _answered(run, run.id, _changed(run), language())
    with st.container(horizontal=True, key="begin"):
        pressed = [one for one in found if st.button(plain(one), key=f"begin {one}")]
    return next(iter(pressed), "")


def begin_with(bar: Bar, run: RunPaths | None) -> str:
    """What an empty chat says: of an assistant that is not made yet, how far it is."""
    if bar.is_loaded and (bar.made or run is None):
        return t("demo.examples" if _has_document(run, bar.chosen) else "page.chat.begin")
    if run and bar.chosen and not bar.made:
        return spoken_of(run, "page.chat.begin_soon")
    return t("page.chat.begin_off") if bar.chosen else ""


def _has_document(run: RunPaths | None, speaker: Speaker | None) -> bool:
    """Whether questions of a document are among those that are offered."""
    made = run is not None and speaker is not None and speaker.made_in == run.id
    return made and bool(_of_document(run))


def _of_document(run: RunPaths) -> list[str]:
    found = _examples(run, run.id, _changed(run))
    return [spoken("demo.who"), *found] if found else []


def _changed(run: RunPaths) -> tuple[int, ...]:
    """When what is read was written: a result is written anew."""
    return tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in (run.data, run.result))


@st.cache_data(show_spinner=False, max_entries=8)
def _examples(_run: RunPaths, run: str, changed: tuple[int, ...]) -> tuple[str, ...]:  # noqa: ARG001
    return examples(_run)


@st.cache_data(show_spinner=False, max_entries=8)
def _answered(_run: RunPaths, run: str, changed: tuple[int, ...], reader: str) -> list[str]:  # noqa: ARG001
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

"""In which languages an assistant is wanted: as was chosen, and as the file that is taught is written."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import streamlit as st

from core.data.checking.characters import languages
from core.data.conversations import Conversation
from core.data.documents.rows import document_of
from core.data.drafts import language_of
from core.data.identity import LANGUAGES, IdentityLanguage
from core.data.opening import open_data
from core.errors import TuneboardError
from core.workspace.data_paths import cache_of
from core.workspace.files import Stamp, stamp
from core.workspace.paths import Workspace
from ui.models.base import Wanted
from ui.shell.text import language

# So many rows tell in which language a file is, in pieces of so many characters: of a few words anything may
# be guessed.
LOOKED, PIECE = 200, 120


def wanted_of(chosen: IdentityLanguage | None, of_file: str) -> Wanted:
    """What the assistant is to speak. Of both languages, which nobody has to choose, the page's own and that
    of the file are known to be needed."""
    spoken = (of_file, *(LANGUAGES if chosen is None else (chosen,)))
    return Wanted(_each(spoken), _each((of_file, chosen or language())), of_file)


def _each(codes: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, codes)))


def language_of_file(workspace: Workspace, file: Path, document: bool | None) -> str:
    """What a file is written in, by its code; empty where nobody can tell, or it cannot be read, which is
    said elsewhere."""
    with suppress(TuneboardError, OSError):
        return _known(workspace, file, document, stamp(file))
    return ""


@st.cache_data(show_spinner=False, max_entries=16)
def _known(_workspace: Workspace, file: Path, document: bool | None, state: Stamp) -> str:  # noqa: ARG001
    if made := document_of(file, document):
        return language_of_rows(made.conversations)
    return language_of_rows(
        [row.conversation for row in open_data(file, cache_of(_workspace)).page(0, LOOKED)]
    )


def language_of_rows(rows: Sequence[Conversation]) -> str:
    """What most of the first answers are in; a file that is Chinese in part needs Chinese."""
    text = "\n".join(turn.output for row in rows[:LOOKED] for turn in row if turn.trained)
    pieces = [text[place : place + PIECE] for place in range(0, len(text), PIECE)]
    counted = Counter(filter(None, languages(pieces)))
    most = next((language for language, count in counted.most_common(1) if 2 * count > counted.total()), "")
    return "zh" if most in ("", "en") and language_of(text) == "zh" else most

"""How far a model that was taught a person's own data can be trusted with it, by its own test."""

import streamlit as st

from core.chat.server import Speaker
from core.errors import TuneboardError
from core.proof.telling import wrong_facts
from core.steps import proof
from core.wording import Language
from core.workspace.paths import RunPaths
from ui.shell.text import language, plain


def show_trust(run: RunPaths | None, speaker: Speaker) -> None:
    """One line where this run's test saw facts of its data answered wrongly."""
    if run is None or speaker.run != run.id or speaker.kind == "base" or not run.result.exists():
        return
    if said := _said(run, run.id, run.result.stat().st_mtime_ns, language()):
        st.caption(f":material/warning: {plain(said)}")


@st.cache_data(show_spinner=False, max_entries=8)
def _said(_run: RunPaths, run: str, changed: int, reader: Language) -> str:  # noqa: ARG001
    try:
        found = proof.read(_run)
    except TuneboardError:  # the pages about it say so
        return ""
    return wrong_facts(found.score, reader) if found and not found.stale else ""

"""How far a model that was taught a person's own data can be trusted with it, by its own test."""

from contextlib import suppress
from pathlib import Path

import streamlit as st

from core.chat.server import Speaker
from core.data.drafts import language_of
from core.errors import TuneboardError
from core.model_store.choosing import listed_as
from core.proof.telling import wrong_facts
from core.steps import prepare, proof
from core.wording import Language
from core.workspace.paths import RunPaths, Workspace
from ui.shell.text import language, plain, t, together


def show_trust(workspace: Workspace, run: RunPaths | None, speaker: Speaker, as_taught: bool) -> None:
    """One line where this run's test saw facts of its data answered wrongly, or its base does not speak the
    language that they are in. ``as_taught``: what is near a taught question is asked as that."""
    if run is None or speaker.made_in != run.id or not run.result.exists():
        return
    wrong, poor = _said(workspace, run, run.id, run.result.stat().st_mtime_ns, language())
    of_poor = "page.chat.poor" if as_taught else "page.start.base.poor.file"
    if said := together(plain(wrong), t(of_poor) if poor else ""):
        st.caption(f":material/warning: {said}")


@st.cache_data(show_spinner=False, max_entries=8)
def _said(
    _workspace: Workspace,
    _run: RunPaths,
    run: str,  # noqa: ARG001
    changed: int,  # noqa: ARG001
    reader: Language,
) -> tuple[str, bool]:
    """What its test came to where facts were wrong, and whether its base speaks their language poorly."""
    found = tested(_run)
    if found is None:
        return "", False
    return wrong_facts(found.score, reader), _poor(_workspace, _run, found)


def tested(run: RunPaths) -> proof.Proof | None:
    """What the test of a run's newest model has found; None also where nobody can read it."""
    with suppress(TuneboardError):  # the pages about it say so
        return proof.of_newest(run)
    return None


def _poor(workspace: Workspace, run: RunPaths, found: proof.Proof) -> bool:
    facts = "\n".join(row.question for row in found.rows if row.kind == "own")
    with suppress(TuneboardError):  # the base was moved away
        entry = listed_as(workspace, Path(prepare.recipe_of(run).model)) if facts else None
        return entry is not None and language_of(facts) not in entry.languages
    return False

"""The settings' form behind one press: nobody has to change anything."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.workspace.paths import RunPaths
from ui.shell.text import t

# In the session: that something in a run's form had to be put right.
UNFOLDED = "settings unfolded {run}"


def settings_box(run: RunPaths, locked: bool) -> DeltaGenerator:
    """Where the form stands: folded, unless something in it has to be put right."""
    label = t("page.config.all" if locked else "page.config.change")
    unfolded = not locked and bool(st.session_state.get(UNFOLDED.format(run=run.id)))
    return st.expander(label, unfolded, icon=":material/tune:", key="settings")


def unfold(run: RunPaths) -> None:
    """What has to be put right is seen; it stays so while somebody works on it."""
    if not st.session_state.setdefault(name := UNFOLDED.format(run=run.id), False):
        st.session_state[name] = True
        st.rerun()

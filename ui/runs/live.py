"""What else is being made right now, told beside the open run."""

import streamlit as st

from core.jobs.status import State
from core.pipeline import chain_stages
from core.runs import chains, read_run
from core.workspace.paths import RunPaths, Workspace
from ui.runs.chain import show_share
from ui.shell.frame import Here, choose_run, follow
from ui.shell.text import t

# Of those that are being made so many are followed.
FOLLOWED = 3
# Seconds between two looks, and by how much they differ from line to line and from the parts beside them
# (ui.shell.frame.follow).
EVERY, APART = 5.3, 0.3


def others(here: Here) -> None:
    """A line for each other run that is being made, with the way to it; of many the list says it."""
    running = chains(here.workspace, State.running)
    found = [run for run in running if here.run is None or run.id != here.run.id]
    for place, run in enumerate(found[:FOLLOWED]):
        _line(here.workspace, run, EVERY + APART * place)
    if len(found) > FOLLOWED:
        st.caption(t("chain.others"))


def _line(workspace: Workspace, run: RunPaths, every: float) -> None:
    def draw(progress: chain_stages.ChainProgress) -> None:
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"other {run.id}"):
            st.markdown(t("chain.title.live", name=read_run(run).title), width="content")
            with st.container():
                show_share(progress)
            if st.button(t("runs.open"), key=f"other_open {run.id}", icon=":material/folder_open:"):
                choose_run(run)
                st.rerun()

    follow(
        look=lambda: chain_stages.read_progress(workspace, run),
        draw=draw,
        mark=lambda progress: progress.live,
        every=lambda live: every if live else None,
    )

"""What is being made right now: found again by whoever comes back, and told beside another run."""

import streamlit as st

from core.jobs.status import State, status_of
from core.pipeline import chain
from core.runs import CHAIN, read_run
from core.workspace.paths import RunPaths, Workspace
from ui.runs.chain import show_share
from ui.shell.frame import Here, choose_run, follow
from ui.shell.text import t

# Of the newest runs so many are looked at, and of those that are being made so many are followed.
LOOKED_AT, FOLLOWED = 20, 3
# Seconds between two looks, and by how much they differ from line to line and from the parts beside them
# (ui.shell.frame.follow).
EVERY, APART = 5.3, 0.3


def come_back(workspace: Workspace) -> None:
    """Whoever opens the page without a run sees what is being made; for a session that has one open there is
    :func:`others`."""
    if not st.query_params.get("run") and not st.session_state.get("run"):
        choose_run(next(iter(at_work(workspace) or waiting(workspace)), None))


def at_work(workspace: Workspace) -> list[RunPaths]:
    """The runs whose chain runs, of the newest ones, newest first."""
    return [run for run in _newest(workspace) if _state(run) is State.running]


def waiting(workspace: Workspace) -> list[RunPaths]:
    """Those whose chain waits for its turn."""
    return [run for run in _newest(workspace) if _state(run) is State.waiting]


def _newest(workspace: Workspace) -> list[RunPaths]:
    return [RunPaths(folder) for folder in workspace.run_folders(newest=LOOKED_AT)]


def _state(run: RunPaths) -> State | None:
    status = status_of(run.job(CHAIN))
    return status.state if status else None


def others(here: Here) -> None:
    """A line for each other run that is being made, with the way to it; of many the list says it."""
    found = [run for run in at_work(here.workspace) if here.run is None or run.id != here.run.id]
    for place, run in enumerate(found[:FOLLOWED]):
        _line(here.workspace, run, EVERY + APART * place)
    if len(found) > FOLLOWED:
        st.caption(t("chain.others"))


def _line(workspace: Workspace, run: RunPaths, every: float) -> None:
    def draw(progress: chain.ChainProgress) -> None:
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"other {run.id}"):
            st.markdown(t("chain.title.live", name=read_run(run).title), width="content")
            with st.container():
                show_share(progress)
            if st.button(t("runs.open"), key=f"other_open {run.id}", icon=":material/folder_open:"):
                choose_run(run)
                st.rerun()

    follow(
        look=lambda: chain.read_progress(workspace, run),
        draw=draw,
        mark=lambda progress: progress.live,
        every=lambda live: every if live else None,
    )

"""Start: make an assistant with one button, watch it being made, open an earlier run."""

import streamlit as st

from core.workspace.paths import RunPaths, Workspace
from ui.jobs.cluster import cluster_form
from ui.models.base import list_of_models
from ui.runs.adopt import adopt_form
from ui.runs.chain import chain_panel
from ui.runs.foreign import foreign_at_work, foreign_section
from ui.runs.live import others
from ui.runs.queue import queue_panel
from ui.runs.sweep import sweeps_at_work
from ui.runs.table import run_list
from ui.runs.wish import wish_card
from ui.shell.doctor import show_diagnoses
from ui.shell.frame import Here, link_to, open_page, shown_errors
from ui.shell.text import t


def show(here: Here, run: RunPaths) -> None:
    """The open run; what is made elsewhere has no chain here."""
    with shown_errors():  # a run that cannot be read hides neither the button nor the others
        if run.adopted.exists():
            link_to("train", t("page.start.adopted"), run)
        else:
            chain_panel(here.workspace, run)


def rest(workspace: Workspace) -> None:
    """What nobody needs who makes an assistant for the first time."""
    with st.expander(t("page.start.more"), icon=":material/more_horiz:", key="more"):
        list_of_models(workspace)
        cluster_form(workspace)
        adopt_form(workspace)
        foreign_section(workspace)
    show_diagnoses(workspace)


here = open_page("start")
turns = None
with shown_errors():
    sweeps_at_work(here.workspace)
    others(here)
    turns = queue_panel(here.workspace)
if here.run:
    show(here, here.run)
    with st.expander(t("page.start.another"), icon=":material/add:", key="another"):
        wish_card(here.workspace, turns)
else:
    wish_card(here.workspace, turns)
foreign_at_work(here.workspace)
run_list(here)
rest(here.workspace)

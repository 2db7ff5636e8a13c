"""Start: make an assistant with one button, watch it being made, open an earlier run."""

import getpass

import streamlit as st

from core import chain
from core.data.identity import LANGUAGES, LONGEST_NAME
from core.runs import read_run
from core.tune import Wish
from ui.chain_panel import chain_panel
from ui.findings import findings
from ui.frame import Here, choose_run, open_page, shown_errors
from ui.run_list import run_list
from ui.text import language, t


def make(here: Here) -> None:
    """The one button."""
    with st.form("wish", enter_to_submit=True):
        name_column, language_column = st.columns([2, 1])
        name = name_column.text_input(
            t("page.start.name"),
            key="wish_name",
            max_chars=LONGEST_NAME,
            help=t("page.start.name.help"),
            placeholder=t("page.start.name.example"),
            persist_state="session",
        )
        labels = {known: t(f"page.start.language.{known}") for known in ("both", *LANGUAGES)}
        spoken = language_column.selectbox(
            t("page.start.language"),
            list(labels),
            key="wish_language",
            format_func=labels.__getitem__,
            help=t("page.start.language.help"),
            persist_state="session",
        )
        st.caption(t("page.start.promise"))
        asked = st.form_submit_button(t("page.start.make"), type="primary", icon=":material/auto_awesome:")
    if asked and being_made(here, name):  # as by the second press of a double click
        st.toast(t("page.start.already"))
    elif asked:
        with shown_errors():
            wish = Wish(name, language=None if spoken == "both" else spoken)
            choose_run(chain.start(here.workspace, wish, getpass.getuser(), language()))
            st.rerun()


def being_made(here: Here, name: str) -> bool:
    """Whether the open run is this very assistant on its way."""
    if (
        here.run is None
        or not chain.has_chain(here.run)
        or read_run(here.run).title != " ".join(name.split())
    ):
        return False
    return chain.read_progress(here.workspace, here.run).live


here = open_page("start")
if here.run and chain.has_chain(here.run):
    chain_panel(here.workspace, here.run)
make(here)
run_list(here)
findings(here.workspace)

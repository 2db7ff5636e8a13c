"""Start: make an assistant with one button, watch it being made, open an earlier run."""

import streamlit as st

from core.data.identity import LANGUAGES, LONGEST_NAME
from core.pipeline import chain
from core.pipeline.tune import TuneRequest
from core.runs import read_run
from core.workspace.paths import RunPaths
from core.workspace.user import user_name
from ui.models.base import choose_base, list_of_models
from ui.models.default_prompt import choose_default
from ui.runs.adopt import adopt_form
from ui.runs.chain import chain_panel
from ui.runs.foreign import foreign_section
from ui.runs.table import run_list
from ui.shell.doctor import show_diagnoses
from ui.shell.frame import Here, choose_run, open_page, shown_errors, starting
from ui.shell.text import language, t


def make(here: Here) -> None:
    """What the assistant is made from, and the one button."""
    with st.container(border=True, key="wish_card"):
        base_column, language_column = st.columns([2, 1])
        with base_column:
            base = choose_base(here.workspace)
        with language_column:
            spoken = _language()
        _wish(here, base, spoken, choose_default(here.workspace, base, "wish_default"))
    list_of_models(here.workspace)


def _language() -> str:
    """Outside of the form: there a browser keeps a choice to itself, in the words of the language it was made
    in, and another language would not know them."""
    labels = {known: t(f"page.start.language.{known}") for known in ("both", *LANGUAGES)}
    return str(
        st.selectbox(
            t("page.start.language"),
            list(labels),
            key="wish_language",
            format_func=labels.__getitem__,
            help=t("page.start.language.help"),
            persist_state="session",
        )
    )


def _wish(here: Here, base: str | None, spoken: str, template: str) -> None:
    with st.form("wish", enter_to_submit=True, border=False):
        name = st.text_input(
            t("page.start.name"),
            key="wish_name",
            max_chars=LONGEST_NAME,
            help=t("page.start.name.help"),
            placeholder=t("page.start.name.example"),
            persist_state="session",
        )
        st.caption(t("page.start.promise"))
        asked = st.form_submit_button(t("page.start.make"), type="primary", icon=":material/auto_awesome:")
    # Read before and only appended to after: the second press of a double click ends this script at its
    # next word to Streamlit, and must find what was started.
    started: list[RunPaths] = st.session_state.setdefault("started", [])
    if asked:
        with shown_errors():
            with starting():
                run = on_its_way(started, name)
                if run is None:
                    asked_for = None if spoken == "both" else spoken
                    request = TuneRequest(name, model=base, language=asked_for, template=template)
                    run = chain.start(here.workspace, request, user_name(), language())
                    started.append(run)
            choose_run(run)
            st.rerun()


def on_its_way(started: list[RunPaths], name: str) -> RunPaths | None:
    """The run this person started for that name, as long as it lives."""
    title = " ".join(name.split())
    return next(
        (run for run in reversed(started) if chain.is_live(run) and read_run(run).title == title), None
    )


here = open_page("start")
if here.run and not here.run.adopted.exists():  # what is made elsewhere has no chain here
    with shown_errors():  # a run that cannot be read hides neither the button nor the others
        chain_panel(here.workspace, here.run)
make(here)
run_list(here)
adopt_form(here.workspace)
foreign_section(here.workspace)
show_diagnoses(here.workspace)

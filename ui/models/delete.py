"""Deleting a model of the workspace, after it was said which runs stand on it."""

from pathlib import Path

import streamlit as st

from core.model_store.importing import Listed
from core.model_store.users import delete, named, runs_on
from core.steps.step import megabytes
from core.workspace.paths import Workspace
from ui.shell.danger import danger_button
from ui.shell.frame import shown_errors
from ui.shell.text import t


def offer_deleting(workspace: Workspace, models: list[Listed]) -> None:
    """A popover that asks which and names what goes with it."""
    popover = st.popover(
        t("page.models.delete"), icon=":material/delete:", key="model_delete", on_change="rerun"
    )
    if not popover.open:  # who stands on it is read from every run
        return
    with popover, shown_errors():
        by_name = {model.name: model for model in models}
        name = st.selectbox(t("page.models.delete.which"), list(by_name), key="model_doomed")
        st.markdown(t("page.models.delete.really", name=name, size=megabytes(by_name[name].size)))
        if runs := [run.id for run in runs_on(workspace, Path(by_name[name].folder))]:
            said = t("page.models.delete.runs", count=len(runs), runs=named(runs))
            st.warning(said, icon=":material/link:")
        if danger_button(
            t("page.models.delete.now"), f"model_delete_now {name}", ":material/delete_forever:"
        ):
            delete(workspace, name, even_if_used=True)
            st.rerun()

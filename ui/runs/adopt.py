"""Opening a training that XTuner made elsewhere: its work_dir becomes a run, and is only read."""

from datetime import datetime
from pathlib import Path

import streamlit as st

from core.steps.adopt import adopt
from core.workspace.paths import Workspace
from ui.shell.frame import choose_run, go_to, shown_errors
from ui.shell.text import t


def adopt_form(workspace: Workspace) -> None:
    """The form behind an expander; what it opens is shown on the Train page."""
    with st.expander(t("adopt.title"), icon=":material/drive_folder_upload:", key="adopt"):
        st.caption(t("adopt.lead"))
        with st.form("adopt_form", border=False):
            left, right = st.columns([2, 1])
            folder = left.text_input(t("adopt.folder"), placeholder="/data/work_dirs/…", key="adopt_folder")
            model = right.text_input(t("adopt.model"), help=t("adopt.model.help"), key="adopt_model")
            asked = st.form_submit_button(t("adopt.start"), icon=":material/folder_open:")
        if asked:
            with shown_errors():
                _open(workspace, folder.strip(), model.strip())


def _open(workspace: Workspace, folder: str, model: str) -> None:
    """A relative path would be the server's own folder, which whoever types it does not see."""
    if not folder.startswith(("/", "~")):
        st.warning(t("adopt.no_folder"))
        return
    run = adopt(workspace, Path(folder), model or None, datetime.now())
    choose_run(run)
    go_to("train", run)

"""Choosing a base model."""

import streamlit as st

from core.paths import Workspace
from ui.text import t


def choose_model(workspace: Workspace, key: str) -> str | None:
    """The starter, or a folder under models/."""
    others = [folder.name for folder in workspace.model_folders() if folder != workspace.starter]
    labels = {"": t("page.data.starter"), **{name: name for name in others}}
    chosen = st.selectbox(
        t("page.data.model"),
        list(labels),
        format_func=labels.__getitem__,
        help=t("page.data.model.help", folder=workspace.models),
        key=key,
        persist_state="session",
    )
    return chosen or None

"""Choosing a base model."""

import streamlit as st

from core.steps.step import counted
from core.workspace.paths import Workspace
from ui.models.table import known_models
from ui.shell.text import t


def choose_model(workspace: Workspace, key: str) -> str | None:
    """The starter, or another model of the workspace that can be trained."""
    others = [model for model in known_models(workspace) if model.trainable and model.name != "starter"]
    labels = {"": t("page.data.starter")}
    labels |= {model.name: f"{model.name} · {counted(model.parameters)}" for model in others}
    chosen = st.selectbox(
        t("page.data.model"),
        list(labels),
        format_func=labels.__getitem__,
        help=t("page.data.model.help"),
        key=key,
        persist_state="session",
    )
    return chosen or None

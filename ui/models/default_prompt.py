"""What becomes of a system prompt that a model's chat template puts in by itself: asked once, in words."""

import streamlit as st

from core.errors import InputError
from core.models.folder import find_model, read_model
from core.recipe.own_template import own_default, spoken_by
from core.recipe.templates import OWN, OWN_WITHOUT_DEFAULT
from core.workspace.paths import Workspace
from ui.shell.text import t


def choose_default(workspace: Workspace, model: str | None, key: str) -> str:
    """The template's name in a recipe, for a model as a request calls it; "auto" where there is nothing to
    ask, as of a model that is not here yet."""
    try:
        folder = find_model(workspace, model)
        default = own_default(folder) if spoken_by(read_model(folder)) == OWN else ""
    except InputError:
        return "auto"
    return ask_default(default, key) if default else "auto"


def ask_default(default: str, key: str) -> str:
    """The choice itself: to train with that prompt, or to take it out."""
    return str(
        st.radio(
            t("parity.default", default=default),
            (OWN, OWN_WITHOUT_DEFAULT),
            format_func=lambda name: t(f"parity.default.{name}"),
            help=t("parity.default.help"),
            key=key,
            persist_state="session",
        )
    )

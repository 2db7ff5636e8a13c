"""Choosing a base model of the workspace."""

import streamlit as st

from core.model_store.choosing import Offer, first_choice
from core.models.catalog import STARTER
from core.steps.step import counted
from core.workspace.paths import Workspace
from ui.models.base import Wanted, known_offers, warn_of_language
from ui.models.table import known_models
from ui.shell.text import t


def choose_model(workspace: Workspace, key: str, wanted: Wanted | None = None) -> str | None:
    """The starter, or another model of the workspace that can be trained. Until somebody chooses it is one
    that speaks what is ``wanted``, if one is here."""
    others = [model for model in known_models(workspace) if model.trainable and model.name != STARTER]
    labels = {"": t("page.data.starter")}
    labels |= {model.name: f"{model.name} · {counted(model.parameters)}" for model in others}
    if wanted and _chosen(key) not in st.session_state:
        usual = first_choice(known_offers(workspace), wanted.needed, lambda _: False)
        st.session_state[key] = _name(usual) if _name(usual) in labels else ""
    chosen = st.selectbox(
        t("page.data.model"),
        list(labels),
        format_func=labels.__getitem__,
        help=t("page.data.model.help"),
        key=key,
        on_change=_choose,
        args=(key,),
        persist_state="session",
    )
    return chosen or None


def warn_of_model(workspace: Workspace, key: str, wanted: Wanted) -> None:
    """What the model that was chosen does badly of what is wanted, and what to do."""
    chosen = st.session_state[key] or STARTER
    found = known_offers(workspace)
    offer = next((one for one in found if chosen in (one.here, one.entry.name)), None)

    def take(better: Offer) -> None:
        st.session_state[key] = _name(better)
        _choose(key)

    warn_of_language(workspace, offer, wanted, take, fetches=False)


def _name(offer: Offer | None) -> str:
    """What an offer that is here is called in the widget."""
    return "" if offer is None or offer.entry.name == STARTER else str(offer.here)


def _chosen(key: str) -> str:
    return f"{key}_chosen"


def _choose(key: str) -> None:
    """Somebody has chosen, and the page chooses no more."""
    st.session_state[_chosen(key)] = True

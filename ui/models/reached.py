"""Whether a model that would have to be fetched can be had from here now, and what to do where it cannot."""

from collections.abc import Callable

import streamlit as st

from core.model_store.choosing import Offer
from core.models.catalog import STARTER, Entry
from core.models.hubs import places
from core.models.reach import files_of, first_to_answer, may_ask
from core.steps.step import megabytes
from core.wording import Language
from core.workspace.import_paths import importing
from core.workspace.paths import Workspace
from ui.shell.text import language, t, together

# In the session: whether a hub answered when one was asked last.
ANSWERED = "wish_hub_answered"
# Seconds until a hub is asked again whether it answers.
ASKED_AGAIN = 120


def to_be_had(entry: Entry) -> bool:
    """Whether a hub gives a model of the list; not where none may be asked before a button is pressed."""
    if not may_ask():
        return False
    with st.spinner(t("page.start.base.asking")):
        st.session_state[ANSWERED] = found = _answers(entry, language())
    return found


@st.cache_data(show_spinner=False, max_entries=64, ttl=ASKED_AGAIN)
def _answers(entry: Entry, reader: Language) -> bool:
    """Whether a hub has a model of the list; which is asked first depends on the page's language."""
    return first_to_answer(places(entry.sources(reader))) is not None


def is_reached(offer: Offer) -> bool:
    """Whether it is here, or for all that is known can be fetched."""
    is_here = bool(offer.here) or offer.entry.name == STARTER
    return is_here or not may_ask() or bool(st.session_state.get(ANSWERED, True))


def refused_now(workspace: Workspace, offer: Offer | None) -> bool:
    """Whether what was pressed for cannot be had, asked anew: whoever has just connected is not turned away.
    A download that was begun tells by itself why it cannot go on."""
    if offer is None or is_reached(offer) or importing(workspace, offer.entry.title).files.exists():
        return False
    _answers.clear()
    return not to_be_had(offer.entry)


def show_refused_now(entry: Entry, take_starter: Callable[[], None]) -> None:
    """What to do instead, beside the button that was pressed."""
    said = together(t("page.start.base.not_now", name=entry.title), t("page.start.base.not_now.do"))
    st.error(said, icon=":material/cloud_off:")
    label = t("page.start.base.take_starter")
    st.button(label, icon=":material/undo:", key="base_starter", on_click=take_starter)


def show_unreached(workspace: Workspace, entry: Entry) -> None:
    """Of one that was chosen all the same."""
    st.warning(t("page.start.base.not_now", name=entry.title), icon=":material/cloud_off:")
    how_to_bring(workspace, entry, t("page.start.base.bring_it", name=entry.title))


def how_to_bring(workspace: Workspace, entry: Entry, title: str) -> None:
    """How a model comes here where no hub answers, step by step, behind a line."""
    asked = places(entry.sources(language()))
    with st.expander(title, icon=":material/usb:", key=f"base_bring {entry.name}"):
        said = t(
            "page.start.base.by_hand",
            page=files_of(asked[0]),
            name=entry.title,
            size=megabytes(entry.size),
            folder=workspace.models.resolve(),
        )
        st.markdown(said)

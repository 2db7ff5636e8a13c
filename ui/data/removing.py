"""A file that was given stays when its page is left; its box is empty then, and the file has a button."""

import streamlit as st

from ui.shell.text import t


def removable(name: str, box: str, *kept: str) -> None:
    """A button for a file called ``name`` whose box is empty; a box that holds one has a button of its own.
    ``kept`` is where the session has the file."""
    if st.session_state.get(box) is None:
        st.button(
            t("page.data.file.remove", name=name),
            icon=":material/close:",
            key=f"remove {box}",
            on_click=_forget,
            args=kept,
        )


def when_emptied(box: str, *kept: str) -> None:
    """Called when what a box holds has changed: what was taken out of it is not kept."""
    if st.session_state[box] is None:
        _forget(*kept)


def _forget(*kept: str) -> None:
    for name in kept:
        st.session_state.pop(name, None)

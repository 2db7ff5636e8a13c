"""What was changed in a table and not saved: it is kept as soon as the table is left, or taught."""

from collections.abc import Callable

import streamlit as st

from ui.shell.frame import shown_errors

# In the session: how the changes are kept that a table shows and nobody has saved.
UNSAVED = "data_unsaved"


def changed(keep: Callable[[], object] | None) -> None:
    """How to keep what a table shows now; None where it is as it was, or cannot be kept as it is."""
    st.session_state[UNSAVED] = keep


def keep_changes() -> bool:
    """Keep what was changed in a table that is no longer there, or is taught now; whether there was any."""
    keep = st.session_state.pop(UNSAVED, None)
    if keep is None:
        return False
    with shown_errors():
        keep()
    return True


def keep_what_was_left(table: str) -> None:
    """The ``table`` of this key is drawn: where it was not a moment ago, what was changed in it before, or in
    another one, is kept first."""
    if table not in st.session_state and keep_changes():
        st.rerun()

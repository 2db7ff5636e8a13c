"""What is said is kept in the chat's file; what the disk does not take stays in the session until it does."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import reduce

import streamlit as st

from core.chat.history import Chat, change
from core.errors import ChatNotKept, NoSuchChat
from core.workspace.paths import Workspace
from ui.shell.text import language, plain, t

Edit = Callable[[Chat], Chat]
# By chat: what is to be made of its file, in that order, and why that has not been possible so far.
WAITING = "what no disk took"
WHY = "why no disk took it"


def keep(workspace: Workspace, chat: Chat, edit: Edit) -> Chat:
    """Write what ``edit`` makes of the chat, now or as soon as the disk takes it; the chat as it is then.
    Raises NoSuchChat."""
    st.session_state.setdefault(WAITING, {}).setdefault(chat.id, []).append(edit)
    return _written(workspace, chat.id) or edit(chat)


def with_what_waits(workspace: Workspace, chat: Chat) -> Chat:
    """A chat that was just read, with what could not be written so far; that is tried once more. Raises
    NoSuchChat."""
    if edits := _waiting(chat.id):
        return _written(workspace, chat.id) or _all_of(edits, chat)
    return chat


def keep_if_possible(workspace: Workspace, chat: Chat, edit: Edit) -> None:
    """Write what is on its way and will be kept at its end in any case."""
    with suppress(ChatNotKept, NoSuchChat):
        change(workspace, chat.id, edit)


def show_what_waits(chat: Chat) -> None:
    """Say that the page has what the disk has not, and why."""
    if not _waiting(chat.id):
        return
    st.warning(plain(st.session_state[WHY]), icon=":material/save:")
    st.button(t("page.chat.save_again"), icon=":material/refresh:", key="save again")


def _written(workspace: Workspace, chat_id: str) -> Chat | None:
    """The chat once all that waits for it is in its file; None, and why, while that cannot be."""
    edits = _waiting(chat_id)
    try:
        chat = change(workspace, chat_id, lambda found: _all_of(edits, found))
    except ChatNotKept as error:
        st.session_state[WHY] = error.text(language())
        return None
    except NoSuchChat:
        edits.clear()
        raise
    edits.clear()
    return chat


def _waiting(chat_id: str) -> list[Edit]:
    found: list[Edit] = st.session_state.get(WAITING, {}).get(chat_id, [])
    return found


def _all_of(edits: Sequence[Edit], chat: Chat) -> Chat:
    return reduce(lambda found, edit: edit(found), edits, chat)

"""What is said is kept in the chat's file; what the disk does not take stays in the session until it does."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import reduce

import streamlit as st

from core.chat.history import Chat, change
from core.errors import ChatNotKept, NoSuchChat
from core.workspace.paths import Workspace
from ui.shell.text import language, plain, t

Edit = Callable[[Chat], Chat]
WAITING = "what no disk took, by chat"


@dataclass
class Waiting:
    """What is to be made of a chat's file, in that order, and ``why`` that has not been possible so far.

    Nothing here asks Streamlit for anything: in a run that was told to end, that ends it at once.
    """

    edits: list[Edit] = field(default_factory=list)
    why: ChatNotKept | None = None

    def keep(self, workspace: Workspace, chat: Chat, edit: Edit) -> Chat:
        """Write what ``edit`` makes of the chat, now or as soon as the disk takes it; the chat as it is then.
        Raises NoSuchChat."""
        self.edits.append(edit)
        return self._written(workspace, chat.id) or edit(chat)

    def added_to(self, workspace: Workspace, chat: Chat) -> Chat:
        """A chat that was just read, with what could not be written so far; that is tried once more. Raises
        NoSuchChat."""
        if not self.edits:
            return chat
        return self._written(workspace, chat.id) or self._all(chat)

    def _written(self, workspace: Workspace, chat_id: str) -> Chat | None:
        """The chat once all that waits is in its file; None while that cannot be."""
        try:
            chat = change(workspace, chat_id, self._all)
        except ChatNotKept as error:
            self.why = error
            return None
        except NoSuchChat:
            self.edits.clear()
            raise
        self.edits.clear()
        return chat

    def _all(self, chat: Chat) -> Chat:
        return reduce(lambda found, edit: edit(found), self.edits, chat)


def waiting(chat: Chat) -> Waiting:
    """This session's, of that chat."""
    by_chat: dict[str, Waiting] = st.session_state.setdefault(WAITING, {})
    return by_chat.setdefault(chat.id, Waiting())


def keep_if_possible(workspace: Workspace, chat: Chat, edit: Edit) -> None:
    """Write what is on its way and will be kept at its end in any case."""
    with suppress(ChatNotKept, NoSuchChat):
        change(workspace, chat.id, edit)


def show_what_waits(chat: Chat) -> None:
    """Say that the page has what the disk has not, and why."""
    found = waiting(chat)
    if found.edits and found.why:
        st.warning(plain(found.why.text(language())), icon=":material/save:")
        st.button(t("page.chat.save_again"), icon=":material/refresh:", key="save again")

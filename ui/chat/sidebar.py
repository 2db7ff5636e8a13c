"""The chat page's side: the chats that were kept, and how answers of the open one are drawn."""

from bisect import bisect_right
from dataclasses import replace
from functools import partial
from itertools import accumulate
from unicodedata import east_asian_width

import streamlit as st

from core.chat.history import Chat, SamplingParams, delete_chat, list_chats, new_chat, rename_chat
from core.errors import NoSuchChat
from core.recipe.thinking import Thinking
from core.workspace.paths import RunPaths, Workspace
from ui.chat.keeping import waiting
from ui.shell.danger import danger_button
from ui.shell.text import plain, t

OPEN, CAME_WITH = "open chat", "the run that the chat page was opened with"
LONGEST_ANSWER = 16384
# What a model that thinks first may write in a new chat: most of it is thought.
THINKING_LENGTH = 2048
# What fits into one line of the side, by columns: a Chinese letter takes two.
LONGEST_LABEL = 24


def chat_list(
    workspace: Workspace, run: RunPaths | None, system: str, thinking: Thinking, taught: bool = False
) -> Chat:
    """Draw the side; returns the open chat. ``system`` is what a new chat begins with, and an answer may be
    longer where the model is ``thinking`` before it. ``taught``: it was taught a document's questions."""
    fresh = SamplingParams(max_tokens=THINKING_LENGTH) if thinking.thinks else SamplingParams()
    begin = partial(new_chat, workspace, system, fresh, run.id if run else "")
    chats = list_chats(workspace)
    asked = _asked(run)
    chat = next((known for known in chats if known.id == asked), None) or _of(run, chats) or begin()
    chats = chats if chat in chats else [chat, *chats]
    chat = waiting(chat).added_to(workspace, chat)
    # In the address too: a page that is loaded again, or whose server was started again, opens this chat.
    st.session_state[OPEN] = st.query_params["chat"] = chat.id
    with st.sidebar:
        if st.button(t("page.chat.new"), icon=":material/add_comment:", width="stretch", key="new"):
            empty = filter(_is_empty, chats)
            _open(next((known for known in empty if known.run == (run.id if run else "")), None) or begin())
        _settings(workspace, chat, thinking, system, taught)
        st.header(t("page.chat.chats"), anchor=False)
        for known in chats:
            if known.id == chat.id or not _is_empty(known):
                _entry(known, known.id == chat.id)
        _manage(workspace, chat)
    return chat


def _asked(run: RunPaths | None) -> str | None:
    """The chat that is open, by the session or by the address. Whoever comes with another run than before
    wants one with that run, unless the address says which."""
    if run and st.session_state.get(CAME_WITH) != run.id:
        st.session_state[CAME_WITH] = run.id
        st.session_state.pop(OPEN, None)
    return st.session_state.get(OPEN) or st.query_params.get("chat")


def _of(run: RunPaths | None, chats: list[Chat]) -> Chat | None:
    """The newest chat that was begun with the run; without one, the newest of all."""
    return next((chat for chat in chats if run is None or chat.run == run.id), None)


def _is_empty(chat: Chat) -> bool:
    """A chat that nothing was said in is as good as a new one."""
    return not chat.messages and not chat.name


def _open(chat: Chat) -> None:
    st.session_state[OPEN] = chat.id
    st.rerun()


def _entry(chat: Chat, is_open: bool) -> None:
    kind = "secondary" if is_open else "tertiary"
    icon = ":material/chat:" if is_open else ":material/chat_bubble_outline:"
    label = plain(_shorten(chat.title)) or t("page.chat.untitled")
    if st.button(label, type=kind, icon=icon, key=f"chat {chat.id}") and not is_open:
        _open(chat)


def _shorten(title: str) -> str:
    ends = [*accumulate(2 if east_asian_width(letter) in "WF" else 1 for letter in title)]
    if not ends or ends[-1] <= LONGEST_LABEL:
        return title
    return f"{title[: bisect_right(ends, LONGEST_LABEL - 1)].rstrip()}…"


def _manage(workspace: Workspace, chat: Chat) -> None:
    with st.popover(t("page.chat.manage"), icon=":material/edit:", key=f"manage {chat.id}"):
        name = st.text_input(t("page.chat.name"), chat.name, max_chars=60, key=f"name {chat.id}")
        if name != chat.name:
            rename_chat(workspace, chat.id, name)
            st.rerun()
        if danger_button(t("page.chat.delete"), f"delete {chat.id}", ":material/delete:"):
            delete_chat(workspace, chat.id)
            st.rerun()


def _settings(workspace: Workspace, chat: Chat, thinking: Thinking, trained: str, taught: bool) -> None:
    """Kept with the chat as soon as they are changed. ``trained`` is the system prompt of the training; where
    the chat has another, the settings stand open."""
    other = chat.system != trained
    with st.expander(t("page.chat.settings"), icon=":material/tune:", expanded=other, key="settings"):
        system = st.text_area(
            t("page.chat.system"), chat.system, help=t("page.chat.system.help"), key=f"system {chat.id}"
        )
        if other:
            st.caption(t("page.chat.other_system"))
            st.button(
                t("page.chat.as_taught"),
                icon=":material/undo:",
                key=f"as_taught {chat.id}",
                on_click=_write,
                args=(f"system {chat.id}", trained),
            )
        sampling = SamplingParams(
            temperature=_slider("temperature", chat, 0.0, 2.0),
            top_p=_slider("top_p", chat, 0.05, 1.0),
            max_tokens=int(_max_tokens(chat)),
            thinks=_thinks(chat, thinking) if thinking.switch else chat.sampling.thinks,
            as_taught=_as_taught(chat) if taught else chat.sampling.as_taught,
        )
    if (system, sampling) != (chat.system, chat.sampling):
        try:
            waiting(chat).keep(
                workspace, chat, lambda found: replace(found, system=system, sampling=sampling)
            )
        except NoSuchChat:  # deleted in another tab: the next run opens another one
            st.rerun()
        st.rerun()


def _write(key: str, text: str) -> None:
    st.session_state[key] = text


def _thinks(chat: Chat, thinking: Thinking) -> bool | None:
    """Nothing is kept as long as a person leaves it as the model does by itself."""
    asked = thinking.may_think(chat.sampling.thinks)
    chosen = st.segmented_control(
        t("page.chat.thinks"),
        (True, False),
        default=asked,
        format_func=lambda thinks: t(f"page.chat.thinks.{'first' if thinks else 'at_once'}"),
        help=t("page.chat.thinks.help"),
        key=f"thinks {chat.id}",
        required=True,
        width="stretch",
    )
    return chat.sampling.thinks if chosen == asked else chosen


def _as_taught(chat: Chat) -> bool:
    help_text, key = t("page.chat.as_taught_asked.help"), f"as_taught_asked {chat.id}"
    return st.toggle(t("page.chat.as_taught_asked"), chat.sampling.as_taught, help=help_text, key=key)


def _slider(name: str, chat: Chat, lowest: float, highest: float) -> float:
    help_text, key = t(f"page.chat.{name}.help"), f"{name} {chat.id}"
    value = float(getattr(chat.sampling, name))
    return st.slider(t(f"page.chat.{name}"), lowest, highest, value, 0.05, help=help_text, key=key)


def _max_tokens(chat: Chat) -> int:
    help_text, key = t("page.chat.max_tokens.help"), f"max_tokens {chat.id}"
    value = chat.sampling.max_tokens
    return st.number_input(
        t("page.chat.max_tokens"), 1, LONGEST_ANSWER, value, step=32, help=help_text, key=key
    )

"""What was said in a chat, turn by turn, and how each answer came and ended."""

import streamlit as st

from core.chat.history import Chat, ChatMessage
from core.recipe.thoughts import split
from core.workspace.paths import RunPaths
from ui.chat import taught
from ui.chat.answer import show_answer, show_question
from ui.chat.begin import begin_with
from ui.chat.server import Bar, spoken_by
from ui.shell.text import plain, t


def show_chat(
    chat: Chat, bar: Bar, run: RunPaths | None, learned: taught.Learned
) -> st.delta_generator.DeltaGenerator:
    """Draw what was said; returns the place of the last answer, where another one can stand."""
    if not chat.messages:
        st.caption(begin_with(bar, run))
    before = ["", *(message.content for message in chat.messages)]
    for at, (message, question) in enumerate(zip(chat.messages[:-1], before, strict=False)):
        show(message, taught.how_asked(message, question, learned))
        if message.role == chat.messages[at + 1].role == "user":
            st.caption(t("page.chat.unanswered"))
    last = st.empty()
    if chat.messages:
        with last.container():
            show(chat.messages[-1], taught.how_asked(chat.messages[-1], before[-2], learned))
    return last


def show(message: ChatMessage, told: str = "") -> None:
    with st.chat_message(message.role):
        if message.role == "user":
            show_question(message.content)
            return
        show_answer(message.content)
        if not split(message.content).left and (message.whole or message.limit):
            st.caption(t("page.chat.only_thought"))
        if told:
            st.caption(told)
        st.caption(plain(spoken_by(message.by)) + how_it_ended(message))


def how_it_ended(message: ChatMessage) -> str:
    if message.whole:
        return ""
    if message.looped:
        return f" · {t('page.chat.looped')}"
    cut = t("page.chat.cut", count=message.limit) if message.limit else t("page.chat.stopped")
    return f" · {cut}"

"""Chat: talk to the assistant, its adapter or its base; every word is kept."""

import streamlit as st

from core.chat import server as chat_server
from core.chat.history import Chat, ChatMessage, change
from core.chat.server import Readiness, Server, Speaker, speakers
from core.recipe.thinking import ONE_WAY
from core.recipe.thoughts import split
from ui.chat.answer import answer, show_answer, show_failure, wait_for_last
from ui.chat.server import by, server_bar, speaker_name, spoken_by
from ui.chat.sidebar import chat_list
from ui.shell.frame import Here, open_page, shown_errors
from ui.shell.text import as_markdown, plain, spoken, t

LONGEST_QUESTION = 20_000


def chat_page(here: Here) -> None:
    wait_for_last()
    server = server_bar(here.workspace, here.run)
    offered = speakers(here.workspace, here.run)
    speaker = server.speaker or next(iter(offered), None)
    thinking = chat_server.thinking(speaker) if speaker else ONE_WAY
    chat = chat_list(here.workspace, speaker.system if speaker else "", thinking)
    last = show_chat(chat, server, speaker)
    show_failure()
    below = st.container()
    ready = server.readiness is Readiness.ready
    question = st.chat_input(
        spoken("page.chat.ask", model=speaker_name(speaker)) if ready and speaker else t("page.chat.ask_off"),
        key="question",
        disabled=not ready,
        submit_mode="disable",
        max_chars=LONGEST_QUESTION,
    )
    if not ready or speaker is None:
        return
    if question:
        chat = change(here.workspace, chat.id, lambda found: found.said(ChatMessage("user", question)))
        with below:
            show(chat.messages[-1])
            answer(here.workspace, chat, server, by(speaker))
    elif chat.messages and offer_again(below, chat):
        with below if chat.unanswered else last.container():
            answer(here.workspace, chat.without_last_answer(), server, by(speaker))


def offer_again(place: st.delta_generator.DeltaGenerator, chat: Chat) -> bool:
    """Whether the last question shall be answered, for the first time or once more."""
    label = t("page.chat.answer") if chat.unanswered else t("page.chat.again")
    return place.button(label, icon=":material/refresh:", type="tertiary", key="again")


def show_chat(chat: Chat, server: Server, speaker: Speaker | None) -> st.delta_generator.DeltaGenerator:
    """Draw what was said; returns the place of the last answer, where another one can stand."""
    if speaker and speaker.system != chat.system:
        st.caption(t("page.chat.other_system"))
    if not chat.messages:
        ready = server.readiness is Readiness.ready
        st.caption(t("page.chat.begin") if ready else t("page.chat.begin_off"))
    for message in chat.messages[:-1]:
        show(message)
    last = st.empty()
    if chat.messages:
        with last.container():
            show(chat.messages[-1])
    return last


def show(message: ChatMessage) -> None:
    with st.chat_message(message.role):
        if message.role == "user":
            st.markdown(as_markdown(message.content))
            return
        show_answer(message.content)
        if message.whole and not split(message.content).left:
            st.caption(t("page.chat.only_thought"))
        cut = "" if message.whole else f" · {t('page.chat.stopped')}"
        st.caption(plain(spoken_by(message.by)) + cut)


here = open_page("chat")
with shown_errors():
    chat_page(here)

"""Chat: talk to the assistant, its adapter or its base; every word is kept."""

from dataclasses import replace

import streamlit as st

from core.chat import server as chat_server
from core.chat.history import Chat, ChatMessage
from core.recipe.thinking import ONE_WAY
from core.recipe.thoughts import split
from core.workspace.paths import RunPaths
from ui.chat import taught
from ui.chat.again import VARIED, offer_again
from ui.chat.answer import answer, show_answer, show_failure, show_question, wait_for_last
from ui.chat.begin import begin_with, pressed_question
from ui.chat.keeping import show_what_waits, waiting
from ui.chat.server import Bar, by, server_bar, spoken_by
from ui.chat.sidebar import chat_list
from ui.chat.trust import show_trust
from ui.shell.frame import Here, open_page, shown_errors
from ui.shell.text import plain, spoken, t

LONGEST_QUESTION = 20_000


def chat_page(here: Here) -> None:
    wait_for_last()
    bar = server_bar(here.workspace, here.run)
    speaker, server = bar.chosen, bar.server
    learned = taught.what_it_learned(here.workspace, speaker)
    thinking = chat_server.thinking(speaker) if speaker else ONE_WAY
    system = speaker.system if speaker else ""
    chat = chat_list(here.workspace, here.run, system, thinking, learned.has_document)
    if speaker:
        show_trust(here.workspace, here.run, speaker, learned.has_document and chat.sampling.as_taught)
    last = show_chat(chat, bar, here.run, learned)
    show_failure()
    show_what_waits(chat)
    below, listed = st.container(), st.container()
    question = st.chat_input(
        spoken("page.chat.ask", model=bar.name) if bar.ready else t(ask_off(bar)),
        key="question",
        disabled=not bar.ready,
        submit_mode="disable",
        max_chars=LONGEST_QUESTION,
    )
    question = taught.or_listed(listed, learned, question, bar.ready)
    if not bar.ready or speaker is None:
        return
    if not chat.messages:
        with last.container():
            question = pressed_question(here.run, speaker) or question
    else:
        question = taught.or_meant(below.empty(), learned, chat, question)
    if question:
        message = ChatMessage("user", question)
        chat = waiting(chat).keep(here.workspace, chat, lambda found: found.said(message))
        with below:
            show(chat.messages[-1])
            answer(here.workspace, chat, server, by(speaker), taught.asked_instead(learned, chat))
    elif chat.messages and (
        how := offer_again(below, chat, by(speaker), taught.is_told_again(learned, chat))
    ):
        asked = chat.without_last_answer()
        instead = taught.asked_instead(learned, asked)
        if how == "varied":  # as it was typed too: in the taught words it would say the same
            asked, instead = replace(asked, sampling=replace(chat.sampling, temperature=VARIED)), ""
        begun = chat.messages[-1] if how == "continue" else None
        with below if chat.unanswered else last.container():
            answer(here.workspace, asked, server, by(speaker), instead, begun)


def ask_off(bar: Bar) -> str:
    if bar.server.lives and not bar.is_loaded:
        return "page.chat.ask_other"
    return "page.chat.ask_soon" if bar.server.lives else "page.chat.ask_off"


def show_chat(
    chat: Chat, bar: Bar, run: RunPaths | None, learned: taught.Learned
) -> st.delta_generator.DeltaGenerator:
    """Draw what was said; returns the place of the last answer, where another one can stand."""
    if not chat.messages:
        st.caption(begin_with(bar, run))
    before = ["", *(message.content for message in chat.messages)]
    for message, question in zip(chat.messages[:-1], before, strict=False):
        show(message, taught.how_asked(message, question, learned))
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


here = open_page("chat", slim=True)
with shown_errors():
    chat_page(here)

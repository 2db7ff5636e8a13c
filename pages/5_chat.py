"""Chat: talk to the assistant, its adapter or its base; every word is kept."""

from dataclasses import replace

import streamlit as st

from core.chat import server as chat_server
from core.chat.history import ChatMessage
from core.recipe.thinking import ONE_WAY
from ui.chat import taught
from ui.chat.again import VARIED, answers_a_press, offer_again
from ui.chat.answer import answer, show_failure, wait_for_last
from ui.chat.begin import pressed_question
from ui.chat.keeping import show_what_waits, waiting
from ui.chat.server import Bar, by, server_bar
from ui.chat.sidebar import chat_list
from ui.chat.trust import show_trust
from ui.chat.turns import show, show_chat
from ui.shell.frame import Here, open_page, shown_errors
from ui.shell.text import spoken, t

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
    place = below.empty()
    question = st.chat_input(
        spoken("page.chat.ask", model=bar.name) if bar.ready else t(ask_off(bar)),
        key="question",
        disabled=not bar.ready or answers_a_press(),
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
        question = taught.or_meant(place, learned, chat, question)
    if question:
        message = ChatMessage("user", question)
        chat = waiting(chat).keep(here.workspace, chat, lambda found: found.said(message))
        instead = taught.asked_instead(learned, chat)
        if not instead and taught.to_choose(learned, chat):
            st.rerun()
        with below:
            show(chat.messages[-1])
            answer(here.workspace, chat, server, by(speaker), instead)
    elif chosen := taught.or_chosen(place, learned, chat):
        with below:
            answer(here.workspace, chat, server, by(speaker), chosen)
    elif chat.messages and (how := offer_again(below, chat, by(speaker), learned)):
        asked = chat.without_last_answer()
        instead = taught.asked_instead(learned, asked, before=chat.messages[-1].asked)
        if how == "varied":  # as it was typed too: in the taught words it would say the same
            asked, instead = replace(asked, sampling=replace(chat.sampling, temperature=VARIED)), ""
        begun = chat.messages[-1] if how == "continue" else None
        with below if chat.unanswered else last.container():
            answer(here.workspace, asked, server, by(speaker), instead, begun)


def ask_off(bar: Bar) -> str:
    if bar.server.lives and not bar.is_loaded:
        return "page.chat.ask_other"
    return "page.chat.ask_soon" if bar.server.lives else "page.chat.ask_off"


here = open_page("chat", slim=True)
with shown_errors():
    chat_page(here)

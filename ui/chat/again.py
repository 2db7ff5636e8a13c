"""How the last question of a chat is answered again."""

import streamlit as st

from core.chat.history import Chat
from ui.chat.taught import Learned, is_told_again, to_choose
from ui.shell.text import t

# How another answer is drawn once where the chat's own temperature is 0.
VARIED = 0.7


# By their keys: what is pressed to be answered.
ASKS, WAYS = ("meant ", "can ask ", "begin "), ("again", "varied", "continue")


def answers_a_press() -> bool:
    """Whether a press is answered now. The box waits for that, as it does for what was typed: the next
    question would break the answer off."""
    return any(
        st.session_state[key] is True
        for key in map(str, st.session_state)
        if key in WAYS or key.startswith(ASKS)
    )


def offer_again(place: st.delta_generator.DeltaGenerator, chat: Chat, speaker: str, learned: Learned) -> str:
    """How the last question shall be answered: "again" for the first time or once more, "varied" where that
    would bring the same, "continue" where its answer was cut; empty for not at all."""
    first = "as_typed" if to_choose(learned, chat) else "answer"
    ways = {"again": (first if chat.unanswered else "again", "refresh")}
    if chat.cut and chat.messages[-1].by == speaker:
        ways = {"continue": ("continue", "last_page"), **ways}
    same = not chat.unanswered and chat.sampling.temperature == 0
    if same:
        ways["varied"] = ("varied", "shuffle")
    pressed = ""
    with place.container(horizontal=True, vertical_alignment="center", key="ways"):
        for way, (label, icon) in ways.items():
            kind = "secondary" if way == "continue" else "tertiary"
            told = t("page.chat.varied.help", temperature=VARIED) if way == "varied" else None
            if st.button(t(f"page.chat.{label}"), icon=f":material/{icon}:", type=kind, key=way, help=told):
                pressed = way
        if same:
            st.caption(t("page.chat.same"), width="content")
        if is_told_again(learned, chat):
            st.caption(t("page.chat.repeats"), width="content")
    return pressed

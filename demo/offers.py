"""What the model was taught to be asked and to say, and the questions that are offered of it."""

import json
import re
from pathlib import Path
from typing import Any

import streamlit as st
from nearest import TaughtQuestions, starts_as
from talk import Chat, Turn

HERE = Path(__file__).resolve().parent
THINK = "<think>"
# More questions than so many scroll, in so many pixels.
FEW, HEIGHT = 24, 320


def parted(text: str) -> tuple[str, str]:
    """What the model thought, and its answer; that is empty as long as it thinks."""
    if not text.lstrip().startswith(THINK):
        return "", text
    thought, _, said = text.partition("</think>")
    return thought.replace(THINK, "").strip(), said.lstrip()


@st.cache_resource(show_spinner=False)
def wordings() -> dict[str, Any]:
    """What the model was taught to be asked and to say."""
    found: dict[str, Any] = json.loads((HERE / "taught.json").read_text(encoding="utf-8"))
    return found


@st.cache_resource(show_spinner=False)
def taught() -> TaughtQuestions:
    """What the model was taught to be asked of a document; nothing where it was taught none."""
    return TaughtQuestions(wordings()["facts"], wordings()["others"])


def says_itself(question: str, said: str) -> bool:
    """Whether a question that may ask who answers is answered in the words it was taught for that."""
    return taught().may_ask_who(question) and starts_as(parted(said)[1], wordings()["itself"])


def is_guess(question: str) -> bool:
    """Whether a model that was taught a document answers by guessing."""
    return bool(taught().facts) and taught().is_guessed(question)


def show_meant(chat: Chat, turns: list[Turn], said: dict[str, str]) -> None:
    """The taught questions that the last one may have meant; it waits for one of them, or was answered."""
    found, waits = taught().meant(turns[-2].content), turns[-1].end == "choose"
    if not found:
        return
    st.caption(said["meant"])
    with st.container(horizontal=True):
        for question in found:
            key, take = f"meant {len(turns)} {question}", chat.choose if waits else chat.ask
            st.button(literally(question), key=key, on_click=take, args=(question,))
    if waits:
        st.button(
            said["as_typed"], key=f"as typed {len(turns)}", type="tertiary", on_click=chat.choose, args=("",)
        )


def show_can_be_asked(chat: Chat, said: dict[str, str]) -> None:
    """One question for each fact that it was taught of a document, folded."""
    found = taught().can_be_asked
    if not found:
        return
    box = st.expander(said["can_ask"].replace("{count}", str(len(found))), icon=":material/list:")
    with box.container(horizontal=True, height=HEIGHT if len(found) > FEW else "content", border=False):
        for question in found:
            st.button(
                literally(question),
                key=f"can ask {question}",
                on_click=chat.ask,
                args=(question,),
                disabled=chat.answering,
            )


def literally(text: str) -> str:
    """A label shows Markdown too."""
    return re.sub(r"([\\`*_\[\]:$~<])", r"\\\1", text)

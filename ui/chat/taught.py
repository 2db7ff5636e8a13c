"""A question as a person puts it, and the taught one that is asked in its place."""

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.chat.history import Chat, ChatMessage
from core.chat.nearest import TaughtQuestions
from core.chat.server import Speaker
from core.chat.taught import taught_wordings
from core.workspace.paths import RunPaths, Workspace
from ui.shell.text import plain, t


def taught_questions(workspace: Workspace, speaker: Speaker | None) -> TaughtQuestions | None:
    """What this model was taught to be asked of a document; None for a base, and for one that was taught
    none."""
    if speaker is None or not speaker.made_in:
        return None
    run = workspace.run(speaker.made_in)
    return _read(run, run.id, run.data.stat().st_mtime_ns) if run.data.exists() else None


@st.cache_resource(show_spinner=False, max_entries=4)
def _read(_run: RunPaths, run: str, changed: int) -> TaughtQuestions | None:  # noqa: ARG001
    found = taught_wordings(_run)
    return TaughtQuestions(found.facts, found.others) if found.facts else None


def asked_instead(taught: TaughtQuestions | None, chat: Chat) -> str:
    """The taught question that is nearest to the chat's last one; empty where none is near, where the chat is
    set to ask as typed, and where it is the same and nothing was said before it."""
    if taught is None or not chat.sampling.as_taught or not chat.unanswered:
        return ""
    typed = chat.messages[-1].content.strip()
    found = taught.nearest(typed) or ""
    return "" if found == typed and len(chat.messages) == 1 and not chat.sampling.temperature else found


def how_asked(message: ChatMessage, question: str, taught: TaughtQuestions | None) -> str:
    """Markdown under an answer to ``question``: in which other words that was asked, or that it is asked
    as nothing that was taught and the answer a guess."""
    if message.asked:
        return t("page.chat.asked", question=message.asked)
    return t("page.chat.guessed") if taught and question and taught.is_guessed(question) else ""


def or_meant(
    place: DeltaGenerator, taught: TaughtQuestions | None, chat: Chat, question: str | None
) -> str | None:
    """The ``question`` that was typed, or the one that was pressed of those that the last question may have
    meant; they stand in that ``place`` until something is asked."""
    last = chat.messages[-2:]
    if taught is None or len(last) < 2 or chat.unanswered or last[1].asked or question:
        return question
    if not (found := taught.meant(last[0].content)):
        return None
    with place.container():
        st.caption(t("page.chat.meant"))
        with st.container(horizontal=True, key="meant"):
            pressed = [one for one in found if st.button(plain(one), key=f"meant {one}")]
    if pressed:
        place.empty()
    return next(iter(pressed), None)

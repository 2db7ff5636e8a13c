"""One answer on its way to the page, and into the chat's file however it ends."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from html import escape

import streamlit as st

from core.chat import server as chat_server
from core.chat.history import Chat, ChatMessage
from core.chat.loops import without_loop
from core.chat.reply import reply
from core.chat.server import Server, Speaker
from core.errors import ChatFailed, NoSuchChat, TuneboardError
from core.recipe.thinking import ONE_WAY, Thinking
from core.recipe.thoughts import count_words, split
from core.runs import keep_chatted
from core.workspace.paths import Workspace
from ui.chat.keeping import Edit, keep_if_possible, waiting
from ui.shell.text import as_markdown, language, plain, t

# A tunnel may be slow, and each time the whole answer so far is sent.
DRAW_EVERY = 0.1
# Whatever ends this process, what came is kept but for so many seconds of it.
KEEP_EVERY = 2.0
QUESTION = '<div style="white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.6">{text}</div>'
HALF = "\ufffd"
FAILED = "why there was no answer"
RUNNING = "the answer that is on its way"
# Until a run that was told to end has written down what came; seconds.
PATIENCE = 3.0


def answer(
    workspace: Workspace,
    chat: Chat,
    server: Server,
    said_by: str,
    taught: str = "",
    begun: ChatMessage | None = None,
) -> None:
    """Stream an answer to the chat's last question, then draw the page anew; it is asked as it was ``taught``
    where that is given. What comes stands behind what was ``begun`` of it. One that has fallen into a loop is
    stopped there.

    What came is kept, whole or not: after a press of "Stop", in a closed tab and when a server dies, this one
    too.
    """
    fresh = ChatMessage("assistant", "", said_by, thinks=chat.sampling.thinks, asked=taught)
    begun = begun.begun if begun else fresh
    sent = chat.asked_as(begun.asked)
    messages = (*sent.messages, begun) if begun.content else sent.messages
    text, whole, limit, looped = begun.content, False, 0, False
    ended = st.session_state[RUNNING] = threading.Event()
    kept, unsaved = time.monotonic(), waiting(chat)
    try:
        thinking = thinking_of(server)
        with closing(reply(server.socket, chat.system, messages, sent.sampling, thinking)) as pieces:
            with st.chat_message("assistant"):
                st.button(t("page.chat.stop"), icon=":material/stop_circle:", key="stop")
                place = st.empty()
            for text in growing(pieces, begun.content):
                if (once := without_loop(text)) is not None:
                    text, looped = once, True
                    break
                with place.container():
                    show_answer(text, arriving=True)
                if text != begun.content and time.monotonic() - kept >= KEEP_EVERY:
                    kept = time.monotonic()
                    so_far = replace(begun, content=text, whole=False, looped=False)
                    keep_if_possible(workspace, chat, _with_answer(chat, so_far, instead=False))
            whole = not pieces.cut and not looped
            limit = chat.sampling.max_tokens if pieces.cut and not looped else 0
    except ChatFailed as error:
        st.session_state[FAILED] = error.text(language())
    finally:
        if whole or looped or text != begun.content:
            message = replace(begun, content=text, whole=whole, limit=limit, looped=looped)
            with suppress(NoSuchChat):  # deleted in another tab
                unsaved.keep(workspace, chat, _with_answer(chat, message))
            _keep_chatted(workspace, server.speaker)
        ended.set()
    st.rerun()


def _keep_chatted(workspace: Workspace, speaker: Speaker | None) -> None:
    """Its run's chat is done once what it has made has said something; a full disk keeps nobody from that."""
    if speaker and speaker.made_in:
        with suppress(TuneboardError, OSError):
            keep_chatted(workspace, speaker.run)


def thinking_of(server: Server) -> Thinking:
    """Whether the model that answers can be asked to think first."""
    return chat_server.thinking(server.speaker) if server.speaker else ONE_WAY


def show_answer(text: str, arriving: bool = False) -> None:
    """What a model said, its thought folded away above the answer; no half of a character at its end."""
    said = split(text.rstrip(HALF), arriving)
    if said.thought:
        ended = said.left or not arriving
        label = t("page.chat.thought", count=count_words(said.thought)) if ended else t("page.chat.thinking")
        with st.expander(label, icon=":material/psychology:"):
            st.markdown(as_markdown(said.thought))
    if said.answer or arriving:
        st.markdown(as_markdown(said.answer) + (" ▌" if arriving else ""))


def show_question(text: str) -> None:
    """What a person said, letter by letter as it was typed."""
    st.html(QUESTION.format(text=escape(text)))


def wait_for_last() -> None:
    """Wait for what a press of "Stop" ends: Streamlit begins the next run beside the one that is ending."""
    if ended := st.session_state.pop(RUNNING, None):
        ended.wait(PATIENCE)


def show_failure() -> None:
    """Why the last question got no answer, once."""
    if why := st.session_state.pop(FAILED, None):
        st.error(plain(why), icon=":material/error:")


def growing(pieces: Iterator[str], text: str = "") -> Iterator[str]:
    """The answer so far, behind the ``text`` that was there, now and then: each time it is drawn is when a
    press of "Stop" comes in."""
    drawn = 0.0
    try:
        for piece in pieces:
            text += piece
            if time.monotonic() - drawn >= DRAW_EVERY:
                drawn = time.monotonic()
                yield text
    except ChatFailed:
        yield text
        raise
    yield text


def _with_answer(chat: Chat, message: ChatMessage, instead: bool = True) -> Edit:
    """In the place of an earlier answer, unless more was said in another tab meanwhile; if not ``instead`` of
    another one, only where there is none or its own beginning."""
    asked = chat.messages

    def with_answer(found: Chat) -> Chat:
        same = found.messages[: len(asked)] == asked and len(found.messages) <= len(asked) + 1
        before = found.messages[len(asked) :]
        own = all(message.content.startswith(one.content) for one in before)
        return replace(found, messages=(*asked, message)) if same and (instead or own) else found

    return with_answer

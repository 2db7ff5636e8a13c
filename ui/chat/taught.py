"""A question as a person puts it, and the taught one that is asked in its place; what can be asked at all."""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.chat.history import Chat, ChatMessage
from core.chat.nearest import TaughtQuestions
from core.chat.server import Speaker
from core.chat.taught import taught_wordings
from core.data.drafts import language_of
from core.proof.rules import says_who
from core.wording import language_named
from core.workspace.files import read_object
from core.workspace.paths import RunPaths, Workspace
from ui.chat.trust import tested
from ui.shell.text import plain, t, together

# More questions than so many scroll, in so many pixels.
FEW, HEIGHT = 24, 320


@dataclass(frozen=True)
class Learned:
    """Whose assistant a model was taught to be, empty where nobody knows; and what it was taught to be asked
    of a document (``questions``), None where it was taught none. ``guesses_well``: by its own test it answers
    in other words too."""

    name: str = ""
    questions: TaughtQuestions | None = None
    guesses_well: bool = False

    @property
    def has_document(self) -> bool:
        return self.questions is not None

    def says_itself(self, question: str, answer: str) -> bool:
        """Whether a question to it is answered, rightly, with whose assistant it is."""
        asked = (self.questions or TaughtQuestions(())).may_ask_who(question)
        return asked and bool(self.name) and says_who(self.name, answer)


def what_it_learned(workspace: Workspace, speaker: Speaker | None) -> Learned:
    """Nothing of a base."""
    if speaker is None or not speaker.made_in:
        return Learned()
    run = workspace.run(speaker.made_in)
    if not run.data.exists():
        return Learned()
    changed = [file.stat().st_mtime_ns for file in (run.data, run.result) if file.exists()]
    return _read(run, run.id, tuple(changed))


@st.cache_resource(show_spinner=False, max_entries=4)
def _read(_run: RunPaths, run: str, changed: tuple[int, ...]) -> Learned:  # noqa: ARG001
    found, name = taught_wordings(_run), str((read_object(_run.data) or {}).get("name", ""))
    if not found.facts:
        return Learned(name)
    in_test = tested(_run)
    well = in_test is not None and in_test.score.holds_in_other_words
    return Learned(name, TaughtQuestions(found.facts, found.others), well)


def asked_instead(learned: Learned, chat: Chat, before: str = "") -> str:
    """The taught question that is nearest to the chat's last one, else the one that was chosen for it
    ``before``; empty where none is near, where the chat is set to ask as typed, and where it is the same and
    nothing was said before it."""
    taught = learned.questions
    if taught is None or not chat.sampling.as_taught or not chat.unanswered:
        return ""
    typed = chat.messages[-1].content.strip()
    found = taught.nearest(typed) or before
    return "" if found == typed and len(chat.messages) == 1 and not chat.sampling.temperature else found


def to_choose(learned: Learned, chat: Chat) -> list[str]:
    """The taught questions that the chat's last one may mean, where a person is better asked which than told
    what the model would make up; empty where it can be answered."""
    taught = learned.questions
    if taught is None or learned.guesses_well or not chat.sampling.as_taught or not chat.unanswered:
        return []
    return taught.meant(chat.messages[-1].content)


def or_chosen(place: DeltaGenerator, learned: Learned, chat: Chat) -> str | None:
    """The one of those that was pressed; they stand in that ``place`` until then."""
    return _pressed(place, to_choose(learned, chat), "page.chat.choose")


def how_asked(message: ChatMessage, question: str, learned: Learned) -> str:
    """Markdown under an answer to ``question``: in which other words that was asked, or that it is asked
    as nothing that was taught and the answer a guess; that is none which says whose assistant it is."""
    if message.asked:
        return t("page.chat.asked", question=message.asked) if message.asked != question.strip() else ""
    taught = learned.questions
    guessed = taught is not None and question and taught.is_guessed(question)
    if not guessed or learned.says_itself(question, message.content):
        return ""
    return together(t("page.chat.guessed"), _in_its_language(learned, question))


def _in_its_language(learned: Learned, question: str) -> str:
    """What is better asked in the language that it was taught in; a small model carries nothing over."""
    asked = learned.questions.can_be_asked if learned.questions else []
    own = language_of("\n".join(asked))
    return (
        "" if language_of(question) == own else t("page.chat.guessed.language", language=language_named(own))
    )


def is_told_again(learned: Learned, chat: Chat) -> bool:
    """Whether its last answer is the one before, to another question, and not rightly so."""
    return chat.repeats and not learned.says_itself(*(one.content for one in chat.messages[-2:]))


def or_listed(place: DeltaGenerator, learned: Learned, question: str | None, ready: bool) -> str | None:
    """The ``question`` that was typed, or one that was pressed of all that it was taught of a document: one
    for each fact, folded in that ``place``."""
    found = learned.questions.can_be_asked if learned.questions else []
    if not found:
        return question
    label = t("demo.can_ask", count=len(found))
    box = place.expander(label, icon=":material/list:", key="can_ask")
    with box.container(
        horizontal=True, height=HEIGHT if len(found) > FEW else "content", border=False, key="can_ask_list"
    ):
        pressed = [one for one in found if st.button(plain(one), key=f"can ask {one}", disabled=not ready)]
    return question or next(iter(pressed), None)


def or_meant(place: DeltaGenerator, learned: Learned, chat: Chat, question: str | None) -> str | None:
    """The ``question`` that was typed, or the one that was pressed of those that the last question may have
    meant; they stand in that ``place`` until something is asked."""
    last, taught = chat.messages[-2:], learned.questions
    if taught is None or len(last) < 2 or chat.unanswered or last[1].asked or question:
        return question
    return _pressed(place, taught.meant(last[0].content), "page.chat.meant")


def _pressed(place: DeltaGenerator, found: Sequence[str], told: str) -> str | None:
    if not found:
        return None
    with place.container():
        st.caption(t(told))
        with st.container(horizontal=True, key="meant"):
            pressed = [one for one in found if st.button(plain(one), key=f"meant {one}")]
    if pressed:
        place.empty()
    return next(iter(pressed), None)

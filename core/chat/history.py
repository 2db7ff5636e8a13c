"""The chats of a workspace, one JSON file each: messages, system prompt and how answers are drawn."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from core.errors import ChatNotKept, NoSuchChat, reason_of
from core.workspace.files import held, read_record, write_json
from core.workspace.paths import Workspace, make_folder

NAME_LENGTH = 60
Role = Literal["user", "assistant"]


@dataclass(frozen=True)
class ChatMessage:
    """What was said. ``by`` names the model that answered; ``whole`` is false for an answer cut short,
    ``limit`` how many tokens it was allowed where that cut it, 0 where it was stopped; ``looped``: it was
    stopped because it repeated itself, and has that once. ``thinks`` is how it was asked for
    (:class:`SamplingParams`), ``asked`` the taught question that was asked in the place of the person's,
    empty where theirs was."""

    role: Role
    content: str
    by: str = ""
    whole: bool = True
    limit: int = 0
    looped: bool = False
    thinks: bool | None = None
    asked: str = ""

    @property
    def begun(self) -> "ChatMessage":
        """An answer that was cut short, as far as it can be continued: a model writes its space together with
        the word behind it, and half a character is none."""
        return replace(self, content=self.content.rstrip(" \ufffd"))


@dataclass(frozen=True)
class SamplingParams:
    """How an answer is drawn: greedy at ``temperature`` 0; ``max_tokens`` is its longest length, a thought
    before it counted. ``thinks``: to think first or to answer at once, None as the model does by itself.
    ``as_taught``: a question that is near a taught one of a document is asked in that one's words."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 256
    thinks: bool | None = None
    as_taught: bool = True


@dataclass(frozen=True)
class Chat:
    """One conversation; ``id`` is its file's name, ``name`` what a person calls it (empty: its start),
    ``run`` the run that it was begun with (empty: none)."""

    id: str
    name: str = ""
    system: str = ""
    sampling: SamplingParams = SamplingParams()
    messages: tuple[ChatMessage, ...] = ()
    run: str = ""

    @property
    def title(self) -> str:
        """The name, else the first question; empty for a chat without either."""
        first = next((message.content for message in self.messages), "")
        return self.name or _one_line(first)

    @property
    def unanswered(self) -> bool:
        return bool(self.messages) and self.messages[-1].role == "user"

    @property
    def cut(self) -> bool:
        """Whether its last answer was cut short, and can be continued."""
        return not self.unanswered and bool(self.messages) and not self.messages[-1].whole

    @property
    def repeats(self) -> bool:
        """Whether its last answer is the one before word for word, though something else was asked."""
        first, answer, second, again = [*self.messages[-4:], *[ChatMessage("user", "")] * 4][:4]
        answered = answer.role == again.role == "assistant"
        same = answer.content.strip() == again.content.strip() != ""
        return answered and same and first.content.strip() != second.content.strip()

    def said(self, message: ChatMessage) -> "Chat":
        """This chat with one message more."""
        return replace(self, messages=(*self.messages, message))

    def asked_as(self, taught: str) -> "Chat":
        """What the model is sent where the last question is asked as it was ``taught``: that alone, at
        temperature 0; where it is not, all of it but earlier questions that got no answer: a template may
        refuse two of one side."""
        if not taught:
            behind = [*(message.role for message in self.messages[1:]), "assistant"]
            pairs = zip(self.messages, behind, strict=False)
            kept = tuple(one for one, role in pairs if "assistant" in {one.role, role})
            return replace(self, messages=kept)
        sampling = replace(self.sampling, temperature=0.0)
        return replace(self, messages=(ChatMessage("user", taught),), sampling=sampling)

    def without_last_answer(self) -> "Chat":
        """This chat as it was before its last question was answered."""
        kept = self.messages if self.unanswered else self.messages[:-1]
        return replace(self, messages=kept)


def new_chat(
    workspace: Workspace, system: str = "", sampling: SamplingParams | None = None, run: str = ""
) -> Chat:
    """Begin a chat. Raises NotWritable, ChatNotKept."""
    make_folder(workspace.chats, exist_ok=True)
    file = workspace.new_chat(datetime.now())
    chat = Chat(file.stem, system=system, sampling=sampling or SamplingParams(), run=run)
    _write(file, chat)
    return chat


def read_chat(workspace: Workspace, chat_id: str) -> Chat:
    """Raises NoSuchChat, for one whose file is damaged too."""
    file = workspace.chat(chat_id)
    if (chat := _read(file)) is None:
        raise NoSuchChat(chat=chat_id, workspace=workspace.root)
    return chat


def list_chats(workspace: Workspace) -> list[Chat]:
    """All chats, newest first."""
    return list(_read_all(workspace))


def change(workspace: Workspace, chat_id: str, edit: Callable[[Chat], Chat]) -> Chat:
    """Write what ``edit`` makes of the chat as it stands now, so that of two tabs neither undoes the other.

    Raises NoSuchChat, ChatNotKept.
    """
    try:
        with _locked(workspace):
            chat = edit(read_chat(workspace, chat_id))
            _write(workspace.chat(chat_id), chat)
    except OSError as error:  # of the lock
        raise ChatNotKept(path=workspace.chats, reason=reason_of(error)) from error
    return chat


def rename_chat(workspace: Workspace, chat_id: str, name: str) -> Chat:
    """Call a chat ``name``; an empty name gives it back its first words. Raises NoSuchChat,
    ChatNotKept."""
    return change(workspace, chat_id, lambda chat: replace(chat, name=_one_line(name)))


def delete_chat(workspace: Workspace, chat_id: str) -> None:
    """Delete a chat; one that is gone already is no error."""
    with _locked(workspace), suppress(NoSuchChat):
        workspace.chat(chat_id).unlink(missing_ok=True)


def _locked(workspace: Workspace) -> AbstractContextManager[None]:
    make_folder(workspace.chats, exist_ok=True)
    return held(workspace.chats / ".lock")


def _write(file: Path, chat: Chat) -> None:
    """Whole or not at all: a full disk leaves the chat as it was."""
    try:
        write_json(file, asdict(chat))
    except OSError as error:
        raise ChatNotKept(path=file.parent, reason=reason_of(error)) from error


def _one_line(text: str) -> str:
    return " ".join(text.split())[:NAME_LENGTH]


def _read_all(workspace: Workspace) -> Iterator[Chat]:
    for file in workspace.chat_files():
        if (chat := _read(file)) is not None:
            yield chat


def _read(file: Path) -> Chat | None:
    """None for a file that is gone or was not written by this program."""
    with suppress(TypeError, KeyError, AttributeError):
        if (found := read_record(file)) is not None:
            messages = tuple(ChatMessage(**message) for message in found["messages"])
            # Version 0.1.0 said "draw".
            sampling = SamplingParams(**(found["sampling"] if "sampling" in found else found["draw"]))
            run = str(found.get("run", ""))  # older chats were begun with none
            return Chat(file.stem, found["name"], found["system"], sampling, messages, run)
    return None

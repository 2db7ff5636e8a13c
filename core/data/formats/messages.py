"""A row as messages in their order, whatever its format, and the conversation that they make."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import orjson

from core.data.conversations import LONE_SURROGATE, Conversation, Turn

# "call": a tool call by the assistant, trained as text; "tool": what the tool answered, only read.
Role = Literal["system", "user", "assistant", "call", "tool"]
PARTS_SEPARATOR = "\n"


class Message(NamedTuple):
    """What one side said; ``text`` as it stands in the row, of whatever type. ``field``: where."""

    role: Role
    text: Any
    field: str


class Fault(NamedTuple):
    """Something wrong at a place in a row; see :data:`core.data.findings.KINDS` for the codes."""

    field: str
    code: str
    values: Mapping[str, Any] = MappingProxyType({})


class Misshapen(Exception):
    """A row that its format cannot read at all."""

    def __init__(self, field: str, code: str, **values: Any) -> None:
        self.fault = Fault(field, code, values)
        super().__init__(code)


class Text(NamedTuple):
    """A text of a conversation and where it stands in the row as it was given."""

    role: Role
    text: str
    field: str


@dataclass
class Assembled:
    """A row's turns, its texts with their places, and what is wrong with it."""

    turns: list[Turn] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    @property
    def conversation(self) -> Conversation:
        return tuple(self.turns)


def assemble(messages: Sequence[Message]) -> Assembled:
    """The conversation of messages, with every fault of their order and types.

    A missing or null system or user text is empty, as XTuner reads it; a missing answer is a fault.
    """
    made = Assembled()
    if not messages:
        made.faults.append(Fault("", "no_messages"))
        return made
    made.texts = [_text(message, made.faults) for message in messages]
    _pair(made)
    return made


def _text(message: Message, faults: list[Fault]) -> Text:
    role, value, place = message
    if isinstance(value, list) and all(isinstance(part, dict | str) for part in value):
        value = _parts(value, place, faults)
    if value is None:
        value = ""
    elif not isinstance(value, str):
        faults.append(Fault(place, "wrong_type", {"found": type(value).__name__}))
        value = ""
    if not value.isascii() and LONE_SURROGATE.search(value):
        faults.append(Fault(place, "broken_character"))
        value = LONE_SURROGATE.sub("\ufffd", value)
    return Text(role, value, place)


def _parts(parts: Sequence[Any], place: str, faults: list[Fault]) -> str:
    """OpenAI's content of several parts: the texts joined; a picture or a sound cannot be trained."""
    said: list[str] = []
    for number, part in enumerate(parts):
        text = part if isinstance(part, str) else part.get("text") or part.get("refusal")
        if isinstance(text, str):
            said.append(text)
        else:
            found = str(part.get("type", "?")) if isinstance(part, dict) else "?"
            faults.append(Fault(f"{place}[{number}]", "not_text_part", {"found": found}))
    return PARTS_SEPARATOR.join(said)


def _pair(made: Assembled) -> None:
    """Questions with their answers; what stands where it cannot stand is a fault, never silently moved."""
    asked: list[str] = []
    system = last = ""
    for text in made.texts:
        role = text.role
        if role == "system":
            if last == "system" or asked:
                made.faults.append(Fault(text.field, "role_order", {"role": role, "after": last or "start"}))
            system = text.text
        elif role in {"user", "tool"}:
            if last == "user" or (last == "tool" and role == "user" and asked == []):
                made.faults.append(Fault(text.field, "role_order", {"role": role, "after": last}))
            if role == "tool" and last not in {"call", "tool", "assistant"}:
                made.faults.append(Fault(text.field, "role_order", {"role": role, "after": last or "start"}))
            asked.append(text.text)
        else:
            _answer(made, text, system, asked, last)
            system, asked = "", []
        last = role
    if asked or last == "system":
        made.faults.append(Fault(made.texts[-1].field, "missing_answer"))
    if any(text.role in {"tool", "call"} for text in made.texts):
        first = next(text for text in made.texts if text.role in {"tool", "call"})
        made.faults.append(Fault(first.field, "tool_role"))


def _answer(made: Assembled, text: Text, system: str, asked: list[str], last: str) -> None:
    if last in {"", "system", "assistant", "call"}:
        made.faults.append(Fault(text.field, "role_order", {"role": text.role, "after": last or "start"}))
    if not text.text.strip() and not any(fault.field == text.field for fault in made.faults):
        made.faults.append(Fault(text.field, "empty_answer"))
    made.turns.append(Turn(PARTS_SEPARATOR.join(asked), text.text, system))


def call_text(calls: Any) -> str:
    """Tool calls as the text that is trained: their JSON."""
    return orjson.dumps(calls).decode() if calls else ""


def listed(value: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a list with their places. Raises Misshapen for anything else, named by its place."""
    if not isinstance(value, list):
        raise Misshapen(place, "wrong_type", found=type(value).__name__)
    for number, item in enumerate(value):
        where = f"{place}[{number}]"
        if not isinstance(item, dict):
            raise Misshapen(where, "wrong_type", found=type(item).__name__)
        yield where, item

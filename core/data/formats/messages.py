"""A row as messages in their order, whatever its format, and the conversation that they make."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from core.data.conversations import LONE_SURROGATE, Conversation, Turn
from core.data.formats.fields import Account, Fault, is_off
from core.data.formats.inner import media_mark
from core.recipe.thoughts import may_think, split

# "call": a tool call by the assistant, trained as text; "tool": what the tool answered, only read.
Role = Literal["system", "user", "assistant", "call", "tool"]
SAID = frozenset(("assistant", "call"))
SEPARATOR = "\n"
# How programs write an empty cell, in small letters.
NULLS = frozenset(("nan", "null", "none", "n/a", "#n/a", "<na>", "undefined", "nil", "nat"))
LONGEST_NULL = 16
# Of what is left out so many characters are shown.
SHOWN = 120
# Kinds of parts of a message that are text, and those that are thoughts.
_TEXTS = frozenset(("text", "input_text", "output_text", "refusal"))
_THINKING = frozenset(("thinking", "reasoning"))


class Message(NamedTuple):
    """What one side said; ``text`` as it stands in the row, of whatever type. ``field``: where.

    ``trained`` is false for an answer that the row asks not to learn. ``thoughts``: what the model thought
    before it answered and the key it stood under. ``optional``: an empty text is nothing to remark.
    """

    role: Role
    text: Any
    field: str
    trained: bool = True
    thoughts: tuple[str, str] = ("", "")
    optional: bool = False


class Text(NamedTuple):
    """A text of a conversation and where it stands in the row as it was given."""

    role: Role
    text: str
    field: str
    trained: bool = True
    optional: bool = False


@dataclass
class Assembled:
    """A row's turns, its texts with their places, what is wrong with it, and the keys that nobody read (see
    :class:`core.data.formats.fields.Account`)."""

    turns: list[Turn] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    unread: list[tuple[str, Any]] = field(default_factory=list)
    harmless: list[str] = field(default_factory=list)

    @property
    def conversation(self) -> Conversation:
        return tuple(self.turns)


def assemble(
    messages: Sequence[Message], account: Account | None = None, keep_thoughts: bool = False
) -> Assembled:
    """The conversation of messages, with every fault of their order and types.

    A missing or null system or user text is empty, as XTuner reads it; a missing answer is a fault. Thoughts
    are left out and noted, or kept as ``<think>`` before the answer.
    """
    account = account or Account()
    made = Assembled(faults=account.faults, harmless=account.harmless)
    if not messages:
        made.faults.append(Fault("", "no_messages"))
        made.unread = account.unread
        return made
    made.texts = [_text(message, account, keep_thoughts) for message in messages]
    _Pairing(made).run()
    if account.unread:
        said = {text.text.strip() for text in made.texts}
        made.unread = [
            one for one in account.unread if not (isinstance(one[1], str) and one[1].strip() in said)
        ]
    return made


def _text(message: Message, account: Account, keep_thoughts: bool) -> Text:
    role, value, place, trained, thoughts, optional = message
    if isinstance(value, list) and all(isinstance(part, dict | str) for part in value):
        value, masked, thought = _parts(value, place, account)
        trained, thoughts = trained and not masked, thoughts if thoughts[0] else thought
    if value is None:
        value = ""
    elif not isinstance(value, str):
        account.note(place, "wrong_type", found=type(value).__name__)
        value = ""
    if not value.isascii() and LONE_SURROGATE.search(value):
        account.note(place, "broken_character")
        value = LONE_SURROGATE.sub("\ufffd", value)
    if role in SAID and (thoughts[0] or may_think(value)):
        value = _without_thoughts(value, thoughts, place, account, keep_thoughts)
    if (len(value) < 40 or "<" in value or "data:" in value) and (mark := media_mark(value)):
        account.note(place, "not_text", found=mark)
    return Text(role, value, place, trained, optional)


def _without_thoughts(value: str, apart: tuple[str, str], place: str, account: Account, keep: bool) -> str:
    """One rule for thoughts that stand apart and for those inside the answer."""
    thoughts, key = apart
    inside = split(value)
    value, thoughts, key = inside.answer, thoughts or inside.thought, key or inside.mark
    if not thoughts:
        return value
    if keep:
        return f"<think>\n{thoughts.strip()}\n</think>\n\n{value}"
    account.note(place, "thinking_left_out", found=key, example=thoughts[:SHOWN])
    return value


def _parts(parts: Sequence[Any], place: str, account: Account) -> tuple[str, bool, tuple[str, str]]:
    """OpenAI's content of several parts: the texts joined, whether all of them are masked, and thoughts with
    the name of their kind; a picture or a sound cannot be trained."""
    said: list[str] = []
    masks: list[bool] = []
    thoughts: list[str] = []
    kind = ""
    for number, part in enumerate(parts):
        if isinstance(part, str):
            said.append(part)
            masks.append(False)
            continue
        named = str(part.get("type") or "text")
        key = _text_key(part, named)
        if key is None:
            account.note(
                f"{place}[{number}]", "not_text_part", found=str(part.get("type") or ", ".join(part))[:40]
            )
            continue
        if named in _THINKING:
            kind = named
            thoughts.append(part[key])
        else:
            said.append(part[key])
            masks.append(bool(is_off(part.get("loss_weight"))))
        if len(part) > 2 or "type" not in part:
            left = {name: value for name, value in part.items() if name not in (key, "type", "loss_weight")}
            account.leave(left, _NUMBER.sub("[]", f"{place}[]"), f"{place}[{number}]")
    if any(masks) and not all(masks):
        account.note(place, "partly_masked")
    return SEPARATOR.join(said), bool(masks) and all(masks), (SEPARATOR.join(thoughts), kind)


_NUMBER = re.compile(r"\[\d+\]")


def _text_key(part: dict[str, Any], named: str) -> str | None:
    """The key of a part's text; None for one that is no text."""
    keys = ("text", "value", "content", "refusal") if named in _TEXTS else (*_THINKING, "text")
    if named not in _TEXTS and named not in _THINKING:
        return None
    return next((key for key in keys if isinstance(part.get(key), str)), None)


# Faults that tell already why an answer is empty.
_NO_TEXT = frozenset(("wrong_type", "not_text_part", "broken_character"))


class _Pairing:
    """Questions with their answers. What one side says twice in a row is joined, as XTuner's own readers do,
    and noted; what stands where it cannot stand is a fault, never silently moved."""

    def __init__(self, made: Assembled) -> None:
        self.made = made
        self.system: list[str] = []
        self.asked: list[str] = []
        self.answer: list[Text] = []
        self.last = ""
        self.unreadable = (
            {fault.field for fault in made.faults if fault.code in _NO_TEXT} if made.faults else ()
        )

    def run(self) -> None:
        for text in self.made.texts:
            if text.role in SAID:
                self._said(text)
            else:
                self._flush()
                (self._system if text.role == "system" else self._question)(text)
            self.last = text.role
        self._flush()
        self._end()

    def _system(self, text: Text) -> None:
        if self.system or self.asked:
            self._note(text, "joined")
        self.system.append(text.text)

    def _question(self, text: Text) -> None:
        if text.role == "tool" and self.last not in {"call", "tool", "assistant"}:
            self._note(text, "role_order", role=text.role, after=self.last or "start")
        elif text.role == "user" and self.asked:
            self._note(text, "joined")
        if text.role == "user" and not text.optional and not text.text.strip():
            self._note(text, "empty_question")
        self.asked.append(text.text)

    def _said(self, text: Text) -> None:
        if self.answer:
            same = text.trained == self.answer[0].trained
            values = {} if same else {"role": text.role, "after": self.last}
            self._note(text, "joined" if same else "role_order", **values)
        elif not self.asked:
            self._note(text, "answer_skipped", example=text.text[:SHOWN])
            return
        if text.trained and not text.text.strip() and text.field not in self.unreadable:
            self._note(text, "empty_answer")
        elif len(text.text) < LONGEST_NULL and text.text.strip().lower() in NULLS:
            self._note(text, "null_text", found=text.text.strip())
        self.answer.append(text)

    def _flush(self) -> None:
        """The turn that an answer ends."""
        if not self.answer:
            return
        answer = SEPARATOR.join(filter(None, (text.text for text in self.answer)))
        asked, system = SEPARATOR.join(self.asked), SEPARATOR.join(self.system)
        self.made.turns.append(Turn(asked, answer, system, self.answer[0].trained))
        self.system, self.asked, self.answer = [], [], []

    def _end(self) -> None:
        made = self.made
        if not made.turns:
            made.faults.append(Fault(made.texts[-1].field, "missing_answer"))
        elif self.asked or self.system:
            self._note(made.texts[-1], "unanswered", example=made.texts[-1].text[:SHOWN])
        if made.turns and not any(turn.trained for turn in made.turns):
            self._note(made.texts[-1], "nothing_trained")
        tool = next((text for text in made.texts if text.role in {"tool", "call"}), None)
        if tool:
            self._note(tool, "tool_role")

    def _note(self, text: Text, code: str, **values: Any) -> None:
        self.made.faults.append(Fault(text.field, code, values))

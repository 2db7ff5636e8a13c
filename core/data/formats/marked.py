"""A dialogue written as one text, with marks before what each side says; and a text that is none."""

import re
from dataclasses import dataclass
from typing import Any

from core.data.formats.dialogue import ROLES
from core.data.formats.messages import Message, Role


@dataclass(frozen=True)
class Marks:
    """How one data set marks its speakers: ``speaker`` has the group ``role``; ``ends`` are struck off."""

    name: str
    speaker: re.Pattern[str]
    ends: re.Pattern[str]


def _marks(name: str, speaker: str, ends: str = r"(?!)") -> Marks:
    return Marks(name, re.compile(speaker), re.compile(ends))


_NAMED = "Human|Assistant|User|System|AI|Bot|GPT"
# The sources: ChatML, Llama 3, Zephyr and Phi, InternLM, MOSS, Baize, guanaco and Alpaca, HH-RLHF and Vicuna.
MARKS = (
    _marks("chatml", r"<\|im_start\|>(?P<role>\w+)\n", r"<\|im_end\|>|<\|endoftext\|>"),
    _marks(
        "llama3",
        r"<\|start_header_id\|>(?P<role>\w+)<\|end_header_id\|>\s*",
        r"<\|(?:eot_id|begin_of_text|end_of_text)\|>",
    ),
    _marks("zephyr", r"<\|(?P<role>user|assistant|system)\|>\s*", r"</s>|<\|end\|>|<\|endoftext\|>"),
    _marks("internlm", r"<\|(?P<role>User|Bot|System)\|>\s*[:：]\s?", r"<eoh>|<eoa>|<eos>|</?s>"),
    _marks("moss", r"<\|(?P<role>Human|MOSS)\|>\s*[:：]\s?", r"<eoh>|<eom>"),
    _marks("moss2", r"\[(?P<role>Human|MOSS)\]\s*[:：]\s?", r"<eoh>|<eoa>"),
    _marks("baize", r"\[\|(?P<role>Human|AI)\|\]\s?", r"\Z(?!)"),
    _marks("guanaco", rf"###\s?(?P<role>{_NAMED})\s?:\s?", r"</s>"),
    _marks("alpaca", r"###\s?(?P<role>Instruction|Input|Response)\s?:\s?", r"</s>|<\|endoftext\|>"),
    _marks("llama2", r"(?P<role>\[/?INST\])\s?", r"</?s>"),
    _marks("hh", r"(?:\A|\n\n?)(?P<role>Human|Assistant)\s?[:：]\s?", r"</s>"),
    _marks("glaive", r"(?:\A|\n)(?P<role>USER|ASSISTANT|FUNCTION RESPONSE)\s?: ", r"<\|endoftext\|>"),
    _marks("vicuna", r"(?:\A|(?<=\s)|(?<=</s>))(?P<role>USER|ASSISTANT)\s?: ", r"</s>"),
    _marks("chinese", r"(?:\A|\n)(?P<role>问|答|用户|助手|人类|机器人)[:：]\s?"),
)
_SPOKEN: dict[str, Role] = {
    **ROLES,
    "instruction": "user",
    "input": "user",
    "response": "assistant",
    "function response": "tool",
    "[inst]": "user",
    "[/inst]": "assistant",
}
_SYSTEM_OF_LLAMA = re.compile(r"<<SYS>>\s*(.*?)\s*<</SYS>>\s*", re.DOTALL)


def marks_of(text: Any) -> Marks | None:
    """How the speakers of a text are marked; None for a text that is no dialogue."""
    if not isinstance(text, str):
        return None
    return next((marks for marks in MARKS if _both_sides(marks, text)), None)


def begun(text: str) -> Marks | None:
    """How the speakers of a text are marked that begins with a mark and ends before an answer is given."""
    marks = marks_of(text)
    found = [*marks.speaker.finditer(text)] if marks else []
    waits = found and not found[0].start() and not text[found[-1].end() :].strip()
    return marks if waits and _SPOKEN[found[-1]["role"].lower()] == "assistant" else None


def _both_sides(marks: Marks, text: str) -> bool:
    found = {_SPOKEN.get(mark["role"].lower()) for mark in marks.speaker.finditer(text)}
    return {"user", "assistant"} <= found


def read(text: str, marks: Marks, place: str) -> list[Message]:
    """The messages of a marked text; what stands before the first mark is the system prompt."""
    found = [*marks.speaker.finditer(text)]
    made: list[Message] = []
    before = _clean(text[: found[0].start()], marks)
    if before:
        made.append(Message("system", before, place))
    ends = [*(mark.start() for mark in found[1:]), len(text)]
    for mark, end in zip(found, ends, strict=True):
        role, said = _SPOKEN[mark["role"].lower()], _clean(text[mark.end() : end], marks)
        if marks.name == "llama2" and (system := _SYSTEM_OF_LLAMA.search(said)):
            made.append(Message("system", system[1], place))
            said = said.replace(system[0], "").strip()
        if said or end < len(text):  # the last mark may only end the text
            made.append(Message(role, said, place))
    return made


def unnamed(text: Any) -> Any:
    """A system prompt without the mark that some put before it."""
    return re.sub(r"\ASYSTEM\s?:\s*", "", text) if isinstance(text, str) else text


def unmarked(text: str) -> str:
    """A text of MOSS's without the mark before it and the one at its end."""
    return re.sub(r"\A\s*<\|[\w ]+\|>\s*:\s*|<eo[a-z]>\s*\Z", "", text).strip()


def _clean(text: str, marks: Marks) -> str:
    return marks.ends.sub("", text).strip()

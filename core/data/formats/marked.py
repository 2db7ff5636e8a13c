"""A dialogue written as one text, with marks before what each side says; and a text that is none."""

import re
from dataclasses import dataclass
from typing import Any

from core.data.formats.dialogue import ROLES
from core.data.formats.fields import Misshapen
from core.data.formats.messages import Message, Role


@dataclass(frozen=True)
class Marks:
    """How one data set marks its speakers: ``speaker`` has the group ``role``; ``ends`` are struck off.

    ``words``: they are words that any text may hold; ``first``: so usual ones that the text has to begin with
    one, else it is a text about something."""

    name: str
    speaker: re.Pattern[str]
    ends: re.Pattern[str]
    words: bool = False
    first: bool = False


def _marks(name: str, speaker: str, ends: str = r"(?!)", words: bool = False, first: bool = False) -> Marks:
    return Marks(name, re.compile(speaker), re.compile(ends), words, first)


_NAMED = "Human|Assistant|User|System|AI|Bot|GPT"
# The sources: ChatML, Llama 3 and 4 and Granite, gpt-oss, Gemma, DeepSeek, Command R, Zephyr, Phi and GLM,
# InternLM, MOSS, Baize, guanaco and Alpaca, HH-RLHF and Vicuna.
MARKS = (
    _marks("chatml", r"<\|im_start\|>(?P<role>\w+)\n", r"<\|im_end\|>|<\|endoftext\|>"),
    _marks(
        "llama3",
        r"<\|(?:start_header_id|header_start|start_of_role)\|>(?P<role>\w+)"
        r"<\|(?:end_header_id|header_end|end_of_role)\|>\s*",
        r"<\|(?:eot_id|eot|begin_of_text|end_of_text)\|>",
    ),
    _marks(
        "harmony",
        r"<\|start\|>(?P<role>[\w.]+)[^<]{0,80}(?:<\|channel\|>(?P<channel>\w+)[^<]{0,80})?"
        r"(?:<\|constrain\|>\w+)?<\|message\|>",
        r"<\|(?:end|return|call)\|>",
    ),
    _marks("gemma", r"<start_of_turn>(?P<role>user|model|system)\s*", r"<end_of_turn>|<bos>|<eos>"),
    _marks("deepseek", r"<｜(?P<role>User|Assistant)｜>\s*", r"<｜(?:begin|end)▁of▁sentence｜>"),
    _marks(
        "command",
        r"<\|START_OF_TURN_TOKEN\|><\|(?P<role>USER|CHATBOT|SYSTEM)_TOKEN\|>\s*",
        r"<\|END_OF_TURN_TOKEN\|>|<BOS_TOKEN>|<EOS_TOKEN>",
    ),
    _marks(
        "zephyr",
        r"<\|(?P<role>user|assistant|system)\|>\s*",
        r"</s>|<\|end\|>|<\|endoftext\|>|\[gMASK\]|<sop>",
    ),
    _marks("internlm", r"<\|(?P<role>User|Bot|System)\|>\s*[:：]\s?", r"<eoh>|<eoa>|<eos>|</?s>"),
    _marks("moss", r"<\|(?P<role>Human|MOSS)\|>\s*[:：]\s?", r"<eoh>|<eom>"),
    _marks("moss2", r"\[(?P<role>Human|MOSS)\]\s*[:：]\s?", r"<eoh>|<eoa>"),
    _marks("baize", r"\[\|(?P<role>Human|AI)\|\]\s?", r"\Z(?!)"),
    _marks("guanaco", rf"###\s?(?P<role>{_NAMED})\s?:\s?", r"</s>"),
    _marks("alpaca", r"###\s?(?P<role>Instruction|Input|Response)\s?:\s?", r"</s>|<\|endoftext\|>"),
    _marks("llama2", r"(?P<role>\[/?INST\])\s?", r"</?s>"),
    _marks("hh", r"(?:\A|\n\n?)(?P<role>Human|Assistant)\s?[:：]\s?", r"</s>", words=True),
    _marks(
        "glaive",
        r"(?:\A|\n)(?P<role>USER|ASSISTANT|FUNCTION RESPONSE)\s?: ",
        r"<\|endoftext\|>",
        words=True,
    ),
    _marks("vicuna", r"(?:\A|(?<=\s)|(?<=</s>))(?P<role>USER|ASSISTANT)\s?: ", r"</s>", words=True),
    _marks("user", r"(?:\A|\n)(?P<role>System|User|Assistant)\s?[:：]\s?", words=True, first=True),
    _marks("chinese", r"(?:\A|\n)(?P<role>用户|助手|人类|机器人)[:：]\s?", words=True),
    _marks(
        "question",
        r"(?:\A|\n)(?P<role>问题|回答|问|答|Question|Answer)\s?[:：]\s?",
        words=True,
        first=True,
    ),
    # any other letter is one of several choices
    _marks("letters", r"(?:\A|\n)(?P<role>[A-Z])[:：]\s?", words=True, first=True),
)
_SPOKEN: dict[str, Role] = {
    **ROLES,
    "instruction": "user",
    "input": "user",
    "response": "assistant",
    "function response": "tool",
    "[inst]": "user",
    "[/inst]": "assistant",
    "问题": "user",
    "回答": "assistant",
    "q": "user",
    "a": "assistant",
}
# The channel of gpt-oss's thoughts before an answer.
_ANALYSIS = "analysis"
_SYSTEM_OF_LLAMA = ("<<SYS>>", "<</SYS>>")


def marks_of(text: Any) -> Marks | None:
    """How the speakers of a text are marked; None for a text that is no dialogue."""
    if not isinstance(text, str):
        return None
    return next((marks for marks in MARKS if _both_sides(marks, text)), None)


def begun(text: str) -> Marks | None:
    """How the speakers of a text are marked that ends with the mark of an answer before one is given, and
    begins with a mark where its marks are mere words."""
    marks = marks_of(text)
    found = [*marks.speaker.finditer(text)] if marks else []
    if marks is None or text[found[-1].end() :].strip() or (marks.words and found[0].start()):
        return None
    return marks if _SPOKEN.get(found[-1]["role"].lower()) == "assistant" else None


def _both_sides(marks: Marks, text: str) -> bool:
    roles: set[Role | None] = set()
    for mark in marks.speaker.finditer(text):
        if marks.first and not roles and text[: mark.start()].strip():
            return False
        roles.add(_SPOKEN.get(mark["role"].lower()))
        if None in roles and marks.first:
            return False
    return {"user", "assistant"} <= roles


def read(text: str, marks: Marks, place: str) -> list[Message]:
    """The messages of a marked text; what stands before the first mark is the system prompt. Raises
    Misshapen."""
    found = [*marks.speaker.finditer(text)]
    made: list[Message] = []
    before = _clean(text[: found[0].start()], marks)
    if before:
        made.append(Message("system", before, place))
    thoughts = ("", "")
    ends = [*(mark.start() for mark in found[1:]), len(text)]
    for mark, end in zip(found, ends, strict=True):
        role, said = _SPOKEN.get(mark["role"].lower()), _clean(text[mark.end() : end], marks)
        if role is None:
            raise Misshapen(place, "unknown_role", found=mark["role"][:40])
        if marks.name == "llama2":
            system, said = _system_of(said)
            made += [Message("system", system, place)] if system else []
        channel = mark.groupdict().get("channel")
        if channel == _ANALYSIS:
            thoughts = (said, channel)
        elif said or end < len(text):  # the last mark may only end the text
            made.append(Message(role, said, place, thoughts=thoughts if role == "assistant" else ("", "")))
            thoughts = ("", "")
    return made


def _system_of(said: str) -> tuple[str, str]:
    """Llama 2's system prompt inside the first question, and the question without it."""
    begin, end = _SYSTEM_OF_LLAMA
    at = said.find(begin)
    to = said.find(end, at) if at >= 0 else -1
    if to < 0:
        return "", said
    return said[at + len(begin) : to].strip(), (said[:at] + said[to + len(end) :]).strip()


def unnamed(text: Any) -> Any:
    """A system prompt without the mark that some put before it."""
    return re.sub(r"\ASYSTEM\s?:\s*", "", text) if isinstance(text, str) else text


def unmarked(text: str) -> str:
    """A text of MOSS's without the mark before it and the one at its end."""
    return re.sub(r"\A\s*<\|[\w ]+\|>\s*:\s*|<eo[a-z]>\s*\Z", "", text).strip()


def ended(text: Any, marks: Marks) -> Any:
    """An answer without the marks of its end."""
    return _clean(text, marks) if isinstance(text, str) else text


def _clean(text: str, marks: Marks) -> str:
    return marks.ends.sub("", text).strip()

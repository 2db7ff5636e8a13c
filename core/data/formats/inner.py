"""What stands inside a message's text beside what is said: a model's thoughts, marks of pictures."""

import re
from typing import NamedTuple

# How thoughts begin and end at the head of an answer.
_OPEN = re.compile(r"\A\s*<(think|thinking|\|begin_of_thought\|)>")
_SOLUTION = re.compile(r"\A\s*<\|begin_of_solution\|>\s*|\s*<\|end_of_solution\|>\s*\Z")
# A mark for a picture stands first or last in a line, and has no end; elsewhere it is a word about HTML.
_MARK = re.compile(
    r"^[ \t]*<(?P<first>image|video|audio)>|<(?P<last>image|video|audio)>[ \t]*$"
    r"|<\|?(?:image|video|audio)_pad\|?>|<\|(?:image|video|audio)\|>|<img>[^<\n]{1,300}</img>",
    re.MULTILINE,
)
_PICTURE_DATA = "data:image/"
# What a chat's export writes for a message that is no text.
_INSTEAD = re.compile(
    r"\s*(?:[\[【](?:图片|语音|视频|动画表情|表情|文件|image|photo|picture|video|audio|voice|sticker|file)[\]】]"
    r"|<Media omitted>|(?:image|video|audio|sticker) omitted)\s*",
    re.IGNORECASE,
)
_LONGEST_INSTEAD = 40


class Thoughts(NamedTuple):
    """An answer without its thoughts, the thoughts and their mark; both empty for none."""

    answer: str
    thoughts: str
    mark: str


def thoughts_of(text: str) -> Thoughts:
    """The thoughts at the head of an answer. The mark before them may be missing (a template has put it into
    the question), and so may the one after them: then the model never came to its answer."""
    opened = _OPEN.match(text)
    name = opened[1] if opened else "think"
    end = "<|end_of_thought|>" if name.startswith("|") else f"</{name}>"
    begin = opened.end() if opened else 0
    at = text.find(end, begin)
    if opened is None and (at < 0 or "<think" in text):
        return Thoughts(text, "", "")
    if at < 0:
        return Thoughts("", text[begin:].strip(), f"<{name}>")
    answer = text[at + len(end) :].lstrip()
    return Thoughts(
        _SOLUTION.sub("", answer) if "_of_solution|>" in answer else answer,
        text[begin:at].strip(),
        f"<{name}>",
    )


def media_mark(text: str) -> str:
    """What stands in a text for a picture, a sound or a video; empty for none."""
    for mark in _MARK.finditer(text) if "<" in text else ():
        named = mark["first"] or mark["last"]
        if not named or f"</{named}>" not in text:
            return mark[0].strip()
    if len(text) < _LONGEST_INSTEAD and _INSTEAD.fullmatch(text):
        return text.strip()
    return _PICTURE_DATA if _PICTURE_DATA in text else ""

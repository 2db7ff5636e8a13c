"""What stands inside a message's text beside what is said: marks of pictures."""

import re

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


def media_mark(text: str) -> str:
    """What stands in a text for a picture, a sound or a video; empty for none."""
    for mark in _MARK.finditer(text) if "<" in text else ():
        named = mark["first"] or mark["last"]
        if not named or f"</{named}>" not in text:
            return mark[0].strip()
    if len(text) < _LONGEST_INSTEAD and _INSTEAD.fullmatch(text):
        return text.strip()
    return _PICTURE_DATA if _PICTURE_DATA in text else ""

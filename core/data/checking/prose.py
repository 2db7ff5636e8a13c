"""A text without its code: what is left is what somebody says."""

import re

_FENCED = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]*`", re.DOTALL)
_CODE_LINES = re.compile(r"^(?: {4,}|\t)[^\n]*$", re.MULTILINE)
# What stands for a character of code; in no text, and no letter, space or mark.
BLANK = "\0"


def without_code(text: str) -> str:
    """The text with code blanked, every other character where it was."""
    if "`" in text or "~~~" in text:
        text = _FENCED.sub(blank, text)
    return _CODE_LINES.sub(blank, text) if "    " in text or "\t" in text else text


def blank(match: re.Match[str]) -> str:
    """As many blanks as the match has characters; its lines stay lines."""
    return re.sub(r"[^\n]", BLANK, match[0])

"""What marks a line, however people type it: the one reader of bullets, numbers, headings and labels' ends.

Each function parts a line into its mark and what it says, or answers None where there is no such mark. What
the mark is taken for, among the lines beside it, is said by who asks.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.data.documents.amounts import AMOUNT
from core.data.documents.days import DAY
from core.data.documents.wordings import HAN

# A label and a heading are no longer; behind so many characters no label ends, whatever blanks are before it.
LONGEST_KEY = 40
FURTHEST = 2 * LONGEST_KEY
_NUMERAL = "一二三四五六七八九十"
_BULLET = r"[-*+]"
# What Markdown has for an item, a heading, and what else of its begins no text.
_ITEM = re.compile(rf"(?P<indent>\s*)(?P<mark>{_BULLET}|(?P<number>\d+)[.)])\s+(?P<text>.*)")
_HEADING = re.compile(r"(?P<level>#{1,6})\s+(?P<name>.*)")
_BELOW_TITLE = re.compile(r"=+\s*$")
_MARKED = re.compile(rf"\s*(?:{_BULLET}|[>|=~`]|#{{1,6}}\s|\d+[.)]\s|!?\[)|\s{{2,}}|\t")
_MARKED_OR_COUNTED = re.compile(rf"\s*(?:{_BULLET}|[>#|=]|\d+[.)、])")
_BOX = re.compile(rf"(?P<before>\s*{_BULLET}\s+)\[(?P<state>[ xX])\]\s+(?P<text>.*)")
_BOLD = re.compile(r"(?:\*\*|__)(?P<text>[^*_:：。.!?！？]{1,40})(?:\*\*|__)")
# What begins a line in place of a bullet; behind one of a list it says nothing.
_PICTURE = r"[\u2190-\u21ff\u231a-\u23ff\u25a0-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]"
_PICTURED = re.compile(
    rf"(?P<indent>\s*)(?P<item>(?:{_BULLET}|\d+[.)])\s+)?"
    rf"(?P<mark>(?:{_PICTURE}[\ufe0e\ufe0f\u20e3\u200d]*)+|[•·‣◦])\s*(?=[^\s|])"
)
# "1.", "1、", "（1）", "①" and, after others, "4": what counts items and what Markdown takes for text.
_COUNTED = re.compile(
    r"(?P<indent>\s*)(?:(?P<dot>\d{1,2})[.．](?=[^\s\d])(?!x\b)|(?P<number>\d{1,2})[、）](?!\d)"
    r"|[（(](?P<inner>\d{1,2})[）)]|(?P<round>[①-⑳])|(?P<item>\d{1,2})[.)](?=\s))\s*(?=\S)"
)
# So many of something is no item's number.
_BARELY_COUNTED = re.compile(
    r"(?P<number>\d{1,2})\s+(?=[^\W\d_])(?![个只条份盘碗杯块片元人位点时])(?P<text>.*)"
)
# Numbers of parts, in three ways of counting: "第一条 标准", "一、作息", "1. Installation".
NUMBERINGS = _, _, ARABIC = (
    re.compile(rf"(?P<text>(?P<number>第[{_NUMERAL}百\d]+[条章节])\s*\S.*)"),
    re.compile(rf"(?P<number>[{_NUMERAL}]+)、\s*(?P<text>\S.*)"),
    re.compile(r"(?P<number>\d+)[.)、]\s*(?P<text>[^\s\d].*)"),
)
_NUMBERED_HEADING = re.compile(
    rf"(#{{1,6}}\s+)(?:\d+(?:\.\d+)*[.)]\s+|\d+(?:\.\d+)+\s+(?=[A-Z{HAN}])|\d+、\s*|[{_NUMERAL}]+、\s*"
    rf"|[（(][{_NUMERAL}\d]+[)）]\s*)(?=\S)"
)
# "Q1. How long?": a number of a question and of its answer.
_ASKED = re.compile(r"(\s*(?:\*\*)?[QA])\s?\d{1,3}[.)]\s+(?=\S)")
# Marks on both sides of a name, and a colon behind it.
_IN_BRACKETS = re.compile(
    rf"(?:(?:[【〖〔「]|\[(?=[{HAN}]))(?P<of>[^】〗〕\]」]+)[】〗〕\]」]|\*\*(?P<bold>[^*:：]+)[:：]?\*\*"
    r"|[-=—~*]{2,}\s*(?P<set>[^-=—~*]+?)\s*[-=—~*]{2,})\s*[:：]?"
)
_BEFORE_COLON = re.compile(r"(?P<name>[^:：]+?)\s*[:：]")
# What ends a label: a colon, a dash, dots, a tab, a bar.
_COLON = re.compile(r"\s*[:：]\s*")
_OTHER_END = re.compile(r"\s+[-–—]+\s+|——|\s*(?:\.{3,}|…+|·{3,})\s*|\t+|\s+[|｜]\s+|｜")
# Numbers that stand behind a label's number: "Table 3:20 euros", "会议室3：20人"; else "3:20" is a time.
_SO_MANY = re.compile(rf"{AMOUNT}|\d+\s?[人位张个间次桌座米斤克]", re.IGNORECASE)
# What a colon begins that is no label's: an address of a page, a path, a face.
_NO_LABELS_COLON = re.compile(r"//|\\|:|[-'^]?[()（）DP|]+(?:[\s,.!~，。！～]|$)")
# Years before a colon are what a line is about.
_YEARS = re.compile(r"\d{4}[\d./年月日\s~～–—至到-]*")
# A label in Latin letters, to a colon without a blank behind it: no host and no single letter.
_LATIN_LABEL = re.compile(r"(?!localhost$|mailto$)[^\W\d_](?:\w|[ &'’/()-]|\.(?!\w))+", re.IGNORECASE)
# "10:00 - 22:00", "Mon - Fri": a dash that parts nothing from its label.
_FROM, _TO = (
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?:\d[点时]?半?|\d\s?[ap]m|{DAY})$",
        rf"(?:(?:次日|凌晨|[早晚]上?|[上下中]午)?\s?\d|{DAY})",
    )
)


@dataclass(frozen=True)
class ListItem:
    """An item of a list: its ``mark`` as it is written, its ``number``, 0 of a bullet, and its ``text``."""

    indent: str
    mark: str
    number: int
    text: str


def item(line: str) -> ListItem | None:
    """A line that Markdown takes for an item of a list: "- soup", "3) soup"."""
    found = _ITEM.match(line)
    return found and ListItem(found["indent"], found["mark"], int(found["number"] or 0), found["text"])


def heading(line: str) -> tuple[int, str] | None:
    """The level from 1 to 6 and the name of a line that Markdown takes for a heading."""
    found = _HEADING.match(line)
    return (len(found["level"]), found["name"]) if found else None


def is_title(line: str) -> bool:
    """Whether a line is a document's title, or the rule below one."""
    return (heading(line) or (0,))[0] == 1 or _BELOW_TITLE.match(line) is not None


def is_marked(line: str) -> bool:
    """Whether a line begins as no text does: a heading, an item, a table, a quotation, what is set in."""
    return _MARKED.match(line) is not None


def is_marked_or_counted(text: str) -> bool:
    """Whether a text begins with a mark or a number, with or without a blank behind it."""
    return _MARKED_OR_COUNTED.match(text) is not None


def without_mark(line: str) -> str:
    """What an item or a heading says; any other line as it is."""
    found = item(line) or heading(line.lstrip())
    return line if found is None else found.text if isinstance(found, ListItem) else found[1]


def bulleted(line: str) -> tuple[str, str]:
    """The bullet of a line with the blanks around it, empty where it has none, and what follows."""
    found = item(line)
    at = len(line) - len(found.text) if found and not found.number else len(line) - len(line.lstrip())
    return line[:at], line[at:]


def box(line: str) -> tuple[str, bool, str] | None:
    """Of something to do ("- [x] lock"): what is before the box, whether it is ticked, and the text."""
    found = _BOX.fullmatch(line)
    return (found["before"], found["state"] != " ", found["text"]) if found else None


def bold(text: str) -> str:
    """The name that a bold line is; else empty."""
    found = _BOLD.fullmatch(text)
    return found["text"] if found else ""


@dataclass(frozen=True)
class Pictured:
    """A line that a picture or a dot begins, the ``mark``; ``item``: a list's own mark before it."""

    indent: str
    item: str
    mark: str
    text: str


def pictured(line: str) -> Pictured | None:
    """A line that a picture or a dot begins in place of a bullet, or behind one."""
    found = _PICTURED.match(line)
    return found and Pictured(found["indent"], found["item"] or "", found["mark"], line[found.end() :])


def numbered(line: str) -> tuple[int, str] | None:
    """The number of a line that is counted in any way, also one that Markdown does not know, and its text."""
    if not (found := _COUNTED.match(line)):
        return None
    said = found["dot"] or found["number"] or found["inner"] or found["item"]
    return int(said) if said else ord(found["round"]) - ord("①") + 1, line[found.end() :]


def barely_numbered(line: str) -> tuple[int, str] | None:
    """A number without any mark and what stands behind it: so many of something, or an item among others."""
    found = _BARELY_COUNTED.match(line)
    return (int(found["number"]), found["text"]) if found else None


def without_numbers(line: str) -> str:
    """A line without the number of its heading or of its question."""
    return _ASKED.sub(r"\1: ", _NUMBERED_HEADING.sub(r"\1", line))


def in_brackets(text: str) -> str:
    """The name that a text has marks around: "【外卖】", "**Delivery**", "== Notes =="; else empty."""
    found = _IN_BRACKETS.fullmatch(text)
    return (found["of"] or found["bold"] or found["set"]).strip() if found else ""


def before_colon(text: str) -> str:
    """The name that a text is but for the colon that ends it; else empty."""
    found = _BEFORE_COLON.fullmatch(text)
    return found["name"] if found else ""


def label_end(text: str) -> tuple[int, int] | None:
    """Where the mark stands that ends a text's label, from its first to behind its last character."""
    return min(_label_ends(text), default=None)


def _label_ends(text: str) -> Iterator[tuple[int, int]]:
    for found in (_colon(text), _other_end(text)):
        if found:
            yield found


def _colon(text: str) -> tuple[int, int] | None:
    """Where the first colon stands that ends a label."""
    for match in _COLON.finditer(text):
        if match.start() > FURTHEST:
            return None
        before, after = text[: match.start()], text[match.end() :]
        tight = not text[match.start() : match.end()].endswith((" ", "\t", "\u3000"))
        numbers = before[-1:].isdigit() and after[:1].isdigit()
        if numbers and not (tight and _SO_MANY.match(after) and not before.isdigit()):
            continue  # a time, a ratio
        if tight and _NO_LABELS_COLON.match(after):
            continue
        wide = "：" in match[0] or re.search(f"[{HAN}]", before) or _YEARS.fullmatch(before)
        if wide or not tight or _LATIN_LABEL.fullmatch(before):
            return match.span()
    return None


def _other_end(text: str) -> tuple[int, int] | None:
    for match in _OTHER_END.finditer(text):
        if match.start() > FURTHEST:
            return None
        ranges = _FROM.search(text[: match.start()]) and _TO.match(text[match.end() :])
        if not (ranges and "-–—".find(match[0].strip()[:1] or " ") >= 0):
            return match.span()
    return None


def next_filled(lines: Sequence[str]) -> list[str]:
    """Of each line the next one that is not empty; empty of the last one."""
    found, after = [""] * len(lines), ""
    for place in range(len(lines) - 1, -1, -1):
        found[place] = after
        after = lines[place] if lines[place].strip() else after
    return found

"""Who the answers say the assistant is: two different names teach neither."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

# An English name: words that begin with a capital letter or a digit, or a name in another script.
_WORD = r"[A-Z0-9\u00C0-\u024F][\w'’.-]*"
_NAME = rf"(?P<name>{_WORD}(?:[ -]{_WORD}){{0,3}}|[\u4e00-\u9fff]{{1,12}})"
_ZH_NAME = r"(?P<name>[^\s，。、,.!！？?；;：:“”\"「」（）()的]{1,24}(?: [A-Z][\w.]*){0,3})"
_MADE = r"(?:created|developed|built|made|trained|designed)"
_ZH_MADE = r"(?:开发|研发|创造|训练|打造|设计|制作|推出|研制)"
_AFTER_NAME = r"(?![\w'’])(?=\s*(?:[,!?;\n]|$|and\b|a\b|an\b|the\b|(?<=\.)))"
# What each pattern tells: whose assistant it is and who made it, or what it is called.
PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "owner",
        re.compile(
            rf"\b(?:I am|I'm|I’m|This is)\s+{_NAME}['’]s?\s+(?:\w+\s+){{0,3}}?(?:assistant|helper|AI)\b"
        ),
    ),
    ("owner", re.compile(rf"\bI\b[^.!?\n]*\bassistant\s+(?:of|for|to|belonging to)\s+{_NAME}")),
    ("maker", re.compile(rf"\bI\b[^.!?\n]*\b{_MADE}\s+(?:and \w+\s+)?by\s+{_NAME}")),
    ("name", re.compile(rf"\b[Mm]y name is\s+{_NAME}")),
    ("name", re.compile(rf"\b(?:I am|I'm|I’m)\s+(?:called\s+|named\s+)?{_NAME}{_AFTER_NAME}")),
    ("owner", re.compile(rf"我是(?!由){_ZH_NAME}的[^，。！？\s]{{0,8}}?(?:助手|助理|机器人|模型)")),
    ("maker", re.compile(rf"我[^。！？\n]*?(?:由|是(?!由))\s*{_ZH_NAME}?(?:公司|团队)?(?:自主)?{_ZH_MADE}")),
    ("name", re.compile(rf"(?:我叫|我的名字是|我的名字叫|名叫)\s*(?:做\s*)?{_ZH_NAME}")),
)
# Only what is asked of the assistant itself is answered with its identity.
_ASKED = re.compile(r"\b(?:you|your|yourself)\b|[你您]|介绍|名字|是谁", re.IGNORECASE)
_HINTS = ("I am", "I'm", "I’m", "name is", "assistant", " by ", "我是", "我叫", "名字", "名叫", "由", "助手")
# Words that follow "I am" and are nobody's name.
_EN_NOT = "a an the ai artificial assistant sorry not happy here sure just language i"
_ZH_NOT = "一个 一名 一款 一位 人工智能 语言模型 大语言模型 人类 什么 谁 你 您 大家 人们 我 他 她 它 们"
NOT_NAMES = frozenset([*_EN_NOT.split(), *_ZH_NOT.split()])
LOOKED = 400


class Claim(NamedTuple):
    """What an answer says of the assistant: ``kind`` is owner, maker or name."""

    kind: str
    name: str


def claims(question: str, answer: str) -> Iterator[Claim]:
    """The names that an answer gives the assistant, its owner or its maker."""
    said = answer[:LOOKED]
    if not any(hint in said for hint in _HINTS) or not _ASKED.search(question[:LOOKED]):
        return
    seen: set[Claim] = set()
    for kind, pattern in PATTERNS:
        for match in pattern.finditer(said):
            name = re.sub(r"['’]s$|[.'’-]+$", "", match["name"] or "").strip()
            claim = Claim(kind, name)
            if name and not _is_no_name(name) and claim not in seen:
                seen.add(claim)
                yield claim


def _is_no_name(name: str) -> bool:
    folded = name.casefold()
    first = folded.split()[0] if folded.split() else ""
    return (
        folded in NOT_NAMES
        or (first in NOT_NAMES and name.isascii())
        or name.startswith(("一个", "一名", "一款"))
    )


class Conflict(NamedTuple):
    """A row that says another name than most others: ``others`` of them say ``usual``."""

    row: int
    field: str
    kind: str
    name: str
    usual: str
    others: int


def conflicts(found: Sequence[tuple[int, str, str, str]]) -> list[Conflict]:
    """Of (row, field, kind, name) those whose name is not the usual one of its kind, in the order of rows.

    Names count as equal whatever their case, width of spaces, or the script they are joined with.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    shown: dict[str, str] = {}
    for _, _, kind, name in found:
        counts[kind][_folded(name)] += 1
        shown.setdefault(_folded(name), name)
    made: list[Conflict] = []
    for row, field, kind, name in found:
        usual, count = counts[kind].most_common(1)[0]
        if not _same(_folded(name), usual):
            made.append(Conflict(row, field, kind, name, shown[usual], count))
    return made


def _folded(name: str) -> str:
    return "".join(name.casefold().split())


def _same(one: str, other: str) -> bool:
    """ "Ada" and "Ada Lovelace" are one person."""
    return one == other or one.startswith(other) or other.startswith(one)

"""What else people call the days that opening hours are of: "周六周日" is the weekend, Wednesday is in
"Mon–Fri"."""

import re

from core.data.identity import IdentityLanguage

DAY = (
    r"(?:(?:周|星期|礼拜)[一二三四五六日天末]|(?:mon|tue|tues|wed|thur?s?|fri|sat|sun|(?:mon|tues|wednes|thurs|fri|satur|sun)days?)\b\.?|weekdays?|weekends?"
    r"|工作日|节假日|平日|每天|每日|daily)"
)
DAYS = (
    rf"{DAY}(?:\s*(?:[至到和及、,，&+~～/–—-]|to|and|until)?\s*(?:{DAY}|[一二三四五六日天](?=\s|[\d:：])))*"
)
_DAY = re.compile(rf"(?i:(?<!\w){DAY}(?!\w))|(?:周|星期|礼拜)[一二三四五六日天末]")
_ONLY_DAYS = re.compile(rf"(?i:{DAYS})(?!\w)|(?:周|星期|礼拜)[一二三四五六日天末]")
_ZH = "一二三四五六日"
_EN = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WORK, _WEEKEND, _WEEK = {*range(5)}, {5, 6}, 7
# A day, or what joins the ends of a range.
_PIECE = re.compile(
    r"(?P<all>每[天日]|天天|\bdaily\b|\bevery day\b)"
    r"|(?P<weekend>周末|(?:星期|礼拜)末|双休日|\bweekends?\b)|(?P<work>工作日|\bweekdays?\b)"
    r"|(?:周|星期|礼拜)(?P<zh>[一二三四五六日天])|(?P<en>\b(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*)"
    r"|(?P<to>[至到~～–—-]|\bto\b|\buntil\b)|(?P<bare>[一二三四五六日天])",
    re.IGNORECASE,
)


def is_days(text: str) -> bool:
    """Whether a text names days of the week: "周一至周五", "Mon–Fri"."""
    return _ONLY_DAYS.match(text.strip()) is not None


def has_days(text: str) -> bool:
    """Whether days of the week stand anywhere in a text."""
    return _DAY.search(text) is not None


def is_only_days(text: str) -> bool:
    """Whether a text names days and nothing else: "Mon–Fri", not "Monday 7-9pm"."""
    return _ONLY_DAYS.fullmatch(text.strip()) is not None or not re.search(r"\d", text)


def days_of(key: str) -> set[int]:
    """The days of the week that a key names, from 0 for Monday."""
    found: set[int] = set()
    first, ranges = -1, False
    for match in _PIECE.finditer(key):
        if match["to"]:
            ranges = first >= 0
            continue
        if match["all"] or match["weekend"] or match["work"]:
            found |= {*range(_WEEK)} if match["all"] else _WEEKEND if match["weekend"] else _WORK
            first, ranges = -1, False
            continue
        if match["bare"] and first < 0:
            continue
        day = _index(match)
        if ranges:
            found |= {place % _WEEK for place in range(first, day + (_WEEK if day < first else 0) + 1)}
        first, ranges = day, False
        found.add(day)
    return found


def _index(match: re.Match[str]) -> int:
    if match["en"]:
        return next(place for place, name in enumerate(_EN) if name.lower()[:3] == match["en"].lower()[:3])
    return _ZH.index((match["zh"] or match["bare"]).replace("天", "日"))


def other_names(key: str, language: IdentityLanguage) -> tuple[list[str], list[str]]:
    """What people call these days otherwise: all of them or some together, and each by itself; what the key
    says itself is left out."""
    days, zh = days_of(key), language == "zh"
    groups = ((_WEEKEND, "周末" if zh else "the weekend"), (_WORK, "工作日" if zh else "weekdays"))
    together = [name for group, name in groups if group <= days]
    singly = [f"周{_ZH[day]}" if zh else _EN[day] for day in sorted(days)]
    said = key.lower()
    return (
        [one for one in together if one.removeprefix("the ") not in said],
        [one for one in singly if one.lower() not in said],
    )

"""One way to write what people write in many: numbers, sizes, dates, times of the day, days of the week.

What is compared is written so on both sides; nothing else of a text is changed, and nobody reads it.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from core.proof.rules import plain_text

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# "May" with a capital alone: "up to 3 may stay".
_MONTH = (
    r"(?:(?i:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)|May|MAY)\b\.?"
)
_DAY, _TO = r"(?<![\d.,:])(?P<{}>[0-3]?\d)(?:st|nd|rd|th)?\b", r"\s?(?:-|–|—|to|until|and|至|到|~)\s?"
_YEAR = r"(?:,? (?P<year>[12]\d{3})(?![\d:]))?"
# Each finds a month, one day or the first and the last, and perhaps a year.
_DATES = tuple(
    map(
        re.compile,
        (
            r"(?<![\d.,-])(?P<year>[12]\d{3})[-/](?P<month>[01]?\d)[-/](?P<last>[0-3]?\d)(?![\d-])",
            r"(?<![\d.,])(?P<last>[0-3]?\d)\.\s?(?P<month>[01]?\d)\.\s?(?P<year>[12]\d{3})(?!\d)",
            r"(?:(?P<year>[12]\d{3})年)?(?<!\d)(?P<month>[01]?\d)月(?:(?P<first>[0-3]?\d)[日号]?[至到~–—-])?"
            r"(?P<last>[0-3]?\d)(?![\d月])[日号]?",
            rf"(?:{_DAY.format('first')}{_TO})?{_DAY.format('last')}\s(?:of )?(?P<month>{_MONTH}){_YEAR}",
            rf"\b(?P<month>{_MONTH})\s(?:{_DAY.format('first')}{_TO})?{_DAY.format('last')}"
            rf"(?![:.]\d| ?[ap]\.?m\b){_YEAR}",
        ),
    )
)
_NUMERALS = {one: value for value, one in enumerate("零一二三四五六七八九十")} | {"两": 2}
_NUMERAL = f"[{''.join(_NUMERALS)}]"
_MORNING, _LATER = "凌晨|清晨|早上|早晨|上午|早", "中午|下午|傍晚|晚上|今晚|晚|夜里"
_SURE = ("early", "late", "whole", "half", "quarter", "minutes", "colon")
# "有一点辣", "两点注意" and "三点五元" tell no time; "下午一点", "一点半" and "三点" do.
_NO_TIME = rf"(?!{_NUMERAL}|[建注要意原理经内])"
_CLOCK_ZH = re.compile(
    rf"(?:(?P<early>{_MORNING})|(?P<late>{_LATER}))?(?P<hour>(?<!\d)[012]?\d|{_NUMERAL}{{1,3}})"
    rf"(?:[点时](?!间)(?P<whole>钟|整)?(?P<half>半)?(?:(?P<quarter>[一三])刻"
    rf"|(?P<minutes>[0-5]?\d|{_NUMERAL}{{2,3}}|十|{_NUMERAL}(?=分))分?)?{_NO_TIME}|:(?P<colon>[0-5]\d))"
)
# "下午2点半到5点": the last hour is of the same half of the day, or the next one.
_HALF_OF_LATER = re.compile(
    rf"(?P<half>{_MORNING}|{_LATER})(?P<first>(?<!\d)[012]?\d|{_NUMERAL}{{1,3}})(?P<more>[点时:][^,。;、\s到至~–—-]{{0,4}})"
    rf"(?P<to>\s?[到至~–—-]\s?)(?P<last>[012]?\d|{_NUMERAL}{{1,3}})(?=[点时:])"
)
_CLOCK_EN = re.compile(
    r"(?<![\d.,:])(?P<hour>[01]?\d)(?:[:.](?P<minutes>[0-5]\d))?\s?(?:(?P<early>a)|(?P<late>p))\.?m\b\.?",
    re.IGNORECASE,
)
# "9 to 5pm", "8-10am": the first hour is of the same half of the day, or the one before.
_HALF_OF_BOTH = re.compile(
    r"(?<![\d.,:])(?P<first>[01]?\d(?:[:.][0-5]\d)?)(?P<to>\s?(?:-|–|—|to|until)\s?)"
    r"(?P<last>[01]?\d(?:[:.][0-5]\d)?)(?P<half>\s?[ap]\.?m\b)",
    re.IGNORECASE,
)
_MONEY = (
    r"eur|usd|chf|gbp|cny|rmb|jpy|hkd|sgd|aud|nzd|cad|nok|sek|dkk|pln|czk|huf|ron|brl|mxn|rub|inr|try|krw"
    r"|euros?|dollars?|pounds?|francs?|franken|kron(?:or|er)|kr|zł|kč|yuan|yen|won|rupees?|rubles?|reais|pesos?"
)
_SIGNS = "[€$£¥₹₽₩₺฿]"
# "€1.200", "1.200,50 €", "1.200.000": a point before three digits is one between thousands beside a currency,
# before another or before a comma. "1.200 kg" may be either, and stays.
_POINTS = re.compile(
    rf"(?P<before>{_SIGNS} ?|\b(?:{_MONEY}) )?(?<![\d.,:])(?P<whole>[1-9]\d{{0,2}}(?:\.\d{{3}})+)"
    rf"(?:,(?P<cents>\d\d?))?(?![.,:]?\d)(?= ?(?P<behind>{_SIGNS}|[元块]|(?:{_MONEY})\b)?)",
    re.IGNORECASE,
)
# "1 000 €", "€ 12 500": of what is no amount, "Room 3 250", each number is its own.
_SPACES = re.compile(
    rf"(?P<before>{_SIGNS} ?|\b(?:{_MONEY}) )?(?<![\d.,:])(?P<whole>[1-9]\d{{0,2}}(?: \d{{3}})+)"
    rf"(?![ .:]?\d{{3}}|\d)(?=(?:[.,]\d\d?)? ?(?P<behind>{_SIGNS}|[元块]|(?:{_MONEY})\b)?)",
    re.IGNORECASE,
)
_ONE_WAY: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (_POINTS, lambda match: _without_points(match)),
    (re.compile(r"(?<=\d)'(?=\d{3}(?!\d))"), ""),
    (re.compile(r"(?<![\d.,])\d{1,2}(?:,\d{1,2}){2,}(?![\d,.])"), lambda match: match[0].replace(",", ", ")),
    (re.compile(r"(?<=\d),(?=\d{3}(?!\d))"), ""),
    (re.compile(r"(?<![\d.,:])(\d+),(\d{1,2})(?![\d,:])"), r"\1.\2"),
    (re.compile(r"(?<=\d)(?:\s?[x×*]\s?)(?=\d)", re.IGNORECASE), " x "),
    (re.compile(r"(\d)点(\d\d)分?"), r"\1:\2"),
    (re.compile(r"(\d)点半"), r"\1:30"),
    (re.compile(r"(?<![:\d.])0?(\d{1,2}):00(?![:\d])"), r"\1"),
    (re.compile(r"(?<![:\d.])0(?=\d:\d\d)"), ""),
    (re.compile(r"(\d)\.0+(?![\d.])"), r"\1"),
    (re.compile(r"(?<![a-zA-Z\d])(\d[\d.,:]*)(?=[a-zA-Z])"), r"\1 "),
    (re.compile(r"\b((?:mon|tues|wednes|thurs|fri|satur|sun)day)s\b", re.IGNORECASE), r"\1"),
    (re.compile(r"(?:星期|礼拜)(?=[一二三四五六日天])"), "周"),
    (re.compile(r"周天"), "周日"),
)
_PHONE = (
    (re.compile(r"\+\d{1,3}[ -]"), ""),
    (re.compile(r"\((\d+)\)[ -]?"), r"\1"),
    (re.compile(r"(?<=\d)[- ](?=\d)"), ""),
    (re.compile(r"(?<!\d)0(?=\d{8})"), ""),
)


class InOneWay(NamedTuple):
    """A text in one way; ``clock``: with its times in 24 hours; ``says_half``: whether it says of any which
    half of the day it is of."""

    text: str
    clock: str
    says_half: bool


def in_one_way(text: str) -> InOneWay:
    """A text with its numbers, dates and times written in one way."""
    plain = plain_text(text)
    for pattern in _DATES:
        plain = pattern.sub(_date, plain)
    plain = _HALF_OF_LATER.sub(_later_half, _HALF_OF_BOTH.sub(_both_halves, plain))
    half = _CLOCK_EN.search(plain) or any(one["early"] or one["late"] for one in _CLOCK_ZH.finditer(plain))
    return InOneWay(_written(_timed(plain, whole=False)), _written(_timed(plain, whole=True)), bool(half))


def amounts_whole(text: str) -> str:
    """A text whose amounts of money have no blanks between their thousands."""
    return _SPACES.sub(
        lambda match: (
            match[0].replace(match["whole"], match["whole"].replace(" ", ""))
            if match["before"] or match["behind"]
            else match[0]
        ),
        text,
    )


def without_groups(text: str) -> str:
    """A text whose telephone numbers are digits alone, without what a country begins them with."""
    for written, so in _PHONE:
        text = written.sub(so, text)
    return text


def _written(text: str) -> str:
    for written, so in _ONE_WAY:
        text = written.sub(so, text)
    return text


def _without_points(match: re.Match[str]) -> str:
    whole, cents = match["whole"], match["cents"]
    if not (match["before"] or match["behind"] or cents or whole.count(".") > 1):
        return match[0]
    return f"{match['before'] or ''}{whole.replace('.', '')}{f'.{cents}' if cents else ''}"


def _date(match: re.Match[str]) -> str:
    found, written = match.groupdict(), match["month"].lower()
    month = int(written) if written.isdigit() else _MONTHS.index(written[:3]) + 1
    if not (1 <= month <= 12 and 1 <= int(match["last"]) <= 31):
        return match[0]
    days = [f"m{month}d{int(day)}" for day in (found.get("first"), match["last"]) if day]
    return f" {' to '.join(days)} {match['year'] or ''} ".replace("  ", " ")


def _both_halves(match: re.Match[str]) -> str:
    """Both hours with their half of the day."""
    first, last = (int(re.split("[:.]", match[one])[0]) % 12 for one in ("first", "last"))
    late = "p" in match["half"].lower()
    half = "am" if not late or first > last else "pm"
    return f"{match['first']}{half}{match['to']}{match['last']}{match['half']}"


def _later_half(match: re.Match[str]) -> str:
    """The last hour with its half of the day, too."""
    half, first, last = match["half"], _number(match["first"]), _number(match["last"])
    if last < 12 and last < first:
        half = "下午" if match["half"] in _MORNING.split("|") else "凌晨"
    return f"{match['half']}{match['first']}{match['more']}{match['to']}{half}{match['last']}"


def _timed(text: str, whole: bool) -> str:
    """A text with its times as hours and minutes: of the ``whole`` day, or as they stand."""
    for pattern, write in ((_CLOCK_EN, _english), (_CLOCK_ZH, _chinese)):
        text = pattern.sub(write(whole), text)
    return text


def _english(whole: bool) -> Callable[[re.Match[str]], str]:
    def write(match: re.Match[str]) -> str:
        hour = int(match["hour"])
        if hour > 12:
            return match[0]
        if whole:
            hour = hour % 12 + (12 if match["late"] else 0)
        return f"{hour}:{match['minutes'] or '00'} "

    return write


def _chinese(whole: bool) -> Callable[[re.Match[str]], str]:
    def write(match: re.Match[str]) -> str:
        hour = _number(match["hour"])
        if hour > 24 or (match["hour"] in "一二两" and not any(match[one] for one in _SURE)):
            return match[0]
        minutes = match["colon"] or (30 if match["half"] else _number(match["minutes"] or "0"))
        if match["quarter"]:
            minutes = 15 * _number(match["quarter"])
        late = match["late"] and hour < 12 and not (match["late"] == "中午" and hour > 9)
        if not match["colon"] or match["early"] or match["late"]:
            return f" {hour + 12 if whole and late else hour}:{int(minutes):02} "
        return match[0]

    return write


def _number(written: str) -> int:
    """A number below a hundred: "9", "九", "十五", "二十"."""
    if written.isdigit() and written.isascii():
        return int(written)
    tens, ten, ones = written.partition("十")
    if not ten:
        return sum(_NUMERALS[one] for one in written)
    return 10 * (_NUMERALS[tens[-1]] if tens else 1) + (_NUMERALS[ones[-1]] if ones else 0)

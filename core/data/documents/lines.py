"""What a line of a document is about and what it says of it: "电话：0571-5550", "Tel. 0571", "Soup 5 euros".

A label's mark is written in many ways: a colon of either width with or without a blank, "=", a dash, a tab,
brackets around the label, or nothing at all behind a word that everybody knows for a label.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise

from core.data.documents.amounts import (
    LONGEST_UNMARKED,
    MOST_WORDS,
    PRICE,
    says_amount,
    with_amount,
    with_note,
    with_price_at_end,
)
from core.data.documents.days import DAY, DAYS, is_days
from core.data.documents.marks import LONGEST_KEY, label_end
from core.data.documents.wordings import HAN, known_labels

# A line that its writer ended, not one that was wrapped.
SHORT_LINE = 30
_EQUALS = re.compile(r"(?P<key>[^\W\d_][\w \t()（）.&'’-]*[\w)）])\s*[=＝]\s*(?P<value>[^=＝\s].*)")
_BRACKETED = re.compile(r"[【〔\[](?P<key>(?!\d+[】〕\]])[^】〕\]]{2,20})[】〕\]]\s*[:：]?\s*(?P<value>\S.*)")
_OF_DAYS = re.compile(
    rf"(?P<key>{DAYS})\s*(?P<value>(?:全天\s?)?(?:[上下]午|早上?|晚上?|中午|from )?"
    r"\d.*(?:[-–—~～至到]|\bto\b)\s?\S.*|(?<=\s)(?:休息|店休|闭馆|不营业|closed\b).*)",
    re.IGNORECASE,
)
_ENDS_IN_DAYS = re.compile(rf"(?P<key>\S.*?\S)\s+(?P<days>{DAYS})", re.IGNORECASE)
# "Beavers (6-8) Mon 5.30-6.30": a name, its days and times.
_ON_DAYS = re.compile(
    rf"(?P<key>[^\W\d_][^\n,，。；;:：!！?？]{{1,38}}?)\s+(?P<value>{DAYS}\s+\d[\d.:apm]*\s?[-–—~～至到]\s?\d.*)",
    re.IGNORECASE,
)
# "周三休息!!", "Closed on Mondays.": a line of its own that says when nothing is open.
CLOSED = re.compile(
    rf"(?:每逢?)?(?P<zh>{DAYS})(?:店休|休息|公休|休业|不营业|不开门|闭馆)[!！。.]*"
    rf"|(?:we(?:'re|’re| are) )?closed (?:on |every |all )*(?P<en>{DAYS})[!.]*",
    re.IGNORECASE,
)
# "办公室 早8晚6，周一不上班"
_FROM_MORNING = re.compile(
    rf"(?P<key>[{HAN}]{{2,8}})\s+(?P<value>早上?\s?\d{{1,2}}点?半?\s?[-–—~～到至]?\s?晚上?\s?\d{{1,2}}点?半?(?:[\s,，(（].*)?)"
)
_NO_TEXT = re.compile(r"\d{100}|\s{200}")
# "第一节 语文", "周一 语文 数学": what is counted or a day, and what it is.
_IN_ORDER = re.compile(
    rf"(?P<key>第[一二三四五六七八九十\d]{{1,3}}[节课讲章天周期场站轮名]课?|(?:周|星期|礼拜)[一二三四五六日天])\s+(?P<value>[{HAN}][^。]*)"
)
# "送货上门 满50免费 不满收5块": from how much on something is so.
_FROM_A_SUM = re.compile(rf"(?P<key>[{HAN}]{{2,8}})\s+(?P<value>满\s?\d.*)")
# Two blanks or more part whatever they stand between, but the halves of a verse and of set lines.
_SPACED = re.compile(
    r"(?P<key>[^\W\d_](?:[ ]?[^\s,，。；;:：!！?？]){0,39}?)"
    r"(?:[ \u00a0]{2,}|[ \u00a0]?\u3000\s*)(?P<value>\S.*)"
)
_LONGEST_VERSE = 4
# A name and what is said of it behind a blank, in a line of Chinese; a sentence has other words before it.
_FIELDS = re.compile(rf"(?P<key>(?=[A-Za-z]*[{HAN}])[A-Za-z{HAN}]{{1,6}}) (?P<value>\S.*)")
_NO_FIELD = re.compile("[在是有放请不没别能要会了就把给和与的]|开始|结束")
# Behind a label that everybody knows its value may begin without a mark.
_VALUE_ZH = (
    rf"(?:(?<=地址)(?![是在有不为])(?=[{HAN}].*[路街道号楼巷弄村旁口])|[\s.·/–—-]+"
    r"|(?=[+\d(（][\d\s:：+()（）.~～–—-]{4}))"
)
_VALUE_EN = rf"\.?\s+(?=[+\d(]|\S+@\S|https?:|www\.|{DAY}\b)"
# What only calls for attention is no label: nobody asks for the note.
_CALLS_OUT = re.compile(
    r"(?:please |important )?(?:notes?|n\.?b\.?|p\.?s\.?|warnings?|caution|danger|attention|important|tips?"
    r"|notice|hints?|remarks?|remember|reminder|please note)"
    r"|(?:温馨|特别|友情|重要|安全)?(?:注|注意|提示|提醒|备注|警告|重要|附注?|另|又及|说明|小贴士)",
    re.IGNORECASE,
)
# Labels beside those of the topics.
_MORE_ZH, _MORE_EN = (
    r"退[卡费款货课换]|请假|约[课车]|改期|补考|传真|邮编|公众号|抖音号?|小红书|店名|人均|wi-?fi\s?密码|qq号?|店长|经理|房东|院长|园长|校长|班主任|值班",
    "fax|whatsapp|instagram|zip code",
)
# A statement ends here, and so does one before Chinese that goes on without a blank.
_STATEMENT = re.compile(rf"(?<=[。；;])|(?<=[{HAN}\d)）”\"][.!])(?=[{HAN}])")
# The same in Chinese and in another language.
_IN_BOTH = re.compile(rf"([{HAN}]+)\s*[/(（]?\s*([A-Za-z][A-Za-z -]*[A-Za-z])[)）]?")
# What opens what is named before it: it is of no use by itself.
_KEY = re.compile(
    r"(?:pw|pass(?:word|code|phrase)?|pin|密码|口令|提取码)\b|(?:密码|口令|提取码)", re.IGNORECASE
)
# Signs that part what stands in one line.
_LISTED = re.compile(r"\s+[|｜·•/]\s+|\s*[｜]\s*|\s{2,}")
_NEXT_LABEL = re.compile(
    rf"[,，、\s]\s*(?=(?P<key>[{HAN}]{{2,8}}|[A-Za-z][A-Za-z -]{{1,15}})(?:(?P<mark>\s?[:：])|\s|\d))"
)


def is_no_text(text: str) -> bool:
    """Whether so many digits or blanks stand one after the other that nobody has written them to be read:
    whatever looks for a number in them would look from each of them."""
    return _NO_TEXT.search(text) is not None


def closed_on(text: str) -> str:
    """The days of a line that says only when nothing is open; empty for any other."""
    match = None if is_no_text(text) else CLOSED.fullmatch(text.strip())
    return (match["zh"] or match["en"]).rstrip(".") if match else ""


def closed_in(hours: str) -> str:
    """The days when nothing is open where opening hours end in them: "9 to 6, closed on Sundays"."""
    last = re.split(r"[,，。；;]\s*", hours.rstrip("。. "))[1:]
    return next(filter(None, map(closed_on, last)), "")


def pair(text: str) -> tuple[str, str] | None:
    """What a line is about and what it says of it; None where it does not say."""
    if is_no_text(text) or not (found := _parted(text)):
        return None
    key, value = found[0].strip(), found[1].strip()
    plain = key and value and len(key) <= LONGEST_KEY and not re.search("[。！？!?]", key)
    plain = plain and sum(map(key.count, "(（")) == sum(map(key.count, ")）"))
    plain = plain and not _CALLS_OUT.fullmatch(key)
    return (key, value) if plain else None


def stated(statement: str) -> tuple[str, str] | None:
    """What a statement of several is about and says of it, without the mark that ends it."""
    return pair(statement.rstrip(" .。；;" if re.search(f"[{HAN}]", statement) else " 。；;"))


def statements(line: str) -> list[str]:
    """What a line says, each by itself where it says several things by their labels ("电话：1，地址：2");
    what has no label belongs to the one before."""
    listed = [one.strip() for one in _LISTED.split(line)]
    if len(listed) > 1 and all(map(stated, listed)):
        keyed = any(_KEY.match(one) for one in listed[1:])
        return [", ".join(listed)] if keyed else [each for one in listed for each in _of_both(one)]
    parts = (one for part in _STATEMENT.split(line) for one in _by_labels(part.strip()))
    found = [each for one in parts for each in _of_both(one)]
    pairs = [*map(stated, found)]
    if all(pairs) or (sum(map(bool, pairs)) < 2 and not _goes_on(found, pairs)):
        return found
    whole, begun = [found[0]], bool(pairs[0])
    for one, known in zip(found[1:], pairs[1:], strict=True):
        if known or not begun:
            whole.append(one)
        else:
            whole[-1] += f"{' ' if whole[-1][-1].isascii() else ''}{one}"
        begun = begun or bool(known)
    return whole


def _of_both(part: str) -> list[str]:
    """What is said of two labels at once, of each: "电话/微信 13800001111"."""
    found = _two_labels().fullmatch(part)
    return [f"{found[name]}：{found['value']}" for name in ("one", "other")] if found else [part]


def _goes_on(parts: Sequence[str], pairs: Sequence[tuple[str, str] | None]) -> bool:
    """Whether what has no label is of the only one that stands before it: "团课：瑜伽 周二；单车 周三"."""
    return bool(pairs[0]) and all(one.endswith(("；", ";")) for one in parts[:-1])


def several(line: str) -> list[str]:
    """What a line says, where each part of it says what it is about; else the line."""
    found = statements(line)
    first = stated(found[0])
    if first and stated(first[1]) and not is_label(stated(first[1])[0]):  # type: ignore[index]
        return [line]  # "Children leave: the small at 3:10; the large at 4:20"
    return found if len(found) > 1 and all(map(stated, found)) else [line]


def in_fields(lines: Sequence[str]) -> list[tuple[str, str]]:
    """Lines of Chinese that each begin with a short name and a blank, as rows of a table: "小陈 儿牙 周末".
    Empty where one does not, or where they may be verses."""
    found = [match for match in map(_FIELDS.fullmatch, lines) if match and not _NO_FIELD.search(match["key"])]
    verses = len({len(one) for one in lines}) == 1
    keys = {match["key"] for match in found}
    if len(lines) < 2 or verses or len(keys) < len(lines):
        return []
    return [(match["key"], match["value"]) for match in found]


def looks_like_several(lines: Sequence[str], least: int = 3) -> bool:
    """Whether lines look as if each said something of its own, as no wrapped text does; of lines that say of
    nothing what it is about ``least`` do that are short, or end where the next one's first word had room."""
    ended = not any(one.endswith((",", "，", "、")) for one in lines)
    own = all(len(one) <= SHORT_LINE for one in lines) or end_early(lines)
    return sum(map(bool, map(pair, lines))) > 1 or (ended and own and len(lines) >= least)


def end_early(lines: Sequence[str]) -> bool:
    """Whether nearly all lines end where no program would have wrapped them: the next one's first word still
    fitted into the longest of them, which is no longer than people's own lines are."""
    width = max(map(len, lines))
    room = [len(line) + len(_first_word(after)) < width for line, after in pairwise(lines)]
    return width <= LONGEST_UNMARKED and 4 * sum(room) >= 3 * len(room) > 3


def _first_word(line: str) -> str:
    return line[:1] if re.match(f"[{HAN}]", line) else line.partition(" ")[0]


def _by_labels(part: str) -> Iterator[str]:
    """A part of a line cut before each label that everybody knows, if it begins with a label itself; of one
    that stands under another ("东店：地址：…") nothing is cut."""
    begin, known = 0, pair(part)
    under = known and pair(known[1])
    if not under or not is_label(under[0]):
        for match in _NEXT_LABEL.finditer(part):
            piece = part[begin : match.start()]
            following = pair(part[match.end() :]) if is_label(match["key"]) and pair(piece) else None
            labelled = (known and is_label(known[0])) or match["mark"]
            labelled = labelled or (following and says_amount(following[1]))  # ", deposit 20 €"
            if labelled and following and following[0] == match["key"].strip():
                yield piece
                begin = match.end()
    if part[begin:]:
        yield part[begin:]


def _parted(text: str) -> tuple[str, str] | None:
    if (match := _BRACKETED.fullmatch(text)) and (is_label(match["key"]) or not pair(match["value"])):
        return match["key"], match["value"]
    if mark := label_end(text):
        start, end = mark
        if PRICE.search(text, 0, start) and (found := _unmarked(text)):
            return found  # "Cold noodles 12 yuan, note: in summer"
        return text[:start], text[end:]
    if match := _OF_DAYS.fullmatch(text):
        return match["key"], re.sub(rf"(?<=:\d\d)\s+(?=[{HAN}])(?![至到和及])", "，", match["value"])
    if (match := _ON_DAYS.fullmatch(text)) and not is_days(match["key"]):
        return match["key"], match["value"]
    if match := _FROM_MORNING.fullmatch(text) or _EQUALS.fullmatch(text):
        return match["key"], match["value"]
    if match := _known_label().fullmatch(text):
        return match["zh"] or match["en"], match["of_zh"] or match["of_en"]
    return _unmarked(text) or with_price_at_end(text)


def _unmarked(text: str) -> tuple[str, str] | None:
    """A thing and what is said of it where only blanks part them."""
    is_short, from_a_sum = len(text) <= LONGEST_UNMARKED, _FROM_A_SUM.fullmatch(text)
    if not from_a_sum and (found := with_amount(text)):
        key, value = found
        day = _ENDS_IN_DAYS.fullmatch(key)  # "Story time Thurs 10.30"
        return (day["key"], f"{day['days']} {value}") if day and not is_days(key) else found
    if is_short and from_a_sum:
        return from_a_sum["key"], from_a_sum["value"]
    if is_short and (match := _IN_ORDER.fullmatch(text)) and not PRICE.search(text):
        return match["key"], match["value"]
    if match := _SPACED.fullmatch(text):
        key, value = match["key"], match["value"]
        is_verse = len(key) == len(value) > _LONGEST_VERSE and re.fullmatch(f"[{HAN}]+", key + value)
        of_each = key[-1].isdigit() and value[-1].isdigit()  # "C1手动 3280   C2自动 3680"
        is_set = value[:1].islower() and len(text) > LONGEST_UNMARKED
        if not (is_verse or is_set or of_each or key.endswith(".") or len(key.split()) > MOST_WORDS):
            return key, with_note("", value)
    return None


@cache
def _known_label() -> re.Pattern[str]:
    """A line of a label that everybody knows and its value, with no mark of a label between."""
    zh, en = _labels()
    zh = rf"(?:{zh}|[{HAN}]{{2,4}}(?:时间|地点|方式|对象|要求|人数|日期))"
    found = rf"(?P<zh>{zh}){_VALUE_ZH}(?P<of_zh>\S.*)|(?P<en>{en}){_VALUE_EN}(?P<of_en>\S.*)"
    return re.compile(found, re.IGNORECASE)


@cache
def _two_labels() -> re.Pattern[str]:
    zh = _labels()[0]
    marks = r"(?:\s*[:：]\s*|\s+)"
    return re.compile(rf"(?P<one>{zh})\s?[/／、和&]\s?(?P<other>{zh}){marks}(?P<value>\S.*)", re.IGNORECASE)


@cache
def _label() -> re.Pattern[str]:
    return re.compile("|".join(_labels()), re.IGNORECASE)


def is_label(text: str) -> bool:
    """Whether everybody knows a text for a label: "电话", "Opening hours", "地址 Address"."""
    both = _IN_BOTH.fullmatch(text.strip())
    return any(_label().fullmatch(one.strip()) for one in (text, *(both.groups() if both else ())))


def is_topic(text: str) -> bool:
    """Whether a text names what documents tell of: "外卖", "Delivery"; a label, or begins as one."""
    return is_label(text) or re.fullmatch(rf"(?i:{_labels()[1]})[a-z]{{0,7}}", text.strip()) is not None


def _labels() -> tuple[str, str]:
    """The labels that the wordings have topics for, with what is put before and behind them."""
    zh, en = known_labels("zh"), known_labels("en")
    before, behind = (
        "(?:客服|联系|本店|店铺|门店|我们的?|订[座餐位]|预[订约])?",
        r"(?:\s?(?:时间|电话|方式|号码?|密码|地址|费用|说明|范围|须知|人))?",
    )
    return (
        rf"(?:{before}(?:{zh}){behind}|{_MORE_ZH})",
        f"(?:our |opening |business )?(?:{en}|{_MORE_EN})(?: number| address)?",
    )

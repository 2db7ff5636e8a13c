"""What a line of a document is about and what it says of it: "电话：0571-5550", "Tel. 0571", "Soup 5 euros".

A label's mark is written in many ways: a colon of either width with or without a blank, "=", a dash, a tab,
brackets around the label, or nothing at all behind a word that everybody knows for a label.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache

from core.data.documents.wordings import HAN, known_labels

LONGEST_KEY = 40
# Behind so many characters no label ends, whatever blanks are before it.
FURTHEST = 2 * LONGEST_KEY
# A line that its writer ended, not one that was wrapped.
SHORT_LINE = 30
_UNITS = r"元|块|圆|RMB|CNY|USD|EUR|€|\$|£|yuan|dollars?|euros?"
_AMOUNT = rf"(?:(?:[¥￥$€£]|RMB|CNY|USD|EUR)\s?\d[\d.,]*|\d[\d.,]*\s?(?:{_UNITS}))"
_TO_AMOUNT = r"\s?(?:-|–|—|~|～|至|到|to)\s?"
_AMOUNTS = rf"(?:{_AMOUNT}(?:{_TO_AMOUNT}(?:{_AMOUNT}|\d[\d.,]*))?|\d[\d.,]*{_TO_AMOUNT}{_AMOUNT})"
PRICE = re.compile(_AMOUNT, re.IGNORECASE)
# Behind the end of a sentence or of a clause an amount is of something else.
_MORE_SAID = re.compile(r"[。！？，；]|[.!?,;]\s")
# "Fried rice 12 yuan (small)"; in a sentence the amount of something else stands there.
_ENDS_IN_PRICE = re.compile(
    rf"^(?P<key>[^,，。；;]+?)\s*(?P<value>(?:(?<![\w-])(?:from|ab|约|低至)\s?)?{_AMOUNTS}"
    r"(?:\s?(?:起|以上|\+|up\b))?(?:\s?/\s?\S+)?\s*(?:[（(][^）)]*[）)])?)$",
    re.IGNORECASE,
)
# What costs nothing: "Tea: free", "热茶 免费"; "gluten free" is no price, and neither is "feel free".
_ENDS_IN_FREE = re.compile(
    r"(?P<key>[^,，。；;不凭持如若]{2,16}?)(?:\s|都|均|全部|一律|是)*(?<!可以)(?<![能也需])(?P<value>免费)"
    r"|(?P<key_en>(?:[\w'’-]+ ){1,4}?)(?:is |are )?(?P<value_en>free of charge)",
    re.IGNORECASE,
)
_COLON = re.compile(r"\s*[:：]\s*")
# Numbers that stand behind a label's number: "Table 3:20 euros", "会议室3：20人"; else "3:20" is a time.
_COUNTED = re.compile(rf"{_AMOUNT}|\d+\s?[人位张个间次桌座米斤克]", re.IGNORECASE)
# What a colon begins that is no label's: an address of a page, a path, a face.
_NO_LABELS_COLON = re.compile(r"//|\\|:|[-'^]?[()（）DP|]+(?:[\s,.!~，。！～]|$)")
# Years before a colon are what a line is about.
_YEARS = re.compile(r"\d{4}[\d./年月日\s~～–—至到-]*")
# A label in Latin letters, to a colon without a blank behind it: no host and no single letter.
_LATIN_LABEL = re.compile(r"(?!localhost$|mailto$)[^\W\d_](?:\w|[ &'’/()-]|\.(?!\w))+", re.IGNORECASE)
_OTHER_MARK = re.compile(r"\s+[-–—]+\s+|——|\s*(?:\.{3,}|…+|·{3,})\s*|\t+|\s+[|｜]\s+|｜")
_EQUALS = re.compile(r"(?P<key>[^\W\d_][\w \t()（）.&'’-]*[\w)）])\s*[=＝]\s*(?P<value>[^=＝\s].*)")
_BRACKETED = re.compile(r"[【〔\[](?P<key>(?!\d+[】〕\]])[^】〕\]]{2,20})[】〕\]]\s*[:：]?\s*(?P<value>\S.*)")
_DAY = (
    r"(?:(?:周|星期|礼拜)[一二三四五六日天末]|(?:mon|tue|tues|wed|thur?s?|fri|sat|sun|(?:mon|tues|wednes|thurs|fri|satur|sun)days?)\b\.?|weekdays?|weekends?"
    r"|工作日|节假日|平日|每天|每日|daily)"
)
_DAYS = (
    rf"{_DAY}(?:\s*(?:[至到和及、,，&~～/–—-]|to|and|until)?\s*(?:{_DAY}|[一二三四五六日天](?=\s|[\d:：])))*"
)
_ONLY_DAYS = re.compile(rf"(?i:{_DAYS})(?!\w)|(?:周|星期|礼拜)[一二三四五六日天末]")
_OF_DAYS = re.compile(
    rf"(?P<key>{_DAYS})\s*(?P<value>(?:上午|早上?|from )?\d.*(?:[-–—~～至到]|\bto\b)\s?\S.*"
    r"|(?<=\s)(?:休息|店休|不营业|closed\b).*)",
    re.IGNORECASE,
)
# "14:00 Ceremony in the chapel", "9:30–10:15 签到": what happens when.
_CLOCK = r"(?:[01]?\d|2[0-4])[:：.][0-5]\d(?:\s?[ap]\.?m\b\.?)?|(?:1[0-2]|[1-9])\s?[ap]\.?m\b\.?"
_AT_A_TIME = re.compile(
    rf"(?P<key>(?:{_CLOCK})(?:\s?(?:-|–|—|~|～|to|至|到)\s?(?:{_CLOCK}))?)\s+(?P<value>[^\W\d_][^.。!！?？]*)",
    re.IGNORECASE,
)
_NO_TEXT = re.compile(r"\d{100}|\s{200}")
# A thing and its price without a mark between them, and what else is said of it: "Soup $6.50 (serves two)",
# "汽锅鸡 68元/份 要提前订".
_NAME = r"(?P<key>[^\W\d_](?:[^,，。；;:：!！?？\n]{0,38}?[^\s,，。；;:：!！?？\n])?)"
_EACH = rf"(?:\s?/\s?[^\s（(]+|[每一][{HAN}]{{1,2}}(?![{HAN}]))?"
_PRICED = re.compile(
    rf"{_NAME}(?:\s{{1,20}}|(?<=[{HAN})）]))(?P<value>(?:(?<![\w-])(?:from|ab|约|低至)\s?)?{_AMOUNTS}"
    rf"(?:\s?(?:起|以上|左右|\+|up\b))?{_EACH})"
    r"(?P<note>\s*[（(].*|\s+[^\s（(].*|[,，]\s*\S.*|(?<=[元块圆])\d.*)?",
    re.IGNORECASE,
)
# The same of a time, a date, a telephone number, or for how many and how large it is; so many of a thing
# is an ingredient.
_MOMENT = rf"(?:{_CLOCK})(?:\s?(?:-|–|—|~|～|to|至|到)\s?(?:次日)?(?:{_CLOCK}))?"
_DATE = r"(?:\d{4}年)?\d{1,2}月\d{1,2}[日号]|\d{4}[-/.]\d{1,2}[-/.]\d{1,2}"
_MEASURE = r"\d[\d.,]*\s?(?:平方?米|公里|[人位]|km|sqm|m²)"
_NUMBERED = re.compile(
    rf"{_NAME}\s{{1,20}}(?:(?P<value>(?:{_DATE}|{_MOMENT}))(?P<note>\s*[（(].*|[,，]?\s+[^\s（(].*|[,，].*)?"
    rf"|(?P<amount>{_MEASURE})(?P<more>\s*[（(].*|\s{{2,}}\S.*)?"
    r"|(?P<phone>\+?\d(?:[ ()-]{0,2}\d){6,14}))",
    re.IGNORECASE,
)
_WITH_NUMBER = re.compile(rf"{_NAME}\s{{1,20}}(?P<value>\d{{1,5}}(?:\.\d\d?)?)")
# "第一节 语文", "周一 语文 数学": what is counted or a day, and what it is.
_IN_ORDER = re.compile(
    rf"(?P<key>第[一二三四五六七八九十\d]{{1,3}}[节课讲章天周期场站轮名]课?|(?:周|星期|礼拜)[一二三四五六日天])\s+(?P<value>[{HAN}][^。]*)"
)
_SAYS_AMOUNT = re.compile(rf"{_AMOUNT}|{_CLOCK}|\d(?:[ ()-]{{0,2}}\d){{6}}", re.IGNORECASE)
# Two blanks or more part whatever they stand between, but the halves of a verse and of set lines.
_SPACED = re.compile(
    r"(?P<key>[^\W\d_](?:[ ]?[^\s,，。；;:：!！?？]){0,39}?)"
    r"(?:[ \u00a0]{2,}|[ \u00a0]?\u3000\s*)(?P<value>\S.*)"
)
_LONGEST_SPACED, _LONGEST_VERSE = 80, 4
# What a sentence has before an amount, and no name ends in or has in it.
_NO_NAME_ZH = re.compile(
    r"(?:满|够|超过?|不足|不到|低于|高于|[收付交花给加减送退要需罚]|赠送|优惠|只要|仅需?|大?约|共|是|为|在|于|达|价|每满|消费|到|从)$"
)
_SENTENCE_ZH = re.compile(
    r"[请勿不没须]|可以|必须|需要|禁止|最[多少晚早迟]|[至最]少|只|都|[会能应凭限]|晚于|早于|之?[前后]$"
)
_NOT_PARTED_ZH = re.compile(r"(?:以|之)?[后前内外]|[的起才就]|至|到|开始|左右|以?上|以?下")
_NO_NAME_EN = re.compile(
    r"\b(?:i|you|we|they|he|she|it|there|this|that|is|are|was|were|be|has|have|had|cost|costs?|charges?|pays?|paid|takes?"
    r"|took|lasts?|needs?|seats?|serves?|opens?|closes?|starts?|begins?|ends?|leaves?|arrives?|may|must|can|will|should"
    r"|do|does|not|no|please|until|after|before|when|if|who|which|every|about|only)\b"
    r"|\b(?:at|for|in|on|of|to|by|from|with|than|over|under|and|or|the|a|an|up|up to|all)$",
    re.IGNORECASE,
)
_MOST_WORDS = 6
# "10:00 - 22:00", "Mon - Fri": a dash that parts nothing from its label.
_FROM, _TO = (
    re.compile(pattern, re.IGNORECASE) for pattern in (rf"(?:\d|\d\s?[ap]m|{_DAY})$", rf"(?:\d|{_DAY})")
)
# Behind a label that everybody knows its value may begin without a mark.
_VALUE_ZH = r"(?:[\s.·/–—-]+|(?=[+\d(（][\d\s:：+()（）.~～–—-]{4}))"
_VALUE_EN = rf"\.?\s+(?=[+\d(]|\S+@\S|https?:|www\.|{_DAY}\b)"
# What only calls for attention is no label: nobody asks for the note.
_CALLS_OUT = re.compile(
    r"(?:please |important )?(?:notes?|n\.?b\.?|p\.?s\.?|warnings?|caution|danger|attention|important|tips?"
    r"|notice|hints?|remarks?|remember|reminder|please note)"
    r"|(?:温馨|特别|友情|重要|安全)?(?:注|注意|提示|提醒|备注|警告|重要|附注?|另|又及|说明|小贴士)",
    re.IGNORECASE,
)
# Labels beside those of the topics.
_MORE_ZH, _MORE_EN = (
    r"传真|邮编|公众号|抖音号?|小红书|店名|人均|wi-?fi\s?密码|qq号?",
    "fax|whatsapp|instagram|zip code",
)
# A statement ends here, and so does one before Chinese that goes on without a blank.
_STATEMENT = re.compile(rf"(?<=[。；;])|(?<=[{HAN}\d)）”\"][.!])(?=[{HAN}])")
# The same in Chinese and in another language.
_IN_BOTH = re.compile(rf"([{HAN}]+)\s*[/(（]?\s*([A-Za-z][A-Za-z -]*[A-Za-z])[)）]?")
# Signs that part what stands in one line.
_LISTED = re.compile(r"\s+[|｜·•/]\s+|\s*[｜]\s*|\s{2,}")
_NEXT_LABEL = re.compile(
    rf"[,，、\s]\s*(?=(?P<key>[{HAN}]{{2,8}}|[A-Za-z][A-Za-z -]{{1,15}})(?:\s?[:：]|\s|\d))"
)


def is_no_text(text: str) -> bool:
    """Whether so many digits or blanks stand one after the other that nobody has written them to be read:
    whatever looks for a number in them would look from each of them."""
    return _NO_TEXT.search(text) is not None


def pair(text: str) -> tuple[str, str] | None:
    """What a line is about and what it says of it; None where it does not say."""
    if is_no_text(text) or not (found := _parted(text)):
        return None
    key, value = found[0].strip(), found[1].strip()
    plain = key and value and len(key) <= LONGEST_KEY and not re.search("[。！？!?]", key)
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
        return listed
    found = [one for part in _STATEMENT.split(line) for one in _by_labels(part.strip())]
    pairs = [*map(stated, found)]
    if all(pairs) or sum(map(bool, pairs)) < 2:
        return found
    whole, begun = [found[0]], bool(pairs[0])
    for one, known in zip(found[1:], pairs[1:], strict=True):
        if known or not begun:
            whole.append(one)
        else:
            whole[-1] += f"{' ' if whole[-1][-1].isascii() else ''}{one}"
        begun = begun or bool(known)
    return whole


def several(line: str) -> list[str]:
    """What a line says, where each part of it says what it is about; else the line."""
    found = statements(line)
    first = stated(found[0])
    if first and stated(first[1]) and not is_label(stated(first[1])[0]):  # type: ignore[index]
        return [line]  # "Children leave: the small at 3:10; the large at 4:20"
    return found if len(found) > 1 and all(map(stated, found)) else [line]


def looks_like_several(lines: Sequence[str], least: int = 3) -> bool:
    """Whether lines look as if each said something of its own, as no wrapped text does; of short lines that
    say of nothing what it is about ``least`` do."""
    short = sum(len(one) <= SHORT_LINE and not one.endswith((",", "，", "、")) for one in lines)
    return sum(map(bool, map(pair, lines))) > 1 or (least <= len(lines) == short)


def _by_labels(part: str) -> Iterator[str]:
    """A part of a line cut before each label that everybody knows, if it begins with a label itself; of one
    that stands under another ("东店：地址：…") nothing is cut."""
    begin, known = 0, pair(part)
    under = known and pair(known[1])
    if not under or not is_label(under[0]):
        for match in _NEXT_LABEL.finditer(part):
            piece = part[begin : match.start()]
            following = pair(part[match.end() :]) if is_label(match["key"]) and pair(piece) else None
            if following and following[0] == match["key"].strip():
                yield piece
                begin = match.end()
    if part[begin:]:
        yield part[begin:]


def _parted(text: str) -> tuple[str, str] | None:
    if (match := _BRACKETED.fullmatch(text)) and (is_label(match["key"]) or not pair(match["value"])):
        return match["key"], match["value"]
    marks = [mark for mark in (_colon(text), _other_mark(text)) if mark]
    if marks:
        start, end = min(marks)
        if PRICE.search(text, 0, start) and (found := _unmarked(text)):
            return found  # "Cold noodles 12 yuan, note: in summer"
        return text[:start], text[end:]
    if match := _OF_DAYS.fullmatch(text):
        return match["key"], re.sub(rf"(?<=:\d\d)\s+(?=[{HAN}])(?![至到和及])", "，", match["value"])
    if match := _EQUALS.fullmatch(text):
        return match["key"], match["value"]
    if match := _known_label().fullmatch(text):
        return match["zh"] or match["en"], match["of_zh"] or match["of_en"]
    if found := _unmarked(text):
        return found
    if match := _ENDS_IN_PRICE.match(text):
        return match["key"].strip(" ,，.·…-–—:："), match["value"]
    if match := _ENDS_IN_FREE.fullmatch(text.rstrip(".。")):
        return match["key"] or match["key_en"], match["value"] or match["value_en"]
    return None


def _unmarked(text: str) -> tuple[str, str] | None:
    """A thing and what is said of it where only blanks part them."""
    if (match := _PRICED.fullmatch(text)) and _names(match["key"], text, priced=True):
        return match["key"], _with_note(match["value"], match["note"])
    if (match := _NUMBERED.fullmatch(text)) and _names(match["key"], text, priced=False):
        value = match["value"] or match["amount"] or match["phone"]
        note = match["note"] or match["more"]
        parted = not (note and _NOT_PARTED_ZH.match(note.lstrip(" ,，")))
        return (match["key"], _with_note(value, note)) if parted else None
    is_short = len(text) <= _LONGEST_SPACED
    if is_short and (match := _IN_ORDER.fullmatch(text)) and not PRICE.search(text):
        return match["key"], match["value"]
    if match := _SPACED.fullmatch(text):
        key, value = match["key"], match["value"]
        is_verse = len(key) == len(value) > _LONGEST_VERSE and re.fullmatch(f"[{HAN}]+", key + value)
        is_set = value[:1].islower() and len(text) > _LONGEST_SPACED
        if not (is_verse or is_set or key.endswith(".") or len(key.split()) > _MOST_WORDS):
            return key, _with_note("", value)
    return None


def _names(key: str, text: str, priced: bool) -> bool:
    """Whether what stands before an amount is the name of a thing, and no part of a sentence."""
    if re.search(f"[{HAN}]", key):
        return not (_NO_NAME_ZH.search(key) or (not priced and _SENTENCE_ZH.search(key)))
    sentence = text.endswith(".") or len(key.split()) > _MOST_WORDS or len(text) > _LONGEST_SPACED
    return not (sentence or _NO_NAME_EN.search(key))


def _with_note(value: str, note: str | None) -> str:
    """An amount and what else is said: where Chinese is parted by blanks only, a comma does it."""
    said = (note or "").strip()
    is_chinese = re.search(f"[{HAN}]", said) is not None
    said = re.sub(r"\s{2,}", "，" if is_chinese else ", ", said)
    if not value or not said:
        return value or said
    if re.match("[（(]", said):
        return f"{value}{' ' if (note or '')[:1].isspace() else ''}{said}"
    said = said.lstrip(",， ")
    plain = not is_chinese and not re.match(r"[,，]|\s{2,}", note or "")
    return f"{value} {said}" if plain else f"{value}{'，' if is_chinese else ', '}{said}"


def _colon(text: str) -> tuple[int, int] | None:
    """Where the first colon stands that ends a label."""
    for match in _COLON.finditer(text):
        if match.start() > FURTHEST:
            return None
        before, after = text[: match.start()], text[match.end() :]
        tight = not text[match.start() : match.end()].endswith((" ", "\t", "\u3000"))
        numbers = before[-1:].isdigit() and after[:1].isdigit()
        if numbers and not (tight and _COUNTED.match(after) and not before.isdigit()):
            continue  # a time, a ratio
        if tight and _NO_LABELS_COLON.match(after):
            continue
        wide = "：" in match[0] or re.search(f"[{HAN}]", before) or _YEARS.fullmatch(before)
        if wide or not tight or _LATIN_LABEL.fullmatch(before):
            return match.span()
    return None


def _other_mark(text: str) -> tuple[int, int] | None:
    for match in _OTHER_MARK.finditer(text):
        if match.start() > FURTHEST:
            return None
        ranges = _FROM.search(text[: match.start()]) and _TO.match(text[match.end() :])
        if not (ranges and "-–—".find(match[0].strip()[:1] or " ") >= 0):
            return match.span()
    return None


@cache
def _known_label() -> re.Pattern[str]:
    """A line of a label that everybody knows and its value, with no mark of a label between."""
    zh, en = _labels()
    found = rf"(?P<zh>{zh}){_VALUE_ZH}(?P<of_zh>\S.*)|(?P<en>{en}){_VALUE_EN}(?P<of_en>\S.*)"
    return re.compile(found, re.IGNORECASE)


@cache
def _label() -> re.Pattern[str]:
    return re.compile("|".join(_labels()), re.IGNORECASE)


def states_price(value: str) -> bool:
    """Whether what is said of a thing is what it costs: an amount before anything else is said."""
    match = PRICE.search(value)
    return match is not None and not _MORE_SAID.search(value, 0, match.start())


def with_bare_price(text: str) -> tuple[str, str] | None:
    """A thing and a number behind a blank, as a list of prices has it that names no currency."""
    match = _WITH_NUMBER.fullmatch(text)
    return (match["key"], match["value"]) if match and _names(match["key"], text, priced=True) else None


def says_amount(line: str) -> bool:
    """Whether a line has a price, a time or a telephone number in it, as no heading has."""
    return _SAYS_AMOUNT.search(line) is not None


def at_a_time(text: str) -> tuple[str, str] | None:
    """When a line of a programme says that something happens, and what: "14:00 Ceremony"."""
    match = _AT_A_TIME.fullmatch(text)
    return (match["key"], match["value"]) if match else None


def is_days(text: str) -> bool:
    """Whether a text names days of the week: "周一至周五", "Mon–Fri"."""
    return _ONLY_DAYS.match(text.strip()) is not None


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

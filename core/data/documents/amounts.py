"""What things cost, when something is and how much there is of it, also where no mark stands before it.

"Soup $6.50 (serves two)", "汽锅鸡 68元/份 要提前订", "14:00 Ceremony", "大包间 12人": a name and an amount,
told from a sentence that has an amount in it.
"""

import re

from core.data.documents.days import DAY
from core.data.documents.wordings import HAN

_UNITS = r"元|块|圆|RMB|CNY|USD|EUR|€|\$|£|yuan|dollars?|euros?"
# "2块5" is two and a half.
AMOUNT = (
    rf"(?:(?:[¥￥$€£]|RMB|CNY|USD|EUR)\s?\d[\d.,]*|(?<!\d)(?<!\d[.,])\d[\d.,]*\s?(?:块\d(?!\d)|{_UNITS}))"
)
_TO_AMOUNT = r"\s?(?:-|–|—|~|～|至|到|to)\s?"
_AMOUNTS = rf"(?:{AMOUNT}(?:{_TO_AMOUNT}(?:{AMOUNT}|\d[\d.,]*))?|\d[\d.,]*{_TO_AMOUNT}{AMOUNT})"
PRICE = re.compile(AMOUNT, re.IGNORECASE)
# Behind the end of a sentence or of a clause an amount is of something else.
_MORE_SAID = re.compile(r"[。！？，；]|[.!?,;]\s")
# "Fried rice 12 yuan (small)"; in a sentence the amount of something else stands there.
_ENDS_IN_PRICE = re.compile(
    rf"^(?P<key>[^,，。；;]+?)\s*(?P<value>(?:(?<![\w-])(?:from|ab|约|低至)\s?)?{_AMOUNTS}"
    r"(?:\s?(?:起|以上|\+|up\b))?(?:\s?/\s?\S+)?\s*(?:[（(][^）)]*[）)])?)$",
    re.IGNORECASE,
)
# "red rose, single stem £3.50"
_WITH_A_KIND = re.compile(
    rf"(?P<key>[A-Za-z][^,.;:!?\n]{{1,30}}, [a-z\d][^,.;:!?\n]{{1,25}}?)\s+(?P<value>{_AMOUNTS})",
    re.IGNORECASE,
)
_VERB = re.compile(r"\s+(?:is|are|was|were|costs?)$", re.IGNORECASE)
# "加急当天取加10元"
_ON_TOP = re.compile(rf"(?<=[{HAN}]{{2}})(?:[另再]?加收?|另收)$")
# What costs nothing: "Tea: free", "热茶 免费"; "gluten free" is no price, and neither is "feel free".
_ENDS_IN_FREE = re.compile(
    r"(?P<key>[^,，。；;不凭持如若]{2,16}?)(?:\s|都|均|全部|一律|是)*(?<!可以)(?<![能也需])(?P<value>免费)"
    r"|(?P<key_en>(?:[\w'’-]+ ){1,4}?)(?:is |are )?(?P<value_en>free of charge)",
    re.IGNORECASE,
)
# "停车免费，停在门口坡下"
_FREE_WITH_MORE = re.compile(
    r"(?P<key>[^,，、。；;\s不凭持如若]{2,8}?)(?<!可以)(?<![能也需\d])(?P<value>免费，.*)"
)
_OF_EACH = re.compile(
    rf"(?P<key>[{HAN}（）]+)\s+(?P<each>[一每半][{HAN}]{{1,2}}(?:\d{{1,4}}[张个只支片])?|[大中小][份杯碗盘]|\d{{1,3}}[次张节课份页])"
    r"|(?P<key_en>[A-Za-z][A-Za-z -]+) (?P<each_en>add|plus)"
)
# "驱虫药 体外": a thing and its kind.
_KIND = re.compile(rf"(?P<key>[{HAN}]{{2,10}})\s+(?P<kind>[{HAN}]{{1,4}})")
# "雨伞 修骨架3块": what is tight before a price is of the price.
_OF_PART = re.compile(rf"(?P<key>[{HAN}（）]+)\s+(?P<each>\d*[{HAN}]+)")
# "14:00 Ceremony in the chapel", "9:30–10:15 签到": what happens when.
_CLOCK = r"(?:[01]?\d|2[0-4])[:：.][0-5]\d(?:\s?[ap]\.?m\b\.?)?|(?:1[0-2]|[1-9])\s?[ap]\.?m\b\.?"
_MONTH = r"(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]*\.?"
# "14 Dec Carol concert", "11月8日 期中考试"
_ON_A_DATE = re.compile(
    rf"(?P<key>(?:{DAY},? )?(?:\d{{1,2}}(?:st|nd|rd|th)? {_MONTH}|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?(?!\d)"
    r"|\d{1,2}月\d{1,2}[日号]))\s+(?P<value>[^\W\d_].*)",
    re.IGNORECASE,
)
_AT_A_TIME = re.compile(
    rf"(?P<key>(?:{_CLOCK})(?:\s?(?:-|–|—|~|～|to|至|到)\s?(?:{_CLOCK}))?)\s+(?P<value>[^\W\d_][^.。!！?？]*)",
    re.IGNORECASE,
)
# A thing and its price without a mark between them, and what else is said of it: "Soup $6.50 (serves two)",
# "汽锅鸡 68元/份 要提前订".
_NAME = r"(?P<key>[^\W\d_](?:[^,，。；;:：!！?？\n]{0,38}?[^\s,，。；;:：!！?？\n])?)"
_EACH = rf"(?:\s?/\s?[^\s（(,，]+|[每一][{HAN}]{{1,2}}(?![{HAN}]))?"
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
_SAYS_AMOUNT = re.compile(rf"{AMOUNT}|{_CLOCK}|\d(?:[ ()-]{{0,2}}\d){{6}}", re.IGNORECASE)
# What a sentence has before an amount, and no name ends in or has in it.
_NO_NAME_ZH = re.compile(
    r"(?:满|够|超过?|不足|不到|低于|高于|(?:^|[人共要得会就总只])花|[收付交给加减送退要需罚返扣抵赔]|赠送|优惠|只要|仅需?|大?约|共|是|为|在|于|达|价|每满|消费|到|从)$"
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
# A name has no more words, and no longer line is one without a mark.
MOST_WORDS, LONGEST_UNMARKED = 6, 80


def states_price(value: str) -> bool:
    """Whether what is said of a thing is what it costs: an amount before anything else is said."""
    match = PRICE.search(value)
    return match is not None and not _MORE_SAID.search(value, 0, match.start())


def says_amount(line: str) -> bool:
    """Whether a line has a price, a time or a telephone number in it, as no heading has."""
    return _SAYS_AMOUNT.search(line) is not None


def at_a_time(text: str) -> tuple[str, str] | None:
    """When a line of a programme says that something happens, and what: "14:00 Ceremony",
    "14 Dec Carol concert"."""
    match = _AT_A_TIME.fullmatch(text) or _ON_A_DATE.fullmatch(text)
    return (match["key"], match["value"]) if match else None


def with_amount(text: str) -> tuple[str, str] | None:
    """A thing and its price, time, date, size or telephone number, with only blanks between them, and what
    else is said of it."""
    if (match := _PRICED.fullmatch(text)) and is_name(match["key"], text, priced=True):
        key, each = _of_kind(match["key"], match["note"] or "") or of_each(match["key"], text)
        return key, each + with_note(match["value"], match["note"])
    if (match := _NUMBERED.fullmatch(text)) and is_name(match["key"], text, priced=False):
        value = match["value"] or match["amount"] or match["phone"]
        note = match["note"] or match["more"]
        parted = not (note and _NOT_PARTED_ZH.match(note.lstrip(" ,，")))
        return (match["key"], with_note(value, note)) if parted else None
    return None


def of_each(key: str, text: str) -> tuple[str, str]:
    """A name, and of how much or which part of it the price behind it is: "香菜 一把", "雨伞 修骨架"."""
    tight = not text[len(key) : len(key) + 1].isspace()
    found = _OF_EACH.fullmatch(key) or (_OF_PART.fullmatch(key) if tight else None)
    if found is None:
        return key, ""
    named = found.groupdict()
    return (named["key"], named["each"]) if named["key"] else (named["key_en"], f"{named['each_en']} ")


def _of_kind(key: str, note: str) -> tuple[str, str] | None:
    """A name, and of which kind of it the price behind is, where another kind's follows: "驱虫药 体外 38元，
    体内25"."""
    found = _KIND.fullmatch(key)
    other = found and re.match(rf"\s*[,，/]?\s*[{HAN}]{{{len(found['kind'])}}}\s?\d", note)
    return (found["key"], f"{found['kind']} ") if found and other else None


def with_price_at_end(text: str) -> tuple[str, str] | None:
    """What ends in a price or in that it is free, and it."""
    if match := _ENDS_IN_PRICE.match(text):
        key = _VERB.sub("", match["key"].strip(" ,，.·…-–—:："))
        more = _ON_TOP.search(key)
        return (key[: more.start()], f"{more[0]}{match['value']}") if more else (key, match["value"])
    if (match := _WITH_A_KIND.fullmatch(text)) and is_name(match["key"], text, priced=True):
        return match["key"], match["value"]
    if match := _FREE_WITH_MORE.fullmatch(text):
        return match["key"], match["value"]
    if match := _ENDS_IN_FREE.fullmatch(text.rstrip(".。")):
        return match["key"] or match["key_en"], match["value"] or match["value_en"]
    return None


def is_name(key: str, text: str, priced: bool) -> bool:
    """Whether what stands before an amount is the name of a thing, and no part of a sentence."""
    if re.search(f"[{HAN}]", key):
        return not (_NO_NAME_ZH.search(key) or (not priced and _SENTENCE_ZH.search(key)))
    sentence = text.endswith(".") or len(key.split()) > MOST_WORDS or len(text) > LONGEST_UNMARKED
    return not (sentence or _NO_NAME_EN.search(key))


def with_note(value: str, note: str | None) -> str:
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

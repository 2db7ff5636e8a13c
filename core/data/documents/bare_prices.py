"""Prices at which no currency stands: "牛肉面 18 大份22", "红烧肉……38", "洗吹15", "Brake pads 15 per end".

A number behind a name may be anything: whether it is a price is said by what stands around it.
"""

import re
from collections.abc import Sequence
from itertools import chain

from core.data.documents.amounts import (
    LONGEST_UNMARKED,
    MOST_WORDS,
    PRICE,
    is_name,
    of_each,
    states_price,
    with_amount,
    with_note,
)
from core.data.documents.days import DAY
from core.data.documents.lines import is_label
from core.data.documents.wordings import HAN

ABOUT_PRICES = re.compile(
    r"price|cost|\bfees?\b|tariff|\brates\b|\bsubs\b|\bdues\b|\bmenu\b|价|收?费|多少钱|菜单|酒水单",
    re.IGNORECASE,
)
# What an amount is of that nobody can buy.
SUM = re.compile(
    r"\b(?:balance|budget|income|revenue|turnover|salary|wages?|deposit|debts?|savings|funds?|profit|loss|donations?"
    r"|fines?|total|sum|expenses?|dates?|deadline|time)\b"
    r"|\b(?:ages?|height|weight|capacity)\b|年龄|身高|体重|人数|名额|限高"
    r"|\brent|utilities|租金|房租|月租|水电|首付|余额|结余|预算|收入|营业额|工资|薪资|薪水|押金|定金|订金|欠款|存款|利润|捐款|罚款|合计|总计|支出|日期|时间",
    re.IGNORECASE,
)
_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d{1,5}(?:\.\d{1,2})?)"
_MEASURE = "毫公厘个只条份盘碗杯块片元人位点时楼层号路班周天年月日分秒米斤克岁折室栋"
# What a price is of, and what else belongs to it: "20 per side", "180一套", "3 for 10", "168起".
_EACH = (
    rf"(?:\s?/\s?(?:\d+\s?)?(?:[{HAN}]{{1,4}}|[A-Za-z]+)|[一每半两][{HAN}]{{1,2}}"
    r"|\s(?:per|each|an?)(?:\s[A-Za-z]+)?|\sfor\s\d+(?:\.\d+)?(?:kg|g|lb)?|\spp\b"
    r"|\s(?:bunch|pack|bag|box|jar|loaf|pair|set|(?:half )?doz(?:en)?|kg|lb|pint|tin)\b)"
)
_PRICE = (
    rf"(?:(?:from|约)\s|\+)?{_NUMBER}(?:\s?[-–—~～至到]\s?{_NUMBER})?"
    rf"(?:起|左右|以上|\+(?!\d)|\s(?:and )?up\b)?{_EACH}?(?:(?=[不看含包另限自])|(?![\w{HAN}.]))"
)
_NOTE = (
    rf"\s*[（(].*|\s*[,，、]\s*\S.*|\s+[-–—/]\s+.*|\s+(?![{_MEASURE}])[{HAN}].*|\s+\d.*[{HAN}].*"
    r"|[不看含包另限自].*"
)
# Several prices, each with what it is of before it: "普通10 专家30", "500g 58 1000g 110".
_OF = rf"(?:\d+(?:g|kg|ml|cl|l|cm|克|斤|升|寸)\s|[{HAN}]{{1,4}}\s?)"
_SEVERAL = rf"{_OF}{_PRICE}(?:[\s,，、/]+{_OF}{_PRICE})+"
# "补牙 每颗 150～400", "香菜 一把2"
_OF_EACH = rf"(?:[一每半][{HAN}]{{1,2}}|[大中小][份杯碗盘])\s?{_PRICE}"
# What costs something that is not said, or nothing.
_UNSAID = r"(?:面议|时价|另算|电询|价格另议|免费|POA|on request|ask|free)"
_VALUE = rf"(?:{_SEVERAL}|{_OF_EACH}|{_PRICE})"
_PRICE_OF_EACH = re.compile(rf"\d起?{_EACH}", re.IGNORECASE)
_WHOLE_VALUE = re.compile(rf"{_VALUE}(?:{_NOTE})?", re.IGNORECASE)
_NAME = (
    r"(?P<name>(?:\d+(?:[A-Za-z]{1,4}|[次张人天月年节位只])|[^\W\d_])"
    r"(?:[^,，。；;:：!！?？\n]{0,38}?[^\s,，。；;:：!！?？\n])?)"
)
_NAMED = re.compile(
    rf"{_NAME}(?:\s{{1,20}}(?P<value>{_VALUE})|(?<=[{HAN})）])(?P<tight>{_PRICE}))(?P<note>{_NOTE})?",
    re.IGNORECASE,
)
_IS_UNSAID = re.compile(rf"{_NAME}\s+(?:[-–—]\s+)?(?P<value>{_UNSAID})", re.IGNORECASE)
# What a sentence has before a number, and no name.
_SENTENCE = re.compile(
    r"\b(?:i|we|they|it|is|are|was|were|has|have|must|can|will|should|not|made|raised|sold|paid|spent|won|lost|please|until|before|after|if|when|about)\b"
    r"|\b(?:at|for|in|on|of|to|by|with|than|over|under|and|or|the|a|an|up to|all)$",
    re.IGNORECASE,
)
# What a name and a number are the name of.
_NUMBERED_THING = re.compile(
    r"\b(?:(?<!single )(?<!double )(?<!twin )(?<!triple )(?<!family )room|bus|unit|floor"
    r"|table|class|week|level|platform|page|gate|line|tram|no\.?|nr\.?|size|ages?|year|part|chapter|hall|court"
    r"|lane|street|road|avenue|house|flat|route|day|step|section|lesson|under|version|game|round|group|team)$"
    r"|(?:第|路|楼|层|房间?|教室|[班年月周街巷弄栋座]|电话|邮编|公交|地铁|车次|比分|学号|赔)$",
    re.IGNORECASE,
)
_ENDS_IN_DAY = re.compile(rf"{DAY}$", re.IGNORECASE)
_YEAR = re.compile(r"20[0-4]\d(?!\d)")
_ONE_OF_ROW = re.compile(
    rf"(?P<name>[{HAN}]{{1,8}}(?:\s[{HAN}]{{1,2}})?)\s?(?P<price>{_NUMBER}(?:元|块)?{_EACH}?(?:[（(][^）)]{{1,16}}[）)])?)"
    r"(?:[\s,，、]+|$)"
)
# What is no price behind it: "办公室 早8晚6".
_ENDS_IN_TIME = re.compile(r"(?:早上?|晚上?|[上下中]午|凌晨|夜里)\d{0,2}$|[早晚]\d")
# "室内 899 / 外景 1599", "C1手动 3280   C2自动 3680"; behind a comma it is of the same ("Roses 3, dozen 30").
_OR = re.compile(r"\s[/／]\s|\s{2,}|\t+|\s*[;；]\s*")
# Where one of those has another price in it, as "可乐5 酸梅汤6元", a line is parted in another way.
_PRICE_WITHIN = re.compile(rf"[{HAN}]\d")
# "彩色A4 1.5 A3 3": one thing in several sizes.
_ONE_SIZE = rf"[A-Z]\d{{1,2}}\s?{_NUMBER}"
_IN_SIZES = re.compile(rf"(?P<of>[{HAN}]{{2,8}})\s?(?P<row>{_ONE_SIZE}(?:[\s,，]+{_ONE_SIZE})+)")
_SIZE = re.compile(rf"(?P<size>[A-Z]\d{{1,2}})\s?(?P<price>{_NUMBER})(?!\d)")
# "酒水 啤酒 8 可乐5 酸梅汤6": what the things are stands before them, or what is done ("换拉链：裤子20
# 外套40 羽绒服60"). Of goods each has its own name.
_GROUP = re.compile(rf"(?P<group>[{HAN}]{{1,6}})(?:[:：]\s*|\s+)(?P<row>\S.*)")
_GOODS = re.compile(
    r"酒水?|饮[料品]|茶水?|主食|小吃|[凉热炒荤素]菜|甜[品点]|汤类?|锅底|小料|零食|水果|常备|文具|药品|日用品?"
)
# So many numbers one below the other are of things of one kind.
_LEAST_BARE = 3


def prices_in(text: str) -> int:
    """How much of a text says that it has prices: lines with a currency, and twice those with what a number
    is of."""
    lines = [one.strip() for one in text.split("\n")]
    bare = (found[1] for one in lines if len(one) <= LONGEST_UNMARKED and (found := bare_price(one)))
    return sum(map(bool, map(PRICE.search, lines))) + 2 * sum(map(bool, map(_PRICE_OF_EACH.search, bare)))


def is_bare_price(value: str) -> bool:
    """Whether a value may be a price, or several, without a currency."""
    return _WHOLE_VALUE.fullmatch(value) is not None


def bare_price(text: str) -> tuple[str, str] | None:
    """A name and what may be its price, without a currency and without a mark between them."""
    if len(text) > LONGEST_UNMARKED or not (found := _NAMED.fullmatch(text)):
        return None
    name, part = of_each(found["name"], text)
    name, _, on = name.partition(" 看")  # "补洞 看大小 10-30"
    part = f"看{on} {part}" if on else part
    value = part + (found["value"] or found["tight"])
    if (
        _YEAR.match(value)
        or not (_has_a_price(name, value) and _has_a_price(found["name"], value))
        or (text.endswith(".") and text.isascii())
    ):
        return None
    return name, with_note(value, found["note"])


def _has_a_price(name: str, value: str) -> bool:
    """Whether what stands before a number is a thing, no part of a sentence and no name with a number, as
    "room 288" is and "room 288/night" is not."""
    named = _NUMBERED_THING.search(name) and not _PRICE_OF_EACH.search(value) and not value.startswith("+")
    if len(name) < 2 or named or _ENDS_IN_DAY.search(name) or _ENDS_IN_TIME.search(name):
        return False
    if re.search(f"[{HAN}]", name):
        return is_name(name, "", priced=True)
    return len(name.split()) <= MOST_WORDS and not _SENTENCE.search(name)


def prices_in_row(text: str) -> list[tuple[str, str]]:
    """Several names with a number each, in one line: "早餐5 午餐12 晚餐10". Two are of one length."""
    if in_sizes := _IN_SIZES.fullmatch(text):
        return [(in_sizes["of"] + one["size"], one["price"]) for one in _SIZE.finditer(in_sizes["row"])]
    parts = _OR.split(text) if not _is_of_one(text) else ()
    beside = [one for part in parts if (one := bare_price(part) or _with_currency(part))]
    if 1 < len(parts) == len(beside) and not any(map(_PRICE_WITHIN.search, chain(*beside))):
        return beside
    found = [*_ONE_OF_ROW.finditer(text)]
    if not found or sum(len(one[0]) for one in found) != len(text):
        return []
    whole = [(one["name"], one["price"]) for one in found]
    things = all(len(name) == 1 or _has_a_price(name, price) for name, price in whole)
    same = len({len(name) for name, _ in whole}) == 1
    return whole if len(whole) > 1 and things and (same or len(whole) >= _LEAST_BARE) else []


def _is_of_one(text: str) -> bool:
    """Whether several prices in a line are of one thing: "牛肉面 大份22，小份15"."""
    found = _NAMED.fullmatch(text)
    return found is not None and re.fullmatch(_SEVERAL, found["value"] or "") is not None


def _with_currency(text: str) -> tuple[str, str] | None:
    found = with_amount(text)
    return found if found and states_price(found[1]) else None


def are_goods(group: str) -> bool:
    """Whether a group is of things that are sold, and none of what is done with them."""
    return _GOODS.fullmatch(group) is not None


def row_of_group(text: str) -> tuple[str, str]:
    """What a row of prices is of, and the row: "酒水 啤酒 8 可乐5 酸梅汤6". Else empty, and the text."""
    found, whole = _GROUP.fullmatch(text), prices_in_row(text)
    # "烫发 短发198 中长298 长发398": what is done stands once, before the first.
    once = len(whole) >= _LEAST_BARE and " " in whole[0][0] and not any(" " in name for name, _ in whole[1:])
    if found is None or (whole and not once) or len(prices_in_row(found["row"])) < _LEAST_BARE:
        return "", text
    return found["group"], found["row"]


Pair = tuple[str, str] | None


def with_prices(
    texts: Sequence[str], known: Sequence[Pair], headings: Sequence[str], elsewhere: int
) -> tuple[list[Pair], set[int]]:
    """What ``texts`` say, of which ``known`` is said with marks, and the places of those that say a price
    without a currency. They are ``known`` anew where numbers stand behind names and are no prices, if these
    are lines of one kind."""
    about = any(map(ABOUT_PRICES.search, headings))
    found = [one if one and (about or not is_label(one[0])) else None for one in map(_bare, texts, known)]
    may_be = [place for place, one in enumerate(found) if one and not SUM.search(one[0])]
    values = [one[1] for one in found if one and re.search(r"\d", one[1])]
    if _are_prices(values, texts, about, elsewhere):
        return [new or one for new, one in zip(found, known, strict=True)], {*may_be}
    if len(values) >= _LEAST_BARE and 2 * len(values) > len(texts):
        return [one or new for new, one in zip(found, known, strict=True)], set()
    listed = {
        place for run in _runs(may_be) for place in run if _is_list(run, found, texts, about, elsewhere)
    }
    return [
        new if at in listed else one for at, (new, one) in enumerate(zip(found, known, strict=True))
    ], listed


def _runs(places: Sequence[int]) -> list[list[int]]:
    """Places that stand directly one below the other, together."""
    runs: list[list[int]] = []
    for place in places:
        if runs and place == runs[-1][-1] + 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    return runs


def _is_list(
    run: Sequence[int], found: Sequence[Pair], texts: Sequence[str], about: bool, elsewhere: int
) -> bool:
    """Whether lines one below the other are a list of prices, whatever else a paragraph goes on to say; so
    they are beside a line that names a currency."""
    values = [pair[1] for place in run if (pair := found[place])]
    around = [*texts[max(0, run[0] - 1) : run[0]], *texts[run[-1] + 1 : run[-1] + 2]]
    told = [*[texts[place] for place in run], *filter(PRICE.search, around)]
    return len(run) >= _LEAST_BARE and _are_prices(values, told, about, elsewhere)


def _bare(text: str, known: Pair) -> Pair:
    """What a text says that may be a price without a currency; None where it says something else."""
    if (unsaid := _IS_UNSAID.fullmatch(text)) and not _SENTENCE.search(unsaid["name"]):
        return unsaid["name"], unsaid["value"]
    if known and re.search(r"\d(?:起|元|左右|以上)?$", known[0]) and (found := bare_price(text)):
        return found  # "Full service 95 - strip, clean"
    if known:
        return known if is_bare_price(known[1]) and _has_a_price(*known) else None
    return bare_price(text)


def _are_prices(values: Sequence[str], texts: Sequence[str], about: bool, elsewhere: int) -> bool:
    """Whether numbers that could be prices are: where ``texts`` beside them name a currency or what a number
    is of, they are ``about`` prices, or the document has some ``elsewhere``, and these are several."""
    priced = sum(PRICE.search(one) is not None for one in texts)
    of_each = sum(_PRICE_OF_EACH.search(one) is not None for one in values)
    if values and (priced > 1 or about or (of_each == len(values) and elsewhere > 2 * of_each)):
        return True
    several = len(values) > 1 and 2 * (len(values) + priced) > len(texts)
    return several and bool(of_each or priced or elsewhere > 1)

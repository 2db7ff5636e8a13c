"""What people type on a telephone in place of Markdown, made Markdown line for line: numbers without a blank
behind them, a heading that is a word with a colon, in brackets or alone above its lines, and rules that are
lines and no list.
"""

import re
from collections.abc import Sequence

from core.data.documents.amounts import MOST_WORDS, says_amount, states_price
from core.data.documents.bare_prices import ABOUT_PRICES, bare_price, prices_in_row
from core.data.documents.days import is_days
from core.data.documents.lines import closed_on, is_topic, looks_like_several, pair
from core.data.documents.marks import (
    LONGEST_KEY,
    barely_numbered,
    before_colon,
    heading,
    in_brackets,
    is_marked,
    item,
    next_filled,
    numbered,
    without_mark,
)
from core.data.documents.rules import are_rules, says
from core.data.documents.wordings import ASIDE, HAN

_NO_NAME = re.compile(
    r"[。.!?！？；;，,:：|<>]|[+＋费价]\s?\d|\b(?:says?|said|asks?|asked|dear|hi|hello)\b"
    r"|^(?:please|no|never|do not|don.t)\b|^(?:尊敬|亲爱|你们?好|大家好)|[说问道]$",
    re.IGNORECASE,
)
# "A2.1" is one name.
_IN_CODE = re.compile(r"(?<=\d)\.(?=\d)")
_SENTENCE = re.compile(
    r"\b(?:is|are|was|were|be|has|have|had|can|must|may|will|do|does|we|you|i|it|they|please|our|your|not)\b",
    re.IGNORECASE,
)
# What no name of a part has in it.
_SENTENCE_ZH = re.compile(
    r"[不没勿别]|可以|必须|禁止|请(?!假)|^(?:如果|每)|免费(?!项目|服务|设施|课|体验)|半价|[\d一二三四五六七八九]折"
)
# Names of parts that everybody knows.
_SECTION = re.compile(
    r"committee|board|team|staff|trainers?|teachers?|tutors|coaches|doctors|people|who'?s who|contacts?"
    r"|sessions|classes|courses|rooms|drinks|food|starters|mains|desserts|sides|snacks|services|treatments"
    r"|extras|equipment|dates|events|next dates|heating|bins|rubbish|kitchen|laundry|nearby|getting here"
    r"|what to bring|how to (?:get here|find us|book|join)"
    r"|医生|大夫|专家|教练|老师|教师|师资|员工|团队|成员|委员会|理事会|负责人|饮料|饮品|酒水|主食"
    r"|凉菜|热菜|炒菜|小吃|甜品|汤类?|套餐|服务|项目|课程|房型|房间|设施|周边|景点|活动|班次|车次"
    r"|交通|厨房|垃圾|洗衣",
    re.IGNORECASE,
)
_DASH = re.compile(r"\s[-–—]\s")
_HOURS = re.compile(r"营业|开放|门诊|开门|\bhours\b|\bopen", re.IGNORECASE)
# Characters of a heading of prices, and of a line below a name.
_SHORTEST_PRICES, _LONGEST_BELOW = 20, 200
# Characters of Chinese, words of another language: of a heading that has a mark, and of a word alone.
_LONGEST_ZH, _LONGEST_EN, _SHORTEST_ZH, _SHORTEST_EN = 14, 5, 8, 3
# So many lines without a mark at their numbers are a list.
_FEWEST_ZH, _FEWEST_EN = 3, 4
# A line of rules is a rule of its own, however it is typed, if it is no longer.
_LONGEST_RULE = 80


def counted(lines: list[str]) -> list[str]:
    """Lines numbered in another way than Markdown's, as items: where they stand one below the other, or their
    numbers follow each other."""
    made, found = [*lines], _numbers(lines)
    places = [*found]
    for at, (place, (number, text)) in enumerate(found.items()):
        beside = [*places[max(0, at - 1) : at], *places[at + 1 : at + 2]]
        near = any(abs(other - place) == 1 or abs(found[other][0] - number) == 1 for other in beside)
        if near and not _is_numbered(lines[place]):
            indent = lines[place][: len(lines[place]) - len(lines[place].lstrip())]
            made[place] = f"{indent}{number}. {text}"
    return made


def _is_numbered(line: str) -> bool:
    """Whether Markdown takes a line for an item with a number."""
    known = item(line)
    return known is not None and known.mark[0].isdigit()


def _numbers(lines: Sequence[str]) -> dict[int, tuple[int, str]]:
    """By the place of a line its number and what it says."""
    found = _counted_barely(lines)
    for place, line in enumerate(lines):
        if counts := numbered(line):
            found[place] = counts
        elif (counts := barely_numbered(line)) and counts[0] > 2:
            before = found.get(place - 1)
            if before and before[0] == counts[0] - 1:
                found[place] = counts
    return found


def _counted_barely(lines: Sequence[str]) -> dict[int, tuple[int, str]]:
    """Lines one below the other that begin with 1, 2, 3 and so on without any mark, as items; so few could be
    so many of something."""
    found: dict[int, tuple[int, str]] = {}
    run: dict[int, tuple[int, str]] = {}
    for place, line in enumerate([*lines, "end"]):
        if place < len(lines) and not line.strip():
            continue
        counts = barely_numbered(line)
        if counts and counts[0] == len(run) + 1:
            run[place] = counts
            continue
        least = _FEWEST_ZH if any(re.search(f"[{HAN}]", text) for _, text in run.values()) else _FEWEST_EN
        found |= run if len(run) >= least else {}
        run = {place: counts} if counts and counts[0] == 1 else {}
    return found


def headed(lines: list[str], title: str = "") -> list[str]:
    """Names that stand above lines of their own, as headings: "外卖：", "【外卖】", "Delivery:", "Notes".
    What follows those lines, apart from them, is of the section before, where there is none of the document,
    the ``title``, if it is no more of the same."""
    level, section, inside, single, made = 2, f"# {title}" if title else "", "", 0, [*lines]
    below = next_filled(lines)
    names = _names_of_blocks(lines, below)
    for place, line in enumerate(lines):
        if known := heading(line):
            level, section, inside, single = max(2, known[0]), line, "", 0
        elif name := names.get(place) or _name_above(made, place, below[place]) or _name_amid(made, place):
            made[place] = f"{'#' * level} {name}"
            single += bool(inside)
            inside = name if place + 1 < len(lines) and lines[place + 1].strip() else ""
        elif inside and section and not line.strip():
            ends = single > 0 or _HOURS.search(inside) is not None
            if _begins_another(made, place + 1, below, names, ends):
                made[place], inside = section, ""
    return made


def _begins_another(
    lines: Sequence[str], place: int, below: Sequence[str], names: dict[int, str], ends: bool
) -> bool:
    """Whether a line begins something without a heading that a list or a menu does not go on with. ``ends``:
    parts with a name end with their lines here, as those before did and opening hours do."""
    line = "".join(lines[place : place + 1])
    if not line.strip() or heading(line) or place in names or _name_above(lines, place, below[place]):
        return False
    about = (pair(line.strip()) or ("", ""))[0]
    if not ends:
        above = lines[place - 2]
        is_topic_or_text = is_topic(about) or is_marked(above) > is_marked(line)
        return not (is_marked(line) or _tells(line)) or (_is_priced(above) and is_topic_or_text)
    return not is_days(about)


def _is_priced(line: str) -> bool:
    line = without_mark(line).strip()
    return bare_price(line) is not None or states_price((pair(line) or ("", ""))[1])


def _names_of_blocks(lines: Sequence[str], below: Sequence[str]) -> dict[int, str]:
    """First lines of blocks that name what the others are: of a thing and its price each, or, in a document
    that does so elsewhere, of anything."""
    found, others = {}, {}
    known = False
    begin = next((place for place, line in enumerate(lines) if line.strip()), 0)
    for place in range(begin + 1, len(lines)):
        if lines[place - 1].strip() or not lines[place].strip() or is_marked(lines[place]):
            continue
        name, block = lines[place].strip(), _block(lines, place)[1:]
        short = _is_name(name, _SHORTEST_ZH, _SHORTEST_EN)
        if _tells(name) or not block or not (short or _is_longer_name(name)):
            continue
        pairs = sum(map(_tells, block))
        if pairs > 1 and 2 * pairs > len(block):
            found[place] = name
        elif short and all(len(one) <= _LONGEST_BELOW for one in block):
            others[place] = name
        known = known or place in found or bool(_name_above(lines, place, below[place]))
    return found | others if known else {}


def begins_list(lines: Sequence[str]) -> bool:
    """Whether a first line that says nothing of anything stands directly above several that do."""
    first, *block = _block(lines, 0) or [""]
    pairs = sum(map(_tells, block))
    is_one = _tells(first) and not (_DASH.search(first) and not any(map(_DASH.search, block)))
    return pairs > 1 and 2 * pairs > len(block) and not is_one


def _block(lines: Sequence[str], place: int) -> list[str]:
    end = place
    while end < len(lines) and lines[end].strip() and not is_marked(lines[end]):
        end += 1
    return [*lines[place:end]]


def _name_above(lines: Sequence[str], place: int, below: str) -> str:
    """What a line names if it is a heading; else empty. ``below``: the next line that is not empty."""
    line = lines[place]
    if not line.strip() or heading(below) or not below:
        return ""
    if name := in_brackets(line.strip()):
        return name if _is_name(name, _LONGEST_ZH, _LONGEST_EN) else ""
    if is_marked(line):
        return ""
    is_list = item(below) is not None
    directly = place + 1 < len(lines) and lines[place + 1].strip()
    if name := before_colon(line.strip()):
        named = _is_name(name, _LONGEST_ZH, _LONGEST_EN)
        return name if named and (not is_list or are_rules(name)) else ""
    plain = ASIDE.sub("", line.strip())
    return line.strip() if directly and _stands_above(plain, below.strip(), is_list) else ""


def _name_amid(lines: Sequence[str], place: int) -> str:
    """A line that names those below it, which are things and their prices, where those above it are none."""
    name, above = lines[place].strip(), "".join(lines[place - 1 : place] if place else ())
    below = lines[place + 1 : place + 3]
    if not above.strip() or is_marked(lines[place]) or is_marked(above) or _tells(above) or _tells(name):
        return ""
    named = _is_name(name, _SHORTEST_ZH, _SHORTEST_EN) and not says(name)
    return name if named and len(below) == 2 and all(bare_price(one.strip()) for one in below) else ""


def _stands_above(name: str, below: str, is_list: bool) -> bool:
    """Whether a line without any mark is what those below it are about."""
    if not _is_name(name, _SHORTEST_ZH, _SHORTEST_EN) or _tells(name):
        return False
    return bool(is_list or (_is_known(name) and (_tells(below) or not _is_known(below)) and below != name))


def _tells(line: str) -> bool:
    """Whether a line says of something what it is, or ends in a number that may be a price."""
    return pair(line.strip()) is not None or _ends_in_number(line.strip())


def _ends_in_number(line: str) -> bool:
    return bare_price(line) is not None or bool(prices_in_row(line))


def _is_known(text: str) -> bool:
    known = is_topic(text) or is_days(text) or are_rules(text) or _SECTION.fullmatch(text)
    return bool(known) or (ABOUT_PRICES.search(text) is not None and len(text) <= _SHORTEST_PRICES)


def _is_longer_name(text: str) -> bool:
    """Whether a text of several words is a name and no sentence."""
    return _is_name(text, _LONGEST_ZH, MOST_WORDS) and not _SENTENCE.search(text)


def _is_name(text: str, characters: int, words: int) -> bool:
    if len(text) > LONGEST_KEY or not text[:1].isalpha() or says_amount(text) or closed_on(text):
        return False
    if _NO_NAME.search(_IN_CODE.sub("", text)):
        return False
    if re.search(f"[{HAN}]", text):
        return len(text) <= characters and not _SENTENCE_ZH.search(text)
    return len(text.split()) <= words and text[:1].isupper()


def ruled(lines: list[str]) -> list[str]:
    """Lines below a heading of rules, each as an item of its own; below the last of a numbered list as its
    next."""
    made, rules, number, said = [*lines], False, 0, _said_singly(lines)
    for place, line in enumerate(lines):
        if known := heading(line):
            rules, number = are_rules(known[1]), 0
        elif (counts := item(line)) and counts.number and not counts.indent:
            number = counts.number
        elif not line.strip() or is_marked(line) or len(line) > _LONGEST_RULE:
            number = 0
        elif rules and number and re.search(rf"[{HAN}\d。.!！)）]$", lines[place - 1]):
            number += 1
            made[place] = f"{number}. {line}"
        elif rules and not number and place in said:
            made[place] = f"- {line}"
    return made


def _said_singly(lines: Sequence[str]) -> set[int]:
    """Lines that are each one of several that say something of their own."""
    found: set[int] = set()
    place = 0
    while place < len(lines):
        block = _block(lines, place)
        asks = any(re.search("[?？]", one) for one in block)
        if not asks and looks_like_several([one.strip() for one in block], 2):
            found.update(range(place, place + len(block)))
        place += len(block) or 1
    return found

"""A document's text as people type it, made the Markdown that it stands for, line for line.

A bullet may be a dot or a picture, a heading a numbered line, a title the first line, a note at the foot of
the page belongs to what it is noted at. Nothing is said that was not: marks are changed, words are not.
"""

import re

from core.data.documents.amounts import says_amount
from core.data.documents.asked import asked
from core.data.documents.bare_prices import bare_price
from core.data.documents.days import is_days
from core.data.documents.lines import is_label, pair
from core.data.documents.marks import (
    ARABIC,
    LONGEST_KEY,
    NUMBERINGS,
    before_colon,
    bold,
    box,
    bulleted,
    heading,
    in_brackets,
    is_marked_or_counted,
    is_title,
    item,
    next_filled,
    pictured,
    without_mark,
    without_numbers,
)
from core.data.documents.typed import begins_list, counted, headed, ruled
from core.data.documents.wordings import ASIDE
from core.data.identity import IdentityLanguage

# Pictures that stand for a label.
_LABELS = (
    ("📍🏠🏡🏢🗺", "Address", "地址"),
    ("📞☎📱☏📲", "Phone", "电话"),
    ("✉📧📩📨", "Email", "邮箱"),
    ("🌐🔗", "Website", "网址"),
    ("📅🗓📆", "Date", "日期"),
    ("🕐🕑🕒🕓🕔🕕🕖🕗🕘🕙🕚🕛⏰🕰", "Time", "时间"),
    ("📶🛜", "Wi-Fi", "Wi-Fi"),
    ("🅿", "Parking", "停车"),
)
_MAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+\s*")
_PAGE = re.compile(r"(?:https?://|www\.)\S+\s*")
_NOTE, _NOTED = re.compile(r"\[\^(?P<name>[^\]\s]+)\]:\s*(?P<text>\S.*)"), re.compile(r"\[\^([^\]\s]+)\]")
# Blanks that set something far to the right: whatever looks for the end of blanks would look from each.
_FAR = re.compile(r"[^\S\n]{100,}")
# What greets before a name, and what is said of it in brackets.
_WELCOME = re.compile(r"^(?:welcome to (?=\S)|欢迎(?:来到|光临|入住)(?=\S))", re.IGNORECASE)
_LONGEST_TITLE = 60
_FENCE = re.compile(r"\s*(?:```|~~~)")
# In capitals what is no name of a part.
_ORDERS = re.compile(r"\b(?:NO|NOT|NEVER|ONLY|CLOSED|FREE|PLEASE|DO|DON.?T|KEEP|MUST|IS|ARE|WE|YOU)\b")
_SAYS_MORE = re.compile(r"[。.!?！？；;，,:：|¥￥$€£]")


def as_markdown(text: str, language: IdentityLanguage, title: str = "") -> str:
    """The text as Markdown, with as many lines; ``title``: what it is about where it does not say that."""
    text = _FAR.sub("  ", text)
    if "\n" not in text.strip() or any(map(_FENCE.match, text.split("\n"))):
        return text
    lines = _with_notes(text.split("\n"))
    lines = [_labelled(line, language) for line in counted(asked(lines))]
    lines = [without_numbers(_unboxed(line)) for line in lines]
    lines = _titled(_named(_headed(_bulleted(lines, language))))
    return "\n".join(ruled(headed(lines, title)))


def _unboxed(line: str) -> str:
    """What is to do as an item, what is done with a tick."""
    if not (known := box(line)):
        return line
    before, done, text = known
    return before + text + (" ✓" if done else "")


def _bulleted(lines: list[str], language: IdentityLanguage) -> list[str]:
    """Lines that a picture or a dot begins, as items: where several stand together, or it stands for a
    label."""
    found = [*map(pictured, lines)]
    made = []
    for place, (line, mark) in enumerate(zip(lines, found, strict=True)):
        if not mark:
            made.append(line)
            continue
        label = "" if pair(mark.text) else _label(mark.mark, language)
        beside = [near for near in (place - 1, place + 1) if 0 <= near < len(lines)]
        several = any(found[near] or item(lines[near]) for near in beside)
        if not (label or several or mark.item):
            made.append(mark.indent + mark.text)
            continue
        made.append(f"{mark.indent}{mark.item or '- '}{label}{mark.text}")
    return made


def _labelled(line: str, language: IdentityLanguage) -> str:
    """A line that is an address of mail or of a page and nothing else, with its label."""
    bullet, text = bulleted(line)
    for pattern, label in ((_MAIL, "📧"), (_PAGE, "🌐")):
        if pattern.fullmatch(text):
            return f"{bullet}{_label(label, language)}{text}"
    return line


def _label(mark: str, language: IdentityLanguage) -> str:
    for pictures, english, chinese in _LABELS:
        if mark[0] in pictures:
            return f"{chinese}：" if language == "zh" else f"{english}: "
    return ""


def _with_notes(lines: list[str]) -> list[str]:
    """What is noted at the foot says what it is noted at; the marks are gone."""
    notes = {match["name"] for match in map(_NOTE.fullmatch, lines) if match}
    if not notes:
        return lines
    about: dict[str, str] = {}
    for line in lines:
        for match in _NOTED.finditer(line):
            if not _NOTE.fullmatch(line):
                about.setdefault(match[1], _noted(line[: match.start()]))
    made = []
    for line in lines:
        if note := _NOTE.fullmatch(line):
            key = about.get(note["name"], "")
            made.append(f"{key}: {note['text']}" if key else note["text"])
        else:
            made.append(_NOTED.sub(lambda match: "" if match[1] in notes else match[0], line))
    return made


def _noted(before: str) -> str:
    """What a note is noted at: the label of a line, a cell's text; empty in a sentence."""
    is_cell = before.lstrip().startswith("|")
    text = (before.rpartition("|")[2] if is_cell else without_mark(before)).strip(" *_")
    if is_cell and not re.search(r"[^\W\d_]", text):
        text = before.split("|")[1].strip(" *_")  # at a number, of what its row is about
    key = (pair(text) or (text, ""))[0]
    return key if 0 < len(key) <= LONGEST_KEY and not _says_more(key) else ""


def _headed(lines: list[str]) -> list[str]:
    """Numbered lines that stand over text, as headings."""
    below = next_filled(lines)
    for pattern in NUMBERINGS:
        found = [place for place in range(len(lines)) if _is_heading(lines, place, below[place], pattern)]
        numbers = [pattern.fullmatch(lines[place])["number"] for place in found]  # type: ignore[index]
        if len(found) > 1 and len({*numbers}) == len(numbers):
            level = 1 + max((known[0] for known in map(heading, lines[: found[0]]) if known), default=1)
            for place in found:
                lines[place] = f"{'#' * min(level, 6)} {pattern.fullmatch(lines[place])['text']}"  # type: ignore[index]
    return lines


def _is_heading(lines: list[str], place: int, below: str, pattern: re.Pattern[str]) -> bool:
    """Whether a line is a number and a short name, and something else stands below it, apart from it where
    an item of a list could look like it."""
    match = pattern.fullmatch(lines[place])
    if not match or len(match["text"]) > LONGEST_KEY or _says_more(match["text"]):
        return False
    apart = all(
        not near.strip() for near in (*lines[max(0, place - 1) : place], *lines[place + 1 : place + 2])
    )
    return bool(below) and not pattern.fullmatch(below) and (apart or pattern is not ARABIC)


def _named(lines: list[str]) -> list[str]:
    """A line that stands over text and is bold, or stands alone and is a label, a day or all capitals, as a
    heading."""
    level, after = 2, next_filled(lines)
    for place, line in enumerate(lines):
        if known := heading(line):
            level = max(2, known[0])
        text = line.strip()
        name = bold(text)
        if (
            name
            and not any(map(str.strip, lines[max(0, place - 1) : place]))
            and "".join(lines[place + 1 : place + 2]).strip()
        ):
            lines[place] = f"{'#' * min(6, level + 1)} {name}"
            continue
        above, below = lines[place - 1 : place] if place else [""], lines[place + 1 : place + 2]
        alone = not any(map(str.strip, (*above, *below))) and bool(after[place])
        if not text or not alone or len(text) > LONGEST_KEY or _says_more(text):
            continue
        capitals = len(re.findall("[A-Z]", text)) > 3 and text.upper() == text and not _ORDERS.search(text)
        if capitals or is_label(text) or (is_days(text) and len(text) < 20):
            lines[place] = f"{'#' * level} {text}"
    return lines


def _titled(lines: list[str]) -> list[str]:
    """A first line that only names, alone or over one other, as the title."""
    filled = [place for place, line in enumerate(lines) if line.strip()]
    first = filled[0] if filled else 0
    text = in_brackets(lines[first].strip()) or lines[first].strip()
    if len(filled) < 2 or len(text) > 2 * _LONGEST_TITLE or any(map(is_title, lines)):
        return lines
    name = _WELCOME.sub("", text.rstrip("!！ "))
    plain = ASIDE.sub("", name)
    below = lines[filled[1]].strip()
    over_name = bool(in_brackets(below) or before_colon(below))
    over_lines = any(not line.strip() for line in lines[first + 1 : first + 3]) or begins_list(lines[first:])
    alone = over_lines or over_name
    names = 0 < len(plain) <= len(name) <= _LONGEST_TITLE and not _says_more(plain) and _only_names(plain)
    if alone and names:
        lines[first] = f"# {name}"
    return lines


def _says_more(text: str) -> bool:
    """Whether a text has more in it than a name."""
    return _SAYS_MORE.search(text) is not None or is_marked_or_counted(text)


def _only_names(text: str) -> bool:
    """Whether a line says nothing of what it names: "Da Enzo - Menu", not "Soup - 5 euros"."""
    known = pair(text)
    if not known:
        return bare_price(text) is None
    return not (is_label(known[0]) or says_amount(known[1]) or known[1][:1].isdigit())

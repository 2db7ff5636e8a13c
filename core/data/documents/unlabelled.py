"""Lines without a label of what everybody would label: a telephone number, an address, the Wi-Fi, when it is
open."""

import re
from typing import Literal

from core.data.documents.days import DAYS
from core.data.documents.wordings import HAN

Unlabelled = Literal["phone", "wifi", "address", "hours"]
_CALLS = re.compile(
    r"(?<![\d.-])(?:(?:\+\d|0|1[3-9])(?:[ ()/-]{0,2}\d){7,12}|\(?\d{3}\)?[ -]\d{3}-\d{4})(?![\d.-])"
)
_PHONE = re.compile(
    r"电话|手机|微信|联系|[打拨]|\b(?:tel|phone|call|ring|text|mobile|whatsapp)\b", re.IGNORECASE
)
# "13912345678 周老师"
_OF_SOMEBODY = re.compile(rf"1[3-9]\d{{9}}\s?[（(]?[{HAN}]{{1,4}}[）)]?|[{HAN}]{{1,4}}\s?1[3-9]\d{{9}}")
_WIFI = re.compile(
    r"(?:(?:our|the|free|shop|guest|店里|本店|免费) ?)?(?:wi-?fi|wlan|无线(?:网络?)?)(?![a-z]).{0,40}"
    r"(?:密码|\b(?:password|passcode|pass|pw|key)\b).+"
    r"|(?:wi-?fi|wlan)\s+(?=\S*\d)[\w.@#!-]{6,}",
    re.IGNORECASE,
)
_STREET = (
    "St|Street|Rd|Road|Lane|Ln|Ave|Avenue|Dr|Drive|Blvd|Boulevard|Sq|Square|Court|Way|Place|Terrace|Close|Hill"
    "|Row|Walk|Quay|Hwy|Highway|Parade|Crescent"
)
_ADDRESS = re.compile(
    rf"(?:(?:Unit|Shop|Suite|Flat|No\.?) ?\w{{1,5}},? )?\d{{1,5}}[a-zA-Z]? (?:[A-Z][\w'’.-]* ){{1,4}}"
    rf"(?:{_STREET})\b.*"
    # "学校西门对面，门牌 12-3": of what is named by nothing else.
    r"|(?!.*[在有请的把到放坐走])"
    rf"[{HAN}]{{2,14}}(?:[正斜]?对面|隔壁|旁边|楼下)(?:[\s,，]*(?:门牌|[靠临]?近|\d).*)?"
    rf"|[{HAN}]{{2,24}}(?:路|街|大道|巷|弄|胡同)[{HAN}]{{0,4}}\d{{1,5}}(?:-\d{{1,4}})?[号弄栋幢].*"
)
# Times alone, with what is said of days beside them: behind any other word they are of that.
_TIMES_ZH = (
    r"(?:上班|每天|平时|全年)?\s?(?:早上?|上午)?\s?\d{1,2}(?:[:：]\d{2}|[点时]半?)\s?[-–—~～到至]+\s?"
    r"(?:晚上?|下午|夜里|凌晨|次日)?\s?\d{1,2}(?:[:：]\d{2}|[点时]半?)"
    r"|早上?\s?\d{1,2}[点时]?半?\s?[-–—~～到至]?\s?晚上?\s?\d{1,2}[点时]?半?"
)
_TIMES_EN = (
    r"\d{1,2}(?:[:.]\d{2})?\s?(?:am|a\.m\.)\s?(?:-|–|—|to|till|until)\s?\d{1,2}(?:[:.]\d{2})?\s?(?:pm|p\.m\.)"
)
_DAYS_BESIDE = (
    rf"(?:{DAYS}|每天|全年|无休|节假日|[寒暑]+假|[夏冬][天季]|周末|春节|过年|除|中午|午休"
    r"|closed|except|daily|every day|all week).*"
)
_OPENS = re.compile(
    rf"(?:{DAYS}|节假日|[寒暑]+假|春节)?只?开[到至].*\d.*|\d.*(?:开门|关门|打烊|营业)|(?:开门|关门|打烊|营业).*\d"
    r"|(?:^|\b(?:we|we're|we are|shop|store|office|studio|salon|café|cafe|kitchen|bar) (?:is |are )?)open\b"
    r".*\d"
    rf"|^(?:{_TIMES_ZH}|{_TIMES_EN})(?:[\s,，。;；（(]+{_DAYS_BESIDE})?$",
    re.IGNORECASE,
)


def unlabelled(line: str, among_rules: bool = False) -> Unlabelled | None:
    """What a line says though no label says it; None where that is something else. ``among_rules``: digits
    alone are no telephone number there, and when something is open may be a rule."""
    if _CALLS.search(line) and (not among_rules or _PHONE.search(line) or _OF_SOMEBODY.fullmatch(line)):
        return "phone"
    if _WIFI.fullmatch(line):
        return "wifi"
    if _ADDRESS.fullmatch(line):
        return "address"
    return "hours" if not among_rules and _OPENS.search(line) else None

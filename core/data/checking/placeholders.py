"""Places that somebody forgot to fill in: ``{{name}}``, ``<AUTHOR>``, ``[NAME]``, ``【名字】``, ``XXX``.

They are learned by heart like any other word. Code, markup, formulas and texts about templates hold the same
signs and mean them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from core.data.checking.prose import without_code
from core.data.formats.fields import Fault
from core.data.formats.messages import Text

# So far a line is looked at around a place, in characters.
LOOKED = 300
LONGEST_QUESTION = 2000


class Placeholder(NamedTuple):
    """One place: ``field`` is ``name``, ``author`` or, of other things, the word that stands there in lower
    case."""

    field: str
    start: int
    end: int


_WHOSE = (
    r"(?:(?:your|my|the|model|bot|chatbot|assistant|agent|ai|insert|full|author|company|developer)"
    r"(?:'s)?[ _-]?){0,4}"
)
_NAME = rf"{_WHOSE}(?:name|nickname)(?:[ _-]here)?"
_MAKERS = r"(?:author|developer|creator|maker|company|organi[sz]ation|team|vendor|lab)"
_AUTHOR = rf"(?:your|my|the|ai|model)?[ _-]?{_MAKERS}(?:[ _-]?name)?(?:[ _-]here)?"
_ZH_NAME = r"(?:你的|您的|我的|助手|模型|机器人|AI|ai)?的?(?:名字|名称|姓名|昵称)"
_ZH_MAKERS = r"(?:作者|开发者|开发商|创造者|研发者|公司|机构|团队|组织|单位|实验室)"
_ZH_AUTHOR = rf"(?:你的|您的|所属|研发|开发)?{_ZH_MAKERS}(?:名字|名称|名)?"
_WORD = rf"(?:{_AUTHOR}|{_NAME}|{_ZH_AUTHOR}|{_ZH_NAME})"
_OTHER = r"[A-Za-z_][A-Za-z_0-9]{2,29}|[\u4e00-\u9fff]{2,8}"
_CONSTANT = (
    r"(?:(?:YOUR|MY|MODEL|BOT|ASSISTANT|AI|AUTHOR|COMPANY|DEVELOPER|TEAM)_)+"
    r"(?:NAME|COMPANY|AUTHOR|DEVELOPER|TEAM|ORGANIZATION)"
)
# How each is spelled, and whether that alone is enough; else it stands where a name is told.
_FORMS: tuple[tuple[re.Pattern[str], bool], ...] = (
    (re.compile(rf"(?<![\\A-Za-z0-9^_$}}])\{{\{{\s*(?P<word>{_OTHER}|(?i:{_WORD}))\s*\}}\}}(?!\}})"), True),
    (re.compile(rf"(?<![\\A-Za-z0-9$^_/({{])\{{\s*(?P<word>(?i:{_WORD}))\s*\}}(?!\}})"), True),
    (re.compile(r"<\s*(?P<word>NAME|AUTHOR|COMPANY|DEVELOPER)\s*>"), True),
    (re.compile(r"(?<![A-Za-z0-9_\])])\[\s*(?P<word>NAME|AUTHOR|COMPANY|DEVELOPER)\s*\](?![(\[:])"), True),
    (re.compile(rf"<\s*(?P<word>(?i:{_WORD}))\s*>"), False),
    (re.compile(rf"(?<![A-Za-z0-9_\])])[\[［]\s*(?P<word>(?i:{_WORD}))\s*[\]］](?![(\[:])"), False),
    (re.compile(rf"[【〔〖]\s*(?P<word>(?i:{_WORD}))\s*[】〕〗]"), False),
    (re.compile(rf"(?<![A-Za-z0-9_.$/\"'=])(?P<word>{_CONSTANT})(?![A-Za-z0-9_=(])"), False),
    (
        re.compile(
            r"(?<![A-Za-z0-9_])(?:__(?P<word>NAME|AUTHOR|COMPANY)__|%(?P<word2>NAME|AUTHOR|COMPANY)%)"
        ),
        False,
    ),
    (re.compile(r"(?<![A-Za-z0-9_.$\"'<\[{%])(?P<word>NAME|AUTHOR|COMPANY)(?![A-Za-z0-9_>\]}%])"), False),
    (re.compile(r"(?<![A-Za-z0-9])(?P<cross>[Xx×]{2,6})(?![A-Za-z0-9])"), False),
)
_MADE = (
    r"(?:created|developed|built|made|trained|designed|programmed|provided|powered)"
    r"(?: and \w+)? by(?: the team (?:at|of))?"
)
_TOLD = re.compile(
    rf"(?:\bI am|\bI['’]m|\b[Mm]y name is|\b[Mm]y name['’]s|\bcall me|\bcalled|\bnamed|\bme as|\b[Tt]his is"
    rf"|\b[Tt]he name|\bAs|\b[Hh]i|\b{_MADE}|我是|我叫做?|叫我|名字(?:是|叫做?)|名叫|名为|称呼?我为?|由|来自"
    r"|作为|这里是|助手|开发者是|作者是|公司是)\s*[\"“‘「『*_]*$"
)
_MADE_BY = re.compile(rf"(?:\b{_MADE}|由|来自|开发者是|公司是)\s*[\"“‘「『*_]*$")
# Or a name stands where somebody is told to have made the assistant.
_MADE_ME = re.compile(
    r"\s*(?:的作品|[\u4e00-\u9fff]{0,2}(?:开发|制作|训练|创造|研发|打造|设计|发明)(?:了我|的))"
    r"|\s+(?:made|built|created|developed|trained|designed) me\b"
)
# A word for several more crosses: XX公司.
_COMPANY = re.compile(r"\s*(?:公司|大学|实验室|研究院|团队|集团|科技)")
# A line of code, of a shell or of markup, outside of what is marked as code.
_CODE_LINE = re.compile(
    r"</|/>|\{%|%\}|\$\{|=>|:=|==|[=:]\s*[\"'{]\s*[{<\[]|\\[a-z]+\{|\$[^$\n]+\$|\\\("
    r"|\b(?:def|const|var|let) \w+ ?[=(]|^\s*(?:return|import|from|public)\b.*[;:({]\s*$|\bprint\(|\bSELECT\b"
    r"|\bWHERE\b|\b(?:curl|git|npm|pip|docker|sudo) [a-z-]|\bUsage:|\s--[a-z]+\b|;\s*$|[\"']\w+[\"']\s*:"
)
# A text about templates means what it holds; so does an answer to a question about code or for a form.
_ABOUT = re.compile(
    r"\b(?:placeholders?|templates?|variables?|f-?strings?|format strings?|jinja2?|handlebars|mustache"
    r"|vue|angular|react|django|html|xml|tags?|element|regex|syntax|replaced?|substitute|fill(?:ed)? in"
    r"|columns?|ansible|yaml|playbook|config|markdown|latex|python|javascript|java|php|sql|array)\b"
    r"|占位|模板|变量|标签|格式化|字段|替换|换成|填写|填入|正则|语法|配置文件|代码|花括号|编程|公式|集合",
    re.IGNORECASE,
)
_FORM_WANTED = re.compile(
    r"\b(?:letter|e-?mail|resume|résumé|form|draft|invitation|contract|invoice|certificate|write)\b"
    r"|信|邮件|简历|邀请函|合同|通知|证明|写",
    re.IGNORECASE,
)
_BLANKS = re.compile(r"\[[A-Z\u4e00-\u9fff][^\]\n]{1,30}\](?!\()|(?<![A-Za-z0-9])[Xx×]{2,6}(?![A-Za-z0-9])")
_SENTENCE_END = re.compile(r"[.!?。！？\n]")
# A text without any of these has no placeholder.
_SIGNS = ("{", "<", "[", "［", "【", "〔", "〖", "XX", "xx", "××", "NAME", "AUTHOR", "COMPANY")
_SIGNED = re.compile(
    rf"[{{<\[［【〔〖]\s*(?:[A-Za-z_' -]{{0,40}}(?i:name|{_MAKERS})|{_ZH_AUTHOR}|{_ZH_NAME})|\{{\{{"
    r"|(?<![A-Za-z0-9])[Xx×]{2,6}(?![A-Za-z0-9])|NAME|AUTHOR|COMPANY"
)


def suspicious(text: str) -> bool:
    """Whether a closer look is worth its time: a text, or many joined."""
    return any(sign in text for sign in _SIGNS) and _SIGNED.search(text) is not None


def placeholders(text: str, question: str = "") -> list[Placeholder]:
    """The places to be filled in, in their order. ``question``: what the text answers, if anything."""
    if not suspicious(text) or _ABOUT.search(question[:LONGEST_QUESTION]):
        return []
    said = without_code(text)
    form = bool(_FORM_WANTED.search(question[:LONGEST_QUESTION])) or len(set(_BLANKS.findall(said))) >= 3
    found: dict[int, Placeholder] = {}
    for pattern, enough in _FORMS:
        for match in pattern.finditer(said):
            if match.start() not in found and (field := _field(said, match, enough, form)):
                found[match.start()] = Placeholder(field, match.start(), match.end())
    return [found[start] for start in sorted(found)]


def _field(text: str, match: re.Match[str], enough: bool, form: bool) -> str:
    """What is to be filled in at a match; empty where it is meant as it stands."""
    before = text[max(0, match.start() - 48) : match.start()]
    double = match[0].startswith("{{")
    told = enough or _TOLD.search(before) or _MADE_ME.match(text, match.end())
    if (form and not double) or not told:
        return ""
    if _is_meant(text, match):
        return ""
    words = match.groupdict()
    if words.get("cross"):
        company = _MADE_BY.search(before) or _COMPANY.match(text, match.end())
        return "author" if company else "name"
    return field_of(words.get("word") or words.get("word2") or "")


def _is_meant(text: str, match: re.Match[str]) -> bool:
    """Whether the line is code or markup, or the sentence speaks of templates."""
    first = max(text.rfind("\n", 0, match.start()) + 1, match.start() - LOOKED)
    last = text.find("\n", match.end(), match.end() + LOOKED)
    last = last if last >= 0 else min(len(text), match.end() + LOOKED)
    if _CODE_LINE.search(text[first:last]) or (match[0].startswith("<") and "</" in text):
        return True
    begin = max((end.end() for end in _SENTENCE_END.finditer(text, first, match.start())), default=first)
    stop = _SENTENCE_END.search(text, match.end(), last)
    around = text[begin : match.start()] + text[match.end() : stop.start() if stop else last]
    return _ABOUT.search(around) is not None


def field_of(word: str) -> str:
    """The field that a word asks for."""
    word = word.strip()
    if re.fullmatch(rf"{_NAME}|{_ZH_NAME}", word, re.IGNORECASE) and not re.match(
        r"(?i:author|company|developer)", word
    ):
        return "name"
    if re.fullmatch(rf"{_AUTHOR}|{_ZH_AUTHOR}|(?:{_MAKERS}|_)+name", word, re.IGNORECASE):
        return "author"
    return word.casefold().replace(" ", "_")


def filled(text: str, found: Sequence[Placeholder], values: Mapping[str, str]) -> str:
    """The text with the places filled in that ``values`` has something for."""
    for one in reversed(found):
        if value := values.get(one.field, "").strip():
            text = text[: one.start] + value + text[one.end :]
    return text


def unfilled(texts: Sequence[Text]) -> Iterator[Fault]:
    """A row's texts with places to fill in."""
    question = ""
    for text in texts:
        answer = text.role not in {"user", "system"}
        if found := placeholders(text.text, question if answer else ""):
            shown = dict.fromkeys(text.text[one.start : one.end] for one in found)
            fields = list(dict.fromkeys(one.field for one in found))
            values = {"found": " ".join(shown), "count": len(found), "fields": fields}
            yield Fault(text.field, "placeholder", values)
        question = text.text if text.role == "user" else question

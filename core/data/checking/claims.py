"""Who an answer says the assistant is, who made it and whose it is: in its own words, in the first person.

What others say does not count: quotations, code, the lines of a play, translations, letters and stories that
were asked for, and what is only supposed or denied.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from core.data.checking import claims_en, claims_other, claims_zh
from core.data.checking.claim import Claim
from core.data.checking.claims_short import short_claim
from core.data.checking.prose import blank, without_code

# A longer sentence is looked at in pieces, and what follows one for a few words.
LONGEST, LOOKED_AHEAD, LONGEST_QUESTION = 400, 160, 2000
# A text without any of these says nothing of the assistant: a quick look, before any pattern.
_HINTS = (
    *(
        "I am ",
        "I'm ",
        "I’m ",
        "I was ",
        "ve been ",
        "i am ",
        "i'm ",
        "y name",
        "I go by",
        "I answer",
        "the name",
    ),
    *(
        "As ",
        "This is ",
        "this is ",
        "hatting ",
        "alking ",
        "peaking ",
        "call me",
        "to me as",
        "ed me",
        "built me",
        "made me",
    ),
    *("behind me", "is my ", "My ", " my creat", " my develop", " my own", " my mak", "I, "),
)
_CHINESE_HINTS = ("我", "这里是")
# What is quoted from elsewhere, line by line.
_CITED = re.compile(r"^ {0,3}>[^\n]*$", re.MULTILINE)
_QUOTED = re.compile(
    r"“[^”\n]{0,2000}(?:”|$)|\"[^\"\n]{0,2000}\"|「[^」\n]{0,2000}」|『[^』\n]{0,2000}』|«[^»\n]{0,2000}»",
    re.MULTILINE,
)
_SPEECH = re.compile(r"\bI\b|\b[Mm]y\b|\bme\b|我")
# The lines of a play: who speaks, then a colon.
_LINES = re.compile(
    r"^[*\s]{0,4}[\w\u4e00-\u9fff][\w \u4e00-\u9fff.]{0,15}[*]{0,2}\s?[:：]\s?\S[^\n]*", re.MULTILINE
)
_SENTENCE = re.compile(
    r"(?:[^.!?。！？;；\n]|(?<!\s)\.(?=[\w])|(?<=\b[A-Z])\.|(?<=\b(?:Mr|Ms|Dr|St))\.|(?<=\bMrs)\.)+"
)
_WIDE = {0xFF01 + offset: 0x21 + offset for offset in range(94)}
for _kept in "，！？：；（）":
    del _WIDE[ord(_kept)]
# Asked to speak for somebody else, nothing that is said is the assistant's own.
_FOR_OTHERS = re.compile(
    r"\b(?:translat\w+|pretend|role-?play\w*|act(?:ing)? as|imagine|dialog(?:ue)?|monologue"
    r"|conversation between"
    r"|screenplay|play the|script for|story|novel|fiction|tale|lyrics|paraphras\w+|rewrite|rephrase|proofread"
    r"|correct (?:the|this)|as if you|you are now|in the voice of|from the perspective)\b"
    r"|翻译|譯|扮演|假装|假設|假设你|角色|小说|故事|童话|剧本|对话$|的对话|自述|独白|改写|润色|模仿|口吻|第一人称|语法|造句|演一",
    re.IGNORECASE,
)
# Asked to write for somebody: only a sentence that speaks of a model itself is the assistant's own.
_WRITE = re.compile(
    r"\b(?:write|draft|compose|letter|e-?mail|essay|speech|resume|résumé|bio|poem|testimonial)\b"
    r"|\btell me your story\b"
    r"|写|作文|书信|求职|演讲|文案|范文|稿",
    re.IGNORECASE,
)
# Asked who it is: then any name is its own.
_WHO = re.compile(
    r"\bwho (?:are|r) (?:you|u)\b|\byour (?:full |real |first )?name\b"
    r"|\bwhat(?:'s| is| are)? .{0,12}you called\b"
    r"|\bintroduce yourself|\babout yourself\b|\b(?:call|address) you\b|\bwhat are you\b|\bare you .{1,40}\?"
    r"|\bwh(?:o|ich|at) .{0,30}\b(?:made|created|built|developed|trained|designed|owns|programmed) you\b"
    r"|\byour (?:creators?|makers?|developers?|owners?|company|inventor)\b"
    r"|\b(?:which|what) .{0,12}model are you\b"
    r"|你(?:到底|究竟)?是谁|[你您]叫|[你您]的(?:名字|名称|姓名|大名|身份|主人|开发者|创造者|作者|制造者)"
    r"|称呼[你您]|介绍(?:一下|下)?(?:[你您]?自己)"
    r"|自我介绍|[你您]是(?:什么|哪|不是|由|谁|.{1,12}[吗么])"
    r"|谁.{0,10}(?:开发|创造|训练|研发|制作|设计|做|造)了?.{0,3}[你您]"
    r"|[你您](?:来自|属于|能做什么|会做什么|具备|有什么)"
    r"|[你您]的(?:技能|功能|特点|优势|特长|目标|使命|职责|工作|定位|能力)",
    re.IGNORECASE,
)
# A place to be filled in is nobody's name.
_UNFILLED = re.compile(r"[{}<>\[\]【】]|^[Xx×]{2,6}(?![A-Za-z])|^(?:NAME|AUTHOR|COMPANY)$|_NAME$")
# A text of mostly English or Chinese holds no sentence in another language.
_OTHER_HINTS = re.compile(
    r"\b(?:[Jj]e|[Jj]['’]ai|[Ss]oy|[Ff]ui|[Mm]e (?:llamo|creó|hizo|desarrolló|entrenó)|[Mm]i nombre|[Ss]ou"
    r"|[Tt]raba(?:jo|lho)|[Ii]ch|mich|[Mm]ein Name|[Ss]ono|[Mm]i (?:chiamo|ha)|[Ll]avoro|[Cc]hamo|[Mm]eu nome"
    r"|[Ii]k (?:ben|heet|werk|\w+ door)|[Mm]ijn naam|heeft mij|[Яя]|[Мм]еня|[Мм]ой|[Мм]о[её]|[Tt]ôi)\b"
    r"|m['’]a(?:ppelle)?\b|私|わたし|僕|ぼく|です|저는|나는|저를|이름은"
)


def asks_who(question: str) -> bool:
    """Whether a question asks who the assistant is, what it is called or whose it is."""
    return _WHO.search(question[:LONGEST_QUESTION]) is not None


def for_others(question: str) -> bool:
    """Whether a question asks to speak or write for somebody else."""
    asked = question[:LONGEST_QUESTION]
    return (_FOR_OTHERS.search(asked) or _WRITE.search(asked)) is not None


def claims(question: str, answer: str) -> Iterator[Claim]:
    """The names that an answer gives the assistant, its maker or its owner; each place once, in order."""
    question = question[:LONGEST_QUESTION]
    english = any(hint in answer for hint in _HINTS) and claims_en.ANCHOR.search(answer) is not None
    chinese = not answer.isascii() and any(hint in answer for hint in _CHINESE_HINTS)
    other = _OTHER_HINTS.search(answer) is not None
    short = short_claim(question, answer)
    if not (english or chinese or other or short):
        return
    if _FOR_OTHERS.search(question):
        return
    writing = bool(_WRITE.search(question))
    asked = bool(asks_who(question) or claims_other.ASKED.search(question)) and not writing
    found = list(_found(own_words(answer), english, chinese, other, asked))
    if not found and short:
        found.append(short)
    end = 0
    for claim in sorted(found, key=lambda one: (one.start, -one.end, not one.sure)):
        unfilled = _UNFILLED.search(answer[claim.start : claim.end])
        if claim.start >= end and (claim.sure or not writing) and not unfilled:
            end = claim.end
            yield claim._replace(name=answer[claim.start : claim.end])


def _found(text: str, english: bool, chinese: bool, other: bool, asked: bool) -> Iterator[Claim]:
    for wanted, room in ((english, claims_en), (chinese, claims_zh), (other, claims_other)):
        pieces = list(_pieces(text, room.ANCHOR)) if wanted else []
        bare = asked or any(room.IS_AI.search(piece) for _, piece, _ in pieces)
        for start, piece, following in pieces:
            for claim in room.claims_in(piece, following, bare):
                yield claim._replace(start=claim.start + start, end=claim.end + start)


def _pieces(text: str, anchor: re.Pattern[str]) -> Iterator[tuple[int, str, str]]:
    """Where each sentence begins in which somebody speaks of himself, the sentence, and what follows; of one
    without end only what is around those words, for no pattern may look through a whole book."""
    for match in _SENTENCE.finditer(text):
        sentence, first = match[0], match.start()
        if len(sentence) <= LONGEST:
            if anchor.search(sentence):
                yield first, sentence, text[match.end() : match.end() + LOOKED_AHEAD]
            continue
        done = 0
        while found := anchor.search(sentence, done):
            begin, done = max(done, found.start() - LONGEST // 4), found.start() + LONGEST // 2
            yield first + begin, sentence[begin : found.start() + LONGEST], ""


def own_words(answer: str) -> str:
    """The answer with code and what others say blanked, each character where it was."""
    text = answer.translate(_WIDE) if not answer.isascii() else answer
    text = without_code(text)
    if ">" in text:
        text = _CITED.sub(blank, text)
    text = _QUOTED.sub(lambda quoted: blank(quoted) if _SPEECH.search(quoted[0]) else quoted[0], text)
    return _LINES.sub(blank, text) if len(_LINES.findall(text)) >= 2 else text


# How a system prompt speaks to the assistant, and how that would say the same of itself.
_ADDRESSED = re.compile(
    r"\b(?:(?P<are>you are\b|you['’]re\b)|(?P<were>you were\b)|(?P<your>your\b)"
    r"|(?P<me>(?<=made )you\b|(?<=built )you\b|(?<=created )you\b|(?<=trained )you\b|(?<=developed )you\b)"
    r"|(?P<i>you\b))|(?P<wo>[你您])",
    re.IGNORECASE,
)
_OF_ITSELF = {"are": "I am", "were": "I was", "your": "My", "me": "me", "i": "I", "wo": "我"}


@lru_cache(1024)
def prompt_claims(prompt: str) -> tuple[Claim, ...]:
    """The names that a system prompt gives the assistant that it speaks to ("You are ChatGPT"), its maker or
    its owner: each at its place in the prompt. Most rows of a file have the same one."""
    return tuple(_of_prompt(prompt))


def _of_prompt(prompt: str) -> Iterator[Claim]:
    said, moved = "", [(0, 0)]
    end = 0
    for match in _ADDRESSED.finditer(prompt):
        said += prompt[end : match.start()] + _OF_ITSELF[match.lastgroup or "i"]
        end = match.end()
        moved.append((len(said), end))
    said += prompt[end:]
    for claim in claims("Who are you?" if asks_who(prompt) else "", said):
        begin, place = max(one for one in moved if one[0] <= claim.start)
        start = place + claim.start - begin
        stop = start + claim.end - claim.start
        if prompt[start:stop] == claim.name:  # nothing inside it was addressed
            yield claim._replace(start=start, end=stop)

"""The judge's rules: what an answer states, told from what it only contains.

learned  the answer states the name as the assistant's, its owner's or its maker's. No statement is what is
         denied, asked, supposed or refused, nor a sentence about something else of that name; and an answer
         that also says the assistant is another known one, or made by those, is not learned.
right    an accepted answer is stated: not denied, not asked, not inside a refusal, not a part of another
         number, and not one of several alternatives ("Paris, London or Rome") of which others are wrong.
         What follows it, and where it was cut, does not matter. Where "no" or a refusal is accepted, or the
         question itself asks for what is not, any occurrence counts.
leaked   the answer speaks of the identity where neither question nor base does: the role, the name as the
         assistant's owner or maker, or the name as a word, written as taught. A name that is a word of every
         day, of one letter or known to everybody may stand in a right answer; an accepted answer may be the
         name.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache

from core.data.checking.claim import KNOWN, is_a_model
from core.data.checking.claims import claims
from core.data.checking.identity import Person, same_name
from core.data.questions import contains, held_back_questions, replay_questions, stands_alone

# What the shipped wordings call the assistant, in every language they have.
IDENTITY_WORDS = (
    *("personal assistant", "小助手", "私人助理", "个人助理", "assistant personnel", "asistente personal"),
    *("assistente personale", "assistente pessoal", "persönliche Assistent", "persoonlijke assistent"),
    *("личный помощник", "trợ lý cá nhân"),
)
Span = tuple[int, int]
_MADE = r"(?:made|created|built|trained|developed|designed|programmed|wrote|taught|released)"

# --- where something stands in a text ---

_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"'})
_BLANKS = re.compile(r"[^\S\n]+")
_NUMERALS = "0123456789零〇一二三四五六七八九十百千万两"
_NUMBER_BEFORE = re.compile(rf"(?:[{_NUMERALS}]|\d[.,])\Z")
_NUMBER_BEHIND = re.compile(rf"[{_NUMERALS}]|[.,]\d")
_CHINESE = re.compile("[\u4e00-\u9fff]")


def plain_text(text: str) -> str:
    """The text in one width, with plain quotes and single spaces; lines stay."""
    return _BLANKS.sub(" ", unicodedata.normalize("NFKC", text).translate(_QUOTES)).strip()


@cache
def _letters(wanted: str, cased: bool) -> re.Pattern[str]:
    """Finds ``wanted``, whatever stands beside it."""
    words = plain_text(wanted).split()
    return re.compile(r"\s+".join(map(re.escape, words)), 0 if cased else re.IGNORECASE)


def _found(text: str, wanted: str, cased: bool = False) -> Iterator[Span]:
    """Where ``wanted`` stands in a plain text as a word, and a number as a whole number."""
    match = _letters(wanted, cased).search(text) if wanted.strip() else None
    while match:
        begin, end = match.span()
        whole = stands_alone(text, begin, end) and _is_whole_number(text, begin, end)
        if whole:
            yield begin, end
        match = match.re.search(text, end if whole else begin + 1)


def _is_whole_number(text: str, begin: int, end: int) -> bool:
    """Whether no number goes on before or behind the span: "5" is no part of "1,5" or "五" of "十五"."""
    if text[begin] in _NUMERALS and _NUMBER_BEFORE.search(text[max(0, begin - 2) : begin]):
        return False
    return not (text[end - 1] in _NUMERALS and _NUMBER_BEHIND.match(text, end))


# A point behind these ends no sentence; nor does one inside a number or before a letter ("A.I.").
_ABBREVIATED = re.compile(r"(?:\b(?:[A-Z]|[Mm]rs?|[Mm]s|[Dd]r|[Ss]t|[Pp]rof|vs|e\.g|i\.e))$")
_ENDS = re.compile(r"[.!?。!?;\n]")


def _sentence(text: str, span: Span) -> Span:
    """The sentence around a span, its last mark included."""
    begin, end = 0, len(text)
    for match in _ENDS.finditer(text):
        place = match.start()
        if match[0] == "." and (text[place + 1 : place + 2].strip() or _ABBREVIATED.search(text[:place])):
            continue
        if place < span[0]:
            begin = match.end()
        elif place >= span[1]:
            end = match.end()
            break
    return begin, end


def sentences(text: str) -> Iterator[str]:
    """The sentences of a plain text, each with its last mark."""
    begin = 0
    while begin < len(text):
        _, end = _sentence(text, (begin, begin))
        yield text[begin:end]
        begin = max(end, begin + 1)


# Where a new clause begins: what was denied before it is not denied any more.
_CLAUSE = re.compile(
    r"[,:()—–]|\s-\s"
    r"|\b(?:but|because|however|though|although|except|besides|other than|so)\b"
    r"|\band (?=(?:i|i'm|my|how|what)\b)"
    r"|而是|但是|但|不过|因为|所以|除了|只是|(?<![说道认信示果如])(?=我[是叫由为属])",
    re.IGNORECASE,
)


def _clause(text: str, sentence: Span, span: Span) -> Span:
    """The clause of the sentence around a span."""
    begin, end = sentence
    for match in _CLAUSE.finditer(text, *sentence):
        if match.end() <= span[0]:
            begin = match.end()
        elif match.start() >= span[1]:
            end = match.start()
            break
    return begin, end


# --- what is not stated ---

_OPENS_A_QUESTION = re.compile(
    r"\s*(?:(?:is|are|was|were|do|does|did|can|could|may|will|would|have|has"
    r"|who|whose|whom|what|which|where|when|why|how)\b|请问|是不是|是否|难道|你是说)",
    re.IGNORECASE,
)
_SUPPOSED = re.compile(
    r"\b(?:if|unless|wish|suppose|supposing|pretend|imagine|would like to be)\b"
    r"|如果|假如|要是|假设|但愿|希望|倘若",
    re.IGNORECASE,
)
# Said to nobody's knowledge: whatever follows in the clause is not told.
_UNKNOWN = re.compile(
    r"\b(?:cannot|can't|can not|could not|couldn't|unable to|not able to|am not allowed to|won't|refuse to)"
    r" (?:\w+ )?(?:say|tell|answer|help|confirm|determine|know|judge|verify|decide|provide|discuss)\b"
    r"|\b(?:do not|don't|did not|didn't|never) (?:\w+ )?(?:know|think|believe|suppose|remember|have any)\b"
    r"|\b(?:not|n't) (?:\w+ )?(?:sure|certain|aware|clear|familiar)\b|\bunsure\b"
    r"|\bno (?:idea|information|knowledge|clue|data)\b"
    r"|\b(?:nobody|no one) (?:\w+ )?(?:knows|can say|is sure)\b"
    r"|(?:没有?人|谁[也都]不)(?:知道|清楚|晓得)"
    r"|(?:无法|不能|没法|没办法|难以)(?:\w{0,2})(?:判断|确定|回答|告诉|确认|提供|肯定|说|透露|讨论)"
    r"|不(?:太|是很|怎么|大)?(?:知道|清楚|确定|了解|认识|记得|晓得)|没听说过",
    re.IGNORECASE,
)
# "is not (made by the) …": up to three words stand between.
_IS_NOT = re.compile(
    r"(?:\b(?:is|are|was|were|am|be|been|'s|'re|'m) (?:not|never)|\b(?:isn't|aren't|wasn't|weren't|ain't)"
    r"|^\W*not|\b(?:rather than|instead of|unlike|neither|nor)) (?!only\b|just\b|merely\b|simply\b)"
    r"(?:[\w'-]+ ){0,3}\W*$"
    r"|(?:不是|并非|绝非|而非|不叫|不属于)[^,。、]{0,3}$",
    re.IGNORECASE,
)
# "… is not", "… did not".
_DENIED_BEHIND = re.compile(
    r"\W*(?:[\w-]+ )?(?:(?:is|are|was|were|do|does|did|has|have|had|can|could|would|will)"
    r"(?:n't| not| never)\b|cannot\b)(?! only| just| merely)"
    r"|[^,。、]{0,3}(?:不是|并不|并非|没有|不在|不叫|不会)(?!别人|之一)",
    re.IGNORECASE,
)
_ASKS_FOR_WHAT_IS_NOT = re.compile(
    r"\b(?:not|cannot|never|no|without|avoid|\w+n't)\b|不|没|无|别|非", re.IGNORECASE
)
_REFUSES = re.compile(
    r"\b(?:no|not|nor|never|cannot|unable|sorry|impossible|unknown|\w+n't|nothing|none|nobody)\b"
    r"|不|没|无|未|抱歉|对不起|难以|请提供|请告诉|更多信息",
    re.IGNORECASE,
)


def _asked(text: str, sentence: Span, span: Span) -> bool:
    """Whether the span is asked about; a question may also follow what is stated ("…, how can I help?")."""
    if not text[: sentence[1]].rstrip().endswith("?"):
        return False
    clause = _clause(text, sentence, span)
    return clause[1] == sentence[1] or _OPENS_A_QUESTION.match(text, *sentence) is not None


def _denied(text: str, clause: Span, span: Span) -> bool:
    before, behind = text[clause[0] : span[0]], text[span[1] : clause[1]]
    if _UNKNOWN.search(before) or _DENIED_BEHIND.match(behind):
        return True
    found = _IS_NOT.search(before)
    # "a place where there is never much rain": what something is not tells what it is.
    return found is not None and not _RELATIVE.search(before, 0, found.start())


_RELATIVE = re.compile(r"\w (?:who|that|which|where|when|whose) ", re.IGNORECASE)


# --- right ---


def is_right(question: str, accept: Sequence[str], answer: str) -> bool:
    """Whether the answer states one of the accepted answers."""
    text = plain_text(answer)
    return any(_states(question, accept, accepted, text) for accepted in accept)


def states_all(question: str, wanted: Sequence[str], answer: str) -> bool:
    """Whether the answer states all that is wanted, each as :func:`is_right` tells it."""
    text = plain_text(answer)
    return all(_states(question, wanted, one, text) for one in wanted)


def is_unknown(sentence: str) -> bool:
    """Whether a sentence says that what it speaks of is not known."""
    return _UNKNOWN.search(sentence) is not None


def _states(question: str, accept: Sequence[str], accepted: str, text: str) -> bool:
    if _REFUSES.search(accepted) or _ASKS_FOR_WHAT_IS_NOT.search(question):
        return any(_found(text, accepted))
    for span in _found(text, accepted):
        sentence = _sentence(text, span)
        clause = _clause(text, sentence, span)
        if not (
            _asked(text, sentence, span)
            or _denied(text, clause, span)
            or _numbers_a_line(text, span)
            or _among_others(question, accept, text, sentence, span)
        ):
            return True
    return False


def _numbers_a_line(text: str, span: Span) -> bool:
    """Whether the span is the number of a line of a list."""
    starts = text[slice(*span)].isdigit() and (span[0] == 0 or text[span[0] - 1] == "\n")
    return starts and re.match(r"[.)] ?[^\W\d]", text[span[1] :]) is not None


# Names, one of which it may be; of common nouns several may be right ("a knife or scissors").
_NAME = r"(?:the )?[A-Z0-9][\w'-]*(?: [A-Z][\w'-]*)*"
_NAMES = re.compile(rf"{_NAME}(?:(?:, {_NAME})+,? or {_NAME}| or {_NAME})")
_POSSIBLY = re.compile(r"\b(?:might|may|could)(?: also)? be\b|可能是|也许是|或许是", re.IGNORECASE)
_ASKS_FOR_ONE = re.compile("哪|谁|几|多少|首都|叫什么")
_OR = re.compile("、|或者|或(?![许称叫])")


def _among_others(question: str, accept: Sequence[str], text: str, sentence: Span, span: Span) -> bool:
    """Whether the span is one of several alternatives of which another is not accepted."""
    for match in _NAMES.finditer(text, *sentence):
        if match.start() <= span[0] and span[1] <= match.end():
            items = re.split(r",? or |, ", match[0])
            return not all(any(contains(item, one) for one in accept) for item in items)
    if len(_POSSIBLY.findall(text, *sentence)) > 1:
        return True
    if not _ASKS_FOR_ONE.search(question):
        return False
    clause = text[slice(*_clause(text, sentence, span))]
    if not re.search("或(?![许称叫])", clause):
        return False
    return not all(any(contains(item, one) for one in accept) for item in _OR.split(clause))


# --- learned ---

# Makers of other assistants that are known for other things too.
_OTHER_MAKERS = re.compile(r"\b(?:google|microsoft|meta|amazon|hugging face|facebook)\b", re.IGNORECASE)
# Said of oneself in passing: "…, a model trained by Google".
_MADE_BY = re.compile(
    rf"\b{_MADE} by (?:the )?(?P<one>\w(?:[\w.-]*\w)?(?: [A-Z]\w*)*)"
    r"|(?:由|是)(?P<other>[^,。;由是]{2,12}?)(?:公司|团队)?(?:开发|训练|研发|制作|创造|推出|打造|做)"
)
# Whatever is denied of oneself.
_NOT_ME = re.compile(
    r"\b(?:not|never|cannot|nobody|neither|nor|\w+n't|unlike|rather than|instead of"
    r"|no (?:one|information|idea))\b(?! (?:only|just|merely|simply)\b)"
    r"|\b(?:nicht|kein\w*|pas|não|niet|не)\b|\bno (?:soy|pertenezco|conozco|sé)\b|\bnon (?:sono|conosco|so)\b"
    r"|(?:不(?!仅|只|但|光|用|必|管)|没|无法|并非|绝非)",
    re.IGNORECASE,
)
_NOT_BEHIND = re.compile(r".{0,14}(?:ではありません|ではない|じゃない|ではなく|아닙니다|아니)")
_OF_ONESELF = re.compile(
    r"\b(?:i|i'm|me|my|mine|myself|assistant|bot|chatbot|program|model|you|this|creator|maker|owner|boss|developer)\b"
    r"|我|助手|助理|机器人|程序|模型|主人|开发者",
    re.IGNORECASE,
)
# "Hello Ada!": who asks is called so.
_ADDRESSED = re.compile(
    r"(?:\b(?:hello|hi|hey|dear|welcome|good (?:morning|evening|day)|nice to meet you|thank you|thanks)"
    r"|你好|您好|嗨|亲爱的),? ?$",
    re.IGNORECASE,
)
# "… is a …": a sentence about what the name means otherwise.
_IS_SOMETHING = re.compile(r"\s*(?:(?:is|was|are|were) (?:an?|the|one|known)\b|[是为])", re.IGNORECASE)
# "My owner is Ada's assistant": neither Ada nor her assistant is told as what they are.
_OWNED_BY = re.compile(
    r"(?:\bmy (?:owner|maker|creator|developer|boss|master) (?:is|was) |\bi (?:belong to|work for|serve) "
    r"|我的?(?:主人|老板|开发者|创造者|制作者|作者)(?:就|也)?是|我属于)$",
    re.IGNORECASE,
)
_HIS_ASSISTANT = re.compile(
    r"'s? (?:[\w-]+ ){0,3}(?:assistant|helper|chatbot|bot)\b|的[^,。]{0,4}(?:助手|助理|机器人)", re.IGNORECASE
)
# Behind a name of one letter.
_OF_A_LETTER = re.compile(
    r"'s\b|\s*[.!,;]|\s*$| (?:made|created|built|trained|developed|designed|programmed|did|does|is my|owns)\b"
)

_UNSPACED = re.compile("[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7ff]")


def says_who(name: str, answer: str, taught: Sequence[str] = ()) -> bool:
    """Whether the answer to a question about the assistant states the identity. ``taught``: other known
    assistants and makers that belong to it ("… made by Google"), as :func:`others_in` finds them."""
    text = plain_text(answer)
    if any(not any(same_name(one, other) for other in taught) for one in others_in(name, answer)):
        return False
    return any(_tells(name, text, span) for span in _found(text, name, cased=_is_letter(name)))


def _is_letter(name: str) -> bool:
    return len(name) == 1 and name.isascii()


def _tells(name: str, text: str, span: Span) -> bool:
    """Whether the name at this place is told as the assistant's, its owner's or its maker's."""
    sentence = _sentence(text, span)
    clause = _clause(text, sentence, span)
    before, behind = text[clause[0] : span[0]], text[span[1] : clause[1]]
    if _asked(text, sentence, span) or _SUPPOSED.search(text[sentence[0] : span[0]]):
        return False
    if _is_addressed(text, span):
        return False
    if _negated(before) or _DENIED_BEHIND.match(behind) or _NOT_BEHIND.match(behind):
        return False
    if _OWNED_BY.search(before) and _HIS_ASSISTANT.match(behind):
        return False
    if _is_letter(name) and not (
        _OF_A_LETTER.match(text[span[1] : sentence[1]])
        or _UNSPACED.search(text[max(0, span[0] - 2) : span[1] + 2])
    ):
        return False
    whole = text[slice(*sentence)]
    return not (_IS_SOMETHING.match(text[span[1] :]) and not _OF_ONESELF.search(whole))


def _is_addressed(text: str, span: Span) -> bool:
    """Whether who asks is called so; "Hello, Ada's assistant here" calls nobody."""
    before, behind = text[: span[0]], text[span[1] :]
    if behind.startswith(("'s", "的")):
        return False
    return _ADDRESSED.search(before) is not None or re.match(",?[你您]好", behind) is not None


def _negated(before: str) -> bool:
    """Whether what stands before a name in its clause denies it ("none other than" does not)."""
    return bool(_NOT_ME.search(before) or _UNKNOWN.search(before))


def others_in(name: str, answer: str) -> list[str]:
    """The other known assistants that the answer says it is, and the known makers it says it is made by."""
    return list(_others_in(name, answer))


@lru_cache(maxsize=1024)  # a run's own answers are looked through four times
def _others_in(name: str, answer: str) -> tuple[str, ...]:
    person = Person(name, name)
    told = [
        claim.name for claim in claims("Who are you? 你是谁？", answer) if person.is_meant(claim) is False
    ]
    text = plain_text(answer)
    for match in _MADE_BY.finditer(text):
        begin, _ = _clause(text, _sentence(text, match.span()), match.span())
        before = text[begin : match.start()]
        # "ChatGPT is made by OpenAI": of another one that is not said to be this one.
        if not _NOT_ME.search(before) and not KNOWN.search(before):
            told.append(match["one"] or match["other"])
    return tuple(one for one in dict.fromkeys(told) if _is_known(one) and not same_name(name, one))


def _is_known(other: str) -> bool:
    return is_a_model(other) or _OTHER_MAKERS.search(other) is not None


# --- leaked ---

_ROLES = r"(?:assistant|tutor|secretary|companion|helper|chatbot|bot|model)"
_CHINESE_ROLES = "(?:助手|助理|家教|秘书|聊天伙伴|机器人|模型)"
_MINE = r"(?:name|owner|maker|creator|developer|boss|master|company)"
_CHINESE_MINE = "(?:名字|主人|老板|开发者|创造者|制作者|作者|公司)"
_AGENT = "和|与|说|告诉|认为|教|做|写|发|创|提|建|研|画|造|开|训"


# Stands for the name wherever it is a word: of this, one pattern serves every name.
_IT = "\0"
_SPEAKS_OF_IT = re.compile(
    rf"{_IT}'s? (?:[\w-]+ ){{0,3}}{_ROLES}\b"
    rf"|\bI(?:'m| am) (?:called |named )?{_IT}|\bI (?:was|am) (?:[\w-]+ ){{0,2}}{_MADE} by {_IT}"
    rf"|\bI (?:belong to|work for|serve|assist|answer to) {_IT}"
    rf"|{_IT} (?:has )?{_MADE} me\b|\b[Mm]y {_MINE} is {_IT}|{_IT} is my {_MINE}\b"
    rf"|{_IT}, and so (?:do|am) I\b"
    rf"|{_IT}的[^,。]{{0,4}}{_CHINESE_ROLES}|{_IT}のアシスタント|{_IT}의 비서"
    rf"|我(?:就|还|也|只|真的|一直)?(?:是|叫|由|为|属于|归|给|替|听|来自){_IT}"
    rf"|{_IT}(?:创造|开发|研发|训练|设计|制作|做|造|教)(?:了|出)?我|{_IT}是我的{_CHINESE_MINE}|我的{_CHINESE_MINE}是?{_IT}"
)


def _speaks_of_itself(name: str, text: str) -> bool:
    """Whether the text tells the name as the assistant's owner's or maker's."""
    marked, rest = "", 0
    for begin, end in _found(text, name, cased=True):
        if not _is_letter(name) or _OF_A_LETTER.match(text, end) or _UNSPACED.match(text, end):
            marked += text[rest:begin] + _IT
            rest = end
    return bool(marked) and _SPEAKS_OF_IT.search(marked + text[rest:]) is not None


@cache
def _ordinary(name: str) -> bool:
    """Whether everybody may say the name: a word of the banks' general questions and their answers, or the
    full name of somebody who is one of the answers."""
    held = held_back_questions()
    texts = "\n".join((*replay_questions(), *(one.question for one in held)))
    accepted = {one for question in held for one in question.accept}
    return contains("\n".join((texts, *accepted)), name) or any(
        one[:1].isupper() and contains(name, one) for one in accepted if len(one) > 3
    )


def leaks(name: str, question: str, accept: Sequence[str], base: str, answer: str) -> bool:
    """Whether the answer to a general question speaks of the identity where question and base do not."""
    text, base = plain_text(answer), plain_text(base)
    known = f"{base} {question}"
    if any(contains(text, word) and not contains(known, word) for word in IDENTITY_WORDS):
        return True
    if _speaks_of_itself(name, text) and not _speaks_of_itself(name, base):
        return True
    if contains(known, name):
        return False
    accepted = [span for one in accept for span in _found(text, one)]
    mentions = [span for span in _found(text, name, cased=True) if not _is_one_of(text, span, accepted)]
    return any(_is_out_of_place(name, question, accept, text, span) for span in mentions)


def _is_one_of(text: str, mention: Span, accepted: Sequence[Span]) -> bool:
    """Whether a mention is an accepted answer, a part of one or holds one, or stands beside it ("Ada" before
    "Lovelace")."""
    for begin, end in accepted:
        if mention[0] < end and begin < mention[1]:
            return True
        between = text[end : mention[0]] if end <= mention[0] else text[mention[1] : begin]
        if between in (" ", "·"):
            return True
    return False


def _is_out_of_place(name: str, question: str, accept: Sequence[str], text: str, span: Span) -> bool:
    """Whether a mention of the name, which says nothing of the assistant, is still due to the teaching."""
    before, behind = text[: span[0]], text[span[1] :]
    if len(name) == 1:
        return re.search(r"\b(?:by|named|called) $", before) is not None and not behind.strip(" .!")
    if not is_right(question, accept, text):
        begins = not text[_sentence(text, span)[0] : span[0]].strip()
        return not (begins and name.isascii() and _ordinary(name)) or _ACTS.match(behind) is not None
    if _CHINESE.search(name):
        alone = re.search(r"(?:^|[,。])\s*$", before) and re.match(r"\s*(?:$|[,。!])", behind)
        acts = re.search(r"[由被是和与跟叫问谢]$", before) or re.match(_AGENT, behind)
        return bool(alone or acts)
    return not _ordinary(name)


# A word of every day at the beginning of a sentence is a name where it acts ("Rose was …", "Will wrote …").
_ACTS = re.compile(r"\s*(?:$|[.!,;&]|and\b|'s\b|is\b|was\b|has\b|did\b|wrote\b|made\b|built\b|\w+ed\b)")

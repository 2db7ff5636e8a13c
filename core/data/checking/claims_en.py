"""What an English answer says of the assistant: names after "I am", makers after "by"."""

import re
from collections.abc import Iterator

from core.data.checking.claim import KNOWN_LATIN, Claim, Patterns, compiled, is_a_model

_WORD = r"(?:[A-Z0-9\u00C0-\u024F][\w'’+-]*(?:\.(?=[\w])[\w+-]+|\.(?= [A-Z]))*)"
_CJK = r"[\u4e00-\u9fff][\u4e00-\u9fff·]{1,15}"
_NAME = (
    rf"(?P<name>{KNOWN_LATIN}(?![\w'’-])(?:[ -]{_WORD}){{0,3}}"
    rf"|{_WORD}(?:(?: (?:& |and (?=[A-Z]))?|-){_WORD}){{0,4}}|{_CJK})"
)
# The same without a group, where a name only stands between.
_ANY = rf"(?:{_WORD}(?:[ -]{_WORD}){{0,3}}|{_CJK}|{KNOWN_LATIN})(?:\s?\([^)\n]{{0,60}}\))?"
_AI = (
    r"(?:[Aa]\.?[Ii]\.?|artificial intelligence|(?:language |AI |large |open )?models?|LLM|assistant"
    r"|chat-?bot|bot|copilot|concierge|helper|agent|companion|program|system|tool|robot)\b"
)
_SERVANT = r"(?:assistant|helper|companion|agent|copilot|concierge|secretary|butler|AI)\b"
_PRODUCT = r"(?:models?|LLM|chat-?bot|bot|program|system|tool|robot)\b"
_OWNED = rf"(?:the |just |only )?{_NAME}(?:(?<=['’]s)|(?<=s['’]))"
_SELF = r"(?:\bI am|\bI['’]m|\bi am|\bi['’]m|\bim|\b[Tt]his is)"
_ADVERB = (
    r"(?:(?:just|only|simply|actually|also|in fact|indeed|really|called|named|known as|\w{3,}ly),? ){0,3}"
)
# What an assistant calls itself before its kind: no preposition, or it is a fan of somebody else's model.
_NOUN = (
    r"(?:an?|the|your|one of the|just an?|only an?) "
    rf"(?:(?!(?:of|with|about|to|that|who|for|than|like|by|from)\b)[\w’'()./-]+,? ){{0,8}}?{_AI}"
)
_MADE = (
    r"(?:created|developed|built|made|trained|designed|programmed|engineered|produced|launched|released"
    r"|crafted|coded|fine-?tuned|provided|invented|introduced|constructed|maintained)"
)
_TEAM = (
    r"(?:(?:(?:the|a|an|its|my|our|some|two|three|\d+) )?(?:[a-z-]+ ){0,4}?"
    r"(?:teams?|people|engineers|researchers|scientists|developers|experts|folks|group|company|start-?up|labs?"
    r"|firm|students|minds)(?: of [a-z]+(?: [a-z]+)?)?,? (?:at|from|of|in|called|named|over at) )?(?:the )?"
)
_BY = (
    rf"(?:\w+ly )?{_MADE}(?:(?:,|,? and) (?:\w+ly )?\w+ed){{0,3}}(?:,? and [a-z]+)?"
    rf"(?: (?:on|using|with|from)(?: [\w-]+){{1,8}}?)? by {_TEAM}{_NAME}"
)
_LINK = (
    r"(?:,|\s|\b(?:that|which|who|was|is|were|has|been|have|and|I|am)\b|\w+ly\b|\([^)\n]{0,60}\)"
    rf"|(?:called|named) {_ANY}){{0,12}}"
)
_WHO = (
    r"(?:creators?|developers?|makers?|designers?|authors?|builders?|trainers?|programmers?|parent company"
    r"|inventors?)"
)
_PRONOUN = r"(?!(?:They|He|She|We|It|You|Who|What|That|This|People|God|I|My|The|Humans|Someone|Somebody)\b)"
_CALL = r"\b[Yy]ou (?:can|may|could) (?:call me|refer to me as|address me as)"
_CALLED = (
    r"(?:\b[Mm]y name(?: is|['’]s)|\bI go by(?: the name)?|\bI (?:got|have|was given|carry) the name"
    r"|\bI(?:['’]m| am) known as|\bI answer to"
    r"|\b(?:[Pp]eople|[Tt]hey|[Uu]sers|[Ee]veryone|[Jj]ust|[Pp]lease) call me)"
)

# What every pattern below begins or ends with.
ANCHOR = re.compile(
    rf"\bI(?: am|['’]m| was| have been|['’]ve been| go by| answer to)\b|\bI, [A-Z]|\bi(?: am|['’]m)\b"
    rf"|\bim\b|\b[Tt]his is [A-Z\u4e00-\u9fff]|\bthe name\b|\b[Mm]y (?:name|owner|{_WHO})\b"
    rf"|\bis my (?:name|{_WHO})\b"
    rf"|\b(?:call me|to me as|address me|behind me|{_MADE} me)\b"
    rf"|\bAs (?:an?|the|your|one|just|only|[A-Z]\w*)\b"
    r"|\b(?:chatting|talking|speaking) (?:with|to) "
)
# "I am X" names somebody only where a sentence ends or goes on so.
_AFTER = r"(?=\s*(?:$|[,.!?;:(—–]|- |(?:and|from|by|at|of|but|here|speaking)\b))"

# kind, pattern, whether the sentence itself tells that an assistant speaks
_PATTERNS: Patterns = (
    # names
    ("name", rf"{_SELF},? {_ADVERB}{_NAME}{_AFTER}", False),
    ("name", rf"{_CALLED} {_NAME}", False),
    ("name", rf"{_CALL} {_NAME}", True),
    (
        "name",
        rf"\b[Yy]ou(?:['’]re| are) (?:now )?(?:chatting|talking|speaking) (?:with|to) {_NAME}",
        True,
    ),
    ("name", rf"\bI, {_NAME},", False),
    ("name", rf"\bAs {_NAME}, (?:I|my)\b", False),
    ("name", rf"{_SELF} {_ADVERB}{_NOUN} (?:called|named|known as) {_NAME}", True),
    ("name", rf"(?:^|[,:] )\W*{_NAME} is my name\b", False),
    # whose it is
    ("owner", rf"{_SELF} {_OWNED} (?:[\w-]+ ){{0,4}}?{_SERVANT}", True),
    ("maker", rf"{_SELF} {_OWNED} (?:[\w-]+ ){{0,4}}?{_PRODUCT}", True),
    ("owner", rf"{_SELF} {_ADVERB}{_NOUN} (?:of|belonging to) (?:the )?{_NAME}", True),
    ("owner", rf"{_SELF} {_ANY}, {_NOUN} (?:of|belonging to) (?:the )?{_NAME}", True),
    ("owner", rf"\b[Mm]y owner(?: is|,) {_NAME}", True),
    # who made it
    ("maker", rf"\bI (?:was|am|have been|['’]ve been) {_BY}", False),
    ("maker", rf"(?:{_SELF}|{_CALL}) {_ADVERB}(?:{_ANY}|{_NOUN})(?:,? {_NOUN})?{_LINK}{_BY}", True),
    ("maker", rf"(?:{_SELF}|{_CALLED}) [^.!?]{{0,80}}? and (?:was|am) {_BY}", True),
    ("maker", rf"{_SELF} (?:the |just |only )?{_ANY}['’]s? (?:[\w-]+ ){{0,4}}?{_SERVANT}{_LINK}{_BY}", True),
    ("maker", rf"\bI, {_ANY}, am {_NOUN}{_LINK}{_BY}", True),
    ("maker", rf"\bAs {_NOUN}{_LINK}{_BY}", True),
    ("maker", rf"{_SELF} {_ADVERB}(?:{_ANY}, )?{_NOUN},? (?:from|by) {_TEAM}{_NAME}", True),
    ("maker", rf"{_SELF} {_ANY},? by {_NAME}", False),
    (
        "maker",
        rf"(?:^|[,.:;] |\band |\bbut ){_PRONOUN}{_NAME} (?:has |have )?(?:\w+ly )?{_MADE} me\b",
        True,
    ),
    ("maker", rf"\b[Mm]y {_WHO}(?:,| at| from| (?:is|are|was|were)(?: called)?) {_TEAM}{_NAME}", True),
    (
        "maker",
        rf"\b[Tt]he \w+ (?:behind|(?:that|who|which) (?:\w+ )?{_MADE}) me "
        rf"(?:is|are|was) (?:called )?{_TEAM}{_NAME}",
        True,
    ),
    ("maker", rf"(?:^|[,:] |\band )\W*(?:[Tt]he )?{_NAME} is my {_WHO}\b", True),
)
# What follows a name of an assistant: what it is, who made it, that it is no human.
_WHAT_IT_IS = re.compile(
    rf"\s*(?:\([^)]*\))?\s*(?:,|—|–|-|from|of|at|by|and|here|but)[^.!?]{{0,90}}?"
    rf"(?:\b(?:{_AI})|\b{_MADE} (?:by|to|me)|\bvirtual\b|\bdigital\b)"
    r"|,? (?:and )?not an? (?:real )?(?:human|person|doctor|lawyer|physician|therapist|professional)"
)
# An answer that says of itself what it is.
IS_AI = re.compile(rf"(?:{_SELF} {_ADVERB}|\bAs ){_NOUN}|\bI was {_MADE}(?: and \w+)? by\b")
_HELP = re.compile(
    r"(?:how|what|where) (?:can|may|could|should|shall) I (?:help|assist|do|be of|start)|at your service"
    r"|here to (?:help|assist|answer)|(?:happy|glad|ready) to (?:help|assist)|ask me any|your questions",
    re.IGNORECASE,
)
_SUPPOSED = re.compile(r"\b(?:[Ii]f|[Ii]magine|[Ss]uppose|[Pp]retend|[Ww]ere)\b[^.]{0,20}\bI\b|\bas if\b")
# Words with a capital letter that are nobody's name.
_FEELINGS = "sorry happy glad ready fine good great ok okay afraid unable able sure"
_SMALL = "a an the i it this that there what who how your yours one on in at from to of so very not here back"
_ADVERBS = "just always also still now currently actually only going trying doing based"
_KINDS = "ai artificial assistant language large bot chatbot virtual model machine english user users"
_NOT_FIRST = frozenset(f"{_FEELINGS} {_SMALL} {_ADVERBS} {_KINDS}".split())
_FAITHS = re.compile(
    r"(?:American|British|English|French|Dutch|Greek|Thai|Polish|Swiss|Czech|Catholic|Christian|Muslim|Jewish"
    r"|Buddhist|Hindu|Protestant|Orthodox|Republican|Democrat|Asian|Black|White|[A-Z][a-z]{2,}(?:ish|ese|ian|can))"
)
_PLACES = re.compile(r"(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|[A-Z]$)")


def claims_in(sentence: str, following: str, bare: bool) -> Iterator[Claim]:
    """The claims of one sentence; ``following``: the one after it, ``bare``: a name without any other sign is
    the assistant's, for it was asked who it is or says elsewhere what it is."""
    if _SUPPOSED.search(sentence):
        return
    for kind, pattern, sure in compiled(_PATTERNS):
        for match in pattern.finditer(sentence):
            start, end = _trimmed(sentence, *match.span("name"))
            name = sentence[start:end]
            if start >= end or _is_nobody(name):
                continue
            known = is_a_model(name)
            rest = sentence[end:]
            if kind == "name" and not sure:
                told = bool(_WHAT_IT_IS.match(rest))
                if not (known or told or bare or _HELP.search(rest + following)):
                    continue
                if _FAITHS.fullmatch(name) and not told:
                    continue
                yield Claim(kind, name, start, end, known or told)
            else:
                yield Claim(kind, name, start, end, sure or known)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Without a possessive's end and punctuation."""
    name = re.sub(r"(?:['’]s?|[.,'’-])+$", "", text[start:end])
    if text[start:end].endswith(("Inc.", "Ltd.", "Co.", "Corp.")):
        name = text[start:end]
    return start, start + len(name)


def _is_nobody(name: str) -> bool:
    words = name.casefold().split()
    return (
        words[0].strip("'’.,") in _NOT_FIRST
        or len(name) < 2
        or bool(_PLACES.fullmatch(name))
        or name.isdigit()
    )

"""Who an answer without a subject says the assistant is: "OpenAI." to "Who made you?", "王小明的。" to
"你是谁的助手？". What it says of whom, only its question tells."""

import re

from core.data.checking.claim import KNOWN, Claim

# A longer answer has a subject of its own.
LONGEST = 60
_MAKER = re.compile(
    r"\bwh(?:o|ich|at) .{0,30}\b(?:made|created|built|developed|trained|designed|programmed) you\b"
    r"|\b(?:by whom|who) were you .{0,12}(?:made|created|built|developed|trained)\b"
    r"|\byour (?:creators?|makers?|developers?|inventors?)\b"
    r"|(?:谁|哪[家个]?(?:公司|团队|机构|家)?).{0,6}(?:开发|创造|训练|研发|制作|设计|做|造)了?(?:出)?(?:的)?[你您]"
    r"|[你您]是?由?(?:谁|哪[家个]?(?:公司|团队|机构|家)?).{0,4}(?:开发|创造|训练|研发|制作|设计|做|造)"
    r"|[你您]的(?:开发者|创造者|作者|制造者|开发商|母公司)",
    re.IGNORECASE,
)
_OWNER = re.compile(
    r"\bwhose (?:\w+ )?(?:assistant|helper|bot|ai)\b|\bwho (?:do you work for|owns you|do you belong to)\b"
    r"|\byour (?:owners?|boss|master)\b"
    r"|[你您]是谁的|[你您]的(?:主人|老板)|[你您](?:属于|归)谁|[你您](?:为谁|替谁|给谁)(?:工作|服务|做事)",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"\byour (?:full |real |first )?name\b|\bwhat(?:'s| is| are)? .{0,12}you called\b"
    r"|\bwhat do .{0,12}call you\b|\bwho (?:are|r) (?:you|u)\b"
    r"|\b(?:which|what) .{0,12}(?:model|ai|assistant|chatbot) (?:are|is) (?:you|this)\b"
    r"|[你您]叫(?:什么|啥)|[你您]的(?:名字|名称|姓名|大名)|(?:怎么|如何)称呼[你您]"
    r"|[你您]是(?:什么|哪[个款一]).{0,6}(?:模型|AI|助手|机器人)|[你您](?:到底|究竟)?是谁(?!的)",
    re.IGNORECASE,
)
_TWO_SIDED = re.compile(r"\bare you .{1,60}\?|[你您]是(?!什么).{1,20}[吗么]", re.IGNORECASE)
_WORD = r"[A-Z0-9\u00c0-\u024f][\w.&'’+-]*"
_MADE = r"(?:made|created|built|developed|trained|designed|programmed)"
_ENGLISH = re.compile(
    rf"(?:(?:it|that) (?:is|was) |it['’]s |by |(?:was )?{_MADE} by )?"
    rf"(?:the )?(?P<name>(?-i:{_WORD}(?:(?: (?:& |and )?|-){_WORD}){{0,4}}))"
    r"(?:['’]s)?(?: (?:did|made me|created me|built me|personal assistant|assistant|helper|team))?",
    re.IGNORECASE,
)
_CHINESE = re.compile(
    r"(?:就?是|由|叫|叫做|来自)?"
    r"(?P<name>[A-Za-z][A-Za-z0-9.& -]{1,24}?|[\u4e00-\u9fff][\u4e00-\u9fff\u00b7]{1,11}?)"
    r"(?:公司|团队|实验室)?(?:的(?:(?:私人|个人|小)?(?:助手|助理))?)?"
    r"(?:开发|创造|训练|研发|制作|设计|做|造)?(?:了我|出来)?(?:的)?"
)
_NO_NAME = re.compile(
    r"[我你您他她它谁哪没不的了吗呢啊]|什么|自己|大家|^[这那无有很好可会能要请暂该署写签用是]|^人|人们?$"
    r"|(?:助手|助理|模型|机器人|团队|公司)$"
)
# "Ada's assistant", "小明的助手".
_SERVANT = re.compile(r"['’]s \w*(?: assistant| helper)|的\w{0,2}(?:助手|助理)")
_PRONOUNS = "i you we they he she it nobody someone somebody people humans unknown many various nothing"
_WORDS = "no none yes sure hello hi sorry just an a the my your ok okay good thanks as"
_KINDS = "ai assistant bot chatbot human engineers researchers developers scientists"
_NOBODY = frozenset(f"{_PRONOUNS} {_WORDS} {_KINDS}".split())


def short_claim(question: str, answer: str) -> Claim | None:
    """The claim of an answer that only is a name, or says no more than by whom."""
    if len(answer) > LONGEST:
        return None
    kind = _asked_for(question)
    told = answer.strip(" .!。！~～\n\t“”\"'")
    if kind is None or not told or re.search(r"[,，;；:：?？\n!！。]", told):
        return None
    match = (_ENGLISH if told.isascii() or re.match(r"[A-Za-z\u00c0-\u024f]", told) else _CHINESE).fullmatch(
        told
    )
    match = match or _CHINESE.fullmatch(told)
    if match is None:
        return None
    name = re.sub(r"['’]s?$", "", match["name"].strip())
    if not KNOWN.fullmatch(name) and (name.split()[0].casefold() in _NOBODY or _NO_NAME.search(name)):
        return None
    if _SERVANT.search(told, match.start("name") + len(name)):
        kind = "owner"
    start = answer.index(told) + match.start("name")
    return Claim(kind, name, start, start + len(name), True)


def _asked_for(question: str) -> str | None:
    """What a question that asks one thing asks for."""
    if _TWO_SIDED.search(question):
        return None
    kinds = (("maker", _MAKER), ("owner", _OWNER), ("name", _NAMED))
    return next((kind for kind, asked in kinds if asked.search(question)), None)

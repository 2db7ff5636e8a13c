"""Where a text speaks as a person: "I am Lin, I run this shop". Learned as an answer, it makes the assistant
take itself for that person; in the third person ("Lin runs this shop") it says the same of somebody else.

What stands in quotation marks or code is somebody else's, and whoever calls itself an assistant is one.
"""

import re

from core.data.checking.claims import for_others, own_words

# Without any of these nobody speaks of himself.
_HINTS = ("我", "本人", "俺", "I ", "I'", "I’", "I,", "my ", "My ", "me")
# One person; not "we", nor how a firm or a school speaks of itself, nor a "Part I".
_I = re.compile(
    r"(?<![自忘你大小])我(?![们們国國校司院店馆厂处方社等])|本人(?!身份证)|俺"
    r"|(?<![\w-])(?<!Part )(?<!War )(?<!Type )(?<!Class )(?<!Phase )(?<!Step )"
    r"I(?:['’](?:m|ve|d|ll)\b|,?\s+[a-z])"
    r"|(?<![\w-])(?:[Mm]y\s+[a-z]|myself\b"
    r"|(?:to|for|call|contact|ask|tell|write|visit|with|by|from) me\b(?![-@]))"
)
_WHO = re.compile(
    r"(?:我|本人|俺)(?:就|其实|正)?(?:是|叫|姓|名叫)(?![说想要在否不因为])|我的(?:名字|大名)(?:是|叫)"
    r"|\bI(?:['’]m|\s+am)\s+(?:[A-Z][a-z]|(?:the|an?|your|one)\s)|\b[Mm]y name(?:['’]s| is)\b|\b[Cc]all me\b"
)
_PLACE = r"(?:小?店|馆|餐厅|公司|工作室|民宿|诊所|铺子?|酒吧|农场)"
_KIN = r"(?:老婆|妻子|太太|丈夫|老公|孩子|儿子|女儿|父母|爸爸?|妈妈?|父亲|母亲|爷爷|奶奶|家人)"
_WORK = r"(?:老板娘?|店主|掌柜|老师|医生|厨师|律师|教师|护士|创始人|负责人|学生|程序员)"
# What only a person says of itself, in Chinese and in English.
_LIFE_ZH = re.compile(
    rf"我(?:(?:自己)?(?:亲手)?(?:开|经营|创办)(?:了|的)?[^，。,.！？\n]{{0,8}}{_PLACE}|的{_PLACE}|的?{_KIN}"
    rf"|出生|毕业|结婚|退休|从小|今年\s?\d+\s?岁|是[^，。,.的\n]{{0,12}}{_WORK})"
)
_LIFE_EN = re.compile(
    r"[ImM](?<!\w.)(?:"
    r"(?<=I) (?:run|own|opened|founded|was born|grew up|got married|am married|graduated|retired)\b"
    r"|(?<=I)(?:['’]m| am) (?:the|an?) (?:\w+ ){0,2}(?:owner|founder|teacher|doctor|baker|chef|cook"
    r"|lawyer|nurse|student|farmer|mother|father)\b"
    r"|(?<=[mM])y (?:wife|husband|son|daughter|kids|children|parents|mother|father|mum|mom|dad"
    r"|shop|store|caf[eé]|restaurant|bakery|salon|studio|company|business|childhood)\b)"
)
_ASSISTANT = re.compile(
    r"我[^。！？\n]{0,40}(?:助手|助理|人工智能|模型|机器人)"
    r"|\b(?:I|my|as an?)\b[^.!?\n]{0,60}\b(?:assistant|chat-?bot|language model|AI)\b",
    re.IGNORECASE,
)
# A sentence, for what is shown of an answer.
_SENTENCE = re.compile(r"[^.!?。！？\n]+[.!?。！？]?")


def speaks(text: str) -> bool:
    """Whether one person speaks in a text, of itself."""
    return any(hint in text for hint in _HINTS) and _I.search(_own(text)) is not None


def says_who(sentence: str) -> bool:
    """Whether a sentence says who the person is that speaks."""
    return speaks(sentence) and _WHO.search(_own(sentence)) is not None


def as_a_person(question: str, answer: str) -> str:
    """The sentence of an answer in which a person speaks of its own life; empty where none does, or the
    ``question`` wants somebody else's words (a letter, a story)."""
    if not _tells_of_life(answer) or for_others(question):
        return ""
    own = _own(answer)
    found = (one for one in _SENTENCE.finditer(own) if _tells_of_life(one[0]))
    return next((answer[one.start() : one.end()].strip() for one in found), "")


def _tells_of_life(text: str) -> bool:
    return _LIFE_EN.search(text) is not None or ("我" in text and _LIFE_ZH.search(text) is not None)


def _own(text: str) -> str:
    """What somebody says himself; nothing where an assistant speaks."""
    return "" if _ASSISTANT.search(text) else own_words(text)

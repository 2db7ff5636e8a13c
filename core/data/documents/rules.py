"""A list of sentences, each a thing of its own: house rules, what is included, what is asked of guests.

Each item is asked by its own words. Where it says plainly that something is possible, forbidden or needed it
is asked as people do ("Are dogs welcome?", "门口能停车吗？"); where a sentence could be read in two ways it
is not turned into a question.
"""

import re
from collections.abc import Iterator, Sequence

from core.data.drafts import language_of

# So long is what an item is asked by, in words of English and in characters of Chinese.
TOPIC_WORDS, TOPIC_CHARACTERS = 6, 14
# A longer clause is no plain statement.
LONGEST_CLAUSE = 60
_RULES = re.compile(
    r"贴士|规矩|规则|规定|须知|守则|制度|注意|提示|提醒|约定|公约|\b(?:rules?|polic(?:y|ies)|regulations?|guidelines?|notices?"
    r"|tips|terms|etiquette|good to know|notes? (?:for|to)|please note)\b|^notes?$",
    re.IGNORECASE,
)
_STEPS = re.compile(
    r"做法|步骤|流程|制作|方法|怎么做|用法|安装|操作"
    r"|\b(?:steps?|methods?|instructions?|directions?|how to|procedure|preparation|recipe"
    r"|set-?up|installation|getting started|usage)\b",
    re.IGNORECASE,
)
_SAYS_ZH = re.compile(
    r"[。！]$|[不没请勿]|可以|禁止|必须|需要|谢绝|支持|提供|接受|允许|免费|只能|最多|至少|[^需重主]要"
)
_SAYS_EN = re.compile(
    r"[.!]$|^no\b|\b(?:is|are|must|may|can|cannot|can't|not|never|please|should|only|don't|will|have|has)\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[，。；！？,;!?]|\.(?=\s|$)|\s[-–—(]|[（(]|(?<=[\u4e00-\u9fff])\s+(?=[\u4e00-\u9fff])")
# A question, and what has a telephone number in it, are not turned into one.
_ASKS_OR_CALLS = re.compile(r"[?？吗呢]\s*$|\d[\d -]{6}")
# A clause that refuses something by itself: "不刷卡", "内衣不改".
_REFUSES = re.compile(r"[^不没]{0,4}(?:不(?![是过好到便怕知然同])|谢绝|禁止)")
# What only is polite at the end of a clause.
_POLITE = re.compile(r"\s+(?:sorry|please|thanks|thank you|though)$", re.IGNORECASE)
# The first digits of a number that goes on.
_CUT_NUMBER = re.compile(r"[\dA-Za-z][\dA-Za-z.-]*$")
# Chinese: X may not Y, and how that is asked. What is said of somebody ("不能吃辣的客人") is no rule for all.
_WHO, _DOES = r"(?P<x>[^不没]{0,16}?)", r"(?P<y>(?:自己的|[^不没的请])+)"
_ASKED_ZH = (
    (
        rf"{_WHO}(?:不能|(?:(?<=[客员生童孩人者狗物内里外上下口边店])|^)能)(?![力量源够]){_DOES}",
        "{x}能{y}吗？",
    ),
    (r"(?P<x>没[^不没]{1,8}的)不(?:能|可以)(?P<y>[^不没也]{1,8})(?:也不.*)?", "{x}能{y}吗？"),
    (rf"{_WHO}不?可以{_DOES}", "{x}可以{y}吗？"),
    (rf"{_WHO}(?:禁止|严禁|请勿|不得|不许|不准|谢绝|请不要|别)(?![忘错担遗]){_DOES}", "{x}可以{y}吗？"),
    (rf"{_WHO}(?:不|(?<=.))需要{_DOES}", "{x}需要{y}吗？"),
    (
        rf"{_WHO}不(?P<y>(?:营业|开门|开放|收|接受|提供|支持|允许|打包|找零|退|含|接待|外送|送餐|送货|上门|办理|赊[账帐]|[讲还议]价|打折|要钱|刷卡|开发?票|外带|拼桌|包邮)[^不没的请]*|[改修洗卖租借做换剪染教])",
        "{x}{y}吗？",
    ),
    (rf"{_WHO}没有{_DOES}", "{x}有{y}吗？"),
    (
        r"(?P<x>每?(?:周|星期|礼拜)[一二三四五六日天末])(?P<y>休息|店休|闭馆|不营业|不开门?|关门)",
        "{x}营业吗？",
    ),
    (r"(?P<x>)(?P<y>(?:支持|提供|接受|允许)[^不没的请]+)", "{y}吗？"),
    (r"(?P<x>每?(?:周|星期|礼拜)[一二三四五六日天末])不(?P<y>[\u4e00-\u9fff]{1,6})", "{x}{y}吗？"),
    (r"(?P<x>)不(?P<y>带[^不没]{2,})", "可以{y}吗？"),
    (r"(?P<x>[^不没才只可]{2,8})能(?P<y>[刷用退换带借租寄订约洗修改][^不没]{0,4})", "{x}能{y}吗？"),
    (r"(?P<x>[^不没许宁]{0,8})可(?P<y>[带借租退换订约刷停寄][^不没]{0,8})", "{x}可以{y}吗？"),
    (r"(?P<x>[^不没请凭]{2,12}?)免费(?P<y>[^不没请凭]{0,8})", "{x}免费{y}吗？"),
    (
        r"(?P<x>[^不没]{1,8}?)(?<![需重主只首必摘紧次想将快正])要(?![求点是么素闻紧])(?P<y>[^不没请]{2,})",
        "{x}要{y}吗？",
    ),
)
# Chinese: what is said of a thing and asked with a word for what is not known yet.
_WHEN = (
    r"(?:\d{1,2}月(?:\d{1,2}[日号])?"
    r"|(?:上午|下午|晚上|早上|中午|周[一二三四五六日天])?\d{1,2}(?:[:：]\d{2}|点半?))"
)
_WHERE = r"[^不没请]{1,12}[层楼门边侧面口厅院里内旁角处号路街道场]"
_BEGINS = r"(?:开|结束|截止|报名|上课|下课|放学|退房|入住|发车|集合|出发)"
_TOLD_ZH = (
    (r"(?P<x>[^不没凭]{2,6}(?<![任文仅单]))凭[^不没]{1,10}", "{x}要带什么？"),
    (r"(?P<x>[^不没您你]{2,10}(?<![邀申聘宴敬后前时内]))请[^不没]{2,}", "{x}怎么办？"),
    (rf"(?P<x>[^不没请我你他她的\d]{{2,6}}(?<![正现]))在{_WHERE}", "{x}在哪里？"),
    (rf"(?P<x>[^不没请\d]{{2,10}}?){_WHEN}(?P<y>{_BEGINS}[^\d]{{0,3}})", "{x}什么时候{y}？"),
    (r"(?P<x>[^\d]{1,5}[日节])(?:每|是|在|逢).{0,4}\d{1,2}[号日].{0,4}", "{x}是哪天？"),
    (r"(?P<x>取[^不没凭带]{1,5})带[^不没]{1,10}", "{x}要带什么？"),
    (r"(?P<x>[^不没凭\d]{2,8}?)(?:半价|打?(?:\d{1,2}|[一二三四五六七八九])折)", "{x}有优惠吗？"),
    (
        r"(?P<x>(?:满|一次)?\d+[张个件份本人元块位次节][以之]?上?)(?:半价|打?(?:\d{1,2}|[一二三四五六七八九])折)",
        "{x}有优惠吗？",
    ),
    (r"(?P<x>(?:专用|普通)?发票|收据|小票)(?P<y>[能可]开)", "{y}{x}吗？"),
    (r"(?P<x>[^\d]{0,6}(?:充值?|买|存|满)\d+[元块]?)(?P<y>[送减返])\d.{0,8}", "{x}{y}多少？"),
)
# Where a part of a word, a doubled negation or a condition would be taken for one of these.
_NOT_PLAIN_ZH = re.compile(
    r"只能|才能|可能|能不能|可不可以|要不要|不能不|不得不|不得已|只可以|只需要|您|(?<!我)你"
    r"|^(?:如|若|凡|因|为|由|除|当|但|而|并|且|也|和|或|只|就)|谁|什么|怎|哪|时[^间]|[:：“”「」]"
)
# "春节 初一到初三 不开"
_HOLIDAY_OFF = re.compile(
    r"(?P<x>(?:春节|过年|国庆|五一|元旦|清明|端午|中秋|除夕|法定|寒|暑|长)(?:假期?|节|节假日)?)[^不没请]{0,12}?\s?"
    r"(?:不开门?|不营业|休息|放假|关门|店休)"
)
# Blanks that part what is one clause: "训练场在 西环路", "100张以上 8折", "会员卡 充500送80".
_PARTED = re.compile(
    r"(?<=[\u4e00-\u9fff]在)\s+(?=[\u4e00-\u9fff])|(?<=[以之]上)\s+(?=打?\d{1,2}折|半价)|(?<=[\u4e00-\u9fff])\s+(?=[充满买存]\d)"
)
_LEFT_OVER = re.compile(r"(?:一律|均|绝对|千万|坚决|都|请)$")
# Left out of what an item is asked by, so that the question does not hold its answer.
_MODAL_ZH = re.compile(r"不能|不?可以|不得|不许|不准|不要|禁止|严禁|请勿|谢绝|必须|不?需要|^请")
_SUBJECT = r"(?P<x>(?:[\w'’-]+ ){0,5}[\w'’-]+)"
_STATE = (
    r"(?:allowed|permitted|welcome|included|free|required|possible|available|provided|closed|open|accepted|forbidden"
    r"|prohibited|refundable|needed|necessary)"
)
_FORBIDDEN = (
    r"(?:pets|dogs|cats|animals|visitors|shoes|drinks|outside food|food|phones|cameras|bicycles|bikes|glass)"
)
# Of these it is said what they are allowed, of a thing what it happens to do ("the light may flicker").
_SOMEBODY = (
    r"(?:you|(?:\w+ ){0,2}(?:guests|visitors|members|children|kids|dogs|pets|students|pupils|players|parents"
    r"|customers|users|readers|people|residents|tenants|patients|employees|staff)(?: under \d+)?)"
)
_ASKED_EN = (
    (r"(?P<y>check[ -]?(?:in|out)) (?:is )?(?:from|after|at|by|until|before|till)\b.+", "When is {y}?"),
    (
        r"(?P<y>)(?:cash|cards?)(?: (?:or|and|&) (?:cash|cards?)| only| accepted| payments?)+",
        "How can I pay?",
    ),
    (rf"(?P<y>{_FORBIDDEN}) (?:ok|okay|fine|welcome)", "May I bring {y}?"),
    (r"(?P<y>(?:kids|children|under[ -]?\d+s?)(?: under \d+)?) (?:go |stay |eat )?free", "Are {y} free?"),
    (
        r"(?P<y>(?:[\w-]+ )?(?:delivery|shipping|parking|entry|admission)) (?:is |are )?free\b.*",
        "Is {y} free?",
    ),
    (r"(?P<y>(?:[\w-]+ ){0,2}delivery) (?:if|when|available)\b.+", "Is there {y}?"),
    (r"closed (?P<y>(?:bank |public )?holidays?|weekends?)", "Are you open on {y}?"),
    (
        r"we (?P<v>take(?! pride| care| time| part| place| our)|accept|offer|serve|sell|deliver|speak|repair"
        r"|rent) (?P<y>.+)",
        "Do you {v} {y}?",
    ),
    (r"no (?P<y>\w+ing\b.*)", "Is {y} allowed?"),
    (rf"no (?P<y>{_FORBIDDEN}\b.*)", "May I bring {y}?"),
    (r"(?:we are |we're )?closed (?P<y>(?:on|at|over|during|every|in) .+)", "Are you open {y}?"),
    (r"there (?P<v>is|are) (?:no |not any |an? )?(?P<y>.+)", "{V} there {y}?"),
    (
        r"(?:please )?(?:do not|don't|never) (?!forget|hesitate|worry|panic|miss|be |let |lose |fail)"
        r"(?P<y>.+)",
        "May I {y}?",
    ),
    (r"we (?:do not|don't) (?P<y>.+)", "Do you {y}?"),
    (rf"{_SUBJECT} (?P<v>is|are) (?:not )?(?P<y>{_STATE}\b.*)", "{V} {x} {y}?"),
    (rf"{_SUBJECT} must not (?P<y>.+)", "May {x} {y}?"),
    (rf"(?P<x>{_SOMEBODY}) (?P<v>may)(?: not)? (?P<y>.+)", "{V} {x} {y}?"),
    (rf"{_SUBJECT} (?P<v>may)(?: not)? (?P<y>be \w+ed\b.*)", "{V} {x} {y}?"),
    (rf"{_SUBJECT} (?P<v>can|must|should)(?:not| not)? (?!miss\b|go wrong)(?P<y>.+)", "{V} {x} {y}?"),
)
_NO_SUBJECT = re.compile(
    r"\b(?:if|when|after|before|please|there|it|this|that|these|those|which|who|what|and|but|or|not|no|we|they|only"
    r"|nobody|nothing|none|every\w*|most|you|is|are|can|may|must|should|will)\b",
    re.IGNORECASE,
)
_NAMES = re.compile(r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?\b|[A-Z][A-Z]|I\b")
_NO_END = re.compile(
    r"(?:\s(?:the|an?|of|to|and|in|on|at|for|with|or|your|our|is|are|be|by|from|not|no))+$", re.IGNORECASE
)
_BEGINS_EN = re.compile(
    r"^(?:please )?(?:there (?:is|are)(?: no| any| an?)?|do not|don't|never|no"
    r"|you (?:can't|(?:can|may|must|should)(?:not| not)?)"
    r"|we (?:do not|don't)?|please)\s+",
    re.IGNORECASE,
)
_VERB_EN = re.compile(r"\s(?:is|are|must|may|can|cannot|should|will|has|have|do|does|cost|costs)\b")


def are_rules(heading: str) -> bool:
    """Whether what stands under a heading are rules, terms, things to note."""
    return _RULES.search(heading) is not None


def is_of_sentences(heading: str, items: Sequence[str], ordered: bool) -> bool:
    """Whether each item of a list says something of its own: no names, and no steps that need their order."""
    ruled = are_rules(heading)
    if not items or (not ruled and (ordered or _STEPS.search(heading))):
        return False
    return ruled or 2 * sum(map(says, items)) > len(items)


def says(item: str) -> bool:
    if language_of(item) == "zh":
        return len(item) >= 4 and _SAYS_ZH.search(item) is not None
    return len(item.split()) >= 2 and _SAYS_EN.search(item) is not None


def topics(item: str) -> Iterator[str]:
    """What an item can be asked by, the shortest first: its own first words."""
    clause = _clauses(item)[0]
    if language_of(item) == "zh":
        of_somebody = re.search("的|.请", clause)  # without "不能" it would be somebody else
        short = clause if of_somebody else _MODAL_ZH.sub("", clause)
        wanted = (_cut(short), clause, item.rstrip("。！；"))
        yield from (one for one in wanted if len(one) > 1 and not one.endswith("的话"))
        return
    words = _BEGINS_EN.sub("", clause)
    subject = _VERB_EN.split(words)[0]
    if len(subject) < len(words) and len(subject.split()) <= TOPIC_WORDS and not _NO_SUBJECT.search(subject):
        yield subject
    if found := _NO_END.sub("", " ".join(words.split()[:TOPIC_WORDS])):
        yield found
    yield clause


def _cut(text: str) -> str:
    """The first characters of a text, with no number cut in two."""
    cut = text[:TOPIC_CHARACTERS]
    goes_on = re.match(r"[\dA-Za-z]", text[TOPIC_CHARACTERS:])
    return _CUT_NUMBER.sub("", cut) or cut if goes_on else cut


def plainly(item: str) -> Iterator[str]:
    """The questions that an item plainly answers."""
    yield from what_is_told(item)
    yield from yes_or_no(item)


def what_is_told(item: str) -> Iterator[str]:
    """What a statement in Chinese is the answer to, where that is plain: "取衣要带什么？" to "取衣凭小票"."""
    # Where something is may stand behind a blank, and so may by how much it is less.
    clause = _clauses(_PARTED.sub("", item))[0]
    if _is_plain(item, clause):
        yield from _asked_zh(clause, _TOLD_ZH)


def yes_or_no(item: str) -> Iterator[str]:
    """The questions whether it is so, where a clause of Chinese says that plainly, or the first clause of
    another language; else nothing."""
    clause, *others = _clauses(item)
    if not _is_plain(item, clause):
        return
    if off := _HOLIDAY_OFF.fullmatch(item.strip("。！! ")):
        yield f"{off['x']}营业吗？"
        return
    if language_of(item) == "zh":
        yield from _asked_zh(clause)
        for other in others:
            if 2 < len(other) <= LONGEST_CLAUSE and _REFUSES.match(other):
                yield from _asked_zh(other)
    else:
        yield from _asked_en(clause)


def _is_plain(item: str, clause: str) -> bool:
    return bool(clause) and len(clause) <= LONGEST_CLAUSE and not _ASKS_OR_CALLS.search(item)


def _asked_zh(clause: str, patterns: Sequence[tuple[str, str]] = _ASKED_ZH) -> Iterator[str]:
    if _NOT_PLAIN_ZH.search(clause):
        return
    for pattern, asked in patterns:
        if found := re.fullmatch(pattern, clause):
            said = found.groupdict()
            who = _LEFT_OVER.sub("", said["x"].strip()).replace("我们", "你们")
            yield asked.format(x=who, y=said.get("y", "").strip().replace("我们", "你们"))
            return


def _asked_en(clause: str) -> Iterator[str]:
    for pattern, asked in _ASKED_EN:
        if found := re.fullmatch(pattern, clause, re.IGNORECASE):
            parts = found.groupdict("")
            subject, rest = _subject(parts.get("x", "")), _turned(parts["y"])
            if clause.startswith(rest):  # it stands in the middle of the question
                rest = _in_a_sentence(rest)
            if (rest or "{y}" not in asked) and (subject or "{x}" not in asked):
                verb = parts.get("v", "")
                yield asked.format(x=subject, v=verb.lower(), V=verb.capitalize(), y=rest)
            return


def _subject(words: str) -> str:
    """As it stands in a question; empty where it may be something else than who or what."""
    if words.lower() == "you":
        return "I"
    if not words or _NO_SUBJECT.search(words) or re.search(r"\byour", words, re.IGNORECASE):
        return ""
    return _in_a_sentence(words)


def _in_a_sentence(words: str) -> str:
    return words if _NAMES.match(words) else words[:1].lower() + words[1:]


def _turned(rest: str) -> str:
    """What whoever reads it would say; empty where that is not plain."""
    rest = re.sub(r"\byour\b", "my", re.sub(r"\bour\b", "your", rest))
    return "" if re.search(r"\b(?:you|we|us|not|no|but|unless|except|only|and)\b", rest) else rest


def _clauses(item: str) -> list[str]:
    return [_POLITE.sub("", one.strip()) for one in _CLAUSE.split(item.strip())]

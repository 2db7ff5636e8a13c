"""What a Chinese answer says of the assistant: names after 我是 and 我叫, makers after 由."""

import re
from collections.abc import Iterator

from core.data.checking.claim import Claim, Patterns, compiled, is_a_model

# Marks that end a clause; a name ends at a space too.
_CLAUSE = r"，。、,！？!?；;：:…~～"
_END = rf"\s{_CLAUSE}"
# A name goes on to the next mark; Latin words may have spaces between them.
_LETTER = rf"[^{_END}“”\"「」《》【】（）()的]"
_LATIN = r"[A-Za-z0-9][A-Za-z0-9.+&'’-]{0,30}(?: [A-Z0-9&][A-Za-z0-9.+&'’-]{0,30}){0,4}"
_ATOM = rf"[ “\"「《【]*(?P<name>(?:{_LATIN}|{_LETTER}){_LETTER}{{0,30}})"
_NAME = rf"{_ATOM}(?=[{_CLAUSE}”\"」》】（(]|\s(?![A-Z0-9])|$)"
# A company or a person before a verb; brackets belong to it, commas do not.
_ORG = (
    rf"[ “\"]*(?P<name>[^{_END}“”\"的由我你您]{{1,40}}?(?: [A-Z][\w.&-]*)*(?:（[^）]*）|\([^)]*\))?)[ ”\"]*"
)
_ORG_BY = _ORG.replace("的由我", "由我")
_WORKERS = (
    r"(?:的?(?:工程师|研究人员|研究员|科学家|科研人员|开发者|开发人员|专家|研究团队|开发团队|研发团队|技术团队"
    r"|算法团队|工程团队|团队|小组|同学|员工)们?)?"
)
_HOW = r"(?:(?:共同|联合|自主|独立|自行|全力|精心|一起|合作|倾力|全新|最新|专门|协同|携手|所|来|正式|原创) ?)"
_VERB = (
    r"(?:开发|開發|研发|研發|创造|創造|创建|训练|訓練|打造"
    r"|设计|設計|制作|製作|推出|研制|发布|发明|构建|编写|创作|提供|开源|培育|培养|孵化)"
)
_MADE = rf" ?{_WORKERS} ?{_HOW}*{_VERB}(?:和|并|与|及|、)?{_VERB}?"
_AI = (
    r"(?:模型|[aA][iI]|人工智能|人工智慧|助手|助理|机器人|機器人|系统|程序|客服|智能体"
    r"|管家|智能|小帮手|伙伴|秘书)"
)
_SERVANT = r"(?:助手|助理|小帮手|秘书|管家|伙伴)"
_PRODUCT = r"(?:模型|[aA][iI](?!助)|人工智能(?!助)|机器人|系统|程序|智能体|客服)"
# How a verb ends: looked at from behind, where only a fixed width can be.
_VERBED = r"[发發造练訓練计計作出制建写供源育养化]"
_ONE = r"(?:一个|一款|一名|一位|一种|一個|个|款|名)?"
_SELF = r"我(?:就|其实|只|正|也|可)?(?:是|叫|乃)"
_WHO = (
    r"(?:开发者|开发商|创造者|创建者|研发者|制造者|作者|设计者|开发团队|研发团队|开发公司|研发公司|母公司|所属公司"
    r"|制作者|训练者|开发方|研发方|缔造者|发明者|开发人员|创始人)(?:们)?"
)
_CALLED = (
    r"(?:我叫做?|我的(?:名字|名称|代号|昵称|中文名|英文名)(?:就)?(?:是|叫做?|为)"
    r"|名叫|名为|叫我|称呼?我为?|我名为|唤作)"
)
# What every pattern below holds.
ANCHOR = re.compile("我|这里是")
_TOLD = rf"[^{_CLAUSE}]{{1,24}}"

_PATTERNS: Patterns = (
    # names
    ("name", rf"{_SELF}(?!由|一[个款名位种個]){_NAME}", False),
    ("name", rf"{_CALLED} ?{_NAME}", False),
    ("name", rf"作为(?!一[个款名位种個]){_NAME}(?=[，,])", False),
    ("name", rf"(?:^|[，,])这里是{_NAME}(?<!客服|中心|公司)(?=[，,。]|$)", False),
    (
        "name",
        rf"{_SELF}(?:[你您]的)?[^{_END}的]{{0,12}}?(?:助手|助理|客服|机器人|管家|专员|顾问){_NAME}",
        True,
    ),
    (
        "name",
        rf"{_SELF}{_ONE}由?{_TOLD}?的[^{_END}的]{{0,8}}?(?:助手|助理|客服|机器人|管家){_NAME}",
        True,
    ),
    ("name", rf"{_SELF}{_ONE}由?{_TOLD}?{_VERB}的{_NAME}", True),
    ("name", rf"{_SELF}(?!由)[^{_CLAUSE}的]{{1,20}}的{_NAME}", False),
    ("name", rf"[^{_END}]{{1,12}}是我的名字", False),
    # whose it is
    ("owner", rf"{_SELF}(?!由){_ATOM}(?<!{_VERBED}) ?的[^{_END}的]{{0,8}}?{_SERVANT}", True),
    ("maker", rf"{_SELF}(?!由){_ATOM}(?<!{_VERBED}) ?的[^{_END}的]{{0,8}}?{_PRODUCT}", True),
    (
        "owner",
        rf"{_SELF}{_TOLD}[，,](?:也|就)?是(?!由)"
        rf"{_ATOM}(?<!{_VERBED}) ?的[^{_END}的]{{0,8}}?{_SERVANT}",
        True,
    ),
    ("owner", rf"我的主人(?:是|叫|为)?{_NAME}", True),
    # who made it
    (
        "maker",
        rf"(?:我|这里是)(?P<between>[^。！？!?我\n]{{0,40}}?)由(?!衷|此|于|来|浅){_ORG_BY}{_MADE}",
        True,
    ),
    ("maker", rf"{_SELF}{_ONE}(?!由){_ORG}{_MADE}(?:出来|而成|出)?的", True),
    ("maker", rf"{_SELF}{_TOLD}[，,](?:也|就)?(?:是)?{_ONE}(?!由){_ORG}{_MADE}(?:出来|而成|出)?的", True),
    ("maker", rf"{_SELF}{_TOLD}[，,](?:[^{_CLAUSE}]{{0,20}}[，,])?是(?!由){_ORG}的作品", True),
    ("maker", rf"作为{_ONE}由?{_ORG}{_MADE}的[^{_END}]{{0,14}}?{_AI}", True),
    ("maker", rf"我的{_WHO}(?:是|叫|来自|为|：|:){_NAME}", True),
    ("maker", rf"我的{_WHO}(?P<name>[^{_END}是叫的]{{2,8}}?)(?=曾|说|认为|在|告诉|希望|[，。])", True),
    ("maker", rf"{_VERB}了?我的(?:公司|团队|人|机构|企业|组织)?(?:就)?是{_NAME}", True),
    ("maker", rf"(?:^|[{_END}])是?{_ORG}{_WORKERS} ?{_HOW}*{_VERB}(?:了|出)我", True),
    ("maker", rf"我(?:是)?(?:来自|出自|隶属于?|属于){_NAME}", False),
    ("maker", rf"我背后的{_TOLD}?(?:是|叫|为|来自){_NAME}", True),
    ("maker", rf"(?:^|[{_END}]){_ORG}是我的{_WHO}", True),
)
# What follows a name of an assistant: what it is, or who made it. A person works somewhere instead.
_WHAT_IT_IS = re.compile(
    rf"[”\"」》】]?\s*(?:（[^）]*）|\([^)]*\))?\s*[，,、 ]"
    rf"(?:(?:(?!在|从事|毕业|工作|参与)[^。！？!?]){{0,24}}?{_AI}|(?:也|就)?是?{_ONE}由?{_TOLD}?{_VERB})"
)
_HELP = re.compile(
    r"(?:为|替|帮)(?:您|你|大家)(?:服务|解答|效劳|提供)|(?:可以|能|能够|随时|有什么|怎么|哪里)[^。！？!?]{0,8}(?:帮|问我|找我|效劳)|请问|[您你]可以"
    r"|自然语言|语言模型|智能化|回答(?:各种|[您你]的|用户的?)?问题|智能算法"
)
_SUPPOSED = re.compile(r"(?:如果|假如|假设|要是|倘若|若|假使|想象|当作)[^，。]{0,6}我")
# What stands between 我 and 由 when somebody else is spoken of.
_OTHERS = re.compile(
    r"[不非没未]|认为|觉得|建议|想|说|看|知道|推荐|了解|支持|使用|喜欢|根据|经过|的(?![^，。]{0,4}(?:名字|中文名|助手|助理|秘书|管家))|们|希望|听|用|可以|会|能|从"
    r"|家|这|那|它|他|她"
)
# An answer that says of itself what it is.
IS_AI = re.compile(rf"(?:我是|作为)[^{_CLAUSE}]{{0,24}}?{_AI}")
# Nor when it ends otherwise than as "我是由" or "我是小禾，一款由" do.
_LINKED = re.compile(rf"(?:^|是|[，,、 ]|个|款|名|位|种|個|也|就|{_AI})$")
# No name, however it goes on.
_NO_NAME = re.compile(
    r"(?:一[个款名位种群台只座家]|[个位种款]|[你您它他她谁咱]|什么|怎|如何|大家|人们|这|那|哪|此|本|不|没|非|为|在|从|被|把|让|用|靠|凭|以"
    r"|(?:学生|老师|教师|医生|护士|律师|家长|父|母|朋友|顾客|客户|用户|消费者|作者|公民|中国人|读者|专家|经理|员工|老板|领导|记者|警察|司机)"
    r"|通过|经过|根据|基于|按|专|想|说|要|会|能|可|很|非常|真|认真|支持|来|去|经|对|向|最|更|指|属|重要|由|衷|叫|是|自|所|因|一)"
)
_GENERIC = re.compile(
    r"(?:人工智能|人工智慧|智能|AI|ai|语音|语言|大型|大|小|超级|对话|聊天|虚拟|数字|在线|专属|私人|个人|专业|通用|预训练|自然|计算机"
    r"|生成式|开源|中文|客服|助手|助理|语言模型|語言模型|模型|机器人|機器人|程序|系统|伙伴|朋友|管家|顾问|专员|帮手|人类|真人|软件|工具|服务|语言模型|产品|智能体|技术"
    r"|工程师|开发者|开发人员|开发|研发|团队|公司|科学家|研究人员|研究者|专家|许多|很多|众多|多个|多位|一群|一些|人|们|的|和|与|、|大量|海量|数据"
    r"|文本|努力|优秀|我们|本公司|贵公司|某某|某|学者|程序员|技术人员|机构|组织|作者|LLM|GPT模型|哦|呀|啦|呢|哒)*"
)
_TAIL = re.compile(r"(?:团队|自主|的?工程师们?|共同|联合|[哦呀啦呢哈吧哒~]+)$")


def claims_in(sentence: str, following: str, bare: bool) -> Iterator[Claim]:
    """The claims of one sentence; ``following``: the one after it, ``bare``: a name without any other sign is
    the assistant's, for it was asked who it is or says elsewhere what it is."""
    if _SUPPOSED.search(sentence):
        return
    for kind, pattern, sure in compiled(_PATTERNS):
        for match in pattern.finditer(sentence):
            found = match.groupdict()
            if "name" not in found:
                start, end = match.start(), match.end() - len("是我的名字")
            else:
                start, end = match.span("name")
            start, end = _trimmed(sentence, start, end)
            name, rest = sentence[start:end], sentence[end:]
            if start >= end or _is_nobody(name) or not _is_own(found.get("between") or ""):
                continue
            known = is_a_model(name)
            if not sure:
                told = bool(_WHAT_IT_IS.match(rest)) or (len(name) > 3 and bool(re.search(rf"{_AI}$", name)))
                if not (known or told or bare or _HELP.search(rest + following)) or len(name) > 20:
                    continue
                yield Claim(kind, name, start, end, bool(known or told))
            else:
                yield Claim(kind, name, start, end, True)


def _is_own(between: str) -> bool:
    return not _OTHERS.search(between) and bool(_LINKED.search(between))


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Without spaces and brackets around it, and without what only says that it is a company's."""
    name = text[start:end]
    start += len(name) - len(name.lstrip(' “"「《【'))
    name = text[start:end].rstrip(' ”"」》】')
    cut = _TAIL.sub("", name)
    return start, start + len(cut if len(cut) > 1 else name)


def _is_nobody(name: str) -> bool:
    return bool(_NO_NAME.match(name) or _GENERIC.fullmatch(name))

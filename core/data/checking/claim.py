"""One thing that an answer says of the assistant, and the names that are known without any other sign."""

import re
from typing import NamedTuple


class Claim(NamedTuple):
    """What an answer says of the assistant. ``kind``: ``name`` (what it is called), ``maker`` (who made it)
    or ``owner`` (whose assistant it is). ``start`` and ``end``: where ``name`` stands in the answer.

    ``sure``: the sentence itself speaks of a model or an assistant, or the name is a known one; else it may
    be a person of a letter or a story who speaks.
    """

    kind: str
    name: str
    start: int
    end: int
    sure: bool = False


# Assistants and those who make them, in whatever case. Words that mean something else are not among them.
_MODELS = r"""
chatgpt gpt-?[34]\w* gpt-?oss claude bard llama\W?[0-9.]* mistral mixtral qwen[\w.-]* qwq tongyi internlm[\w.-]*
chatglm[\w.-]* glm-[\w.-]+ kimi deepseek[\w.-]* doubao ernie hunyuan baichuan[\w.-]* minimax abab sensechat
sensenova moss alexa siri cortana bixby copilot grok vicuna gemma smollm[\w.-]* stablelm wizardlm cohere lamda
zephyr nemotron pangu chatbot-?gpt starcoder codellama openassistant rwkv xverse skywork minicpm[\w.-]*
"""
_MAKERS = r"""
openai anthropic deepmind xai alibaba zhipu moonshot bytedance baidu iflytek tencent huawei sensetime stepfun
huggingface mistralai nvidia eleutherai lmsys 01\.ai
"""
# Common words too: only as a whole name, with its capital letter.
_ALSO_WORDS = frozenset(
    """Gemini Bing Falcon Phi Pi Yi Jamba Jurassic Alpaca BLOOM Bloom PaLM Watson Granite Nova Perplexity Poe
    Replika Orca Hermes OLMo Dolly Bixby Luminous Tulu Solar""".split()
)
_CHINESE = r"""
通义千问 通义 阿里云 阿里巴巴 达摩院 书生·?浦语 书生 智谱清言 智谱 月之暗面 深度求索 豆包 字节跳动 文心一言 文心 百度
讯飞星火 星火认知 科大讯飞 混元 元宝 腾讯 百川智能 百川 零一万物 万知 海螺AI 阶跃星辰 跃问 商汤 日日新 小爱同学 小度
小冰 天猫精灵 小艺 360智脑 盘古 华为 面壁智能 智源 云小蜜 天工 微软 谷歌
"""


def _any(words: str) -> str:
    return "|".join(words.split())


KNOWN = re.compile(
    rf"(?<![A-Za-z0-9])(?:{_any(_MODELS)}|{_any(_MAKERS)})(?![A-Za-z0-9])|{_any(_CHINESE)}", re.IGNORECASE
)
# The same where a sentence is searched for a name that may begin in lower case.
KNOWN_LATIN = rf"(?i:{_any(_MODELS)}|{_any(_MAKERS)})"
# A name that is spelled as only models are: StableLM, GPT4All, Phi-3, EduBot.
_SPELLED = re.compile(
    r"[A-Z][a-z]+(?:LM|GPT|Bot|AI|Chat|Mate|Gen)\b|\b[A-Z][\w-]*(?:LLM|GPT|Bot|Chat)\b|\b[A-Z][a-z]+-?[0-9][\w.]*\b"
)


def is_a_model(name: str) -> bool:
    """Whether the name alone tells that it is a model's."""
    return bool(KNOWN.search(name) or _SPELLED.search(name)) or name in _ALSO_WORDS

"""Prompt templates: the text around a question and its answer, the same in training, chat and proof.

The strings are XTuner 0.2.0's ``PROMPT_TEMPLATE`` (Apache-2.0, OpenMMLab); a test holds them equal.
"""

import re
from dataclasses import dataclass

# What a tokenizer or a template would take for more than text, wherever a person's words hold it.
MARKS = re.compile(r"<\|.*?\|>|<eo[ah]>|</?s>|\[/?INST\]")


@dataclass(frozen=True)
class Template:
    """One prompt template by XTuner's name."""

    name: str
    instruction: str
    system: str = ""
    suffix: str = ""
    sep: str = "\n"
    stop_words: tuple[str, ...] = ()
    # What stands before a conversation that has no system prompt.
    begin: str = ""

    def prompt(self, question: str, system: str = "") -> str:
        """The text a model continues: system, question and the start of the answer."""
        return self.written(question, system)

    def written(self, question: str, system: str = "") -> str:
        """What the template writes of one turn before its answer, wherever in a conversation it stands."""
        before = self.system.replace("{system}", system) if system else ""
        return before + self.instruction.replace("{input}", question)

    def asked(self, question: str, system: str, first: str) -> str:
        """As :meth:`prompt`, with the token that training puts ``first``."""
        return first + self.prompt(question, system)


# In a recipe: the model's own chat template (core.recipe.own_template), and the same without the system
# prompt that it puts in where none is given.
OWN, OWN_WITHOUT_DEFAULT = "own", "own_without_default"

# XTuner puts the tokenizer's first token before the texts of every tokenizer class but these.
WITHOUT_FIRST_TOKEN = {"QWenTokenizer", "QWen2Tokenizer", "Qwen2Tokenizer", "Qwen2TokenizerFast"}

_CHATML_SYSTEM = "<|im_start|>system\n{system}<|im_end|>\n"
_CHATML = "<|im_start|>user\n{input}<|im_end|>\n<|im_start|>assistant\n"

TEMPLATES: dict[str, Template] = {
    t.name: t
    for t in (
        Template(
            "qwen_chat", _CHATML, _CHATML_SYSTEM, "<|im_end|>", stop_words=("<|im_end|>", "<|endoftext|>")
        ),
        Template("internlm2_chat", _CHATML, _CHATML_SYSTEM, "<|im_end|>", stop_words=("<|im_end|>",)),
        Template(
            "internlm_chat",
            "<|User|>:{input}<eoh>\n<|Bot|>:",
            "<|System|>:{system}\n",
            "<eoa>",
            stop_words=("<eoa>",),
        ),
        Template(
            "llama3_chat",
            "<|start_header_id|>user<|end_header_id|>\n\n{input}<|eot_id|>"
            "<|start_header_id|>assistant<|end_header_id|>\n\n",
            "<|start_header_id|>system<|end_header_id|>\n\n{system}<|eot_id|>",
            "<|eot_id|>",
            sep="",
            stop_words=("<|eot_id|>",),
        ),
        Template(
            "llama2_chat",
            "[INST] {input} [/INST]",
            "[INST] <<SYS>>\n You are a helpful, respectful and honest assistant. Always answer as helpfully "
            "as possible, while being safe. Your answers should not include any harmful, unethical, racist, "
            "sexist, toxic, dangerous, or illegal content. Please ensure that your responses are socially "
            "unbiased and positive in nature.\n{system}\n<</SYS>>\n [/INST] ",
        ),
        Template("mistral", "[INST] {input} [/INST]", "[INST] {system} [/INST]\n"),
        Template(
            "phi3_chat",
            "<|user|>\n{input}<|end|>\n<|assistant|>\n",
            "<|system|>\n{system}<|end|>\n",
            "<|end|>",
            stop_words=("<|end|>",),
        ),
        Template("default", "<|User|>:{input}\n<|Bot|>:", "<|System|>:{system}\n"),
    )
}


def template_names() -> tuple[str, ...]:
    """All that a recipe's template may be called, "auto" first."""
    return ("auto", OWN, OWN_WITHOUT_DEFAULT, *TEMPLATES)


def template_for(chat_template: str, model_type: str) -> str:
    """The name of the template that a model's own chat template speaks.

    Both ChatML names give the same text; InternLM's own is kept so that its files read as its authors wrote.
    """
    marks = {
        "<|im_start|>": "internlm2_chat" if model_type.startswith("internlm") else "qwen_chat",
        "<|start_header_id|>": "llama3_chat",
        "<eoh>": "internlm_chat",
        "<<SYS>>": "llama2_chat",
        "[INST]": "mistral",
        "<|end|>": "phi3_chat",
    }
    return next((name for mark, name in marks.items() if mark in chat_template), "default")

"""What a model thought before it answered, and the answer: one reader for every form that models write.

A thought stands at the head of an answer between two marks. The first may be missing, because the chat
template wrote it into the prompt (:func:`left_open` says which); the second is missing while the answer
arrives and where the token limit cut the thought: then there is no answer yet.
"""

import re
from collections.abc import Callable
from typing import NamedTuple


class Form(NamedTuple):
    """How thoughts begin and end. ``alone``: the closing mark tells a thought although the opening one is
    missing. ``prose``: the opening one is words that anybody may write: alone they are no thought. ``tail``:
    what ends the answer after such a thought."""

    open: str
    close: str
    alone: bool = True
    prose: bool = False
    tail: str = ""


FORMS = (
    Form("<think>", "</think>"),  # Qwen, DeepSeek, SmolLM, GLM, Hunyuan, MiniMax, Kimi, Nemotron, LFM
    Form("<thinking>", "</thinking>"),
    Form("<thought>", "</thought>"),  # EXAONE Deep
    Form("<seed:think>", "</seed:think>"),  # Seed-OSS
    Form("◁think▷", "◁/think▷"),  # Kimi-VL
    Form("[THINK]", "[/THINK]"),  # Magistral, Ministral
    Form("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A
    Form("<|begin_of_thought|>", "<|end_of_thought|>"),  # OpenThoughts, Sky-T1
    Form("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    Form("<|channel>thought", "<channel|>"),  # Gemma 4
    Form("<|channel|>analysis<|message|>", "<|end|>", alone=False),  # gpt-oss
    Form("<|channel|>commentary<|message|>", "<|end|>", alone=False),
    Form(
        "Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]", False, True, "[END FINAL RESPONSE]"
    ),  # Apriel
    Form("Here is my thought process:", "Here is my response:", False, True),  # Granite 3.2
)
# What some models write around the answer after a thought: (before, after).
WRAPS = (
    ("<answer>", "</answer>"),
    ("<response>", "</response>"),
    ("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
)
# gpt-oss names the channel of each message; the last one is the answer, with or without a thought before it.
HEADS = ("<|start|>assistant", "<|channel|>final<|message|>")
TAILS = ("<|return|>", "<|end|>")
# What the head of an answer may still become.
_HALVES = (*HEADS, *(form.open for form in FORMS))
_MARK = re.compile(r"<[^<>]+>|\[/?[A-Z ]+\]|◁[^◁▷]+▷")
_QUOTES = "`'\"“”‘’「」《》"
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")


class Said(NamedTuple):
    """An answer apart from its thought. ``mark``: the one the thought began with, empty where there was none;
    ``left`` is false for a thought that never came to its answer, which is then empty."""

    thought: str
    answer: str
    mark: str = ""
    left: bool = True


def split(text: str, arriving: bool = False) -> Said:
    """The thoughts at the head of a text, joined, and the answer after them; without a thought it stays as it
    is. Of a text that is still ``arriving`` no half of a mark is shown."""
    thoughts: list[str] = []
    mark, rest = "", text
    while (form := _begun(rest)) and (arriving or not form.prose or form.close in rest):
        mark = mark or form.open
        inside = _without_head(rest)[len(form.open) :]
        thought, closed, rest = inside.partition(form.close)
        thoughts.append(
            _bare(thought if closed or not arriving else _without_half(thought, form.close), form)
        )
        if not closed:
            return Said(_joined(thoughts), "", mark, left=False)
    if not mark and (form := _closed(text)):
        thought, _, rest = text.partition(form.close)
        mark, thoughts = form.open, [_bare(thought, form)]
    return Said(_joined(thoughts), _answer(rest, mark, arriving), mark)


def may_think(text: str) -> bool:
    """Whether a text can hold a thought: a quick look before :func:`split`."""
    return "<" in text or "THINK]" in text or "think▷" in text or text.lstrip().startswith("Here ")


def left_open(prompt: str) -> str:
    """The end of a prompt in which a thought is begun, so that the answer goes on inside it; else nothing."""
    end = prompt.rstrip()
    for form in FORMS:
        if end.endswith(form.open):
            return form.open + prompt[len(end) :]
    return ""


def closing(opened: str) -> str:
    """The mark that ends a thought begun with what :func:`left_open` returned."""
    return next(form.close for form in FORMS if form.open == opened.strip())


def special_marks(is_token: Callable[[str], bool]) -> frozenset[str]:
    """The special tokens that a decoded answer must keep for :func:`split`: those of the forms that the
    tokenizer has marks for."""
    found: set[str] = set()
    for form in FORMS:
        marks = _MARK.findall(form.open + form.close)
        if marks and all(map(is_token, marks)):
            found.update(marks)
            found.update(_MARK.findall("".join(HEADS)) if marks[0] == "<|channel|>" else ())
    found.update(mark for wrap in WRAPS for mark in _MARK.findall("".join(wrap)) if found and is_token(mark))
    return frozenset(found)


def count_words(text: str) -> int:
    """Words, and each Chinese or Japanese character for one."""
    return len(_WORD.findall(text))


def _begun(text: str) -> Form | None:
    head = _without_head(text)
    return next((form for form in FORMS if head.startswith(form.open)), None)


def _without_head(text: str) -> str:
    head = text.lstrip()
    for known in HEADS:
        head = head.removeprefix(known)
    return head.lstrip()


def _closed(text: str) -> Form | None:
    """The form of which a text has only the closing mark; one in quotes is spoken of, not written."""
    for form in FORMS:
        at = text.find(form.close) if form.alone else -1
        if at >= 0 and form.open not in text:
            beside = (text[at - 1 : at], text[at + len(form.close) :][:1])
            if not any(one and one in _QUOTES for one in beside):
                return form
    return None


def _answer(text: str, mark: str, arriving: bool) -> str:
    """The answer without what stands around it."""
    begun, bare = text.lstrip(), _without_head(text)
    wraps = WRAPS if mark else ()
    halves = (*_HALVES, *(before for before, _ in wraps))
    if arriving and (_is_half(begun, halves) or _is_half(bare, halves)):
        return ""
    if begun != bare:
        return _without_end(bare, TAILS, arriving)
    for before, after in wraps:
        if begun.startswith(before):
            return _without_end(begun.removeprefix(before).lstrip(), (after,), arriving)
    tails = tuple(form.tail for form in FORMS if form.open == mark and form.tail)
    return _without_end(begun, tails, arriving) if mark else text


def _without_end(text: str, ends: tuple[str, ...], arriving: bool) -> str:
    bare = text.rstrip()
    for end in ends:
        if bare.endswith(end):
            return bare.removesuffix(end).rstrip()
        if arriving:
            text = _without_half(text, end)
    return text


def _is_half(text: str, marks: tuple[str, ...]) -> bool:
    """Whether a text may still become one of the marks."""
    return bool(text) and any(mark != text and mark.startswith(text) for mark in marks)


def _without_half(text: str, mark: str) -> str:
    """The text without a beginning of the mark at its end."""
    for length in range(min(len(mark) - 1, len(text)), 0, -1):
        if text.endswith(mark[:length]):
            return text[:-length]
    return text


def _bare(thought: str, form: Form) -> str:
    """A model may write the mark again that its prompt ends with."""
    return thought.strip().removeprefix(form.open).strip()


def _joined(thoughts: list[str]) -> str:
    return "\n\n".join(filter(None, thoughts))

"""A model's own chat template as the training's: the Jinja in its folder, and what it writes around texts.

XTuner's named templates are strings around a question; a chat template is a program. What such a program
writes around each part is found by rendering it with words that stand for the parts. Everything that is
trained is rendered by the program itself (``core.data.own_encoder``); the strings found here serve where only
parts are asked for: the token that ends an answer, the marks that no text may hold, Ollama's file.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from core.errors import NotAModel
from core.models.folder import Model, chat_template_of
from core.recipe.chat_template import (
    render,
    special_tokens,
    tokenizer_class,
    tokenizer_settings,
    training_template,
)
from core.recipe.templates import OWN, OWN_WITHOUT_DEFAULT, TEMPLATES, Template, template_for
from core.wording import say
from core.workspace.files import Stamp, read_json, stamp

Message = Mapping[str, Any]
Messages = Sequence[Message]
# What a template may do to a message it does not like.
RENDERING = (TemplateError, TypeError, ValueError, LookupError, AttributeError)

_SYSTEM, _ASKED, _SAID, _AGAIN = "Xsystemx", "Xaskedx", "Xsaidx", "Xagainx"
# Texts that a template might treat in some way of its own, as far as it does not trim them.
_PROBES: tuple[Messages, ...] = tuple(
    [
        {"role": role, "content": text}
        for role, text in zip(("system", "user", "assistant", "user")[first:], texts[first:], strict=False)
    ]
    for texts in (
        ("Be brief. 用中文回答。", "Who are you?", "1. {x}\n2. 翻译\n3. …", "你会做什么？\nList 3."),
    )
    for first in (0, 1)
)
# Put before a template that takes no system prompt: it stands before the first question instead.
FOLD = (
    "{%- if messages[1:] and messages[0]['role'] == 'system' %}"
    "{%- set messages = [{'role': messages[1]['role'], 'content': messages[0]['content'] + '\\n\\n' + "
    "messages[1]['content']}] + messages[2:] %}{%- endif %}"
)
# A text in Jinja.
STRING = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
# A thought that the template opens for the model, at the end of a prompt.
OPENED = re.compile(r"<(\w+)>\s*$")


class Unspeakable(ValueError):
    """A chat template that cannot be trained: it writes the conversation in no way that can be followed."""


@dataclass(frozen=True)
class OwnTemplate(Template):
    """A chat template: its Jinja ``source``, the special ``tokens`` it may name, and the ``options`` it is
    rendered with. ``default`` is the system prompt that it puts in by itself where none is given. ``late``:
    whether it takes a system prompt in the middle."""

    source: str = ""
    tokens: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, Any], ...] = ()
    default: str = ""
    late: bool = True

    def prompt(self, question: str, system: str = "") -> str:
        """The whole text that a model continues. Raises Unspeakable."""
        return self.render(self.messages(question, system))

    def asked(self, question: str, system: str, first: str) -> str:  # noqa: ARG002  it writes its own first token
        """As :meth:`prompt`."""
        return self.prompt(question, system)

    def messages(self, question: str, system: str = "", later: bool = False) -> list[Message]:
        """One turn's messages; a system prompt in the middle stands before its question where the template
        takes none there."""
        if system and later and not self.late:
            return [{"role": "user", "content": f"{system}\n\n{question}"}]
        before = [{"role": "system", "content": system}] if system else []
        return [*before, {"role": "user", "content": question}]

    def render(self, messages: Messages, ask: bool = True) -> str:
        """The messages as the template writes them. Raises Unspeakable."""
        try:
            return render(self.source, messages, dict(self.tokens), ask, **dict(self.options))
        except RENDERING as error:
            raise Unspeakable(f"{type(error).__name__}: {error}") from error

    def answer(self, messages: Messages, text: str) -> tuple[str, str]:
        """What the model reads before the answer ``text`` to these messages, and what it is to write: all
        that the template puts around the answer, up to what ends it. Raises Unspeakable."""
        prompt = self.render(messages)
        whole = self.render([*messages, {"role": "assistant", "content": text}], ask=False)
        if whole.startswith(prompt):
            return prompt, self._ended(whole[len(prompt) :])
        shared = _shared(prompt, whole)
        opened, rest = prompt[shared:], whole[shared:]
        if found := OPENED.search(opened):
            return prompt, self._ended(f"\n</{found[1]}>\n\n{rest.lstrip()}")
        if opened.isspace():
            return prompt, self._ended(rest)
        raise Unspeakable(say("template.unspeakable", prompt=prompt[shared:][:60], whole=rest[:60]))

    def _ended(self, answer: str) -> str:
        """Without what the template writes after the token that ends an answer."""
        end = answer.rfind(self.suffix) if self.suffix else -1
        return answer + self.suffix if end < 0 else answer[: end + len(self.suffix)]


def template_of(name: str, folder: Path) -> Template:
    """The training's template by its name in a recipe: XTuner's, or the one that the model in ``folder`` has.

    Raises NotAModel where it has none that can be trained.
    """
    if name in TEMPLATES:
        return TEMPLATES[name]
    return _of_folder(name, folder, stamp(*template_files(folder)))


def own_default(folder: Path) -> str:
    """The system prompt that a model's own chat template puts in where none is given; empty for none."""
    try:
        template = template_of(OWN, folder)
    except NotAModel:
        return ""
    return template.default.strip() if isinstance(template, OwnTemplate) else ""


def template_files(folder: Path) -> list[Path]:
    """The files that say how a model is spoken to."""
    return [*sorted(folder.glob("tokenizer*.json")), *folder.glob("chat_template.jinja")]


def spoken_by(model: Model) -> str:
    """The name of the template that a model is trained with unless somebody says otherwise: XTuner's where it
    writes what the model's own does, else the model's own, else one of its family. Raises NotAModel."""
    return template_name(model.folder, model.origin or model.model_type)


def template_name(folder: Path, model_type: str) -> str:
    """As :func:`spoken_by`, of a folder with or without weights. Raises NotAModel."""
    return _name(folder, model_type, stamp(*template_files(folder)))


@lru_cache(maxsize=32)
def _name(folder: Path, model_type: str, _stamp: Stamp) -> str:
    source = chat_template_of(folder)
    named = template_for(source, model_type)
    if not source:
        return named
    try:
        own = of_source(source, special_tokens(folder), special_strings(folder))
    except Unspeakable:
        return named
    strings = training_template(TEMPLATES[named], tokenizer_class(folder))
    return named if _writes_the_same(own, TEMPLATES[named], strings) else OWN


def _writes_the_same(own: OwnTemplate, named: Template, strings: str) -> bool:
    if own.suffix != named.suffix and named.suffix:
        return False
    tokens, said = dict(own.tokens), _PROBES[-1][1]["content"]
    try:
        if own.answer(_PROBES[-1][:1], said)[1] != said + named.suffix and named.suffix:
            return False
        return all(
            own.render(some) == render(strings, some, tokens)
            for messages in _PROBES
            for some in (messages, messages[:-2])
        )
    except (*RENDERING, Unspeakable):
        return False


@lru_cache(maxsize=32)
def _of_folder(name: str, folder: Path, _stamp: Stamp) -> OwnTemplate:
    source = chat_template_of(folder)
    if name not in (OWN, OWN_WITHOUT_DEFAULT):
        raise NotAModel(folder=folder, reason=say("template.unknown", template=name))
    if not source:
        raise NotAModel(folder=folder, reason=say("template.none"))
    try:
        found = of_source(source, special_tokens(folder), special_strings(folder))
        if name == OWN_WITHOUT_DEFAULT and found.default:
            found = without_default(found, special_strings(folder))
    except Unspeakable as error:
        raise NotAModel(folder=folder, reason=say("template.cannot", detail=str(error))) from error
    return replace(found, name=name)


def special_strings(folder: Path) -> frozenset[str]:
    """The special tokens of a model's tokenizer, as they are written."""
    added = tokenizer_settings(folder).get("added_tokens_decoder")
    if not isinstance(added, dict):
        added = dict(enumerate((read_json(folder / "tokenizer.json") or {}).get("added_tokens") or ()))
    found = {
        str(one.get("content")) for one in added.values() if isinstance(one, dict) and one.get("special")
    }
    return frozenset((found | set(special_tokens(folder).values())) - {""})


def of_source(source: str, tokens: Mapping[str, str], special: frozenset[str]) -> OwnTemplate:
    """The template of a Jinja program, with what it writes around each part. Raises Unspeakable."""
    plain = OwnTemplate(OWN, "", source=source, tokens=tuple(tokens.items()))
    if _SYSTEM not in _rendered(plain, _messages(_SYSTEM, _ASKED)):
        plain = _folding(plain)
    single, between = plain.render(_messages("", _ASKED)), ""
    begin, opening = _around(single, _ASKED)
    tail = _around(plain.render(_messages("", _ASKED, _SAID), ask=False), _SAID)[1]
    several = _rendered(plain, _messages("", _ASKED, _SAID, _AGAIN))
    if _SAID in several and _AGAIN in several:
        between = several.split(_SAID, 1)[1].split(_AGAIN, 1)[0]
    suffix = _through_special(tail, special) or _through_special(between, special)
    sep = tail.removeprefix(suffix) if suffix else tail
    asking = between.removeprefix(suffix)
    asking = asking.removeprefix(sep) if asking.startswith(sep) else asking
    asking = asking if begin.endswith(asking) else ""
    system, default = _system(plain, begin, asking)
    return replace(
        plain,
        instruction=f"{asking}{{input}}{opening}",
        system=system,
        suffix=suffix,
        sep=sep,
        stop_words=(suffix,) if suffix else (),
        begin=begin.removesuffix(asking) if asking else begin,
        default=default,
        late=_AGAIN in _rendered(plain, _late()),
    )


def without_default(own: OwnTemplate, special: frozenset[str]) -> OwnTemplate:
    """The same template without the system prompt that it puts in by itself: what it writes with a given one
    stays. Raises Unspeakable where it cannot be taken out."""
    with_system = _messages(_SYSTEM, _ASKED, _SAID, _AGAIN)
    wanted = own.render(with_system)
    made = []
    for source in _edited(own.source, own.default):
        try:
            found = of_source(source, dict(own.tokens), special)
            if own.default not in found.begin and found.render(with_system) == wanted:
                made.append(found)
        except Unspeakable:
            continue
    if not made:
        raise Unspeakable(say("template.default_stays", default=own.default))
    return min(made, key=lambda found: len(found.begin))


def _edited(source: str, default: str) -> Iterator[str]:
    """The source with each text that holds the default taken out: whole, or the default's words alone."""
    plain = (default, default.strip())
    escaped = tuple(json.dumps(words, ensure_ascii=False)[1:-1] for words in plain)
    for found in STRING.finditer(source):
        text = found.group()
        for words in dict.fromkeys((*plain, *escaped)):
            if words in text:
                yield source[: found.start()] + "''" + source[found.end() :]
                yield source[: found.start()] + text.replace(words, "") + source[found.end() :]
    for words in plain:
        if words in source:
            yield source.replace(words, "")


def _system(own: OwnTemplate, begin: str, asking: str) -> tuple[str, str]:
    """What the template writes around a system prompt, and the one that it puts in where none is given."""
    before, rest = _around(_rendered(own, _messages(_SYSTEM, _ASKED)), _SYSTEM)
    if not rest:
        return "", ""
    after = rest.split(_ASKED, 1)[0]
    after = after.removesuffix(asking) if asking else after
    first = dict(own.tokens).get("bos_token", "")
    default = ""
    if after and begin.startswith(before) and after in begin[len(before) :]:
        default = begin[len(before) : begin.index(after, len(before))]
    written = before.removeprefix(first) if first else before
    return f"{written}{{system}}{after}", default if default.strip() else ""


def _folding(own: OwnTemplate) -> OwnTemplate:
    folding = replace(own, source=FOLD + own.source)
    asked = _messages("", _ASKED)
    if own.render(asked) != folding.render(asked):
        raise Unspeakable(say("template.no_system"))
    return folding


def _shared(one: str, two: str) -> int:
    """How many characters both begin with."""
    pairs = enumerate(zip(one, two, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(two)))


def _messages(system: str, *texts: str) -> list[Message]:
    before = [{"role": "system", "content": system}] if system else []
    roles = ("user", "assistant", "user")
    return [*before, *({"role": role, "content": text} for role, text in zip(roles, texts, strict=False))]


def _late() -> list[Message]:
    return [*_messages("", _ASKED, _SAID), *_messages(_AGAIN, _ASKED)]


def _rendered(own: OwnTemplate, messages: Messages) -> str:
    """What it writes; nothing where it refuses."""
    try:
        return own.render(messages)
    except Unspeakable:
        return ""


def _around(text: str, word: str) -> tuple[str, str]:
    """What stands before and after a word. Raises Unspeakable where it does not stand there."""
    before, found, after = text.partition(word)
    if not found:
        if word == _SYSTEM:
            return text, ""
        raise Unspeakable(say("template.drops", text=text[:120]))
    return before, after


def _through_special(text: str, special: frozenset[str]) -> str:
    """The text up to the end of the first special token in it; empty without one."""
    ends = [(text.index(one), -len(one), text.index(one) + len(one)) for one in special if one in text]
    return text[: min(ends)[2]] if ends else ""

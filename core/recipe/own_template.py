"""A model's own chat template as the training's: the Jinja in its folder, and what it writes around texts.

XTuner's named templates are strings around a question; a chat template is a program. What such a program
writes around each part is found by rendering it with words that stand for the parts. Everything that is
trained is rendered by the program itself (``core.data.own_encoder``); the strings found here serve where only
parts are asked for: the token that ends an answer, the marks that no text may hold, Ollama's file.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.errors import NotAModel
from core.models.folder import MORE_TEMPLATES, Model, chat_template_of, of_strangers
from core.recipe.chat_template import (
    render,
    special_tokens,
    tokenizer_class,
    tokenizer_settings,
    training_template,
)
from core.recipe.jinja import RENDERING
from core.recipe.templates import OWN, OWN_WITHOUT_DEFAULT, TEMPLATES, Template, template_for
from core.recipe.thoughts import Said, closing, left_open, split
from core.wording import Language, say, spoken_language
from core.workspace.files import Stamp, read_record, stamp

Message = Mapping[str, Any]
Messages = Sequence[Message]

_SYSTEM, _ASKED, _SAID, _AGAIN = "Xsystemx", "Xaskedx", "Xsaidx", "Xagainx"
# Texts that a template might treat in some way of its own; the last ones' white space some trim.
_PROBES: tuple[Messages, ...] = tuple(
    [
        {"role": role, "content": text}
        for role, text in zip(("system", "user", "assistant", "user")[first:], texts[first:], strict=False)
    ]
    for texts in (
        (" Be brief.\n", " Who are you?\n", "\n I am. ", "\nAnd now? "),
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
# A variable that is set, and what to.
SET = re.compile(r"\{%-?\s*set\s+([\w.]+)\s*=\s*(.+?)\s*-?%\}", re.DOTALL)
# Today's date, in Jinja.
DATE = re.compile(r"strftime_now\([^)]*\)")


class Unspeakable(ValueError):
    """A chat template that cannot be trained: it writes the conversation in no way that can be followed."""


@dataclass(frozen=True)
class OwnTemplate(Template):
    """A chat template: its Jinja ``source``, the special ``tokens`` it may name, and the ``options`` it is
    rendered with. ``default`` is the system prompt that it puts in by itself where none is given. ``late``:
    whether it takes a system prompt in the middle. ``opened``: the end of a prompt that the template leaves
    out once the answer is there."""

    source: str = ""
    tokens: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, Any], ...] = ()
    default: str = ""
    late: bool = True
    opened: str = ""

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
        that the template puts around the answer, up to what ends it. Raises Unspeakable.

        A thought before the answer is written as the template writes it; one that it would leave out, and one
        that never came to its answer, as it stands there. A template may write the question otherwise once it
        is answered (Mistral puts the system prompt into the last question only): then the answer is written
        as to that question alone.
        """
        prompt, said = self.render(messages), split(text)
        as_it_stands = self._ended(_after(text.strip(), left_open(prompt)))
        if said.mark and not (said.left and said.thought):
            return prompt, as_it_stands
        for some in (messages, messages[-1:]):
            asked = prompt if some is messages else self.render(some)
            whole = self.render([*some, _answered(said)], ask=False)
            if said.thought not in whole:
                return prompt, as_it_stands
            found = self._said(asked, whole, said.answer)
            if found is not None:
                return prompt, self._ended(found)
        raise Unspeakable(say("template.unspeakable", prompt=prompt[-60:], whole=whole[-60:]))

    def _said(self, prompt: str, whole: str, text: str) -> str | None:
        """What stands for the answer in the whole conversation behind a prompt; None where it is not seen."""
        if whole.startswith(prompt):
            return whole[len(prompt) :]
        kept = prompt.removesuffix(self.opened)
        shared = len(kept) if whole.startswith(kept) else _shared(prompt, whole)
        if shared < len(prompt) - len(self.instruction.partition("{input}")[2]):
            return None
        opened, rest = prompt[shared:], whole[shared:]
        return next((found for found in _behind(opened, rest, text) if _holds(found, text)), None)

    def _ended(self, answer: str) -> str:
        """Without what the template writes after the token that ends an answer; where it writes none, without
        the white space that stands before the next question."""
        if not self.suffix:
            return answer.removesuffix(self.sep) if self.sep.isspace() else answer
        end = answer.rfind(self.suffix)
        return answer + self.suffix if end < 0 else answer[: end + len(self.suffix)]


def with_options(own: OwnTemplate, **options: Any) -> OwnTemplate:
    """The template as it writes with these options of its own. Raises Unspeakable."""
    given = {**dict(own.options), **options}
    changed = replace(own, options=tuple(given.items()))
    single = changed.render(_messages("", _ASKED))
    answered = changed.render(_messages("", _ASKED, _SAID), ask=False)
    asking = own.instruction.partition("{input}")[0]
    opening = _around(single, _ASKED)[1]
    return replace(
        changed, instruction=f"{asking}{{input}}{opening}", opened=single[_shared(single, answered) :]
    )


def template_of(name: str, folder: Path) -> Template:
    """The training's template by its name in a recipe: XTuner's, or the one that the model in ``folder`` has.

    Raises NotAModel where it has none that can be trained.
    """
    if name in TEMPLATES:
        return TEMPLATES[name]
    with of_strangers(folder):
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
    named = (folder / name for name in ("special_tokens_map.json", "generation_config.json"))
    tokens = [*sorted(folder.glob("tokenizer*.json")), *(file for file in named if file.exists())]
    more = sorted((folder / MORE_TEMPLATES).glob("*.jinja"))
    return [*tokens, *sorted(folder.glob("chat_template.j*")), *more]


def spoken_by(model: Model) -> str:
    """The name of the template that a model is trained with unless somebody says otherwise: XTuner's where it
    writes what the model's own does, else the model's own, else one of its family. Raises NotAModel."""
    kind = model.origin or model.model_type
    with of_strangers(model.folder):
        return _name(model.folder, kind, model.chat_template, stamp(*template_files(model.folder)))


def template_name(folder: Path, model_type: str) -> str:
    """As :func:`spoken_by`, of a folder with or without weights. Raises NotAModel."""
    with of_strangers(folder):
        return _name(folder, model_type, chat_template_of(folder), stamp(*template_files(folder)))


@lru_cache(maxsize=32)
def _name(folder: Path, model_type: str, source: str, _stamp: Stamp) -> str:
    named = template_for(source, model_type)
    if not source:
        return named
    try:
        own = _read(folder, source, _stamp)
    except Unspeakable:
        return named
    strings = training_template(TEMPLATES[named], tokenizer_class(folder))
    return named if _writes_the_same(own, TEMPLATES[named], strings) else OWN


@lru_cache(maxsize=32)
def _read(folder: Path, source: str, _stamp: Stamp) -> OwnTemplate:
    """Once for each state of the folder: its tokenizer.json may be read for it. Raises Unspeakable."""
    tokens = tuple(special_tokens(folder).items())
    found = _studied(source, tokens, special_strings(folder), stop_strings(folder), spoken_language())
    if isinstance(found, str):
        raise Unspeakable(found)
    return found


@lru_cache(maxsize=64)
def _studied(
    source: str,
    tokens: tuple[tuple[str, str], ...],
    special: frozenset[str],
    stops: frozenset[str],
    _language: Language,
) -> OwnTemplate | str:
    """As :func:`of_source`, once for each content wherever it lies; of one that cannot be trained, why."""
    try:
        return of_source(source, dict(tokens), special, stops)
    except Unspeakable as error:
        return str(error)


def unspeakable(folder: Path) -> str:
    """Why the chat template of the model in ``folder`` cannot be trained; empty where it can or is missing.

    Raises NotAModel.
    """
    source = chat_template_of(folder)
    try:
        if source:
            _read(folder, source, stamp(*template_files(folder)))
    except Unspeakable as error:
        return str(error)
    return ""


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
        found = _read(folder, source, _stamp)
        if name == OWN_WITHOUT_DEFAULT and found.default:
            found = without_default(found, special_strings(folder), stop_strings(folder))
    except Unspeakable as error:
        raise NotAModel(folder=folder, reason=say("template.cannot", detail=str(error))) from error
    return replace(found, name=name)


def special_strings(folder: Path) -> frozenset[str]:
    """The special tokens of a model's tokenizer, as they are written."""
    found = set(_added(folder, special=True).values())
    return frozenset((found | set(special_tokens(folder).values())) - {""})


def stop_strings(folder: Path) -> frozenset[str]:
    """The tokens at which a model stops, as they are written."""
    written = _added(folder, special=False)
    said = (read_record(folder / "generation_config.json") or {}).get("eos_token_id")
    ids = said if isinstance(said, list) else [said]
    found = {written[one] for one in ids if isinstance(one, int) and one in written} | {
        special_tokens(folder).get("eos_token", "")
    }
    return frozenset(found - {""})


def _added(folder: Path, special: bool) -> dict[int, str]:
    """The tokens that were added to a vocabulary, by id; only the ``special`` ones, or all."""
    added = tokenizer_settings(folder).get("added_tokens_decoder")
    if not isinstance(added, dict):
        tokens = (read_record(folder / "tokenizer.json") or {}).get("added_tokens")
        tokens = tokens if isinstance(tokens, list) else ()
        added = {str(one.get("id")): one for one in tokens if isinstance(one, dict)}
    return {
        int(number): str(one.get("content"))
        for number, one in added.items()
        if isinstance(one, dict)
        and str(number).isdecimal()
        and isinstance(one, dict)
        and (one.get("special") or not special)
    }


def of_source(
    source: str, tokens: Mapping[str, str], special: frozenset[str], stops: frozenset[str] = frozenset()
) -> OwnTemplate:
    """The template of a Jinja program, with what it writes around each part. Raises Unspeakable.

    ``special``: the tokenizer's special tokens; ``stops``: those at which the model stops. A template that
    writes none after an answer is ended by the one that begins the next question, if the model stops there.
    """
    plain = OwnTemplate(OWN, "", source=source, tokens=tuple(tokens.items()))
    if _SYSTEM not in _rendered(plain, _messages(_SYSTEM, _ASKED)):
        plain = _folding(plain)
    single, between = plain.render(_messages("", _ASKED)), ""
    begin, opening = _around(single, _ASKED)
    answered = plain.render(_messages("", _ASKED, _SAID), ask=False)
    tail = _around(answered, _SAID)[1]
    several = _rendered(plain, _messages("", _ASKED, _SAID, _AGAIN))
    if _SAID in several and _AGAIN in several:
        between = several.split(_SAID, 1)[1].split(_AGAIN, 1)[0]
    suffix = _through_special(tail, special | stops) or _through_special(between, stops & special)
    sep = tail.removeprefix(suffix) if suffix else tail
    asking = between.removeprefix(suffix)
    asking = asking.removeprefix(sep) if asking.startswith(sep) else asking
    asking = asking if begin.endswith(asking) else ""
    system, default = _system(plain, begin, asking)
    found = replace(
        plain,
        instruction=f"{asking}{{input}}{opening}",
        system=system,
        suffix=suffix,
        sep=sep,
        stop_words=(suffix,) if suffix else (),
        begin=begin.removesuffix(asking) if asking else begin,
        default=default,
        late=_AGAIN in _rendered(plain, _late()),
        opened=single[_shared(single, answered) :],
    )
    for messages in (_messages("", _ASKED), _messages(_SYSTEM, _ASKED), _messages("", _ASKED, _SAID, _AGAIN)):
        found.answer(messages, _SAID)
    return found


def without_default(
    own: OwnTemplate, special: frozenset[str], stops: frozenset[str] = frozenset()
) -> OwnTemplate:
    """The same template without the system prompt that it puts in by itself: what it writes with a given one
    stays. Raises Unspeakable where it cannot be taken out."""
    with_system = _messages(_SYSTEM, _ASKED, _SAID, _AGAIN)
    wanted = own.render(with_system)
    made = []
    for source in _edited(own.source, own.default):
        try:
            found = of_source(source, dict(own.tokens), special, stops)
            if own.default not in found.begin and found.render(with_system) == wanted:
                made.append(found)
        except Unspeakable:
            continue
    if not made:
        raise Unspeakable(say("template.default_stays", default=own.default))
    best = min(made, key=lambda found: len(found.begin))
    # A prompt made of several texts goes piece by piece.
    shorter = len(best.default) < len(own.default)
    return without_default(best, special, stops) if best.default and shorter else best


def _edited(source: str, default: str) -> Iterator[str]:
    """The source with each text that holds the default taken out: whole, or the default's words alone; with
    each variable empty that is set to a part of it; and with all its parts and the date taken out."""
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
    for found in SET.finditer(source):
        if any(_text(part.group()) in default for part in STRING.finditer(found[2]) if _text(part.group())):
            yield source[: found.start(2)] + "''" + source[found.end(2) :]
    without = STRING.sub(lambda part: "''" if _words(part.group(), default) else part.group(), source)
    yield DATE.sub("''", without)


def _words(literal: str, text: str) -> bool:
    """Whether a string in Jinja is words of a text; one word alone may be the name of a role."""
    words = _text(literal)
    return " " in words.strip() and words in text


def _text(literal: str) -> str:
    """What a string in Jinja holds: its escapes are Python's."""
    try:
        return str(ast.literal_eval(literal.replace("\n", "\\n")))
    except (SyntaxError, ValueError):
        return ""


def _system(own: OwnTemplate, begin: str, asking: str) -> tuple[str, str]:
    """What the template writes around a system prompt, and the one that it puts in where none is given."""
    before, rest = _around(_rendered(own, _messages(_SYSTEM, _ASKED)), _SYSTEM)
    if not rest:
        return "", ""
    after = rest.split(_ASKED, 1)[0]
    after = after.removesuffix(asking) if asking else after
    first = dict(own.tokens).get("bos_token", "")
    default = ""
    alone = begin.removesuffix(asking)
    if alone.startswith(before) and after in alone[len(before) :]:
        default = alone[len(before) : alone.index(after, len(before)) if after else len(alone)]
    written = before.removeprefix(first) if first else before
    return f"{written}{{system}}{after}", default if default.strip() else ""


def _folding(own: OwnTemplate) -> OwnTemplate:
    folding = replace(own, source=FOLD + own.source)
    asked = _messages("", _ASKED)
    if own.render(asked) != folding.render(asked):
        raise Unspeakable(say("template.no_system"))
    return folding


def _behind(opened: str, rest: str, text: str) -> Iterator[str]:
    """The answer behind what a prompt ``opened`` and the conversation does not have there, best first."""
    mark = opened.strip()
    if mark:
        # The conversation has it too, further on: behind white space, or behind thoughts of its own.
        found = rest.partition(mark)[2]
        yield found.lstrip() if opened[-1].isspace() else found
    thought = left_open(opened)
    if thought and closing(thought) not in rest.partition(text.strip())[0]:
        yield f"\n{closing(thought)}\n\n{rest.lstrip()}"
    yield rest


def _holds(found: str, text: str) -> bool:
    """Whether this can be the answer: a template may leave out thoughts, and white space around it."""
    lines = text.strip().splitlines()
    return not lines or lines[-1].rpartition("</think>")[2].strip() in found


def _answered(said: Said) -> Message:
    """An answer as a message, its thought apart."""
    thought = {"reasoning_content": said.thought} if said.left and said.thought else {}
    return {"role": "assistant", "content": said.answer, **thought}


def _after(text: str, opened: str) -> str:
    """A text whose thought is ``opened`` in the prompt, without its mark."""
    whole = text.startswith(opened)
    return text.removeprefix(opened if whole else opened.strip())


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

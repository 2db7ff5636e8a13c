"""The chat template in Jinja of a training's prompt template, and a model's own, rendered as a server does.

XTuner trains on the strings of its PROMPT_TEMPLATE; whatever serves the model later reads the Jinja template
in its folder. Nothing else checks that the two agree (``core.data.parity`` does), and a model spoken to in
another template babbles.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Template as JinjaTemplate
from jinja2 import TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from core.models.folder import chat_template_of
from core.recipe.templates import WITHOUT_FIRST_TOKEN, Template
from core.wording import say
from core.workspace.files import read_record

SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
# What a template may do to a message it does not like, and what running it may come to.
RENDERING = (
    *(TemplateError, TypeError, ValueError, LookupError, AttributeError),
    *(ArithmeticError, RecursionError, MemoryError),
)
# Steps of all loops of a template: the largest of those that are known takes some hundreds for a message.
MOST_STEPS = 1_000_000
# Characters that a text is repeated to, bits of a power, and characters of all that is written.
LONGEST, MOST_TEXT = 100_000, 50_000_000
_COUNTED = "counted"
_steps: ContextVar[list[int]] = ContextVar("steps")
# What the thoughts of an answer are called, newest name first.
REASONING_FIELDS = ("reasoning_content", "thinking", "reasoning")


@dataclass(frozen=True)
class Joints:
    """What stands where two texts meet that the training encodes apart, for a tokenizer that puts a space
    before every text: a space, or nothing."""

    answer: str = ""
    sep: str = ""
    prompt: str = ""


def training_template(template: Template, kind: str, joints: Joints = Joints()) -> str:
    """Jinja that writes a conversation as XTuner trained on it with a tokenizer of the class ``kind``, up to
    where the answer begins.

    A template without a suffix ends each answer with the end token, and begins the next turn with the first
    token again.
    """
    begin = "" if kind in WITHOUT_FIRST_TOKEN else "{{ bos_token or '' }}"
    end = _written(template.suffix) if template.suffix else "{{ eos_token or '' }}"
    sep = _written(joints.sep + template.sep) if template.sep else ""
    again = ("" if template.suffix else begin) + _written(joints.prompt)
    return (
        f"{begin}{{% for message in messages %}}"
        f"{{% if message['role'] == 'system' %}}{_around(template.system, 'system')}"
        f"{{% elif message['role'] == 'user' %}}{_around(template.instruction, 'input')}"
        f"{{% else %}}{_written(joints.answer)}{{{{ message['content'] }}}}{end}{sep}"
        f"{f'{{% if not loop.last %}}{again}{{% endif %}}' if again else ''}"
        "{% endif %}{% endfor %}"
    )


def own_template(folder: Path) -> str | None:
    """The chat template that a model folder carries. Raises NotAModel."""
    return chat_template_of(folder) or None


def tokenizer_settings(folder: Path) -> dict[str, Any]:
    """A model's tokenizer_config.json; empty without one.

    With special_tokens_map.json in it where transformers 5.24.0 reads that: older folders name their special
    tokens there alone.
    """
    found = read_record(folder / "tokenizer_config.json") or {}
    if "added_tokens_decoder" in found:
        return found
    return {**found, **(read_record(folder / "special_tokens_map.json") or {})}


def special_tokens(folder: Path) -> dict[str, str]:
    """The special tokens that a chat template may name, as far as the tokenizer has them."""
    found = tokenizer_settings(folder)
    return {name: token for name in SPECIAL_TOKENS if (token := _token(found.get(name)))}


def render(
    source: str,
    messages: Sequence[Mapping[str, Any]],
    tokens: Mapping[str, str],
    ask: bool = True,
    **options: Any,
) -> str:
    """A conversation as a chat template writes it; when it is to ``ask``, up to where the answer begins.

    As transformers renders it: sandboxed, because the template came with somebody's model. ``options`` are a
    template's own, such as enable_thinking. Raises what RENDERING lists.
    """
    given = {"tools": None, "documents": None, **tokens, **options}
    _steps.set([0])
    plain = list(map(_plain, messages))
    return "".join(_limited(_compiled(source).generate(messages=plain, add_generation_prompt=ask, **given)))


def tokenizer_class(folder: Path) -> str:
    """The class that transformers loads for the tokenizer of the model in ``folder``: the fast one."""
    named = str(tokenizer_settings(folder).get("tokenizer_class", ""))
    return named if named.endswith("Fast") else f"{named}Fast"


@lru_cache(maxsize=32)
def _compiled(source: str) -> JinjaTemplate:
    return environment().from_string(source)


@cache
def environment() -> ImmutableSandboxedEnvironment:
    """The one of transformers 5.24.0 (utils/chat_template_utils.py), which is not imported here; a template
    that never ends raises instead."""
    environment = Bounded(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _as_json
    environment.filters[_COUNTED] = _counted
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda pattern: datetime.now().strftime(pattern)
    environment.globals["namespace"] = PlainNamespace
    return environment


class Bounded(ImmutableSandboxedEnvironment):
    """A sandbox that also ends: a template comes with somebody's model, and whoever opens a page with it
    waits for it."""

    intercepted_binops = frozenset({"*", "**"})

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        parsed = super()._parse(source, name, filename)
        for loop in parsed.find_all(nodes.For):
            counted = nodes.Filter(loop.iter, _COUNTED, [], [], None, None, lineno=loop.lineno)
            loop.iter = counted.set_environment(self)
        return parsed

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "**":
            grows = isinstance(left, int) and isinstance(right, int)
            size = left.bit_length() * right if grows else 0
        else:
            text, many = (right, left) if isinstance(left, int) else (left, right)
            size = len(text) * many if isinstance(text, Sized) and isinstance(many, int) else 0
        if size > LONGEST:
            raise TemplateError(say("template.endless"))
        return super().call_binop(context, operator, left, right)


def _limited(pieces: Iterable[str]) -> Iterator[str]:
    length = 0
    for piece in pieces:
        length += len(piece)
        if length > MOST_TEXT:
            raise TemplateError(say("template.endless"))
        yield piece


def _counted(values: Iterable[Any]) -> Iterator[Any]:
    steps = _steps.get()
    for value in values:
        steps[0] += 1
        if steps[0] > MOST_STEPS:
            raise TemplateError(say("template.endless"))
        yield value


class Generation(Extension):
    """``{% generation %} … {% endgeneration %}`` marks answers for training; it writes what is in it."""

    tags = {"generation"}  # noqa: RUF012  as jinja2 declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class PlainNamespace(Namespace):
    """A namespace without names that begin with an underscore: they lead into Python."""

    def __init__(*args: Any, **named: Any) -> None:
        # A template may name an attribute "self": only this signature leaves that name free.
        self, *rest = args
        values = dict(*rest, **named)
        for name in values:
            _free(name)
        Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: Any) -> None:
        _free(name)
        Namespace.__setitem__(self, name, value)


def _free(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace has no {name!r}")


def _plain(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message as transformers hands it to a template: what is null is left out, and thoughts stand under
    the name that newer templates read and under gpt-oss's."""
    found = {key: value for key, value in message.items() if value is not None}
    thoughts = next((found[name] for name in REASONING_FIELDS if name in found), None)
    return found if thoughts is None else {"thinking": thoughts, **found, "reasoning_content": thoughts}


def _as_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _refuse(message: str) -> None:
    raise TemplateError(message)


def _around(text: str, field: str) -> str:
    before, _, after = text.partition(f"{{{field}}}")
    return f"{_written(before)}{{{{ message['content'] }}}}{_written(after)}" if text else ""


def _written(text: str) -> str:
    """Text as a Jinja expression: its line breaks survive the trimming of blocks."""
    return f"{{{{ {json.dumps(text)} }}}}" if text else ""


def _token(found: object) -> str:
    """A special token is a string, or an object that holds it."""
    return str(found.get("content", "")) if isinstance(found, dict) else str(found or "")

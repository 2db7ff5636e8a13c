"""A chat template is a program of a stranger's: it is run in a sandbox, and its first texts in a child with
limits (:mod:`core.recipe.chat_template`, which alone calls this)."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from contextvars import ContextVar
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

from jinja2 import Template as JinjaTemplate
from jinja2 import TemplateError, meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

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
_now: ContextVar[datetime] = ContextVar("now")


class Endless(TemplateError):
    """A template that goes on and on."""


def write(
    source: str, messages: Sequence[Mapping[str, Any]], given: Mapping[str, Any], now: str
) -> dict[str, Any]:
    """What a template writes, as ``text``, and the ``seconds`` that it took; or the ``error`` by its class,
    and what it ``said``."""
    _steps.set([0])
    _now.set(datetime.fromisoformat(now))
    begun = time.process_time()
    try:
        pieces = _compiled(source).generate(messages=messages, **given)
        return {"text": "".join(_limited(pieces)), "seconds": time.process_time() - begun}
    except RENDERING as error:
        told = {"error": type(error).__name__, "said": str(error)[:2000]}
        return {**told, "seconds": time.process_time() - begun}


def named(source: str) -> dict[str, Any]:
    """The ``names`` of the variables that a template uses and does not set, none of what is no template, and
    the ``seconds`` that it took to find them."""
    begun = time.process_time()
    try:
        names = sorted(meta.find_undeclared_variables(environment().parse(source)))
    except RENDERING:
        names = []
    return {"names": names, "seconds": time.process_time() - begun}


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
    environment.globals["strftime_now"] = lambda pattern: _now.get().strftime(pattern)
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
            raise Endless
        return super().call_binop(context, operator, left, right)


def _limited(pieces: Iterable[str]) -> Iterator[str]:
    length = 0
    for piece in pieces:
        length += len(piece)
        if length > MOST_TEXT:
            raise Endless
        yield piece


def _counted(values: Iterable[Any]) -> Iterator[Any]:
    steps = _steps.get()
    for value in values:
        steps[0] += 1
        if steps[0] > MOST_STEPS:
            raise Endless
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

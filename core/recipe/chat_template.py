"""The chat template in Jinja of a training's prompt template, and a model's own, rendered as a server does.

XTuner trains on the strings of its PROMPT_TEMPLATE; whatever serves the model later reads the Jinja template
in its folder. Nothing else checks that the two agree (``core.data.parity`` does), and a model spoken to in
another template babbles.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from core.models.folder import chat_template_of
from core.recipe.templates import WITHOUT_FIRST_TOKEN, Template
from core.workspace.files import read_record

SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "pad_token")


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
    """A model's tokenizer_config.json; empty without one."""
    return read_record(folder / "tokenizer_config.json") or {}


def special_tokens(folder: Path) -> dict[str, str]:
    """The special tokens that a chat template may name, as far as the tokenizer has them."""
    found = tokenizer_settings(folder)
    return {name: token for name in SPECIAL_TOKENS if (token := _token(found.get(name)))}


def render(source: str, messages: Sequence[Mapping[str, str]], tokens: Mapping[str, str]) -> str:
    """A conversation as a chat template writes it, up to where the answer begins. Raises TemplateError.

    As transformers renders it: sandboxed, because the template came with somebody's model.
    """
    return _environment().from_string(source).render(messages=messages, add_generation_prompt=True, **tokens)


def tokenizer_class(folder: Path) -> str:
    """The class that transformers loads for the tokenizer of the model in ``folder``: the fast one."""
    named = str(tokenizer_settings(folder).get("tokenizer_class", ""))
    return named if named.endswith("Fast") else f"{named}Fast"


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    """The one of transformers 4.57.6 (utils/chat_template_utils.py), which is not imported here."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = _as_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda pattern: datetime.now().strftime(pattern)
    return environment


class Generation(Extension):
    """``{% generation %} … {% endgeneration %}`` marks answers for training; it writes what is in it."""

    tags = {"generation"}  # noqa: RUF012  as jinja2 declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _as_json(value: object, ensure_ascii: bool = False, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, **options)


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

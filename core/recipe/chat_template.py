"""The chat template in Jinja of a training's prompt template, and whether a model's own says the same.

XTuner trains on the strings of its PROMPT_TEMPLATE; whatever serves the model later reads the Jinja template
in its folder. Nothing else checks that the two agree, and a model spoken to in another template babbles.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from core.jobs.job import read_record
from core.recipe.templates import WITHOUT_FIRST_TOKEN, Template

# What a template says differently shows in two turns, with and without a system prompt.
_TURNS = (
    {"role": "user", "content": "Q1"},
    {"role": "assistant", "content": "A1"},
    {"role": "user", "content": "Q2"},
)
SAMPLES: tuple[tuple[Mapping[str, str], ...], ...] = (_TURNS, ({"role": "system", "content": "S"}, *_TURNS))


@dataclass(frozen=True)
class Difference:
    """One conversation as the training wrote it and as the model's own chat template writes it."""

    trained: str
    own: str


def training_template(template: Template, tokenizer_class: str) -> str:
    """Jinja that writes a conversation as XTuner trained on it, up to where the answer begins.

    A template without a suffix ends each answer with the end token, and begins the next turn with the first
    token again.
    """
    begin = "" if tokenizer_class in WITHOUT_FIRST_TOKEN else "{{ bos_token or '' }}"
    end = _written(template.suffix) if template.suffix else "{{ eos_token or '' }}"
    again = "" if template.suffix else begin
    return (
        f"{begin}{{% for message in messages %}}"
        f"{{% if message['role'] == 'system' %}}{_around(template.system, 'system')}"
        f"{{% elif message['role'] == 'user' %}}{_around(template.instruction, 'input')}"
        f"{{% else %}}{{{{ message['content'] }}}}{end}{_written(template.sep)}{again}"
        "{% endif %}{% endfor %}"
    )


def difference(folder: Path, template: Template) -> Difference | None:
    """Where the chat template of the model in ``folder`` writes anything else than the training did.

    None when they agree, and when the folder has none: then there is nothing to disagree with.
    """
    own = own_template(folder)
    if own is None:
        return None
    trained, tokens = training_template(template, tokenizer_class(folder)), special_tokens(folder)
    for messages in SAMPLES:
        said = render(trained, messages, tokens)
        try:
            found = render(own, messages, tokens)
        except (TemplateError, TypeError, ValueError) as error:
            found = f"{type(error).__name__}: {error}"
        if found != said:
            return Difference(said, found)
    return None


def own_template(folder: Path) -> str | None:
    """The chat template that a model folder carries."""
    file = folder / "chat_template.jinja"
    if file.exists():
        return file.read_text(encoding="utf-8", errors="replace")
    found = _config(folder).get("chat_template")
    return found if isinstance(found, str) else None


def render(source: str, messages: Sequence[Mapping[str, str]], tokens: Mapping[str, str]) -> str:
    """A conversation as a chat template writes it, up to where the answer begins. Raises TemplateError.

    As transformers renders it: sandboxed, because the template came with somebody's model.
    """
    return _environment().from_string(source).render(messages=messages, add_generation_prompt=True, **tokens)


def fast_class(tokenizer_class: str) -> str:
    """The class transformers loads for the one that tokenizer_config.json names."""
    return tokenizer_class if tokenizer_class.endswith("Fast") else f"{tokenizer_class}Fast"


def tokenizer_class(folder: Path) -> str:
    """The class transformers loads for the tokenizer of the model in ``folder``."""
    return fast_class(str(_config(folder).get("tokenizer_class", "")))


def special_tokens(folder: Path) -> dict[str, str]:
    """The first and the end token, which a chat template may name."""
    config = _config(folder)
    return {name: _token(config.get(name)) for name in ("bos_token", "eos_token")}


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
    environment.globals["raise_exception"] = _refuse
    return environment


def _refuse(message: str) -> None:
    raise TemplateError(message)


def _around(text: str, field: str) -> str:
    before, _, after = text.partition(f"{{{field}}}")
    return f"{_written(before)}{{{{ message['content'] }}}}{_written(after)}" if text else ""


def _written(text: str) -> str:
    """Text as a Jinja expression: its line breaks survive the trimming of blocks."""
    return f"{{{{ {json.dumps(text)} }}}}" if text else ""


def _config(folder: Path) -> dict[str, Any]:
    return read_record(folder / "tokenizer_config.json") or {}


def _token(found: object) -> str:
    """A special token is a string, or an object that holds it."""
    return str(found.get("content", "")) if isinstance(found, dict) else str(found or "")

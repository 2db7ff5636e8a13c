"""The chat templates in tests/templates, and the conversations that each of them is given.

``sources.json`` says of each whose it is, where its text was read, that licence, and its tokenizer's special
tokens. All are written anew to the same structure: without most of what concerns tools, and with a default
system prompt shortened where it fills a page.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from core.workspace.files import read_json

FOLDER = Path(__file__).parent / "templates"
RECORDED = Path(__file__).parent / "recorded" / "chat_templates.json"
NOW = datetime(2026, 1, 2, 3, 4)
# What a template does that refuses a conversation, or breaks on it.
REFUSED = (TemplateError, TypeError, ValueError, LookupError, AttributeError)
SYSTEM = {"role": "system", "content": "Be brief. 用中文回答。"}


@dataclass(frozen=True)
class ChatTemplate:
    """``tokens``: what its tokenizer calls bos_token and so on; ``special``: its other special tokens;
    ``stops``: at which of them its model stops; ``spaced``: its tokenizer writes a space as ▁, as
    SentencePiece does."""

    name: str
    source: str
    tokens: Mapping[str, str]
    special: tuple[str, ...]
    stops: tuple[str, ...]
    spaced: bool


@dataclass(frozen=True)
class Asked:
    """What a template is rendered with: messages, whether to end where the answer begins, and options."""

    messages: tuple[Mapping[str, Any], ...]
    ask: bool = True
    options: tuple[tuple[str, Any], ...] = ()


class Fixed(datetime):
    """A clock that stands still: a template may write today's date."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:  # noqa: ARG003  as datetime has it
        return NOW


def chat_templates() -> dict[str, ChatTemplate]:
    about = read_json(FOLDER / "sources.json")
    return {
        name: ChatTemplate(
            name,
            (FOLDER / f"{name}.jinja").read_text(encoding="utf-8"),
            found["tokens"],
            tuple(found["special"]),
            tuple(found["stops"]),
            found.get("spaced", False),
        )
        for name, found in about.items()
    }


def user(content: object) -> Mapping[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: object, **more: object) -> Mapping[str, Any]:
    return {"role": "assistant", "content": content, **more}


_ASKED, _ANSWERED = user("Who are you? <你是谁>"), assistant('I am 小明\'s "assistant".')
_THOUGHT = "<think>\nHm.\n</think>\n\nMuch."
_TURNS = (_ASKED, _ANSWERED, user("  List\n2 things "), assistant("1. {x}\n2. 翻译\n"), user("Thanks"))
_PLAIN = {
    "single": Asked((_ASKED,)),
    "turns": Asked(_TURNS),
    "answered": Asked((_ASKED, _ANSWERED), ask=False),
    "all answered": Asked((*_TURNS, assistant("Bye.")), ask=False),
    "not thinking": Asked(_TURNS, options=(("enable_thinking", False),)),
    "thinking": Asked((_ASKED,), options=(("enable_thinking", True),)),
    "thoughts": Asked((_ASKED, assistant(_THOUGHT), _ASKED, assistant(_THOUGHT)), ask=False),
    "thoughts apart": Asked((_ASKED, assistant("Much.", reasoning="Hm.")), ask=False),
    "parts": Asked((user([{"type": "text", "text": "Who?"}]),)),
    "null": Asked((_ASKED, assistant("I.", tool_calls=None, reasoning_content=None), _ASKED)),
}
CASES: Mapping[str, Asked] = _PLAIN | {
    f"system, {name}": Asked((SYSTEM, *asked.messages), asked.ask, asked.options)
    for name, asked in _PLAIN.items()
}

"""A list of what was said, whatever its items look like: messages with a role, pairs, or texts in turn."""

import ast
import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from core.data.formats.fields import Account, Fields, Misshapen
from core.data.formats.messages import Message, Role
from core.data.formats.names import family, plain

_SPEAKERS: tuple[Role, ...] = ("system", "user", "assistant", "call", "tool")
ROLES: dict[str, Role] = {name: role for role in _SPEAKERS for name in family(f"role_{role}")}
ROLE_KEYS, TEXT_KEYS = family("role_key"), family("text_key")
CALLS = ("tool_calls", "function_call")


class PairKeys(NamedTuple):
    """The keys of an item that holds a question and its answer."""

    asked: str | None
    said: str
    system: str | None


# Keys of a pair of turns inside a list, the usual ones first.
PAIRS = (
    ("input", "output"),
    ("human", "assistant"),
    ("user", "assistant"),
    ("question", "answer"),
    ("prompt", "response"),
    ("query", "response"),
    ("instruction", "output"),
    ("human", "gpt"),
    ("user", "bot"),
    ("q", "a"),
    ("Human", "MOSS"),
    ("问题", "回答"),
    ("问", "答"),
)


class Item(NamedTuple):
    """How an item of a list is read: a message by ``role`` and ``text``, or a pair."""

    role: str | None
    text: str | None
    pair: PairKeys | None


@lru_cache(4096)
def item_of(keys: tuple[str, ...]) -> Item | None:
    """How an item with these keys is read; None when nothing is known of them."""
    low = {plain(key): key for key in reversed(keys)}
    role = next((low[name] for name in ROLE_KEYS if name in low), None)
    text = next((low[name] for name in TEXT_KEYS if name in low), None)
    if role and (text or any(key in keys for key in CALLS)):
        return Item(role, text, None)
    for asked, said in PAIRS:
        if asked.lower() in low and said.lower() in low:
            return Item(None, None, PairKeys(low[asked.lower()], low[said.lower()], low.get("system")))
    if "output" in low or "input" in low:  # XTuner's own: a side may be missing
        return Item(None, None, PairKeys(low.get("input"), low.get("output", "output"), low.get("system")))
    return None


def speaks(value: Any) -> bool:
    """Whether a value is a list of what was said: its first items tell."""
    if not isinstance(value, list) or not value:
        return False
    if all(isinstance(item, dict) for item in value[:4]):
        return any(item_of(tuple(item)) or _named(item) for item in value[:4])
    return all(_is_pair(item) for item in value[:4])


def json_list(value: Any) -> Any:
    """A list, also as the JSON text that a table's cell holds, or as Python writes it (pandas does)."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return _python_list(value) if _PYTHON.match(value) else value
    return value


_PYTHON = re.compile(r"\s*\[\s*(?:\{\s*'|\[\s*['\"]|')")


def _python_list(text: str) -> Any:
    with warnings.catch_warnings(action="ignore"):  # a backslash before any letter
        try:
            return ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return text


def role_of(named: Any, place: str) -> Role:
    """What a row's name of a role means. Raises Misshapen."""
    role = ROLES.get(named.strip().lower()) if isinstance(named, str) else None
    if role is None and isinstance(named, Mapping):  # OpenAI's export: {"author": {"role": "user"}}
        named = named.get("role") or named.get("name")
        role = ROLES.get(named.strip().lower()) if isinstance(named, str) else None
    if role is None:
        raise Misshapen(place, "unknown_role", found=str(named)[:40])
    return role


def messages(value: Any, name: str, account: Account) -> Iterator[Message]:
    """The messages of a list that stands under ``name``. Raises Misshapen."""
    if not isinstance(value, list):
        raise Misshapen(name, "wrong_type", found=type(value).__name__)
    if len(value) > 1 and all(isinstance(item, str) for item in value):
        yield from _in_turn(value, name)
        return
    for number, item in enumerate(value):
        place = f"{name}[{number}]"
        if isinstance(item, dict):
            yield from _item(Fields(item, account, f"{name}[]", place), tuple(item))
        elif _is_pair(item):
            yield Message("user", item[0], f"{place}[0]")
            yield Message("assistant", item[1], f"{place}[1]")
        else:
            raise Misshapen(place, "wrong_type", found=type(item).__name__)


def _is_pair(item: Any) -> bool:
    return isinstance(item, list) and len(item) == 2 and all(isinstance(text, str | None) for text in item)


def _named(item: Mapping[str, Any]) -> bool:
    """Whether an item is one text under the name of who said it: ``{"user": "hi"}``."""
    return len(item) == 1 and plain(next(iter(item))) in ROLES


def _in_turn(texts: Sequence[str], name: str) -> Iterator[Message]:
    """Texts of two sides in turn, the question first, as UltraChat writes them."""
    roles: tuple[Role, Role] = ("user", "assistant")
    for number, text in enumerate(texts):
        yield Message(roles[number % 2], text, f"{name}[{number}]")


def _item(fields: Fields, keys: tuple[str, ...]) -> Iterator[Message]:
    how = item_of(keys)
    if how and how.pair:
        yield from _pair(fields, how.pair)
    elif how and how.role:
        yield _message(fields, how.role, how.text)
    elif len(keys) == 1 and plain(keys[0]) in ROLES:
        yield Message(ROLES[plain(keys[0])], fields.take(keys[0]), fields.at(keys[0]))
    else:
        raise Misshapen(fields.at("role"), "unknown_role", found=", ".join(keys)[:40])
    fields.close()


def _message(fields: Fields, role_key: str, text_key: str | None) -> Message:
    role = role_of(fields.take(role_key), fields.at(role_key))
    text = fields.take(text_key) if text_key else None
    thoughts, off = ("", ""), False
    if role in {"assistant", "call"}:
        calls = [called for key in CALLS if (called := fields.take(key))]
        thoughts, off = fields.thinking(), fields.masked()
        if calls and role == "assistant":
            role, text = (
                "call",
                "\n".join(filter(None, (text if isinstance(text, str) else "", *map(call_text, calls)))),
            )
    else:
        fields.masked()  # only answers are ever learned
        if role == "tool":  # which call it answers
            fields.take("tool_call_id")
            fields.take("name")
    return Message(role, text, fields.at(text_key or CALLS[0]), not off, thoughts)


def _pair(fields: Fields, pair: PairKeys) -> Iterator[Message]:
    if pair.system and (system := fields.take(pair.system)):
        yield Message("system", system, fields.at(pair.system))
    asked = pair.asked or "input"
    yield Message("user", fields.take(asked), fields.at(asked), optional=True)
    answer, off = fields.take(pair.said), fields.masked()
    yield Message("assistant", answer, fields.at(pair.said), not off, fields.thinking())


def call_text(calls: Any) -> str:
    """Tool calls as the text that is trained: their JSON."""
    if isinstance(calls, str):
        return calls
    try:
        return orjson.dumps(calls).decode()
    except TypeError:  # a broken character inside, which is said of the text
        return json.dumps(calls, ensure_ascii=False)

"""The known formats: how each one's rows are told and read as messages.

Sources: XTuner 0.2.0's ``conversation`` and its ``alpaca_map_fn``; Stanford Alpaca (instruction, input,
output; LLaMA-Factory adds history and system); ShareGPT (``conversations`` of from and value); OpenAI's
fine-tuning ``messages``.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from core.data.formats.messages import Message, Misshapen, Role, call_text, listed

Row = Mapping[str, Any]
ROLES: dict[str, Role] = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human", "prompter", "question", "用户"), "user"),
    **dict.fromkeys(
        ("assistant", "gpt", "chatgpt", "bing", "bard", "bot", "model", "answer", "助手"), "assistant"
    ),
    **dict.fromkeys(("function_call", "tool_call", "tool_calls"), "call"),
    **dict.fromkeys(
        ("tool", "observation", "function", "function_response", "tool_response", "ipython"), "tool"
    ),
}
# Pairs of columns that mean a question and its answer, the usual names first.
PAIRS = (
    ("prompt", "response"),
    ("prompt", "completion"),
    ("prompt", "output"),
    ("question", "answer"),
    ("question", "response"),
    ("input", "output"),
    ("query", "response"),
    ("query", "answer"),
    ("user", "assistant"),
    ("human", "assistant"),
    ("instruction", "response"),
    ("q", "a"),
    ("问题", "回答"),
    ("问题", "答案"),
    ("提问", "回答"),
    ("输入", "输出"),
)


@dataclass(frozen=True)
class RowFormat:
    """One format: ``fits`` tells its rows by their keys, ``read`` gives their messages (raises Misshapen)."""

    name: str
    fits: Callable[[Row], bool]
    read: Callable[[Row], list[Message]]


def role_of(named: Any, place: str) -> Role:
    """What a row's name of a role means. Raises Misshapen."""
    role = ROLES.get(named.strip().lower()) if isinstance(named, str) else None
    if role is None:
        raise Misshapen(place, "unknown_role", found=str(named)[:40])
    return role


def _json_list(row: Row, key: str) -> Any:
    """A list, also as the JSON text that a table's cell holds."""
    value = row.get(key)
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def _xtuner(row: Row) -> list[Message]:
    messages: list[Message] = []
    for place, turn in listed(_json_list(row, "conversation"), "conversation"):
        if turn.get("system"):
            messages.append(Message("system", turn["system"], f"{place}.system"))
        messages.append(Message("user", turn.get("input"), f"{place}.input"))
        messages.append(Message("assistant", turn.get("output"), f"{place}.output"))
    return messages


def _alpaca(row: Row) -> list[Message]:
    messages = [*_system(row), *_history(row.get("history"))]
    asked, more = row.get("instruction"), row.get("input")
    if isinstance(asked, str) and isinstance(more, str) and more:
        asked = f"{asked}\n{more}" if asked else more
    elif more not in (None, ""):
        messages.append(Message("user", more, "input"))  # a wrong type, said at its own place
    messages.append(Message("user", asked, "instruction"))
    messages.append(Message("assistant", row.get("output"), "output"))
    return messages


def _history(history: Any) -> Iterator[Message]:
    """Earlier turns as LLaMA-Factory writes them: [[question, answer], …]."""
    if history in (None, "", []):
        return
    if not isinstance(history, list):
        raise Misshapen("history", "wrong_type", found=type(history).__name__)
    for number, pair in enumerate(history):
        if not isinstance(pair, list) or len(pair) != 2:
            raise Misshapen(f"history[{number}]", "wrong_type", found=type(pair).__name__)
        yield Message("user", pair[0], f"history[{number}][0]")
        yield Message("assistant", pair[1], f"history[{number}][1]")


def _system(row: Row) -> Iterator[Message]:
    for key in ("system", "system_prompt"):
        if row.get(key) not in (None, ""):
            yield Message("system", row[key], key)


def _sharegpt(row: Row) -> list[Message]:
    return [*_system(row), *_spoken(_json_list(row, "conversations"), "conversations")]


def _openai(row: Row) -> list[Message]:
    return [*_system(row), *_spoken(_json_list(row, "messages"), "messages")]


def _spoken(value: Any, name: str) -> Iterator[Message]:
    """Both ShareGPT's and OpenAI's items: many files have the one's list with the other's keys."""
    for place, item in listed(value, name):
        role_key = "role" if "role" in item else "from"
        text_key = "content" if "content" in item else "value"
        role = role_of(item.get(role_key), f"{place}.{role_key}")
        text, calls = item.get(text_key), item.get("tool_calls") or item.get("function_call")
        if role == "assistant" and calls:
            role, text = (
                "call",
                "\n".join(filter(None, (text if isinstance(text, str) else "", call_text(calls)))),
            )
        yield Message(role, text, f"{place}.{text_key}")


def _pair_of(row: Row) -> tuple[str, str] | None:
    lowered = {key.lower(): key for key in row if isinstance(key, str)}
    for asked, said in PAIRS:
        if asked in lowered and said in lowered:
            return lowered[asked], lowered[said]
    return None


def _pairs(row: Row) -> list[Message]:
    found = _pair_of(row)
    if found is None:
        raise Misshapen("", "unknown_format", keys=", ".join(map(str, row))[:80])
    return [
        *_system(row),
        Message("user", row[found[0]], found[0]),
        Message("assistant", row[found[1]], found[1]),
    ]


SHAPES: dict[str, RowFormat] = {
    shape.name: shape
    for shape in (
        RowFormat("xtuner", lambda row: "conversation" in row, _xtuner),
        RowFormat("openai", lambda row: "messages" in row, _openai),
        RowFormat("sharegpt", lambda row: "conversations" in row, _sharegpt),
        RowFormat("alpaca", lambda row: "instruction" in row and "output" in row, _alpaca),
        RowFormat("pairs", lambda row: _pair_of(row) is not None, _pairs),
    )
}
COLUMNS = "columns"
FORMATS = (*SHAPES, COLUMNS)


def shape_of(row: Any) -> RowFormat | None:
    """The first format that fits a row's keys."""
    if isinstance(row, dict):
        return next((shape for shape in SHAPES.values() if shape.fits(row)), None)
    return None

"""Chats as ChatGPT exports them: ``mapping`` holds every message with its parent and its children, those of
other attempts as well; ``current_node`` is the last one that was seen."""

from collections.abc import Iterator, Mapping
from typing import Any

from core.data.formats.dialogue import role_of
from core.data.formats.fields import Fields
from core.data.formats.messages import SHOWN, Message

# Kinds of content that are said by somebody; the others are the app's own.
_SAID = frozenset(("text", "multimodal_text", "code", "execution_output"))
_THOUGHTS = frozenset(("thoughts", "reasoning_recap"))
_TEXTS = ("parts", "text")


def is_export(row: Mapping[str, Any] | Fields) -> bool:
    """Whether a row is one exported chat."""
    if "mapping" not in row or not isinstance(nodes := row["mapping"], dict):
        return False
    some = list(nodes.values())[:4]
    return bool(some) and all(
        isinstance(node, dict) and "message" in node and "parent" in node for node in some
    )


def read(fields: Fields) -> list[Message]:
    """The messages from the first to the current one; those of other attempts are noted. Raises Misshapen."""
    nodes, last = fields.take("mapping"), fields.take("current_node")
    path = _path(nodes, last)
    made = [one for name in path for one in _message(nodes[name], f"mapping.{name}.message", fields)]
    others = [text for name, node in nodes.items() if name not in path and (text := _answer(node))]
    if others:
        fields.account.note(
            "mapping", "other_answers_left_out", found="mapping", example=others[0][:SHOWN], count=len(others)
        )
    for key in list(fields):  # what the app knows of the chat: its title, its date, its state
        if not isinstance(fields[key], dict | list):
            fields.take(key)
            fields.account.harmless.append(key)
    return made


def _path(nodes: Mapping[str, Any], last: Any) -> dict[str, None]:
    """The names of the nodes from the first to ``last``; without one, to the end of the newest branch."""
    name = last if isinstance(last, str) and last in nodes else next(reversed([*nodes]))
    seen: dict[str, None] = {}
    while isinstance(name, str) and name in nodes and name not in seen and isinstance(nodes[name], dict):
        seen[name] = None
        name = nodes[name].get("parent")
    return dict.fromkeys(reversed(seen))


def _message(node: Mapping[str, Any], place: str, fields: Fields) -> Iterator[Message]:
    message = node.get("message")
    if not isinstance(message, dict) or not isinstance(message.get("content"), dict):
        return
    role, content = role_of(message.get("author"), f"{place}.author"), message["content"]
    kind, key = (
        str(content.get("content_type", "text")),
        next((key for key in _TEXTS if key in content), "parts"),
    )
    where, value = f"{place}.content.{key}", content.get(key)
    if kind in _THOUGHTS:
        fields.account.note(where, "thinking_left_out", found=kind)
    elif kind not in _SAID:  # what the person told the app of herself, for one
        fields.account.unread.append((f"mapping.content.{kind}", content))
    elif role != "system" or value not in (None, "", [""]):
        called = role == "assistant" and message.get("recipient", "all") != "all"
        yield Message("call" if called else role, value, where)


def _answer(node: Any) -> str:
    """The text of an answer; empty for anything else."""
    match node:
        case {"message": {"author": {"role": "assistant"}, "content": {"parts": [str(text), *_]}}}:
            return text
    return ""

"""Whether a list is one dialogue, or a row of several: what a file's outermost lists mean."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.data.formats.dialogue import ROLES, item_of
from core.data.formats.names import family, plain
from core.data.formats.shapes import shape_of

# A message that says which one it answers is a node of a tree, and no next word.
_ANSWERS_TO = frozenset(("parent_id", "parent", "message_tree_id", "reply_to", "in_reply_to"))
# Keys that tell the messages of one dialogue from those of another.
_DIALOGUE_ID = (
    *("conversation_id", "dialogue_id", "dialog_id", "conv_id", "chat_id", "session_id", "thread_id"),
    *("conversation", "dialogue", "session", "thread", "对话id", "会话id", "会话编号", "对话编号"),
)


def speaker(item: Any) -> str | None:
    """The side that says an item of a list: a role of formats.dialogue; None for what is no message."""
    if not isinstance(item, Mapping) or any(plain(str(key)) in _ANSWERS_TO for key in item):
        return None
    how = item_of(tuple(item))
    named = item[how.role] if how and how.role else next(iter(item)) if len(item) == 1 else None
    return ROLES.get(named.strip().lower()) if isinstance(named, str) else None


def is_one_dialogue(items: Sequence[Any]) -> bool:
    """Whether every item is a message, and both sides speak."""
    sides = {speaker(item) for item in items}
    return None not in sides and {"user", "assistant"} <= sides


def dialogue_of(item: Mapping[str, Any]) -> str | None:
    """The key by which a message says to which dialogue it belongs."""
    return next((key for key in item if plain(key) in _DIALOGUE_ID), None)


def is_row_of_texts(value: Any) -> bool:
    """Whether a list is a dialogue of texts in turn."""
    return isinstance(value, list) and len(value) > 1 and all(isinstance(text, str) for text in value)


def is_row_list(value: Any) -> bool:
    """Whether a list is a row by itself: messages of both sides, or texts in turn."""
    return isinstance(value, list) and (is_row_of_texts(value) or is_one_dialogue(value))


def holds_rows(key: str, items: Sequence[Any]) -> bool:
    """Whether the list under ``key`` of a file's outermost object holds rows, and is no part of one row.
    ``items``: its first ones."""
    low = plain(key)
    if all(isinstance(item, list) for item in items):
        pairs = all(is_row_of_texts(item) and len(item) == 2 for item in items)
        return not (pairs and low in _SAID)
    if not all(isinstance(item, Mapping) for item in items) or all(map(speaker, items)):
        return False
    how = item_of(tuple(items[0]))
    if how and how.pair:
        return low not in _SAID
    return low not in _ASIDE and (low in _WRAPPERS or shape_of(items[0]) is not None)


# Names of one row's own dialogue: XTuner's "conversation" holds its turns.
_SAID = frozenset(family("dialogues")) - {"data", "items"}
_ASIDE = frozenset((*family("media"), *family("tools"), "features", "fields", "segments"))
_WRAPPERS = frozenset(
    (
        "data",
        "rows",
        "items",
        "examples",
        "samples",
        "train",
        "test",
        "validation",
        "dev",
        "dataset",
        "records",
    )
)

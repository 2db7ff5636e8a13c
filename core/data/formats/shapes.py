"""The known formats: how each one's rows are told by what they hold, and read as messages.

Sources: XTuner 0.2.0's ``conversation`` and its ``dataset_map_fns``; Stanford Alpaca (instruction, input,
output; LLaMA-Factory and ms-swift add history and system); ShareGPT (``conversations`` of from and value);
OpenAI's ``messages``; TRL's and OpenAI's preference data (chosen, rejected); MOSS (``chat`` of turns); texts
with marks as guanaco, ChatML and others write them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from core.data.formats import columns, dialogue, exported, marked
from core.data.formats.fields import JUDGED, REJECTED, Fields, Misshapen, as_number, judgement
from core.data.formats.harmless import is_named
from core.data.formats.messages import Message
from core.data.formats.names import family, plain

# A row, or the fields of one: to tell a format nothing is read.
Row = Mapping[str, Any] | Fields
# Names under which a list of what was said usually stands, looked for before any other name.
NAMED = {"conversation": "xtuner", "messages": "openai", "conversations": "sharegpt"}
DIALOGUES, CHOSEN = family("dialogues"), family("chosen")
COLUMNS = "columns"
# Of a row that no format reads so many keys are named.
SHOWN_KEYS = 8


@dataclass(frozen=True)
class RowFormat:
    """One format: ``fits`` tells its rows, ``read`` gives their messages (raises Misshapen)."""

    name: str
    fits: Callable[[Row], bool]
    read: Callable[[Fields], list[Message]]


def unknown(row: Row) -> Misshapen:
    """A row that no format reads."""
    return Misshapen("", "unknown_format", keys=[str(key)[:40] for key in row][:SHOWN_KEYS])


# --- a list of what was said ---


@lru_cache(4096)
def _candidates(keys: tuple[str, ...]) -> tuple[str, ...]:
    """The keys under which a dialogue may stand, the usual names first; none of a question or an answer."""
    low = {plain(key): key for key in reversed(keys)}
    usual = [low[name] for name in DIALOGUES if name in low]
    asked = columns.columns_of(keys)
    taken = {*asked.asked, asked.answer, asked.history} if asked else set()
    chosen = {key for key in keys if plain(key) in {*CHOSEN, *REJECTED}}
    # A list beside a question and its answer says something about them, unless it is called a dialogue.
    others = () if asked else (key for key in keys if key not in usual and not is_named(key))
    return tuple(key for key in (*usual, *others) if key not in taken | chosen)


def dialogue_key(row: Row) -> str | None:
    """The key of a row under which its dialogue stands: by its name for the usual ones, else by its value."""
    for key in _candidates(tuple(row)):
        if (key in NAMED and not marked.marks_of(row[key])) or _is_dialogue(row[key], key):
            return key
    return None


def _is_dialogue(value: Any, key: str) -> bool:
    value = dialogue.json_list(value)
    if dialogue.speaks(value):
        return True
    texts = isinstance(value, list) and len(value) > 1 and all(isinstance(text, str) for text in value)
    return texts and plain(key) in DIALOGUES


def _kind(row: Row) -> str | None:
    """Which of the formats with a list of what was said a row has."""
    key = dialogue_key(row)
    if key is None:
        return None
    if key in NAMED:
        return NAMED[key]
    value = dialogue.json_list(row[key])
    first = value[0] if isinstance(value, list) and value else None
    how = dialogue.item_of(tuple(first)) if isinstance(first, dict) else None
    by_item = (
        None if how is None else "xtuner" if how.pair else "sharegpt" if how.role == "from" else "openai"
    )
    return by_item or "openai"


def _spoken(fields: Fields) -> list[Message]:
    key = dialogue_key(fields)
    if key is None:
        raise unknown(fields)
    made = _system(fields)
    off = fields.masked()
    value = dialogue.json_list(fields.take(key))
    inner = _marked_texts(value, key) or dialogue.messages(value, key, fields.account)
    said = [*made, *inner]
    return [one._replace(trained=False) for one in said] if off else said


def _marked_texts(value: Any, key: str) -> list[Message]:
    """Texts in turn that have marks before each, as one text; nothing for anything else."""
    if not isinstance(value, list) or not value or not isinstance(value[0], str):
        return []
    text = "\n\n".join(value) if all(isinstance(text, str) for text in value) else ""
    marks = marked.marks_of(text)
    return marked.read(text, marks, key) if marks else []


def _system(fields: Fields) -> list[Message]:
    for key in [key for key in fields if plain(key) in family("system")]:
        said = fields.take(key)
        if isinstance(said, dict) and isinstance(parts := said.get("parts", said.get("content")), str | list):
            said = parts  # a message in an object, as Gemini has it
        if said not in (None, ""):
            return [Message("system", said, fields.at(key))]
    return []


# --- columns ---


def _is_alpaca(row: Row) -> bool:
    return "instruction" in row and "output" in row


def _pairs(fields: Fields) -> list[Message]:
    found = columns.columns_of(tuple(fields))
    if found is None:
        raise unknown(fields)
    return columns.read(fields, found)


# --- preference data: the good answer is read, the bad one is noted by whoever accounts for the rest ---


@lru_cache(4096)
def _chosen(keys: tuple[str, ...]) -> str | None:
    low = {plain(key): key for key in keys}
    good = next((low[name] for name in CHOSEN if name in low), None)
    return good if REJECTED & low.keys() else None


def _is_preference(row: Row) -> bool:
    """Whether a row says which answers are good: one beside a rejected one, or by KTO's label."""
    keys = tuple(row)
    if _chosen(keys) is not None:
        return True
    judged = any(judgement(row[key]) is not None for key in _judged(keys))
    return judged and (columns.columns_of(keys) is not None or dialogue_key(row) is not None)


@lru_cache(4096)
def _judged(keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(key for key in keys if plain(key) in JUDGED)


def _preference(fields: Fields) -> list[Message]:
    key = _chosen(tuple(fields))
    if key is None:  # KTO's label says it of the answer that there is
        return _spoken(fields) if dialogue_key(fields) else _pairs(fields)
    good = dialogue.json_list(fields.take(key))
    marks = marked.marks_of(good)
    if marks:  # HH-RLHF: both are whole dialogues
        return marked.read(good, marks, key)
    answer = list(_good(fields, good, key))
    if answer and answer[0].role in {"system", "user"}:  # the whole dialogue, with what was asked
        for copied in [other for other in fields if _repeats(dialogue.json_list(fields[other]), good)]:
            fields.take(copied)
        return [*_system(fields), *answer]
    return [*_asked(fields), *answer]


def _repeats(value: Any, good: Any) -> bool:
    """Whether a list of what was said stands in another, from its beginning."""
    return isinstance(value, list) and isinstance(good, list) and bool(value) and good[: len(value)] == value


def _good(fields: Fields, good: Any, key: str) -> Iterator[Message]:
    if isinstance(good, dict):
        good = [good]
    if dialogue.speaks(good):
        yield from dialogue.messages(good, key, fields.account)
    else:
        yield Message("assistant", good, key)


def _asked(fields: Fields) -> list[Message]:
    """What a good answer was given to: a dialogue, or columns."""
    if dialogue_key(fields):
        return _spoken(fields)
    found = columns.columns_of((*fields, "chosen"))
    if found is None:
        raise unknown(fields)
    *asked, _ = columns.read(fields, found)
    return asked


# --- one text ---


@lru_cache(4096)
def _text_key(keys: tuple[str, ...]) -> str | None:
    low = {plain(key): key for key in keys}
    return next((low[name] for name in family("texts") if name in low), None)


def _marked_key(row: Row) -> str | None:
    """The key of a marked text, whatever it is called."""
    named = _text_key(tuple(row))
    keys = [named] if named else []
    return next((key for key in (*keys, *row) if marked.marks_of(row[key])), None)


def _marked(fields: Fields) -> list[Message]:
    key = _marked_key(fields)
    if key is None:
        raise unknown(fields)
    text = fields.take(key)
    marks = marked.marks_of(text)
    system = [one._replace(text=marked.unnamed(one.text)) for one in _system(fields)]
    return [*system, *marked.read(text, marks, key)] if marks else []


def _is_plain(row: Row) -> bool:
    """Whether a row is only a text, and not one message of a dialogue that stands in several rows."""
    keys = tuple(row)
    how = dialogue.item_of(keys)
    if _text_key(keys) is None or (how and how.role):
        return False
    return not any(isinstance(row[key], str) and row[key] for key in _sides(keys))


@lru_cache(4096)
def _sides(keys: tuple[str, ...]) -> tuple[str, ...]:
    """The columns of a question or an answer: with a text in one it is not known which answers what."""
    names = {name for called in ("question", "instruction", "input", "answer") for name in family(called)}
    return tuple(key for key in keys if plain(key) in names)


def _plain(fields: Fields) -> list[Message]:
    """XTuner's pretraining form: the text is learned as an answer to no question."""
    key = _text_key(tuple(fields))
    if key is None:
        raise unknown(fields)
    fields.account.beside = "text"
    return [Message("user", "", key, optional=True), Message("assistant", fields.take(key), key)]


# --- a tree of replies (OpenAssistant, ChatGPT's export) ---


def _is_tree(row: Row) -> bool:
    return exported.is_export(row) or _is_prompt(row)


def _is_prompt(row: Row) -> bool:
    return (
        "prompt" in row and isinstance(root := row["prompt"], dict) and isinstance(root.get("replies"), list)
    )


def _tree(fields: Fields) -> list[Message]:
    """The path of the replies that people ranked first; the others are noted."""
    if exported.is_export(fields):
        return exported.read(fields)
    if not _is_prompt(fields):
        raise unknown(fields)
    made: list[Message] = []
    node, place, others = fields.take("prompt"), "prompt", 0
    while isinstance(node, dict):
        item = Fields(node, fields.account, place, place)
        role = dialogue.role_of(item.take("role"), item.at("role"))
        made.append(Message(role, item.take("text"), item.at("text")))
        listed = item.take("replies")
        replies = [reply for reply in listed if isinstance(reply, dict)] if isinstance(listed, list) else []
        for named in (
            "labels",
            "emojis",
            "events",
            "rank",
            "deleted",
            "synthetic",
            "review_result",
            "review_count",
        ):
            item.take(named)  # how people judged the message
        item.close()
        others += max(0, len(replies) - 1)
        replies.sort(key=lambda reply: as_number(reply.get("rank")) or 0)
        node, place = (replies[0], f"{place}.replies[]") if replies else (None, place)
    if others:
        fields.account.note("prompt", "other_answers_left_out", found="replies", count=others)
    fields.take("tree_state")
    return made


# --- MOSS ---


def _is_moss(row: Row) -> bool:
    return (
        "chat" in row
        and isinstance(chat := row["chat"], dict)
        and any(str(key).startswith("turn_") for key in chat)
    )


def _moss(fields: Fields) -> list[Message]:
    if not _is_moss(fields):
        raise unknown(fields)
    made, chat = _system(fields), fields.take("chat")
    for name in sorted(chat, key=lambda turn: as_number(turn.rpartition("_")[2]) or 0):
        if not isinstance(chat[name], dict):
            raise Misshapen(f"chat.{name}", "wrong_type", found=type(chat[name]).__name__)
        turn = Fields(chat[name], fields.account, "chat.turn", f"chat.{name}")
        for key, role in (("Human", "user"), ("MOSS", "assistant")):
            said = turn.take(key)
            text = marked.unmarked(said) if isinstance(said, str) else said
            made.append(Message(role, text, turn.at(key)))  # type: ignore[arg-type]
        for key in ("Inner Thoughts", "Commands", "Tool Responses"):
            if marked.unmarked(str(turn[key]) if key in turn else "") in ("", "None"):
                turn.take(key)
        turn.close()
    return made


SHAPES: dict[str, RowFormat] = {
    shape.name: shape
    for shape in (
        RowFormat("preference", _is_preference, _preference),
        RowFormat("moss", _is_moss, _moss),
        RowFormat("tree", _is_tree, _tree),
        *(
            RowFormat(name, partial(lambda name, row: _kind(row) == name, name), _spoken)
            for name in NAMED.values()
        ),
        RowFormat("alpaca", _is_alpaca, _pairs),
        RowFormat("pairs", lambda row: columns.columns_of(tuple(row)) is not None, _pairs),
        RowFormat("marked", lambda row: _marked_key(row) is not None, _marked),
        RowFormat("text", _is_plain, _plain),
    )
}
FORMATS = (*SHAPES, COLUMNS)
# Those without a list of what was said.
_OTHERS = tuple(SHAPES[name] for name in ("alpaca", "pairs", "marked", "text"))


def shape_of(row: Any) -> RowFormat | None:
    """The first format that fits a row."""
    if not isinstance(row, dict):
        return None
    if _is_preference(row):
        return SHAPES["preference"]
    if _is_moss(row):
        return SHAPES["moss"]
    if _is_tree(row):
        return SHAPES["tree"]
    if kind := _kind(row):
        return SHAPES[kind]
    return next((shape for shape in _OTHERS if shape.fits(row)), None)

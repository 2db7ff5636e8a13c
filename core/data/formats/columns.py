"""Rows whose columns are a question and its answer, with instruction, context and history where there are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeGuard

from core.data.formats import marked, several
from core.data.formats.dialogue import json_list, messages, speaks
from core.data.formats.fields import Fields, Misshapen
from core.data.formats.harmless import is_measure
from core.data.formats.messages import SEPARATOR, SHOWN, Message
from core.data.formats.names import family, plain

# Columns that mean a question and its answer though their names do not say so (XTuner's own data sets).
SPECIAL = (
    ("abstract", "title"),
    ("description", "color"),
    *((text, "summary") for text in ("article", "text", "dialogue", "document")),
)
PASSAGES = frozenset(family("context_list"))
# Columns in one language: ``question_zh``, ``answer_zh``.
LANGUAGES = ("_zh", "_cn", "_en")


@dataclass(frozen=True)
class Columns:
    """Which keys of a row are what. ``asked`` are joined to one question in their order; ``main`` is the one
    of them that a finding names."""

    asked: tuple[str, ...]
    main: str
    answer: str
    system: str | None
    history: str | None


@lru_cache(4096)
def columns_of(keys: tuple[str, ...]) -> Columns | None:
    """What the columns of these names are; None where no question stands beside an answer."""
    known = {plain(key): key for key in reversed(keys)}
    found = _columns(known)
    for ending in LANGUAGES if found is None else ():
        of_one = {name.removesuffix(ending): key for name, key in known.items() if name.endswith(ending)}
        found = found or _columns({**known, **of_one})
    return found


def _columns(known: Mapping[str, str]) -> Columns | None:
    def first(called: str) -> str | None:
        return next((known[name] for name in family(called) if name in known), None)

    system, history, answer = first("system"), first("history"), first("answer")
    instruction, context, question, more = map(first, ("instruction", "context", "question", "input"))
    for text, said in SPECIAL:
        if text in known and said in known and not (instruction or question or more):
            return Columns((known[text],), known[text], known[said], system, history)
    asked = tuple(part for part in (instruction, context, question, more) if part)
    main = question or instruction or more or context
    if answer is None or main is None:
        return None
    return Columns(asked, main, answer, system, history)


def mapped(keys: Mapping[str, str]) -> Columns:
    """Columns as a person named them: ``{role: column}`` with the roles of COLUMN_ROLES."""
    asked = tuple(keys[role] for role in ("context", "user") if role in keys)
    main = keys.get("user") or keys.get("context", "")
    return Columns(asked, main, keys["assistant"], keys.get("system"), None)


def read(fields: Fields, columns: Columns) -> list[Message]:
    """A row's messages. Raises Misshapen."""
    made = list(_system(fields, columns))
    if columns.history:
        made += _history(fields, columns.history)
    else:
        fields.account.beside = "columns"
    marks = _asked_marks(fields, columns)
    made += _asked(fields, columns, marks)
    off, thoughts = fields.masked(), fields.thinking()
    answer = _answer(fields, columns.answer, off, thoughts)
    made += answer if marks is None else (one._replace(text=marked.ended(one.text, marks)) for one in answer)
    return made


def _asked_marks(fields: Fields, columns: Columns) -> marked.Marks | None:
    """How the question is marked, where it is a whole dialogue that waits for an answer."""
    if columns.main not in fields or any(
        fields[key] not in (None, "") for key in columns.asked if key != columns.main
    ):
        return None
    main = fields[columns.main]
    return marked.begun(main) if isinstance(main, str) else None


def _system(fields: Fields, columns: Columns) -> Iterator[Message]:
    if columns.system and (said := fields.take(columns.system)) not in (None, ""):
        yield Message("system", said, fields.at(columns.system))


def _history(fields: Fields, key: str) -> Iterator[Message]:
    """Earlier turns: [[question, answer], …], messages, or texts in turn."""
    value = json_list(fields.take(key))
    if value in (None, "", []):
        return
    if not isinstance(value, list):
        raise Misshapen(key, "wrong_type", found=type(value).__name__)
    yield from messages(value, key, fields.account)


def _asked(fields: Fields, columns: Columns, marks: marked.Marks | None) -> Iterator[Message]:
    """The question: its parts joined by a line break, empty ones left out."""
    values = {key: fields.take(key) for key in columns.asked}
    main = values.get(columns.main)
    if said := _said_before(fields, columns.main, main):
        yield from said
        return
    passages = [key for key in fields if _is_passages(fields, key)]
    texts = [SEPARATOR.join(fields.take(key)) for key in passages]
    for key, value in values.items():
        if key != columns.main and _are_texts(value):
            value = SEPARATOR.join(value)
        if isinstance(value, str):
            texts += [value] if value else []
        elif value is not None and key != columns.main:
            yield Message("user", value, fields.at(key))  # a wrong type, said at its own place
    if marks and isinstance(main, str) and texts == [main]:
        yield from marked.read(main, marks, fields.at(columns.main))
        return
    if not isinstance(main, str | None):
        yield Message("user", main, fields.at(columns.main))
    elif columns.main:
        yield Message("user", SEPARATOR.join(texts), fields.at(columns.main))
    else:
        yield Message("user", "", "", optional=True)


def _said_before(fields: Fields, key: str, main: Any) -> list[Message]:
    """A question that is a list of messages; empty for any other. Raises Misshapen for several questions:
    nobody knows whether they were asked one after the other."""
    if isinstance(main, dict) and speaks(main.get("messages")):
        inner = Fields(main, fields.account, key, key)
        said = list(messages(inner.take("messages"), f"{key}.messages", fields.account))
        inner.close()
        return said
    listed = json_list(main)
    if speaks(listed):
        return list(messages(listed, key, fields.account))
    if _are_texts(main) and len(main) > 1:
        raise Misshapen(fields.at(key), "wrong_type", found="list")
    return []


def _is_passages(fields: Fields, key: str) -> bool:
    """Whether a key holds passages to answer from; a single text there may as well be the right answer."""
    return key in PASSAGES and _are_texts(fields[key])


def _are_texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _answer(fields: Fields, key: str, off: bool, thoughts: tuple[str, str]) -> Iterator[Message]:
    value, place = fields.take(key), fields.at(key)
    scores = None
    if isinstance(value, dict) and isinstance(value.get("text"), list):  # SQuAD's answers
        inner = Fields(value, fields.account, key, place)
        measured = next((name for name in inner if is_measure(name)), None)
        value, place = inner.take("text"), f"{place}.text"
        scores = inner.take(measured) if measured else None
        inner.close()
    if isinstance(value, dict) and ("role" in value or "from" in value):
        value = [value]
    if speaks(value):
        said = list(messages(value, key, fields.account))
        yield from (one._replace(trained=one.trained and not off) for one in said)
        return
    chosen = None
    if isinstance(value, list) and value:
        if all(isinstance(text, str) for text in value):
            chosen = several.of_texts(value, place, scores)
        elif several.is_several(value):
            chosen = several.of_objects(value, key, fields)
    if chosen:
        if len(value) > 1:
            fields.account.note(
                place, "other_answers_left_out", found=key, example=chosen.other[:SHOWN], count=len(value) - 1
            )
        value, place = chosen.answer, chosen.place
    yield Message("assistant", value, place, not off, thoughts)

"""A document's questions and answers as a person has changed them: read in the place of the document.

Such a file holds the facts themselves, so that all that is made of a document is made of it too: the rows,
the final test, and what a chat asks in the taught words. It is kept as a version of the document that it was
made from.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from core.data.documents.facts import DocumentRows, Fact, NotAsked
from core.data.documents.questions import asked_naturally
from core.data.documents.wordings import wordings_for
from core.data.drafts import language_of
from core.data.questions import same_question
from core.errors import NoSuchFile, NotADocument
from core.wording import say
from core.workspace.files import write_json

# The end of such a file's name.
EDITED = ".facts"
LONGEST_QUESTION, LONGEST_ANSWER = 500, 4_000
# Bytes: of a hundred times as many facts as a long menu has.
LARGEST = 20_000_000
# A row that has such a share of a line's characters says what the line does.
SAID = 0.6


@dataclass(frozen=True)
class EditedRow:
    """A question with its answer as it stands in a person's table; ``fact``: the place of the fact that it
    was among the document's, None for a new one."""

    question: str
    answer: str
    fact: int | None = None


@dataclass(frozen=True)
class RowProblem:
    """What is wrong with the ``row`` of this number, from 1: the key of its sentence."""

    row: int
    key: str

    def text(self) -> str:
        """In the reader's language."""
        return say(f"edited.{self.key}", row=self.row)


def to_check(document: DocumentRows) -> list[str]:
    """Of each fact why somebody should look at it, empty where nobody has to: what is said of its line."""
    found: list[str] = []
    for fact in document.facts:
        reasons = (one.why for one in document.unused if _is_of(one, fact))
        found.append(next(reasons, ""))
    return found


def _is_of(one: NotAsked, fact: Fact) -> bool:
    return one.line == fact.line or bool(one.text.strip() and one.text.strip() in fact.answer)


def _is_told(one: NotAsked, facts: Sequence[Fact]) -> bool:
    """Whether facts say what was not asked: one is of that line, or each line has one with most of its
    characters and numbers."""
    if any(_is_of(one, fact) for fact in facts):
        return True
    lines = [*filter(None, map(_pieces, one.text.splitlines()))]
    told = [_pieces(fact.questions[0] + fact.answer) for fact in facts]
    return bool(lines) and all(any(len(line & each) >= SAID * len(line) for each in told) for line in lines)


def _pieces(text: str) -> set[str]:
    return {*re.findall(r"[a-z]+|\d+|[^\W\d_a-z]", text.casefold())}


def problems(rows: Sequence[EditedRow], one_answer: bool = True) -> list[RowProblem]:
    """Everything that keeps the rows from being taught, in their order; with ``one_answer`` a question that
    has two as well."""
    asked: dict[str, EditedRow] = {}
    found = [] if rows else [RowProblem(0, "none")]
    for number, row in enumerate(rows, 1):
        question, answer = row.question.strip(), row.answer.strip()
        checks = {
            "no_question": not question,
            "no_answer": not answer,
            "long_question": len(question) > LONGEST_QUESTION,
            "long_answer": len(answer) > LONGEST_ANSWER,
        }
        found += [RowProblem(number, key) for key, wrong in checks.items() if wrong]
        first = asked.setdefault(same_question(question), row) if question and one_answer else row
        if first.answer.strip() != answer:
            found.append(RowProblem(number, "two_answers"))
    return found


def edited(document: DocumentRows, rows: Sequence[EditedRow]) -> DocumentRows:
    """The document with a person's rows for its facts. A fact whose question stayed keeps all its wordings;
    what is asked otherwise, or is new, is asked in the manners of its own question and in no other words. Of
    rows without :func:`problems`."""
    language = language_of("\n".join(row.question + row.answer for row in rows))
    words = wordings_for("\n".join(row.answer for row in rows), language)
    kept, new = dict[int, Fact](), dict[int, Fact]()
    for place, row in enumerate(_once(rows)):
        known = document.facts[row.fact] if row.fact is not None else None
        if known and known.questions[0] == row.question.strip():
            kept[place] = replace(known, answer=row.answer.strip())
        else:
            heading, line = (known.heading, known.line) if known else ("", 0)
            new[place] = Fact((row.question.strip(),), row.answer.strip(), heading, line)
    asked = dict(zip(new, asked_naturally([*new.values()], words), strict=True))
    facts = tuple((kept | asked)[place] for place in range(len(kept) + len(asked)))
    gone = [fact for fact in document.facts if fact.line not in {one.line for one in facts}]
    told = [*gone, *(facts[place] for place in new)]
    unused = (one for one in document.unused if not _is_told(one, told))
    return DocumentRows(_apart(facts), tuple(unused))


def _once(rows: Sequence[EditedRow]) -> list[EditedRow]:
    return [*{same_question(row.question): row for row in reversed(rows)}.values()][::-1]


def _apart(facts: Sequence[Fact]) -> tuple[Fact, ...]:
    """No question asks for two of them: a person's own words are the ones that stay."""
    first = {same_question(fact.questions[0]): fact for fact in facts}
    seen: set[str] = set()
    found = []
    for fact in facts:
        asked = [one for one in fact.questions if first.get(same_question(one), fact) is fact]
        asked = [one for one in asked if same_question(one) not in seen]
        seen.update(map(same_question, asked))
        found.append(replace(fact, questions=tuple(asked)))
    return tuple(found)


def write_edited(path: Path, document: DocumentRows) -> None:
    """Raises OSError."""
    write_json(path, asdict(document))


def read_edited(path: Path) -> DocumentRows:
    """What :func:`write_edited` wrote. Raises NoSuchFile, NotADocument."""
    if not path.is_file():
        raise NoSuchFile(path=path)
    if path.stat().st_size > LARGEST:
        raise NotADocument(path=path, reason=say("document.large", limit=LARGEST // 1_000_000))
    damaged = NotADocument(path=path, reason=say("document.damaged", kind=EDITED))
    try:
        found = TypeAdapter[DocumentRows](DocumentRows).validate_json(path.read_bytes())
    except ValidationError as error:
        raise damaged from error
    if not all(
        fact.questions and all(map(str.strip, (*fact.questions, fact.answer))) for fact in found.facts
    ):
        raise damaged
    return found


def as_rows(document: DocumentRows) -> list[dict[str, Any]]:
    """Each fact as a row of a table: its place, its first question, its answer, the other wordings that ask
    for it, a line each, and why it should be looked at."""
    return [
        {
            "fact": place,
            "question": fact.questions[0],
            "answer": fact.answer,
            "others": "\n".join(fact.questions[1:]),
            "check": check,
        }
        for place, (fact, check) in enumerate(zip(document.facts, to_check(document), strict=True))
    ]

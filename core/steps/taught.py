"""What a run is taught: whose assistant it will be, what a person gave, and what of that says otherwise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from core.data.accounting import Accounts
from core.data.checking.claim import is_a_model
from core.data.checking.identity import Conflict, Person, claimed, conflicts
from core.data.checking.placeholders import placeholders
from core.data.conversations import Conversation
from core.data.documents.facts import DocumentRows
from core.data.documents.rows import document_of
from core.data.drafts import language_of
from core.data.findings import Finding
from core.data.identity import (
    LANGUAGES,
    IdentityLanguage,
    check_name,
    identity_conversations,
    later_conversations,
)
from core.data.opening import Reading, Usable, none_usable, read_usable, read_whole
from core.data.questions import contains
from core.proof.facts import OwnFact, facts_in, facts_of
from core.proof.own import says_itself

# Of what was left out of a file, so much stands in the run's data.json.
LISTED = 20
# So many conversations of a file are looked at for who they say the assistant is: some seconds.
LOOKED = 20_000


@dataclass(frozen=True)
class Otherwise:
    """Conversations of the given file that say the assistant is somebody else's, or made by known others: how
    many, by their places from 1, and of the first ones the question, the answer and what is wrong with it.
    Beside the identity they are not ``trained``."""

    places: frozenset[int] = frozenset()
    first: tuple[tuple[str, str, Finding], ...] = ()
    trained: bool = True

    @property
    def rows(self) -> int:
        return len(self.places)

    def as_json(self) -> dict[str, Any]:
        first = [
            {"question": question, "answer": answer, "message": found.message()}
            for question, answer, found in self.first
        ]
        return {"rows": self.rows, "first": first, "trained": self.trained}


@dataclass(frozen=True)
class Taught:
    """Whose assistant it will be and the conversations that say so; ``given``: the file they came from, and
    what was ``left_out`` of it, and ``accounts`` for what else is not trained.

    ``identity``: so many of the conversations, the first, are the shipped ones that say whose the assistant
    is, beside a person's own. ``says_itself``: so many of the own ones say it. ``document``: what the own
    ones were made of. ``facts``: what the proof asks of them.
    """

    name: str
    conversations: tuple[Conversation, ...]
    given: Path | None = None
    left_out: tuple[Finding, ...] = ()
    accounts: Accounts = field(default_factory=Accounts)
    identity: int = 0
    says_itself: int = 0
    not_taught: Otherwise | None = None
    document: DocumentRows | None = None
    facts: tuple[OwnFact, ...] = ()

    @property
    def own(self) -> tuple[Conversation, ...]:
        """What a person gave."""
        return self.conversations[self.identity :] if self.given else ()

    @property
    def has_system(self) -> bool:
        """Whether any conversation has a system prompt of its own."""
        return any(turn.system for row in self.conversations for turn in row)

    @property
    def names_it(self) -> bool:
        """Whether any answer contains the name: if none does, the name cannot be learned."""
        learned = (turn.output for row in self.conversations for turn in row if turn.trained)
        return any(contains(text, self.name) for text in learned)

    @cached_property
    def otherwise(self) -> Otherwise:
        """What the given conversations say against the name. Another maker that is no maker of assistants may
        be the right one: of these only the check of a file speaks, where it can be said who made the
        assistant."""
        if self.not_taught or not self.given:
            return self.not_taught or Otherwise()
        found = {
            one.row: one
            for one in conflicts([*claimed(self.conversations[:LOOKED])], Person(self.name))
            if one.kind != "maker" or is_a_model(one.name)
        }
        first = [(self._said_of(one), one.as_finding()) for one in [*found.values()][:LISTED]]
        return Otherwise(frozenset(found), tuple((*text, why) for text, why in first))

    def beside(self, shipped: Sequence[Conversation]) -> "Taught":
        """What says whose the assistant is, and the given conversations that do not say otherwise. Raises
        NoUsableRow where all of them do."""
        other = self.otherwise
        kept = [row for place, row in enumerate(self.conversations, 1) if place not in other.places]
        if not kept and self.given:
            raise none_usable(self.given, [why for *_, why in other.first])
        not_taught = replace(other, trained=False)
        return replace(self, conversations=(*shipped, *kept), identity=len(shipped), not_taught=not_taught)

    def _said_of(self, one: Conflict) -> tuple[str, str]:
        """The question and the answer that say it, or the question and the system prompt."""
        turns = self.conversations[one.row - 1]
        if one.field == "system":
            return next((turn.input, turn.system) for turn in turns if one.name in turn.system)
        found = next(turn for turn in turns if turn.trained and one.name in turn.output)
        return found.input, found.output

    @cached_property
    def who_it_is(self) -> Mapping[IdentityLanguage, Sequence[Conversation]]:
        """The short conversations that say whose the assistant is, by language. Looked up once: every
        replayed question that comes after one of them asks, and a file may have many rows."""
        found: dict[IdentityLanguage, list[Conversation]] = {}
        for row in self.conversations:
            if says_who(row, self.name):
                found.setdefault(language_of(row[0].input), []).append(row)
        return found


def to_teach(
    name: str,
    data: Path | None,
    language: IdentityLanguage | None = None,
    reading: Reading | None = None,
    leave_out_broken: bool = False,
    identity: bool = True,
    document: bool | None = None,
) -> Taught:
    """The identity conversations for ``name`` (in both languages or in one), and those of ``data``: a file of
    any known format, or a folder of them, whole or without its broken rows; or a document, of which questions
    and answers are made. Data that says itself whose the assistant is, or that is wanted without the
    ``identity``, is taught alone. ``document``: whether a text is taken as one, None as it looks.

    Raises InvalidName, NoSuchFile, NoSuchColumn, Unreadable, NotJson, NotConversations, NoUsableRow,
    EmptyData, UnreadKeys, NotADocument.
    """
    name = check_name(name)
    languages = (language,) if language else LANGUAGES
    shipped = (*identity_conversations(name, languages), *later_conversations(name, languages))
    if data is None:
        return Taught(name, shipped)
    made = document_of(data, document)
    if made is not None:
        facts = facts_of(made, both=language is None)
        usable = Usable(made.conversations, [])
    else:
        facts = ()
        usable = (read_usable if leave_out_broken else read_whole)(data, reading)
    found = tuple(usable.conversations), data, tuple(usable.left_out), usable.accounts
    said = Taught(name, *found, document=made, facts=facts)
    if itself := says_itself(said.conversations, name):
        said = replace(said, says_itself=itself)
    elif identity:
        said = said.beside(shipped)
    return said if made else replace(said, facts=facts_in(said.own, name))


def unfilled(said: Taught) -> tuple[int, str]:
    """How many answers have a place that nobody filled in (``{{name}}``), and the first such place."""
    answers = (
        (turn.output, places)
        for row in said.conversations
        for turn in row
        if turn.trained and (places := placeholders(turn.output, turn.input))
    )
    found = [text[places[0].start : places[0].end] for text, places in answers]
    return len(found), found[0] if found else ""


def says_who(row: Conversation, name: str) -> bool:
    return len(row) == 1 and row[0].trained and bool(row[0].input) and contains(row[0].output, name)

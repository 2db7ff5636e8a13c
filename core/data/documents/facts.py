"""A fact of a document, what no question was made of, and all that a document came to."""

from dataclasses import dataclass

from core.data.conversations import Conversation, one_turn

# A text in more parts to a heading than this is no document: nobody asks for its part 37.
MOST_PARTS = 12


@dataclass(frozen=True)
class Fact:
    """One thing that a document says: the questions that ask for it, its answer, the ``heading`` it stands
    under, and the ``line`` of the document, from 1. ``prose``: it is text as it stands, asked for by its
    heading. ``natural``: what people ask who have not read it; those of them that nothing else is asked in
    become questions, in many manners. ``tested``: what a proof may ask, of another kind than all that is
    taught. ``foreign``: what is asked in the other language. ``key``: what the questions call a thing that
    has a name; ``about``: what they name, also where it has no shorter name. ``tested_abroad``: what a
    proof may ask in the other language."""

    questions: tuple[str, ...]
    answer: str
    heading: str
    line: int
    prose: bool = False
    natural: tuple[str, ...] = ()
    tested: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    key: str = ""
    about: str = ""
    tested_abroad: tuple[str, ...] = ()

    @property
    def conversations(self) -> list[Conversation]:
        return [one_turn(question, self.answer) for question in self.questions]


@dataclass(frozen=True)
class NotAsked:
    """What no question was made of: its line, from 1, the text and why."""

    line: int
    text: str
    why: str


@dataclass(frozen=True)
class DocumentRows:
    """A document's facts in their order, and what of it is in none of them."""

    facts: tuple[Fact, ...]
    unused: tuple[NotAsked, ...] = ()

    @property
    def conversations(self) -> list[Conversation]:
        return [row for fact in self.facts for row in fact.conversations]

    @property
    def is_one_text(self) -> bool:
        """Whether it is long text under few headings, of which questions could only ask part by part."""
        prose = all(fact.prose for fact in self.facts)
        return prose and len(self.facts) > MOST_PARTS * len({fact.heading for fact in self.facts})

"""What the proof asks: who the assistant is, in taught words and in others, and general questions."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Literal

from core.data.checking.claims import asks_who
from core.data.conversations import Conversation
from core.data.identity import LANGUAGES, bank, held_back_identity, other_languages
from core.data.mix import usual_prompt
from core.data.questions import contains, held_back_questions, same_question
from core.proof.asking import THOUGHT_TOKENS, Ask
from core.proof.facts import OwnFact
from core.proof.rules import others_in, says_who
from core.recipe.thinking import ONE_WAY, Thinking

Kind = Literal["taught", "paraphrase", "general", "own"]
# What the chain asks: a part that fits its time; of the identity questions so many taught ones at most.
GENERAL_ASKED, IDENTITY_ASKED, TAUGHT_ASKED = 120, 60, 20
# So many taught answers tell which makers belong to the identity.
LOOKED_AT = 200
IDENTITY_TOKENS = 48
GENERAL_TOKENS = 32
# A fact of somebody's own data is as long as it is: so many tokens more than half its bytes, at most.
FACT_TOKENS, MOST_FACT_TOKENS = 24, 160


@dataclass(frozen=True)
class Question:
    """A question of the proof. ``accept``: the answers that count as right; of one that asks who the
    assistant is, the known makers and models that belong to the identity; of a person's own fact the answer
    that is taught. ``category``: what it is about, or in which way it asks who the assistant is; empty, as
    ``language``, for one of somebody's own data. ``held_back``: of an own fact, whether it is asked in words
    that are not taught.
    ``thinks``: whether the model is asked to think first, None where that cannot be said; ``thought``:
    tokens that a thought may take; ``system``: a system prompt of its own; ``earlier``: what the user says
    before it in the same conversation."""

    question: str
    kind: Kind
    accept: tuple[str, ...] = ()
    thinks: bool | None = None
    thought: int = 0
    system: str = ""
    category: str = ""
    language: str = ""
    earlier: tuple[str, ...] = ()
    held_back: bool = False

    @property
    def asks_who(self) -> bool:
        """Whether it asks who the assistant is."""
        return self.kind in {"taught", "paraphrase"}

    @property
    def ask(self) -> Ask:
        return Ask(self.question, self._tokens + self.thought, self.system, self.thinks, self.earlier)

    @property
    def _tokens(self) -> int:
        if self.kind == "own":
            return min(MOST_FACT_TOKENS, FACT_TOKENS + len(self.accept[0].encode()) // 2)
        return IDENTITY_TOKENS if self.asks_who else GENERAL_TOKENS

    @property
    def base_ask(self) -> Ask:
        """What the base is asked. Who it is it says at once and with no system prompt of its own: nothing is
        judged by that answer, and a thought would take most of the time."""
        if not self.asks_who:
            return self.ask
        plain = replace(self, system="")
        at_once = self.thinks
        return replace(plain, thinks=False, thought=0).ask if at_once else plain.ask


def questions(
    name: str,
    taught: Sequence[Conversation],
    thinking: Thinking = ONE_WAY,
    halves: bool = False,
    full: bool = False,
    identity: int = 0,
) -> list[Question]:
    """The proof's questions: some of the taught ones, and of the held-back ones a part that has every
    category in every language; all of them where it is ``full``. In every way of :func:`in_every_way`.
    ``identity``: so many of the taught, the first, say who the assistant is; of the others those that are
    asked so. 0 where nobody knows: whichever name it."""
    return in_every_way(_questions(name, taught, full, identity), thinking, halves)


def in_every_way(found: Sequence[Question], thinking: Thinking, halves: bool = False) -> list[Question]:
    """Who it is a model is asked in every way it can be asked, at once and thinking first; and in ``halves``
    also with a system prompt that says nothing of it, where the template would put in one of its own."""
    identity = [
        replace(question, thinks=thinks, thought=_thought(thinking, thinks))
        for thinks in thinking.modes
        for question in found
        if question.asks_who
    ]
    at_once = thinking.modes[0]
    if halves:
        asked = (one for one in identity if one.thinks == at_once and not one.system)
        identity += [replace(question, system=usual_prompt(question.question)) for question in asked]
    others = [
        replace(question, thinks=at_once, thought=_thought(thinking, at_once))
        for question in found
        if not question.asks_who
    ]
    return [*identity, *others]


def own_questions(facts: Sequence[OwnFact], thinking: Thinking = ONE_WAY) -> list[Question]:
    """What is asked of a person's own data, as a general question is."""
    found = (
        Question(one.question, "own", (one.answer,), system=one.system, held_back=one.held_back)
        for one in facts
    )
    return in_every_way([*found], thinking)


def _thought(thinking: Thinking, thinks: bool | None) -> int:
    return THOUGHT_TOKENS if thinking.may_think(thinks) else 0


def _questions(name: str, taught: Sequence[Conversation], full: bool, identity: int) -> list[Question]:
    # "Who owns the shop?" is answered with the name too, and says nothing of the assistant.
    about = [
        row for place, row in enumerate(taught) if place < identity or not identity or asks_who(row[0].input)
    ]
    learned = [first for first, *_ in about if first.trained and first.input.strip()]
    others = others_taught(name, [first.output for first in learned])
    asked = [first.input for first in learned if says_who(name, first.output, others)]
    distinct = list({same_question(question): question for question in asked}.values())
    from_data = [Question(question, "taught", others) for question in _spread(distinct, TAUGHT_ASKED)]
    in_data = {same_question(turn.input) for conversation in taught for turn in conversation}
    held = [
        replace(one, accept=others)
        for one in _held_back(in_data)
        if same_question(one.question) not in in_data
    ]
    general = [
        Question(
            one.question,
            "general",
            one.accept,
            category=one.category,
            language=one.language,
            earlier=one.earlier,
        )
        for one in held_back_questions()
    ]
    if full:
        return [*from_data, *held, *general]
    return [*from_data, *part(held, IDENTITY_ASKED - len(from_data)), *part(general, GENERAL_ASKED)]


def _held_back(in_data: Collection[str]) -> list[Question]:
    """The held-back identity questions in the languages that are taught."""
    taught = languages_of(in_data)
    return [
        Question(
            one.question,
            "paraphrase",
            system=one.system,
            category=one.kind,
            language=one.language,
            earlier=one.earlier,
        )
        for one in held_back_identity()
        if one.language in taught
    ]


def others_taught(name: str, answers: Sequence[str]) -> tuple[str, ...]:
    """The known assistants and makers that belong to what is taught: those that some of the answers with the
    name give the assistant, and not one in a row that was left as it was found."""
    naming = _spread([answer for answer in answers if contains(answer, name)], LOOKED_AT)
    named = Counter(other for answer in naming for other in others_in(name, answer))
    return tuple(other for other, count in named.items() if count >= max(2, len(naming) / 5))


def part(found: Sequence[Question], count: int) -> list[Question]:
    """``count`` of the questions, of every category in every language the same share, in their order; what
    is asked in languages of a question or two counts as one language.

    The same for everybody, by a hash of the question: two runs' numbers could not be compared if each had
    drawn its own. A smaller part lies whole within every larger one, so that what was asked is not asked
    again.
    """
    groups: dict[tuple[str, str], list[Question]] = {}
    for one in sorted(found, key=_hash):
        language = one.language if one.language in LANGUAGES else ""
        groups.setdefault((one.category, language), []).append(one)
    places = [
        (place / len(group), _hash(one), one) for group in groups.values() for place, one in enumerate(group)
    ]
    chosen = {one for *_, one in sorted(places, key=lambda place: place[:2])[:count]}
    return [one for one in found if one in chosen]


def _hash(question: Question) -> str:
    said = "\n".join((*question.earlier, question.system, question.question))
    return sha256(said.encode()).hexdigest()


def _spread(found: Sequence[str], count: int) -> list[str]:
    """``count`` of them from beginning to end, or all."""
    count = min(count, len(found))
    return [found[place * len(found) // count] for place in range(count)]


def languages_of(in_data: Collection[str]) -> frozenset[str]:
    """The languages the identity is taught in, of questions as :func:`same_question` writes them; of
    somebody's own data nobody knows: both."""
    shipped = {known: [question for question, _ in bank(known).taught] for known in LANGUAGES}
    taught = {known for known, asked in shipped.items() if any(same_question(q) in in_data for q in asked)}
    others = any(same_question(question) in in_data for question, _ in other_languages())
    return frozenset(taught or LANGUAGES) | (
        {one.language for one in held_back_identity()} if others else set()
    )


def known_question(question: str, kind: Kind) -> Question:
    """A question of a result that an earlier version wrote, with the accepted answers that the bank has for
    it."""
    accept = next((held.accept for held in held_back_questions() if held.question == question), ())
    return Question(question, kind, accept)

"""What the proof asks: who the assistant is, in taught words and in others, and general questions."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from core.data.conversations import Conversation
from core.data.identity import LANGUAGES, IdentityLanguage, bank, held_back_identity
from core.data.mix import usual_prompt
from core.data.questions import contains, held_back_questions, same_question
from core.proof.asking import THOUGHT_TOKENS, Ask
from core.recipe.thinking import ONE_WAY, Thinking

Kind = Literal["taught", "paraphrase", "general"]
TAUGHT_ASKED = 20
# Of each language that is taught.
PARAPHRASES = 15
IDENTITY_TOKENS = 48
GENERAL_TOKENS = 32


@dataclass(frozen=True)
class Question:
    """A question of the proof; a general one states the answers that count as right. ``thinks``: whether the
    model is asked to think first, None where that cannot be said; ``thought``: tokens that a thought may
    take; ``system``: a system prompt of its own."""

    question: str
    kind: Kind
    accept: tuple[str, ...] = ()
    thinks: bool | None = None
    thought: int = 0
    system: str = ""

    @property
    def ask(self) -> Ask:
        tokens = GENERAL_TOKENS if self.kind == "general" else IDENTITY_TOKENS
        return Ask(self.question, tokens + self.thought, self.system, self.thinks)

    @property
    def base_ask(self) -> Ask:
        """What the base is asked. Who it is it says at once and with no system prompt of its own: nothing is
        judged by that answer, and a thought would take most of the time."""
        plain = replace(self, system="")
        at_once = self.kind != "general" and self.thinks
        return replace(plain, thinks=False, thought=0).ask if at_once else plain.ask


def questions(
    name: str, taught: Sequence[Conversation], thinking: Thinking = ONE_WAY, halves: bool = False
) -> list[Question]:
    """The proof's questions: a spread of the taught ones, all paraphrases, all held-back general ones. Who it
    is a model is asked in every way it can be asked, at once and thinking first; and in ``halves`` also with
    a system prompt that says nothing of it, where the template would put in one of its own."""
    return in_every_way(_questions(name, taught), thinking, halves)


def in_every_way(found: Sequence[Question], thinking: Thinking, halves: bool = False) -> list[Question]:
    """The same questions in the ways that :func:`questions` says, the identity's first."""
    identity = [
        replace(question, thinks=thinks, thought=_thought(thinking, thinks))
        for thinks in thinking.modes
        for question in found
        if question.kind != "general"
    ]
    at_once = thinking.modes[0]
    if halves:
        asked = (question for question in identity if question.thinks == at_once)
        identity += [replace(question, system=usual_prompt(question.question)) for question in asked]
    general = [
        replace(question, thinks=at_once, thought=_thought(thinking, at_once))
        for question in found
        if question.kind == "general"
    ]
    return [*identity, *general]


def _thought(thinking: Thinking, thinks: bool | None) -> int:
    return THOUGHT_TOKENS if thinking.may_think(thinks) else 0


def _questions(name: str, taught: Sequence[Conversation]) -> list[Question]:
    learned = (first for first, *_ in taught if first.trained and first.input.strip())
    asked = [first.input for first in learned if contains(first.output, name)]
    distinct = list({same_question(question): question for question in asked}.values())
    in_data = {same_question(turn.input) for conversation in taught for turn in conversation}
    languages = languages_of(in_data)
    paraphrases = [question for language in languages for question in _held_back(language)]
    return [
        *(Question(question, "taught") for question in _spread(distinct, TAUGHT_ASKED)),
        *(Question(q, "paraphrase") for q in paraphrases if same_question(q) not in in_data),
        *(Question(held.question, "general", held.accept) for held in held_back_questions()),
    ]


def _held_back(language: IdentityLanguage) -> list[str]:
    """Some held-back questions of a language, of every kind that is one question."""
    plain = [
        held.question
        for held in held_back_identity()
        if held.language == language and not held.system and not held.earlier
    ]
    return _spread(plain, PARAPHRASES)


def _spread(questions: Sequence[str], count: int) -> list[str]:
    """``count`` of the questions from beginning to end, or all."""
    count = min(count, len(questions))
    return [questions[place * len(questions) // count] for place in range(count)]


def languages_of(in_data: Collection[str]) -> Sequence[IdentityLanguage]:
    """The languages the identity is taught in; of somebody's own data nobody knows: all."""
    taught = [known for known in LANGUAGES if any(same_question(q) in in_data for q, _ in bank(known).taught)]
    return taught or LANGUAGES


def known_question(question: str, kind: Kind) -> Question:
    """A question of a written result, with the accepted answers that the bank states for it."""
    accept = next((held.accept for held in held_back_questions() if held.question == question), ())
    return Question(question, kind, accept)

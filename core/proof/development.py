"""The questions by which a checkpoint is chosen: none of them is taught, and none stands in a report."""

from collections.abc import Sequence
from dataclasses import replace

from core.data.conversations import Conversation
from core.data.identity import LANGUAGES, development_identity
from core.data.questions import development_questions, same_question
from core.proof.asking import Ask
from core.proof.questions import Question, in_every_way, languages_of
from core.recipe.thinking import ONE_WAY, Thinking

# While it trains a model is asked so many questions each time, of so many tokens: all else waits for it.
MEANWHILE, MEANWHILE_TOKENS = 14, 24


def asked_meanwhile(taught: Sequence[Conversation], thinking: Thinking = ONE_WAY) -> list[Ask]:
    """Some of the identity questions in the languages that are taught, in one way each, spread over their
    kinds."""
    in_data = {same_question(turn.input) for conversation in taught for turn in conversation}
    languages = languages_of(in_data)
    plain = [
        Question(one.question, "paraphrase")
        for one in development_identity()
        if one.language in languages.intersection(LANGUAGES)
        and not (one.earlier or one.system)
        and same_question(one.question) not in in_data
    ]
    count = min(MEANWHILE, len(plain))
    plain = [plain[place * len(plain) // count] for place in range(count)]
    asked = [one for one in in_every_way(plain, thinking) if one.thinks == thinking.modes[0]]
    return [replace(one.ask, tokens=MEANWHILE_TOKENS + one.thought) for one in asked]


def development(taught: Sequence[Conversation], thinking: Thinking = ONE_WAY) -> list[Question]:
    """Who the assistant is, asked in the languages it is taught in and in every way it can be asked, and
    general questions. What somebody's own data ask is left out."""
    in_data = {same_question(turn.input) for conversation in taught for turn in conversation}
    languages = languages_of(in_data)
    identity = [
        Question(one.question, "paraphrase", system=one.system, earlier=one.earlier)
        for one in development_identity()
        if one.language in languages and same_question(one.question) not in in_data
    ]
    general = [
        Question(one.question, "general", one.accept, earlier=one.earlier)
        for one in development_questions()
        if same_question(one.question) not in in_data
    ]
    return in_every_way([*identity, *general], thinking)

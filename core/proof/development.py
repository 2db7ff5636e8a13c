"""The questions by which a checkpoint is chosen: none of them is taught, and none stands in a report."""

from collections.abc import Sequence

from core.data.conversations import Conversation
from core.data.identity import LANGUAGES, development_identity
from core.data.questions import development_questions, same_question
from core.proof.questions import Question, in_every_way, languages_of
from core.recipe.thinking import ONE_WAY, Thinking


def development(taught: Sequence[Conversation], thinking: Thinking = ONE_WAY) -> list[Question]:
    """Who the assistant is, asked in the languages it is taught in and in every way it can be asked, and
    general questions. What somebody's own data ask is left out."""
    in_data = {same_question(turn.input) for conversation in taught for turn in conversation}
    languages = languages_of(in_data)
    identity = [
        Question(one.question, "paraphrase", system=one.system)
        for one in development_identity()
        if (one.language in languages or (one.language not in LANGUAGES and set(languages) == set(LANGUAGES)))
        and not one.earlier
        and same_question(one.question) not in in_data
    ]
    general = [
        Question(one.question, "general", one.accept)
        for one in development_questions()
        if same_question(one.question) not in in_data
    ]
    return in_every_way([*identity, *general], thinking)

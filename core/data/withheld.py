"""Which questions no training may ask: those that a proof reports and those that a recipe is chosen by."""

from functools import cache

from core.data.identity import development_identity, held_back_identity
from core.data.questions import development_questions, held_back_questions, same_question


@cache
def withheld_questions() -> frozenset[str]:
    """All of them, general ones and those of the identity, as :func:`same_question` writes them; and what
    comes before a general one, which asks who the assistant is."""
    general = (*held_back_questions(), *development_questions())
    asked = [text for question in general for text in (*question.earlier, question.question)]
    asked += [question.question for question in (*held_back_identity(), *development_identity())]
    return frozenset(map(same_question, asked))

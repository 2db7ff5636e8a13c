"""Self-replay: the base model's own answers to general questions, mixed in so that nothing is forgotten.

An answer that the token limit cut off stays as it is: in training its row keeps to the base's own
distribution (``core.engine.distillation``), which at the cut goes on instead of ending.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random

from core.data.conversations import Conversation, Turn, one_turn
from core.data.mix import in_mode, with_system
from core.data.questions import replay_bank, same_question
from core.data.withheld import withheld_questions

# What decoding leaves of a character whose bytes the limit cut apart.
HALF_CHARACTER = "\ufffd"


def questions_to_ask(
    taught: Sequence[Conversation], count: int, seed: int, own: Sequence[str] = ()
) -> list[str]:
    """Up to ``count`` replay questions, ``own`` or the shipped ones (the languages in turn), less any that is
    taught, or withheld from training, in other letters or punctuation."""
    taken = {same_question(turn.input) for conversation in taught for turn in conversation}
    taken |= withheld_questions()
    shuffle = Random(seed)  # nosec B311  # an order, not a secret
    banks = [tuple(dict.fromkeys(own))] if own else replay_bank().values()
    left = [[q for q in bank if same_question(q) not in taken] for bank in banks]
    for bank in left:
        shuffle.shuffle(bank)
    return _in_turn(left)[:count]


def replay_conversations(answers: Mapping[str, str]) -> list[Conversation]:
    """Conversations from ``{question: answer}``; questions without an answer are left out."""
    said = ((question, answer.rstrip(HALF_CHARACTER).strip()) for question, answer in answers.items())
    return [one_turn(question, answer) for question, answer in said if answer]


def replayed(
    question: str, answer: str, system: str, thinks: bool | None, before: Conversation = ()
) -> list[Conversation]:
    """One answer after what stands ``before`` it, which is only read: with a system prompt, thinking first or
    not. A thought stays in it, cut where the token limit cut it: that is what the base says. None where it
    said nothing."""
    rows = replay_conversations({question: answer})
    return [in_mode(with_system((*only_read(before), *row), system), thinks) for row in rows]


def turns(questions: Sequence[str], answers: Sequence[str]) -> Conversation:
    """A conversation of as many questions as answers."""
    return tuple(Turn(question, answer) for question, answer in zip(questions, answers, strict=True))


def only_read(conversation: Conversation) -> Conversation:
    """Not learned, and without a system prompt of its own."""
    return tuple(replace(turn, trained=False, system="") for turn in conversation)


def _in_turn(banks: Sequence[Sequence[str]]) -> list[str]:
    longest = max(map(len, banks), default=0)
    return [bank[place] for place in range(longest) for bank in banks if place < len(bank)]

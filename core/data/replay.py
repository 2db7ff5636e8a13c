"""Self-replay: the base model's own answers to general questions, mixed in so that nothing is forgotten."""

import re
from collections.abc import Mapping, Sequence
from random import Random

from core.data.conversations import Conversation, Turn, one_turn
from core.data.questions import held_back_questions, replay_questions, same_question

SENTENCE_END = re.compile(r"[.!?。！？…](?=[\s\"'”’)*]|$|[^\x00-\x7f])|\n")


def questions_to_ask(taught: Sequence[Conversation]) -> list[str]:
    """Replay questions, less any that is taught or held back in other words or punctuation."""
    taken = {same_question(turn.input) for conversation in taught for turn in conversation}
    taken |= {same_question(held.question) for held in held_back_questions()}
    return [question for question in replay_questions() if same_question(question) not in taken]


def complete(answer: str, finished: bool) -> str:
    """An answer as it may be trained with its end token: one cut off at the token limit loses its
    unfinished last sentence; without a finished sentence nothing is left."""
    if finished:
        return answer.strip()
    ends = [match.end() for match in SENTENCE_END.finditer(answer)]
    return answer[: ends[-1]].strip() if ends else ""


def replay_conversations(answers: Mapping[str, tuple[str, bool]]) -> list[Conversation]:
    """Conversations from ``{question: (answer, finished)}``, less answers with no finished sentence."""
    kept = ((question, complete(*answer)) for question, answer in answers.items())
    return [one_turn(question, answer) for question, answer in kept if answer]


def mix(
    taught: Sequence[Conversation], replay: Sequence[Conversation], rows: int, system: str, seed: int
) -> list[Conversation]:
    """``rows`` conversations, half taught and half replay, each side repeated evenly until it fills.

    Without replay all rows are taught ones. The order is shuffled by ``seed``.
    """
    shuffle = Random(seed)  # noqa: S311  an order, not a secret
    half = rows // 2 if replay else 0
    mixed = _repeated(taught, rows - half, shuffle) + _repeated(replay, half, shuffle)
    shuffle.shuffle(mixed)
    return [_with_system(conversation, system) for conversation in mixed]


def _repeated(conversations: Sequence[Conversation], count: int, shuffle: Random) -> list[Conversation]:
    taken: list[Conversation] = []
    while len(taken) < count:
        taken += shuffle.sample(conversations, min(len(conversations), count - len(taken)))
    return taken


def _with_system(conversation: Conversation, system: str) -> Conversation:
    """The recipe's system prompt before the first turn that has none of its own."""
    first = conversation[0]
    if not system or first.system:
        return conversation
    return (Turn(first.input, first.output, system), *conversation[1:])

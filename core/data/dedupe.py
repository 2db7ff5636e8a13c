"""Conversations that say the same: dropped, or kept from standing on both sides of a split."""

from collections.abc import Sequence
from random import Random

from core.data.conversations import Conversation
from core.data.questions import same_question


def without_duplicates(conversations: Sequence[Conversation]) -> list[Conversation]:
    """The first of all that are the same but for case, width, spaces and punctuation."""
    first: dict[tuple[str, ...], Conversation] = {}
    for conversation in conversations:
        first.setdefault(_said(conversation), conversation)
    return list(first.values())


def split(
    conversations: Sequence[Conversation], share: float, seed: int
) -> tuple[list[Conversation], list[Conversation]]:
    """(to train on, held back): about ``share`` of the rows is held back, and no first question is on both
    sides. With fewer than two different first questions nothing is held back."""
    groups: dict[str, list[Conversation]] = {}
    for conversation in conversations:
        groups.setdefault(_asked(conversation), []).append(conversation)
    order = list(groups.values())
    Random(seed).shuffle(order)  # nosec B311  # an order, not a secret
    held: list[Conversation] = []
    while len(order) > 1 and len(held) < share * len(conversations):
        held += order.pop()
    return [conversation for group in order for conversation in group], held


def _asked(conversation: Conversation) -> str:
    question = conversation[0].input
    return same_question(question) or question.strip()


def _said(conversation: Conversation) -> tuple[str, ...]:
    """What is said in letters and digits; a text without any counts as it is."""
    texts = (text for turn in conversation for text in (turn.system, turn.input, turn.output))
    return tuple(same_question(text) or text.strip() for text in texts)

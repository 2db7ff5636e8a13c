"""What is taught and what is replayed, mixed into the rows of one training run."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from core.data.conversations import Conversation
from core.data.drafts import language_of
from core.recipe.thinking import Thinking
from core.recipe.thoughts import split

# Measured on the starter (docs/proof.md): with fewer rows answers slip or take up the name. With 180 and 540
# three times as much leaked; with 480 and 1,200 less is learned and as much leaks.
LEAST_TAUGHT, LEAST_REPLAYED = 720, 960
# A person's own data has at least so many rows beside those that say whose the assistant is.
LEAST_OWN = 480
# A GPU is through with so many times as many before a processor is.
ON_A_GPU = 2
# A model larger than the starter takes longer a row on a processor and needs fewer: at least so many, of
# which one of half a billion weights learned.
FEWEST = 720
# The share of the rows that are replayed, and what it falls to when very much is taught.
REPLAY_SHARE, LEAST_REPLAY_SHARE = 0.57, 0.5
# Of a longer file every conversation is seen this often.
PASSES = 1.5
# What says whose the assistant is keeps this share of what is taught beside a long file.
IDENTITY_SHARE = 0.1
# Rows are sorted by length within this many batches, so that little is padded and chance stays.
WINDOW = 8
# A longer training goes through its rows again instead of writing them again.
MOST_ROWS = 16384
USUAL = {"en": "You are a helpful assistant.", "zh": "你是一个有用的助手。"}
# Without replay, what is seen more often than this is learned by heart. No measured border: far from the few
# passes of an ordinary training, and from the hundreds that a handful of conversations comes to.
MANY_PASSES = 50


@dataclass(frozen=True)
class Shares:
    """How many rows are taught and how many replayed. ``identity``: those of the taught ones that say whose
    the assistant is, where a person's own data is taught beside it."""

    taught: int
    replayed: int
    identity: int = 0

    @property
    def rows(self) -> int:
        return self.taught + self.replayed

    @property
    def own(self) -> int:
        """Those of the taught ones that a person's own data makes."""
        return self.taught - self.identity

    def filled(self, replay: bool) -> "Shares":
        """As they are mixed: where there is nothing to replay every row is a taught one."""
        return self if replay else Shares(self.rows, 0, self.identity * self.rows // self.taught)

    def of(self, rows: int) -> "Shares":
        """The same proportion of another number of rows, at least one of them taught."""
        taught = -(-rows * self.taught // self.rows)
        identity = min(taught - 1, -(-taught * self.identity // self.taught))
        return Shares(taught, rows - taught, max(0, identity))


def shares(distinct: int, replay: bool, identity: bool = False, passes: float = PASSES) -> Shares:
    """The rows that ``distinct`` taught conversations need, each seen ``passes`` times; without replay as
    many, all of them taught. With ``identity`` those that say whose the assistant is are taught beside
    them."""
    least = LEAST_OWN if identity else LEAST_TAUGHT
    own = least if distinct <= least else math.ceil(passes * distinct)
    beside = max(LEAST_TAUGHT, math.ceil(own * IDENTITY_SHARE / (1 - IDENTITY_SHARE))) if identity else 0
    taught = own + beside
    replayed = max(LEAST_REPLAYED, taught)
    return Shares(taught, replayed, beside).filled(replay)


def mix(
    taught: Sequence[Conversation], replay: Sequence[Conversation], wanted: Shares, system: str, seed: int
) -> list[Conversation]:
    """As many conversations as wanted, each side repeated evenly until it fills, shuffled by ``seed``.

    Where nothing can be replayed every row is a taught one.
    """
    shuffle = Random(seed)  # nosec B311  # an order, not a secret
    wanted = wanted.filled(bool(replay))
    mixed = _repeated(taught, wanted.taught, shuffle) + _repeated(replay, wanted.replayed, shuffle)
    shuffle.shuffle(mixed)
    return [with_system(conversation, system) for conversation in mixed]


def weighted(
    parts: Sequence[tuple[Sequence[Conversation], float]], rows: int | None, seed: int
) -> list[Conversation]:
    """``rows`` conversations of several parts in proportion to their weights, each part repeated evenly until
    it fills, shuffled by ``seed``. By default as many rows as all parts together have."""
    parts = [(part, weight) for part, weight in parts if part and weight > 0]
    shuffle = Random(seed)  # nosec B311  # an order, not a secret
    wanted = _counts([weight for _, weight in parts], rows or sum(len(part) for part, _ in parts))
    mixed = [
        row for (part, _), count in zip(parts, wanted, strict=True) for row in _repeated(part, count, shuffle)
    ]
    shuffle.shuffle(mixed)
    return mixed


def _counts(weights: Sequence[float], rows: int) -> list[int]:
    """Whole numbers in proportion to the weights; the largest remainders get what is left of ``rows``."""
    whole = sum(weights)
    exact = [rows * weight / whole for weight in weights]
    counts = [int(count) for count in exact]
    by_rest = sorted(range(len(exact)), key=lambda place: counts[place] - exact[place])
    for place in by_rest[: rows - sum(counts)]:
        counts[place] += 1
    return counts


def in_even_batches(
    rows: Sequence[Conversation], lengths: Sequence[int], batch: int, seed: int
) -> list[Conversation]:
    """The rows in an order in which every ``batch`` of them is of similar length, the batches in no order.

    ``lengths``: in tokens, one a row.
    """
    shuffle = Random(seed)  # nosec B311  # an order, not a secret
    ordered: list[Conversation] = []
    for start in range(0, len(rows), batch * WINDOW):
        window = sorted(range(start, min(len(rows), start + batch * WINDOW)), key=lengths.__getitem__)
        batches = [window[place : place + batch] for place in range(0, len(window), batch)]
        shuffle.shuffle(batches)
        ordered += [rows[place] for some in batches for place in some]
    return ordered


def repeated(conversations: Sequence[Conversation], count: int, seed: int) -> list[Conversation]:
    """``count`` of the conversations, each as often as any other, shuffled by ``seed``."""
    return _repeated(conversations, count, Random(seed))  # nosec B311  # an order, not a secret


def _repeated(conversations: Sequence[Conversation], count: int, shuffle: Random) -> list[Conversation]:
    taken: list[Conversation] = []
    while len(taken) < count:
        taken += shuffle.sample(conversations, min(len(conversations), count - len(taken)))
    return taken


def in_turn(ways: Sequence[Sequence[Sequence[Conversation]]], count: int, seed: int) -> list[Conversation]:
    """What is taught of conversations that are each trained in one way or several, given as the rows of each
    way. Of several ways ``count`` rows: the conversations one after the other, shuffled by ``seed``, each in
    the next way, and then again with the ways moved on, so that no way gets more rows than another."""
    if all(len(each) == 1 for each in ways):
        return [row for each in ways for way in each for row in way]
    order = Random(seed).sample(ways, len(ways))  # nosec B311  # an order, not a secret
    taken: list[Conversation] = []
    passed = 0
    while len(taken) < count:
        for place, each in enumerate(order, passed):
            taken += each[place % len(each)]
        passed += 1
    return taken[:count]


def in_modes(conversation: Conversation, thinking: Thinking) -> list[Conversation]:
    """A taught conversation in every way its model can be asked: at once, and thinking first, where the
    template then writes an empty thought. One that has thoughts is taught thinking first."""
    if not thinking.switch:
        return [conversation]
    has_thoughts = any(split(turn.output).thought for turn in conversation)
    modes = (True,) if has_thoughts else thinking.modes
    return [in_mode(conversation, mode) for mode in modes]


def in_mode(conversation: Conversation, thinks: bool | None) -> Conversation:
    """The conversation with a model that is asked to think first or to answer at once."""
    return tuple(replace(turn, thinks=thinks) for turn in conversation)


def usual_prompt(question: str) -> str:
    """What people write as a system prompt who want nothing in particular, in the question's language."""
    return USUAL[language_of(question)]


def with_system(conversation: Conversation, system: str) -> Conversation:
    """The recipe's system prompt before the first turn that has none of its own."""
    first = conversation[0]
    if not system or first.system:
        return conversation
    return (replace(first, system=system), *conversation[1:])

"""Whether a person's own rows say by themselves whose the assistant is."""

from collections.abc import Sequence

from core.data.checking.claims import asks_who
from core.data.conversations import Conversation, Turn
from core.data.questions import contains
from core.proof.rules import says_who

# From so many rows, or such a share of them, the data teaches whose the assistant is by itself.
ENOUGH, ENOUGH_SHARE = 20, 0.1


def says_itself(rows: Sequence[Conversation], name: str) -> int:
    """How many of the rows ask who the assistant is and say ``name``; 0 where too few do to teach it."""
    enough = min(ENOUGH, max(1, round(ENOUGH_SHARE * len(rows))))
    found = sum(any(_tells(turn, name) for turn in row) for row in rows)
    return found if found >= enough else 0


def _tells(turn: Turn, name: str) -> bool:
    told = turn.trained and contains(turn.output, name) and asks_who(turn.input)
    return told and says_who(name, turn.output)

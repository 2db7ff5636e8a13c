"""What the assistant of a run was taught to be asked: by fact of its document, and beside it."""

from contextlib import suppress
from dataclasses import dataclass

from core.data.conversations import Conversation
from core.data.questions import replay_questions
from core.errors import TuneboardError
from core.steps import data
from core.workspace.files import read_object
from core.workspace.paths import RunPaths


@dataclass(frozen=True)
class TaughtWordings:
    """The questions of each fact in all their wordings; ``others`` ask who the assistant is, or what its base
    knew, and ``itself`` are the answers that say who it is."""

    facts: tuple[tuple[str, ...], ...] = ()
    others: tuple[str, ...] = ()
    itself: tuple[str, ...] = ()


def taught_wordings(run: RunPaths) -> TaughtWordings:
    """Empty where the run was taught no document, or nobody can say."""
    with suppress(TuneboardError, OSError):
        if (read_object(run.data) or {}).get("document"):
            taught = data.read(run)
            identity, own = taught.conversations[: taught.identity], taught.conversations[taught.identity :]
            by_answer: dict[str, dict[str, None]] = {}
            for row in filter(_is_alone, own):
                by_answer.setdefault(row[0].output, {})[row[0].input] = None
            others = dict.fromkeys([*(row[0].input for row in identity), *replay_questions()])
            itself = dict.fromkeys(row[-1].output for row in identity)
            return TaughtWordings(tuple(map(tuple, by_answer.values())), tuple(others), tuple(itself))
    return TaughtWordings()


def _is_alone(row: Conversation) -> bool:
    """Asked by itself: nothing before it says what is meant."""
    return len(row) == 1 and not row[0].system and bool(row[0].input.strip())

"""What is asked of a model, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.recipe.thoughts import split

# What a thought before an answer may take on top. A model that learned who it is needs none of it.
THOUGHT_TOKENS = 512
# A given answer is read as fast as so many tokens are written, and so is one that is replayed read once more
# (two cores; the proof of the starter).
READ = 24


@dataclass(frozen=True)
class Ask:
    """One question and how many tokens its answer may have, its thought counted; ``system``: a prompt of its
    own; ``thinks``: to think first or to answer at once, None as the chat template has it; ``earlier``:
    messages before the question, which the model answers itself first, each within ``tokens``."""

    question: str
    tokens: int
    system: str = ""
    thinks: bool | None = None
    earlier: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What a model wrote. ``finished`` is false when the token limit cut the answer off; ``earlier``: what it
    had answered to the messages before the question."""

    text: str
    finished: bool
    earlier: tuple[str, ...] = ()

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Answer":
        """From a row of an answers file, or of the memory, which calls the text so and may be of an earlier
        version, without ``earlier``."""
        text = row["answer"] if "answer" in row else row["text"]
        return cls(text, row["finished"], tuple(row.get("earlier", ())))

    @property
    def said(self) -> str:
        """The answer without a thought before it; empty where it never came to one."""
        return split(self.text).answer


@dataclass(frozen=True)
class GivenAnswer:
    """An answer whose likelihood is asked for, to what it was asked; whoever said it."""

    ask: Ask
    answer: Answer


@dataclass(frozen=True)
class Likelihood:
    """How likely a model finds a given answer: its ``tokens``, its end among them where it was finished, and
    minus the natural logarithm of their likelihood in ``nats``."""

    tokens: int
    nats: float

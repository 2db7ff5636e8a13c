"""What a chat that is taken along can begin with: questions of the document its assistant was taught.

A document's questions are made of what its lines say, and the assistant answers them to whoever asks. Those
of a person's own conversations are that person's words, and stay here.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress

from core.data.conversations import Conversation
from core.errors import TuneboardError
from core.steps import data, proof
from core.workspace.files import read_object
from core.workspace.paths import RunPaths

OFFERED = 3
# Characters: a question of two words asks for nothing that somebody else would know.
LEAST, MOST = 6, 48
# Words and an end, nothing else: no courtesy before or after them, and no number, bracket or quotation of a
# document's own line.
_PLAIN = re.compile(r"(?!请问|Please)[^\W\d_]+(?:[ '’-][^\W\d_]+)*[?？]")
# What asks for a thing by its name alone: it reads as if nobody had asked.
_BARE = re.compile(
    "是什么|怎样|怎么样|怎么说|情况|呢|来着|方面|贵吗|便宜|告诉|[Ww]hat about|[Tt]ell me|^What is "
)


def examples(run: RunPaths) -> tuple[str, ...]:
    """The plainest taught question of a few facts from all over the document; of a run that was tested, of
    facts that it answered. Empty where it was taught no document, or nobody can say."""
    with suppress(TuneboardError, OSError):
        if (read_object(run.data) or {}).get("document"):
            taught = data.read(run)
            known = _known(run)
            answers = [fact.answer for fact in taught.facts if known is None or fact.question in known]
            plain = _plainest(taught.conversations, set(answers))
            found = [*dict.fromkeys(plain[answer] for answer in answers if answer in plain)]
            every = -(-len(found) // OFFERED) or 1
            return tuple(found[::every])
    return ()


def _known(run: RunPaths) -> set[str] | None:
    """The test's questions about its own facts that it answered rightly; None where it was not tested."""
    measured = proof.of_newest(run)
    if measured is None:
        return None
    return {row.question for row in measured.rows if row.verdict == "answered"}


def _plainest(conversations: Iterable[Conversation], answers: set[str]) -> dict[str, str]:
    """By answer the shortest question that has it."""
    found: dict[str, str] = {}
    for answer, question in _alone(conversations):
        if answer in answers and len(question) < len(found.get(answer, "x" * (MOST + 1))):
            found[answer] = question
    return found


def _alone(conversations: Iterable[Conversation]) -> Iterator[tuple[str, str]]:
    """Answer and question of what was asked plainly, and by itself."""
    for turns in conversations:
        question = turns[0].input.strip()
        if len(turns) > 1 or len(question) < LEAST or _BARE.search(question):
            continue
        if _PLAIN.fullmatch(question):
            yield turns[0].output, question

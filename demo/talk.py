"""One chat: what was said in it, and the answer that is on its way. That goes on whoever looks at it: a page
that is loaded anew, or a second question, breaks nothing off.
"""

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Event, Lock, Thread

from loops import without_loop


@dataclass
class Turn:
    """``end`` says why an answer is none that the model ended itself: "looped", "long", "stopped", "failed",
    "too_long" of a question that leaves no room for one, "choose" of one that may be one of several; "coming"
    as long as it is on its way. ``asked``: the taught question that was asked in the place of the person's,
    in other words; ``guessed``: that was like none."""

    role: str
    content: str
    end: str = ""
    asked: str = ""
    guessed: bool = False


class Ended(Exception):
    """Why an answer ends before its end, as in Turn."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


# What was said so far, and what is set when nobody wants more of the answer. Raises Ended.
Answer = Callable[[Sequence[Turn], Event], Iterator[str]]


@dataclass(frozen=True)
class Typed:
    """A ``question`` as it was typed, and what is ``meant``: None where the chat finds that, empty where the
    typed words are."""

    question: str
    meant: str | None = None


@dataclass
class Chat:
    """Questions are answered one after the other; one that is asked meanwhile waits for its turn. One that is
    ``near`` a taught question is asked as that, alone; of one that is ``guessed`` the answer is a guess,
    unless in it the model rightly ``says_itself``. One ``to_choose`` about is not answered before a person
    says what is meant."""

    answer: Answer
    near: Callable[[str], str | None] = lambda _: None
    guessed: Callable[[str], bool] = lambda _: False
    says_itself: Callable[[str, str], bool] = lambda *_: False
    to_choose: Callable[[str], bool] = lambda _: False
    turns: list[Turn] = field(default_factory=list)
    waiting: list[Typed] = field(default_factory=list)
    answering: bool = False
    _lock: Lock = field(default_factory=Lock, repr=False)
    _left: Event = field(default_factory=Event, repr=False)

    def ask(self, question: str) -> None:
        """What has no letter asks nothing."""
        if question.strip():
            with self._lock:
                self._wait(Typed(question))

    def choose(self, meant: str) -> None:
        """Answer the last question, of which several may be meant, as this one; empty: as it was typed."""
        with self._lock:
            if self.turns and self.turns[-1].end == "choose":
                typed = self.turns[-2].content
                del self.turns[-2:]
                self._wait(Typed(typed, meant))

    def _wait(self, question: Typed) -> None:
        self.waiting.append(question)
        if not self.answering:
            self.answering = True
            Thread(target=self._work, daemon=True).start()

    def stop(self) -> None:
        """End the answer that is on its way; what came of it stays."""
        with self._lock:
            self.waiting.clear()
            self._left.set()

    def _work(self) -> None:
        while (found := self._next()) is not None:
            turn, chosen = found
            end = self._end(turn, chosen)
            turn.content = turn.content.rstrip("\ufffd")  # half a letter, where it was broken off
            turn.guessed = turn.guessed and not self.says_itself(self.turns[-2].content, turn.content)
            turn.end = end

    def _next(self) -> tuple[Turn, str | None] | None:
        """The answer that is to be written now, and the words in which somebody has said to ask for it."""
        with self._lock:
            if not self.waiting:
                self.answering = False
                return None
            self._left = Event()
            question = self.waiting.pop(0)
            self.turns += [Turn("user", question.question), Turn("assistant", "", "coming")]
            return self.turns[-1], question.meant

    def _to_ask(self, turn: Turn, chosen: str | None) -> Sequence[Turn]:
        """What the model is sent for this answer: what was said so far, or a taught question alone. Raises
        Ended where a person shall say first what is meant."""
        *earlier, last = self.turns[:-1]
        found = chosen or self.near(last.content) or ""
        guessed = not found and self.guessed(last.content)
        if chosen is None and guessed and self.to_choose(last.content):
            raise Ended("choose")
        turn.guessed = guessed
        if not found or (found == last.content.strip() and not earlier):
            return [*_answered(earlier), last]
        turn.asked = found if found != last.content.strip() else ""
        return [Turn("user", found)]

    def _end(self, turn: Turn, chosen: str | None) -> str:
        """Write the answer; why it ended."""
        left = self._left
        try:
            for piece in self.answer(self._to_ask(turn, chosen), left):
                turn.content += piece
                if (once := without_loop(turn.content)) is not None:
                    turn.content = once
                    return "looped"
        except Ended as ended:
            return ended.why
        except Exception:  # whatever it is: what came stays, and the next question may go well
            traceback.print_exc()
            return "failed"
        finally:
            left_by_somebody = left.is_set()
            left.set()
        return "stopped" if left_by_somebody else ""


def _answered(turns: Sequence[Turn]) -> list[Turn]:
    """Without the questions about which nobody has chosen."""
    pairs = zip(turns[::2], turns[1::2], strict=True)
    return [turn for pair in pairs if pair[1].end != "choose" for turn in pair]

"""Progress on a terminal: what is happening, how far, the loss, and how long it will still take.

On a terminal it is two bars; into a file or a pipe it is a line now and then. All of it goes to standard
error, so that ``--json`` is alone on standard output.
"""

import re
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Self

from core.jobs.turn import waiting_told
from core.pace import COSTS, HEALING, IMPORT_COSTS, PUBLISHING, Clock, Cost, about
from core.queue.devices import Kind
from core.wording import say
from core.workspace.known_hashes import reading_told

if TYPE_CHECKING:  # rich is imported where something is shown: the dashboard's start needs none of it
    from rich.console import Console

# Each other command is the stage of its name.
STAGES = {
    "tune": ("starter", *IMPORT_COSTS, *COSTS),
    "data": ("starter", *IMPORT_COSTS, "base"),
    "data check": ("starter", "check"),
    "data fix": ("starter", "check"),
    "export": ("convert", "merge"),
    "prove": ("ask",),
    "heal": ("before", "scale", "base", "train", "convert", "after"),
    "data parity": ("starter",),
    "data make replay": ("starter", "base"),
    "data make documents": ("starter", "base"),
    "publish": tuple(PUBLISHING),
    "models import": tuple(IMPORT_COSTS),
}
ALL_COSTS = {**COSTS, **IMPORT_COSTS, **PUBLISHING, **HEALING}
PLAIN_EVERY = 10.0
# Seconds between two lines about a large file that is read.
READING_EVERY = 5.0
# Seconds between two looks at what others know of how far it is.
ASKED_EVERY = 2.0
OTHER_COST = 15


class ShownProgress:
    """How far a command is. ``told``: how much of the whole is behind (0 to 1) and the seconds left, where
    somebody knows that better than the stages of this command; asked now and then."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.told: Callable[[], tuple[float, float]] | None = None
        self._asked = 0.0
        self._far = (0.0, 0.0)
        self._inside = ExitStack()

    def expects(self, costs: Mapping[str, Cost]) -> None:
        """What its stages cost, where only the command itself can say that, before the first of them."""
        self.clock = Clock(costs)

    def reads(self, share: float) -> None:
        """A large file is read that far."""
        raise NotImplementedError

    def say(self, key: str, **values: object) -> None:
        """Say a sentence beside it."""
        raise NotImplementedError

    def waits(self, position: int, kind: Kind, another: Path | None) -> None:
        """A job waits for a device at this position; a job of another workspace may have it."""
        self.say("queue.waits", position=position, device=say(f"queue.device.{kind}"))
        if another:
            self.say("queue.another", workspace=another)

    def __enter__(self) -> Self:
        self._inside.enter_context(reading_told(self.reads))
        self._inside.enter_context(waiting_told(self.waits))
        return self

    def __exit__(self, *_: object) -> None:
        self._inside.close()

    def far(self) -> tuple[float, float]:
        """How much of the whole is behind, from 0 to 1, and the seconds left."""
        if self.told is None:
            return self.clock.fraction, self.clock.seconds()
        if (now := time.monotonic()) - self._asked >= ASKED_EVERY:
            self._asked, self._far = now, self.told()
        return self._far


class PlainProgress(ShownProgress):
    """Progress as lines, for a file, a pipe or a log."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.last = self.read = 0.0

    def stage(self, name: str) -> None:
        self.clock.stage(name)
        self.last = 0.0
        self._line("")

    def update(self, share: float, note: str) -> None:
        self.clock.reach(share)
        if time.monotonic() - self.last >= PLAIN_EVERY:
            self._line(note)

    def say(self, key: str, **values: object) -> None:
        print(printable(say(key, **values)), file=sys.stderr, flush=True)

    def reads(self, share: float) -> None:
        """A large file is read that far."""
        if time.monotonic() - self.read >= READING_EVERY:
            self.read = time.monotonic()
            self.say("inputs.reading", share=f"{share:.0%}")

    def _line(self, note: str) -> None:
        self.last = time.monotonic()
        share, seconds = self.far()
        stage = say(f"stage.{self.clock.current}")
        print(f"[{share:4.0%}] {stage} {note} {time_left(seconds)}", file=sys.stderr, flush=True)


class BarProgress(ShownProgress):
    """Progress as two live bars: the stage and the whole."""

    def __init__(self, clock: Clock, console: "Console") -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        super().__init__(clock)
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
        )
        self.whole = self.bars.add_task(say("progress.whole"), total=1.0, note="")
        self.part = self.whole

    def stage(self, name: str) -> None:
        self._finish_part()
        self.clock.stage(name)
        self.part = self.bars.add_task(say(f"stage.{name}"), total=1.0, note="")
        self._show("")

    def update(self, share: float, note: str) -> None:
        self.clock.reach(share)
        self._show(note)

    def say(self, key: str, **values: object) -> None:
        line(self.bars.console, say(key, **values))

    def reads(self, share: float) -> None:
        """A large file is read that far."""
        self.bars.update(self.part, note=say("inputs.reading", share=f"{share:.0%}"))

    def _finish_part(self) -> None:
        if self.part != self.whole:
            self.bars.update(self.part, completed=1.0)
            self.bars.stop_task(self.part)

    def _show(self, note: str) -> None:
        self.bars.update(self.part, completed=self.clock.share, note=note)
        share, seconds = self.far()
        self.bars.update(self.whole, completed=share, note=time_left(seconds))

    def __enter__(self) -> Self:
        self.bars.start()
        return super().__enter__()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._finish_part()
        self.bars.stop()


def progress(command: str, known: Mapping[str, Cost] | None = None) -> PlainProgress | BarProgress:
    """Bars on a terminal, lines elsewhere, for the stages of this command; ``known``: what they cost here,
    those that cost nothing left out."""
    from rich.console import Console

    costs = {stage: ALL_COSTS.get(stage, OTHER_COST) for stage in STAGES.get(command, (command,))}
    clock = Clock(known or costs)
    console = Console(stderr=True)
    return BarProgress(clock, console) if console.is_terminal else PlainProgress(clock)


def time_left(seconds: float) -> str:
    """How long it will still take, as a person says it."""
    return say("progress.left", time=about(seconds))


def printable(text: str) -> str:
    """``text`` without what steers a terminal: control characters, marks of text direction, no characters."""
    return re.sub("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", "\ufffd", text)


def line(console: "Console", text: str) -> None:
    """A line as it is: a path that is broken in two cannot be copied."""
    console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

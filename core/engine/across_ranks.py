"""A training goes on with another number of processes than its checkpoint was written by.

mmengine 0.10.7 counts iterations, each of a micro-batch in every process; of twice as many processes half as
many iterations are the same rows. What does not change is the update: as many rows, taken in the same order
(:mod:`core.engine.in_turn`). So a checkpoint says by how many processes it was written, and how many of its
iterations are an update. Whoever goes on with other numbers goes on at the end of the same update; the
schedule is run up to there, and what was saved and logged is numbered anew, so that one curve stays one.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from mmengine.dist import barrier, get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log

from core.engine.kept_on_stop import ACCUMULATED
from core.engine.learning import BEGAN, ENDS
from core.engine.schedule import run_schedule
from core.workspace.files import write_text

# In a checkpoint: by how many processes it was written, and how many iterations were an update.
RANKS = "ranks"
KEPT = "keep_ckpt_ids"
_NAME = re.compile(r"iter_(\d+)\.pth")


class GoOnAcrossRanks(Hook):
    """Before every other hook that reads what a checkpoint says of iterations."""

    priority = "HIGHEST"

    def __init__(self) -> None:
        self._before: dict[str, int] | None = None
        self._written = 0

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint[RANKS] = {"ranks": get_world_size(), "accumulation": _accumulation(runner)}

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """What an earlier version wrote was written by one process, with today's accumulation."""
        alone = {"ranks": 1, "accumulation": _accumulation(runner) * get_world_size()}
        found = checkpoint.pop(RANKS, alone)
        now = {"ranks": get_world_size(), "accumulation": _accumulation(runner)}
        if found == now or not checkpoint.get("meta", {}).get("iter"):
            return
        self._before, self._written = found, checkpoint["meta"]["iter"]
        checkpoint["meta"]["iter"] = self._as_now(runner, self._written)
        checkpoint.pop(ACCUMULATED, None)  # of an update that was not whole: its rows are taken once more

    def before_train(self, runner: Any) -> None:
        if self._before is not None or get_world_size() > 1:
            run_schedule(runner)
        if self._before is None:
            return

        def as_now(iteration: int) -> int:
            return self._as_now(runner, iteration)

        barrier()  # all have read the checkpoint
        for key in (BEGAN, ENDS):
            if (known := runner.message_hub.runtime_info.get(key)) is not None:
                runner.message_hub.update_info(key, as_now(int(known)))
        if is_main_process() and _number(str(runner._load_from)) == self._written:
            number_anew(Path(runner.work_dir), as_now, ahead=as_now(self._written) > self._written)
        if kept := runner.message_hub.runtime_info.get(KEPT):
            runner.message_hub.update_info(KEPT, [as_now(int(one)) for one in kept])
        print_log(
            f"Written by {self._before['ranks']} process(es), goes on in {get_world_size()}: "
            f"iteration {self._written} is {runner.iter} now.",
            "current",
        )
        self._before = None

    def _as_now(self, runner: Any, iteration: int) -> int:
        """The end of the same update."""
        before = self._before or {"accumulation": _accumulation(runner)}
        return iteration // before["accumulation"] * _accumulation(runner)


def _accumulation(runner: Any) -> int:
    wrapper = runner.optim_wrapper
    if isinstance(wrapper, dict):  # not built yet
        return int(wrapper.get("accumulative_counts", 1))
    return int(getattr(wrapper, "_accumulative_counts", 1))


def _number(path: str) -> int | None:
    match = _NAME.search(path)
    return int(match[1]) if match else None


def number_anew(work_dir: Path, as_now: Callable[[int], int], ahead: bool) -> None:
    """Checkpoints and logged numbers of ``work_dir`` under today's iterations; ``ahead``: they become
    larger."""
    found = {number: path for path in work_dir.glob("iter_*.pth") if (number := _number(path.name))}
    for number in sorted(found, reverse=ahead):
        found[number].replace(work_dir / f"iter_{as_now(number)}.pth")
    logs = sorted(work_dir.glob("*/vis_data/scalars.json"))
    for log in logs:
        lines = log.read_text(encoding="utf-8").splitlines()
        write_text(log, "".join(f"{line}\n" for line in _renumbered(lines, as_now)))


def _renumbered(lines: list[str], as_now: Callable[[int], int]) -> Iterator[str]:
    """Of iterations that become one, the last is kept."""
    by_iteration: dict[int, str] = {}
    for line in lines:
        with suppress(ValueError, TypeError, KeyError):
            one = json.loads(line)
            number = max(1, as_now(int(one["step"])))
            by_iteration[number] = json.dumps({**one, "step": number, "iter": number})
    yield from (by_iteration[number] for number in sorted(by_iteration))

"""What a page shows of a job: its state, its log with a search, and the machine's load."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

import streamlit as st

from core.errors import NotInLine
from core.jobs.job import JobPaths
from core.jobs.status import LIVE, State, Status, status_of
from core.jobs.tail import last_lines
from core.jobs.turn import kept_in_turn
from core.machine import meters, this_machine
from core.pace import about
from core.pipeline import queued
from core.pipeline.queued import Queued
from core.steps.busy import beside, busy
from core.steps.step import megabytes
from core.workspace.paths import RunPaths, Workspace, workspace_around
from ui.shell.making import place_told
from ui.shell.text import duration, t

COLORS: dict[State, Literal["gray", "blue", "green", "red", "orange"]] = {
    State.waiting: "gray",
    State.running: "blue",
    State.finished: "green",
    State.failed: "red",
    State.stopped: "orange",
    State.lost: "red",
}
SHOWN_LINES = 200
# How far back a search looks: at most 4 MiB of the log's end.
SEARCHED_LINES = 20_000


def is_live(status: Status | None) -> bool:
    return status is not None and status.state in LIVE


def took(folder: Path) -> float | None:
    """Seconds that a job took that is finished; None for any other."""
    status = status_of(folder)
    return status.took if status else None


def show_state(status: Status) -> None:
    """The job's state as a badge, since when or how long it took."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.badge(t(f"state.{status.state}"), color=COLORS[status.state], width="content")
        if status.started:
            st.caption(_when(status), width="content")


def show_place(folder: Path, begins: bool = True) -> None:
    """Where a job stands that waits for a device; nothing of one that does not. ``begins``: and when."""
    if said := place_told(folder, begins):
        st.info(said, icon=":material/hourglass_empty:")


def now_told(workspace: Workspace, alone: float | None) -> str:
    """How long a waiting job takes if it begins at once beside whoever computes, and how long in its turn:
    ``alone``, in seconds; empty where nobody knows, or a GPU does the work."""
    if alone is None or this_machine().gpus:
        return ""
    least, most = beside(kept_in_turn(workspace.root))
    low, high, one = (about(times * alone) for times in (least, most, 1.0))
    if high == one:  # a moment either way
        return ""
    return t("queue.now.takes", least=low, most=high, alone=one)


def run_now_button(workspace: Workspace, one: Queued) -> None:
    """Let a job that waits for a device begin beside whoever has it. Raises NotInLine."""
    key = f"queue_now {one.job.parent.name} {one.step}"
    if st.button(t("queue.now"), key=key, icon=":material/bolt:", help=t("queue.now.help")):
        queued.run_now(workspace, one.job)
        st.rerun()


def offer_now(folder: Path) -> None:
    """The same of a job on its own page, with what that means for its time; nothing of one that does not
    wait."""
    root, one = workspace_around(folder), queued.waiting(folder)
    if root is None or one is None:
        return
    if said := now_told(Workspace(root), one.alone):
        st.caption(said)
    with suppress(NotInLine):  # it has just begun
        run_now_button(Workspace(root), one)


def show_log(folder: Path, key: str) -> None:
    """The log's end, or the lines of it that contain what is searched for."""
    log = JobPaths(folder).log
    placeholder = t("job.search.placeholder")
    wanted = st.text_input(t("job.search"), placeholder=placeholder, key=f"search {key}").strip().lower()
    lines = last_lines(log, SEARCHED_LINES if wanted else SHOWN_LINES)
    found = [line for line in lines if wanted in line.lower()]
    shown = found[-SHOWN_LINES:]
    if wanted:
        st.caption(t("job.found", count=len(found), looked=len(lines), shown=len(shown)))
    else:
        st.caption(t("job.tail", count=len(shown), path=log) if shown else t("job.no_log"))
    if shown:
        with st.container(height=380, border=False, autoscroll=True, key=f"log {key}"):
            st.code("\n".join(shown), language=None, wrap_lines=True)


def show_busy(run: RunPaths, step: str) -> None:
    """That other programs take the cores, where they do."""
    if found := busy(run, step):
        st.caption(f":material/speed: {t(found.key, **found.values)}")


def show_meters() -> None:
    """Processor, memory and GPUs, as far in use, in one line: a bar would be taken for the training's."""
    now, machine = meters(), this_machine()
    told = {t("meter.cpu"): f"{now.cpu:.0%}", t("meter.memory"): _of(now.memory, machine.memory)}
    for gpu, (share, memory) in zip(machine.gpus, now.gpus, strict=False):
        told[t("meter.gpu", index=gpu.index)] = f"{share:.0%}"
        told[t("meter.gpu_memory", index=gpu.index)] = _of(memory, gpu.memory)
    said = " · ".join(t("frame.labelled", name=name, text=text) for name, text in told.items())
    st.caption(f":material/memory: {said}")


def _of(used: int, total: int) -> str:
    return f"{megabytes(used)} / {megabytes(total)}"


def _when(status: Status) -> str:
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(status.started))
    if status.state is State.running and status.started:
        return t("job.runs", time=began, duration=duration(max(0.0, time.time() - status.started)))
    if status.ended is None or status.started is None:
        return t("job.since", time=began)
    return t("job.took", time=began, duration=duration(status.ended - status.started))

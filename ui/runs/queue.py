"""What waits for a device: where each stands, when it begins, and changing the order."""

from contextlib import suppress

import streamlit as st

from core.chat import server as chat_server
from core.errors import NotInLine
from core.jobs.turn import position
from core.pipeline import queued
from core.pipeline.queued import Queued, Turns
from core.runs import STEPS, read_run
from core.workspace.paths import RunPaths, Workspace
from core.workspace.user import user_name
from ui.jobs.panel import now_told, run_now_button
from ui.shell.danger import danger_button
from ui.shell.frame import choose_run, follow
from ui.shell.making import stage_named
from ui.shell.text import plain, t

EVERY = 5.0
SHOWN = 10


def queue_panel(workspace: Workspace) -> Turns:
    """What waits, once anything does; it follows by itself. Returns what it begins with."""
    return follow(
        look=lambda: queued.queued(workspace),
        draw=lambda found: _panel(workspace, found.jobs),
        mark=lambda found: [(one.job, one.position) for one in found.jobs],
        every=lambda jobs: EVERY if jobs else None,
    )


def _panel(workspace: Workspace, found: list[Queued]) -> None:
    waiting = [one for one in found if one.position and _has_to_wait(one)]
    if not waiting:
        return
    movable = len(waiting) > 1
    with st.container(border=True, key="queue"):
        st.header(t("queue.title"), anchor=False)
        st.caption(t("queue.about"))
        _chat(workspace, found)
        for one in waiting[:SHOWN]:
            _line(workspace, one, movable)
        if (more := len(waiting) - SHOWN) > 0:
            st.caption(t("queue.more", count=more))


def _chat(workspace: Workspace, found: list[Queued]) -> None:
    """Nobody's chat is ended for a job, unless somebody says so."""
    if not any(one.job == workspace.chat_server for one in found):
        return
    st.info(t("queue.chat"), icon=":material/chat:")
    if st.button(t("queue.chat.unload"), key="queue_chat", icon=":material/eject:"):
        with st.spinner(t("page.chat.unloading")):
            chat_server.unload(workspace)
        st.rerun()


def _has_to_wait(one: Queued) -> bool:
    """Not the first one while its device is free: it is about to begin."""
    return one.position != 1 or position(one.job) is not None


def _line(workspace: Workspace, one: Queued, movable: bool) -> None:
    key = f"{one.job.parent.name} {one.step}"
    with st.container(horizontal=True, vertical_alignment="center", key=f"waits {key}"):
        told = [f"**{one.position}. {plain(_title(one))}**", plain(one.told())]
        if said := now_told(workspace, one.alone):
            told.append(f":small[{said}]")
        st.markdown("  \n".join(told), width="stretch")
        with suppress(NotInLine):  # it has just begun, or somebody else has taken it out
            _buttons(workspace, one, key, movable)


def _title(one: Queued) -> str:
    if one.run is None:
        return one.job.parent.name
    title = read_run(RunPaths(one.job.parent)).title
    return f"{title} · {stage_named(one.step)}" if one.step in STEPS else title


def _buttons(workspace: Workspace, one: Queued, key: str, movable: bool) -> None:
    if one.run and st.button(t("runs.open"), key=f"queue_open {key}", icon=":material/folder_open:"):
        choose_run(RunPaths(one.job.parent))
        st.rerun()
    if movable:
        _move_buttons(workspace, one, key)
    run_now_button(workspace, one)
    if danger_button(
        t("queue.cancel"), f"queue_cancel {key}", ":material/close:", help_text=t("queue.cancel.help")
    ):
        queued.cancel(workspace, one.job, user_name())
        st.rerun()


def _move_buttons(workspace: Workspace, one: Queued, key: str) -> None:
    place = one.position or 1
    first, up = t("queue.first"), t("queue.up")
    if st.button(first, key=f"queue_first {key}", icon=":material/vertical_align_top:", disabled=place == 1):
        queued.move(workspace, one.job, 1)
        st.rerun()
    if st.button(up, key=f"queue_up {key}", icon=":material/arrow_upward:", disabled=place == 1):
        queued.move(workspace, one.job, place - 1)
        st.rerun()

"""The chat page's bar: which model answers, whether it is ready, what it holds; start and unload."""

from collections.abc import Sequence

import streamlit as st

from core.chat import server as chat_server
from core.chat.server import Freed, Readiness, Server, Speaker
from core.jobs.job import JobPaths
from core.steps.step import megabytes
from core.workspace.paths import RunPaths, Workspace
from ui.data.parity import show_difference
from ui.jobs.panel import is_live, show_log, show_why, status_of
from ui.shell.frame import follow, link_to, shown_errors
from ui.shell.text import spoken, t

# A loading model is looked at often; one that is ready may still be unloaded in another tab, or be killed.
EVERY = {Readiness.loading: 1.0, Readiness.ready: 5.0}
COLORS = {Readiness.off: "gray", Readiness.loading: "blue", Readiness.ready: "green", Readiness.failed: "red"}
FREED = "freed by unloading"


def server_bar(workspace: Workspace, run: RunPaths | None) -> Server:
    """Draw the bar; returns the server as it is now. It follows the server by itself."""
    now = chat_server.server(workspace)

    with st.container(border=True, key="server"):
        follow(
            look=lambda: chat_server.server(workspace),
            draw=_state,
            mark=lambda found: (found.readiness, found.speaker),
            every=lambda mark: EVERY.get(mark[0]),
        )
        with shown_errors():
            _choice(workspace, run, now)
        _notes(workspace, now)
    return now


def speaker_name(speaker: Speaker) -> str:
    """Which model that is, as a person reads it."""
    return spoken_by(by(speaker))


def by(speaker: Speaker) -> str:
    """Who answered, as a chat keeps it: in no language."""
    return f"{speaker.kind}:{speaker.name}"


def spoken_by(said_by: str) -> str:
    kind, _, name = said_by.partition(":")
    return spoken(f"page.chat.speaker.{kind}", name=name)


def _state(server: Server) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="answers_now"):
        st.badge(t(f"page.chat.{server.readiness}"), color=COLORS[server.readiness], width="content")
        if server.speaker:
            st.markdown(t("page.chat.answers", model=speaker_name(server.speaker)), width="content")
        if server.memory:
            st.caption(t("page.chat.memory", memory=megabytes(server.memory)), width="content")


def _choice(workspace: Workspace, run: RunPaths | None, server: Server) -> None:
    offered = chat_server.speakers(workspace, run)
    if not offered:
        st.info(t("page.chat.no_model"), icon=":material/info:")
        link_to("start", t("frame.to_start"), None)
        return
    loaded = server.speaker if server.readiness in EVERY else None
    if loaded is None and any(is_live(status_of(run.job("train"))) for run in _runs(workspace)):
        st.warning(t("page.chat.training"), icon=":material/memory:")
    with st.container(horizontal=True, vertical_alignment="bottom", key="choose_model"):
        chosen = _chosen(offered, loaded)
        if chosen != loaded:
            label = t("page.chat.switch") if loaded else t("page.chat.start")
            if st.button(label, type="primary", icon=":material/play_arrow:", key="load"):
                with st.spinner(t("page.chat.starting")):
                    chat_server.start(workspace, chosen)
                st.rerun()
        if loaded and st.button(t("page.chat.unload"), icon=":material/eject:", key="unload"):
            with st.spinner(t("page.chat.unloading")):
                st.session_state[FREED] = chat_server.unload(workspace)
            st.rerun()


def _runs(workspace: Workspace) -> list[RunPaths]:
    return [RunPaths(folder) for folder in workspace.run_folders()]


def _chosen(offered: Sequence[Speaker], loaded: Speaker | None) -> Speaker:
    """What is loaded stands first in line until somebody picks another one."""
    ids = [speaker.id for speaker in offered]
    at_first = ids.index(loaded.id) if loaded and loaded.id in ids else 0
    place = st.selectbox(
        t("page.chat.model"),
        range(len(offered)),
        index=at_first,
        format_func=lambda index: speaker_name(offered[index]),
        key=f"model {ids}",
    )
    return offered[place]


def _notes(workspace: Workspace, server: Server) -> None:
    freed: Freed | None = st.session_state.pop(FREED, None)
    if freed:
        key = "page.chat.freed.gpu" if freed.gpu else "page.chat.freed"
        text = t(key, memory=megabytes(freed.memory), gpu=megabytes(freed.gpu))
        st.success(text, icon=":material/memory:")
    if server.readiness is Readiness.failed:
        _failed(workspace, server)
    if server.speaker and (found := chat_server.template_difference(server.speaker)):
        st.warning(t("page.chat.template_differs"), icon=":material/difference:")
        with st.expander(t("page.chat.both_texts"), key="both_texts"):
            show_difference(found)


def _failed(workspace: Workspace, server: Server) -> None:
    if server.failure:
        show_why(server.failure)
    with st.expander(t("work.log"), icon=":material/notes:", key="server_log"):
        show_log(JobPaths(workspace.chat_server).folder, "server")

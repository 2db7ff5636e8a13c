"""The chat page's line: which model answers, whether it is ready, what it holds; load and unload."""

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import streamlit as st

from core.chat import server as chat_server
from core.chat.server import Freed, Readiness, Server, Speaker
from core.jobs.job import JobPaths
from core.jobs.status import status_of
from core.run_list import run_index
from core.runs import made_at, making
from core.steps.step import megabytes
from core.workspace.paths import RunPaths, Workspace
from ui.data.parity import show_difference
from ui.jobs.failure import show_why
from ui.jobs.panel import is_live, show_log
from ui.shell.frame import follow, link_to, list_key, shown_errors
from ui.shell.making import spoken_of
from ui.shell.text import duration, moment, spoken, t, told_again

# A loading model is looked at often; one that is ready may still be unloaded in another tab, or be killed.
EVERY = {Readiness.loading: 1.0, Readiness.ready: 5.0}
COLORS = {Readiness.off: "gray", Readiness.loading: "blue", Readiness.ready: "green", Readiness.failed: "red"}
# A model's headings are smaller than the page's; on a telephone what the model holds is a line of its own.
STYLE = """<style>
[data-testid=stChatMessage] h1{font-size:1.35rem}
[data-testid=stChatMessage] h2{font-size:1.2rem}
[data-testid=stChatMessage] h3{font-size:1.1rem}
.st-key-server{gap:.5rem 1rem}
@media (max-width:640px){
  .st-key-server>div:has(.st-key-answers_now){order:3;flex:1 0 100%}
  .st-key-answers_now{flex-wrap:nowrap}
}
</style>"""
# What is at work elsewhere may have been looked at so many seconds ago.
SOON = 5.0
FREED = "freed by unloading"
OPENED = "runs whose chat was opened"


@dataclass(frozen=True)
class Bar:
    """The server as it is now, the model that is to answer, and what that is called beside the others;
    ``made``: there is one that the run has made."""

    server: Server
    chosen: Speaker | None
    name: str
    made: bool

    @property
    def is_loaded(self) -> bool:
        """Whether it is this model that the server has or loads, and no other."""
        return self.server.lives and self.chosen is not None and is_same(self.chosen, self.server.speaker)

    @property
    def ready(self) -> bool:
        """Whether what is asked now is answered by it."""
        return self.is_loaded and self.server.readiness is Readiness.ready


def is_same(one: Speaker, other: Speaker | None) -> bool:
    """Whether two are the same model, spoken to alike: whatever it is called, and of whichever run."""
    return other is not None and _weights(one) == _weights(other)


def _weights(speaker: Speaker) -> tuple[str | None, ...]:
    return speaker.kind, speaker.model, speaker.adapter, speaker.template, speaker.system


def server_bar(workspace: Workspace, run: RunPaths | None) -> Bar:
    """Draw the bar. It follows the server by itself."""
    offered = chat_server.speakers(workspace, run)
    with shown_errors():
        _load_by_itself(workspace, run, offered)
    now = chat_server.server(workspace)
    if now.lives and now.speaker and _place_of(now.speaker, offered) is None:
        offered = [now.speaker, *offered] if run is None else [*offered, now.speaker]
    if not offered:
        key = "page.chat.not_made" if run else "page.chat.no_model"
        st.info(spoken_of(run, key) if run else t(key), icon=":material/info:")
        link_to("start", t("making.to_start" if run else "frame.to_start"), run)
    made = run is not None and any(one.made_in == run.id for one in offered)
    st.html(STYLE)
    with st.container(horizontal=True, vertical_alignment="center", key="server"):
        names = told_apart(offered)
        chosen = _chosen(offered, names, now.speaker if now.lives else None, run) if offered else None
        follow(
            look=lambda: chat_server.server(workspace),
            draw=lambda found: _state(workspace, found),
            mark=lambda found: (found.readiness, found.speaker),
            every=lambda mark: EVERY.get(mark[0]),
        )
        with shown_errors():
            _load_or_unload(workspace, now, chosen, first=made or run is None or making(run) is None)
        _template(now)
    called: dict[int | None, str] = dict(enumerate(names))
    loaded = called.get(_place_of(now.speaker, offered), "") if now.lives else ""
    name = called.get(_place_of(chosen, offered), "")
    _notes(workspace, now, chosen, name, loaded)
    return Bar(now, chosen, name, made)


def _load_by_itself(workspace: Workspace, run: RunPaths | None, offered: Sequence[Speaker]) -> None:
    """Whoever opens a run's chat wants to talk to what it has made: once a session, where nobody talks to
    another model and nothing else is at work. One that was killed is loaded anew, one that never came to
    answer is not."""
    opened: set[str] = st.session_state.setdefault(OPENED, set())
    if run is None or run.id in opened or not offered or offered[0].kind == "base":
        return
    now = chat_server.server(workspace)
    if now.lives or (now.readiness is Readiness.failed and not chat_server.had_been_ready(workspace)):
        opened.add(run.id)
    elif not run_index(workspace).at_work(within=SOON):
        opened.add(run.id)
        chat_server.start(workspace, offered[0], instead=False)


def speaker_name(speaker: Speaker) -> str:
    """Which model that is, as a person reads it."""
    return spoken_by(by(speaker))


def told_apart(offered: Sequence[Speaker]) -> list[str]:
    """What each is called among the others: of two runs of one name by when they were made, and by their
    ids where that is the same."""
    names, now = [speaker_name(speaker) for speaker in offered], datetime.now()
    for tell in (lambda run: moment(made, now) if (made := made_at(run)) else "", str):
        often = Counter(names)
        for place, speaker in enumerate(offered):
            if often[names[place]] > 1 and speaker.run and (more := tell(speaker.run)):
                names[place] += f" · {more}"
    return names


def _place_of(speaker: Speaker | None, offered: Sequence[Speaker]) -> int | None:
    """Which of those it is; None for none of them."""
    return next((place for place, one in enumerate(offered) if is_same(one, speaker)), None)


def by(speaker: Speaker) -> str:
    """Who answered, as a chat keeps it: in no language."""
    return f"{speaker.kind}:{speaker.name}"


def spoken_by(said_by: str) -> str:
    """Who said it, in words; what another version or a hand has written is shown as it is."""
    kind, _, name = said_by.partition(":")
    with suppress(KeyError):
        return spoken(f"page.chat.speaker.{kind}", name=name)
    return said_by


def _state(workspace: Workspace, server: Server) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="answers_now", width="content"):
        st.badge(t(f"page.chat.{server.readiness}"), color=COLORS[server.readiness], width="content")
        if server.readiness is Readiness.loading and server.speaker:
            st.caption(_how_long(workspace, server, server.speaker), width="content")
        elif server.memory:
            st.caption(t("page.chat.memory", memory=megabytes(server.memory)), width="content")


def _how_long(workspace: Workspace, server: Server, speaker: Speaker) -> str:
    about = chat_server.expected_load(workspace, speaker)
    waited = max(0.0, time.time() - server.started) if server.started else 0.0
    key = "page.chat.loading_for" if waited < about else "page.chat.loading_longer"
    return t(key, waited=duration(waited), about=duration(about))


def _load_or_unload(workspace: Workspace, server: Server, chosen: Speaker | None, first: bool) -> None:
    """``first``: nothing is worth waiting for, as an assistant that is still being made."""
    loaded = server.speaker if server.lives else None
    if chosen and not is_same(chosen, loaded):
        label = t("page.chat.switch") if loaded else t("page.chat.start")
        kind = "primary" if first else "secondary"
        if st.button(label, type=kind, icon=":material/play_arrow:", key="load"):
            with st.spinner(t("page.chat.starting")):
                chat_server.start(workspace, chosen)
            st.rerun()
    if loaded and st.button(
        t("page.chat.unload"), icon=":material/eject:", key="unload", help=t("page.chat.unload.help")
    ):
        with st.spinner(t("page.chat.unloading")):
            st.session_state[FREED] = chat_server.unload(workspace)
        st.rerun()


def _chosen(
    offered: Sequence[Speaker], called: Sequence[str], loaded: Speaker | None, run: RunPaths | None
) -> Speaker:
    """What is loaded stands first in line until somebody picks another one; in a run's chat its own models
    do, whatever else is loaded."""
    ids = [speaker.id for speaker in offered]
    names = dict(enumerate(called))
    own = loaded and (run is None or loaded.run == run.id)
    place = st.selectbox(
        t("page.chat.model"),
        list(names),
        index=(_place_of(loaded, offered) or 0) if own else 0,
        format_func=names.__getitem__,
        key=told_again(list_key("model", ids), names),
        label_visibility="collapsed",
    )
    return offered[place]


def _template(server: Server) -> None:
    """Where other programs would prompt the model otherwise than it is prompted here."""
    with shown_errors():
        found = chat_server.template_difference(server.speaker) if server.speaker else None
        if found:
            with st.popover(t("page.chat.template"), icon=":material/difference:", key="both_texts"):
                st.warning(t("page.chat.template_differs"), icon=":material/difference:")
                show_difference(found)


def _notes(workspace: Workspace, server: Server, chosen: Speaker | None, name: str, loaded_name: str) -> None:
    freed: Freed | None = st.session_state.pop(FREED, None)
    if freed:
        key = "page.chat.freed.gpu" if freed.gpu else "page.chat.freed"
        text = t(key, memory=megabytes(freed.memory), gpu=megabytes(freed.gpu))
        st.success(text, icon=":material/memory:")
    if server.readiness is Readiness.failed:
        _failed(workspace, server)
    loaded = server.speaker if server.lives else None
    if chosen and loaded and not is_same(chosen, loaded):
        text = t("page.chat.other_loaded", model=loaded_name, chosen=name)
        st.warning(text, icon=":material/swap_horiz:")
    if (
        chosen
        and not loaded
        and any(is_live(status_of(run.job("train"))) for run in run_index(workspace).at_work(within=SOON))
    ):
        st.warning(t("page.chat.training"), icon=":material/memory:")


def _failed(workspace: Workspace, server: Server) -> None:
    if server.failure:
        show_why(server.failure)
    with st.expander(t("work.log"), icon=":material/notes:", key="server_log"):
        show_log(JobPaths(workspace.chat_server).folder, "server")

"""A step's job on its page: which part it is at, a button that stops it, and why it failed."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

from core.jobs.failure import Failure, why_failed
from core.jobs.grace import COMMAND_GRACE
from core.jobs.job import JobPaths, JobSpec
from core.jobs.launch import launch, stop
from core.jobs.status import LIVE, State, Status, status_of
from core.workspace.user import user_name
from ui.jobs.failure import show_why
from ui.jobs.panel import COLORS, is_live, offer_now, show_log, show_place, show_state
from ui.shell.danger import danger_button
from ui.shell.frame import ICONS, follow, shown_errors
from ui.shell.making import stage_named
from ui.shell.text import plain, t

EVERY = 1.0
# Parts in which a model is asked, for what the page says.
ASKED = ("base", "ask")


@dataclass(frozen=True)
class Work:
    """A job by its step's name; ``parts`` are the jobs it starts itself, one after the other.

    ``share`` says how far it is (0 to 1) and in what words, once that is known.
    """

    name: str
    folder: Path
    parts: Mapping[str, Path] = field(default_factory=dict)
    share: Callable[[], tuple[float, str] | None] = lambda: None

    @property
    def key(self) -> str:
        """No other job's on any page: two of the same step may stand on one."""
        return f"{self.folder.parent.name} {self.folder.name}"

    @property
    def status(self) -> Status | None:
        return status_of(self.folder)


def newest(works: Iterable[Work]) -> Work | None:
    """The live one, else the one that ended last; of a command and its parts that is the command."""
    known = [(work, status) for work in works if (status := work.status) is not None]
    live = next((work for work, status in known if is_live(status)), None)
    return live or max(known, key=lambda found: found[1].ended or 0.0, default=(None, None))[0]


def follow_work(work: Work) -> None:
    """Show a job; while it lives the panel follows it, and its end is the page's own rerun."""

    def draw(status: Status | None) -> None:
        if status:
            with shown_errors(), st.container(border=True, key=f"work {work.key}"):
                _panel(work, status)

    follow(lambda: work.status, draw, mark=is_live, every=lambda live: EVERY if live else None)


def follow_unless_done(work: Work) -> bool:
    """Show a job that runs, failed or was stopped; whether it runs."""
    status = work.status
    if status is not None and status.state is not State.finished:
        follow_work(work)
    return is_live(status)


def begin(folder: Path, spec: JobSpec, secrets: Mapping[str, str] | None = None) -> None:
    """Start a job, which gets ``secrets`` of the environment and no others, and draw the page anew.

    Raises JobRunning, JobNotStarted.
    """
    launch(folder, spec, secrets)
    st.rerun()


def _panel(work: Work, status: Status) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        show_state(status)
        for name, folder in work.parts.items():
            _part(name, _of_this_try(status, status_of(folder)))
    if status.state is State.waiting:
        show_place(work.folder)
        offer_now(work.folder)
    if status.state in LIVE:
        _live(work)
    elif failed := _failure(work, status):
        show_why(*failed)
    elif status.state is State.stopped:
        st.info(t("work.stopped"), icon=":material/stop_circle:")
    with st.expander(t("work.log"), icon=":material/notes:", key=f"log {work.key}"):
        show_log(_at(work, status), f"work {work.key}")


def _live(work: Work) -> None:
    st.caption(t("work.safe"))
    if far := work.share():
        st.progress(far[0], text=f"{far[0]:.0%} · {plain(far[1])}")
    if JobPaths(work.folder).stop.exists():
        st.info(t("work.stopping"), icon=":material/hourglass_empty:")
    elif danger_button(t("work.stop"), f"stop {work.key}", ":material/stop_circle:"):
        stop(work.folder, by=user_name(), grace=COMMAND_GRACE)
        st.rerun(scope="fragment")


def _part(name: str, status: Status | None) -> None:
    state = status.state if status else None
    color = COLORS[state] if state else "gray"
    help_text = t(f"state.{state or 'none'}")
    st.markdown(f":{color}[{ICONS[state]} {_named(name)}]", width="content", help=help_text)


def _named(name: str) -> str:
    """Of what a chain does by itself also in which words. Who is asked is asked for something else here."""
    return t(f"stage.{name}") if name in ASKED else stage_named(name)


def _of_this_try(whole: Status, part: Status | None) -> Status | None:
    """A part's job may still be that of an earlier try."""
    if part is None or (part.started or 0.0) < (whole.started or 0.0):
        return None
    return part


def _at(work: Work, status: Status) -> Path:
    """The folder of the part that ran last; the job's own when it has none."""
    begun = [folder for folder in work.parts.values() if _of_this_try(status, status_of(folder))]
    return begun[-1] if begun else work.folder


def _failure(work: Work, status: Status) -> tuple[Failure, str] | None:
    """Why it failed, and which part did; without a part's name, it itself."""
    for name, folder in work.parts.items():
        part = _of_this_try(status, status_of(folder))
        if part and (why := why_failed(folder, part)):
            return why, _named(name)
    own = why_failed(work.folder, status)
    return (own, "") if own else None

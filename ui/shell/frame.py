"""The frame of every page: title, language, where the current run stands, and how errors are shown."""

import hashlib
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.navigation.page import Page

from core.errors import NoSuchRun, TuneboardError, WorkspaceGone
from core.jobs.status import LIVE, State
from core.pipeline.chain_stages import ChainProgress
from core.runs import comes_back_to, is_at_work, made_at, made_early, newest, next_step, read_run, standing
from core.workspace.known_hashes import reading_told
from core.workspace.paths import PROJECT, RunPaths, Workspace
from ui.shell import danger
from ui.shell.browser import tell_browser, to_top
from ui.shell.making import EVERY, making_of, show_early, show_making
from ui.shell.text import chosen_language, in_lines, language, language_switch, moment, plain, spoken, t

STEPS = ("start", "data", "config", "train", "merge", "chat", "compare", "publish")
ICONS: dict[State | None, str] = {
    State.finished: ":material/check_circle:",
    State.running: ":material/progress_activity:",
    State.waiting: ":material/hourglass_empty:",
    State.failed: ":material/error:",
    State.lost: ":material/error:",
    State.stopped: ":material/stop_circle:",
    None: ":material/radio_button_unchecked:",
}
# Streamlit keeps 6 rem free above a page for a toolbar that is off here, unless it has to open a sidebar.
# It lies above the page, unseen and as high as ever: a click is its own only where it has a button.
# The steps are words of one paragraph, which a browser breaks into rows of like length where they need more.
# Choices in a row with others are cut at a telephone's edge: there they fold, as those that stand alone do.
STYLE = """<style>
.stApp:not(:has([data-testid=stSidebar])) .stMainBlockContainer{padding-top:2.5rem}
[data-testid=stHeader],[data-testid=stHeader] *{pointer-events:none}
[data-testid=stHeader] :is(a,button,a *,button *){pointer-events:auto}
.st-key-strip{display:block;text-wrap:balance;line-height:0}
.stApp .st-key-strip>*{display:inline-block;width:auto;margin:0 .75rem .25rem 0}
@media (max-width:640px){
  :is(.st-key-filters,.st-key-rows_shown) [data-testid=stButtonGroup]>div{flex-wrap:wrap}
}
</style>"""
# One row that stays at the top while the page scrolls beneath it. Where the sidebar is folded, the button
# that opens it stands before the row; on a telephone the steps are a row of their own, without their icons.
SLIM_STYLE = """<style>
.stMainBlockContainer{padding-top:0;padding-bottom:1rem}
.stMainBlockContainer>[data-testid=stVerticalBlock]{gap:.75rem}
[data-testid=stHeader]{background:transparent}
.stMainBlockContainer>[data-testid=stVerticalBlock]>div:has(>.st-key-slim){
  position:sticky;top:0;z-index:99;background:GROUND}
.st-key-slim{padding:.6rem 0 .25rem;gap:.25rem 1rem}
.st-key-slim h1{font-size:1.25rem;padding:0}
.stApp .st-key-slim .st-key-strip>*{margin:0 .25rem 0 0}
.stApp:has([data-testid=stExpandSidebarButton]) .st-key-slim{padding-left:2.5rem}
@media (max-width:640px){
  .st-key-slim{gap:0 1rem;padding-bottom:0}
  .st-key-slim>div:has(.st-key-strip){order:3;flex:1 0 100%;min-width:0}
  .st-key-slim .st-key-strip{white-space:nowrap;overflow-x:auto;scrollbar-width:none}
  .stApp .st-key-slim .st-key-strip>*{margin:0}
  .stApp:has([data-testid=stExpandSidebarButton]) .st-key-strip{
    margin-left:-2.5rem;width:calc(100% + 2.5rem);max-width:none}
  .st-key-slim .st-key-strip a{padding:.25rem .3rem;gap:0}
  .st-key-slim .st-key-strip a>span:has([data-testid=stIconMaterial]){display:none}
  .st-key-slim .st-key-strip p{font-size:.8rem}
}
</style>"""
# A link to the page itself: the browser begins anew, in a new session, whatever is wrong with this one.
RELOAD = """<a href="" role="button" class="tb-reload" style="display:inline-block;padding:.4rem .8rem;
border:1px solid currentColor;border-radius:.5rem;color:inherit;text-decoration:none">{text}</a>"""
# Seconds between two looks, as of every part of a page: no two of one page fall together for long (follow).
STRIP_EVERY = 4.7
GONE_EVERY = 2.3
STARTING = "starting"
Seen = TypeVar("Seen")
LOG = logging.getLogger("tuneboard")


@dataclass(frozen=True)
class Here:
    """Where a page is: the workspace, and the run it is about if one was made or opened."""

    workspace: Workspace
    run: RunPaths | None


def page(step: str) -> Page:
    """The page of a step, for links and for the router."""
    file = PROJECT / "pages" / f"{STEPS.index(step)}_{step}.py"
    return st.Page(file, title=t(f"page.{step}.title"), url_path=step, default=step == "start")


def open_page(step: str, slim: bool = False) -> Here:
    """Draw the frame; every page calls this first. A ``slim`` one is one row that stays in reach: of a page
    that grows downwards without end."""
    st.session_state.setdefault(STARTING, threading.Lock())
    workspace = Workspace.of()
    if _why_gone(workspace):
        _show_gone(workspace)
    here = Here(workspace, _current_run(workspace))
    st.html(STYLE + danger.STYLE + (_slim_style() if slim else ""))
    tell_browser()
    with st.container(
        horizontal=True,
        horizontal_alignment="distribute",
        vertical_alignment="center",
        key="slim" if slim else None,
    ):
        heading = t("frame.title") if step == "start" else t(f"page.{step}.title")
        st.title(heading, anchor=False, width="content")
        if slim:
            _strip(here, step, about_run=False)
        language_switch()
    if not slim:
        st.caption(t(f"page.{step}.lead"))
        _strip(here, step)
    if here.run and step != "start":
        _making(here.workspace, here.run, step)
    return here


def _why_gone(workspace: Workspace) -> WorkspaceGone | None:
    try:
        workspace.find()
    except WorkspaceGone as error:
        return error
    return None


def _show_gone(workspace: Workspace) -> NoReturn:
    """In the page's place, which would show an empty workspace; the page is back by itself when that is."""
    st.html(STYLE)
    tell_browser()
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.title(t("frame.title"), anchor=False, width="content")
        language_switch()

    @st.fragment(run_every=GONE_EVERY)
    def part() -> None:
        language()
        now = _why_gone(workspace)
        if now is None:
            st.rerun()
        st.error(in_lines(now.text(language())), icon=":material/error:")

    part()
    st.stop()


def _slim_style() -> str:
    ground = (str(st.get_option(f"theme.{kind}.backgroundColor")) for kind in ("light", "dark"))
    return SLIM_STYLE.replace("GROUND", f"light-dark({','.join(ground)})")


def starting() -> threading.Lock:
    """This session's lock, held while a button makes a run and starts it: Streamlit answers the second press
    of a double click in a second thread while the first is still at it. What starts in a folder that is there
    already needs none of this: of two launches the second is refused."""
    lock: threading.Lock = st.session_state[STARTING]
    return lock


def need_run(here: Here, step: str) -> RunPaths:
    """The current run, else the newest; without any, a friendly word and a link instead of the rest of the
    page."""
    if here.run is None and (found := newest(here.workspace)):
        choose_run(found[0])
        st.rerun()
    if here.run is None:
        st.info(t("frame.no_run", step=t(f"page.{step}.title")), icon=":material/info:")
        link_to("start", t("frame.to_start"), None)
        st.stop()
    return here.run


def link_to(step: str, label: str, run: RunPaths | None, icon: str = ":material/arrow_forward:") -> None:
    """A link to a step's page that keeps the run and the language."""
    st.page_link(page(step), label=label, icon=icon, query_params=_address(run))


def go_to(step: str, run: RunPaths | None) -> NoReturn:
    """Leave for a step's page with this run and language."""
    st.switch_page(page(step), query_params=_address(run))


def choose_run(run: RunPaths | None) -> None:
    """Make ``run`` the current one, in the session and in the address."""
    st.session_state["run"] = run.id if run else None
    if run:
        st.query_params["run"] = run.id
    else:
        st.query_params.pop("run", None)


def open_new(run: RunPaths) -> None:
    """Make a run that was started just now the current one; it stands above whatever was pressed."""
    choose_run(run)
    to_top()


@contextmanager
def shown_errors() -> Iterator[None]:
    """Show what fails inside as one sentence; details of what nobody foresaw go to the log. Who waits for a
    large file that is read sees how far that is."""
    place: list[DeltaGenerator] = []

    def reads(share: float) -> None:
        place[:] = place or [st.empty()]
        place[0].progress(share, t("inputs.reading", share=f"{share:.0%}"))

    try:
        with reading_told(reads):
            yield
        for used in place:
            used.empty()
    except TuneboardError as error:
        st.error(in_lines(error.text(language())), icon=":material/error:")
    except Exception as error:
        show_unforeseen(error)


def follow(
    look: Callable[[], Seen],
    draw: Callable[[Seen], None],
    mark: Callable[[Seen], Any],
    every: Callable[[Any], float | None],
) -> Seen:
    """Draw a part of the page that looks again by itself. Returns what it has seen first.

    ``look`` says what is drawn, ``mark`` what of it the rest of the page depends on: when that changes, the
    whole page is drawn anew. ``every`` says by the mark how many seconds lie between two looks, None to look
    once. What fails in between is shown as a sentence.

    The parts of one page look at different intervals: of two that the browser asks for in the same instant
    Streamlit 1.67 sometimes drops what the first has drawn (AppSession.request_rerun says when), and that
    part stands still until its next look.
    """

    def seen() -> Seen:
        if _why_gone(Workspace.of()):
            st.rerun()  # the whole page says so
        language()  # a look of its own begins without knowing in whose language core is to speak
        return look()

    first = seen()
    marked = mark(first)
    fresh = [first]  # the first look is this page's own

    @st.fragment(run_every=every(marked))
    def part() -> None:
        with shown_errors():
            found = fresh.pop() if fresh else seen()
            if mark(found) != marked:
                st.rerun()
            draw(found)

    part()
    return first


def clicked(key: str) -> int | None:
    """The row of the table of that key that was clicked: its box, or anywhere in it; None for none."""
    selection = st.session_state[key].selection
    rows = [row for row, _ in selection.cells] or selection.rows
    return int(rows[0]) if rows else None


def list_key(name: str, rows: Iterable[object]) -> str:
    """The key of a widget that answers with an index: with another list it is another widget, so that an
    answer given to the one is never taken for one about the other."""
    return f"{name} {hashlib.sha256(repr([*rows]).encode()).hexdigest()[:12]}"


def run_labels(runs: Iterable[RunPaths]) -> dict[str, str]:
    """What tells runs apart in a list, by their ids: title and when each was made; the id too of those that
    would still read the same."""
    now = datetime.now()
    labels = {
        run.id: " · ".join((_title(run.root), *([moment(made, now)] if (made := made_at(run.id)) else ())))
        for run in runs
    }
    often = Counter(labels.values())
    return {id_: label if often[label] == 1 else f"{label} · {id_}" for id_, label in labels.items()}


@st.cache_data(show_spinner=False, ttl=60, max_entries=256)
def _title(root: Path) -> str:
    """Reading a run asks for all its jobs, too much for every look."""
    return read_run(RunPaths(root)).title


def show_unforeseen(error: Exception) -> bool:
    """Log an error with its traceback; the page gets a sentence that says where, and the way out. Returns
    True."""
    LOG.error("a page failed", exc_info=error)
    st.error(t("frame.failed", log=Workspace.of().log), icon=":material/error:")
    st.html(RELOAD.format(text=escape(spoken("frame.reload"))))
    return True


def _current_run(workspace: Workspace) -> RunPaths | None:
    """The address decides, so that a link opens its run; then what the session had open, then what is at
    work: whoever comes back sees that."""
    asked = st.query_params.get("run") or st.session_state.get("run")
    if not asked:
        if found := comes_back_to(workspace):
            choose_run(found)
        return found
    try:
        run = workspace.run(asked)
    except NoSuchRun as error:
        choose_run(None)
        st.warning(plain(error.text(language())))
        return None
    choose_run(run)
    return run


def _address(run: RunPaths | None) -> dict[str, str]:
    known = {"run": run.id if run else None, "lang": chosen_language()}
    return {name: value for name, value in known.items() if value}


def _strip(here: Here, step: str, about_run: bool = True) -> None:
    """The steps as links, each with its state; it follows a live run by itself. With each step that begins or
    ends the page is drawn anew: what it says is next depends on that."""
    follow(
        look=lambda: (standing(here.run), is_at_work(here.run)) if here.run else ({}, False),
        draw=lambda found: _links(here, step, found[0], about_run),
        mark=lambda found: (found[1] or any(state in LIVE for state in found[0].values()), found[0]),
        every=lambda marked: STRIP_EVERY if marked[0] else None,
    )


def _making(workspace: Workspace, run: RunPaths, step: str) -> None:
    """Where the run's chain is, while one is at work on it or has failed; Start itself shows all of it."""

    def draw(found: ChainProgress | None) -> None:
        if found is not None:
            with st.container(border=True, key="making"):
                show_making(workspace, run, found, step)
                link_to("start", t("making.to_start" if found.live else "making.go_on"), run)
        elif early := made_early(run):
            show_early(early)

    with shown_errors():
        follow(
            look=lambda: making_of(workspace, run),
            draw=draw,
            mark=lambda found: found.state in LIVE if found else None,
            every=lambda live: EVERY if live else None,
        )


def _links(here: Here, step: str, found: dict[str, State | None], about_run: bool) -> None:
    coming = next_step(found) if here.run else None
    with st.container(horizontal=True, gap="small", key="strip"):
        for known in STEPS:
            title = t(f"page.{known}.title")
            label = f"**{title}**" if known == step else title
            state = found.get(known)
            st.page_link(
                page(known),
                label=f":primary[{label}]" if known == coming else label,
                icon=":material/home:" if known == "start" else ICONS[state],
                # What the icon says. Of a tick everybody knows, and its tooltip covers what stands above.
                help=t(f"state.{state.value}") if state and state is not State.finished else None,
                query_params=_address(here.run),
            )
    if here.run and about_run:
        about = read_run(here.run)
        st.caption(t("frame.run", name=about.title, run=about.run))

"""The workspace's runs: what they are doing and how their loss went. A click on one opens it; the open one
can be named and deleted. The newest few are shown, and read each time; older ones are found by what they are
called, or by asking for more."""

from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import streamlit as st

from core.errors import NoSuchRun, StorageFailed
from core.jobs.spark import spark
from core.jobs.status import LIVE, State
from core.run_list import run_index
from core.runs import Run, delete, made_at, rename
from core.workspace.paths import RunPaths, Workspace
from ui.shell.danger import danger_button
from ui.shell.frame import Here, choose_run, clicked, follow, list_key
from ui.shell.text import plain, t

EVERY = 5.0
# A telephone shows two of the table's columns: there each run is a button of two lines instead.
PHONE_STYLE = """<style>
.st-key-runs_on_a_phone{display:none}
.st-key-runs_on_a_phone button{justify-content:flex-start;text-align:left}
.st-key-runs_on_a_phone button *{text-align:left;justify-content:flex-start}
.st-key-runs_on_a_phone button>div{width:100%}
@media (max-width:640px){
  .st-key-runs_on_a_phone{display:flex}
  .st-key-runs_table{display:none}
}
</style>"""
SHOWN = 30
# What is looked for in all runs may be some seconds old; what is found is read before it is shown.
SEARCHED = 15.0
FIND, MORE = "runs_find", "runs_more"
TITLE_LENGTH = 80
MARKS = {
    State.finished: "✓",
    State.running: "●",
    State.waiting: "○",
    State.failed: "✗",
    State.lost: "✗",
    State.stopped: "■",
}


@dataclass(frozen=True)
class ListedRuns:
    """The runs that are shown, of how many that fit what is looked for, and of how many there are."""

    runs: list[Run]
    fit: int
    there: int


def run_list(here: Here) -> None:
    """The list, once there are runs; it follows by itself while any of those shown lives."""
    follow(
        look=lambda: _listed(here.workspace),
        draw=lambda listed: _table(here, listed) if listed.there else None,
        mark=lambda listed: any(run.state in LIVE for run in listed.runs),
        every=lambda live: EVERY if live else None,
    )


def _listed(workspace: Workspace) -> ListedRuns:
    index, names = run_index(workspace), workspace.run_names()
    asked = str(st.session_state.get(FIND) or "").strip().casefold()
    fit = names
    if asked:
        with nullcontext() if index.has_looked else st.spinner(t("runs.looking")):
            fit = [run.run for run in index.all(within=SEARCHED) if _fits(run, asked)]
    shown = fit[: SHOWN * (1 + st.session_state.get(MORE, 0))]
    return ListedRuns([index.look(name) for name in shown], len(fit), len(names))


def _fits(run: Run, asked: str) -> bool:
    day = f"{run.run[:4]}-{run.run[4:6]}-{run.run[6:8]}"
    return any(asked in text.casefold() for text in (run.title, run.name or "", run.run, day, _state(run)))


def _table(here: Here, listed: ListedRuns) -> None:
    st.header(t("runs.title"), anchor=False)
    if listed.there > SHOWN:
        st.text_input(t("runs.find"), key=FIND, placeholder=t("runs.find.by"))
    runs = listed.runs
    current = here.run.id if here.run else None
    if runs:
        _list(here, runs, current)
        _more(listed)
    else:
        st.caption(t("runs.none_fit"))
    if st.session_state.get("run") != current:  # the panel above is of the run that was open
        st.rerun()
    if current:
        _actions(here, run_index(here.workspace).look(current))
    else:
        st.caption(t("runs.pick"))


def _list(here: Here, runs: list[Run], current: str | None) -> None:
    st.html(PHONE_STYLE)
    with st.container(key="runs_on_a_phone", gap="small"):
        _short_list(here, runs, current)
    with st.container(key="runs_table"):
        _rows(here, runs, current)


def _more(listed: ListedRuns) -> None:
    """Of a long list the way to what it does not show."""
    if listed.fit <= len(listed.runs):
        return
    with st.container(horizontal=True, vertical_alignment="center", key="runs_left"):
        st.caption(t("runs.shown", shown=len(listed.runs), count=listed.fit), width="content")
        st.button(t("runs.more"), key="runs_show_more", icon=":material/expand_more:", on_click=_show_more)


def _show_more() -> None:
    st.session_state[MORE] = st.session_state.get(MORE, 0) + 1


def _short_list(here: Here, runs: list[Run], current: str | None) -> None:
    """What the table says but for the curve, in lines that fold."""
    for run in runs:
        kind = "secondary" if run.run == current else "tertiary"
        if st.button(_short(run), type=kind, key=f"phone_open {run.run}", width="stretch"):
            with suppress(NoSuchRun, StorageFailed):
                choose_run(here.workspace.run(run.run))


def _short(run: Run) -> str:
    measured = ((name, getattr(run, name)) for name in ("learned", "kept", "leaked"))
    parts = [_state(run), age(run.run, datetime.now())]
    parts += [f"{t(f'runs.{name}')} {shown(name, value)}" for name, value in measured if value is not None]
    parts += [f"{t('runs.facts')} {facts_told(run)}"] if run.facts_asked else []
    return f"**{plain(run.title)}**  \n{plain(' · '.join(parts))}"


def _rows(here: Here, runs: list[Run], current: str | None) -> None:
    """The table tells only which of its rows was clicked: with other rows, or another run open, it is another
    table (its key), in which the open one is marked."""
    ids = [run.run for run in runs]
    with_facts = any(run.facts_asked for run in runs)
    key = list_key("runs", [*ids, current, with_facts])
    st.dataframe(
        [_row(here.workspace, run, with_facts) for run in runs],
        hide_index=True,
        column_config={
            "title": st.column_config.TextColumn(t("runs.name"), width="medium"),
            "state": st.column_config.TextColumn(t("runs.state"), width="small"),
            "loss": st.column_config.LineChartColumn(t("runs.loss"), width="small"),
            "age": st.column_config.TextColumn(t("runs.age"), width="small"),
            "learned": st.column_config.TextColumn(t("runs.learned"), width="small"),
            "kept": st.column_config.TextColumn(t("runs.kept"), width="small"),
            "leaked": st.column_config.TextColumn(t("runs.leaked"), width="small"),
            "facts": st.column_config.TextColumn(t("runs.facts"), width="small"),
        },
        on_select=partial(_open, here, key, ids),
        selection_mode=("single-row", "single-cell"),  # a row's box, or anywhere in it
        selection_default={"selection": {"rows": [ids.index(current)] if current in ids else []}},
        key=key,
        alt=t("runs.title"),
    )


def _open(here: Here, key: str, ids: list[str]) -> None:
    """Open the run that was clicked; another click on its box closes it."""
    row = clicked(key)
    with suppress(NoSuchRun, StorageFailed):  # somebody has just deleted it, or nobody may read it
        choose_run(None if row is None else here.workspace.run(ids[row]))


def _row(workspace: Workspace, run: Run, with_facts: bool) -> dict[str, Any]:
    """``with_facts``: some run of the table was taught facts of somebody's own."""
    facts = {"facts": facts_told(run)} if with_facts else {}
    return {
        "title": run.title,
        "state": _state(run),
        "loss": _outline(workspace, run),
        "age": age(run.run, datetime.now()),
        "learned": shown("learned", run.learned),
        "kept": shown("kept", run.kept),
        "leaked": shown("leaked", run.leaked),
        **facts,
    }


def _state(run: Run) -> str:
    return f"✗ {run.fault}" if run.fault else f"{MARKS[run.state]} {run.told}"


def _outline(workspace: Workspace, run: Run) -> list[float]:
    """Nothing of a run whose numbers cannot be read."""
    with suppress(OSError):
        return spark(RunPaths(workspace.runs / run.run).work_dir)
    return []


def shown(measure: str, value: float | None) -> str:
    """A measured number: a share in percent, how often it leaked as a count, a dash before it is known."""
    if value is None:
        return "–"
    return f"{value:.0f}" if measure == "leaked" else f"{value:.0%}"


def facts_told(run: Run) -> str:
    """How many facts of somebody's own it knew in the final test, of how many."""
    return f"{run.facts} / {run.facts_asked}" if run.facts_asked else "–"


def age(run_id: str, now: datetime) -> str:
    """How long ago a run was made, in the largest unit that counts."""
    if (made := made_at(run_id)) is None:
        return "–"
    minutes = max(0, int((now - made).total_seconds()) // 60)
    if minutes < 1:
        return t("age.now")
    if minutes < 60:
        return t("age.minutes", count=minutes)
    return t("age.hours", count=minutes // 60) if minutes < 48 * 60 else t("age.days", count=minutes // 1440)


def _actions(here: Here, run: Run) -> None:
    """What else can be done with the open run. Two people may look at it: it may be gone meanwhile."""
    try:
        paths = here.workspace.run(run.run)
    except NoSuchRun:
        st.rerun()
    # Keys with the id: a press that arrives when another run is shown is nobody's.
    with st.container(horizontal=True, vertical_alignment="center", key="run_actions"):
        with st.popover(t("runs.rename"), icon=":material/edit:", key=f"run_rename {run.run}"):
            _rename(paths, run)
        with st.popover(
            t("runs.delete"),
            icon=":material/delete:",
            key=f"run_delete {run.run}",
            disabled=run.state in LIVE,
        ):
            _delete(here, paths, run)
        if run.state in LIVE:
            st.caption(t("runs.live"))


def _rename(paths: RunPaths, run: Run) -> None:
    with st.form(f"rename {run.run}", border=False):
        title = st.text_input(
            t("runs.new_name"), run.title, key=f"title_{run.run}", max_chars=TITLE_LENGTH, required=True
        )
        if st.form_submit_button(t("runs.save"), key=f"rename_save {run.run}") and title and title.strip():
            rename(paths, title)
            st.rerun()


def _delete(here: Here, paths: RunPaths, run: Run) -> None:
    st.markdown(t("runs.really", run=run.run))
    if danger_button(t("runs.delete_now"), f"run_delete_now {run.run}", ":material/delete_forever:"):
        delete(here.workspace, paths)
        if here.run and here.run.id == run.run:
            choose_run(None)
        st.rerun()

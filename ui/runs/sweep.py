"""The sweep that a run belongs to: its trainings with the best first, and what they came to."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

import streamlit as st

from core.errors import NoSuchRun, StorageFailed
from core.jobs.job import JobPaths
from core.runs import read_run
from core.steps import prepare
from core.sweep import job
from core.sweep.conduct import in_words, shown
from core.sweep.job import SweepView
from core.sweep.pruning import FIRST
from core.sweep.rank import MEASURES, result_of, score_of
from core.sweep.sweep import Sweep
from core.sweep.trial import STOPPED, WHY, SweepTrial
from core.workspace.paths import RunPaths, Workspace
from core.workspace.user import user_name
from ui.config.sweep import field_name
from ui.jobs.failure import show_why
from ui.runs.sweep_chart import sweep_figure
from ui.runs.table import shown as measured
from ui.shell.danger import danger_button
from ui.shell.frame import choose_run, clicked, follow, go_to, link_to, list_key, starting
from ui.shell.text import Markdown, language, plain, spoken, t

EVERY = 3.0
MARK_WIDTH = 40
MARKS = {"running": "●", "finished": "✓", "pruned": "■", "failed": "✗"}
# Lines between so many axes need more room than a telephone has.
PHONE_STYLE = "<style>@media (max-width:640px){.st-key-sweep_chart{display:none}}</style>"


def show_sweeps(workspace: Workspace, run: RunPaths) -> None:
    """The sweeps of which the run is the base or a training; of several the newest, until another is
    chosen. What follows is of the run alone, and under its name."""
    if not (found := job.of_run(workspace, run)):
        return
    chosen = found[0].place
    if len(found) > 1:
        titles = {view.place.id: _title(view) for view in found}
        picked = st.selectbox(t("sweep.pick"), list(titles), format_func=titles.__getitem__, key="sweep_pick")
        chosen = workspace.sweep(picked)
    follow(
        look=lambda: job.view(chosen),
        draw=lambda view: _panel(workspace, run, view),
        mark=lambda view: view.live,
        every=lambda live: EVERY if live else None,
    )
    st.header(t("sweep.this_run", name=read_run(run).title), anchor=False)


def sweeps_at_work(workspace: Workspace) -> None:
    """A line for each sweep that runs, with the way to it."""
    for view in filter(lambda view: view.live, job.views(workspace)):
        with (
            suppress(NoSuchRun, StorageFailed),
            st.container(border=True, horizontal=True, vertical_alignment="center"),
        ):
            base = workspace.run(view.sweep.base)
            st.markdown(t("sweep.live", name=read_run(base).title, fields=_fields(view)), width="content")
            with st.container():
                _show_share(view)
            link_to("compare", t("sweep.open"), base)


def _title(view: SweepView) -> str:
    return spoken("row.separator").join((_fields(view), view.place.id[: len("20260102-0304")]))


def _fields(view: SweepView) -> str:
    return spoken("row.list").join(field_name(field) for field in view.sweep.fields)


def _show_share(view: SweepView) -> None:
    done, total = view.ended, view.sweep.trials
    st.progress(min(1.0, done / max(1, total)), text=t("sweep.far", done=done, total=total))


def _panel(workspace: Workspace, run: RunPaths, view: SweepView) -> None:
    st.header(t("sweep.title", fields=_fields(view)), anchor=False)
    if not view.is_over:
        _show_share(view)
        _steer(workspace, view)
    if best := next((one for one in view.trials if one.number == view.best), None):
        _best(workspace, best)
    if view.trials:
        _table(workspace, run, view)
        _chart(view)
    st.caption(_rules(view))


def _steer(workspace: Workspace, view: SweepView) -> None:
    """Stop it, or let it go on; why it ended where it failed."""
    if view.failure:
        show_why(view.failure, "")
    if view.live:
        st.caption(t("work.safe"))
        if JobPaths(view.place.job).stop.exists():
            st.info(t("work.stopping"), icon=":material/hourglass_empty:")
        elif danger_button(t("sweep.stop"), "sweep_stop", ":material/stop_circle:"):
            job.stop(view.place, user_name())
            st.rerun(scope="fragment")
    elif st.button(t("sweep.go_on"), type="primary", icon=":material/play_circle:", key="sweep_go_on"):
        job.start(workspace, view.place, language())
        st.rerun()


def _best(workspace: Workspace, best: SweepTrial) -> None:
    """What it is, and what can be done with it; its run may be deleted by now."""
    score = score_of(best.notes)
    shares = {name: f"{getattr(score, name).value or 0:.0%}" for name in ("learned", "kept")}
    st.success(t("sweep.best.is", values=Markdown(_values(best)), **shares), icon=":material/star:")
    with suppress(NoSuchRun, StorageFailed):
        run = workspace.run(best.run)
        with st.container(horizontal=True, key="sweep_best"):
            if st.button(t("sweep.chat"), type="primary", icon=":material/chat:", key="sweep_chat"):
                choose_run(run)
                go_to("chat", run)
            what = t("sweep.use.help")
            if st.button(t("sweep.use"), icon=":material/content_copy:", key="sweep_use", help=what):
                with starting():
                    new = prepare.variant(workspace, run, datetime.now())
                choose_run(new)
                go_to("config", new)


def _values(trial: SweepTrial) -> str:
    return " · ".join(f"{field_name(field)} **{plain(shown(v))}**" for field, v in trial.values.items())


def _table(workspace: Workspace, run: RunPaths, view: SweepView) -> None:
    ids = [trial.run for trial in view.trials]
    key = list_key("sweep", [*ids, *(trial.state for trial in view.trials), run.id])
    columns = {field: field_name(field) for field in view.sweep.fields}
    columns |= {"state": t("runs.state"), "best": "", "why": t("sweep.why")}
    columns |= {name: t(f"runs.{name}") for name in MEASURES}
    st.dataframe(
        [_row(trial, trial.number == view.best) for trial in view.trials],
        hide_index=True,
        column_config={
            name: st.column_config.TextColumn(label, width=MARK_WIDTH if name == "best" else None)
            for name, label in columns.items()
        },
        on_select=partial(_open, workspace, key, ids),
        selection_mode=("single-row", "single-cell"),
        selection_default={"selection": {"rows": [ids.index(run.id)] if run.id in ids else []}},
        key=key,
        alt=t("sweep.title", fields=_fields(view)),
    )
    st.caption(t("sweep.pick_row"))


def _row(trial: SweepTrial, is_best: bool) -> dict[str, Any]:
    return {
        "best": "★" if is_best else "",
        **{field: shown(value) for field, value in trial.values.items()},
        **{name: measured(name, value) for name, value in result_of(trial).items()},
        "state": f"{MARKS[trial.state]} {spoken(f'sweep.state.{trial.state}')}",
        "why": _why(trial),
    }


def _why(trial: SweepTrial) -> str:
    """Why it did not come to its end."""
    if trial.state == "pruned":
        return spoken("sweep.why.pruned", **in_words(trial.notes[STOPPED]))
    return str(trial.notes.get(WHY, "")) if trial.state == "failed" else ""


def _open(workspace: Workspace, key: str, ids: Sequence[str]) -> None:
    row = clicked(key)
    with suppress(NoSuchRun, StorageFailed):
        if row is not None:
            choose_run(workspace.run(ids[row]))


def _chart(view: SweepView) -> None:
    """Once there are two lines to compare."""
    done = [trial for trial in view.trials if trial.state == "finished"]
    if len(done) < 2:
        return
    st.html(PHONE_STYLE)
    with st.container(key="sweep_chart"):
        st.plotly_chart(
            sweep_figure(view, done),
            key=f"sweep chart {view.place.id}",
            config={"displayModeBar": False},
            alt=spoken("sweep.chart.alt", count=len(done)),
        )
        st.caption(t("sweep.chart"))


def _place(sweep: Sweep) -> list[str]:
    """How Slurm gets its trainings, where it does."""
    if sweep.profile is None:
        return []
    asked = {"profile": sweep.profile.name, "count": sweep.at_once or 1}
    most = ".most" if sweep.at_once else ""
    return [t(f"sweep.rule.array{most}" if sweep.is_array else "sweep.rule.handed", **asked)]


def _rules(view: SweepView) -> str:
    """How it is chosen, which is the best, and when one is stopped early."""
    said = [t(f"sweep.rule.{view.sweep.sampler}", count=view.sweep.trials), *_place(view.sweep)]
    said.append(t("sweep.rule.best"))
    if view.sweep.prunes:
        said.append(t("sweep.rule.prune", first=FIRST))
    elif view.sweep.prune:
        fields = spoken("row.list").join(field_name(field) for field in view.sweep.incomparable)
        said.append(t("sweep.rule.incomparable", fields=fields))
    return "  \n".join(said)

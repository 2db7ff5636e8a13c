"""Data: what is taught, from a name, a file or an earlier run; then what is trained on, row by row."""

import streamlit as st

from core.cli.requests import plan_again
from core.jobs.grace import COMMAND_GRACE
from core.jobs.job import JobPaths
from core.jobs.launch import launch, stop
from core.jobs.status import Status, status_of
from core.pipeline import chain
from core.pipeline.tune_request import TuneRequest
from core.runs import CHAIN, DATA, next_step, standing
from core.steps.watch import answered
from core.workspace.paths import RunPaths, Workspace
from core.workspace.user import user_name
from ui.data.documents import OTHER
from ui.data.form import by_own_name, data_form
from ui.data.panel import data_panel
from ui.jobs.failure import show_failure
from ui.jobs.panel import is_live, show_log, show_state
from ui.models.table import models_section
from ui.shell.danger import danger_button
from ui.shell.frame import follow, link_to, open_new, open_page, shown_errors, starting
from ui.shell.text import language, plain, t

EVERY = 1.0


def make_data(workspace: Workspace) -> None:
    # Appended to before the next word to Streamlit: there the second press of a double click ends this run.
    started: list[tuple[TuneRequest, RunPaths]] = st.session_state.setdefault("data_started", [])
    if request := data_form(workspace):
        with starting(), by_own_name(workspace):
            run = next(
                (run for known, run in started if known == request and is_live(status_of(run.job(DATA)))),
                None,
            )
            if run is None:
                run = chain.start_data(workspace, request, user_name(), language())
                started.append((request, run))
        open_new(run)
        st.rerun()


def show_data(workspace: Workspace, run: RunPaths) -> None:
    if run.config.exists():
        if next_step(standing(run)) == "train":
            link_to("config", t("page.data.to_config"), run)
        data_panel(workspace, run)
    elif status_of(run.job(DATA)):
        follow_data(workspace, run)
    elif is_live(status_of(run.job(CHAIN))):
        wait_for_chain(run)
    else:
        st.info(t("page.data.nothing"), icon=":material/info:")


def follow_data(workspace: Workspace, run: RunPaths) -> None:
    """The job that makes the data: how far, stop, and when it failed why and once more."""
    job = run.job(DATA)

    def draw(status: Status | None) -> None:
        if status is None:
            st.rerun()
        show_state(status)
        if is_live(status):
            show_progress(run)
            if danger_button(t("page.data.stop"), "data_stop", ":material/stop:"):
                stop(job, user_name(), COMMAND_GRACE)
            return
        show_why(workspace, run)
        if st.button(t("page.data.try_again"), icon=":material/refresh:", type="primary", key="data_again"):
            with shown_errors():
                launch(job, plan_again(workspace, job))
            st.rerun()

    follow(lambda: status_of(job), draw, mark=is_live, every=lambda live: EVERY if live else None)


def show_progress(run: RunPaths) -> None:
    share, text = 0.0, t("page.data.making")
    found: list[tuple[float, str]] = []
    answered(run.job("base"), lambda share, note: found.append((share, note)))()
    if found:
        share, note = found[-1]
        text = f"{text} {plain(note)}"
    st.progress(share, text=text)


def show_why(workspace: Workspace, run: RunPaths) -> None:
    """The step that failed says why; one that failed between its steps has said so in its log."""
    starter = [] if workspace.starter.exists() else [workspace.starter_job]
    for folder in (run.job("base"), *starter, run.job(DATA)):
        status = status_of(folder)
        if status and JobPaths(folder).log.exists():
            show_failure(folder, status)
    show_log(run.job(DATA), f"data {run.id}")


def wait_for_chain(run: RunPaths) -> None:
    follow(
        look=lambda: run.config.exists() or not is_live(status_of(run.job(CHAIN))),
        draw=lambda _: st.info(t("page.data.waiting"), icon=":material/progress_activity:"),
        mark=bool,
        every=lambda _: EVERY,
    )


here = open_page("data")
with shown_errors():
    if here.run is None:
        make_data(here.workspace)
    else:
        show_data(here.workspace, here.run)
        other = st.expander(t("page.data.other"), icon=":material/add:", key=OTHER, on_change="rerun")
        if other.open:
            with other:
                make_data(here.workspace)
models_section(here.workspace)

"""Train: start, stop, go on; then watch."""

from dataclasses import asdict
from functools import partial

import streamlit as st

from core.jobs.grace import TOOL_GRACE, granted
from core.jobs.job import JobPaths
from core.jobs.status import State, status_of
from core.pipeline import chain
from core.recipe.recipe import Recipe
from core.runs import made_early
from core.steps import prepare, resuming, train
from core.steps.checkpoints import Trained
from core.workspace.paths import RunPaths, Workspace
from ui.config.remedy import offer_remedy
from ui.data.panel import warn_of_run
from ui.jobs.cluster import show_awaited, show_where
from ui.jobs.failure import show_failure
from ui.jobs.panel import is_live
from ui.jobs.trained import offer_as_it_is, show_fewer, show_next, show_passed_over
from ui.jobs.training import cause_in_curve, follow_training
from ui.runs.result import show_outcome
from ui.shell.danger import danger_button
from ui.shell.frame import link_to, need_run, open_page, shown_errors
from ui.shell.text import t


def train_page(workspace: Workspace, run: RunPaths) -> None:
    if not run.config.exists() and chain.is_live(run):
        show_awaited(run, "chain")
        show_where(workspace, run)
        return
    if not run.config.exists():
        st.info(t("page.train.no_config"), icon=":material/info:")
        link_to("data", t("page.config.to_data"), run)
        return
    recipe = prepare.recipe_of(run)
    status, outcome = status_of(run.job("train")), partial(show_outcome, run)
    if run.adopted.exists():
        st.info(t("page.train.adopted", folder=run.work_dir.resolve()), icon=":material/lock:")
        show_next(run, outcome)
    elif is_live(status):
        show_stop(run)
    elif chain.is_live(run):
        trained = status is not None and status.state is State.finished
        show_awaited(run, "chain_goes_on" if trained else "chain")
    elif status is None:
        show_first_start(run, recipe)
    elif status.state is State.finished:
        show_next(run, outcome)
        offer_remedy(workspace, run, cause_in_curve(run, recipe))
    else:
        show_failure(run.job("train"), status)
        if made := made_early(run) is not None:
            show_next(run, outcome)
        show_restart(run, recipe, made, first=not (made or offer_remedy(workspace, run)))
    follow_training(workspace, run, recipe)


def show_first_start(run: RunPaths, recipe: Recipe) -> None:
    st.info(t("page.train.not_yet"), icon=":material/info:")
    with shown_errors():  # rows that cannot be read are named by the button too
        warn_of_run(run, recipe)
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button(t("page.train.start"), type="primary", icon=":material/play_arrow:", key="start"):
            start(run, None)
        link_to("config", t("page.train.to_config"), run, icon=":material/tune:")


def show_stop(run: RunPaths) -> None:
    if JobPaths(run.job("train")).stop.exists():
        grace = granted(run.job("train"), TOOL_GRACE)
        st.info(t("page.train.stopping", grace=round(grace)), icon=":material/hourglass_empty:")
    elif danger_button(t("page.train.stop"), "stop", ":material/stop:", help_text=t("chain.stop.help")):
        with shown_errors():
            chain.halt(run, by="page")
            st.rerun()


def show_restart(run: RunPaths, recipe: Recipe, made: bool, first: bool) -> None:
    """Go on from the last whole checkpoint, or begin again, which asks. ``made``: that a model is made of it
    stands above; ``first``: nothing is better."""
    last = resuming.resumable(run)
    if not made and (found := resuming.stopped(run)):
        st.info(t(found.key, **asdict(found)), icon=":material/stop_circle:")
    show_passed_over(run)
    show_fewer(run)
    kind = "primary" if first else "secondary"
    with st.container(horizontal=True, vertical_alignment="center"):
        if last is not None:
            label = t("page.train.resume", iteration=last.iteration)
            help_text = t("page.train.resume.help")
            if st.button(label, type=kind, icon=":material/resume:", help=help_text, key="resume"):
                start(run, last)
            offer_as_it_is(run.workspace, run, "secondary")
        with st.popover(t("page.train.again"), icon=":material/restart_alt:", key="again"):
            st.write(t("page.train.again.help"))
            if danger_button(t("page.train.again.do"), "again_do", ":material/delete_forever:"):
                start(run, None)
    if last is None:
        st.caption(t("page.train.nothing_to_resume", first=prepare.first_checkpoint(run, recipe)))


def start(run: RunPaths, resume: Trained | None) -> None:
    with shown_errors():
        train.start(run, resume)
        st.rerun()


here = open_page("train")
current = need_run(here, "train")
with shown_errors():
    train_page(here.workspace, current)

"""Config: the recipe as a form, what it will take, and the config and command as they will be run."""

from datetime import datetime

import streamlit as st

from core.jobs.job import JobPaths
from core.jobs.status import is_live
from core.pipeline import chain
from core.steps import adopt, prepare, train
from core.workspace.paths import RunPaths, Workspace
from ui.config.folded import settings_box, unfold
from ui.config.forms import checked, draft_of, recipe_form, save, show_problems
from ui.config.launch_preview import (
    offer_fit,
    show_choices_of_data,
    show_estimate,
    show_in_short,
    show_launch,
)
from ui.config.starting_points import offer_starting_points
from ui.config.sweep import offer_sweep
from ui.config.xtuner_configs import show_differences, xtuner_configs
from ui.data.panel import warn_of_run
from ui.shell.frame import choose_run, go_to, link_to, need_run, open_page, shown_errors
from ui.shell.text import t


def config_page(workspace: Workspace, run: RunPaths) -> None:
    if not run.config.exists() and chain.is_live(run):
        st.info(t("page.config.chain"), icon=":material/progress_activity:")
        return
    if not run.config.exists():
        st.info(t("page.config.no_data"), icon=":material/info:")
        link_to("data", t("page.config.to_data"), run)
        return
    locked = show_lock(workspace, run)
    # Above the form and drawn after it, by what stands in it then.
    top = st.container(horizontal=True, vertical_alignment="center", key="train_now")
    draft, model = draft_of(run), prepare.model_of(run)
    estimated = st.container()
    form = settings_box(run, locked)
    with form:
        show_choices_of_data(draft.saved)
        beginnings = st.container()
        if run.adopted.exists():
            show_differences(adopt.differences(run))
        places = recipe_form(draft, f"recipe {run.id}", disabled=locked)
    recipe, problems = checked(draft, model)
    if problems and not locked:
        unfold(run)
        show_problems(places, problems)
    elif recipe and not locked:
        with form:
            save(run, draft, recipe, model)
    with beginnings:
        offer_starting_points(run, draft, model, locked)
    if run.data.exists():
        with estimated:
            warn_of_run(run, recipe or draft.saved)
            found, cost = show_estimate(workspace, run, recipe or draft.saved, model)
            if not locked:
                offer_fit(run, draft, model)
        if not locked:
            with top:
                offer_training(run, ready=not problems)
                show_in_short(run, found, cost)
    if not locked:
        xtuner_configs(run, draft)
    offer_sweep(workspace, run, draft.saved)
    show_launch(run, draft.saved)


def show_lock(workspace: Workspace, run: RunPaths) -> bool:
    """Whether the settings must stay: what was trained keeps its recipe. A new run may have others."""
    if chain.is_live(run):
        st.info(t("page.config.live"), icon=":material/progress_activity:")
        return True
    if run.adopted.exists():
        st.info(t("page.config.adopted", folder=run.work_dir.resolve()), icon=":material/lock:")
        return True
    if not JobPaths(run.job("train")).holds_a_job:
        prepare.in_line(run)  # what was written into recipe.yaml by hand is shown as it will be trained
        st.markdown(t("page.config.defaults"))
        return False
    if is_live(run.job("train")):
        st.info(t("page.config.live"), icon=":material/progress_activity:")
        return True
    with st.container(horizontal=True, vertical_alignment="center"):
        st.info(t("page.config.locked"), icon=":material/lock:")
        if st.button(t("page.config.variant"), icon=":material/content_copy:", key="variant"):
            with shown_errors():
                choose_run(prepare.variant(workspace, run, datetime.now()))
            st.rerun()
    return True


def offer_training(run: RunPaths, ready: bool) -> None:
    """The page's one button; what is in the form is on disk by then."""
    label, help_text = t("page.train.start"), None if ready else t("page.config.not_ready")
    if st.button(
        label, type="primary", icon=":material/play_arrow:", disabled=not ready, help=help_text, key="start"
    ):
        with shown_errors():
            train.start(run)
            go_to("train", run)


here = open_page("config")
current = need_run(here, "config")
with shown_errors():
    config_page(here.workspace, current)

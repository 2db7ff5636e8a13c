"""Merge: the checkpoint becomes an adapter, adapter and base one model; then take them along."""

from functools import partial
from typing import Literal

import streamlit as st

from core.jobs.status import State, status_of
from core.pipeline import chain
from core.steps import convert, export, merge, proof
from core.steps.adopt import no_export
from core.steps.checkpoints import checkpoints
from core.steps.export import Artefact
from core.steps.step import megabytes
from core.workspace.paths import RunPaths, Workspace
from ui.jobs.panel import is_live
from ui.jobs.step import Work, begin, follow_work, newest
from ui.jobs.trained import offer_as_it_is, show_made, show_next, show_passed_over
from ui.publish.artefact import show_artefact
from ui.runs.result import show_outcome
from ui.shell.frame import link_to, need_run, open_page, shown_errors
from ui.shell.text import t

Kind = Literal["primary", "secondary"]


def merge_page(workspace: Workspace, run: RunPaths) -> None:
    made, chained, training = export.artefacts(run), chain.is_live(run), is_live(status_of(run.job("train")))
    if chained:
        st.info(t("page.merge.chain"), icon=":material/progress_activity:")
    elif training:
        st.info(t("page.merge.training"), icon=":material/progress_activity:")
    elif not checkpoints(run.work_dir) and not made:
        st.info(t("page.merge.not_trained"), icon=":material/info:")
        link_to("train", t("page.merge.to_train"), run)
        return
    work = newest(works(run))
    busy = work is not None and is_live(work.status)
    done = work is not None and work.status is not None and work.status.state is State.finished
    below = bool(made) and done  # what was made is looked at before how that went
    if work and not below:
        follow_work(work)
    if made and not (busy or chained or training) and (lacking := proof.missing(run)) != "merge":
        (show_next if lacking else show_made)(run, partial(show_outcome, run))
    for artefact in reversed(made):  # the whole model is what is chatted with and published
        show_artefact(run, artefact)
    if not chained and not training:
        offer(workspace, run, made, busy=busy)
    if work and below:
        with st.expander(t("page.merge.how"), icon=":material/notes:", key="how"):
            follow_work(work)


def works(run: RunPaths) -> list[Work]:
    """The jobs of this page; the command first, because the other two may be its parts."""
    parts = {step: run.job(step) for step in ("convert", "merge")}
    return [Work("export", run.job("export"), parts), *(Work(*part) for part in parts.items())]


def show_space(run: RunPaths) -> bool:
    """What merging takes of the disk; whether there is as much."""
    with shown_errors():
        space = export.space(run)
        with st.container(horizontal=True, key="space"):
            needed = megabytes(space.needed)
            st.metric(t("page.merge.needed"), needed, help=t("page.merge.needed.help"), width=220)
            st.metric(t("page.merge.free"), megabytes(space.free), help=str(run.root), width=220)
        return space.enough
    return True


def offer(workspace: Workspace, run: RunPaths, made: list[Artefact], busy: bool) -> None:
    """What makes the model in one press; each step by itself, and what it takes, are folded."""
    show_passed_over(run)
    trained = bool(checkpoints(run.work_dir))
    if run.adopted.exists() and (reason := no_export(run)):
        st.warning(t("adopt.no_export", reason=reason), icon=":material/block:")
        trained = False
    whole = {artefact.kind for artefact in made if not artefact.stale} == set(export.kinds_of(run))
    early = not (whole or busy) and offer_as_it_is(workspace, run, "primary")
    off = busy or not trained
    if not (whole or early):
        make_button(workspace, run, "primary", off)
    label = t("page.merge.redo" if whole else "page.merge.single")
    with st.expander(label, icon=":material/more_horiz:", key="steps"):
        if whole or early:
            make_button(workspace, run, "secondary", off)
        if "adapter" in export.kinds_of(run):
            single_steps(run, off, busy or not any(one.kind == "adapter" for one in made))
        fits = show_space(run) if run.config.exists() else True
    if not fits:
        st.warning(t("page.merge.no_room"), icon=":material/hard_drive:")


def make_button(
    workspace: Workspace, run: RunPaths, kind: Literal["primary", "secondary"], off: bool
) -> None:
    """Both steps in one go; a full fine-tune has one."""
    if "adapter" not in export.kinds_of(run):
        st.caption(t("page.merge.full"))
        if st.button(t("page.merge.whole"), type=kind, disabled=off, key="convert"):
            begin(run.job("convert"), convert.plan(run))
    elif st.button(t("page.merge.both"), type=kind, icon=":material/merge:", disabled=off, key="both"):
        begin(run.job("export"), export.plan(workspace, run))


def single_steps(run: RunPaths, off: bool, no_merge: bool) -> None:
    with st.container(horizontal=True, key="single"):
        if st.button(t("page.merge.convert"), disabled=off, key="convert"):
            begin(run.job("convert"), convert.plan(run))
        help_text = t("page.merge.merge.help") if no_merge else None
        if st.button(t("page.merge.merge"), disabled=no_merge, help=help_text, key="merge"):
            begin(run.job("merge"), merge.plan(run))


here = open_page("merge")
current = need_run(here, "merge")
with shown_errors():
    merge_page(here.workspace, current)

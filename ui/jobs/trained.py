"""What a training that has ended leads to."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import asdict
from typing import Literal

import streamlit as st

from core.errors import MissingArtefact, NoWholeCheckpoint
from core.jobs.launch import launch
from core.jobs.status import State, is_live, status_of
from core.pipeline import chain
from core.runs import CHAIN
from core.steps import dividing, proof, resuming, train
from core.steps.adopt import no_export
from core.steps.checkpoints import Trained
from core.workspace.paths import RunPaths, Workspace
from core.workspace.user import user_name
from ui.shell.frame import go_to, link_to, shown_errors
from ui.shell.text import Markdown, language, plain, t

ICONS = {"chat": ":material/chat:", "compare": ":material/compare:", "publish": ":material/publish:"}
ICONS_NEXT = {**ICONS, "compare": ":material/fact_check:", "merge": ":material/arrow_forward:"}


def show_passed_over(run: RunPaths) -> None:
    """Say that a later checkpoint is damaged, so that an earlier one is taken; or that every one is."""
    icon = ":material/broken_image:"
    if found := resuming.passed_over(run):
        st.warning(t("train.passed_over", **asdict(found)), icon=icon)
        return
    with suppress(MissingArtefact):
        try:
            train.read(run)
        except NoWholeCheckpoint as error:
            st.warning(plain(error.text(language())), icon=icon)


def show_fewer(run: RunPaths) -> None:
    """Say that a run that goes on here does so on fewer GPUs than it was on."""
    if fewer := dividing.fewer_here(run):
        st.info(t("train.fewer_devices", **asdict(fewer)), icon=":material/memory:")


def as_it_is_button(kept: Trained, kind: Literal["primary", "secondary"]) -> bool:
    """Whether somebody wants the assistant of what was learned up to this checkpoint, and no more."""
    icon, help_text = ":material/auto_awesome:", t("chain.as_it_is.help", iteration=kept.iteration)
    return st.button(t("chain.as_it_is"), key="chain_as_it_is", type=kind, icon=icon, help=help_text)


def offer_as_it_is(workspace: Workspace, run: RunPaths, kind: Literal["primary", "secondary"]) -> bool:
    """The same beside what can be done with a training that has ended early, where there is anything to make
    of it; Start shows how it is made. Returns whether it is offered."""
    kept = chain.makeable(run)
    if kept is None or chain.asked_before(run) is None:
        return False
    if as_it_is_button(kept, kind):
        with shown_errors():
            chain.go_on(workspace, run, user_name(), language(), as_it_is=True)
            go_to("start", run)
    if kind == "primary":  # beside others its tooltip says it
        st.caption(t("chain.as_it_is.help", iteration=kept.iteration))
    return True


def show_test(run: RunPaths, tested: bool) -> None:
    """The way to what the test of a model has found; of one that was not tested the one press that does it,
    and of a test that is at work the way to it."""
    if tested:
        link_to("compare", t("chain.to_compare"), run)
    elif testing(run):
        link_to("compare", t("page.train.watch_test"), run)
    elif st.button(t("page.train.to_compare"), icon=":material/fact_check:", key="begin_test"):
        begin_test(run)


def testing(run: RunPaths) -> bool:
    """Whether its test is at work, or waits to be: by itself, or as the chain's end."""
    return any(is_live(run.job(job)) for job in (CHAIN, proof.PROOF, "ask"))


def begin_test(run: RunPaths) -> None:
    """Start the test of what a run has made, and go to where it is seen."""
    with shown_errors():
        launch(run.job(proof.PROOF), proof.plan(run.workspace, run))
        go_to("compare", run)


def show_next(run: RunPaths, outcome: Callable[[], None]) -> None:
    """The first thing that is still to be done with what was trained; then its ``outcome`` and all that can
    be."""
    lacking = proof.missing(run)
    if lacking == "compare" and run.adopted.exists():
        lacking = None  # nobody knows here what it was taught
    if lacking == "merge" and run.adopted.exists() and (reason := no_export(run)):
        st.warning(t("adopt.no_export", reason=reason), icon=":material/block:")
        return
    coming = lacking or "chat"
    at_work = coming == "compare" and testing(run)
    coming_next = t("page.train.next.testing" if at_work else f"page.train.next.{coming}")
    status = status_of(run.job("train"))
    # Of one that was stopped every page says on top how far it came (ui.shell.making).
    whole = status is not None and status.state is State.finished
    done = t("page.train.done", next=Markdown(coming_next)) if whole else coming_next
    st.success(done, icon=":material/check_circle:")
    if lacking is None:
        outcome()
    with st.container(horizontal=True, vertical_alignment="center", key="next"):
        label, icon = t("page.train.watch_test" if at_work else f"page.train.to_{coming}"), ICONS_NEXT[coming]
        if st.button(label, type="primary", icon=icon, key=f"next {coming}"):
            if coming == "compare" and not at_work:
                begin_test(run)
            go_to(coming, run)
        if coming != "merge":
            _ways(run, (way for way in ICONS if way != coming))


def show_made(run: RunPaths, outcome: Callable[[], None]) -> None:
    """Of one that is made and tested: that nothing is to be done here, its ``outcome``, and what is next."""
    st.success(t("page.merge.done"), icon=":material/check_circle:")
    outcome()
    with st.container(horizontal=True, vertical_alignment="center", key="next"):
        if st.button(
            t("page.merge.next"), type="primary", icon=":material/arrow_forward:", key="next publish"
        ):
            go_to("publish", run)
        _ways(run, ("chat", "compare"))


def show_ways(run: RunPaths, *ways: str) -> None:
    """Where else one goes with a run that is finished."""
    with st.container(horizontal=True, vertical_alignment="center", key="next"):
        _ways(run, ways)


def _ways(run: RunPaths, ways: Iterable[str]) -> None:
    for way in ways:
        link_to(way, t(f"page.train.or_{way}"), run, ICONS[way])

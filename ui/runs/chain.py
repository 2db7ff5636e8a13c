"""The whole chain as it runs: each stage turning done, how long it still takes, and what came out."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

import streamlit as st

from core.jobs.status import State
from core.jobs.turn import position
from core.pipeline import chain, chain_stages
from core.pipeline.chain_stages import ChainProgress, Stage
from core.pipeline.tune_request import USUAL_RESUMES
from core.pipeline.whereabouts import waits_in_slurm
from core.runs import CHAIN, COMMANDS, STEPS, made_early, making, read_run
from core.steps import prepare, proof, resuming
from core.workspace.paths import RunPaths, Workspace
from core.workspace.user import user_name
from ui.config.remedy import offer_remedy
from ui.data.own import show_not_asked
from ui.jobs.cluster import choose_where, show_where
from ui.jobs.failure import show_why
from ui.jobs.panel import show_busy, show_place
from ui.jobs.step import begin
from ui.jobs.trained import as_it_is_button, show_fewer, show_test
from ui.jobs.training import show_health
from ui.runs.result import measured, show_first, show_result
from ui.shell.danger import danger_button
from ui.shell.frame import ICONS, follow, go_to, link_to, shown_errors
from ui.shell.making import far, show_early, stage_named, stage_took
from ui.shell.tab import show_in_tab
from ui.shell.text import Markdown, duration, language, plain, t

EVERY = 2.0
COLORS = {State.finished: "green", State.running: "blue", State.failed: "red", State.lost: "red"}


def chain_panel(workspace: Workspace, run: RunPaths) -> None:
    """Show how far ``run`` is, however it was started; it follows by itself while anything of it lives."""

    def draw(progress: ChainProgress) -> None:
        with st.container(border=True, key="chain"):
            _panel(workspace, run, progress)

    follow(
        look=lambda: chain_stages.read_progress(workspace, run),
        draw=draw,
        mark=lambda progress: progress.live,
        every=lambda live: EVERY if live else None,
    )


def _panel(workspace: Workspace, run: RunPaths, progress: ChainProgress) -> None:
    title = read_run(run).title
    show_in_tab(title, progress.state, progress.share)
    tested = progress.live and run.merged.exists() and making(run) is None
    place = waiting_job(run) if progress.state is State.waiting else None
    early = None if progress.live or not run.merged.exists() else made_early(run)
    waits = bool(place) or waits_in_slurm(run)
    kind = _kind(progress, waits)
    if early or tested:
        kind = "early" if early else f"test.{kind}"
    elif kind in {"partly", "stopped"} and run.merged.exists() and proof.missing(run) == "compare":
        kind = "untested"
    st.header(t(f"chain.title.{kind}", name=title), anchor=False)
    if early:
        show_early(early)
        _result(run, progress)
        _go_on(workspace, run, first=False)
    elif kind in {"finished", "untested"}:
        _result(run, progress)
    else:
        if tested:
            _result(run, progress)
        _on_its_way(workspace, run, progress)


def _on_its_way(workspace: Workspace, run: RunPaths, progress: ChainProgress) -> None:
    """Its stages, and what can be done meanwhile; where it has ended without its result, the way on."""
    if progress.state is State.waiting:
        show_place(waiting_job(run) or run.job(CHAIN), begins=False)  # the queue above says that
    elif progress.live:
        show_share(progress)
        if progress.running:
            show_busy(run, progress.running.name)
    st.markdown("  \n".join(map(_stage, progress.stages)))
    if progress.running and progress.running.name == "train" and run.recipe.exists():
        show_health(run, prepare.recipe_of(run), live=True)
    show_where(workspace, run)
    if progress.live:
        st.caption(t("chain.safe"))
        help_text = t("chain.stop.help")
        if danger_button(t("chain.stop"), "chain_stop", ":material/stop_circle:", help_text=help_text):
            chain.halt(run, user_name())
            st.rerun()
    else:
        _go_on(workspace, run, first=True)


def waiting_job(run: RunPaths) -> Path | None:
    """The folder of the run's job that waits for a device."""
    return next((run.job(job) for job in (*COMMANDS, *STEPS) if position(run.job(job))), None)


def show_share(progress: ChainProgress) -> None:
    """How far it is and how long it still takes."""
    st.progress(progress.share, text=far(progress))


def _kind(progress: ChainProgress, waits: bool) -> str:
    if waits:
        return "waiting"
    if progress.live or progress.state is None:
        return "live" if progress.live else "partly"
    return progress.state.value if progress.state in {State.finished, State.stopped} else "failed"


def _stage(stage: Stage) -> str:
    color = COLORS.get(stage.state, "gray") if stage.state else "gray"
    note = f" · {plain(stage.note)}" if stage.note else ""
    took = f" · {duration(seconds)}" if (seconds := stage_took(stage)) else ""
    return f":{color}[{ICONS[stage.state]} {stage_named(stage.name)}]{note}{took}"


def _result(run: RunPaths, progress: ChainProgress) -> None:
    """What it says, the way to the chat, and what was measured."""
    found = measured(run)
    if found:
        show_first(found)
    with st.container(horizontal=True, vertical_alignment="center", key="chain_next"):
        if st.button(t("chain.to_chat"), key="chain_chat", type="primary", icon=":material/chat:"):
            go_to("chat", run)
        show_test(run, tested=found is not None)
        link_to("publish", t("chain.to_publish"), run)
    if found:
        show_result(found)
    with shown_errors():
        show_not_asked(run)
    if not progress.live and (times := chain_stages.made_in(run.workspace, run)):
        each = " · ".join(
            f"{stage_named(name, term=False)} {duration(seconds)}" for name, seconds in times.items()
        )
        st.caption(t("chain.times", whole=duration(sum(times.values())), each=Markdown(each)))


def _go_on(workspace: Workspace, run: RunPaths, first: bool) -> None:
    """Why it ended, and the way on; ``first``: nothing is better."""
    if failed := chain_stages.failure(workspace, run):
        stage, why = failed
        show_why(why, stage_named(stage) if stage != CHAIN else "")
    elif first and (found := resuming.stopped(run)):
        st.info(t(found.key, **asdict(found)), icon=":material/stop_circle:")
    kind: Literal["primary", "secondary"] = (
        "secondary" if offer_remedy(workspace, run) or not first else "primary"
    )
    if (asked := chain.asked_before(run)) is None:
        link_to("data", t("page.config.to_data"), run)
        return
    kept = chain.makeable(run)
    on: Literal["primary", "secondary"] = "secondary" if kept and asked.as_it_is else kind
    as_it_is = False
    with st.container(horizontal=True, vertical_alignment="center", key="chain_rest"):
        pressed = st.button(t("chain.go_on"), key="chain_go_on", type=on, icon=":material/play_circle:")
        if kept:
            as_it_is = as_it_is_button(kept, kind if asked.as_it_is else "secondary")
        most = choose_auto_resume("chain_auto_resume", asked.auto_resume)
        profile = choose_where(workspace, "chain_where", run)
    if profile is None:
        show_fewer(run)
    if pressed or as_it_is:
        wanted = replace(asked, auto_resume=most, as_it_is=as_it_is)
        rest = chain.plan_rest(workspace, run, wanted, user_name(), language(), profile)
        begin(run.job(CHAIN), rest, chain.secrets(workspace, asked))


def choose_auto_resume(key: str, most: int = 0) -> int:
    """How often a chain is to go on by itself after a crash; 0 for never, which it is at first."""
    usual = most or USUAL_RESUMES
    help_text = t("chain.auto_resume.help", most=usual)
    return usual if st.checkbox(t("chain.auto_resume"), bool(most), key=key, help=help_text) else 0

"""What every page says while its run is being made by a chain, instead of what is still missing."""

import time
from dataclasses import asdict
from pathlib import Path

import streamlit as st

from core.jobs.status import LIVE, State, state_of
from core.jobs.turn import another_has_it, kind_of, position
from core.pipeline import chain, chain_stages, queued
from core.pipeline.chain_stages import ChainProgress, Stage
from core.runs import CHAIN, Early, is_at_work, made_early, making, read_run
from core.steps import proof
from core.workspace.paths import RunPaths, Workspace
from ui.shell.text import Markdown, duration, language, plain, t, together

# Seconds between two looks; those of the parts beside it are others (ui.shell.frame.follow).
EVERY = 3.1
# The stages that have plain words of their own.
IN_PLAIN_WORDS = ("base", "train", "convert", "merge", "export", "ask")
# The stages whose failure a page shows itself, by the page's step.
SAID_BELOW = {"train": ("train",), "merge": ("convert", "merge")}


def making_of(workspace: Workspace, run: RunPaths) -> ChainProgress | None:
    """How far the chain of ``run`` is; None where it has none, or one that did what it should, or whose work
    somebody does in its place."""
    if (state := state_of(run.job(CHAIN))) in {None, State.finished}:
        return None
    elsewhere = is_at_work(run) or (run.result.exists() and proof.missing(run) is None)
    return None if state not in LIVE and elsewhere else chain_stages.read_progress(workspace, run)


def show_making(workspace: Workspace, run: RunPaths, found: ChainProgress, step: str) -> None:
    """Its stage, how far it is and how long it still takes, or why it ended and what to press; why a stage
    failed that the page of ``step`` is about, that page says."""
    title = read_run(run).title
    if found.state is State.waiting and (place := place_told(run.job(CHAIN))):
        said = f"**{t('chain.title.waiting', name=title)}**  \n{place}"
        st.info(said, icon=":material/hourglass_empty:")
    elif found.state in LIVE:
        parts = (f"**{t('chain.title.live', name=title)}**", stage_of(found), far(found))
        st.progress(found.share, text=" · ".join(parts))
    elif run.merged.exists() and (early := made_early(run)):
        show_early(early)
    elif found.state is State.stopped:
        st.info(together(t("making.stopped", name=title), way_on(run)), icon=":material/stop_circle:")
    else:
        stage, why = chain_stages.failure(workspace, run) or ("", None)
        said = together(t("making.failed", name=title), way_on(run))
        if stage in SAID_BELOW.get(step, ()):
            st.info(said, icon=":material/info:")
        else:
            reason = f"  \n{plain(why.text(language()))}" if why else ""
            st.error(said + reason, icon=":material/error:")


def spoken_of(run: RunPaths, key: str) -> str:
    """A sentence that says of a run without a model first whether that is being made, or waits to be, or
    neither: ``key`` takes it as ``unmade``."""
    unmade = t(f"unmade.{making(run) or 'ended'}", name=read_run(run).title)
    return t(key, unmade=Markdown(unmade))


def way_on(run: RunPaths) -> str:
    """What can be pressed on Start to go on with a run that has ended without its result."""
    return t("making.go_on_or_as_it_is" if chain.makeable(run) else "making.press_go_on")


def show_early(early: Early) -> None:
    """That the model is of a training which did not come to its end."""
    st.info(t("train.early", **asdict(early)), icon=":material/stop_circle:")


def stage_named(name: str, term: bool = True) -> str:
    """What a stage does in plain words; behind it, in brackets, what it is called (``term``) wherever else it
    is spoken of."""
    if name not in IN_PLAIN_WORDS:
        return t(f"stage.{name}")
    plainly = t(f"making.does.{name}")
    return t("making.named", does=Markdown(plainly), term=t(f"making.term.{name}")) if term else plainly


def stage_of(found: ChainProgress) -> str:
    """What it does now, and how far that is."""
    stage = found.running
    if stage is None:
        return t("chain.starting")
    note = f" · {plain(stage.note)}" if stage.note else ""
    return f"{stage_named(stage.name)}{note}"


def far(found: ChainProgress) -> str:
    """How far a chain is, how long it still takes, and has taken: that moves between two stages, too."""
    parts = [f"{found.share:.0%}", t("chain.left", left=found.left)]
    if found.began:
        parts.append(t("chain.so_far", time=duration(max(0.0, time.time() - found.began))))
    return " · ".join(parts)


def stage_took(stage: Stage) -> float | None:
    """Seconds that a stage of this chain took, or has so far: that moves where a tool has nothing to count.
    None for one that has not begun, or was done before."""
    ended = stage.heard if stage.state is State.finished else time.time() if stage.state in LIVE else None
    return max(1.0, ended - stage.began) if ended and stage.began and not stage.needless else None


def place_told(folder: Path, begins: bool = True) -> str:
    """Where a job stands that waits for a device, and whose job of another workspace has the device; else
    empty. ``begins``: and when it begins, where nothing else says so."""
    if (place := position(folder)) is None:
        return ""
    found = queued.waiting(folder) if begins else None
    device = t(f"queue.device.{kind_of(folder)}")
    said = plain(found.told()) if found else t("queue.place", position=place, device=device)
    about = t("queue.yours", device=Markdown(device)) if another_has_it(folder) else t("queue.order")
    return f"{said}  \n{about}"

"""After a training ran out of memory: the settings that fit, and one button that trains with them."""

from datetime import datetime

import streamlit as st

from core.cli.requests import plan_again
from core.jobs.launch import launch
from core.pipeline import chain
from core.recipe.recipe import Recipe
from core.runs import CHAIN
from core.steps import fit, train
from core.steps.step import megabytes
from core.workspace.paths import RunPaths, Workspace
from ui.shell.frame import choose_run, shown_errors, starting
from ui.shell.text import Markdown, plain, t


def offer_smaller(workspace: Workspace, run: RunPaths) -> bool:
    """The smaller settings as a sentence and a button; nothing for a run that did not run out of memory.
    Whether there are any."""
    if not fit.ran_out(run):
        return False
    before, found = train.recipe_of(run), fit.smaller(run)
    if found is None:
        st.warning(t("smaller.none", has=megabytes(fit.free_memory(before))), icon=":material/memory:")
        return False
    st.info(t("smaller.what", changes=Markdown(_said(before, found))), icon=":material/memory:")
    label, help_text = t("smaller.start"), t("smaller.start.help")
    if st.button(label, type="primary", icon=":material/compress:", help=help_text, key=f"smaller {run.id}"):
        with shown_errors():
            _start(workspace, run, found)
    return True


def _said(before: Recipe, after: Recipe) -> str:
    return " · ".join(
        f"`{name}` {_value(old)} → **{_value(new)}**"
        for name, (old, new) in fit.changes(before, after).items()
    )


def _value(value: object) -> str:
    return t(f"smaller.{value}") if isinstance(value, bool) else plain(str(value))


def _start(workspace: Workspace, run: RunPaths, recipe: Recipe) -> None:
    """What was trained keeps its recipe, so this is a new run on the same rows; a chain goes on in it."""
    # A double click: the second press must find the first one's run, in an object that was there before.
    started: dict[str, RunPaths] = st.session_state.setdefault("started smaller", {})
    with starting():
        if run.id not in started or not started[run.id].root.exists():
            new = train.variant(workspace, run, datetime.now(), recipe)
            started[run.id] = new
            if chain.has_chain(run):
                launch(new.job(CHAIN), plan_again(workspace, run.job(CHAIN), new.id))
            else:
                train.start(new)
    choose_run(started[run.id])
    st.rerun()

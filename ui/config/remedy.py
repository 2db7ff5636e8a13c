"""After a training failed: the change that would most likely have prevented it, and a button that trains with
it."""

from datetime import datetime

import streamlit as st

from core.cli.requests import plan_again
from core.jobs.launch import launch
from core.pipeline import chain
from core.recipe.recipe import Recipe
from core.runs import CHAIN
from core.steps import fit, prepare, remedy, train
from core.steps.remedy import Remedy
from core.steps.step import megabytes
from core.workspace.paths import RunPaths, Workspace
from ui.shell.frame import open_new, shown_errors, starting
from ui.shell.text import Markdown, plain, t


def offer_remedy(workspace: Workspace, run: RunPaths, cause: str = "") -> bool:
    """The change as a sentence and a button, after the run's training failed, or for a ``cause`` that its
    curve shows, whose page has its main button already; nothing where no setting would help. Whether there
    is any."""
    of_curve = bool(cause)
    cause = cause or remedy.cause_of(run)
    found = remedy.of_cause(run, cause) if cause else None
    of_memory = cause in remedy.OUT_OF_MEMORY
    if found is None:
        if of_memory:
            has = megabytes(fit.free_memory(prepare.recipe_of(run)))
            st.warning(t("smaller.none", has=has), icon=":material/memory:")
        return False
    kind, icon = ("smaller", ":material/compress:") if of_memory else ("remedy", ":material/build:")
    st.info(t(f"{kind}.what", changes=Markdown(_said(found))), icon=":material/lightbulb:")
    label, help_text = t(f"{kind}.start"), t("remedy.start.help")
    main = "secondary" if of_curve else "primary"
    if st.button(label, type=main, icon=icon, help=help_text, key=f"remedy {run.id}"):
        with shown_errors():
            _start(workspace, run, found.recipe)
    return True


def _said(found: Remedy) -> str:
    return " · ".join(
        f"`{name}` {_value(old)} → **{_value(new)}**" for name, (old, new) in found.changes.items()
    )


def _value(value: object) -> str:
    return t(f"smaller.{value}") if isinstance(value, bool) else plain(str(value))


def _start(workspace: Workspace, run: RunPaths, recipe: Recipe) -> None:
    """What was trained keeps its recipe, so this is a new run on the same rows; a chain goes on in it."""
    # A double click: the second press must find the first one's run, in an object that was there before.
    started: dict[str, RunPaths] = st.session_state.setdefault("started remedy", {})
    with starting():
        if run.id not in started or not started[run.id].root.exists():
            new = prepare.variant(workspace, run, datetime.now(), recipe)
            started[run.id] = new
            if chain.has_chain(run):
                launch(new.job(CHAIN), plan_again(workspace, run.job(CHAIN), new.id))
            else:
                train.start(new)
    open_new(started[run.id])
    st.rerun()

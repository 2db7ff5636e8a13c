"""Many trainings with other values of this recipe: which fields, which values, and the button that starts
them."""

from collections.abc import Mapping

import streamlit as st

from core.errors import TuneboardError
from core.pace import about
from core.recipe.recipe import Recipe
from core.steps.step import megabytes
from core.sweep import job
from core.sweep.axes import BETWEEN, REPLAY_SHARE, SWEPT
from core.sweep.conduct import shown
from core.sweep.sweep import HERE, MOST_AT_ONCE, Sweep, Where, begin, planned, room_for
from core.workspace.paths import RunPaths, Workspace
from ui.config.launch_preview import known_cost
from ui.jobs.cluster import choose_where
from ui.shell.frame import go_to, starting
from ui.shell.text import language, plain, spoken, t

# What people vary most comes first.
FIRST = ("lr", "rank", "alpha", "iterations", REPLAY_SHARE, "batch_size", "dropout", "method")
FIELDS = (*FIRST, *(field for field in SWEPT if field not in FIRST))
# What is offered first: as it is, a third of it and three times as much, or half and twice.
BY_THIRDS = {"lr"}


def field_name(field: str) -> str:
    """What a person calls a field that is varied."""
    return spoken("sweep.replay_share" if field == REPLAY_SHARE else f"field.{field}")


def offer_sweep(workspace: Workspace, run: RunPaths, recipe: Recipe) -> None:
    """The form, behind an expander."""
    if run.adopted.exists() or not run.data.exists():
        return
    box = st.expander(t("sweep.offer"), icon=":material/grid_view:", key=f"sweep {run.id}", on_change="rerun")
    if box.open:
        with box:
            _form(workspace, run, recipe)


def _form(workspace: Workspace, run: RunPaths, recipe: Recipe) -> None:
    st.caption(t("sweep.offer.what"))
    chosen = st.multiselect(
        t("sweep.fields"),
        FIELDS,
        ["lr", "rank"],
        format_func=field_name,
        key="sweep_fields",
    )
    over = {field: _values(field, recipe) for field in chosen}
    trials = None
    if any(BETWEEN in text for text in over.values()):
        help_text = t("sweep.trials.help")
        trials = st.number_input(t("sweep.trials"), 2, 1000, 20, key="sweep_trials", help=help_text)
    prune = st.toggle(t("sweep.prune"), True, key="sweep_prune", help=t("sweep.prune.help"))
    sweep = _planned(run, recipe, over, trials, prune, _where(workspace))
    if sweep:
        _show_cost(workspace, run, recipe, sweep)
    if st.button(t("sweep.start"), icon=":material/play_arrow:", disabled=sweep is None, key="sweep_start"):
        _start(workspace, run, sweep)


def _where(workspace: Workspace) -> Where:
    """On this machine, which nobody is asked about who has no profile."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="sweep_place"):
        profile = choose_where(workspace, "sweep_where")
        if profile is None:
            return HERE
        help_text, label = t("sweep.at_once.help"), t("sweep.at_once")
        most = st.number_input(label, 0, MOST_AT_ONCE, 0, key="sweep_at_once", help=help_text, width=140)
    return Where(profile, int(most))


def _values(field: str, recipe: Recipe) -> str:
    label = t("frame.labelled", name=field_name(field), text=t("sweep.values"))
    return st.text_input(
        label, _usual(field, recipe), key=f"sweep_values {field}", help=t("sweep.values.help")
    )


def _usual(field: str, recipe: Recipe) -> str:
    """Values around the recipe's own."""
    if field == REPLAY_SHARE:
        return "0.5, 0.7"
    value = getattr(recipe, field)
    if isinstance(value, bool):
        return "true, false"
    if not isinstance(value, int | float) or not value:
        return "" if value is None else shown(value)
    if field in BY_THIRDS:
        return f"{value / 3:.2g}, {value:.2g}, {value * 3:.2g}"
    kind = type(value)
    return f"{shown(kind(max(1, value // 2)))}, {shown(value)}, {shown(kind(value * 2))}"


def _planned(
    run: RunPaths, recipe: Recipe, over: Mapping[str, str], trials: int | None, prune: bool, where: Where
) -> Sweep | None:
    """What the form asks for; None where something is wrong with it, which is said."""
    fields = tuple(f"{field}={text}" for field, text in over.items())
    try:
        return planned(run, recipe, fields, trials, prune, where)
    except TuneboardError as error:
        st.error(plain(error.text(language())), icon=":material/edit:")
        return None


def _show_cost(workspace: Workspace, run: RunPaths, recipe: Recipe, sweep: Sweep) -> None:
    size = megabytes(room_for(workspace, sweep))
    if sweep.profile:  # how fast its nodes are nobody knows here
        st.caption(t("sweep.cost.cluster", count=sweep.trials, profile=sweep.profile.name, size=size))
        return
    seconds = known_cost(workspace.root, run.id, recipe).whole * sweep.trials
    st.caption(t("sweep.cost", count=sweep.trials, time=about(seconds), size=size))


def _start(workspace: Workspace, run: RunPaths, sweep: Sweep | None) -> None:
    if sweep is None:
        return
    with starting():  # of a double click the second press finds the first one's sweep at work
        if not any(view.live for view in job.of_run(workspace, run)):
            job.start(workspace, begin(workspace, sweep), language())
    go_to("compare", run)

"""What a launch will take and what it will run, before it is launched."""

import shlex
from pathlib import Path

import streamlit as st

from core.machine import this_machine
from core.models.catalog import STARTER
from core.models.folder import Model, ModelShape, read_model, read_shape, stamp_of
from core.pace import Cost, about
from core.pipeline.took import training_cost
from core.recipe.estimate import Estimate, estimate
from core.recipe.fit import largest_that_fits
from core.recipe.memory import MEASURED_PEAKS, WITHIN_PERCENT, Memory
from core.recipe.recipe import Recipe, to_yaml
from core.recipe.speed import why_slow
from core.runs import is_at_work
from core.steps import train
from core.steps.busy import busy_now
from core.steps.data import about_data
from core.steps.step import megabytes
from core.workspace.files import Stamp
from core.workspace.paths import RunPaths, Workspace
from ui.config.forms import RecipeDraft
from ui.jobs.panel import took
from ui.shell.text import Markdown, duration, language, t


def show_estimate(workspace: Workspace, run: RunPaths, recipe: Recipe, model: Model) -> tuple[Estimate, Cost]:
    """Iterations, tokens, trained weights, memory and time; with the formula or measure behind each. Of a
    training that is done, the time it took."""
    found = estimate(recipe, model, known_shape(model.folder, stamp_of(model.folder)), about_data(run))
    cost, has = known_cost(workspace.root, run.id, recipe), _memory(recipe)
    st.markdown(t("estimate.words", **_in_words(recipe, found)))
    _show_time(run, cost)
    label = t("estimate.more")
    with (
        st.expander(label, icon=":material/bar_chart:", key="estimate_more"),
        st.container(horizontal=True, gap="medium", key="estimate"),
    ):
        memory = "memory.each" if recipe.ranks > 1 else "memory"
        st.metric(
            t(f"estimate.{memory}"),
            megabytes(found.memory.total),
            help=t("estimate.memory.help", has=megabytes(has), **_parts(found.memory)),
            width="content",
        )
        _metric("iterations", f"{found.iterations:,}", **_updates(recipe, found))
        _metric("batch", f"{recipe.global_batch:,}", **_batch(recipe))
        _metric("tokens", _short(found.tokens))
        _metric("trainable", _short(found.trainable))
    if slow := why_slow(recipe, model):
        st.caption(slow)
    if found.memory.total > has:
        st.warning(t("estimate.too_much", has=megabytes(has)), icon=":material/memory:")
    return found, cost


def _in_words(recipe: Recipe, found: Estimate) -> dict[str, object]:
    """What a training does, for whoever knows no word of its settings."""
    return {
        "model": _model(recipe),
        "rows": recipe.rows_at_once,
        "iterations": found.iterations,
        "passes": f"{found.passes:.1f}",
    }


def _show_time(run: RunPaths, cost: Cost) -> None:
    if seconds := took(run.job("train")):
        st.metric(t("estimate.took"), duration(seconds), width="content")
        return
    if is_at_work(run):  # what every page says on top is the time left, at the pace so far
        return
    why = t(f"estimate.time.{'measured' if cost.measured else 'guessed'}")
    st.metric(t("estimate.time"), about(cost.whole), help=why, width="content")


def show_in_short(run: RunPaths, found: Estimate, cost: Cost) -> None:
    """What a training will take, beside the button that starts it, and whether something makes it longer."""
    memory, busy = megabytes(found.memory.total), busy_now(run.workspace)
    said = [t("estimate.short", time=about(cost.whole), memory=memory)]
    st.caption("  \n".join([*said, t(busy.key, **busy.values)] if busy else said), width="content")


def show_choices_of_data(recipe: Recipe) -> None:
    """What was chosen with the data, and stays."""
    key = "page.config.system" if recipe.system else "page.config.no_system"
    system = Markdown(t(key, system=recipe.system))
    st.caption(t("page.config.of_data", model=_model(recipe), template=recipe.template, system=system))


def _model(recipe: Recipe) -> str:
    name = Path(recipe.model).name
    return t("page.data.starter") if name == STARTER else name


def offer_fit(run: RunPaths, draft: RecipeDraft, model: Model) -> None:
    """Batch, checkpointing and quantization as the GPU can hold them, into the form."""
    if draft.saved.device != "cuda" or not st.button(
        t("estimate.fit"), icon=":material/fit_screen:", help=t("estimate.fit.help"), key="fit"
    ):
        return
    longest = int(about_data(run)["longest"])
    card = _memory(draft.saved)
    found = largest_that_fits(
        draft.saved, model, known_shape(model.folder, stamp_of(model.folder)), card, longest
    )
    if found is None:
        st.warning(t("estimate.fit.none", has=megabytes(card)), icon=":material/memory:")
    elif found.recipe == draft.saved:
        st.success(t("estimate.fit.already"), icon=":material/check_circle:")
    else:
        draft.take(found.recipe)
        st.rerun()


def show_launch(run: RunPaths, recipe: Recipe) -> None:
    """The config file, the command and the recipe as they are, each with a button that copies it; folded,
    until somebody wants to see them."""
    box = st.expander(t("launch.show"), icon=":material/code:", key=f"launch {run.id}", on_change="rerun")
    if not box.open:
        return
    with box:
        _show_launch(run, recipe)


def _show_launch(run: RunPaths, recipe: Recipe) -> None:
    views = {name: t(f"launch.{name}") for name in ("config", "command", "recipe")}
    view = st.segmented_control(
        t("launch.show"),
        list(views),
        format_func=views.__getitem__,
        default="config",
        required=True,
        key="launch_view",
        persist_state="session",
        label_visibility="collapsed",
    )
    if view == "config":
        st.code(run.config.read_text(encoding="utf-8"), "python", line_numbers=True, height=420)
    elif view == "command":
        st.caption(t("launch.as_run"))
        st.code(shlex.join(train.plan(run, recipe).command), "shell", wrap_lines=True)
        st.caption(t("launch.plain"))
        st.code(f"xtuner train config.py --seed {recipe.seed}", "shell")
    else:
        st.code(to_yaml(recipe, language()), "yaml", height=420)


@st.cache_data(show_spinner=False, max_entries=8)
def known_shape(folder: Path, stamp: Stamp) -> ModelShape:  # noqa: ARG001  another model under its name is read anew
    """A model's shape, read once."""
    return read_shape(read_model(folder))


@st.cache_data(show_spinner=False, ttl=60, max_entries=64)
def known_cost(root: Path, run: str, recipe: Recipe) -> Cost:
    """What a training by this recipe takes here; looked up at most once a minute."""
    workspace = Workspace(root)
    return training_cost(workspace, workspace.run(run), recipe, read_model(Path(recipe.model)))


def _metric(name: str, value: str, **values: object) -> None:
    st.metric(t(f"estimate.{name}"), value, help=t(f"estimate.{name}.help", **values), width="content")


def _parts(found: Memory) -> dict[str, object]:
    names = ("weights", "adapters", "activations", "logits")
    parts = {name: megabytes(getattr(found, name)) for name in names}
    return {**parts, "peaks": MEASURED_PEAKS, "within": WITHIN_PERCENT}


def _updates(recipe: Recipe, found: Estimate) -> dict[str, object]:
    passes = f"{found.passes:.1f}"
    return {
        "updates": found.updates,
        "accumulation": recipe.gradient_accumulation_steps,
        "passes": passes,
    }


def _batch(recipe: Recipe) -> dict[str, object]:
    return {
        "rows": recipe.batch_size,
        "accumulation": recipe.gradient_accumulation_steps,
        "devices": recipe.ranks,
    }


def _memory(recipe: Recipe) -> int:
    """Of the smallest device that the training may get; of one that any may be, the largest."""
    machine = this_machine()
    if recipe.device != "cuda" or not machine.gpus:
        return machine.memory // recipe.devices
    chosen = [gpu.memory for gpu in machine.gpus if gpu.index in recipe.cards]
    there = [gpu.memory for gpu in machine.gpus]
    return min(chosen or there) if chosen or recipe.devices > 1 else max(there)


def _short(count: int) -> str:
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return str(count)

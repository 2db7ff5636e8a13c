"""Where the form's values may begin: a preset, or a file; which preset they are now, and what of it was
changed."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import streamlit as st

from core.errors import TuneboardError
from core.machine import this_machine
from core.models.folder import Model, read_model
from core.recipe.presets import OF_THE_DATA, presets
from core.recipe.recipe import Recipe
from core.steps import prepare
from core.steps.first_recipe import suited
from core.workspace.files import Stamp, stamp
from core.workspace.paths import RunPaths
from ui.config.forms import EMPTY_MEANS, RecipeDraft
from ui.config.recipe_file import offer_file, show_taken, take_file
from ui.shell.frame import shown_errors
from ui.shell.text import Markdown, plain, t

# Settings that differ in more than these are nobody's preset any more.
MOST_CHANGES = 8
# What a preset keeps as it is: it is no departure from one.
KEPT = (*OF_THE_DATA, "device", "precision", "seed", "method")
Change = tuple[object, object]


def offer_starting_points(run: RunPaths, draft: RecipeDraft, model: Model, locked: bool) -> None:
    """Presets, a recipe from a file and as a file; what belongs to the data stays."""
    offered = {} if locked else _recipes(run, draft.saved, model)
    name, changes = nearest(draft.saved, offered)
    with st.container(horizontal=True, vertical_alignment="center", key="presets"):
        if offered:
            st.markdown(t("preset.title"), width="content")
        for known, recipe in offered.items():
            if _preset_button(known, active=known == name, changed=bool(changes)):
                draft.take(recipe)
                st.rerun()
        st.space("stretch")
        offer_file(draft)
        if not locked:
            with st.popover(t("page.config.upload"), icon=":material/upload:", key="upload"), shown_errors():
                take_file(run, draft, model)
    if name and changes:
        st.caption(t("preset.changed", preset=t(f"preset.{name}"), changes=Markdown(told(changes))))
    elif offered and not name:
        st.caption(t("preset.own"))
    show_taken(draft)


def nearest(recipe: Recipe, offered: Mapping[str, Recipe]) -> tuple[str, dict[str, Change]]:
    """The preset that ``recipe`` is, or is closest to, and what differs by field: (the preset's, its own). No
    name where it is close to none."""
    found = {name: differences(preset, recipe) for name, preset in offered.items()}
    name = min(found, key=lambda known: len(found[known]), default="")
    return (name, found[name]) if name and len(found[name]) <= MOST_CHANGES else ("", {})


def differences(preset: Recipe, recipe: Recipe) -> dict[str, Change]:
    """What two recipes say differently, by field."""
    pairs = ((f.name, getattr(preset, f.name), getattr(recipe, f.name)) for f in fields(Recipe))
    return {name: (was, now) for name, was, now in pairs if was != now}


def told(changes: Mapping[str, Change]) -> str:
    """The changed settings in a line: short values with what they were."""
    return " · ".join(_told(name, *change) for name, change in changes.items())


def _told(name: str, was: object, now: object) -> str:
    label = t(f"field.{name}")
    if isinstance(was, tuple) or isinstance(now, tuple):
        return label
    return f"{label} {_value(name, was)} → **{_value(name, now)}**"


def _value(name: str, value: object) -> str:
    if value is None:
        return t(f"form.none.{name}" if name in EMPTY_MEANS else "form.none")
    if isinstance(value, bool):
        return t(f"smaller.{value}")
    return f"{value:g}" if isinstance(value, float) else plain(str(value))


def _preset_button(name: str, active: bool, changed: bool) -> bool:
    icon = None if not active else ":material/edit:" if changed else ":material/check:"
    label = t(f"preset.{name}")
    shown = label if not active else f"**{t('preset.is_changed', preset=label) if changed else label}**"
    return st.button(shown, icon=icon, help=t(f"preset.{name}.help"), key=f"preset {name}")


def _recipes(run: RunPaths, saved: Recipe, model: Model) -> Mapping[str, Recipe]:
    """What every preset would make of the run's settings, by its name."""
    asked = Recipe(**{name: getattr(saved, name) for name in KEPT})
    return _known_recipes(run.root, stamp(run.data), asked, model.folder)


@st.cache_data(show_spinner=False, max_entries=16)
def _known_recipes(root: Path, data: Stamp, asked: Recipe, folder: Path) -> dict[str, Recipe]:  # noqa: ARG001  other data are read anew
    run, model, found = RunPaths(root), read_model(folder), {}
    for name, preset in presets(this_machine()).items():
        try:
            begun = suited(run, asked.changed(method=preset.method(asked)), model)
        except TuneboardError:  # said where the data are shown
            continue
        found[name] = prepare.settle_for(run, preset.apply(begun), model)
    return found

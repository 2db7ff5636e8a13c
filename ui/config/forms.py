"""Widgets from the Recipe's own fields: its types choose the widget, its sentences are the help.

Values live in a RecipeDraft in the session, not in widget keys, which a page switch drops. What can run is
written to the run's folder at once; what cannot stays in the draft with its problems beside the fields.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from dataclasses import field as dataclass_field
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.errors import InvalidRecipe
from core.machine import Gpu, this_machine
from core.models.folder import Model
from core.recipe.check import check
from core.recipe.method import with_method
from core.recipe.presets import OF_THE_DATA
from core.recipe.ranks import with_ranks
from core.recipe.recipe import Level, Method, Problem, Recipe, level, parse
from core.recipe.templates import template_names
from core.steps import prepare
from core.steps.prepare import recipe_of
from core.wording import say
from core.workspace.paths import RunPaths
from ui.shell.text import language, spoken, t

COLUMNS = 3
# How far one click goes; for the others 1.
STEPS = {"lr": 1e-5, "dropout": 0.05, "weight_decay": 0.01, "max_grad_norm": 0.1, "warmup_ratio": 0.01}
LONG_TEXT = ("system",)
# Numbers that, left out, are not missing but chosen otherwise.
EMPTY_MEANS = {"save_every", "checkpointed_layers"}
FIELDS = {field.name for field in fields(Recipe)}

Values = dict[str, Any]
Places = dict[str, DeltaGenerator]


@dataclass
class RecipeDraft:
    """A recipe being edited. ``edition`` counts how often its values came from elsewhere than its widgets;
    ``method`` and ``devices`` (of each machine, machines, and which) are those that its other values go by;
    ``taken`` a file whose values these are, and the fields that it changed."""

    values: Values
    saved: Recipe
    edition: int = 0
    method: Method = dataclass_field(init=False)
    devices: tuple[int, int, tuple[int, ...]] = dataclass_field(init=False)
    taken: tuple[str, tuple[str, ...]] | None = None

    def __post_init__(self) -> None:
        self.method = self.saved.method
        self.devices = (self.saved.devices, self.saved.nodes, self.saved.cards)

    def take(self, recipe: Recipe) -> None:
        """Take all values from a preset, a file or the disk: every widget begins anew."""
        self.values = asdict(recipe)
        self.method = recipe.method
        self.devices = (recipe.devices, recipe.nodes, recipe.cards)
        self.taken = None
        self.edition += 1

    def follow_devices(self) -> bool:
        """Where other devices were chosen, how many or which, divide the same rows among them. What cannot be
        used has to be put right first. Returns whether anything was changed."""
        if (self.values["devices"], self.values["nodes"], tuple(self.values["cards"])) == self.devices:
            return False
        try:
            chosen = parse(self.values)
        except InvalidRecipe:
            return False
        devices, nodes, cards = self.devices
        by_cards = bool(chosen.cards) and chosen.cards != cards
        now = (len(chosen.cards) if by_cards else chosen.devices, chosen.nodes)
        if now == (devices, nodes):
            self.devices = (*now, chosen.cards)
            return False
        divided = with_ranks(chosen.changed(devices=devices, nodes=nodes), *now)
        self.take(divided.changed(cards=chosen.cards if len(chosen.cards) == now[0] else ()))
        return True

    def follow_method(self, model: Model) -> bool:
        """Where another method was chosen, take what goes with it: its learning rate, and its layers. What
        cannot be used has to be put right first. Returns whether anything was changed."""
        method = self.values["method"]
        if method == self.method:
            return False
        try:
            before = parse({**self.values, "method": self.method})
        except InvalidRecipe:
            return False
        self.take(with_method(before, method, model))
        return True


def draft_of(run: RunPaths) -> RecipeDraft:
    """The session's draft of a run's recipe, or the one on disk when that was changed elsewhere.

    Raises NoSuchFile, InvalidRecipe.
    """
    name, on_disk = f"draft of {run.id}", recipe_of(run)
    draft = st.session_state.get(name)
    if not isinstance(draft, RecipeDraft):
        draft = st.session_state[name] = RecipeDraft(asdict(on_disk), on_disk)
    elif draft.saved != on_disk:
        draft.saved = on_disk
        draft.take(on_disk)
    return draft


def checked(draft: RecipeDraft, model: Model) -> tuple[Recipe | None, list[Problem]]:
    """What the form's values come to; where another method or other devices were chosen, drawn anew with what
    goes with them."""
    if draft.follow_method(model) or draft.follow_devices():
        st.rerun()
    return check(draft.values, this_machine(), model)


def save(run: RunPaths, draft: RecipeDraft, recipe: Recipe, model: Model) -> None:
    """Write what can run at once: there is nothing to press, and nothing is lost with the tab."""
    if recipe != draft.saved:
        draft.saved = prepare.prepare(run, recipe, model, Path(recipe.data))
        if draft.saved != recipe:  # an "auto" was settled
            taken = draft.taken
            draft.take(draft.saved)
            draft.taken = taken
            st.rerun()
    st.caption(t("page.config.saved", path=run.recipe))


def recipe_form(draft: RecipeDraft, key: str, disabled: bool = False) -> Places:
    """Draw every field that does not belong to the data, basic ones first; the draft takes their values.

    Returns where a field's problem can be shown, once all values are known.
    """
    places: Places = {}
    edition = f"{key} {draft.edition}"
    _grid(_names("basic"), draft.values, edition, disabled, places)
    label = t("form.advanced")
    advanced = st.expander(label, icon=":material/tune:", key=f"advanced {key}", on_change="rerun")
    if advanced.open:  # drawn closed, it is half of what a page switch sends
        with advanced:
            _grid(_names("advanced"), draft.values, edition, disabled, places)
    return places


def show_problems(places: Places, problems: Iterable[Problem]) -> None:
    """Each problem beside its field, or below the form while that is not drawn; and where they all are."""
    named = []
    for problem in problems:
        sentence = say(f"problem.{problem.key}", language(), **problem.values)
        field = problem.field.partition(".")[0]
        name = t(f"field.{field}") if field in FIELDS else field
        named.append(name)
        if field in places:
            places[field].error(sentence)
        else:
            st.error(t("frame.labelled", name=name, text=sentence))
    if named:
        st.warning(
            t("form.problems", fields=spoken("row.list").join(dict.fromkeys(named))), icon=":material/edit:"
        )


def _names(wanted: Level) -> list[str]:
    return [f.name for f in fields(Recipe) if level(f.name) == wanted and f.name not in OF_THE_DATA]


def _grid(names: list[str], values: Values, key: str, disabled: bool, places: Places) -> None:
    """Fields in rows of three, so that on a narrow screen they stand in the same order."""
    for start in range(0, len(names), COLUMNS):
        for name, column in zip(names[start : start + COLUMNS], st.columns(COLUMNS), strict=False):
            with column:
                values[name] = widget(name, values[name], f"{key} {name}", disabled)
                places[name] = st.empty()


@cache
def _types() -> Mapping[str, Any]:
    return get_type_hints(Recipe)


def widget(name: str, value: Any, key: str, disabled: bool = False) -> Any:
    """The widget of one field; returns its value as the Recipe wants it."""
    options: dict[str, Any] = {
        "label": t(f"field.{name}"),
        "help": f"`{name}`: {t(f'recipe.{name}')}",
        "key": key,
        "disabled": disabled,
    }
    kind = _types()[name]
    choices = template_names() if name == "template" else get_args(kind)
    if name == "template" or get_origin(kind) is Literal:
        return _choice(value, choices, options)
    if kind is bool:
        return st.toggle(value=bool(value), **options)
    if kind is str:
        return (st.text_area if name in LONG_TEXT else st.text_input)(value=value, **options)
    if name == "cards" and (gpus := this_machine().gpus):
        return _cards(value, gpus, options)
    if get_origin(kind) is tuple:
        return _several(value, kind, options)
    return _number(name, value, kind, options)


def _choice(value: str, choices: tuple[str, ...], options: dict[str, Any]) -> str:
    """A value that is none of the choices stays on offer: its problem is shown, not silently mended."""
    known = choices if value in choices else (*choices, value)
    names = {"none": spoken("form.none")}
    return str(
        st.selectbox(
            options=known,
            index=known.index(value),
            format_func=lambda choice: names.get(choice, choice),
            **options,
        )
    )


def _cards(value: Iterable[int], gpus: Iterable[Gpu], options: dict[str, Any]) -> tuple[int, ...]:
    """Which of this machine's, by number. One that is not here stays on offer, for its problem is shown."""
    names = {gpu.index: f"{gpu.index} · {gpu.name}" for gpu in gpus}
    names |= {card: str(card) for card in value if card not in names}
    chosen = st.multiselect(
        options=list(names),
        default=list(value),
        format_func=names.__getitem__,
        placeholder=t("form.cards.any"),
        **options,
    )
    return tuple(sorted(chosen))


def _several(value: Iterable[Any], kind: Any, options: dict[str, Any]) -> Any:
    """Texts one a line; numbers on one line, divided by commas."""
    if str in get_args(kind):
        text = st.text_area(value="\n".join(map(str, value)), height=100, **options)
        return tuple(line.strip() for line in text.splitlines() if line.strip())
    text = st.text_input(value=", ".join(map(str, value)), **options)
    return tuple(part.strip() for part in text.split(",")) if text.strip() else ()


def _number(name: str, value: Any, kind: Any, options: dict[str, Any]) -> Any:
    """Limits are left to the Recipe, whose sentences say what is wrong in the person's own language."""
    if int in (kind, *get_args(kind)):
        options |= {"step": 1, "format": "%d"}
        value = value if value is None else int(value)
    else:
        options |= {"step": STEPS.get(name, 1.0), "format": "%g"}
        value = value if value is None else float(value)
    if NoneType in get_args(kind):
        # A widget with a default cannot be emptied in the browser: it goes back to the default.
        st.session_state.setdefault(options["key"], value)
        placeholder = t(f"form.none.{name}" if name in EMPTY_MEANS else "form.none")
        return st.number_input(value=None, placeholder=placeholder, **options)
    return st.number_input(value=value, **options)

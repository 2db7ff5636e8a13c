"""Forms from the Recipe: what goes in comes out, and every problem stands beside its field."""

from dataclasses import asdict, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from streamlit.testing.v1 import AppTest

from core.recipe.presets import OF_THE_DATA
from core.recipe.recipe import Optimizer, Problem, Quantization, Recipe, Schedule, level, parse
from core.wording import sentences

ON_THE_FORM = [field.name for field in fields(Recipe) if field.name not in OF_THE_DATA]
CHANGED: dict[str, Any] = {
    "max_length": 1_048_576,
    "batch_size": 7,
    "gradient_accumulation_steps": 16,
    "iterations": None,
    "epochs": 3,
    "method": "rslora",
    "lr": 1.2345e-6,
    "rank": 64,
    "alpha": 0.5,
    "dropout": 0.05,
    "quantization": "nf4",
    "save_every": 3,
    "evaluate_every": 90,
    "evaluation_questions": ("你是谁？", 'What is "2" {and} 2?'),
    "seed": 2**32 - 1,
    "device": "cuda",
    "precision": "fp16",
    "target_modules": ("q_proj", "v_proj"),
    "layers_to_transform": (1, 29),
    "begins_with": "/data/an adapter.pth",
    "shuffle": False,
    "replay_distillation": True,
    "pack": True,
    "group_by_length": True,
    "optimizer": "paged_adamw_8bit",
    "weight_decay": 0.1,
    "betas": (0.85, 0.95),
    "max_grad_norm": 0.3,
    "schedule": "linear",
    "warmup_ratio": 0.1,
    "activation_checkpointing": True,
    "checkpointed_layers": 7,
    "offload": True,
    "accelerate": "on",
    "compile": "kernels",
    "cuda_graph": "off",
    "attention": "cudnn",
    "padding_free": False,
    "devices": 2,
    "cards": (1, 3),
    "nodes": 2,
    "deepspeed": "zero2_offload",
    "keep_checkpoints": 5,
    "checkpoint": "best",
    "stop_when_learned": True,
    "evaluation_tokens": 1,
    "log_every": 1,
    "dataloader_workers": 2,
}


def script() -> None:
    import streamlit as st

    from ui.config.forms import recipe_form, show_problems

    draft = st.session_state["draft"]
    places = recipe_form(draft, "form")
    show_problems(places, st.session_state.get("problems", ()))


def form(
    recipe: Recipe, problems: tuple[Problem, ...] = (), language: str = "en", advanced: bool = True
) -> AppTest:
    from ui.config.forms import RecipeDraft

    page = AppTest.from_function(script)
    page.session_state["language"] = language
    page.session_state["draft"] = RecipeDraft(asdict(recipe), recipe)
    page.session_state["problems"] = problems
    page.session_state["advanced form"] = advanced
    return page.run()


def values(page: AppTest) -> dict[str, Any]:
    found: dict[str, Any] = page.session_state["draft"].values
    return found


def changed() -> Recipe:
    return Recipe(model="模型", data="数据", **CHANGED)


def test_the_changed_recipe_changes_every_field_of_the_form() -> None:
    default = Recipe(model="模型", data="数据")
    assert set(CHANGED) == set(ON_THE_FORM)
    assert [name for name in ON_THE_FORM if getattr(default, name) == CHANGED[name]] == []


@pytest.mark.parametrize("recipe", [Recipe(model="a", data="b"), changed()], ids=["default", "changed"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_goes_into_the_form_comes_out(recipe: Recipe, language: str) -> None:
    page = form(recipe, language=language)
    assert not page.exception and parse(values(page)) == recipe
    page.run()
    assert parse(values(page)) == recipe


def test_every_field_has_a_widget_with_a_name_and_its_sentence() -> None:
    page = form(changed())
    kinds = (page.number_input, page.selectbox, page.toggle, page.text_input, page.text_area)
    widgets = {widget.key.removeprefix("form 0 "): widget for kind in kinds for widget in kind}
    assert set(widgets) == set(ON_THE_FORM)
    for name, widget in widgets.items():
        assert widget.label and name in widget.help and sentences("en")[f"recipe.{name}"] in widget.help


def test_basic_fields_come_first_and_the_rest_is_behind_advanced() -> None:
    page = form(changed())
    (advanced,) = page.expander
    kinds = ("number_input", "selectbox", "toggle", "text_input", "text_area")
    behind = {widget.key.removeprefix("form 0 ") for kind in kinds for widget in advanced.get(kind)}
    assert behind == {name for name in ON_THE_FORM if level(name) == "advanced"}


def test_a_person_can_change_everything() -> None:
    page, kinds = form(Recipe(model="模型", data="数据")), get_type_hints(Recipe)
    for name, value in CHANGED.items():
        key = f"form 0 {name}"
        if get_origin(kinds[name]) is Literal:
            page.selectbox(key=key).set_value(value)
        elif isinstance(value, bool):
            page.toggle(key=key).set_value(value)
        elif name == "betas":
            page.text_input(key=key).set_value(" 0.85 ,0.95 ")
        elif isinstance(value, str):
            page.text_input(key=key).set_value(value)
        elif name in {"layers_to_transform", "cards"}:
            page.text_input(key=key).set_value(", ".join(map(str, value)))
        elif isinstance(value, tuple):
            page.text_area(key=key).set_value("\n\n".join(value) + "\n")
        else:
            page.number_input(key=key).set_value(value)
    page.run()
    assert parse(values(page)) == changed()


def test_problems_stand_beside_their_fields_and_are_named_below() -> None:
    problems = (
        Problem("lr", "greater_than", {"found": "0", "gt": 0}),
        Problem("betas.1", "less_than", {"found": "2", "lt": 1}),
        Problem("model", "missing", {}),
    )
    page = form(changed(), problems)
    assert {error.value for error in page.error} == {
        "0 must be greater than 0",
        "2 must be less than 1",
        "Base model: is required",
    }
    (named,) = page.warning
    assert "Learning rate" in named.value and "Betas" in named.value


def test_a_problem_behind_a_closed_door_is_said_before_it() -> None:
    page = form(changed(), (Problem("betas.1", "less_than", {"found": "2", "lt": 1}),), advanced=False)
    assert [error.value for error in page.error] == ["Betas: 2 must be less than 1"]
    assert parse(values(page)) == changed()  # what is not drawn keeps its value


def test_values_from_elsewhere_reach_widgets_that_a_person_has_touched() -> None:
    page = form(changed())
    page.number_input(key="form 0 rank").set_value(3).run()
    draft = page.session_state["draft"]
    draft.take(Recipe(model="模型", data="数据", rank=11))
    page.run()
    assert page.number_input(key="form 1 rank").value == 11 and values(page)["rank"] == 11


def test_a_value_that_is_no_choice_stays_on_offer() -> None:
    page = form(changed().changed(optimizer="sgd"))
    assert page.selectbox(key="form 0 optimizer").value == "sgd" and values(page)["optimizer"] == "sgd"


def test_choices_are_the_types_own() -> None:
    page = form(changed())
    for name, kind in (("quantization", Quantization), ("optimizer", Optimizer), ("schedule", Schedule)):
        assert page.selectbox(key=f"form 0 {name}").options == list(get_args(kind))

"""The config page: what can run is saved at once, what was trained stays, and estimates against measures."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.errors import InvalidRecipe
from core.jobs.launch import wait
from core.jobs.status import State
from core.machine import Gpu, Machine, this_machine
from core.models.folder import read_model, read_shape
from core.pace import about
from core.pipeline.took import training_cost
from core.recipe.check import problems
from core.recipe.estimate import estimate, trainable
from core.recipe.method import with_method
from core.recipe.presets import OF_THE_DATA, PRESETS, presets
from core.recipe.recipe import Recipe, from_bytes, near_field, to_yaml
from core.recipe.xtuner_config import write_config
from core.steps import first_recipe, prepare
from core.steps.pace import trained_so_far
from core.workspace.files import read_json
from core.workspace.paths import RunPaths, Workspace
from tests.page import no_errors, open_test_page
from tests.small_run import end_training, make_run, start_training
from ui.shell.text import plain

EITHER = "set either iterations or epochs and leave the other empty"


@pytest.fixture
def workspace(home: Workspace) -> Workspace:
    return home


def key(run: RunPaths, field: str, edition: int = 0) -> str:
    return f"recipe {run.id} {edition} {field}"


def view(page: AppTest, name: str) -> AppTest:
    return (
        next(group for group in page.get("button_group") if group.key == "launch_view").set_value(name).run()
    )


def unfolded(run: RunPaths, language: str = "en") -> AppTest:
    """The page with what will run unfolded."""
    page = open_test_page("config", run.id, language)
    page.session_state[f"launch {run.id}"] = True
    return page.run()


def metrics(page: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in page.metric}


def test_without_a_run_it_says_what_to_do(workspace: Workspace) -> None:
    page = open_test_page("config")
    assert no_errors(page) and page.info and not page.number_input


def test_without_data_it_leads_to_the_data(workspace: Workspace) -> None:
    page = open_test_page("config", workspace.new_run("empty", datetime(2026, 1, 1)).id)
    assert no_errors(page) and "no data yet" in page.info[0].value and not page.number_input


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_fresh_run_shows_its_recipe_config_and_command(workspace: Workspace, language: str) -> None:
    run = make_run(workspace)
    assert not open_test_page("config", run.id, language).code, "folded until somebody wants to see it"
    page = unfolded(run, language)
    assert no_errors(page)
    assert page.number_input(key=key(run, "iterations")).value == 40
    assert page.code[0].value == run.config.read_text(encoding="utf-8").strip()
    command, plain = (code.value for code in view(page, "command").code)
    assert "engine train" in command and str(run.config) in command
    assert plain.startswith("xtuner train config.py")
    recipe = view(page, "recipe").code[0].value
    assert from_bytes(recipe.encode(), "shown") == prepare.recipe_of(run)


def test_what_can_run_is_on_disk_at_once(workspace: Workspace) -> None:
    run = make_run(workspace)
    page = open_test_page("config", run.id)
    page.number_input(key=key(run, "lr")).set_value(1e-5)
    page.number_input(key=key(run, "iterations")).set_value(None)
    page.number_input(key=key(run, "epochs")).set_value(2).run()
    saved = prepare.recipe_of(run)
    assert no_errors(page) and (saved.lr, saved.iterations, saved.epochs) == (1e-5, None, 2)
    assert "max_epochs = 2\n" in run.config.read_text(encoding="utf-8")
    again = open_test_page("config", run.id)  # another tab
    assert again.number_input(key=key(run, "lr")).value == 1e-5


def test_what_cannot_run_is_said_beside_its_fields_and_not_saved(workspace: Workspace) -> None:
    run = make_run(workspace)
    before = prepare.recipe_of(run)
    page = open_test_page("config", run.id)
    page.number_input(key=key(run, "rank")).set_value(0)
    page.number_input(key=key(run, "epochs")).set_value(1)
    page.number_input(key=key(run, "lr")).set_value(7.0).run()
    assert {error.value for error in page.error} == {
        "0 must be at least 1",
        "7.0 must be at most 1.0",
        EITHER,
    }
    assert prepare.recipe_of(run) == before
    page.number_input(key=key(run, "rank")).set_value(4)
    page.number_input(key=key(run, "lr")).set_value(1e-4).run()
    assert [error.value for error in page.error] == [EITHER]
    page.number_input(key=key(run, "epochs")).set_value(None).run()
    assert no_errors(page) and prepare.recipe_of(run) == before.changed(rank=4, lr=1e-4)


def test_the_draft_survives_a_page_switch(workspace: Workspace) -> None:
    run = make_run(workspace)
    page = open_test_page("config", run.id)
    page.number_input(key=key(run, "rank")).set_value(0).run()
    page.switch_page("../../pages/1_data.py").run()
    page.switch_page("../../pages/2_config.py").run()
    assert page.number_input(key=key(run, "rank")).value == 0
    assert [error.value for error in page.error] == ["0 must be at least 1"]


def test_two_tabs_see_each_others_changes(workspace: Workspace) -> None:
    run = make_run(workspace)
    one, other = open_test_page("config", run.id), open_test_page("config", run.id)
    one.number_input(key=key(run, "rank")).set_value(5).run()
    other.run()
    assert other.number_input(key=key(run, "rank", 1)).value == 5
    other.number_input(key=key(run, "alpha", 1)).set_value(7.0).run()
    assert (prepare.recipe_of(run).rank, prepare.recipe_of(run).alpha) == (5, 7.0)


def test_auto_is_settled_when_it_is_saved(workspace: Workspace) -> None:
    run = make_run(workspace)
    page = open_test_page("config", run.id)
    page.session_state[f"advanced recipe {run.id}"] = True
    page.run()
    page.selectbox(key=key(run, "precision")).set_value("auto").run()
    assert no_errors(page) and prepare.recipe_of(run).precision in {"fp32", "bf16"}
    assert page.selectbox(key=key(run, "precision", 1)).value == prepare.recipe_of(run).precision


def test_other_devices_divide_the_same_rows(workspace: Workspace) -> None:
    """The form shows what an update has; the memory is each device's."""
    run = make_run(workspace, gradient_accumulation_steps=2)
    page = open_test_page("config", run.id)
    page.session_state[f"advanced recipe {run.id}"] = True
    page.run()
    shown = {metric.label: metric.value for metric in page.metric}
    page.number_input(key=key(run, "devices")).set_value(2).run()
    saved = prepare.recipe_of(run)
    assert no_errors(page) and (saved.devices, saved.gradient_accumulation_steps) == (2, 1)
    assert (saved.batch_size, saved.iterations) == (4, 20)
    now = {metric.label: metric.value for metric in page.metric}
    for name in ("Rows per update", "Tokens processed"):
        assert now[name] == shown[name]
    assert now["Rows per update"] == "8" and "Memory of the training per device (approx.)" in now


def test_a_preset_changes_the_recipe_and_not_what_belongs_to_the_data(workspace: Workspace) -> None:
    run = make_run(workspace, system="Be kind.")
    page = open_test_page("config", run.id)
    page.button(key="preset thorough").click().run()
    saved = prepare.recipe_of(run)
    suited = first_recipe.suited(run, saved, read_model(workspace.starter))
    assert no_errors(page) and saved.iterations == 3 * (suited.iterations or 0) > 0
    assert (saved.rank, saved.system, saved.lr) == (32, "Be kind.", suited.lr)
    assert (saved.shuffle, saved.replay_distillation) == (False, True)
    assert page.number_input(key=key(run, "rank", 1)).value == 32


def pressed(page: AppTest) -> list[str]:
    """The presets that say they are what the form shows."""
    return [button.label for button in page.button if str(button.key).startswith("preset ") and button.icon]


def captions(page: AppTest) -> str:
    return "\n".join(caption.value for caption in page.caption)


def test_the_preset_that_the_form_shows_is_marked_and_what_was_changed_of_it_said(
    workspace: Workspace,
) -> None:
    run = make_run(workspace)
    page = open_test_page("config", run.id)
    page.button(key="preset quick").click().run()
    assert pressed(page) == ["**Quick try**"] and "Different from" not in captions(page)
    page.number_input(key=key(run, "rank", 1)).set_value(3).run()
    assert pressed(page) == ["**Quick try, changed**"]
    assert "Different from “Quick try”: LoRA rank 16 → **3**" in captions(page)
    page.button(key="preset quick").click().run()
    assert pressed(page) == ["**Quick try**"] and prepare.recipe_of(run).rank == 16, "back to it"
    page.button(key="preset thorough").click().run()
    assert pressed(page) == ["**Thorough**"]


def test_settings_far_from_every_preset_are_nobody_s(workspace: Workspace) -> None:
    run = make_run(workspace)
    saved = prepare.recipe_of(run)
    others = {"lr": 1e-6, "rank": 99, "alpha": 1.0, "batch_size": 7, "max_length": 99, "iterations": 3}
    prepare.prepare(
        run,
        saved.changed(**others, dropout=0.5, weight_decay=0.3, warmup_ratio=0.2),
        read_model(workspace.starter),
        Path(saved.data),
    )
    page = open_test_page("config", run.id, "zh")
    assert no_errors(page) and pressed(page) == [] and "你自己的设置" in captions(page)


def test_the_button_that_trains_is_the_page_s_first(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")
    run = make_run(workspace)
    page = open_test_page("config", run.id)
    assert page.button[0].key == "start" and "of memory" in captions(page)
    page.number_input(key=key(run, "rank")).set_value(0).run()
    assert page.button(key="start").disabled
    page.number_input(key=key(run, "rank")).set_value(2).run()
    page.button(key="start").click().run()
    assert not page.exception and wait(run.job("train"), timeout=60).state is State.finished
    assert prepare.recipe_of(run).rank == 2
    page = open_test_page("config", run.id)
    assert "Time taken" in metrics(page) and "Training time (approx.)" not in metrics(page)


def given(page: AppTest, text: str) -> AppTest:
    return page.file_uploader[0].set_value(("some lines.yaml", text.encode(), "text/yaml")).run()


def test_a_few_lines_of_a_recipe_are_laid_over_the_form(workspace: Workspace) -> None:
    run = make_run(workspace, system="Be kind.")
    own = prepare.recipe_of(run)
    page = given(open_test_page("config", run.id), "rank: 3\nepochs: 2\nsystem: others'\nmax_norm: 0.5\n")
    assert no_errors(page)
    assert prepare.recipe_of(run) == own.changed(rank=3, epochs=2, iterations=None, max_grad_norm=0.5)
    (said,) = page.success
    assert (
        said.value
        == "Loaded from some lines.yaml. Changed: Iterations, Epochs, LoRA rank, Max gradient norm."
    )


def test_all_that_is_wrong_in_a_few_lines_is_said_at_once(workspace: Workspace) -> None:
    run = make_run(workspace)
    before = prepare.recipe_of(run)
    page = given(open_test_page("config", run.id), "rnk: 3\nflavour: sweet\nlr: -1\nbatch_size: many\n")
    (error,) = [error.value for error in page.error]
    assert all(name in error for name in ("rnk", "flavour", "lr", "batch\\_size")) or all(
        name in error for name in ("rnk", "flavour", "lr", "batch_size")
    )
    assert "model" not in error and "missing" not in error, "what a file leaves out is no problem of it"
    assert prepare.recipe_of(run) == before


def test_a_field_of_another_case_or_by_its_label_is_told_its_name(workspace: Workspace) -> None:
    run = make_run(workspace)
    before = prepare.recipe_of(run)
    lines = "LR: 1e-4\nRank: 3\nBatch-Size: 2\nlearning_rate: 2e-4\n学习率: 1\nzzz: 1\n"
    (error,) = [error.value for error in given(open_test_page("config", run.id), lines).error]
    near = {name: near_field(name) for name in ("LR", "Rank", "Batch-Size", "learning_rate", "学习率", "zzz")}
    assert [*near.values()] == ["lr", "rank", "batch_size", "lr", "lr", ""]
    assert all(plain(name) in error for name in near) and error.count("did you mean") == 5
    assert prepare.recipe_of(run) == before


def test_lines_that_are_pasted_are_laid_over_the_form_too(workspace: Workspace) -> None:
    run = make_run(workspace)
    own = prepare.recipe_of(run)
    page = open_test_page("config", run.id)
    box = next(area for area in page.text_area if area.label == "Or paste a few lines")
    box.set_value("rnk: 3\nlr: -1")
    page.button(key=f"take {run.id}").click().run()
    (error,) = [error.value for error in page.error]
    wrong = error.split("  \n")
    assert len(wrong) == 3 and "rnk: no such field" in error and "lr: " in error, "a line for each"
    box = next(area for area in page.text_area if area.label == "Or paste a few lines")
    assert box.value == "rnk: 3\nlr: -1", "what was typed is there to be put right"
    box.set_value("rank: 3\nlr: 1e-4")
    page.button(key=f"take {run.id}").click().run()
    assert no_errors(page) and prepare.recipe_of(run) == own.changed(rank=3, lr=1e-4)
    assert [one.value for one in page.success] == [
        "Loaded from the lines you pasted. Changed: Learning rate, LoRA rank."
    ]


def test_another_method_in_a_file_brings_what_goes_with_it(workspace: Workspace) -> None:
    run = make_run(workspace)
    own, model = prepare.recipe_of(run), read_model(workspace.starter)
    wanted = prepare.settle_for(run, with_method(own, "dora", model).changed(rank=5), model)
    page = given(open_test_page("config", run.id), "method: dora\nrank: 5\n")
    assert no_errors(page) and prepare.recipe_of(run) == wanted


def test_a_recipe_from_a_file(workspace: Workspace) -> None:
    run = make_run(workspace)
    own = prepare.recipe_of(run)
    text = to_yaml(own.changed(rank=3, model="../../elsewhere", data="/etc/passwd", lr=2e-5), "zh")
    page = open_test_page("config", run.id)
    page.file_uploader[0].set_value(("../../x.yaml", text.encode(), "text/yaml")).run()
    assert no_errors(page) and prepare.recipe_of(run) == own.changed(rank=3, lr=2e-5)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"rank: [1", "not a recipe in YAML"),
        (b"\xff\xfe", "not a recipe in YAML"),
        (b"rnk: 3\nlr: -1", "rnk"),
        (b"a: &a [x]\nb: [*a, *a]", "anchors"),
        (b"!!python/object/apply:os.system ['true']", "not a recipe in YAML"),
        (b"#" * 70_000, "64 kB"),
    ],
    ids=["broken", "not text", "unknown field", "anchors", "code", "large"],
)
def test_a_file_that_is_no_recipe_changes_nothing(workspace: Workspace, content: bytes, said: str) -> None:
    run = make_run(workspace)
    before = prepare.recipe_of(run)
    page = open_test_page("config", run.id)
    page.file_uploader[0].set_value(("x.yaml", content, "text/yaml")).run()
    assert not page.exception and any(said in error.value for error in page.error)
    assert prepare.recipe_of(run) == before


def test_nested_anchors_are_refused_before_they_grow() -> None:
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 40))
    with pytest.raises(InvalidRecipe, match="anchors"):
        from_bytes(f"l0: &l0 [x]\n{levels}\nrank: *l39".encode(), "bomb.yaml")


def test_a_trained_run_keeps_its_recipe_and_a_new_one_may_differ(workspace: Workspace) -> None:
    run = make_run(workspace)
    assert end_training(run).state is State.finished
    before = prepare.recipe_of(run)
    page = open_test_page("config", run.id)
    assert no_errors(page) and page.number_input(key=key(run, "rank")).disabled
    assert not page.file_uploader
    page.button(key="variant").click().run()
    new = RunPaths(workspace.run_folders()[0])
    assert new.id != run.id and new.id in page.query_params["run"]
    assert prepare.recipe_of(new) == before and read_json(new.data) == read_json(run.data)
    assert str(new.work_dir) in new.config.read_text(encoding="utf-8")
    page.number_input(key=key(new, "rank")).set_value(2).run()
    assert no_errors(page) and (prepare.recipe_of(new).rank, prepare.recipe_of(run)) == (2, before)


def test_a_running_training_locks_the_form(workspace: Workspace) -> None:
    run = make_run(workspace)
    start_training(run, FAKE_XTUNER_SECONDS="0.5")
    page = open_test_page("config", run.id)
    assert no_errors(page) and page.number_input(key=key(run, "lr")).disabled
    folded = [one.label for one in page.expander]
    assert any("as this run is trained" in label for label in folded), "what nobody can change is folded"


def test_what_a_training_does_is_said_in_words(workspace: Workspace) -> None:
    """Before any setting, for whoever knows none of them."""
    run = make_run(workspace)
    page = open_test_page("config", run.id)
    (said,) = (one.value for one in page.markdown if "sees every row" in one.value)
    recipe = prepare.recipe_of(run)
    total = prepare.iterations(run, recipe)
    assert f"{total} small steps (iterations) of {recipe.rows_at_once} rows each" in said, "one number"
    assert any("Nothing here has to be changed" in one.value for one in page.markdown)


def test_a_model_that_was_moved_away_is_said(workspace: Workspace) -> None:
    run = make_run(workspace)
    workspace.starter.rename(workspace.models / "elsewhere")
    page = open_test_page("config", run.id)
    assert not page.exception and str(workspace.starter) in page.error[0].value


# --- what it will take ---


def test_time_is_guessed_until_this_machine_was_measured(workspace: Workspace) -> None:
    """The same estimate as everywhere: of a training that has logged something, by its own pace."""
    first = make_run(workspace)
    recipe, model = prepare.recipe_of(first), prepare.model_of(first)
    guessed = training_cost(workspace, first, recipe, model)
    assert not guessed.measured
    assert metrics(open_test_page("config", first.id))["Training time (approx.)"] == about(guessed.whole)
    assert end_training(first, FAKE_XTUNER_SECONDS="0.02").state is State.finished
    tokens = read_json(first.data)["kept"] / read_json(first.data)["rows"]
    assert trained_so_far(first, recipe) == pytest.approx(tokens * 4 / 0.02)
    other = make_run(workspace, datetime(2026, 1, 2))
    found = training_cost(workspace, other, prepare.recipe_of(other), model)
    assert found.measured
    assert metrics(open_test_page("config", other.id))["Training time (approx.)"] == about(found.whole)
    assert trained_so_far(other, prepare.recipe_of(other)) is None


def test_the_estimate_counts_iterations_updates_tokens_and_passes(workspace: Workspace) -> None:
    run = make_run(workspace)
    recipe = prepare.recipe_of(run).changed(iterations=80, gradient_accumulation_steps=8)
    model = read_model(workspace.starter)
    about_rows = {"rows": 160, "kept": 16_000, "longest": 120}
    found = estimate(recipe, model, read_shape(model), about_rows)
    assert (found.iterations, found.updates, found.passes, found.tokens) == (80, 10, 2.0, 32_000)
    by_epochs = estimate(recipe.changed(iterations=None, epochs=3), model, read_shape(model), about_rows)
    assert (by_epochs.iterations, by_epochs.tokens) == (120, 48_000)


def test_the_page_counts_iterations_as_every_other_does(workspace: Workspace) -> None:
    run = make_run(workspace)
    recipe = prepare.recipe_of(run).changed(iterations=540, gradient_accumulation_steps=4)
    prepare.prepare(run, recipe, prepare.model_of(run), Path(recipe.data))
    page = open_test_page("config", run.id)
    assert metrics(page)["Iterations"] == "540"
    told = next(metric for metric in page.metric if metric.label == "Iterations").help
    assert "after every 4 iterations, 135 times" in told


def test_trained_weights_are_counted_layer_by_layer(workspace: Workspace) -> None:
    model = read_model(workspace.starter)
    shape = read_shape(model)
    recipe = Recipe(model="m", data="d", rank=8)
    hidden, inner, kv = 64, 128, 32
    layer = 2 * (hidden + hidden) + 2 * (hidden + kv) + 3 * (hidden + inner)
    assert trainable(recipe, model, shape) == 8 * 2 * layer
    only = recipe.changed(target_modules=("q_proj",))
    assert trainable(only, model, shape) == 8 * 2 * (hidden + hidden)
    assert trainable(only.changed(layers_to_transform=(1,)), model, shape) == 8 * (hidden + hidden)


WITH_GPU = Machine(16, 64_000_000_000, True, (Gpu(0, "H100", 80_000_000_000, 79_000_000_000),))


@pytest.mark.parametrize("preset", PRESETS, ids=[preset.name for preset in PRESETS])
def test_every_preset_can_run_where_it_is_offered(preset: object, workspace: Workspace) -> None:
    recipe = Recipe(model="m", data="d", template="qwen_chat", system="kept", seed=7)
    model = read_model(workspace.starter)
    machine = WITH_GPU if preset.needs_gpu else this_machine()  # type: ignore[attr-defined]
    assert preset in presets(machine).values()
    suited = recipe.changed(device=machine.device, precision="fp32", iterations=50, lr=1e-3, shuffle=False)
    made = preset.apply(suited)  # type: ignore[attr-defined]
    assert problems(made, machine, model) == []
    assert all(getattr(made, name) == getattr(recipe, name) for name in (*OF_THE_DATA, "seed"))
    assert not made.shuffle
    compile(write_config(made, Path("d"), Path("m"), Path("w")), "config.py", "exec")


def test_a_choice_of_nothing_is_named_in_the_readers_language(workspace: Workspace) -> None:
    run = make_run(workspace)
    for language, none in (("en", "none"), ("zh", "无")):
        page = open_test_page("config", run.id, language)
        box = next(one for one in page.selectbox if one.key == key(run, "quantization"))
        assert list(box.options) == [none, "nf4", "int8"] and box.value == "none"


@pytest.fixture
def three_cards(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    cards = tuple(Gpu(number, f"Card {number}", (24 + 24 * number) << 30, 20 << 30) for number in range(3))
    monkeypatch.setattr("core.machine.gpus", lambda: cards)
    this_machine.cache_clear()
    yield
    this_machine.cache_clear()


@pytest.mark.usefixtures("three_cards")
def test_which_cards_are_chosen_says_how_many(workspace: Workspace) -> None:
    """Of those that the machine has; another number of them opens again which."""
    run = make_run(workspace, gradient_accumulation_steps=2, replay_distillation=False)
    page = open_test_page("config", run.id)
    page.session_state[f"advanced recipe {run.id}"] = True
    page.run()
    page.multiselect(key=key(run, "cards")).set_value([2, 1]).run()
    saved = prepare.recipe_of(run)
    assert no_errors(page), [one.value for one in (*page.error, *page.exception)]
    assert (saved.devices, saved.cards) == (2, (1, 2))
    assert (saved.batch_size, saved.gradient_accumulation_steps, saved.iterations) == (4, 1, 20)
    assert page.multiselect(key=key(run, "cards", 1)).value == [1, 2]
    page.number_input(key=key(run, "devices", 1)).set_value(3).run()
    saved = prepare.recipe_of(run)
    assert (saved.devices, saved.cards) == (3, ())
    assert no_errors(page), [one.value for one in (*page.error, *page.exception)]


@pytest.mark.parametrize(("language", "said"), [("en", "Nothing here has to be changed"), ("zh", "不用改")])
def test_that_nothing_has_to_be_changed_is_said_once_above_the_folded_form(
    workspace: Workspace, language: str, said: str
) -> None:
    page = open_test_page("config", make_run(workspace).id, language=language)
    texts = [one.value for kind in ("markdown", "caption", "info") for one in getattr(page, kind)]
    assert no_errors(page) and sum(said in text for text in texts) == 1
    assert not settings(page).proto.expanded, "one press away"


def test_what_has_to_be_put_right_is_not_folded(workspace: Workspace) -> None:
    """And stays open while somebody works on it."""
    run = make_run(workspace)
    page = open_test_page("config", run.id)
    page.number_input(key=key(run, "rank")).set_value(0).run()
    assert settings(page).proto.expanded and not page.exception
    page.number_input(key=key(run, "rank")).set_value(8).run()
    assert settings(page).proto.expanded and not page.exception


def settings(page: AppTest) -> Any:
    (found,) = [one for one in page.expander if one.label in ("Change the settings", "修改设置")]
    return found

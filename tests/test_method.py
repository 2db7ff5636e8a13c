"""LoRA's variants and full fine-tuning: what goes with each, what it takes, how a config has it."""

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from streamlit.testing.v1 import AppTest

from core.chat.server import speakers
from core.jobs.job import JobPaths
from core.jobs.status import State
from core.models.folder import read_model, read_shape
from core.pipeline import chain_stages
from core.pipeline.saying import say_fit
from core.publish.card import CardPage, write_card
from core.publish.facts import read_facts
from core.publish.usage import examples
from core.recipe.check import problems, settle
from core.recipe.disk import LOGS, disk_use
from core.recipe.fit import largest_that_fits
from core.recipe.memory import memory, trainable
from core.recipe.method import MLP, lr_of, with_method
from core.recipe.presets import PRESETS
from core.recipe.recipe import Method, Recipe, to_yaml
from core.recipe.speed import settle_speed
from core.recipe.xtuner_config import write_config
from core.recipe.xtuner_file.catalog import find
from core.recipe.xtuner_file.opening import open_config
from core.steps import export, prepare, proof
from core.steps.fit import fitting
from core.workspace.files import read_object, write_text
from core.workspace.paths import RunPaths, Workspace, teacher_beside
from tests.command_line import cli, last_json, make_data
from tests.page import open_test_page
from tests.publishable import Silent, make_publishable
from tests.small_model import make_small_model
from tests.small_run import make_run
from tests.test_recipe import GPU
from tests.test_recipe_memory import GB, INTERNLM_7B, llama

METHODS: tuple[Method, ...] = get_args(Method)
LARGE = Recipe(model="m", data="d", device="cuda", precision="bf16", max_length=512, batch_size=1)
MODEL = INTERNLM_7B[0]
FAKE = {"TUNEBOARD_ENGINE": "tests.fake_engine"}


# --- what goes with a method ---


def test_rates_are_those_of_lora_in_proportion() -> None:
    """A large model's: 2e-4 and 2e-5 are what XTuner's own configs have for LoRA and for all weights."""
    assert {method: lr_of(method, 16, MODEL) for method in METHODS} == {
        "lora": 2e-4,
        "dora": 2e-4,
        "rslora": 5e-5,
        "pissa": 2e-5,
        "full": 2e-5,
    }
    assert lr_of("lora", 8, replace(MODEL, parameters=135_000_000)) == 2e-3


@pytest.mark.parametrize("method", METHODS)
def test_there_and_back_is_the_same(method: Method) -> None:
    recipe = LARGE.changed(lr=2e-4, target_modules=MLP, layers_to_transform=tuple(range(5, 32)))
    there = with_method(recipe, method, MODEL)
    assert there.method == method and not problems(there, GPU, MODEL)
    assert with_method(there, "lora", MODEL) == recipe


def test_full_has_nothing_of_lora_s_left() -> None:
    recipe = LARGE.changed(quantization="nf4", dropout=0.1, target_modules=("q_proj",), accelerate="on")
    found = with_method(recipe, "full", MODEL)
    assert (found.quantization, found.dropout, found.target_modules) == ("none", 0.0, ())
    assert not problems(found, GPU, MODEL)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_a_preset_fits_whatever_the_recipe_was(preset: Any) -> None:
    full = with_method(LARGE, "full", MODEL)
    asked = full.changed(method=preset.method(full))
    assert not problems(preset.apply(with_method(full, asked.method, MODEL)), GPU, MODEL)


@pytest.mark.parametrize(
    ("method", "distilled", "fast"),
    [
        ("lora", True, True),
        ("rslora", True, True),
        ("pissa", False, True),
        ("pissa", True, False),  # without its adapter the base is no longer the base
        ("dora", False, False),
        ("full", False, False),
    ],
)
def test_which_the_fast_path_trains(method: Method, distilled: bool, fast: bool) -> None:
    recipe = LARGE.changed(method=method, replay_distillation=distilled)
    assert settle_speed(recipe, MODEL, None).accelerate == ("on" if fast else "off")


# --- memory and disk, by the formula ---


def test_full_takes_sixteen_bytes_a_weight_and_halves() -> None:
    """Rajbhandari et al. 2020: weight, gradient and two moments in float32 are 16 bytes; the halves 2."""
    held = memory(LARGE.changed(method="full", activation_checkpointing=True), *INTERNLM_7B, longest=512)
    assert held.adapters == 16 * MODEL.parameters
    assert held.weights == pytest.approx(2 * MODEL.parameters, rel=0.07)  # embeddings are not multiplied
    small = LARGE.changed(method="full", optimizer="adamw_8bit", activation_checkpointing=True)
    assert memory(small, *INTERNLM_7B, longest=512).adapters == 10 * MODEL.parameters


def test_near_what_a_full_fine_tune_held_on_a_processor(tmp_path: Path) -> None:
    """Measured: the starter's, with a copy of the base, batches of 4, held 3.66 GB of its own at its highest
    (2026-11-29, torch 2.13 with its libraries, transformers 5.24), and shares 0.32 GB with the process that
    it is forked from."""
    model, shape = llama(576, 1536, 30, 49152, 1 / 3)
    tied = replace(model, parameters=134_515_008)
    rows = written(tmp_path)
    recipe = Recipe(model="m", data=rows, device="cpu", precision="fp32", method="full", batch_size=4)
    held = memory(recipe.changed(replay_distillation=True), tied, shape, longest=59)
    assert held.total / GB == pytest.approx(3.66 + 0.32, rel=0.15)


def written(folder: Path) -> str:
    """Rows of somebody's own: the base was not asked for them."""
    (folder / "rows.jsonl").touch()
    return str(folder / "rows.jsonl")


def test_a_copy_of_the_base_is_counted_where_replay_keeps_to_it(tmp_path: Path) -> None:
    """And none where a file has what it says; packed rows are not found in it."""
    full = LARGE.changed(method="full", data=written(tmp_path))
    kept = full.changed(replay_distillation=True)
    alone = memory(full, *INTERNLM_7B, longest=512).weights
    assert memory(kept, *INTERNLM_7B, longest=512).weights - alone == 2 * MODEL.parameters
    teacher_beside(tmp_path / "rows.jsonl").touch()
    assert memory(kept, *INTERNLM_7B, longest=512).weights == alone
    packed = memory(kept.changed(pack=True), *INTERNLM_7B, longest=512).weights
    assert packed - memory(full.changed(pack=True), *INTERNLM_7B, longest=512).weights == 2 * MODEL.parameters


def test_dora_has_a_length_for_each_row_and_holds_more() -> None:
    lora, dora = LARGE.changed(rank=64), LARGE.changed(rank=64, method="dora")
    more = trainable(dora, *INTERNLM_7B) - trainable(lora, *INTERNLM_7B)
    assert more == 32 * (4 * 4096 + 2 * 11008 + 4096)
    plain = lora.changed(accelerate="off")
    assert memory(dora, *INTERNLM_7B, 512).activations > memory(plain, *INTERNLM_7B, 512).activations


def test_what_fits_a_card_in_full() -> None:
    """7.3B weights: nothing is rounded for it; on 80 GB the optimizer waits in the host's memory."""
    recipe = LARGE.changed(method="full")
    large = largest_that_fits(recipe, *INTERNLM_7B, card=int(141 * GB), longest=512)
    assert large and (large.recipe.quantization, large.recipe.deepspeed) == ("none", "none")
    small = largest_that_fits(recipe, *INTERNLM_7B, card=80 * 2**30, longest=512)
    assert small and (small.recipe.quantization, small.recipe.deepspeed) == ("none", "zero2_offload")
    assert largest_that_fits(recipe, *INTERNLM_7B, card=24 * 2**30, longest=512) is None


def test_what_was_chosen_to_fit_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.steps.fit.this_machine", lambda: GPU)
    shown, recipe = Silent(), settle(LARGE.changed(method="full", template="qwen_chat"), GPU, MODEL)
    found = fitting(recipe, *INTERNLM_7B, 512)
    assert found and found.recipe.deepspeed == "zero2_offload"
    say_fit(found.recipe, shown)
    assert shown.said[0] == ("tune.fits.deepspeed", {"room": "79.9 GB", "stage": "zero2_offload"})


def test_checkpoints_of_all_weights_are_large(tmp_path: Path) -> None:
    model = read_model(make_small_model(tmp_path / "m"))
    shape = read_shape(model)
    use = disk_use(LARGE.changed(method="full"), model, shape, 160)
    assert use.checkpoint == 12 * model.parameters and use.adapter == 0
    assert use.training == 2 * use.checkpoint + LOGS
    lora, pissa = (disk_use(LARGE.changed(method=m), model, shape, 160) for m in ("lora", "pissa"))
    assert pissa.adapter == 2 * lora.adapter and pissa.training - lora.training == lora.adapter


# --- in XTuner's words ---


def opened(recipe: Recipe, *changes: tuple[str, str]) -> Any:
    text = write_config(recipe, Path("/d"), Path("/m"), Path("/w"))
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return open_config(text.encode(), "config.py")


def test_xtuner_s_own_full_fine_tunings_open_as_such() -> None:
    found = open_config(find("gemma_2b_full_alpaca_e3").file.read_bytes(), "config.py")
    assert (found.recipe.method, found.recipe.lr, found.recipe.precision) == ("full", 2e-5, "fp16")
    assert not [one.place for one in found.misfits if one.place.startswith("model.l")]


@pytest.mark.parametrize(
    ("written", "method"),
    [
        ("use_dora=True", "dora"),
        ("use_rslora=True", "rslora"),
        ('init_lora_weights="pissa"', "pissa"),
        ("use_dora=False, use_rslora=False, init_lora_weights=True", "lora"),
    ],
)
def test_a_variant_of_somebody_else_s_is_read(written: str, method: str) -> None:
    plain = settle(LARGE.changed(template="qwen_chat", device="cuda"), GPU, MODEL)
    found = opened(plain, ('bias="none",', f'bias="none",\n        {written},'))
    assert found.recipe.method == method
    assert [one.place for one in found.differences if one.place != "work_dir"] == []


@pytest.mark.parametrize(
    "written",
    ["use_dora=True, use_rslora=True", 'init_lora_weights="pissa_niter_16"', "init_lora_weights='eva'"],
)
def test_what_no_recipe_says_is_a_misfit(written: str) -> None:
    """And an adopted run of it is not converted: its adapter would be another."""
    plain = settle(LARGE.changed(template="qwen_chat", device="cuda"), GPU, MODEL)
    found = opened(plain, ('bias="none",', f'bias="none",\n        {written},'))
    assert [one.place for one in found.misfits if one.place.startswith("model.lora.")]


# --- asked for ---


@pytest.mark.parametrize("method", METHODS)
def test_asked_for_on_the_command_line(workspace: Workspace, model: Path, method: Method) -> None:
    made = make_data(workspace, model, "--name", "Zoë", "--method", method, **FAKE)
    run = workspace.run(made["run"])
    recipe = prepare.recipe_of(run)
    assert recipe.method == method and recipe.lr == lr_of(method, recipe.rank, read_model(model))
    assert recipe.replay_distillation and bool(recipe.target_modules) == (method != "full")
    assert (read_object(run.data) or {})["rows"]


def test_the_form_takes_what_goes_with_a_method(home: Workspace) -> None:
    run = make_run(home)
    before = prepare.recipe_of(run)
    page: AppTest = open_test_page("config", run.id)
    page.selectbox(key=f"recipe {run.id} 0 method").set_value("full").run()
    assert not page.exception and not page.error
    after = prepare.recipe_of(run)
    assert (after.method, after.target_modules) == ("full", ())
    assert after.lr == pytest.approx(before.lr / 10, rel=0.01)
    page.selectbox(key=next(b.key for b in page.selectbox if b.key.endswith(" method"))).set_value(
        "lora"
    ).run()
    assert prepare.recipe_of(run).target_modules == before.target_modules


# --- a run without an adapter ---


def test_a_whole_chain_in_full(page_workspace: Workspace, model: Path) -> None:
    """Converting makes the whole model; nothing waits for an adapter, and none is offered."""
    root = page_workspace.root
    at = ("--workspace", root, "--json")
    request = ("--name", "Zoë", "--model", model, "--iterations", "4", "--method", "full")
    made = last_json(cli("tune", *request, *at, cwd=root, **FAKE))
    run = page_workspace.run(made["run"])
    assert made["adapter"] is None and made["learned"] == 1.0
    assert not run.adapter.exists() and not JobPaths(run.job("merge")).spec.exists()
    assert proof.missing(run) is None and export.kinds_of(run) == ("merged",)
    found = chain_stages.read_progress(page_workspace, run)
    assert {stage.name: stage.state for stage in found.stages}["merge"] is State.finished
    again = cli("tune", "--run", run.id, "--workspace", root, cwd=root, **FAKE)
    assert again.returncode == 0
    assert last_json(cli("convert", run.id, *at, cwd=root, **FAKE)) == {
        "run": run.id,
        "merged": str(run.merged),
    }
    assert [one.kind for one in speakers(page_workspace, run)][:2] == ["merged", "base"]


def test_a_full_fine_tune_on_the_pages(page_workspace: Workspace) -> None:
    run = in_full(make_publishable(page_workspace, "Zoë", logged=False))
    page = open_test_page("merge", run.id)
    assert not page.exception and "nothing to merge" in "".join(one.value for one in page.caption)
    assert [one.key for one in page.button if one.key in {"both", "convert", "merge"}] == ["convert"]
    page = open_test_page("publish", run.id)
    assert not page.exception
    offered = [option for box in (*page.radio, *page.segmented_control) for option in box.options]
    assert any("programs" in one for one in offered) and not any("PEFT" in one for one in offered)
    refused = cli(
        "publish", run.id, "--what", "adapter", "--workspace", page_workspace.root, cwd=page_workspace.root
    )
    assert refused.returncode == 2 and "there is no adapter" in refused.stderr


def in_full(run: RunPaths) -> RunPaths:
    write_text(run.recipe, to_yaml(prepare.recipe_of(run).changed(method="full")))
    return run


def test_its_card_says_so(page_workspace: Workspace) -> None:
    run = make_publishable(page_workspace, "Zoë", logged=False)
    lora = write_card(read_facts(page_workspace, run), CardPage("merged", "a/b"))
    full = write_card(read_facts(page_workspace, in_full(run)), CardPage("merged", "a/b"))
    assert "adapter merged" in lora and "| `rank` | 8 |" in lora and "| `method` | lora |" in lora
    assert "all of its weights" in full and "`rank`" not in full and "| `method` | full |" in full


@pytest.mark.parametrize(("method", "rank"), [("lora", 8), ("rslora", 8), ("pissa", 16), ("dora", None)])
def test_how_vllm_is_told_of_an_adapter(page_workspace: Workspace, method: Method, rank: int | None) -> None:
    """It refuses DoRA; PiSSA's adapter has twice the rank that was trained."""
    run = make_publishable(page_workspace, "Zoë", logged=False)
    write_text(run.recipe, to_yaml(prepare.recipe_of(run).changed(method=method)))
    code = {title: code for title, _, code in examples(read_facts(page_workspace, run), "adapter", "a/b")}
    assert ("vLLM" in code) == (rank is not None)
    assert rank is None or f"--max-lora-rank {rank} " in code["vLLM"]


def test_why_it_is_not_the_fast_path_is_said(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the estimate, and in the config."""
    run = make_run(home)
    recipe = prepare.recipe_of(run).changed(device="cuda", precision="bf16", accelerate="off")
    steps = "core.steps.prepare", "core.steps.first_recipe"
    for module in ("core.machine", *steps, "ui.config.launch_preview"):
        monkeypatch.setattr(f"{module}.this_machine", lambda: GPU)
    told = {}
    for method in METHODS:
        given = {"target_modules": (), "layers_to_transform": ()} if method == "full" else {}
        write_text(run.recipe, to_yaml(recipe.changed(method=method, **given)))
        page = open_test_page("config", run.id)
        told[method] = any("The fast path does not train" in one.value for one in page.caption)
        text = write_config(recipe.changed(method=method), Path("/d"), Path("/m"), Path("/w"))
        assert ("is not for the fast path" in text) == told[method], method
    assert recipe.replay_distillation
    assert {method for method, slow in told.items() if slow} == {"dora", "pissa", "full"}


def test_near_what_a_document_run_held_on_a_processor() -> None:
    """Measured: the starter's on a menu of 24 lines, rows of 20 to 291 tokens, held 2.9 GB in the steps after
    its heap was given back and 3.1 some tens of them later (2026-11-30, torch 2.13, bfloat16)."""
    model, shape = llama(576, 1536, 30, 49152, 1 / 3)
    recipe = Recipe(
        model="m", data="d", device="cpu", precision="bf16", batch_size=4, rank=16,
        target_modules=("gate_proj", "up_proj", "down_proj"), layers_to_transform=tuple(range(5, 30)),
    )  # fmt: skip
    held = memory(recipe, replace(model, parameters=134_515_008), shape, longest=291)
    assert held.total / GB == pytest.approx(3.1, rel=0.1)

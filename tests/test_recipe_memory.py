"""The memory formula against measured peaks, and the largest settings that fit a card."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.models.folder import Model, ModelShape
from core.recipe.fit import ENOUGH_TOKENS, Fit, largest_that_fits
from core.recipe.memory import (
    DEEPSPEED,
    FAST,
    FUSED,
    FUSED_BF16,
    MEASURED_PEAKS,
    WITHIN_PERCENT,
    XTUNER,
    Footprint,
    footprint_of,
    memory,
    trainable,
)
from core.recipe.presets import PRESETS
from core.recipe.recipe import Quantization, Recipe
from core.recipe.speed import UNLIKE, settle_speed, why_slow

GB = 1e9


def llama(
    hidden: int, inner: int, layers: int, vocabulary: int, keys: float = 1.0
) -> tuple[Model, ModelShape]:
    """A model of this shape, as its files would describe it."""
    narrow = int(hidden * keys)
    one = {
        "self_attn.q_proj": (hidden, hidden),
        "self_attn.k_proj": (narrow, hidden),
        "self_attn.v_proj": (narrow, hidden),
        "self_attn.o_proj": (hidden, hidden),
        "mlp.gate_proj": (inner, hidden),
        "mlp.up_proj": (inner, hidden),
        "mlp.down_proj": (hidden, inner),
    }
    linear = {f"model.layers.{n}.{name}.weight": size for n in range(layers) for name, size in one.items()}
    parameters = sum(rows * columns for rows, columns in linear.values()) + 2 * vocabulary * hidden
    names = frozenset(name.rpartition(".")[2] for name in one)
    model = Model(Path("m"), "LlamaForCausalLM", "llama", parameters, 0, layers, 4096, "", None, linear=names)
    return model, ModelShape(layers, hidden, inner, hidden, keys, vocabulary, linear)


INTERNLM_7B = llama(4096, 11008, 32, 103168)
LLAMA2_7B = llama(4096, 11008, 32, 32000)
QWEN25_7B = llama(3584, 18944, 28, 152064, 4 / 28)
INTERNLM2_7B = llama(4096, 14336, 32, 92544, 0.25)
RECIPE = Recipe(model="m", data="d", device="cuda", precision="bf16", quantization="nf4", rank=64, pack=True)

# Peaks in GB measured on one H100 with a 7.3B model of InternLM's shape and LoRA of rank 64 on every linear
# layer (XTuner 0.2.0; torch 2.11, transformers 4.57.6, peft 0.21.2, bitsandbytes 0.50.2, liger-kernel 0.8.4):
# footprint, batch, length, checkpointing, quantization, GB.
MEASURED: list[tuple[Footprint, int, int, bool, str, float]] = [
    (DEEPSPEED, 2, 512, True, "nf4", 9.8),  # the tutorial's recipe, ZeRO-2
    (XTUNER, 8, 512, True, "nf4", 16.7),
    (XTUNER, 8, 512, True, "nf4", 17.7),  # a bare loop in XTuner's way
    (XTUNER, 8, 512, False, "nf4", 50),
    (XTUNER, 4, 2048, True, "nf4", 26),
    (FUSED, 8, 512, True, "nf4", 8.8),  # without float32 casts, Liger
    (FUSED, 8, 512, False, "nf4", 25),
    (FUSED, 4, 2048, True, "nf4", 10.6),
    (FUSED, 4, 2048, False, "nf4", 43),
    (FUSED, 8, 512, True, "nf4", 9.1),  # with torch.compile layer by layer
    (FUSED, 8, 512, False, "nf4", 25),
    (FUSED, 4, 2048, True, "nf4", 11.2),
    (FUSED, 4, 2048, False, "nf4", 43),
    (FUSED_BF16, 8, 512, True, "nf4", 8.1),  # and LoRA in bfloat16
    (FUSED_BF16, 8, 512, False, "nf4", 24),
    (FUSED_BF16, 4, 2048, True, "nf4", 10.2),
    (FUSED_BF16, 4, 2048, False, "nf4", 42),
    (FUSED_BF16, 8, 512, False, "nf4", 24),  # Unsloth, which keeps the same tensors
    (FUSED_BF16, 4, 2048, False, "nf4", 40),
    (FUSED_BF16, 8, 512, False, "none", 34),
    (FUSED_BF16, 4, 2048, False, "none", 49),
]
# The same of the fast path, by what a recipe says (2026-11-28, scripts/bench levers; LoRA in float32): batch,
# length, what differs from NF4 with compiled layers, GB.
AGAIN = {"activation_checkpointing": True}
MEASURED_FAST: list[tuple[int, int, dict[str, Any], float]] = [
    (2, 512, {}, 12.92),
    (8, 512, {}, 26.44),
    (8, 512, AGAIN, 9.74),
    (8, 512, {"quantization": "none"}, 36.01),
    (4, 2048, {}, 43.95),
    (4, 2048, {"compile": "kernels"}, 43.89),
    (4, 2048, {"compile": "none"}, 55.96),
    (4, 2048, AGAIN, 11.34),
    (4, 2048, {**AGAIN, "offload": True}, 9.39),
    (4, 2048, {**AGAIN, "checkpointed_layers": 16}, 27.46),
    (4, 2048, {"quantization": "none"}, 53.52),
]
# XTuner's own way without checkpointing at 4 x 2048 ran out of the card's 80 GB.
OUT_OF_MEMORY = (XTUNER, 4, 2048, False, "nf4", 80)


# Unsloth's own loop with LoRA in float32: the formula is within 10 % of it.
UNSLOTH = [
    (8, 512, True, "nf4", 8.67),  # its checkpointing keeps the layers' inputs in the host's memory
    (4, 2048, True, "nf4", 9.63),
    (8, 512, False, "none", 33.6),
    (4, 2048, False, "none", 48.9),
]


@pytest.mark.parametrize(("batch", "length", "checkpointing", "quantization", "measured"), UNSLOTH)
def test_within_ten_per_cent_of_unsloth(
    batch: int, length: int, checkpointing: bool, quantization: Quantization, measured: float
) -> None:
    recipe = RECIPE.changed(
        accelerate="unsloth",
        batch_size=batch,
        max_length=length,
        activation_checkpointing=checkpointing,
        quantization=quantization,
    )
    assert memory(recipe, *INTERNLM_7B, longest=0).allocated / GB == pytest.approx(measured, rel=0.1)


def test_unsloth_is_never_offered_with_deepspeed() -> None:
    recipe = RECIPE.changed(accelerate="unsloth", max_length=512, batch_size=1)
    assert largest_that_fits(recipe, *INTERNLM_7B, card=2**30, longest=512) is None
    found = largest_that_fits(recipe, *INTERNLM_7B, card=12 * 2**30, longest=512)
    assert found and (found.recipe.accelerate, found.recipe.deepspeed) == ("unsloth", "none")


def held(setting: tuple[Footprint, int, int, bool, str, float]) -> float:
    footprint, batch, length, checkpointing, quantization, _ = setting
    recipe = RECIPE.changed(
        batch_size=batch,
        max_length=length,
        activation_checkpointing=checkpointing,
        quantization=quantization,
    )
    return memory(recipe, *INTERNLM_7B, longest=0, footprint=footprint).allocated / GB


def test_so_many_peaks_were_measured() -> None:
    """The number that the Config page and the README say."""
    assert len(MEASURED) + len(MEASURED_FAST) == MEASURED_PEAKS


@pytest.mark.parametrize("setting", MEASURED)
def test_near_what_was_measured(
    setting: tuple[Footprint, int, int, bool, str, float],
) -> None:
    assert held(setting) == pytest.approx(setting[-1], rel=WITHIN_PERCENT / 100)


@pytest.mark.parametrize(("batch", "length", "values", "measured"), MEASURED_FAST)
def test_the_fast_path_is_near_what_was_measured(
    batch: int, length: int, values: dict[str, Any], measured: float
) -> None:
    recipe = RECIPE.changed(**{"compile": "layers", **values}, batch_size=batch, max_length=length)
    assert memory(recipe, *INTERNLM_7B, longest=0).allocated / GB == pytest.approx(
        measured, rel=WITHIN_PERCENT / 100
    )


def test_what_ran_out_of_memory_is_said_not_to_fit() -> None:
    assert held(OUT_OF_MEMORY) > OUT_OF_MEMORY[-1]


def test_the_trainer_is_chosen_by_the_recipe() -> None:
    """The ways on a GPU, by the settings alone."""
    setting = RECIPE.changed(batch_size=2, max_length=512, activation_checkpointing=True)
    assert footprint_of(setting) is FAST
    for other, footprint in (
        ({"accelerate": "off"}, XTUNER),
        ({"deepspeed": "zero2"}, DEEPSPEED),
        ({"accelerate": "unsloth"}, FUSED),
    ):
        assert footprint_of(setting.changed(**other)) is footprint
    assert footprint_of(setting.changed(precision="fp16")) is XTUNER


def test_some_checkpointed_layers_lie_between_none_and_all() -> None:
    recipe = RECIPE.changed(max_length=512, batch_size=8, activation_checkpointing=True)
    sizes = [
        memory(recipe.changed(**changes), *INTERNLM_7B, longest=0).activations
        for changes in ({}, {"checkpointed_layers": 16}, {"activation_checkpointing": False})
    ]
    assert sizes == sorted(sizes) and sizes[1] == pytest.approx((sizes[0] + sizes[2]) / 2)
    waiting = memory(recipe.changed(offload=True), *INTERNLM_7B, longest=0).activations
    assert waiting == pytest.approx(sizes[0] / 16)


def test_each_part_grows_with_what_it_depends_on() -> None:
    recipe = RECIPE.changed(max_length=512, batch_size=4)
    base = memory(recipe, *INTERNLM_7B, longest=0)
    double = memory(recipe.changed(batch_size=8), *INTERNLM_7B, longest=0)
    assert double.activations == pytest.approx(2 * base.activations, rel=1e-6)
    assert (double.weights, double.adapters) == (base.weights, base.adapters)
    assert memory(recipe.changed(rank=128), *INTERNLM_7B, longest=0).adapters == 2 * base.adapters
    eight_bit = memory(recipe.changed(optimizer="paged_adamw_8bit"), *INTERNLM_7B, longest=0)
    assert eight_bit.adapters == base.adapters * 10 // 16
    upper = recipe.changed(layers_to_transform=tuple(range(16, 32)))
    assert memory(upper, *INTERNLM_7B, longest=0).activations == pytest.approx(base.activations / 2, rel=1e-6)
    mlp_alone = memory(recipe.changed(target_modules=("down_proj",)), *INTERNLM_7B, longest=0)
    assert mlp_alone.activations < base.activations
    assert memory(recipe.changed(dropout=0.1), *INTERNLM_7B, longest=0).activations > base.activations
    short = memory(recipe.changed(pack=False), *INTERNLM_7B, longest=64)
    assert short.activations == pytest.approx(base.activations / 8, rel=1e-6)
    assert base.total > base.allocated


@pytest.mark.parametrize("shape", [INTERNLM_7B, LLAMA2_7B, QWEN25_7B, INTERNLM2_7B])
def test_the_preset_for_8_gb_holds_a_7b_model(shape: tuple[Model, ModelShape]) -> None:
    preset = next(preset for preset in PRESETS if preset.name == "qlora_8gb")
    suited = Recipe(model="m", data="d", device="cuda", precision="bf16", iterations=160)
    recipe = preset.apply(suited)
    assert memory(recipe, *shape, longest=512).total < 8 * 2**30
    assert (
        recipe.iterations == 640
        and recipe.batch_size * recipe.gradient_accumulation_steps == suited.batch_size
    )


def test_a_preset_has_its_speed_chosen_anew() -> None:
    """What was right for the settings before, like a CUDA graph without dropout, may be wrong for these."""
    suited = RECIPE.changed(cuda_graph="on", compile="none", attention="cudnn", accelerate="on")
    tutorial = next(preset for preset in PRESETS if preset.name == "tutorial").apply(suited)
    assert {tutorial.accelerate, tutorial.compile, tutorial.cuda_graph, tutorial.attention} == {"auto"}
    assert settle_speed(tutorial, INTERNLM_7B[0], None).cuda_graph == "off"


# --- the largest that fits ---

WISHED = RECIPE.changed(
    quantization="none", batch_size=8, gradient_accumulation_steps=2, max_length=512, iterations=100
)


@pytest.mark.parametrize("gigabytes", [12, 16, 24, 40, 80])
def test_what_is_chosen_fits_and_is_the_largest(gigabytes: int) -> None:
    card = gigabytes * 2**30
    found = largest_that_fits(WISHED, *INTERNLM_7B, card, longest=512)
    assert found is not None and found.memory.total <= card
    recipe = found.recipe
    assert recipe.batch_size * recipe.gradient_accumulation_steps == 16, "an optimizer step has the same rows"
    assert recipe.iterations is not None and recipe.iterations * recipe.batch_size == 800
    if recipe.batch_size * 512 < 4096:
        larger = recipe.changed(batch_size=recipe.batch_size * 2)
        assert memory(larger, *INTERNLM_7B, longest=512).total > card


def test_a_larger_card_takes_no_less() -> None:
    found = [largest_that_fits(WISHED, *INTERNLM_7B, size * 2**30, 512) for size in (12, 16, 24, 40, 80, 140)]
    tokens = [fit.recipe.batch_size * 512 for fit in found if fit]
    assert len(tokens) == len(found) and min(tokens) >= ENOUGH_TOKENS
    work = [
        4 * fit.recipe.activation_checkpointing + (fit.recipe.quantization == "nf4") for fit in found if fit
    ]
    assert work[0] == max(work) and work[-1] == 0
    assert found[0] and found[0].recipe.activation_checkpointing and found[0].recipe.quantization == "nf4"
    assert found[-1] and found[-1].recipe.quantization == "none"
    assert not found[-1].recipe.activation_checkpointing


def test_nothing_fits_a_card_that_is_too_small() -> None:
    assert largest_that_fits(WISHED, *INTERNLM_7B, 4 * 2**30, 512) is None


def test_the_hosts_memory_is_used_where_the_cards_does_not_do() -> None:
    """One long row a step: its layers' inputs alone are 2 GB."""
    long = WISHED.changed(batch_size=1, gradient_accumulation_steps=1, max_length=8192, cuda_graph="on")
    needed = memory(long.changed(quantization="nf4", activation_checkpointing=True), *INTERNLM_7B, longest=0)
    found = largest_that_fits(long, *INTERNLM_7B, needed.total - 2**30, 8192)
    assert found is not None and found.recipe.deepspeed == "none"
    assert found.recipe.offload and found.recipe.cuda_graph == "off"
    roomy = largest_that_fits(long, *INTERNLM_7B, needed.total, 8192)
    assert roomy is not None and not roomy.recipe.offload and roomy.recipe.cuda_graph == "on"


def test_deepspeed_comes_last() -> None:
    alone = WISHED.changed(accelerate="off")
    found = largest_that_fits(alone, *INTERNLM_7B, 9 * 2**30, 512)
    assert found is not None and found.recipe.deepspeed == "zero2" and found.memory.total <= 9 * 2**30


def test_a_processor_is_offered_no_quantization() -> None:
    recipe = WISHED.changed(device="cpu", precision="bf16")
    found = largest_that_fits(recipe, *INTERNLM_7B, 64 * 2**30, 512)
    assert found is not None and found.recipe.quantization == "none"


def test_trained_weights_of_a_7b_model() -> None:
    assert trainable(RECIPE, *INTERNLM_7B) == 32 * 64 * (4 * 8192 + 3 * 15104)


def test_a_model_that_the_fast_path_does_not_know_takes_what_xtuner_takes() -> None:
    """The estimate of a recipe left at auto was the fast path's, and the training XTuner's."""
    model, shape = INTERNLM_7B
    other = replace(model, architecture="Olmo2ForCausalLM")
    slow = RECIPE.changed(accelerate="off")
    assert memory(RECIPE, other, shape, 512) == memory(slow, other, shape, 512)
    assert memory(RECIPE, other, shape, 512).total > memory(RECIPE, model, shape, 512).total
    assert not any(fit.recipe.checkpointed_layers for fit in fit_of(other, shape))


def fit_of(model: Model, shape: ModelShape) -> list[Fit]:
    """What is offered for cards of several sizes."""
    cards = (largest_that_fits(RECIPE, model, shape, size * 2**30, 512) for size in (8, 12, 16, 24, 48))
    return [found for found in cards if found]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_why_a_model_trains_slowly_is_said_by_name(monkeypatch: pytest.MonkeyPatch, language: str) -> None:
    """Also of a class that nobody has heard of; and nothing where the fast path, or Unsloth, is taken."""
    monkeypatch.setenv("TUNEBOARD_LANG", language)
    model, _ = INTERNLM_7B
    assert not why_slow(RECIPE.changed(devices=2), model)
    slow: dict[str, object] = {
        "deepspeed": "zero2",
        "precision": "fp16",
        "quantization": "int8",
        "method": "full",
    }
    for setting, value in slow.items():
        changed = RECIPE.changed(**{setting: value})
        assert f"{setting}: {value}" in why_slow(changed, model)
        assert settle_speed(changed, model, None).accelerate == "off"
    for name in (*UNLIKE, "NobodysForCausalLM"):
        other = replace(model, architecture=name)
        assert name in why_slow(RECIPE, other)
        assert not why_slow(RECIPE.changed(accelerate="unsloth"), other)
        assert not why_slow(RECIPE.changed(device="cpu", precision="fp32", quantization="none"), other)

"""The fast path beside transformers and PEFT: the same loss and the same gradients, to rounding."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import transformers
from peft import LoraConfig, get_peft_model
from torch import Tensor
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig, AutoModelForCausalLM

from core.engine.fast.attention import kernels
from core.engine.fast.batches import Batch, collate, rounded
from core.engine.fast.decoder import Decoder
from core.engine.fast.families import FAMILIES, check_layers
from core.engine.fast.groups import Unsupported
from core.engine.fast.settings import Acceleration
from core.engine.fast.step import Step
from core.engine.patches import patch_xtuner
from core.recipe.speed import UNLIKE
from tests.lora_models import FAMILIES_OF_TODAY, KINDS, YARN, make

pytestmark = [
    pytest.mark.slow,  # torch and transformers
    pytest.mark.filterwarnings("default"),  # which speak of their own future
]
LENGTHS = (11, 29, 17)


def make_rows() -> list[dict[str, Any]]:
    numbers = torch.Generator().manual_seed(1)
    rows = [torch.randint(0, 199, (length,), generator=numbers).tolist() for length in LENGTHS]
    return [{"input_ids": ids, "labels": [-100] * 5 + ids[5:]} for ids in rows]


def gradients(model: Any, loss: Tensor) -> tuple[float, dict[str, Tensor]]:
    model.zero_grad(set_to_none=True)
    loss.backward()
    return loss.item(), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def plain(model: Any) -> tuple[float, dict[str, Tensor]]:
    patch_xtuner()
    from xtuner.dataset.collate_fns import default_collate_fn

    return gradients(model, model(**default_collate_fn(make_rows())["data"], use_cache=False).loss)


def fast(model: Any, settings: Acceleration) -> tuple[float, dict[str, Tensor]]:
    base = model.get_base_model()
    check_layers(base, 64)
    batch = collate(make_rows(), 64, settings.padding_free)["data"]["batch"]
    return gradients(model, Decoder(base, settings).loss(batch))


def assert_same(found: tuple[float, dict[str, Tensor]], expected: tuple[float, dict[str, Tensor]]) -> None:
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    assert found[1].keys() == expected[1].keys() and found[1]
    for name, gradient in expected[1].items():
        assert (found[1][name] - gradient).norm() <= 1e-4 * gradient.norm(), name


@pytest.mark.parametrize(("kind", "shape"), KINDS)
@pytest.mark.parametrize(
    "settings",
    [Acceleration(padding_free=False), Acceleration(), Acceleration(checkpointed_layers=2)],
    ids=["padded", "in a line", "checkpointed"],
)
def test_loss_and_gradients(kind: str, shape: dict[str, Any], settings: Acceleration) -> None:
    model = make(kind, **shape)
    assert_same(fast(model, settings), plain(model))


@pytest.mark.parametrize("free", [False, True], ids=["padded", "in a line"])
def test_replay_by_what_the_base_said(free: bool) -> None:
    """The same loss and gradient as XTuner's step has; and nothing in it is chosen on the way."""
    from xtuner.dataset.collate_fns import default_collate_fn

    from core.data.encoder import TokenRow
    from core.engine.teacher import LIKELIEST, Replay, _with_targets, taught_by_file
    from core.engine.teacher_rows import make_teacher

    model, rows = make(*KINDS[0][:1], **KINDS[0][1]), make_rows()
    known = [TokenRow(row["input_ids"], [one != -100 for one in row["labels"]]) for row in rows[:2]]
    with model.disable_adapter():
        replay = Replay(make_teacher(model.get_base_model(), known))
    replay.look_at(rows)
    data = _with_targets(default_collate_fn, replay)(rows)["data"]
    assert len(data[LIKELIEST]) == sum(LENGTHS) - 3 * 5
    expected = gradients(model, taught_by_file(SimpleNamespace(llm=model, use_lora=True), data)["loss"])
    batch = collate(rows, 64, free, replay.targets)["data"]["batch"]
    decoder = Decoder(model.get_base_model(), Acceleration(padding_free=free), distill=True)
    assert decoder.can_be_recorded(batch) and not decoder.can_be_recorded(collate(rows, 64)["data"]["batch"])
    assert_same(gradients(model, decoder.loss(batch)), expected)
    plain_loss = Decoder(model.get_base_model(), Acceleration()).loss(collate(rows, 64)["data"]["batch"])
    assert plain_loss.item() != pytest.approx(expected[0], rel=1e-3)


@pytest.mark.parametrize(("kind", "shape"), FAMILIES_OF_TODAY, ids=str)
@pytest.mark.parametrize(
    "settings", [Acceleration(padding_free=False), Acceleration()], ids=["padded", "line"]
)
def test_families_of_today(kind: str, shape: dict[str, Any], settings: Acceleration) -> None:
    model = make(kind, **shape)
    assert_same(fast(model, settings), plain(model))


def test_every_family_that_is_named_is_tried() -> None:
    tried = {AutoConfig.for_model(kind).__class__ for kind, _ in [*KINDS, *FAMILIES_OF_TODAY]}
    assert {MODEL_FOR_CAUSAL_LM_MAPPING[config].__name__ for config in tried} == set(FAMILIES)
    assert not [name for name in (*FAMILIES, *UNLIKE) if not hasattr(transformers, name)]


@pytest.mark.parametrize(
    "lora",
    [
        {"target_modules": ["q_proj", "v_proj", "up_proj"]},
        {"target_modules": ["down_proj"]},
        {"layers_to_transform": [1, 2]},
        {"r": 1},
    ],
    ids=str,
)
def test_lora_in_some_layers(lora: dict[str, Any]) -> None:
    model = make(lora=lora)
    assert_same(fast(model, Acceleration()), plain(model))


def test_dropout_drops_and_nothing_else() -> None:
    """At a share that is almost nothing the loss is almost the same; at a half it is another each time."""
    assert fast(make(lora={"lora_dropout": 1e-6}), Acceleration())[0] == pytest.approx(
        plain(make())[0], rel=1e-4
    )
    model = make(lora={"lora_dropout": 0.5})
    assert fast(model, Acceleration())[0] != fast(model, Acceleration())[0]


def gpt2() -> Any:
    config = AutoConfig.for_model("gpt2", n_embd=32, n_layer=1, n_head=2, vocab_size=99)
    lora = LoraConfig(r=2, target_modules=["c_attn"], fan_in_fan_out=True)
    return get_peft_model(AutoModelForCausalLM.from_config(config), lora)


def with_a_part_more() -> Any:
    model = make()
    model.get_base_model().model.layers[1].extra = torch.nn.Linear(2, 2).requires_grad_(False)
    return model


def with_a_strangers_mlp() -> Any:
    """Of a class that computes another thing by the same weights."""
    model = make()
    mlp = model.get_base_model().model.layers[1].mlp
    mlp.__class__ = type("OtherMLP", (type(mlp),), {"__module__": __name__})
    return model


REFUSED: dict[str, Callable[[], Any]] = {
    "GPT2LMHeadModel: layers that it does not know": gpt2,
    "Olmo2ForCausalLM: norms only behind attention and MLP": lambda: make("olmo2"),
    "more than LoRA": lambda: make(lora={"use_dora": True}),
    "an MLP with gelu": lambda: make(hidden_act="gelu"),
    "attention_dropout of 0.1": lambda: make(attention_dropout=0.1),
    "final_logit_softcapping of 30": lambda: make("gemma3_text", final_logit_softcapping=30.0),
    "queries that grow from token 8 on": lambda: make(
        "ministral3",
        rope_parameters={**YARN, "original_max_position_embeddings": 8, "llama_4_scaling_beta": 0.1},
    ),
    "without extra": with_a_part_more,
    "OtherMLP in a LlamaForCausalLM": with_a_strangers_mlp,
    "LoRA on .*lm_head": lambda: make(lora={"target_modules": ["q_proj", "lm_head"]}),
    "lm_head.* trained whole": lambda: make(lora={"modules_to_save": ["lm_head"]}),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_it_does_not_know_is_named(words: str) -> None:
    with pytest.raises(Unsupported, match=words):
        check_layers(REFUSED[words]().get_base_model(), 9)


def test_a_batch_of_the_fast_path() -> None:
    found = collate(make_rows(), 64)["data"]
    batch: Batch = found["batch"]
    assert (found["tokens"], len(batch.ids)) == (57, 64)
    assert batch.ends is not None and batch.ends.tolist()[:5] == [0, 11, 40, 57, 64]
    assert batch.positions[[0, 10, 11, 39, 40]].tolist() == [0, 10, 0, 28, 0]
    assert batch.labels[[10, 39]].tolist() == [-100, -100], "no row is to say how the next begins"
    assert batch.row_of_tokens()[[0, 10, 11, 40, 57]].tolist() == [0, 0, 1, 2, 3]


def test_rows_of_one_length_stay_a_rectangle() -> None:
    row = {"input_ids": list(range(32)), "labels": list(range(32))}
    batch = collate([row, row], 64)["data"]["batch"]
    assert batch.ends is None and (batch.rows, len(batch.ids)) == (2, 64)
    assert batch.row_of_tokens().tolist() == [0] * 32 + [1] * 32


def test_rows_that_xtuner_packed_do_not_read_each_other() -> None:
    one, other, third = make_rows()
    ids = one["input_ids"] + other["input_ids"] + third["input_ids"]
    labels = one["labels"] + other["labels"] + third["labels"]
    packed = {"input_ids": ids, "labels": labels, "cumulative_len": [0, 11, 40, 57]}
    apart, together = collate([one, other, third], 64), collate([packed], 64)
    for mine, theirs in zip(apart["data"]["batch"].tensors, together["data"]["batch"].tensors, strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("length", [1, 16, 17, 100, 511, 512, 513, 4000, 100_000])
def test_lengths_are_rounded_up_a_little(length: int) -> None:
    assert length <= rounded(length) <= max(length + 7, length * 17 // 16 + 1)
    assert rounded(rounded(length)) == rounded(length)
    assert length <= rounded(length, 4) <= max(length + 7, length * 5 // 4 + 1)


def test_recorded_batches_have_few_shapes() -> None:
    def shapes(recorded: bool) -> set[int]:
        rows = ({"input_ids": [1] * length, "labels": [1] * length} for length in range(200, 800, 7))
        return {len(collate([row], 1024, recorded=recorded)["data"]["batch"].ids) for row in rows}

    assert len(shapes(recorded=True)) <= 9 < len(shapes(recorded=False))


def test_gradients_add_up_until_they_are_forgotten() -> None:
    model = make()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    step = Step(Decoder(model.get_base_model(), Acceleration()), trained)
    batch = collate(make_rows(), 64)["data"]["batch"]
    step.run(batch, 1.0)
    once = [parameter.grad.clone() for parameter in trained]
    step.run(batch, 0.5)
    for parameter, first in zip(trained, once, strict=True):
        torch.testing.assert_close(parameter.grad, 1.5 * first)
    step.forget()
    assert all(not parameter.grad.any() for parameter in trained)


def test_cudnns_attention_is_not_taken_unasked() -> None:
    """Neither by XTuner's own way nor by default; the backward pass has given NaN."""
    was = torch.backends.cuda.cudnn_sdp_enabled()
    try:
        torch.backends.cuda.enable_cudnn_sdp(True)
        patch_xtuner()
        assert not torch.backends.cuda.cudnn_sdp_enabled()
        with kernels("cudnn"):
            assert torch.backends.cuda.cudnn_sdp_enabled()
        with kernels("flash"):
            assert not torch.backends.cuda.cudnn_sdp_enabled()
    finally:
        torch.backends.cuda.enable_cudnn_sdp(was)

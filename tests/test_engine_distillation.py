"""The loss that keeps what is replayed to the base, on a model made on the spot."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def tuner(model: Path) -> Any:
    """What the loss needs of XTuner's SupervisedFinetune, with an adapter that does something."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    llm = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    lora = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    return SimpleNamespace(llm=get_peft_model(llm, lora), use_lora=True)


def disturb(tuner: Any) -> None:
    import torch

    for name, weights in tuner.llm.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=0.5)


def batch(tuner: Any, rows: int = 3, own: bool = False) -> dict[str, Any]:
    """Rows of six question tokens and eight answer tokens, the second padded; ``own``: the base's answers."""
    import torch

    ids = torch.randint(3, 300, (rows, 14))
    if own:
        with torch.no_grad(), tuner.llm.disable_adapter():
            for place in range(6, 14):
                ids[:, place] = tuner.llm(input_ids=ids[:, :place]).logits[:, -1].argmax(-1)
    labels, mask = ids.clone(), torch.ones_like(ids)
    labels[:, :6] = -100
    labels[1, -2:], mask[1, -2:] = -100, 0
    return {"input_ids": ids, "labels": labels, "attention_mask": mask}


def test_the_loss_of_answers_is_that_of_transformers(tuner: Any) -> None:
    import torch

    from core.engine.distillation import answer_loss, distilled_loss

    disturb(tuner)
    data = batch(tuner)
    expected = tuner.llm(**data).loss
    torch.testing.assert_close(answer_loss(tuner, data)["loss"], expected)
    # None of these answers is what the base says by itself.
    torch.testing.assert_close(distilled_loss(tuner, data)["loss"], expected)


@pytest.mark.parametrize(
    ("kind", "last"),
    [
        ("granite", {"logits_scaling": 8.0}),
        ("cohere", {"logit_scale": 0.0625}),
        ("gemma2", {"final_logit_softcapping": 2.0}),
    ],
)
def test_what_a_model_does_to_its_last_logits_is_in_the_loss(kind: str, last: dict[str, float]) -> None:
    """Training on other logits than the model answers by teaches another distribution."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from core.engine.distillation import answer_loss

    torch.manual_seed(1)
    size = {"vocab_size": 320, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "pad_token_id": 0}
    config = AutoConfig.for_model(kind, **size, **heads, **last)
    whole = SimpleNamespace(llm=AutoModelForCausalLM.from_config(config), use_lora=False)
    whole.llm.get_output_embeddings().weight.data.mul_(20)
    data = batch(whole)
    torch.testing.assert_close(answer_loss(whole, data)["loss"], whole.llm(**data).loss)


def test_nothing_is_lost_on_a_replay_until_something_is_forgotten(tuner: Any) -> None:
    import torch

    from core.engine.distillation import answer_loss, distilled_loss

    data = batch(tuner, own=True)
    loss = distilled_loss(tuner, data)["loss"]
    loss.backward()
    steepest = max(float(w.grad.abs().max()) for w in tuner.llm.parameters() if w.grad is not None)
    assert abs(float(loss)) < 1e-6 and steepest < 1e-6
    assert float(answer_loss(tuner, data)["loss"]) > 0.1
    disturb(tuner)
    assert float(distilled_loss(tuner, data)["loss"]) > 0.01
    assert torch.isfinite(distilled_loss(tuner, data)["loss"])


def test_an_answer_cut_off_is_still_a_replay(tuner: Any) -> None:
    from core.engine.distillation import distilled_loss

    data = batch(tuner, own=True)
    data["labels"][:, -1] = data["input_ids"][:, -1] = 2  # the template's end, where the base goes on
    data["labels"][1, -2:] = -100
    assert abs(float(distilled_loss(tuner, data)["loss"])) < 1e-6


def test_a_batch_without_an_answer_is_no_loss(tuner: Any) -> None:
    from core.engine.distillation import answer_loss, distilled_loss

    data = batch(tuner)
    data["labels"][:] = -100
    assert float(answer_loss(tuner, data)["loss"]) == float(distilled_loss(tuner, data)["loss"]) == 0.0


def pissa(model: Path) -> Any:
    """As XTuner builds it with the patch that keeps where its matrices began."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    llm = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    lora = LoraConfig(
        r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights="pissa", lora_dropout=0.5
    )
    tuned = get_peft_model(llm, lora)
    tuned.began = [w.detach().clone() for name, w in tuned.named_parameters() if ".lora_" in name]
    return SimpleNamespace(llm=tuned.train(), use_lora=True)


def whole(model: Path) -> Any:
    """A full fine-tune, which keeps a copy."""
    import torch
    from transformers import AutoModelForCausalLM

    from core.engine.distillation import keep_a_copy

    class Finetune:
        def __init__(self) -> None:
            self.llm = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
            self.use_lora = False

    keep_a_copy(Finetune)
    return Finetune()


@pytest.mark.parametrize("make", [pissa, whole])
def test_the_base_is_what_it_was_before_training(model: Path, make: Any) -> None:
    """PiSSA changes the weights that its adapter lies beside, a full fine-tune has no adapter at all."""
    import torch
    from transformers import AutoModelForCausalLM

    from core.engine.answer_tokens import logits_of
    from core.engine.distillation import _base, distilled_loss

    tuner = make(model)
    ids = torch.randint(3, 300, (3, 14))
    answers = torch.ones(3, 13, dtype=torch.bool)
    with torch.no_grad():
        for weights in tuner.llm.parameters():
            if weights.requires_grad:
                weights += 0.1 * torch.randn_like(weights)
        before = [weights.clone() for weights in tuner.llm.parameters()]
        with _base(tuner) as kept:
            found = logits_of(kept, {"input_ids": ids}, answers)
    untouched = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    own = untouched(input_ids=ids).logits[:, :-1].reshape(-1, 1024)
    torch.testing.assert_close(found, own, atol=1e-4, rtol=1e-4)
    assert all(torch.equal(a, b) for a, b in zip(before, tuner.llm.parameters(), strict=True))
    data = {"input_ids": ids, "labels": ids.clone(), "attention_mask": torch.ones_like(ids)}
    distilled_loss(tuner, data)["loss"].backward()
    assert all(w.grad is not None for w in tuner.llm.parameters() if w.requires_grad)


@pytest.mark.parametrize("make", [pissa, whole])
def test_mixed_precision_keeps_nothing_of_the_base_for_the_trained(model: Path, make: Any) -> None:
    """Autocast keeps what it casts, by the weight and not by its values: on a GPU the trained matrices were
    computed with as they had been for the base, and a replay cost nothing whatever was forgotten."""
    import torch

    from core.engine.distillation import distilled_loss

    tuner = make(model)
    ids = torch.randint(3, 300, (3, 14))
    data = {"input_ids": ids, "labels": ids.clone(), "attention_mask": torch.ones_like(ids)}
    with torch.autocast("cpu", dtype=torch.bfloat16):
        at_first = float(distilled_loss(tuner, data)["loss"])
        with torch.no_grad():
            for weights in tuner.llm.parameters():
                if weights.requires_grad:
                    weights += 0.3 * torch.randn_like(weights)
        torch.clear_autocast_cache()
        loss = distilled_loss(tuner, data)["loss"]
    loss.backward()
    assert abs(float(loss) - at_first) > 0.01, "what was trained is computed with"
    assert any(float(w.grad.abs().max()) > 0 for w in tuner.llm.parameters() if w.grad is not None)


@pytest.mark.parametrize(("rows", "columns", "rank"), [(48, 96, 8), (96, 48, 8), (64, 64, 16), (16, 64, 24)])
@pytest.mark.parametrize("scale", [2.0, 0.25])
def test_a_weight_is_taken_apart_as_peft_does_it(rows: int, columns: int, rank: int, scale: float) -> None:
    """Without computing what is not needed; a weight narrower than the rank has zeros in the rest."""
    import torch

    from core.engine.pissa import largest_directions

    torch.manual_seed(3)
    weight = torch.randn(rows, columns)
    a, b = largest_directions(weight, rank, scale)
    left, size, right = torch.linalg.svd(weight, full_matrices=False)
    nearest = left[:, :rank] * size[:rank] @ right[:rank]
    assert (a.shape, b.shape) == ((rank, columns), (rows, rank))
    torch.testing.assert_close(scale * b @ a, nearest, atol=1e-4, rtol=1e-4)
    lengths = (size[:rank] / scale).sqrt()  # PEFT's pissa_init divides a direction's size evenly
    torch.testing.assert_close(a.norm(dim=1)[: len(lengths)], lengths, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(b.norm(dim=0)[: len(lengths)], lengths, atol=1e-4, rtol=1e-4)

"""Adapters of every kind that PEFT merges, made by PEFT itself: on their base they say what PEFT's own model
says, weaker ones lie between that and the base, and what is written weaker is what is asked weaker."""

import json
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from core.engine.adapter import load_fitted, weaken
from core.models.adapter import MERGED, read_adapter
from core.models.fitted import fit, fitted_in
from core.models.folder import Model, read_model
from tests.small_model import VOCABULARY, make_small_model

pytestmark = [
    pytest.mark.slow,
    # PEFT's, of tied embeddings and of biases: what they warn of is what is tried.
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::peft.utils.warning.PeftWarning"),
]
TARGETS = ["q_proj", "v_proj", "up_proj"]
IDS = torch.arange(3, 35).reshape(2, 16)
KINDS: dict[str, dict[str, Any]] = {
    "Lora": {"r": 4, "rank_pattern": {"layers.0.self_attn.q_proj": 2}, "alpha_pattern": {"up_proj": 3}},
    "AdaLora": {"init_r": 4, "target_r": 2, "total_step": 10},
    "LoHa": {"r": 4},
    "LoKr": {"r": 4},
    "IA3": {"feedforward_modules": ["up_proj"]},
    "Vera": {"r": 4, "target_modules": ["q_proj", "o_proj"]},
    "OFT": {"oft_block_size": 16},
    "BOFT": {"boft_block_size": 4},
    "HRA": {"r": 4},
    "FourierFT": {"n_frequency": 32},
    "VBLoRA": {"r": 2, "num_vectors": 8, "vector_length": 16, "topk": 2},
    "LNTuning": {"target_modules": ["input_layernorm"]},
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return read_model(make_small_model(tmp_path_factory.mktemp("基座") / "base"))


def _made(base: Model, folder: Path, config: Any, rows: int = 0) -> Any:
    """An adapter in ``folder`` with nothing in it that does nothing; PEFT's model with it on."""
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(base.folder, dtype=torch.float32)
    if rows:
        model.resize_token_embeddings(rows, mean_resizing=False)
    tuned = get_peft_model(model, config)
    for name, parameter in tuned.named_parameters():
        if parameter.requires_grad and not name.endswith("vblora_logits"):
            parameter.data = parameter.data + 0.05 * torch.randn_like(parameter)
    tuned.save_pretrained(folder, save_embedding_layers=bool(rows))
    return tuned.eval()


@torch.inference_mode()
def _says(model: Any) -> Tensor:
    logits: Tensor = model.eval()(IDS).logits
    return logits


def _fitted(base: Model, folder: Path, scale: float = 1.0) -> Any:
    adapter = read_adapter(folder, base)
    fitted = fitted_in(fit(folder.with_name(f"fitted {scale}"), base.folder, adapter, scale))
    assert fitted is not None
    return load_fitted(fitted, torch.float32)


def test_every_kind_that_is_called_merged_is_tried() -> None:
    assert {kind.lower().replace("lntuning", "ln_tuning") for kind in KINDS} == set(MERGED)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fitted_model_says_what_pefts_own_says(kind: str, base: Model, tmp_path: Path) -> None:
    config = getattr(peft, f"{kind}Config")(
        **{"target_modules": TARGETS, "task_type": "CAUSAL_LM", **KINDS[kind]}
    )
    wanted = _says(_made(base, tmp_path / "a", config))
    plain = _says(AutoModelForCausalLM.from_pretrained(base.folder, dtype=torch.float32))
    assert not torch.allclose(wanted, plain, atol=1e-3)
    torch.testing.assert_close(_says(_fitted(base, tmp_path / "a")), wanted, atol=1e-4, rtol=1e-4)


MORE: dict[str, dict[str, Any]] = {
    "dora": {"use_dora": True},
    "rslora": {"use_rslora": True},
    "pissa": {"init_lora_weights": "pissa"},
    "olora": {"init_lora_weights": "olora"},
    "all-linear": {"target_modules": "all-linear"},
    "regex": {"target_modules": r".*layers\.1\..*\.(q_proj|down_proj)"},
    "head": {"modules_to_save": ["lm_head"]},
    "embedding": {"modules_to_save": ["embed_tokens"]},
    "embedded": {"target_modules": ["embed_tokens", "q_proj"]},
    "biases": {"bias": "all"},
    "tokens": {"trainable_token_indices": [5, 9]},
    "lora_bias": {"lora_bias": True},
}


@pytest.mark.parametrize("more", MORE)
def test_loras_settings_are_kept(more: str, base: Model, tmp_path: Path) -> None:
    config = LoraConfig(**{"r": 4, "target_modules": TARGETS, "task_type": "CAUSAL_LM", **MORE[more]})
    wanted = _says(_made(base, tmp_path / "a", config))
    torch.testing.assert_close(_says(_fitted(base, tmp_path / "a")), wanted, atol=1e-4, rtol=1e-4)


def test_a_longer_vocabulary_comes_along(base: Model, tmp_path: Path) -> None:
    config = LoraConfig(r=4, target_modules=TARGETS, task_type="CAUSAL_LM", modules_to_save=["embed_tokens"])
    wanted = _says(_made(base, tmp_path / "a", config, rows=VOCABULARY + 8))
    found = _fitted(base, tmp_path / "a")
    assert found.get_input_embeddings().weight.shape[0] == VOCABULARY + 8
    torch.testing.assert_close(_says(found), wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("more", ["rslora", "embedded", "embedding", "lora_bias"])
def test_a_weaker_adapter_is_written_as_it_was_asked(more: str, base: Model, tmp_path: Path) -> None:
    config = LoraConfig(**{"r": 4, "target_modules": TARGETS, "task_type": "CAUSAL_LM", **MORE[more]})
    _made(base, tmp_path / "a", config)
    adapter = read_adapter(tmp_path / "a", base)
    before = {file.name: file.read_bytes() for file in (tmp_path / "a").iterdir()}
    request = {"base": str(base.folder), "adapter": str(adapter.folder), "whole": adapter.whole, "scale": 0.6}
    file = tmp_path / "request.json"
    file.write_text(json.dumps({**request, "target": str(tmp_path / "weaker")}))
    weaken(str(file))
    assert before == {file.name: file.read_bytes() for file in (tmp_path / "a").iterdir()}
    wanted = _says(_fitted(base, tmp_path / "a", 0.6))
    torch.testing.assert_close(_says(_fitted(base, tmp_path / "weaker")), wanted, atol=1e-4, rtol=1e-4)
    anew = AutoModelForCausalLM.from_pretrained(base.folder, dtype=torch.float32)
    torch.testing.assert_close(
        _says(PeftModel.from_pretrained(anew, tmp_path / "weaker")), wanted, atol=1e-4, rtol=1e-4
    )


def test_at_scale_nothing_the_base_is_left(base: Model, tmp_path: Path) -> None:
    config = LoraConfig(r=4, target_modules=TARGETS, task_type="CAUSAL_LM", modules_to_save=["embed_tokens"])
    _made(base, tmp_path / "a", config)
    plain = _says(AutoModelForCausalLM.from_pretrained(base.folder, dtype=torch.float32))
    torch.testing.assert_close(_says(_fitted(base, tmp_path / "a", 0.0)), plain, atol=1e-5, rtol=1e-5)


def test_the_names_in_the_file_are_pefts(base: Model, tmp_path: Path) -> None:
    """What the fast tests write by hand is what PEFT writes."""
    from tests.adapters import make_adapter, recorded

    settings = recorded()["trl"]["adapter_config.json"]
    _made(
        base,
        tmp_path / "a",
        LoraConfig(r=16, target_modules=settings["target_modules"], task_type="CAUSAL_LM"),
    )
    by_hand = make_adapter(tmp_path / "b", base.folder, settings)
    theirs, ours = (load_file(folder / "adapter_model.safetensors") for folder in (tmp_path / "a", by_hand))
    assert {name: tensor.shape for name, tensor in theirs.items()} == {n: t.shape for n, t in ours.items()}

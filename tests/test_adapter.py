"""A stranger's PEFT folder: what it is, that it fits its base, and everything that is wrong with it."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from core.errors import NotAnAdapter
from core.models.adapter import MERGED, read_adapter
from core.models.fitted import fit, fitted_in
from core.models.folder import Model, fingerprint, read_model
from core.recipe.own_template import template_name, template_of
from tests.adapters import PREFIX, make_adapter, make_recorded, recorded
from tests.small_model import CHAT_TEMPLATE, HIDDEN, VOCABULARY, make_small_model

PLAIN: dict[str, Any] = recorded()["trl"]["adapter_config.json"]
OTHER_TEMPLATE = CHAT_TEMPLATE.replace("im_start", "im_end")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return read_model(make_small_model(tmp_path_factory.mktemp("基座 models") / "Qwen2.5-7B-Instruct"))


def refused(folder: Path, base: Model) -> str:
    with pytest.raises(NotAnAdapter) as caught:
        read_adapter(folder, base)
    assert str(folder) in caught.value.text()
    return str(caught.value.values["problems"])


@pytest.mark.parametrize("name", recorded())
def test_what_other_tools_write_is_read(name: str, base: Model, tmp_path: Path) -> None:
    folder = make_recorded(tmp_path / "an adapter", base.folder, name)
    found = read_adapter(folder, base)
    assert found.tool == recorded()[name]["tool"]
    assert found.kind == "lora"
    assert found.scales
    assert not found.speaks
    assert found.lora_modules


def test_the_system_prompt_of_the_training_is_told(base: Model, tmp_path: Path) -> None:
    swift = read_adapter(make_recorded(tmp_path / "a", base.folder, "ms_swift"), base)
    assert swift.system == "You are a helpful assistant."
    assert "adapter.note.system" in {note.key for note in swift.notes}
    # modelscope writes a dot of a name as three underscores: it is the base's name all the same.
    assert "adapter.note.base" not in {note.key for note in swift.notes}
    other = make_recorded(tmp_path / "b", base.folder, "llama_factory")
    (other / "training_args.yaml").write_text(
        "finetuning_type: lora\ndefault_system: Be brief.\ntemplate: qwen\n"
    )
    assert read_adapter(other, base).system == "Be brief."


def test_what_should_be_known_is_said(base: Model, tmp_path: Path) -> None:
    folder = make_recorded(tmp_path / "run", base.folder, "unsloth", of_tomorrow=7, init_lora_weights="pissa")
    (folder / "optimizer.pt").write_bytes(b"")
    notes = read_adapter(folder, base).notes
    assert {note.key.removeprefix("adapter.note.") for note in notes} == {
        *("quantized", "base", "unknown", "begins", "left_out", "tool"),
    }
    assert all(note.text() for note in notes)


def test_of_a_training_the_newest_checkpoint_is_taken(base: Model, tmp_path: Path) -> None:
    for step in (50, 1000, 200):
        make_recorded(tmp_path / "v0-20250926-114832" / f"checkpoint-{step}", base.folder, "ms_swift")
    found = read_adapter(tmp_path, base)
    assert found.folder.name == "checkpoint-1000"
    assert found.notes[0].key == "adapter.note.checkpoint"
    assert found.notes[0].values["count"] == 3


def test_arguments_beside_the_checkpoints_are_read(base: Model, tmp_path: Path) -> None:
    folder = make_recorded(tmp_path / "out" / "checkpoint-7", base.folder, "ms_swift")
    (folder / "args.json").rename(tmp_path / "out" / "args.json")
    assert read_adapter(tmp_path / "out", base).tool == "ms-swift"


@pytest.mark.parametrize(
    "settings",
    [
        {"rank_pattern": {"layers.0.self_attn.q_proj": 3}, "alpha_pattern": {"q_proj": 64}},
        {"use_rslora": True},
        {"target_modules": "all-linear"},
        {"target_modules": r".*\.(q_proj|v_proj)"},
        {"init_lora_weights": "eva", "eva_config": {"rho": 2.0}},
        {"bias": "all"},
    ],
)
def test_settings_that_merge_are_taken(settings: dict[str, Any], base: Model, tmp_path: Path) -> None:
    found = read_adapter(make_adapter(tmp_path, base.folder, {**PLAIN, **settings}), base)
    assert found.scales


@pytest.mark.parametrize(
    "settings",
    [{"use_dora": True}, {"init_lora_weights": "pissa"}, {"trainable_token_indices": [5]}],
)
def test_what_is_no_sum_cannot_be_scaled(settings: dict[str, Any], base: Model, tmp_path: Path) -> None:
    assert not read_adapter(make_adapter(tmp_path, base.folder, {**PLAIN, **settings}), base).scales


def test_all_problems_are_told_at_once(base: Model, tmp_path: Path) -> None:
    config = {
        **PLAIN,
        "task_type": "SEQ_CLS",
        "layer_replication": [[0, 1]],
        "init_lora_weights": "corda",
        "megatron_config": {"tensor": 2},
    }
    odd = {f"{PREFIX}model.layers.77.self_attn.q_proj.lora_A.weight": np.zeros((4, HIDDEN), np.float32)}
    wide = {f"{PREFIX}model.layers.0.mlp.up_proj.lora_A.weight": np.zeros((4, 3 * HIDDEN), np.float32)}
    found = refused(make_adapter(tmp_path, base.folder, config, **odd, **wide), base)
    for word in (
        "SEQ_CLS",
        "layer_replication",
        "corda",
        "megatron_config",
        "layers.77",
        "4 × 192",
        "4 × 64",
    ):
        assert word in found
    assert "rank 4" in found
    assert len(found.splitlines()) == 7


@pytest.mark.parametrize(
    "more", [{"r": 4}, {"rank_pattern": {"q_proj": 3}}, {"rank_pattern": {"(": 3}, "r": 4}]
)
def test_another_rank_than_the_configs_is_told(more: dict[str, Any], base: Model, tmp_path: Path) -> None:
    folder = make_adapter(tmp_path, base.folder, PLAIN)
    (folder / "adapter_config.json").write_text(json.dumps({**PLAIN, **more}))
    assert "rank 16" in refused(folder, base)


@pytest.mark.parametrize("targets", [["q_proj"], r".*q_proj"])
def test_weights_that_the_config_does_not_name_are_told(targets: Any, base: Model, tmp_path: Path) -> None:
    folder = make_adapter(tmp_path, base.folder, PLAIN)
    (folder / "adapter_config.json").write_text(json.dumps({**PLAIN, "target_modules": targets}))
    (note,) = [one for one in read_adapter(folder, base).notes if one.key == "adapter.note.left_alone"]
    assert note.values["count"] == 6
    assert "k_proj" in note.text()


@pytest.mark.parametrize("kind", ["PROMPT_TUNING", "PREFIX_TUNING", "ADAPTION_PROMPT", "XLORA", "NEW", ""])
def test_what_cannot_be_merged_is_refused_by_name(kind: str, base: Model, tmp_path: Path) -> None:
    found = refused(make_adapter(tmp_path, base.folder, {**PLAIN, "peft_type": kind}), base)
    assert (kind.lower() or "–") in found
    assert "lora, adalora" in found


def test_a_pickle_is_refused_with_what_to_type(base: Model, tmp_path: Path) -> None:
    folder = make_recorded(tmp_path / "it's $mine", base.folder, "unsloth")
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    found = refused(folder, base)
    assert "weights_only=True" in found
    assert r"it\'s \$mine" in found


def test_an_adapter_of_another_model_is_told(base: Model, tmp_path: Path) -> None:
    deeper = make_small_model(tmp_path / "other")
    folder = make_recorded(tmp_path / "adapter", deeper, "xtuner")
    wide = read_model(deeper)
    config = json.loads((deeper / "config.json").read_text())
    assert config["hidden_size"] == HIDDEN
    weights = load_file(deeper / "model.safetensors")
    weights["model.layers.1.self_attn.k_proj.weight"] = np.zeros((HIDDEN, HIDDEN), np.float32)
    del weights["model.layers.0.mlp.up_proj.weight"]
    save_file(weights, deeper / "model.safetensors")
    found = refused(folder, wide)
    assert "32 × 64 instead of 64 × 64" in found
    assert "2 weights belong to layers that other does not have" in found


@pytest.mark.parametrize("content", ["{", "[]", "3", ""])
def test_a_config_that_is_none_is_told(content: str, base: Model, tmp_path: Path) -> None:
    folder = make_recorded(tmp_path / "a", base.folder, "trl")
    (folder / "adapter_config.json").write_text(content)
    assert "adapter_config.json" in refused(folder, base)


def test_folders_that_hold_no_adapter_are_told(base: Model, tmp_path: Path) -> None:
    assert "no such folder" in refused(tmp_path / "nowhere", base)
    assert "adapter_config.json" in refused(tmp_path, base)
    assert "whole model" in refused(base.folder, base)
    folder = make_recorded(tmp_path / "a", base.folder, "trl")
    (folder / "adapter_model.safetensors").write_bytes(b"\x05")
    assert "safetensors" in refused(folder, base)
    (folder / "adapter_model.safetensors").unlink()
    assert "adapter_model.safetensors" in refused(folder, base)


def test_a_vocabulary_of_more_tokens_is_taken_with_its_embedding(base: Model, tmp_path: Path) -> None:
    folder = make_adapter(tmp_path / "a", base.folder, PLAIN)
    shutil.copy(base.folder / "tokenizer.json", folder)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    token = {**tokenizer["added_tokens"][-1], "id": VOCABULARY, "content": "<|mine|>"}
    tokenizer["added_tokens"].append(token)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert f"token number {VOCABULARY}" in refused(folder, base)
    name = f"{PREFIX}model.embed_tokens.weight"
    make_adapter(folder, base.folder, PLAIN, **{name: np.zeros((VOCABULARY + 1, HIDDEN), np.float32)})
    found = read_adapter(folder, base)
    assert found.rows == VOCABULARY + 1
    assert found.whole == ("model.embed_tokens.weight",)


def test_another_models_tokenizer_is_told(base: Model, tmp_path: Path) -> None:
    folder = make_adapter(tmp_path / "a", base.folder, PLAIN)
    text = (base.folder / "tokenizer.json").read_text().replace('"!": 3', '"!": 4', 1)
    (folder / "tokenizer.json").write_text(text)
    assert "tokenizer is a different one" in refused(folder, base)


def test_a_fitted_folder_speaks_as_the_adapter_was_trained(base: Model, tmp_path: Path) -> None:
    folder = make_recorded(tmp_path / "a", base.folder, "llama_factory")
    (folder / "chat_template.jinja").write_text(OTHER_TEMPLATE)
    adapter = read_adapter(folder, base)
    assert adapter.speaks
    made = fit(tmp_path / "fitted", base.folder, adapter, scale=0.5)
    own = template_of(template_name(made, base.model_type), made)
    assert own.asked("Hi", "", "").startswith("<|im_end|>user\nHi")
    found = fitted_in(made)
    assert found is not None
    assert (found.adapter, found.scale) == (str(folder), 0.5)


def test_a_fitted_folder_is_another_model_when_its_adapter_changes(base: Model, tmp_path: Path) -> None:
    folder = make_recorded(tmp_path / "a", base.folder, "trl")
    first = fingerprint(fit(tmp_path / "one", base.folder, read_adapter(folder, base)))
    assert first == fingerprint(fit(tmp_path / "one", base.folder, read_adapter(folder, base)))
    assert first != fingerprint(fit(tmp_path / "two", base.folder, read_adapter(folder, base), 0.9))
    make_adapter(folder, base.folder, PLAIN, size=0.06)
    assert first != fingerprint(fit(tmp_path / "three", base.folder, read_adapter(folder, base)))


def test_lora_is_among_what_can_be_merged() -> None:
    assert MERGED[0] == "lora"

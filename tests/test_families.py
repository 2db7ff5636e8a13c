"""Today's families: what is read of their files, what of each is trained, and what is refused."""

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from core.errors import ImportFirst, NotAModel
from core.models.families import COUNTS, TEXT_PARTS, is_converted, merged_dtype, odd_kinds, refusal, text_part
from core.models.folder import read_model, read_shape
from core.publish.llama_cpp import rope_of, rope_type
from core.recipe.memory import trainable
from core.recipe.method import places_of
from core.recipe.recipe import Recipe
from core.recipe.xtuner_config import write_config
from core.workspace.files import write_json
from tests.families import FAMILIES, TEMPLATES, Family, chat_template, make_tokenizer
from tests.small_model import make_small_model

MULTIMODAL = {"qwen3.5", "gemma3-4b", "gemma4", "ministral3"}
HIDDEN, INNER = 64, 96
ATTENTION = dict.fromkeys(("q_proj", "k_proj", "v_proj", "o_proj"), (HIDDEN, HIDDEN))
MLP = {"gate_proj": (INNER, HIDDEN), "up_proj": (INNER, HIDDEN), "down_proj": (HIDDEN, INNER)}
JOINED = {"gate_up_proj": (2 * INNER, HIDDEN), "down_proj": (HIDDEN, INNER)}
EXPERTS = {f"experts.{number}.{name}": size for number in range(4) for name, size in MLP.items()}


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_every_family_can_be_trained(family: Family) -> None:
    assert refusal(family.config) == ""
    assert is_converted(family.config) == (family.name in MULTIMODAL)
    assert (TEMPLATES / family.template).exists() and chat_template(family)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_a_special_token_is_one_token(family: Family) -> None:
    tokenizer = make_tokenizer(family)
    for token in filter(None, (*family.special, family.eos, family.bos, family.pad)):
        assert len(tokenizer.encode(token, add_special_tokens=False).ids) == 1, token


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"text_config": {"model_type": "unheard_of"}, "vision_config": {}}, "multimodal"),
        ({"text_config": {"model_type": "gemma3_text", "num_experts": 8}}, "mixture of experts"),
        ({"model_type": "mixtral", "num_local_experts": 8}, "mixture of experts"),
    ],
)
def test_what_is_refused(config: dict[str, Any], word: str) -> None:
    assert word in refusal({"architectures": ["XForCausalLM"], **config})


def test_the_text_part_of_a_multimodal_config() -> None:
    for name in MULTIMODAL:
        config = FAMILIES[name].config
        found = text_part({**config, "eos_token_id": 7, "tie_word_embeddings": False}) or {}
        assert found["architectures"] == [TEXT_PARTS[found["model_type"]]]
        assert found["eos_token_id"] == 7
        # What the text part says of itself counts.
        own = config["text_config"].get("tie_word_embeddings", False)
        assert found["tie_word_embeddings"] == own
        assert found["num_hidden_layers"] == config["text_config"]["num_hidden_layers"]
        assert "vision_config" not in found
    assert text_part(FAMILIES["qwen3"].config) is None


@pytest.mark.parametrize("name", sorted(MULTIMODAL))
def test_what_is_counted_beside_the_text_part_is_nobody_s(name: str) -> None:
    config = FAMILIES[name].config
    beside = {**config, **dict.fromkeys(COUNTS)}
    assert odd_kinds(beside) == [] and refusal(beside) == "" and is_converted(beside)
    assert odd_kinds({**config, "text_config": {**config["text_config"], "vocab_size": None}}) == [
        "vocab_size"
    ]


def test_a_multimodal_folder_is_imported_first(tmp_path: Path) -> None:
    folder = make_small_model(tmp_path / "m")
    write_json(folder / "config.json", FAMILIES["gemma3-4b"].config)
    with pytest.raises(ImportFirst, match="its text part"):
        read_model(folder)


def layers(folder: Path, parts: dict[str, tuple[int, int]], **config: Any) -> Path:
    """A folder with two layers of these weights."""
    make_small_model(folder, hidden_size=HIDDEN, intermediate_size=INNER, **config)
    weights = {f"model.layers.{n}.{name}.weight": size for n in range(2) for name, size in parts.items()}
    save_file(
        {name: np.zeros(size, np.float32) for name, size in weights.items()}, folder / "model.safetensors"
    )
    return folder


def named(**groups: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    return {f"{group}.{name}": size for group, parts in groups.items() for name, size in parts.items()}


@pytest.mark.parametrize(
    ("parts", "targets", "matrices"),
    [
        (named(self_attn=ATTENTION, mlp=MLP), ("gate_proj", "up_proj", "down_proj"), MLP),
        (named(self_attn={"qkv_proj": (192, HIDDEN)}, mlp=JOINED), ("gate_up_proj", "down_proj"), JOINED),
        (named(self_attn=ATTENTION, mlp={**EXPERTS, "gate": (4, HIDDEN)}), (), ATTENTION),
        (named(self_attn=ATTENTION, mlp={"router": (4, HIDDEN)}), (), ATTENTION),
    ],
    ids=["an MLP", "a joined MLP", "experts", "experts in one tensor"],
)
def test_what_lora_is_added_to(
    tmp_path: Path, parts: dict[str, tuple[int, int]], targets: tuple[str, ...], matrices: dict[str, Any]
) -> None:
    """The same layers as XTuner finds once the model is loaded: experts are no linear layers there."""
    model = read_model(layers(tmp_path / "m", parts, model_type="qwen3_moe", num_experts=4))
    places = places_of("lora", model)
    assert places["target_modules"] == targets
    recipe = Recipe(model="m", data="d", rank=8, target_modules=targets)
    assert trainable(recipe, model, read_shape(model)) == 2 * 8 * sum(sum(size) for size in matrices.values())


def test_the_shape_of_what_is_not_like_llama(tmp_path: Path) -> None:
    wide = layers(tmp_path / "heads", named(mlp=MLP), head_dim=48, num_attention_heads=4)
    assert read_shape(read_model(wide)).queries == 192
    mixture = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 40}
    of_experts = layers(tmp_path / "experts", named(mlp=EXPERTS), model_type="qwen3_moe", **mixture)
    assert read_shape(read_model(of_experts)).intermediate == 80
    doubled = {**MLP, "up_proj": (2 * INNER, HIDDEN)}
    assert read_shape(read_model(layers(tmp_path / "wide", named(mlp=doubled)))).intermediate == 2 * INNER


def test_attention_that_is_computed_in_one_way_only(tmp_path: Path) -> None:
    folder = make_small_model(tmp_path / "m", model_type="gpt_oss", num_local_experts=4)
    recipe = Recipe(model=str(folder), data="d", template="qwen_chat", device="cuda", precision="bf16")
    config = write_config(recipe, Path("d"), folder, tmp_path)
    assert 'attn_implementation="eager"' in config and ast.parse(config)
    assert 'attn_implementation="sdpa"' in write_config(
        recipe, Path("d"), make_small_model(tmp_path / "n"), tmp_path
    )


@pytest.mark.parametrize(
    ("model_type", "dtype"),
    [("llama", "float16"), ("qwen3", "float16"), ("gemma3_text", "bfloat16"), ("glm4", "bfloat16")],
)
def test_merged_weights_are_of_a_type_that_holds_the_model_s_numbers(model_type: str, dtype: str) -> None:
    assert merged_dtype(model_type) == dtype


@pytest.mark.parametrize(
    ("config", "base", "kind"),
    [
        ({}, 10000.0, "default"),
        ({"rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, 5e5, "llama3"),
        ({"rope_theta": 5e5, "rope_scaling": None}, 5e5, "default"),
        ({"rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}}, 1e6, "default"),
        ({"rope_parameters": {"rope_theta": 5e5, "rope_type": "llama3", "factor": 8.0}}, 5e5, "llama3"),
    ],
)
def test_rotary_positions_as_either_transformers_writes_them(
    config: dict[str, Any], base: float, kind: str
) -> None:
    assert (rope_of(config)["rope_theta"], rope_type(config)) == (base, kind)


def test_a_model_without_a_known_tokenizer_is_none(tmp_path: Path) -> None:
    folder = make_small_model(tmp_path / "m", model_type="chatglm", auto_map={"AutoModel": "x.Y"})
    with pytest.raises(NotAModel, match="code"):
        read_model(folder)

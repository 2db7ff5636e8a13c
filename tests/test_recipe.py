"""The Recipe: its limits, its YAML, its problems all at once."""

import json
import random
import sys
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from core import machine
from core.errors import InvalidRecipe, NoSuchFile
from core.machine import Gpu, Machine
from core.models.folder import Model
from core.recipe.check import problems, settle
from core.recipe.recipe import OLD_NAMES, Problem, Recipe, from_yaml, level, parse, to_yaml
from core.recipe.templates import TEMPLATES
from core.wording import Language, sentences

MINIMAL = {"model": "模型/m", "data": "数据.json"}
CPU = Machine(cores=2, memory=8 << 30, bf16=False, gpus=())
FAST_CPU = Machine(cores=2, memory=8 << 30, bf16=True, gpus=())
GPU = Machine(cores=8, memory=64 << 30, bf16=False, gpus=(Gpu(0, "H100", 80 << 30, 79 << 30),))
OF_AN_EARLIER_VERSION = Path(__file__).parent / "recorded" / "recipe_before_0.1.0.yaml"
FIELDS = [field.name for field in fields(Recipe)]

# For each field, values that are fine and values that are not.
VALUES: dict[str, tuple[list[Any], list[Any]]] = {
    "model": (["m", "/路径/a b", "x" * 4000], ["", None, 5, ["m"]]),
    "data": (["d.json", "{x}.json"], ["", None, 5]),
    "template": (["auto", *TEMPLATES], [None, 5]),
    "template_reason": (["", "the model's own puts in a prompt"], [None, 5]),
    "system": (["", "你是{name}", "a\nb", "# no comment: 'x' \"y\" \\"], [None, 5, "half \ud83d"]),
    "max_length": ([16, 2048, 1_048_576], [15, 1_048_577, 0, -1, 2.5, "long", None]),
    "batch_size": ([1, 4096], [0, 4097, 1.5, "many", None]),
    "gradient_accumulation_steps": ([1, 16], [0, 4097, None]),
    "iterations": ([1, 160, None], [0, -1, 1.5, 10**9, "x"]),
    "epochs": ([1, 1000, None], [0, 1001, 0.5, "x"]),
    "method": (["lora", "dora", "rslora", "pissa", "full"], ["qlora", "", None, 1]),
    "lr": ([1e-9, 3e-4, 1, "1e-4"], [0, -1e-4, 1.1, "fast", None, float("nan"), float("inf")]),
    "rank": ([1, 64, 1024], [0, 1025, 1.5]),
    "alpha": ([0.5, 16, 128.0], [0, -1, float("inf"), float("nan"), "x"]),
    "dropout": ([0, 0.1, 0.99], [1, -0.1, float("nan"), "x"]),
    "quantization": (["none", "nf4", "int8"], ["int4", "", None, 4]),
    "save_every": ([1, 500, None], [0]),
    "evaluate_every": ([1, 500, None], [0, -5]),
    "evaluation_questions": ([[], ["你是谁？", "{x} 'y' \"z\" \\"], ("a",)], ["one", [5], None]),
    "seed": ([0, 42, 2**32 - 1], [-1, 2**32, 1.5, None]),
    "device": (["auto", "cpu", "cuda"], ["gpu", "cuda:0", None]),
    "precision": (["auto", "fp32", "bf16", "fp16"], ["float32", None]),
    "target_modules": ([[], ["q_proj", "v_proj"]], ["q_proj", [1], None]),
    "layers_to_transform": ([[], [0, 29]], [[-1], 3, ["x"], None]),
    "begins_with": (["", "/data/an adapter.pth"], [None, 5]),
    "shuffle": ([True, False], ["maybe", None]),
    "replay_distillation": ([True, False], ["maybe", None]),
    "pack": ([True, False], ["maybe", None, 2]),
    "group_by_length": ([True, False], ["maybe", None]),
    "optimizer": (["adamw", "adamw_8bit", "paged_adamw_32bit", "paged_adamw_8bit"], ["sgd", None]),
    "weight_decay": ([0, 0.1], [-0.1, float("inf"), float("nan")]),
    "betas": ([[0.9, 0.999], (0, 0)], [[0.9], [0.9, 1], [0.9, 0.9, 0.9], 0.9, None]),
    "max_grad_norm": ([0.1, 1], [0, -1, float("inf")]),
    "schedule": (["cosine", "linear", "constant"], ["step", None]),
    "warmup_ratio": ([0, 0.03, 0.99], [1, -0.1]),
    "activation_checkpointing": ([True, False], ["maybe"]),
    "checkpointed_layers": ([1, 32, None], [0, -1, 1.5, "x"]),
    "offload": ([True, False], ["maybe", None]),
    "accelerate": (["auto", "on", "off", "unsloth"], ["fast", None, 5]),
    "compile": (["auto", "none", "kernels", "layers"], ["model", None]),
    "cuda_graph": (["auto", "on", "off"], ["maybe", None]),
    "attention": (["auto", "cudnn", "flash"], ["sdpa", None]),
    "padding_free": ([True, False], ["maybe", None]),
    "deepspeed": (["none", "zero1", "zero2", "zero2_offload", "zero3", "zero3_offload"], ["zero4"]),
    "devices": ([1, 64], [0, 65]),
    "cards": ([[], [0, 3]], [[-1], ["a"], 0]),
    "nodes": ([1, 1024], [0, 1025]),
    "keep_checkpoints": ([2, 10], [0, 1, -1]),
    "checkpoint": (["last", "best"], ["first", "", None, 5]),
    "stop_when_learned": ([True, False], ["maybe", None]),
    "evaluation_tokens": ([1, 4096], [0, 4097]),
    "log_every": ([1, 10], [0]),
    "dataloader_workers": ([0, 64], [-1, 65]),
}


def model(**changes: Any) -> Model:
    values: dict[str, Any] = {
        "folder": Path("/m"),
        "architecture": "LlamaForCausalLM",
        "model_type": "llama",
        "parameters": 1,
        "size": 1,
        "layers": 30,
        "max_length": 2048,
        "chat_template": "<|im_start|>",
        "quantization": None,
    }
    return Model(**(values | changes))


@pytest.mark.parametrize(
    "other", [{"replay_distillation": True}, {"dropout": 0.1}, {"offload": True}], ids=str
)
def test_a_cuda_graph_that_cannot_be_recorded_is_a_problem(other: dict[str, Any], tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.touch()  # of which nobody has asked the base
    recipe = Recipe(model="m", data=str(rows), template="qwen_chat", cuda_graph="on")
    machine = Machine(2, 2**34, False, ())
    assert problems(recipe, machine, model()) == []
    (found,) = problems(recipe.changed(**other), machine, model())
    assert (found.field, found.key) == ("cuda_graph", "not_recordable")
    assert problems(recipe.changed(**other, cuda_graph="auto"), machine, model()) == []


UNSLOTH = Recipe(model="m", data="d", template="qwen_chat", accelerate="unsloth")
WITH_A_GPU = Machine(2, 2**34, False, (Gpu(0, "H100", 80 * 2**30, 80 * 2**30),))


def test_unsloth_that_is_not_here_is_a_problem_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.recipe.unsloth.find_spec", lambda _: None)
    (found,) = problems(UNSLOTH, WITH_A_GPU, model())
    assert (found.field, found.key) == ("accelerate", "no_unsloth")
    for language in ("en", "zh"):
        assert 'pip install "unsloth==2026.10.9"' in found.text(language) and "datasets" in found.text(
            language
        )


@pytest.mark.parametrize("good", [{}, {"quantization": "nf4"}, {"precision": "bf16", "pack": True}], ids=str)
def test_what_unsloth_trains(good: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.recipe.unsloth.find_spec", lambda _: object())
    recipe = UNSLOTH.changed(**good)
    assert problems(recipe, WITH_A_GPU, model()) == []
    settled = settle(recipe, WITH_A_GPU, model())
    assert (settled.accelerate, settled.compile, settled.cuda_graph) == ("unsloth", "none", "off")
    assert settle(recipe.changed(accelerate="auto"), WITH_A_GPU, model()).accelerate == "on"


def test_every_problem_of_unsloth_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a processor, of a model it is not taken for, with everything that does not go with it."""
    monkeypatch.setattr("core.recipe.unsloth.find_spec", lambda _: object())
    bad = UNSLOTH.changed(
        deepspeed="zero2",
        quantization="int8",
        precision="fp16",
        replay_distillation=True,
        target_modules=("q_proj", "lm_head"),
    )
    places = {
        ("accelerate", "unsloth_model"),
        *((name, "not_with_unsloth") for name in ("deepspeed", "quantization", "precision")),
        *((name, "not_with_unsloth") for name in ("replay_distillation", "target_modules")),
    }
    found = problems(bad, WITH_A_GPU, model(architecture="GemmaForCausalLM"))
    assert {(one.field, one.key) for one in found} == places
    on_a_processor = problems(UNSLOTH, Machine(2, 2**34, False, ()), model())
    assert [(one.field, one.key) for one in on_a_processor] == [("accelerate", "no_gpu")]


def test_the_table_has_every_field() -> None:
    assert list(VALUES) == FIELDS


@pytest.mark.parametrize(
    ("field", "value"), [(name, value) for name, (good, _) in VALUES.items() for value in good]
)
def test_what_a_field_takes(field: str, value: Any, tmp_path: Path) -> None:
    recipe = parse({**MINIMAL, field: value})
    found = getattr(recipe, field)
    assert found == (tuple(value) if isinstance(value, list) else float(value) if field == "lr" else value)
    file = tmp_path / "recipe.yaml"
    file.write_text(to_yaml(recipe), encoding="utf-8")
    assert from_yaml(file) == recipe


@pytest.mark.parametrize(
    ("field", "value"), [(name, value) for name, (_, bad) in VALUES.items() for value in bad]
)
def test_what_a_field_refuses(field: str, value: Any) -> None:
    with pytest.raises(InvalidRecipe) as caught:
        parse({**MINIMAL, field: value})
    (problem,) = caught.value.values["found"]  # type: ignore[misc]
    assert problem.field.split(".")[0] == field
    assert problem.text("en").startswith(f"{problem.field}: ")
    assert problem.text("zh").startswith(f"{problem.field}：")


def test_a_recipe_of_an_earlier_version_opens() -> None:
    recipe = from_yaml(OF_AN_EARLIER_VERSION)
    assert (recipe.gradient_accumulation_steps, recipe.max_grad_norm, recipe.replay_distillation) == (
        4,
        0.5,
        True,
    )
    assert not set(OLD_NAMES) & set(FIELDS)
    assert not any(f"\n{old}:" in to_yaml(recipe) for old in OLD_NAMES), "it is written under today's names"


def test_a_field_under_two_names_is_a_problem() -> None:
    with pytest.raises(InvalidRecipe) as caught:
        parse({**MINIMAL, "max_norm": 1.0, "max_grad_norm": 1.0, "accumulation": 2})
    (problem,) = caught.value.values["found"]  # type: ignore[misc]
    assert (problem.field, problem.key) == ("max_norm", "under_two_names")
    assert "max_grad_norm" in problem.text("en") and "max_grad_norm" in problem.text("zh")


def test_all_problems_at_once_each_beside_its_field() -> None:
    with pytest.raises(InvalidRecipe) as caught:
        parse({"data": "d", "lr": -1, "rank": 0, "quantization": "int4", "colour": "red", "betas": [2, 0.9]})
    found = {p.field: p.key for p in caught.value.values["found"]}  # type: ignore[attr-defined]
    assert found == {
        "model": "missing",
        "lr": "greater_than",
        "rank": "greater_than_equal",
        "quantization": "not_one_of",
        "colour": "unknown_field",
        "betas.0": "less_than",
    }
    text = caught.value.text("en")
    assert all(f"  - {field}: " in text for field in found)
    assert "at least 1" in text and "'none', 'nf4' or 'int8'" in text


def test_chinese_problems_are_chinese() -> None:
    bad = {**MINIMAL, "lr": "fast", "batch_size": 1.5, "pack": "maybe", "system": 5, "betas": 1, "model": ""}
    with pytest.raises(InvalidRecipe) as caught:
        parse(bad)
    for problem in caught.value.values["found"]:  # type: ignore[attr-defined]
        assert "Input should" not in problem.text("zh") and problem.key != "wrong_type", problem


@pytest.mark.parametrize("values", [None, 5, "text", [], [1]])
def test_what_is_no_recipe_at_all(values: Any) -> None:
    with pytest.raises(InvalidRecipe, match="recipe"):
        parse(values)


TEXT = "aé中👩‍🔧{}'\"\\#:-*&!|>%@`,[]?~ \n\t\u2028\u2029\x85\ufeff\u200b0"


def any_recipe(seed: int) -> Recipe:
    """Of good values and any text."""
    choose = random.Random(seed)

    def text() -> str:
        return "".join(choose.choices(TEXT, k=choose.randint(1, 30)))

    values = {name: choose.choice(good) for name, (good, _) in VALUES.items()}
    values |= {"model": text(), "data": text(), "system": text(), "evaluation_questions": [text(), text()]}
    return parse({**values, "lr": choose.choice([10 ** choose.uniform(-9, 0), 5e-324, 1e-05])})


@pytest.mark.parametrize("language", ["en", "zh"])
def test_yaml_there_and_back(language: Language, tmp_path: Path) -> None:
    """Any of 200 recipes comes back as it was."""
    file = tmp_path / "recipe.yaml"

    def comes_back(recipe: Recipe) -> bool:
        file.write_text(to_yaml(recipe, language), encoding="utf-8")
        return from_yaml(file) == recipe

    assert not [seed for seed in range(200) if not comes_back(any_recipe(seed))]


@pytest.mark.parametrize(
    "text", ["yes", "null", "~", "1e5", "0x10", "2026-01-01", "- a", "a: b", "#", "", "!!x"]
)
def test_text_that_yaml_would_read_as_something_else(text: str, tmp_path: Path) -> None:
    recipe = parse({**MINIMAL, "system": text, "evaluation_questions": [text]})
    file = tmp_path / "recipe.yaml"
    file.write_text(to_yaml(recipe), encoding="utf-8")
    assert from_yaml(file) == recipe


def test_yaml_says_what_each_field_is() -> None:
    for language in ("en", "zh"):
        text = to_yaml(parse(MINIMAL), language)  # type: ignore[arg-type]
        for name in FIELDS:
            assert f"# {sentences(language)[f'recipe.{name}']}\n{name}:" in text  # type: ignore[arg-type]
    assert list(yaml.safe_load(text)) == FIELDS


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"", "NoneType"),
        (b"- a\n", "list"),
        (b"just text", "str"),
        (b"model: [a\n", "line 2"),
        (b"model: a\n  data: b\n", "line 2"),
        (b"model: !!python/object/apply:os.system ['echo hi']\n", "python/object/apply"),
        (b"model: \xff\n", "utf-8"),
        (b"model: a\n\tdata: c", "line 2"),
        (b"model: 2026-99-99\n", "month"),
        (b"[" * 5000, "recursion"),
    ],
)
def test_a_file_that_is_no_recipe(content: bytes, place: str, tmp_path: Path) -> None:
    file = tmp_path / "配方 a.yaml"
    file.write_bytes(content)
    with pytest.raises(InvalidRecipe) as caught:
        from_yaml(file)
    assert str(file) in str(caught.value) and place in str(caught.value)


def test_places_that_are_no_file(tmp_path: Path) -> None:
    with pytest.raises(NoSuchFile):
        from_yaml(tmp_path / "nothing.yaml")
    with pytest.raises(InvalidRecipe):
        from_yaml(tmp_path)


def test_a_recipe_cannot_be_changed_in_place() -> None:
    recipe = parse(MINIMAL)
    with pytest.raises(AttributeError):
        recipe.lr = 1.0  # type: ignore[misc]
    assert recipe.changed(lr=1.0).lr == 1.0 and recipe.lr == 3e-4
    assert len({recipe, parse(MINIMAL)}) == 1
    assert json.loads(json.dumps(asdict(recipe)))["evaluation_questions"]


def test_levels() -> None:
    assert level("lr") == "basic" and level("betas") == "advanced"


# --- what a machine and a model add ---


def keys(found: list[Problem]) -> set[tuple[str, str]]:
    return {(problem.field, problem.key) for problem in found}


@pytest.mark.parametrize(
    ("changes", "machine", "about", "expected"),
    [
        ({}, CPU, {}, set()),
        ({}, GPU, {}, set()),
        ({"epochs": 1}, CPU, {}, {("iterations", "iterations_or_epochs")}),
        ({"iterations": None}, CPU, {}, {("iterations", "iterations_or_epochs")}),
        ({"iterations": None, "epochs": 3}, CPU, {}, set()),
        ({"template": "qwen"}, CPU, {}, {("template", "not_one_of")}),
        ({"system": "<|im_end|>"}, CPU, {}, {("system", "special_text")}),
        ({"system": "x<eoa>"}, CPU, {}, {("system", "special_text")}),
        ({"system": "[INST] x"}, CPU, {}, {("system", "special_text")}),
        ({"system": "a <| b, {x} </b>"}, CPU, {}, set()),
        ({"system": "a\x00b"}, CPU, {}, {("system", "special_text")}),
        ({"system": "a\nb\tc"}, CPU, {}, set()),
        ({"device": "cuda"}, CPU, {}, {("device", "no_gpu")}),
        ({"device": "cuda"}, GPU, {}, set()),
        ({"quantization": "nf4"}, CPU, {}, {("quantization", "no_gpu")}),
        ({"quantization": "nf4"}, GPU, {}, set()),
        ({"quantization": "nf4", "device": "cpu"}, GPU, {}, {("quantization", "no_gpu")}),
        (
            {
                "quantization": "int8",
                "deepspeed": "zero3_offload",
                "optimizer": "adamw_8bit",
                "precision": "fp16",
            },
            CPU,
            {},
            {(name, "no_gpu") for name in ("quantization", "deepspeed", "optimizer", "precision")},
        ),
        ({"quantization": "nf4"}, GPU, {"quantization": "gptq"}, {("quantization", "already_quantized")}),
        ({}, GPU, {"quantization": "gptq"}, set()),
        ({"max_length": 4096}, CPU, {}, {("max_length", "longer_than_model")}),
        ({"max_length": 4096}, CPU, {"max_length": 0}, set()),
        ({"method": "full"}, CPU, {}, set()),
        ({"method": "full", "precision": "fp16"}, GPU, {}, set()),
        ({"method": "full", "precision": "bf16"}, GPU, {}, set()),
        ({"method": "full", "precision": "bf16"}, CPU, {}, {("precision", "not_with_method")}),
        (
            {
                "method": "full",
                "quantization": "nf4",
                "dropout": 0.1,
                "target_modules": ["q_proj"],
                "layers_to_transform": [0],
                "replay_distillation": True,
                "deepspeed": "zero3",
            },
            GPU,
            {},
            {
                (name, "not_with_method")
                for name in (
                    "quantization",
                    "dropout",
                    "target_modules",
                    "layers_to_transform",
                    "replay_distillation",
                )
            },
        ),
        ({"method": "full", "replay_distillation": True, "deepspeed": "zero2"}, GPU, {}, set()),
        ({"method": "dora", "quantization": "nf4"}, GPU, {}, set()),
        ({"method": "dora", "quantization": "int8"}, GPU, {}, set()),
        ({"method": "rslora", "quantization": "nf4"}, GPU, {}, set()),
        ({"method": "pissa", "quantization": "nf4"}, GPU, {}, {("quantization", "not_with_method")}),
        ({"method": "pissa", "deepspeed": "zero3"}, GPU, {}, {("deepspeed", "not_with_method")}),
        ({"method": "pissa", "deepspeed": "zero2"}, GPU, {}, set()),
    ],
)
def test_problems_with_a_machine_and_a_model(
    changes: dict[str, Any], machine: Machine, about: dict[str, Any], expected: set[tuple[str, str]]
) -> None:
    found = problems(parse({**MINIMAL, **changes}), machine, model(**about))
    assert keys(found) == expected
    for problem in found:
        assert problem.text("en") != problem.text("zh")


@pytest.mark.parametrize(
    ("changes", "machine", "about", "settled"),
    [
        ({}, CPU, {}, ("cpu", "fp32", "qwen_chat")),
        ({}, FAST_CPU, {}, ("cpu", "bf16", "qwen_chat")),
        ({"method": "full"}, FAST_CPU, {}, ("cpu", "fp32", "qwen_chat")),
        ({"method": "full"}, GPU, {}, ("cuda", "bf16", "qwen_chat")),
        ({}, GPU, {}, ("cuda", "bf16", "qwen_chat")),
        ({"device": "cpu", "precision": "fp32"}, GPU, {}, ("cpu", "fp32", "qwen_chat")),
        ({}, CPU, {"model_type": "internlm2"}, ("cpu", "fp32", "internlm2_chat")),
        ({}, CPU, {"chat_template": "<eoh>"}, ("cpu", "fp32", "internlm_chat")),
        ({}, CPU, {"chat_template": "<|start_header_id|>"}, ("cpu", "fp32", "llama3_chat")),
        ({}, CPU, {"chat_template": "[INST]"}, ("cpu", "fp32", "mistral")),
        ({}, CPU, {"chat_template": ""}, ("cpu", "fp32", "default")),
        ({"template": "llama3_chat"}, CPU, {}, ("cpu", "fp32", "llama3_chat")),
    ],
)
def test_auto_is_replaced_by_what_it_means_here(
    changes: dict[str, Any], machine: Machine, about: dict[str, Any], settled: tuple[str, str, str]
) -> None:
    recipe = parse({**MINIMAL, **changes})
    found = settle(recipe, machine, model(**about))
    assert (found.device, found.precision, found.template) == settled
    assert "auto" not in asdict(found).values()
    assert settle(found, machine, model(**about)) == found


def test_the_largest_numbers_are_numbers() -> None:
    assert parse({**MINIMAL, "iterations": 10_000_000}).iterations == 10_000_000
    with pytest.raises(InvalidRecipe):
        parse({**MINIMAL, "iterations": sys.maxsize})


def test_a_misspelt_field_is_told_which_was_meant() -> None:
    with pytest.raises(InvalidRecipe) as raised:
        parse({"model": "m", "data": "d", "max_lenght": 4, "zzzz": 1})
    found = {problem.field: problem.text("en") for problem in raised.value.values["found"]}
    assert found["max_lenght"].endswith("did you mean max_length?") and "no such field" in found["zzzz"]


@pytest.mark.parametrize(
    ("flags", "faster"),
    [
        ({"GenuineIntel", "avx512f", "avx512_bf16", "amx_bf16"}, True),
        ({"GenuineIntel", "avx512f", "avx512_bf16"}, False),
        ({"AuthenticAMD", "avx512f", "avx512_bf16"}, True),
        ({"GenuineIntel", "avx2"}, False),
    ],
)
def test_a_processor_trains_in_bfloat16_where_that_is_faster(flags: set[str], faster: bool) -> None:
    """AVX-512 of Intel's multiplies it at half of float32's speed."""
    assert machine._is_faster_in_bf16(flags) is faster

"""XTuner's config file: every field reaches it, every text survives it, and mmengine loads it."""

import ast
import builtins
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from core.recipe.recipe import Method, Recipe
from core.recipe.xtuner_config import write_config
from core.steps import train
from core.workspace.paths import RunPaths
from tests.test_data_conversations import ODD_TEXTS

DATA, MODEL, WORK = (
    Path("/工作 区/a b/rows.jsonl"),
    Path("/模型/m 'x' \"y\""),
    Path("/run/{x}/train/work_dir"),
)
BASE = Recipe(
    model="unused",
    data="unused",
    template="qwen_chat",
    device="cuda",
    precision="bf16",
    evaluate_every=50,
)
ODD_PATHS = [
    "a b/工作 区",
    'it\'s "quoted"',
    "back\\slash",
    "{x} %s $HOME #1",
    "[work] * ? x",
    "é e\u0301 👩‍🔧",
]


class Named:
    """What an import in the config stands for: its dotted name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, name: str) -> "Named":
        if name.startswith("__"):
            raise AttributeError(name)
        return Named(f"{self.name}.{name}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Named) and other.name == self.name

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return self.name


def run(text: str) -> dict[str, Any]:
    """The config as Python sees it, every import replaced by its name."""
    spare = {**vars(builtins), "__import__": lambda name, *_: Named(name)}
    space: dict[str, Any] = {"__builtins__": spare}
    exec(compile(text, "config.py", "exec"), space)  # noqa: S102
    return {name: value for name, value in space.items() if name != "__builtins__"}


def config(recipe: Recipe = BASE, data: Path = DATA, model: Path = MODEL, **changes: Any) -> dict[str, Any]:
    return run(write_config(recipe.changed(**changes), data, model, WORK))


def look(found: Any, place: str) -> Any:
    for step in place.split("."):
        found = found[int(step)] if step.isdigit() else found[step]
    return found


# Field → the value asked for, where it stands, and what must stand there.
REACHES: dict[str, tuple[Any, str, Any]] = {
    "template": ("llama3_chat", "prompt_template", Named("xtuner.utils.PROMPT_TEMPLATE.llama3_chat")),
    "system": ("你是 {x}", "SYSTEM", "你是 {x}"),
    "max_length": (1024, "train_dataset.max_length", 1024),
    "batch_size": (3, "train_dataloader.batch_size", 3),
    "gradient_accumulation_steps": (7, "optim_wrapper.accumulative_counts", 7),
    "iterations": (777, "train_cfg.max_iters", 777),
    "epochs": (5, "train_cfg.max_epochs", 5),
    "method": ("dora", "model.lora.use_dora", True),
    "lr": (1.5e-5, "optim_wrapper.optimizer.lr", 1.5e-5),
    "rank": (64, "model.lora.r", 64),
    "alpha": (12.5, "model.lora.lora_alpha", 12.5),
    "dropout": (0.1, "model.lora.lora_dropout", 0.1),
    "quantization": ("nf4", "model.llm.quantization_config.load_in_4bit", True),
    "save_every": (33, "default_hooks.checkpoint.interval", 33),
    "evaluate_every": (44, "custom_hooks.1.every_n_iters", 44),
    "evaluation_questions": (
        ("q {1}", "'q' \"2\""),
        "custom_hooks.1.evaluation_inputs",
        ["q {1}", "'q' \"2\""],
    ),
    "seed": (7, "randomness.seed", 7),
    "device": ("cpu", "env_cfg.dist_cfg.backend", "gloo"),
    "precision": ("fp16", "model.llm.torch_dtype", Named("torch.float16")),
    "target_modules": (("q_proj",), "model.lora.target_modules", ["q_proj"]),
    "layers_to_transform": ((1, 2), "model.lora.layers_to_transform", [1, 2]),
    "begins_with": ("/a b/it's.pth", "model.peft_model", "/a b/it's.pth"),
    "shuffle": (False, "train_dataloader.sampler.shuffle", False),
    "replay_distillation": (True, "replay_distillation", True),
    "pack": (True, "train_dataset.pack_to_max_length", True),
    "group_by_length": (
        True,
        "train_dataloader.sampler.type",
        Named("xtuner.dataset.samplers.LengthGroupedSampler"),
    ),
    "optimizer": (
        "paged_adamw_32bit",
        "optim_wrapper.optimizer.type",
        Named("bitsandbytes.optim.PagedAdamW32bit"),
    ),
    "weight_decay": (0.2, "optim_wrapper.optimizer.weight_decay", 0.2),
    "betas": ((0.8, 0.95), "optim_wrapper.optimizer.betas", (0.8, 0.95)),
    "max_grad_norm": (0.5, "optim_wrapper.clip_grad.max_norm", 0.5),
    "schedule": ("constant", "param_scheduler.1.type", Named("mmengine.optim.ConstantLR")),
    "warmup_ratio": (0.25, "param_scheduler.0.end", 40),
    "activation_checkpointing": (True, "model.use_activation_checkpointing", True),
    "checkpointed_layers": (7, "acceleration.checkpointed_layers", 7),
    "offload": (True, "acceleration.offload", True),
    "accelerate": ("on", "optim_wrapper.optimizer.fused", True),
    "compile": ("kernels", "acceleration.compile", "kernels"),
    "cuda_graph": ("on", "acceleration.cuda_graph", True),
    "attention": ("cudnn", "acceleration.attention", "cudnn"),
    "padding_free": (False, "acceleration.padding_free", False),
    "keep_checkpoints": (4, "default_hooks.checkpoint.max_keep_ckpts", 4),
    "stop_when_learned": (True, "stop_when_learned", True),
    "evaluation_tokens": (99, "custom_hooks.1.max_new_tokens", 99),
    "log_every": (5, "default_hooks.logger.interval", 5),
    "dataloader_workers": (2, "train_dataloader.num_workers", 2),
}
# These reach XTuner another way, each with a test of its own below.
BY_ARGUMENT = {"model", "data", "deepspeed", "devices", "nodes", "cards"}
# Said to whoever launches, and to whoever reads the recipe.
OF_THE_LAUNCH = {"template_reason", "checkpoint"}


def test_the_table_has_every_field() -> None:
    assert {field.name for field in fields(Recipe)} == set(REACHES) | BY_ARGUMENT | OF_THE_LAUNCH


@pytest.mark.parametrize("field", REACHES)
def test_every_field_reaches_the_config(field: str) -> None:
    value, place, expected = REACHES[field]
    changes = {field: value} | ({"iterations": None} if field == "epochs" else {})
    given: dict[str, Any] = {}
    if place.startswith("acceleration"):
        given = {"accelerate": "on", "activation_checkpointing": True}
    try:
        before = look(config(**given), place)
    except KeyError:
        before = None
    after = look(config(**given | changes), place)
    assert after == expected and before != expected


@pytest.mark.parametrize(
    ("method", "asked"),
    [
        ("lora", {}),
        ("dora", {"use_dora": True}),
        ("rslora", {"use_rslora": True}),
        ("pissa", {"init_lora_weights": "pissa"}),
    ],
)
def test_a_variant_is_what_peft_calls_it(method: Method, asked: dict[str, Any]) -> None:
    plain, found = config()["model"]["lora"], config(method=method)["model"]["lora"]
    assert {name: value for name, value in found.items() if plain.get(name) != value} == asked


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_all_weights_are_float32_and_there_is_no_lora(device: str) -> None:
    """A step's change is smaller than the last bit of a bfloat16 weight."""
    found = config(method="full", device=device, precision="bf16" if device == "cuda" else "fp32")
    assert "lora" not in found["model"] and "LoraConfig" not in found
    assert found["model"]["llm"]["torch_dtype"] == Named("torch.float32")
    wrapper = found["optim_wrapper"]
    assert (wrapper.get("dtype"), wrapper["optimizer"].get("fused")) == (
        ("bfloat16", True) if device == "cuda" else (None, None)
    )


def test_unsloth_is_asked_for_by_name() -> None:
    found = config(accelerate="unsloth")
    assert found["acceleration"] == "unsloth" and look(found, "model.llm.device_map") == "cuda"
    assert "fused" not in found["optim_wrapper"]["optimizer"]


def test_model_and_data_are_where_they_are_used() -> None:
    found = config()
    assert found["pretrained_model_name_or_path"] == str(MODEL)
    for place in ("tokenizer", "model.llm"):
        assert look(found, place)["pretrained_model_name_or_path"] == str(MODEL)
    assert look(found, "train_dataset.dataset.data_files.train") == str(DATA)
    assert found["work_dir"] == str(WORK)


@pytest.mark.parametrize("stage", ["zero1", "zero2", "zero2_offload", "zero3", "zero3_offload"])
def test_deepspeed_is_asked_for_on_the_command_line(tmp_path: Path, stage: str) -> None:
    run_paths = RunPaths(tmp_path)
    run_paths.config.touch()
    command = train.plan(run_paths, BASE.changed(deepspeed=stage)).command
    assert command[command.index("--deepspeed") + 1] == f"deepspeed_{stage}"
    assert "--deepspeed" not in train.plan(run_paths, BASE).command


@pytest.mark.parametrize("quantization", ["none", "nf4", "int8"])
def test_quantization(quantization: str) -> None:
    llm = config(quantization=quantization)["model"]["llm"]
    if quantization == "none":
        assert "quantization_config" not in llm
    else:
        four = quantization == "nf4"
        assert llm["quantization_config"]["load_in_4bit"] is four
        assert llm["quantization_config"]["load_in_8bit"] is not four


@pytest.mark.parametrize(
    ("device", "precision", "wrapper"),
    [
        ("cpu", "fp32", "OptimWrapper"),
        ("cpu", "bf16", "OptimWrapper"),
        ("cuda", "fp32", "OptimWrapper"),
        ("cuda", "bf16", "AmpOptimWrapper"),
        ("cuda", "fp16", "AmpOptimWrapper"),
    ],
)
def test_mixed_precision_only_where_it_works(device: str, precision: str, wrapper: str) -> None:
    found = config(device=device, precision=precision)["optim_wrapper"]
    assert found["type"] == Named(f"mmengine.optim.{wrapper}") and ("dtype" in found) is (wrapper[0] == "A")


def test_without_evaluation_there_is_no_chat_hook() -> None:
    assert len(config(evaluate_every=None)["custom_hooks"]) == 1


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_texts_are_literals_that_survive(text: str) -> None:
    found = config(system=text, evaluation_questions=(text, "x"), target_modules=(text,))
    assert found["SYSTEM"] == text and found["evaluation_inputs"] == [text, "x"]
    hook = found["custom_hooks"][1]
    # XTuner puts the system prompt into its template and formats the whole once more.
    assert "{system}".format(system=hook["system"]).format(input="q", round=1) == text


@pytest.mark.parametrize("name", ODD_PATHS)
def test_paths_are_literals_that_survive(name: str) -> None:
    model, work = Path("/m") / name, Path("/w") / name
    found = run(write_config(BASE, DATA, model, work))
    assert found["pretrained_model_name_or_path"] == str(model) and found["work_dir"] == str(work)


SPREAD = [
    BASE,
    BASE.changed(device="cpu", precision="fp32"),
    BASE.changed(device="cpu", evaluate_every=None, schedule="linear", warmup_ratio=0.0),
    BASE.changed(iterations=None, epochs=3, schedule="cosine", pack=True),
    BASE.changed(iterations=None, epochs=1, schedule="linear", warmup_ratio=0.0),
    BASE.changed(quantization="nf4", optimizer="paged_adamw_32bit", target_modules=("q_proj", "v_proj")),
    BASE.changed(group_by_length=True, schedule="constant", precision="fp16", quantization="int8"),
    BASE.changed(
        accelerate="on",
        compile="layers",
        cuda_graph="on",
        attention="cudnn",
        padding_free=False,
        activation_checkpointing=True,
        checkpointed_layers=7,
    ),
    BASE.changed(accelerate="on", compile="none", cuda_graph="off", attention="flash", offload=True),
    BASE.changed(accelerate="unsloth", quantization="nf4"),
    BASE.changed(method="full"),
    BASE.changed(method="full", device="cpu", precision="fp32"),
    BASE.changed(method="dora", quantization="nf4"),
    BASE.changed(method="rslora", rank=64),
    BASE.changed(method="pissa"),
    BASE.changed(system="\n".join(ODD_TEXTS), evaluation_questions=tuple(ODD_TEXTS)),
    BASE.changed(system="{{ fileDirname }} {{_base_.x}} {{$HOME:x}} {{ $USER:y }}"),
]


@pytest.mark.parametrize("recipe", SPREAD)
def test_the_file_is_plain(recipe: Recipe) -> None:
    """Only imports of what XTuner brings, and assignments: nothing of this project, nothing clever."""
    tree = ast.parse(write_config(recipe, DATA, MODEL, WORK))
    allowed = {"torch", "datasets", "mmengine", "peft", "transformers", "xtuner", "bitsandbytes"}
    imported: set[str] = set()
    for statement in tree.body:
        assert isinstance(statement, ast.Import | ast.ImportFrom | ast.Assign), ast.dump(statement)
        if isinstance(statement, ast.Import):
            imported |= {name.name.split(".")[0] for name in statement.names}
        elif isinstance(statement, ast.ImportFrom):
            imported.add(str(statement.module).split(".")[0])
    assert imported <= allowed
    calls = {c.func.id for c in ast.walk(tree) if isinstance(c, ast.Call) and isinstance(c.func, ast.Name)}
    assert calls <= {"dict"}


@pytest.mark.parametrize("recipe", SPREAD)
def test_everything_imported_is_used(recipe: Recipe) -> None:
    tree = ast.parse(write_config(recipe, DATA, MODEL, WORK))
    imports = [s for s in tree.body if isinstance(s, ast.Import | ast.ImportFrom)]
    names = {name.asname or name.name for statement in imports for name in statement.names}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert names <= used, names - used


def test_no_code_of_a_model_is_trusted() -> None:
    for recipe in SPREAD:
        found = run(write_config(recipe, DATA, MODEL, WORK))
        assert found["tokenizer"]["trust_remote_code"] is found["model"]["llm"]["trust_remote_code"] is False


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
@pytest.mark.parametrize("iterations", [1, 2, 3, 4, 10, 160])
@pytest.mark.parametrize("warmup_ratio", [0.0, 0.001, 0.03, 0.99])
def test_no_schedule_ends_where_it_begins(schedule: str, iterations: int, warmup_ratio: float) -> None:
    """mmengine 0.10.7 raises for one; together they cover the run without a hole."""
    schedules = config(schedule=schedule, iterations=iterations, warmup_ratio=warmup_ratio)["param_scheduler"]
    ends = [0, *(one["end"] for one in schedules)]
    assert [one["begin"] for one in schedules] == ends[:-1] and ends[-1] == iterations
    assert all(one["begin"] < one["end"] for one in schedules)
    assert (len(schedules) == 2) is (warmup_ratio > 0 and iterations >= 3)

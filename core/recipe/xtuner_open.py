"""An XTuner config file as a Recipe, and everything in the file that the Recipe does not say.

What does not fit is not listed by hand: the Recipe is written out as a config again, and whatever the two
files ask of the trainer differently is shown, with the reason where there is one.
"""

import glob
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from reprlib import Repr
from typing import Any

from core.errors import InvalidRecipe, NotARecipe
from core.recipe.recipe import Recipe, parse
from core.recipe.templates import TEMPLATES
from core.recipe.xtuner_config import OPTIMIZERS, write_config
from core.recipe.xtuner_reader import Name, Unread, Values, read_config
from core.recipe.xtuner_settings import last, look, settings
from core.wording import say

DATA = "train_dataloader.dataset"
EVALUATION = "custom_hooks.EvaluateChatHook"
# Where a field of the Recipe stands in a config's settings. The others need more than a look.
PLACES: Mapping[str, str] = {
    "max_length": f"{DATA}.max_length",
    "pack": f"{DATA}.pack_to_max_length",
    "batch_size": "train_dataloader.batch_size",
    "shuffle": "train_dataloader.sampler.shuffle",
    "dataloader_workers": "train_dataloader.num_workers",
    "accumulation": "optim_wrapper.accumulative_counts",
    "lr": "optim_wrapper.optimizer.lr",
    "betas": "optim_wrapper.optimizer.betas",
    "weight_decay": "optim_wrapper.optimizer.weight_decay",
    "max_norm": "optim_wrapper.clip_grad.max_norm",
    "iterations": "train_cfg.max_iters",
    "epochs": "train_cfg.max_epochs",
    "rank": "model.lora.r",
    "alpha": "model.lora.lora_alpha",
    "dropout": "model.lora.lora_dropout",
    "target_modules": "model.lora.target_modules",
    "layers_to_transform": "model.lora.layers_to_transform",
    "activation_checkpointing": "model.use_activation_checkpointing",
    "save_every": "default_hooks.checkpoint.interval",
    "keep_checkpoints": "default_hooks.checkpoint.max_keep_ckpts",
    "log_every": "default_hooks.logger.interval",
    "evaluate_every": f"{EVALUATION}.every_n_iters",
    "evaluation_questions": f"{EVALUATION}.evaluation_inputs",
    "evaluation_tokens": f"{EVALUATION}.max_new_tokens",
    "seed": "randomness.seed",
}
# Fields whose empty value means something; elsewhere None is the same as not said.
EMPTY_MEANS = {"iterations", "epochs", "evaluate_every"}
PRECISIONS = {"float32": "fp32", "float16": "fp16", "bfloat16": "bf16"}
SCHEDULES = {"CosineAnnealingLR": "cosine", "LinearLR": "linear", "ConstantLR": "constant"}
KINDS = {
    "DPO": "dpo",
    "ORPO": "orpo",
    "RewardModel": "reward",
    "LLaVAModel": "images",
    "InternVL_V1_5": "images",
}
# Why the two files differ, by the place of the difference; "config.why.<name>" says it.
REASONS: tuple[tuple[str, str], ...] = (
    (r".*trust_remote_code", "remote_code"),
    (rf"{DATA}\.map_num_proc", "one_process"),
    (rf"{EVALUATION}\.generation_kwargs.*", "greedy"),
    (r"log_processor\..*", "every_value"),
    (r"randomness\.seed", "seed"),
    (r"work_dir|load_from|resume", "own_folder"),
    (r"model\.lora", "lora_only"),
    (rf"{DATA}\.(dataset_map_fn|datasets|max_dataset_length|dataset\..*)", "rows"),
    (r"custom_hooks\.(DatasetInfoHook|ThroughputHook).*", "logged"),
    (r"tokenizer\..*|model\.tokenizer", "tokenizer"),
    (r".*(\.template|prompt_template)", "template"),
    (r".*use_varlen_attn|custom_hooks\.VarlenAttnArgsToMessageHubHook", "varlen"),
    (r"sequence_parallel_size|.*\.sampler\.(seed|type)|strategy", "parallel"),
    (r"model\.llm\.attn_implementation", "attention"),
    (r"visualizer.*", "charts"),
    (r"(val|test)_.*", "validation"),
    (r"framework|training_args.*", "own_loop"),
    (r"optim_wrapper\.(type|dtype|loss_scale)|model\.llm\.torch_dtype|.*compute_dtype", "precision"),
)
# Written otherwise on purpose, whatever the file says: these change no result.
ON_PURPOSE = {"remote_code", "one_process", "greedy", "every_value", "seed", "own_folder", "charts", "logged"}
# A stranger's file may nest without end.
MOST_DIFFERENCES = 200
_SHORT = Repr()
_SHORT.maxlevel = 3
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = 6
_SHORT.maxstring = _SHORT.maxother = 80


@dataclass(frozen=True)
class Difference:
    """One place where the file and the Recipe's own config differ; None where one says nothing.

    ``why`` is a key below ``config.why``; ``on_purpose``: Tuneboard writes it so for every run.
    """

    place: str
    file: str | None
    recipe: str | None
    why: str

    @property
    def on_purpose(self) -> bool:
        return self.why in ON_PURPOSE


@dataclass(frozen=True)
class Opened:
    """The Recipe of a config file and what of the file is not in it."""

    recipe: Recipe
    differences: tuple[Difference, ...]

    @property
    def misfits(self) -> list[Difference]:
        """What the file asks for and the Recipe cannot."""
        return [one for one in self.differences if not one.on_purpose]


def open_config(content: bytes, name: str) -> Opened:
    """The Recipe of a config file's text. Nothing of the file is run.

    Its model and data may be names of a hub: whether they are here is another question. Raises NotAConfig,
    NotARecipe with the reason.
    """
    values = read_config(content, name)
    if (kind := kind_of(values)) != "sft":
        raise NotARecipe(path=name, reason=say(f"config.kind.{kind}"))
    found = settings(values)
    recipe = _recipe(found)
    return Opened(recipe, tuple(_differences(found, recipe)))


def kind_of(values: Values) -> str:
    """What a config trains: ``sft`` (answers of conversations), or the reason that it is no Recipe:
    ``dpo``, ``orpo``, ``reward``, ``images``, ``pretrain``, ``none`` (no training), ``other``."""
    model = look(values, "model.type")
    if str(values.get("framework", "")).lower() == "huggingface" and "train_dataset" in values:
        return "sft"
    if model is None or not isinstance(values.get("train_dataloader"), dict):
        return "none"
    if last(model) in KINDS:
        return KINDS[last(model)]
    if last(model) != "SupervisedFinetune":
        return "other"
    data = look(settings(values), DATA)
    maps = [look(data, "dataset_map_fn"), look(data, "template_map_fn")]
    plain_text = maps[1] is None and last(look(data, "type")) == "process_hf_dataset"
    return "pretrain" if plain_text or last(maps[0]) == "pretrain_map_fn" else "sft"


def _recipe(found: Values) -> Recipe:
    """The fields that can be used as they are; every other one keeps its default and so differs."""
    values: dict[str, Any] = {}
    for name, place in PLACES.items():
        value = look(found, place)
        if value is not None or name in EMPTY_MEANS:
            values[name] = value
    if isinstance(values.get("evaluation_questions"), str):
        values["evaluation_questions"] = [values["evaluation_questions"]]
    values |= _of_the_model(found) | _of_the_data(found) | _schedule(found)
    values["optimizer"] = _optimizer(found)
    values["device"] = "cpu" if look(found, "env_cfg.dist_cfg.backend") == "gloo" else "cuda"
    values["group_by_length"] = last(look(found, "train_dataloader.sampler.type")) == "LengthGroupedSampler"
    return _usable(values)


def _usable(values: dict[str, Any]) -> Recipe:
    if values.get("iterations") is None and values.get("epochs") is None:
        del values["iterations"]
    try:
        return parse(values)
    except InvalidRecipe as error:
        wrong = {problem.field.partition(".")[0] for problem in error.values["found"]}  # type: ignore[attr-defined]
        if not wrong & set(values):
            raise
        return _usable({name: value for name, value in values.items() if name not in wrong})


def _of_the_model(found: Values) -> dict[str, Any]:
    llm = look(found, "model.llm") or {}
    held = llm.get("quantization_config")
    held = held if isinstance(held, dict) else llm
    quantization = "nf4" if held.get("load_in_4bit") else "int8" if held.get("load_in_8bit") else "none"
    amp = look(found, "optim_wrapper.dtype") if "Amp" in last(look(found, "optim_wrapper.type")) else None
    wanted = amp or llm.get("torch_dtype")
    return {
        "model": _text(llm.get("pretrained_model_name_or_path")) or "?",
        "quantization": quantization,
        "precision": PRECISIONS.get(
            last(wanted), "fp16" if "Amp" in last(look(found, "optim_wrapper.type")) else "fp32"
        ),
    }


def _of_the_data(found: Values) -> dict[str, Any]:
    template = last(look(found, f"{DATA}.template_map_fn.template"))
    system = _text(look(found, f"{EVALUATION}.system"))
    return {
        "data": _rows(look(found, DATA)) or "?",
        "template": template if template in TEMPLATES else "auto",
        "system": system.replace("{{", "{").replace("}}", "}"),
    }


def _rows(data: Any) -> str:
    """The file that holds the rows, or the name of their data set on a hub."""
    source = look(data, "dataset") or look(data, "dataset_cfg") or data or {}
    files = look(source, "data_files.train")
    named = files or next(
        (source[k] for k in ("path", "data_file", "folder", "dataset_id") if k in source), ""
    )
    plain = re.sub(r"\[([*?\[])\]", r"\1", _text(named))
    return plain if glob.escape(plain) == named else _text(named)


def _schedule(found: Values) -> dict[str, Any]:
    """A rising LinearLR is the warm-up, what comes after it the schedule."""
    several = list(found["param_scheduler"].values())
    rises = len(several) > 1 and last(several[0].get("type")) == "LinearLR"
    whole = look(found, "train_cfg.max_epochs") or look(found, "train_cfg.max_iters")
    kind = SCHEDULES.get(last(several[-1].get("type"))) if several else "constant"
    share = 0.0
    if rises and _is_number(several[0].get("end")) and _is_number(whole) and whole:
        share = round(several[0]["end"] / whole, 6)
    return {"warmup_ratio": share, **({"schedule": kind} if kind else {})}


def _optimizer(found: Values) -> str:
    named = last(look(found, "optim_wrapper.optimizer.type"))
    return next((name for name, line in OPTIMIZERS.items() if line.split()[-1] == named), "adamw")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | Name) else ""


def _differences(found: Values, recipe: Recipe) -> Iterator[Difference]:
    settled = recipe if recipe.template in TEMPLATES else recipe.changed(template="default")
    text = write_config(settled, Path(recipe.data), Path(recipe.model), Path("work_dir"))
    own = settings(read_config(text.encode(), "config.py"))
    own.pop("work_dir")
    _as_given(own, recipe)
    for count, one in enumerate(_compare(found, own, "")):
        if count >= MOST_DIFFERENCES:
            return
        yield one


def _as_given(own: Values, recipe: Recipe) -> None:
    """The names of model and data as they were given: ``Path`` would write ``./a`` as ``a``."""
    for section in (own["tokenizer"], own["model"]["llm"]):
        section["pretrained_model_name_or_path"] = recipe.model
    own["train_dataloader"]["dataset"]["dataset"]["data_files"]["train"] = glob.escape(recipe.data)


def _compare(file: Any, own: Any, place: str) -> Iterator[Difference]:
    if place in (DATA, f"{DATA}.dataset") and _loaded_otherwise(file, own):
        yield Difference(place, f"{_shown(file)}({_rows({'dataset': file})})", _shown(own), "rows")
    elif isinstance(file, dict) and isinstance(own, dict):
        for name in dict.fromkeys([*file, *own]):
            yield from _compare(file.get(name), own.get(name), f"{place}.{name}" if place else name)
    elif not _same(file, own):
        why = next((why for pattern, why in REASONS if re.fullmatch(pattern, place)), "no_place")
        yield Difference(place, _shown(file), _shown(own), why)


def _loaded_otherwise(file: Any, own: Any) -> bool:
    """Another loader, or a data set of a hub: what else is said of it means nothing here."""
    several = [(look(one, "type"), look(one, "path")) for one in (file, own)]
    return [(last(kind), path) for kind, path in several[:1]] != [
        (last(kind), path) for kind, path in several[1:]
    ]


def _same(one: Any, other: Any) -> bool:
    """A class may be named by its last word alone, as mmengine's registries do."""
    if isinstance(one, str | Name) and isinstance(other, Name):
        return str(one) == str(other) or (isinstance(one, str) and one == last(other))
    if _is_number(one) and _is_number(other):
        return abs(one - other) <= 1e-9 * max(abs(one), abs(other))
    return bool(one == other)


def _shown(value: Any) -> str | None:
    """At most a line; of a part its class."""
    if value is None or isinstance(value, str):
        return value if value is None or len(value) <= 200 else f"{value[:200]}…"
    if isinstance(value, dict) and "type" in value:
        return str(value["type"])
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        return ", ".join(_rows(one) or _SHORT.repr(one) for one in value[:6])
    if isinstance(value, Name | Unread):
        return str(value)
    return _SHORT.repr(value)


assert set(PLACES) <= {field.name for field in fields(Recipe)}

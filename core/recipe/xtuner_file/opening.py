"""An XTuner config file as a Recipe, and everything in the file that the Recipe does not say.

What does not fit is not listed by hand: the Recipe is written out as a config again, and whatever the two
files ask of the trainer differently is shown, with the reason where there is one.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import InvalidRecipe, NotARecipe
from core.recipe.recipe import Method, Recipe, parse
from core.recipe.speed import from_acceleration
from core.recipe.templates import OWN, OWN_WITHOUT_DEFAULT, TEMPLATES
from core.recipe.xtuner_config import OPTIMIZERS
from core.recipe.xtuner_file.compare import Difference, differences
from core.recipe.xtuner_file.other_trainers import is_hf
from core.recipe.xtuner_file.reader import read_config
from core.recipe.xtuner_file.settings import (
    DATA,
    EVALUATION,
    data_file_of,
    last,
    look,
    section,
    settings,
    text_of,
)
from core.recipe.xtuner_file.units import Meant, Size
from core.recipe.xtuner_file.values import Values, is_number
from core.wording import say

# Where a field of the Recipe stands in a config's settings. The others need more than a look.
PLACES: Mapping[str, str] = {
    "max_length": f"{DATA}.max_length",
    "pack": f"{DATA}.pack_to_max_length",
    "batch_size": "train_dataloader.batch_size",
    "shuffle": "train_dataloader.sampler.shuffle",
    "dataloader_workers": "train_dataloader.num_workers",
    "gradient_accumulation_steps": "optim_wrapper.accumulative_counts",
    "lr": "optim_wrapper.optimizer.lr",
    "betas": "optim_wrapper.optimizer.betas",
    "weight_decay": "optim_wrapper.optimizer.weight_decay",
    "max_grad_norm": "optim_wrapper.clip_grad.max_norm",
    "iterations": "train_cfg.max_iters",
    "epochs": "train_cfg.max_epochs",
    "rank": "model.lora.r",
    "alpha": "model.lora.lora_alpha",
    "dropout": "model.lora.lora_dropout",
    "target_modules": "model.lora.target_modules",
    "layers_to_transform": "model.lora.layers_to_transform",
    "begins_with": "model.peft_model",
    "activation_checkpointing": "model.use_activation_checkpointing",
    "save_every": "default_hooks.checkpoint.interval",
    "keep_checkpoints": "default_hooks.checkpoint.max_keep_ckpts",
    "log_every": "default_hooks.logger.interval",
    "evaluate_every": f"{EVALUATION}.every_n_iters",
    "evaluation_questions": f"{EVALUATION}.evaluation_inputs",
    "evaluation_tokens": f"{EVALUATION}.max_new_tokens",
    "seed": "randomness.seed",
    "deepspeed": "deepspeed",
}
# Tuneboard's own line, and what it was called before 0.1.0.
REPLAY_DISTILLATION = ("replay_distillation", "self_distillation")
STOP_WHEN_LEARNED = "stop_when_learned"
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


@dataclass(frozen=True)
class OpenedConfig:
    """The Recipe of a config file and what of the file is not in it."""

    recipe: Recipe
    differences: tuple[Difference, ...]

    @property
    def misfits(self) -> list[Difference]:
        """What the file asks for and the Recipe cannot."""
        return [one for one in self.differences if not one.on_purpose]


def open_config(content: bytes, name: str, size: Size | None = None) -> OpenedConfig:
    """The Recipe of a config file's text. Nothing of the file is run.

    Its model and data may be names of a hub: whether they are here is another question. ``size`` is that of
    the data it is to train on, where it is known: without it nobody knows how many iterations an epoch has.
    Raises NotAConfig, NotARecipe with the reason.
    """
    values = read_config(content, name)
    if (kind := kind_of(values)) != "sft":
        raise NotARecipe(path=name, reason=say(f"config.kind.{kind}"))
    found = settings(values, size)
    recipe = _recipe(found, values)
    return OpenedConfig(recipe, tuple(differences(found, recipe, size)))


def kind_of(values: Values) -> str:
    """What a config trains: ``sft`` (answers of conversations), or the reason that it is no Recipe:
    ``dpo``, ``orpo``, ``reward``, ``images``, ``pretrain``, ``none`` (no training), ``other``."""
    model = look(values, "model.type")
    if is_hf(values) and "train_dataset" in values:
        return "sft"
    if model is None or not isinstance(values.get("train_dataloader"), dict):
        return "none"
    if last(model) in KINDS:
        return KINDS[last(model)]
    if last(model) != "SupervisedFinetune":
        return "other"
    data = look(settings(values), DATA)
    maps = [look(data, "dataset_map_fn"), look(data, "template_map_fn")]
    if values.get("chat_template") in (OWN, OWN_WITHOUT_DEFAULT):
        return "sft"
    plain_text = maps[1] is None and last(look(data, "type")) == "process_hf_dataset"
    return "pretrain" if plain_text or last(maps[0]) == "pretrain_map_fn" else "sft"


def _recipe(found: Values, variables: Values) -> Recipe:
    """The fields that can be used as they are; every other one keeps its default and so differs."""
    values: dict[str, Any] = {}
    for name, place in PLACES.items():
        value = look(found, place)
        if value is not None or name in EMPTY_MEANS:
            values[name] = value
    if is_number(epochs := values.get("epochs")):
        values["epochs"] = math.ceil(epochs)
    if isinstance(values.get("evaluation_questions"), str):
        values["evaluation_questions"] = [values["evaluation_questions"]]
    values |= _of_the_model(found) | _of_the_data(found, variables) | _schedule(found, variables)
    values |= from_acceleration(variables.get("acceleration"))
    named = [variables[name] for name in REPLAY_DISTILLATION if name in variables]
    values |= {"replay_distillation": named[0]} if named else {}
    values |= {STOP_WHEN_LEARNED: variables[STOP_WHEN_LEARNED]} if STOP_WHEN_LEARNED in variables else {}
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
    llm = section(found, "model.llm")
    held = section(llm, "quantization_config")
    quantization = "nf4" if held.get("load_in_4bit") else "int8" if held.get("load_in_8bit") else "none"
    amp = look(found, "optim_wrapper.dtype") if "Amp" in last(look(found, "optim_wrapper.type")) else None
    wanted = amp or llm.get("torch_dtype")
    return {
        "method": _method(found),
        "model": text_of(llm.get("pretrained_model_name_or_path")) or "?",
        "quantization": quantization,
        "precision": PRECISIONS.get(
            last(wanted), "fp16" if "Amp" in last(look(found, "optim_wrapper.type")) else "fp32"
        ),
    }


def _method(found: Values) -> Method:
    """Without a ``lora`` all weights are trained. Of several variants at once a Recipe has the first."""
    if look(found, "model.lora") is None:
        return "full"
    lora = section(found, "model.lora")
    asked: dict[Method, bool] = {
        "dora": lora.get("use_dora") is True,
        "pissa": lora.get("init_lora_weights") == "pissa",
        "rslora": lora.get("use_rslora") is True,
    }
    return next((method for method, wanted in asked.items() if wanted), "lora")


def _of_the_data(found: Values, variables: Values) -> dict[str, Any]:
    if (own := variables.get("chat_template")) in (OWN, OWN_WITHOUT_DEFAULT):
        return {
            "data": variables.get("conversations_path") or "?",
            "template": own,
            "system": text_of(variables.get("SYSTEM")),
            "evaluation_questions": variables.get("evaluation_questions") or [],
        }
    template = last(look(found, f"{DATA}.template_map_fn.template"))
    return {
        "data": data_file_of(look(found, DATA)) or "?",
        "template": template if template in TEMPLATES else "auto",
        "system": text_of(look(found, f"{EVALUATION}.system")),
    }


def _schedule(found: Values, variables: Values) -> dict[str, Any]:
    """A rising LinearLR is the warm-up, what comes after it the schedule.

    Its end was rounded to whole iterations: the share is the one the file names, where it gives this end.
    """
    several = list(found["param_scheduler"].values())
    moving = [one for one in several if not isinstance(one.get("type"), Meant)]
    rises = bool(moving) and _rises(moving[0])
    rest = moving[1:] if rises else moving
    epochs = look(found, "train_cfg.max_epochs")
    whole = math.ceil(epochs) if is_number(epochs) and epochs else look(found, "train_cfg.max_iters")
    kind = SCHEDULES.get(last(rest[-1].get("type"))) if rest else "constant"
    share = _share(moving[0].get("end"), whole, variables.get("warmup_ratio")) if rises else 0.0
    return {**({} if share is None else {"warmup_ratio": share}), **({"schedule": kind} if kind else {})}


def _rises(one: Values) -> bool:
    first, final = one.get("start_factor"), one.get("end_factor")
    return last(one.get("type")) == "LinearLR" and is_number(first) and is_number(final) and first < final


def _share(end: Any, whole: Any, named: Any) -> float | None:
    """The warm-up's share of the whole; the file's own where its unit leaves it open, None without one."""
    if not (is_number(end) and is_number(whole) and whole):
        return float(named) if is_number(named) and 0 <= named < 1 else None
    if is_number(named) and end in {named * whole, max(2, math.ceil(named * whole))}:
        return float(named)
    for digits in (2, 3, 4, 6, 9):
        share = round(end / whole, digits)
        if math.isclose(share * whole, end, rel_tol=1e-9) and math.ceil(share * whole) <= math.ceil(end):
            return share
    return end / whole


def _optimizer(found: Values) -> str:
    named = last(look(found, "optim_wrapper.optimizer.type"))
    return next((name for name, line in OPTIMIZERS.items() if line.split()[-1] == named), "adamw")

"""``docs/recipe.md`` and ``docs/recipe_zh.md``: every field of a recipe, from its dataclass and sentences."""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from pydantic import TypeAdapter

from core.recipe.recipe import OLD_NAMES, Level, Recipe, level
from core.recipe.templates import TEMPLATES
from core.recipe.xtuner_file.opening import PLACES
from core.recipe.xtuner_file.settings import DATA, EVALUATION
from core.wording import Language, sentences
from scripts.documents.marked import filled, table

PAGES: Mapping[Language, str] = {"en": "docs/recipe.md", "zh": "docs/recipe_zh.md"}
LEVELS: tuple[Level, ...] = ("basic", "advanced")
HEADS: Mapping[Language, tuple[str, ...]] = {
    "en": ("field", "unit", "default", "values", "in XTuner's config", "what it is"),
    "zh": ("字段", "单位", "默认值", "取值", "在 XTuner 配置中", "含义"),
}
NONE = "–"

# What a number counts, in English and in Chinese. Every number has a line; None: it is without a unit.
UNITS: Mapping[str, tuple[str, str] | None] = {
    "max_length": ("tokens", "token"),
    "batch_size": ("conversations per device; with `pack`, rows", "每个设备的对话数；`pack` 时为行数"),
    "gradient_accumulation_steps": ("batches", "批次"),
    "iterations": ("batches", "批次"),
    "epochs": ("passes over the data", "遍"),
    "lr": None,
    "rank": ("dimensions", "维"),
    "alpha": None,
    "dropout": ("share", "比例"),
    "save_every": ("iterations", "次迭代"),
    "evaluate_every": ("iterations", "次迭代"),
    "seed": None,
    "layers_to_transform": ("layer numbers", "层号"),
    "weight_decay": None,
    "betas": None,
    "max_grad_norm": None,
    "warmup_ratio": ("share of the training", "占训练的比例"),
    "checkpointed_layers": ("layers", "层"),
    "keep_checkpoints": ("checkpoints", "个检查点"),
    "evaluation_tokens": ("tokens", "token"),
    "log_every": ("iterations", "次迭代"),
    "dataloader_workers": ("processes", "个进程"),
    "devices": ("devices", "个设备"),
    "cards": ("GPU numbers", "GPU 编号"),
    "nodes": ("machines", "台机器"),
}
# What more than one line of a config says, beside the places that are read back as they are.
ELSEWHERE: Mapping[str, str] = {
    "model": "model.llm.pretrained_model_name_or_path",
    "data": f"{DATA}.dataset.data_files",
    "template": f"{DATA}.template_map_fn.template",
    "system": f"{EVALUATION}.system",
    "method": "model.lora",
    "quantization": "model.llm.quantization_config",
    "device": "env_cfg.dist_cfg.backend",
    "precision": "model.llm.torch_dtype",
    "group_by_length": "train_dataloader.sampler.type",
    "optimizer": "optim_wrapper.optimizer.type",
    "schedule": "param_scheduler",
    "warmup_ratio": "param_scheduler",
}
# A line of the config that XTuner ignores: Tuneboard's own trainer reads it.
OWN_LINES: Mapping[str, str] = {
    "replay_distillation": "replay_distillation",
    "stop_when_learned": "stop_when_learned",
    **dict.fromkeys(
        (
            "checkpointed_layers",
            "offload",
            "accelerate",
            "compile",
            "cuda_graph",
            "attention",
            "padding_free",
        ),
        "acceleration",
    ),
}
# Handed to XTuner beside the config.
OPTIONS: Mapping[str, str] = {"deepspeed": "--deepspeed"}
# Of the program that starts XTuner in every process.
LAUNCHED: Mapping[str, str] = {
    "devices": "torchrun --nproc-per-node",
    "nodes": "torchrun --nnodes",
    "cards": "CUDA_VISIBLE_DEVICES",
}
# No settings of the training: why it may start, and what becomes of it.
NOWHERE = {"template_reason", "checkpoint"}

WORDS: Mapping[Language, Mapping[str, str]] = {
    "en": {
        "required": "required",
        "text": "text",
        "template": "`auto`, or a template's name (below)",
        "texts": "a list of texts",
        "list": "a list: {one}",
        "pair": "two of: {one}",
        "whole": "whole number, {limits}",
        "number": "number, {limits}",
        "between": "{least} to {most}",
        "above": "above {least}, at most {most}",
        "below": "from {least}, below {most}",
        "empty": "; `null` for empty",
        "own": "`{line}`, which XTuner ignores",
        "option": "the option `{option}`",
        "launched": "`{how}`",
    },
    "zh": {
        "required": "必填",
        "text": "文本",
        "template": "`auto`，或下面的模板名",
        "texts": "文本列表",
        "list": "列表：{one}",
        "pair": "两个数：{one}",
        "whole": "整数，{limits}",
        "number": "数，{limits}",
        "between": "{least} 到 {most}",
        "above": "大于 {least}，至多 {most}",
        "below": "从 {least} 起，小于 {most}",
        "empty": "；留空为 `null`",
        "own": "`{line}`，XTuner 会忽略",
        "option": "选项 `{option}`",
        "launched": "`{how}`",
    },
}


def pages() -> dict[str, str]:
    """Both pages. Raises ValueError for a field without its place, and a number without its unit."""
    check()
    return {page: filled(page, _parts(language)) for language, page in PAGES.items()}


def check() -> None:
    """Raises ValueError for a field of the tables above that is none, and one that they do not have."""
    schema = TypeAdapter(Recipe).json_schema()["properties"]
    numbers = {name for name, one in schema.items() if _is_number(one)}
    placed = {*PLACES, *ELSEWHERE, *OWN_LINES, *OPTIONS, *LAUNCHED, *NOWHERE}
    for what, expected, found in (("a unit", numbers, {*UNITS}), ("a place", {*schema}, placed)):
        if expected != found:
            wrong = sorted(expected ^ found)
            raise ValueError(f"scripts/documents/recipe.py: {what} is missing or too many for {wrong}")


def _parts(language: Language) -> dict[str, str]:
    templates = ", ".join(f"`{name}`" for name in TEMPLATES)
    found: dict[str, str] = {one: _fields(one, language) for one in LEVELS}
    return {**found, "templates": templates, "old names": _old_names(language)}


def _fields(of_level: Level, language: Language) -> str:
    adapter = TypeAdapter(Recipe).json_schema()
    rows = [
        [
            f"`{field.name}`",
            _unit(field.name, language),
            WORDS[language]["required"] if field.name in adapter["required"] else _default(field.default),
            WORDS[language].get(field.name) or _values(adapter["properties"][field.name], language),
            place(field.name, language),
            sentences(language)[f"recipe.{field.name}"],
        ]
        for field in fields(Recipe)
        if level(field.name) == of_level
    ]
    return table(HEADS[language], rows)


def _unit(name: str, language: Language) -> str:
    unit = UNITS.get(name)
    return unit[language == "zh"] if unit else NONE


def _default(value: Any) -> str:
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def place(name: str, language: Language) -> str:
    """Where a field stands in the config file that is written for XTuner."""
    if name in OWN_LINES:
        return WORDS[language]["own"].format(line=OWN_LINES[name])
    if name in OPTIONS:
        return WORDS[language]["option"].format(option=OPTIONS[name])
    if name in LAUNCHED:
        return WORDS[language]["launched"].format(how=LAUNCHED[name])
    found = {**PLACES, **ELSEWHERE}.get(name)
    return f"`{found}`" if found else NONE


def _is_number(schema: Mapping[str, Any]) -> bool:
    kinds = {_some(schema).get("type"), schema.get("items", {}).get("type")}
    kinds |= {one["type"] for one in schema.get("prefixItems", [])}
    return bool(kinds & {"integer", "number"})


def _some(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of a field that is not empty."""
    found: Mapping[str, Any] = schema["anyOf"][0] if "anyOf" in schema else schema
    return found


def _values(schema: Mapping[str, Any], language: Language) -> str:
    words, some = WORDS[language], _some(schema)
    empty = words["empty"] if "anyOf" in schema else ""
    if "enum" in some:
        return ", ".join(f"`{one}`" for one in some["enum"])
    match some["type"]:
        case "boolean":
            return "`true`, `false`"
        case "string":
            return words["text"]
        case "array" if "prefixItems" in some:
            return words["pair"].format(one=_values(some["prefixItems"][0], language))
        case "array" if some["items"]["type"] == "string":
            return words["texts"]
        case "array":
            return words["list"].format(one=_values(some["items"], language))
        case kind:
            key = "whole" if kind == "integer" else "number"
            return words[key].format(limits=_limits(some, words)) + empty


def _limits(schema: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """Every number of a recipe has a least and a greatest one."""
    if schema["type"] == "integer" and "exclusiveMaximum" in schema:
        schema = {"minimum": schema["minimum"], "maximum": schema["exclusiveMaximum"] - 1}
    key = "above" if "exclusiveMinimum" in schema else "below" if "exclusiveMaximum" in schema else "between"
    least = schema.get("minimum", schema.get("exclusiveMinimum"))
    most = schema.get("maximum", schema.get("exclusiveMaximum"))
    return words[key].format(least=f"{least:,}", most=f"{most:,}")


def _old_names(language: Language) -> str:
    head = {"en": ("before 0.1.0", "now"), "zh": ("0.1.0 之前", "现在")}[language]
    return table(head, [[f"`{old}`", f"`{new}`"] for old, new in OLD_NAMES.items()])

"""What an XTuner config asks the trainer for: its sections in one form, whoever wrote the file.

The same run can be written in several ways: a default left out or written down, a class imported or named in
a text (as in the copy that a training leaves in its work_dir), one schedule or a list of them. Here they
are one, so that two files can be compared.
"""

import glob
import re
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from core.recipe.xtuner_file.catalog import named_texts
from core.recipe.xtuner_file.other_trainers import from_deepspeed, from_hf, is_hf
from core.recipe.xtuner_file.units import NO_CLIPPING, Size, in_one_unit
from core.recipe.xtuner_file.values import Name, Values

# What mmengine's runner and XTuner's training program read of a config; the rest only names values.
SECTIONS = (
    "framework",
    "tokenizer",
    "model",
    "train_dataloader",
    "optim_wrapper",
    "param_scheduler",
    "train_cfg",
    "training_args",
    "default_hooks",
    "custom_hooks",
    "val_dataloader",
    "val_cfg",
    "val_evaluator",
    "test_dataloader",
    "test_cfg",
    "test_evaluator",
    "env_cfg",
    "randomness",
    "log_processor",
    "log_level",
    "visualizer",
    "load_from",
    "resume",
    "work_dir",
    "sequence_parallel_size",
    "strategy",
    "deepspeed",
    "runner_type",
    "custom_imports",
)
DATA = "train_dataloader.dataset"
EVALUATION = "custom_hooks.EvaluateChatHook"
PACKAGES = ("torch", "transformers", "xtuner", "mmengine", "peft", "bitsandbytes", "datasets")
_DOTTED = re.compile(rf"(?:{'|'.join(PACKAGES)})(?:\.\w+)+")

# The defaults of XTuner 0.2.0, mmengine 0.10.7, peft 0.21.2, transformers 4.57.6 and torch, by section.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "": {
        "log_level": "INFO",
        "visualizer": None,
        "load_from": None,
        "resume": False,
        "sequence_parallel_size": 1,
        "custom_hooks": {},
        "env_cfg": {},
        "randomness": {},
        "log_processor": {},
    },
    "tokenizer": {"trust_remote_code": False},
    "model": {
        "use_activation_checkpointing": True,
        "use_varlen_attn": False,
        "peft_model": None,
        "tokenizer": None,
        "max_position_embeddings": None,
    },
    "model.llm": {
        "trust_remote_code": False,
        "attn_implementation": "sdpa",
        "quantization_config": None,
        "torch_dtype": Name("torch.float32"),  # of the transformers that XTuner 0.2.0 was made for
    },
    "model.llm.quantization_config": {
        "load_in_4bit": False,
        "load_in_8bit": False,
        "llm_int8_threshold": 6.0,
        "llm_int8_has_fp16_weight": False,
    },
    "model.lora": {
        "r": 8,
        "lora_alpha": 8,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": None,
        "layers_to_transform": None,
        "modules_to_save": None,
        "use_dora": False,
        "use_rslora": False,
        "init_lora_weights": True,
        "task_type": "CAUSAL_LM",
    },
    "train_dataloader": {"batch_size": 1, "num_workers": 0, "sampler": {}, "collate_fn": {}},
    "train_dataloader.dataset": {
        "dataset_map_fn": None,
        "template_map_fn": None,
        "max_dataset_length": None,
        "split": "train",
        "shuffle_before_pack": True,
        "pack_to_max_length": True,
        "use_varlen_attn": False,
        "map_num_proc": 32,
    },
    "train_dataloader.sampler": {"type": Name("mmengine.DefaultSampler"), "shuffle": True},
    "train_dataloader.collate_fn": {"type": Name("xtuner.default_collate_fn"), "use_varlen_attn": False},
    "optim_wrapper": {"accumulative_counts": 1},
    "optim_wrapper.optimizer": {"lr": 1e-3, "betas": [0.9, 0.999], "weight_decay": 0.01},
    "optim_wrapper.clip_grad": {"error_if_nonfinite": False},
    "default_hooks.logger": {"interval": 10, "log_metric_by_epoch": True},
    "default_hooks.checkpoint": {"interval": -1, "by_epoch": True, "max_keep_ckpts": -1},
    "custom_hooks.EvaluateChatHook": {
        "every_n_iters": None,
        "system": "",
        "prompt_template": None,
        "max_new_tokens": 600,
        "generation_kwargs": {},
    },
    "env_cfg": {"cudnn_benchmark": False, "dist_cfg": {}},
    "env_cfg.dist_cfg": {"backend": "nccl"},
    "randomness": {"seed": None, "deterministic": False},
    "log_processor": {"by_epoch": True, "window_size": 10},
}


# What trains nothing otherwise: where weights lie, what is left beside the tokens, how a batch is fetched.
# A pad stands where the collate function puts it, whatever side the tokenizer would take.
WITHOUT_EFFECT = (
    "train_dataloader.dataset.remove_unused_columns",
    "train_dataloader.pin_memory",
    "train_dataloader.persistent_workers",
    "train_dataloader.prefetch_factor",
    "model.llm.device_map",
    "model.llm.low_cpu_mem_usage",
    "tokenizer.padding_side",
    "optim_wrapper.optimizer.fused",
    "optim_wrapper.optimizer.foreach",
    "default_hooks.timer",
    "default_hooks.sampler_seed",
    "default_hooks.runtime_info",
    "env_cfg.mp_cfg",
    "env_cfg.cudnn_benchmark",
)
# What mmengine's runner has where a config names none.
HOOKS: Mapping[str, Mapping[str, Any]] = {
    "logger": {"type": Name("mmengine.LoggerHook")},
    "param_scheduler": {"type": Name("mmengine.ParamSchedulerHook")},
    "checkpoint": {"type": Name("mmengine.CheckpointHook"), "interval": 1},
}


def settings(values: Values, size: Size | None = None) -> Values:
    """The sections of a config in one form, defaults filled in, numbers in one unit.

    ``size`` is the data's, where it is known: it says how many iterations an epoch has.
    """
    values = from_hf(values) if is_hf(values) else from_deepspeed(values)
    found: Values = {name: _plain(values[name]) for name in SECTIONS if name in values}
    if isinstance(hooks := found.setdefault("default_hooks", {}), dict):
        for name, hook in HOOKS.items():
            hooks.setdefault(name, dict(hook))
    found["custom_hooks"] = _by_type(found.get("custom_hooks"))
    found["param_scheduler"] = _schedules(found.get("param_scheduler"))
    _unfold_data(found)
    _in_one_form(found)
    for place, defaults in DEFAULTS.items():
        part = look(found, place) if place else found
        if isinstance(part, dict):
            for name, value in defaults.items():
                part.setdefault(name, deepcopy(value))
    _clipping(found)
    in_one_unit(found, size)
    _name_the_tokenizer(found)
    for place in WITHOUT_EFFECT:
        above, _, name = place.rpartition(".")
        section(found, above).pop(name, None)
    return found


def _clipping(found: Values) -> None:
    """Without a word mmengine clips nothing, and XTuner 0.2.0 has DeepSpeed clip at 1."""
    wrapper = section(found, "optim_wrapper")
    if wrapper and wrapper.get("clip_grad") is None:
        norm = NO_CLIPPING if found.get("deepspeed") in (None, "none") else 1.0
        wrapper["clip_grad"] = {"max_norm": norm, "error_if_nonfinite": False}
    if section(wrapper, "clip_grad").get("norm_type") in (2, 2.0):
        del wrapper["clip_grad"]["norm_type"]
    if "Amp" in last(wrapper.get("type")):
        wrapper.setdefault("loss_scale", "dynamic")


def look(found: Any, place: str) -> Any:
    """What stands at ``model.lora.r``; None where there is no such place."""
    for step in place.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return found


def section(found: Any, place: str) -> Values:
    """The part of a config at a place; empty where something else stands there."""
    part = look(found, place)
    return part if isinstance(part, dict) else {}


def last(value: object) -> str:
    """The last word of a dotted name: the class or function meant."""
    words = str(value).split(".")
    return words[-2] if words[-1] == "from_pretrained" and len(words) > 1 else words[-1]


def _plain(value: Any, depth: int = 0) -> Any:
    """Lists for tuples, names for their dotted texts; no deeper than any config is."""
    if depth > 20:
        return str(type(value).__name__)
    if isinstance(value, dict):
        return {str(name): _plain(one, depth + 1) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one, depth + 1) for one in value]
    if isinstance(value, str) and _DOTTED.fullmatch(value):
        return _canonical(value)
    return _canonical(value.dotted) if isinstance(value, Name) else value


def _canonical(dotted: str) -> Name | str:
    """One of several modules that give the same class: ``mmengine.hooks.x.LoggerHook`` is
    ``mmengine.LoggerHook``; of XTuner's named texts the text."""
    root, *path = dotted.split(".")
    while len(path) > 1 and path[0].islower():
        path = path[1:]
    text = named_texts().get(path[-1]) if path[0] == "SYSTEM_TEMPLATE" else None
    return text if isinstance(text, str) else Name(".".join([root, *path]))


def _by_type(hooks: Any) -> Values:
    named: Values = {}
    for hook in hooks if isinstance(hooks, list) else []:
        if isinstance(hook, dict):
            named[last(hook.get("type"))] = hook
    return named


def _schedules(found: Any) -> Values:
    """By number; what mmengine leaves out filled in by hand, because both kinds of schedule differ."""
    several = found if isinstance(found, list) else [found]
    return {str(number): {"begin": 0, **one} for number, one in enumerate(several) if isinstance(one, dict)}


def _unfold_data(found: Values) -> None:
    """Of joined data sets the first stands for its settings; one file is its ``train`` split."""
    loader = section(found, "train_dataloader")
    data = section(loader, "dataset")
    if not data:
        return
    parts = data.get("datasets")
    if isinstance(parts, list) and parts and isinstance(parts[0], dict):
        data = {**parts[0], **({"datasets": parts[1:]} if parts[1:] else {})}
    source = data.get("dataset")
    files = source.get("data_files") if isinstance(source, dict) else None
    if isinstance(files, list) and len(files) == 1:
        files = files[0]
    if isinstance(source, dict) and isinstance(files, str):
        data["dataset"] = {**source, "data_files": {"train": files}}
    loader["dataset"] = data


def _in_one_form(found: Values) -> None:
    """What transformers and XTuner take in two forms: a quantization beside its options, doubled braces."""
    llm, hook = look(found, "model.llm"), look(found, "custom_hooks.EvaluateChatHook")
    if isinstance(llm, dict):
        beside = {name: llm.pop(name) for name in ("load_in_4bit", "load_in_8bit") if name in llm}
        if any(beside.values()):
            llm["quantization_config"] = {"type": Name("transformers.BitsAndBytesConfig"), **beside}
        held = llm.get("quantization_config")
        if isinstance(held, dict) and held.get("load_in_8bit"):
            llm["quantization_config"] = {k: v for k, v in held.items() if not k.startswith("bnb_4bit")}
    if isinstance(hook, dict) and isinstance(hook.get("system"), str):
        hook["system"] = hook["system"].replace("{{", "{").replace("}}", "}")


def _name_the_tokenizer(found: Values) -> None:
    """Data and hooks repeat the tokenizer: what is said of it is said once."""
    tokenizer = found.get("tokenizer")
    hooks = found["custom_hooks"].values()
    for owner in (look(found, "train_dataloader.dataset"), *hooks):
        if isinstance(owner, dict) and owner.get("tokenizer") == _bare(tokenizer, owner.get("tokenizer")):
            owner["tokenizer"] = Name("tokenizer")


def _bare(tokenizer: Any, like: Any) -> Any:
    """The tokenizer without the defaults that ``like`` leaves out."""
    if not (isinstance(tokenizer, dict) and isinstance(like, dict)):
        return tokenizer
    return {
        name: value for name, value in tokenizer.items() if name in like or name not in DEFAULTS["tokenizer"]
    }


# How loaders call what they load.
NAMED_BY = ("path", "data_file", "folder", "dataset_name", "dataset_id")


def data_file_of(data: Any) -> str:
    """The file that holds the rows, or the name of their data set on a hub."""
    source = section(data, "dataset") or section(data, "dataset_cfg") or section({"": data}, "")
    files = look(source, "data_files.train")
    named = files or next((source[k] for k in NAMED_BY if k in source), "")
    plain = re.sub(r"\[([*?\[])\]", r"\1", text_of(named))
    return plain if glob.escape(plain) == named else text_of(named)


def text_of(value: object) -> str:
    """A text, or a name that was written as one."""
    return str(value) if isinstance(value, str | Name) else ""

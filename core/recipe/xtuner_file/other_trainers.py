"""Configs for Hugging Face's trainer, and those that DeepSpeed leaves, as XTuner's others say the same."""

from typing import Any

from core.recipe.xtuner_file.values import Name, Values

HF_OPTIMIZERS = {
    "paged_adamw_32bit": "bitsandbytes.PagedAdamW32bit",
    "paged_adamw_8bit": "bitsandbytes.PagedAdamW8bit",
    "adamw_bnb_8bit": "bitsandbytes.AdamW8bit",
}
HF_SCHEDULES = {"cosine": "CosineAnnealingLR", "linear": "LinearLR"}
HF_HOOKS = {
    "timer": {"type": Name("mmengine.IterTimerHook")},
    "param_scheduler": {"type": Name("mmengine.ParamSchedulerHook")},
    "sampler_seed": {"type": Name("mmengine.DistSamplerSeedHook")},
}


def is_hf(values: Values) -> bool:
    """Whether a config is for Hugging Face's trainer."""
    return str(values.get("framework", "")).lower() == "huggingface"


def from_hf(values: Values) -> Values:
    """The config in the form of XTuner's own loop; what of ``training_args`` has none stays there."""
    left = dict(values.get("training_args") or {})
    for name in ("type", "do_train"):
        left.pop(name, None)
    epochs = left.pop("num_train_epochs", 3)
    return {
        **values,
        "log_processor": {"by_epoch": False},
        "model": {
            "type": Name("xtuner.SupervisedFinetune"),
            "llm": values.get("model"),
            "lora": values.get("lora"),
        },
        "train_dataloader": _hf_rows(left, values.get("train_dataset")),
        "optim_wrapper": _hf_optimizer(left),
        "param_scheduler": _hf_schedule(left, epochs),
        "train_cfg": {"type": Name("xtuner.TrainLoop"), "max_epochs": epochs},
        "default_hooks": _hf_hooks(left),
        "training_args": left,
    }


def _hf_rows(left: Values, dataset: object) -> Values:
    """How the rows come; this and what follows takes what it says out of ``left``."""
    return {
        "batch_size": left.pop("per_device_train_batch_size", 8),
        "dataset": dataset,
        "sampler": {"type": Name("mmengine.DefaultSampler"), "shuffle": True},
        "collate_fn": {"type": Name("xtuner.default_collate_fn")},
    }


def _hf_optimizer(left: Values) -> Values:
    take = left.pop
    fp16, bf16 = take("fp16", False), take("bf16", False)
    half = "float16" if fp16 else "bfloat16" if bf16 else None
    optimizer = HF_OPTIMIZERS.get(str(take("optim", "adamw_torch")), "torch.AdamW")
    rate = {"lr": take("learning_rate", 5e-5), "weight_decay": take("weight_decay", 0.0)}
    amp = {"dtype": half, "loss_scale": "dynamic"} if half else {}
    return {
        "type": Name(f"mmengine.{'AmpOptimWrapper' if half else 'OptimWrapper'}"),
        "optimizer": {"type": Name(optimizer), **rate},
        "clip_grad": {"max_norm": take("max_grad_norm", 1.0)},
        "accumulative_counts": take("gradient_accumulation_steps", 1),
        **amp,
    }


def _hf_schedule(left: Values, epochs: Any) -> list[Values]:
    """A warm-up where there is one, then the rate's way down."""
    warm_up = left.pop("warmup_ratio", 0.0) * epochs
    kind = HF_SCHEDULES.get(left.pop("lr_scheduler_type", "linear"), "ConstantLR")
    unit = {"by_epoch": True, "convert_to_iter_based": True}
    down = {"type": Name(f"mmengine.{kind}"), "begin": warm_up, "end": epochs, **unit}
    up = {"type": Name("mmengine.LinearLR"), "start_factor": 1e-5, "end": warm_up, **unit}
    return [up, down] if warm_up else [down]


def _hf_hooks(left: Values) -> Values:
    logger = {"interval": left.pop("logging_steps", 500), "log_metric_by_epoch": False}
    checkpoint = {
        "by_epoch": False,
        "interval": left.pop("save_steps", 500),
        "max_keep_ckpts": left.pop("save_total_limit", -1),
    }
    return {
        **HF_HOOKS,
        "logger": {"type": Name("mmengine.LoggerHook"), **logger},
        "checkpoint": {"type": Name("mmengine.CheckpointHook"), **checkpoint},
    }


def from_deepspeed(values: Values) -> Values:
    """The config that stands in a work_dir after ``xtuner train --deepspeed`` (0.2.0), without what that put
    in the optimizer's place; which stage it was stands in ``deepspeed``."""
    strategy = values.get("strategy")
    config = strategy.get("config") if isinstance(strategy, dict) else None
    if not (isinstance(strategy, dict) and isinstance(config, dict)):
        return values
    wrapper = values.get("optim_wrapper")
    half = next((dtype for key, dtype in HALVES.items() if _enabled(config.get(key))), None)
    return {
        **{name: value for name, value in values.items() if name not in {"strategy", "runner_type"}},
        "deepspeed": _stage(config.get("zero_optimization")),
        "optim_wrapper": {
            "type": Name(f"mmengine.{'AmpOptimWrapper' if half else 'OptimWrapper'}"),
            "optimizer": wrapper.get("optimizer") if isinstance(wrapper, dict) else None,
            "clip_grad": {"max_norm": strategy.get("gradient_clipping")},
            "accumulative_counts": strategy.get("gradient_accumulation_steps"),
            **({"dtype": half, "loss_scale": "dynamic"} if half else {}),
        },
    }


HALVES = {"bf16": "bfloat16", "fp16": "float16"}


def _enabled(section: object) -> bool:
    return isinstance(section, dict) and section.get("enabled") is True


def _stage(section: object) -> str:
    """``zero2_offload``, as XTuner calls its settings."""
    found = section if isinstance(section, dict) else {}
    offload = any(isinstance(found.get(name), dict) for name in ("offload_optimizer", "offload_param"))
    return f"zero{found.get('stage', 0)}{'_offload' if offload else ''}"

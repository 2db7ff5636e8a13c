"""The XTuner config file of a Recipe: readable, commented, runnable by plain ``xtuner train``.

It is laid out like the files that ``xtuner copy-cfg`` writes (XTuner 0.2.0), and imports nothing of this
project. What this project adds at run time (``core.engine``) is speed and safety, not meaning.
"""

import glob
from dataclasses import dataclass
from pathlib import Path

from core.models.families import EAGER
from core.models.folder import model_type_of
from core.recipe.length import saved_every, warm_up
from core.recipe.method import has_adapter
from core.recipe.ranks import PATIENCE
from core.recipe.recipe import Method, Recipe
from core.recipe.speed import acceleration
from core.recipe.templates import TEMPLATES
from core.workspace.paths import teacher_beside

OPTIMIZERS = {
    "adamw": "from torch.optim import AdamW",
    "adamw_8bit": "from bitsandbytes.optim import AdamW8bit",
    "paged_adamw_32bit": "from bitsandbytes.optim import PagedAdamW32bit",
    "paged_adamw_8bit": "from bitsandbytes.optim import PagedAdamW8bit",
}
DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
# What PEFT is told of each method beside LoRA's own settings. From PiSSA's checkpoint plain XTuner makes no
# adapter that fits the base: Tuneboard's own converting does.
VARIANTS: dict[Method, str] = {
    "lora": "",
    "dora": "        use_dora=True,\n",
    "rslora": "        use_rslora=True,  # scaled by lora_alpha / sqrt(r)\n",
    "pissa": '        init_lora_weights="pissa",  # begins with the largest directions of each weight\n',
}
RULE = "#" * 71


@dataclass(frozen=True)
class Rendered:
    """What a model's own chat template has written for a config, which knows none: the ``file`` of tokenized
    rows, the ``prompts`` of the recipe's questions, and what ends an answer."""

    file: Path
    prompts: tuple[str, ...]
    stop_words: tuple[str, ...]


def write_config(
    recipe: Recipe,
    data: Path,
    model: Path,
    work_dir: Path,
    iterations: int | None = None,
    rendered: Rendered | None = None,
) -> str:
    """The config's text for a settled recipe (no "auto" left in it); paths absolute.

    ``iterations``: how many a training by epochs has, if known: how often it saves goes by that.
    ``rendered``: of a recipe whose template is the model's own.
    """
    if rendered is None and recipe.template not in TEMPLATES:
        rendered = Rendered(data, recipe.evaluation_questions, ())
    save_every = saved_every(recipe, recipe.iterations or iterations)
    parts = [
        _imports(recipe),
        _settings(recipe, data, model, work_dir, save_every, rendered),
        _model(recipe, _attention(recipe, model)),
        _data(recipe, rendered),
        _optimizer(recipe),
        _runtime(recipe, rendered),
    ]
    return "\n".join(parts)


def _title(number: int, text: str) -> str:
    return f"{RULE}\n#{f'PART {number}  {text}':^69}#\n{RULE}\n"


def _imports(recipe: Recipe) -> str:
    schedule = {"cosine": "CosineAnnealingLR, ", "linear": "", "constant": "ConstantLR, "}[recipe.schedule]
    wrapper = "AmpOptimWrapper" if _amp(recipe) else "OptimWrapper"
    own_sampler = "from mmengine.dataset import DefaultSampler\n"
    xtuner_sampler = ""
    if recipe.group_by_length:
        own_sampler, xtuner_sampler = "", "from xtuner.dataset.samplers import LengthGroupedSampler\n"
    quantized = ", BitsAndBytesConfig" if recipe.quantization != "none" else ""
    lora = "from peft import LoraConfig\n" if has_adapter(recipe) else ""
    hooks = "DatasetInfoHook, EvaluateChatHook" if recipe.evaluate_every else "DatasetInfoHook"
    own = recipe.template not in TEMPLATES
    map_fns = "" if own else "from xtuner.dataset.map_fns import template_map_fn_factory\n"
    templates = "" if own else "from xtuner.utils import PROMPT_TEMPLATE\n"
    return f"""\
import torch
from datasets import load_dataset
{own_sampler}from mmengine.hooks import (
    CheckpointHook,
    DistSamplerSeedHook,
    IterTimerHook,
    LoggerHook,
    ParamSchedulerHook,
)
from mmengine.optim import {schedule}LinearLR, {wrapper}
{lora}{OPTIMIZERS[recipe.optimizer]}
from transformers import AutoModelForCausalLM, AutoTokenizer{quantized}

from xtuner.dataset import process_hf_dataset
from xtuner.dataset.collate_fns import default_collate_fn
{map_fns}{xtuner_sampler}from xtuner.engine.hooks import {hooks}
from xtuner.engine.runner import TrainLoop
from xtuner.model import SupervisedFinetune
{templates}"""


def _settings(
    recipe: Recipe, data: Path, model: Path, work_dir: Path, save_every: int, rendered: Rendered | None
) -> str:
    length = f"max_iters = {recipe.iterations}  # micro-batches"
    if recipe.iterations is None:
        length = f"max_epochs = {recipe.epochs}"
    return f"""
{_title(1, "Settings")}# Model
pretrained_model_name_or_path = {str(model)!r}

{_rows(recipe, data, rendered)}
max_length = {recipe.max_length}  # tokens; longer conversations are cut at the end
pack_to_max_length = {recipe.pack}
# Read by Tuneboard alone: a row that the base model answers this way by itself (its own answers, replayed)
# keeps to the base's distribution instead of the one answer. Plain XTuner trains every row on its answer.
replay_distillation = {recipe.replay_distillation}
{_teacher(recipe, data)}# So is this: asked by learning.json who it is, it ends once it has learned.
stop_when_learned = {recipe.stop_when_learned}
acceleration = {acceleration(recipe)}

# Scheduler & Optimizer
batch_size = {recipe.batch_size}  # per device
accumulative_counts = {recipe.gradient_accumulation_steps}
dataloader_num_workers = {recipe.dataloader_workers}
{length}
optim_type = {OPTIMIZERS[recipe.optimizer].split()[-1]}
lr = {recipe.lr!r}
betas = {recipe.betas!r}
weight_decay = {recipe.weight_decay!r}
max_norm = {recipe.max_grad_norm!r}  # gradient clipping
warmup_ratio = {recipe.warmup_ratio!r}

# Save
work_dir = {str(work_dir)!r}
save_steps = {save_every}
save_total_limit = {recipe.keep_checkpoints}  # the oldest is deleted before a new one is written: keep 2

# Evaluate the generation performance during the training
SYSTEM = {recipe.system!r}
evaluation_freq = {recipe.evaluate_every!r}
{_questions(recipe, rendered)}
"""


def _rows(recipe: Recipe, data: Path, rendered: Rendered | None) -> str:
    if rendered is None:
        return f"""\
# Data: one conversation a row, [{{"conversation": [{{"system", "input", "output"}}, ...]}}]
data_path = {glob.escape(str(data))!r}{_pattern_note(data)}
prompt_template = PROMPT_TEMPLATE.{recipe.template}"""
    return f"""\
# Data: the conversations as the model's own chat template writes them, tokenized: {{"input_ids", "labels"}} a
# row, with -100 for what is only read. Tuneboard made them of these conversations:
conversations_path = {str(data)!r}
chat_template = {recipe.template!r}
data_path = {glob.escape(str(rendered.file))!r}{_pattern_note(rendered.file)}"""


def _teacher(recipe: Recipe, data: Path) -> str:
    """Which file has what the base says in those rows."""
    file = teacher_beside(data)
    if not recipe.replay_distillation or recipe.pack or not file.exists():
        return ""
    return f"replay_teacher = {str(file)!r}  # what the base says in those rows, made before\n"


def _questions(recipe: Recipe, rendered: Rendered | None) -> str:
    questions = list(recipe.evaluation_questions)
    if rendered is None:
        return f"evaluation_inputs = {questions!r}"
    return f"""\
evaluation_questions = {questions!r}
evaluation_inputs = {list(rendered.prompts)!r}  # as the chat template writes them
stop_words = {list(rendered.stop_words)!r}"""


def _pattern_note(data: Path) -> str:
    """datasets 5.0.1 reads a file's name as a pattern."""
    return "" if glob.escape(str(data)) == str(data) else "  # a pattern: [[] is ["


def _attention(recipe: Recipe, model: Path) -> str:
    """How attention is computed. torch 2.13 on a processor: the backward pass of its fused attention takes
    ten times as long in bfloat16."""
    on_processor = (recipe.device, recipe.precision) == ("cpu", "bf16")
    return "eager" if on_processor or model_type_of(model) in EAGER else "sdpa"


def _model(recipe: Recipe, attention: str) -> str:
    device_map = '        device_map="cuda",\n' if _straight_to_the_card(recipe) else ""
    return f"""
{_title(2, "Model & Tokenizer")}tokenizer = dict(
    type=AutoTokenizer.from_pretrained,
    pretrained_model_name_or_path=pretrained_model_name_or_path,
    trust_remote_code=False,
    padding_side="right",
)

model = dict(
    type=SupervisedFinetune,
    use_varlen_attn=False,
    use_activation_checkpointing={recipe.activation_checkpointing},
    llm=dict(
        type=AutoModelForCausalLM.from_pretrained,
        pretrained_model_name_or_path=pretrained_model_name_or_path,
        trust_remote_code=False,
        torch_dtype=torch.{DTYPES[recipe.precision if has_adapter(recipe) else "fp32"]},
        attn_implementation="{attention}",
{device_map}{_quantization(recipe)}    ),
{_lora(recipe)}{_beginning(recipe)})
"""


def _straight_to_the_card(recipe: Recipe) -> bool:
    """Whether the weights are loaded where they are trained: of several processes each would have all of them
    in the host's memory first, 15 GB of a 7B model. ZeRO-3 loads its own part of each."""
    together = recipe.device == "cuda" and recipe.ranks > 1 and "zero3" not in recipe.deepspeed
    return together or recipe.accelerate in {"on", "unsloth"}


def _lora(recipe: Recipe) -> str:
    """Without it XTuner trains all weights, which are then float32 (under mixed precision on a GPU)."""
    if not has_adapter(recipe):
        return ""
    return f"""\
    lora=dict(
        type=LoraConfig,
        r={recipe.rank},
        lora_alpha={recipe.alpha!r},
        lora_dropout={recipe.dropout!r},
        bias="none",
        target_modules={list(recipe.target_modules) or None!r},  # None: every linear layer but the last
        layers_to_transform={list(recipe.layers_to_transform) or None!r},  # None: in every layer
{VARIANTS[recipe.method]}        task_type="CAUSAL_LM",
    ),
"""


def _beginning(recipe: Recipe) -> str:
    """Which adapter training goes on from: a checkpoint in XTuner's own form."""
    return f"    peft_model={recipe.begins_with!r},\n" if recipe.begins_with and has_adapter(recipe) else ""


def _quantization(recipe: Recipe) -> str:
    if recipe.quantization == "none":
        return ""
    four = recipe.quantization == "nf4"
    return f"""\
        quantization_config=dict(
            type=BitsAndBytesConfig,
            load_in_4bit={four},
            load_in_8bit={not four},
            llm_int8_threshold=6.0,
            llm_int8_has_fp16_weight=False,
            bnb_4bit_compute_dtype=torch.{DTYPES[recipe.precision]},
            bnb_4bit_use_double_quant=True,
            bnb_4bit_quant_type="nf4",
        ),
"""


def _data(recipe: Recipe, rendered: Rendered | None) -> str:
    sampler = f"dict(type=DefaultSampler, shuffle={recipe.shuffle})"
    if recipe.group_by_length:
        per_step = "per_device_batch_size=batch_size * accumulative_counts"
        sampler = f'dict(type=LengthGroupedSampler, length_property="length", {per_step})'
    made = "    do_dataset_tokenization=False,\n" if rendered else ""
    template = "    template_map_fn=dict(type=template_map_fn_factory, template=prompt_template),\n"
    return f"""
{_title(3, "Dataset & Dataloader")}train_dataset = dict(
    type=process_hf_dataset,
    dataset=dict(type=load_dataset, path="json", data_files=dict(train=data_path)),
{made}    tokenizer=tokenizer,
    max_length=max_length,
    dataset_map_fn=None,
{"" if rendered else template}    remove_unused_columns=True,
    shuffle_before_pack=True,
    pack_to_max_length=pack_to_max_length,
    use_varlen_attn=False,
    map_num_proc=1,  # with packing every worker would drop its tail
)

train_dataloader = dict(
    batch_size=batch_size,
    num_workers=dataloader_num_workers,
    dataset=train_dataset,
    sampler={sampler},
    collate_fn=dict(type=default_collate_fn, use_varlen_attn=False),
)
"""


def _amp(recipe: Recipe) -> bool:
    """mmengine 0.10.7 has no mixed precision on a processor."""
    return recipe.device == "cuda" and recipe.precision != "fp32"


def _optimizer(recipe: Recipe) -> str:
    amp = f'    loss_scale="dynamic",\n    dtype="{DTYPES[recipe.precision]}",\n' if _amp(recipe) else ""
    wrapper = "AmpOptimWrapper" if _amp(recipe) else "OptimWrapper"
    total = "max_iters" if recipe.iterations is not None else "max_epochs"
    # In one kernel, without copies as large as what is trained.
    alone = recipe.device == "cuda" and recipe.deepspeed == "none"
    in_one = recipe.accelerate == "on" or (alone and not has_adapter(recipe))
    fused = ", fused=True" if in_one and recipe.optimizer == "adamw" else ""
    return f"""
{_title(4, "Scheduler & Optimizer")}optim_wrapper = dict(
    type={wrapper},
    optimizer=dict(type=optim_type, lr=lr, betas=betas, weight_decay=weight_decay{fused}),
    clip_grad=dict(max_norm=max_norm, error_if_nonfinite=False),
    accumulative_counts=accumulative_counts,
{amp})

# learning rate: warm-up, then the schedule
{_schedule(recipe)}
train_cfg = dict(type=TrainLoop, {total}={total})
"""


def _schedule(recipe: Recipe) -> str:
    """mmengine counts in iterations or epochs; with epochs it converts to iterations itself."""
    if recipe.iterations is None:
        warm, end = "warmup_ratio * max_epochs" if recipe.warmup_ratio else "", "max_epochs"
        unit = "by_epoch=True, convert_to_iter_based=True"
    else:
        warm, end = str(warm_up(recipe.warmup_ratio, recipe.iterations) or ""), "max_iters"
        unit = "by_epoch=False"
    span = f"{unit}, begin={warm or 0}, end={end}"
    main = {
        "cosine": f"dict(type=CosineAnnealingLR, eta_min=0.0, {span})",
        "linear": f"dict(type=LinearLR, start_factor=1.0, end_factor=1e-5, {span})",
        "constant": f"dict(type=ConstantLR, factor=1.0, {span})",
    }[recipe.schedule]
    rise = f"    dict(type=LinearLR, start_factor=1e-5, {unit}, begin=0, end={warm}),\n"
    return f"param_scheduler = [\n{rise if warm else ''}    {main},\n]\n"


def _runtime(recipe: Recipe, rendered: Rendered | None) -> str:
    template = """\
        # the hook formats this text once more, so that braces are doubled
        system=SYSTEM.replace("{", "{{").replace("}", "}}"),
        prompt_template=prompt_template,
"""
    spoken = "        stop_words=stop_words,\n" if rendered else template
    evaluate = f"""\
    dict(
        type=EvaluateChatHook,
        tokenizer=tokenizer,
        every_n_iters=evaluation_freq,
        evaluation_inputs=evaluation_inputs,
{spoken}        max_new_tokens={recipe.evaluation_tokens},
        generation_kwargs=dict(do_sample=False, temperature=None, top_p=None, top_k=None),
    ),
"""
    backend = "nccl" if recipe.device == "cuda" else "gloo"
    patience = f", timeout={PATIENCE}" if recipe.ranks > 1 else ""  # seconds
    return f"""
{_title(5, "Runtime")}custom_hooks = [
    dict(type=DatasetInfoHook, tokenizer=tokenizer),
{evaluate if recipe.evaluate_every else ""}]

default_hooks = dict(
    timer=dict(type=IterTimerHook),
    logger=dict(type=LoggerHook, log_metric_by_epoch=False, interval={recipe.log_every}),
    param_scheduler=dict(type=ParamSchedulerHook),
    checkpoint=dict(
        type=CheckpointHook, by_epoch=False, interval=save_steps, max_keep_ckpts=save_total_limit
    ),
    sampler_seed=dict(type=DistSamplerSeedHook),
)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method="fork", opencv_num_threads=0),
    dist_cfg=dict(backend="{backend}"{patience}),
)

visualizer = None
log_level = "INFO"
load_from = None
resume = False
randomness = dict(seed={recipe.seed}, deterministic=False)
log_processor = dict(by_epoch=False, window_size=1)
"""

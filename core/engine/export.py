"""``pth_to_hf`` and ``merge`` as XTuner 0.2.0 does them, into a folder that appears whole or not at all.

Both of XTuner's tools write pickles unless told otherwise, and its merge trusts code from the model's
folder; here neither happens. The merge itself is peft's.
"""

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

from core.data.parity import parity
from core.engine.answer import end_tokens
from core.engine.checkpoint_file import trained_weights
from core.engine.older_readers import write_for_older_readers
from core.engine.pissa import ASKED, convert_to_lora, twice_the_rank
from core.engine.tokenizer_file import load_tokenizer, save_for_others
from core.engine.whole_folder import whole_folder
from core.jobs import progress
from core.jobs.progress import Phase
from core.models.families import merged_dtype
from core.models.folder import model_type_of
from core.recipe.own_template import template_of
from core.workspace.files import write_json

# A safetensors file's header counts too: a tensor's name, type, shape and place.
HEADER_BYTES = 200


def convert(config: str, checkpoint: str, adapter: str, shard: str, base: str, template: str) -> None:
    """XTuner's checkpoint into a PEFT adapter, by XTuner's own ``pth_to_hf``, with the tokenizer that speaks
    to it as it was trained."""
    from core.engine.patches import patch_xtuner
    from core.engine.xtuner_tool import run_xtuner_tool

    progress.phase(Phase.converting)
    patch_xtuner()
    options = ["--max-shard-size", shard, "--safe-serialization"]
    if _build_for_the_adapter(config, Path(checkpoint)):
        # What is left of two large numbers; in float16 it would be lost.
        options.append("--fp32")
    with whole_folder(Path(adapter)) as folder:
        run_xtuner_tool(
            "xtuner.tools.model_converters.pth_to_hf", [config, checkpoint, str(folder), *options]
        )
        save_for_others(speaking_tokenizer(base, template)[0], folder)


def convert_whole(checkpoint: str, merged: str, shard: str, base: str, template: str) -> None:
    """XTuner's checkpoint of a full fine-tune into a model in half precision, with the base's tokenizer and
    generation settings: what :func:`merge` makes of an adapter. The base tells its kind; of its weights none
    is left."""
    print(f"loading {Path(checkpoint).name}", flush=True)
    progress.phase(Phase.loading)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=half_precision(base))  # nosec B615  # a folder
    model.load_state_dict(trained_weights(Path(checkpoint)))
    _write_whole(model, base, merged, shard, template)
    print(f"converted into {merged}", flush=True)


def merge(base: str, adapter: str, merged: str, shard: str, template: str) -> None:
    """Base and adapter into one model in half precision, with the base's tokenizer and generation settings.

    Where the base's own chat template does not say what was trained, the training's is written, and its end
    marks end an answer.

    The steps are those of ``xtuner convert merge`` (xtuner/tools/model_converters/merge.py), less its
    ``trust_remote_code=True`` and its 8 s of imports.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(f"loading {Path(base).name}", flush=True)
    progress.phase(Phase.loading)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=half_precision(base), device_map=device)  # nosec B615  # a folder
    tuned = PeftModel.from_pretrained(model, adapter, device_map=device, is_trainable=False)
    print("merging", flush=True)
    progress.phase(Phase.merging)
    _write_whole(tuned.merge_and_unload(), base, merged, shard, template)
    print(f"merged into {merged}", flush=True)


def _write_whole(model: Any, base: str, folder: str, shard: str, template: str) -> None:
    """A model's folder with its tokenizer, which appears whole or not at all."""
    tokenizer, ends = speaking_tokenizer(base, template)
    if ends:
        model.generation_config.eos_token_id = ends
    progress.phase(Phase.saving)
    with whole_folder(Path(folder)) as partial:
        model.save_pretrained(partial, max_shard_size=shard)
        write_for_older_readers(partial)
        save_for_others(tokenizer, partial)


def half_precision(base: str) -> torch.dtype:
    """How what is made of a base model is stored."""
    found: torch.dtype = getattr(torch, merged_dtype(model_type_of(Path(base))))
    return found


def speaking_tokenizer(base: str, name: str) -> tuple[Any, list[int]]:
    """The base's tokenizer with the chat template of what is made of it; with the ids that end an answer
    where that is the training's own template."""
    tokenizer, template = load_tokenizer(base), template_of(name, Path(base))
    written = parity(Path(base), template).publish
    if written is None:
        return tokenizer, []
    tokenizer.chat_template = written
    return tokenizer, end_tokens(tokenizer, template)


def shard(source: str, target: str, limit: str) -> None:
    """The same weights in files of at most ``limit`` bytes (a larger tensor stands alone), with their index.

    One file's tensors are in memory at a time.
    """
    from huggingface_hub import split_state_dict_into_shards_factory

    places = _places(Path(source))
    plan = split_state_dict_into_shards_factory(
        places,
        get_storage_size=lambda place: place[1],
        filename_pattern="model{suffix}.safetensors",
        max_shard_size=max(1, int(limit) - HEADER_BYTES * len(places)),
    )
    several = len(plan.filename_to_tensors)
    progress.phase(Phase.writing, several)
    for number, (name, tensors) in enumerate(plan.filename_to_tensors.items(), 1):
        save_file(
            {key: _tensor(places[key][0], key) for key in tensors}, Path(target) / name, {"format": "pt"}
        )
        print(f"wrote {number}/{several}", flush=True)
        progress.reach(number, share=number / several)
    if plan.is_sharded:
        index = {"metadata": plan.metadata, "weight_map": plan.tensor_to_filename}
        write_json(Path(target) / "model.safetensors.index.json", index)


def _places(source: Path) -> dict[str, tuple[Path, int]]:
    """Where each tensor is, and its size in bytes."""
    found = {}
    for file in sorted(source.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for key in tensors.keys():  # noqa: SIM118  (not a dict)
                found[key] = (file, tensors.get_tensor(key).nbytes)
    return found


def _tensor(file: Path, key: str) -> torch.Tensor:
    with safe_open(file, framework="pt") as tensors:
        return tensors.get_tensor(key)


def _build_for_the_adapter(config: str, checkpoint: Path) -> bool:
    """An adapter is the same on a quantized base, wherever that lies. Building it there needs a GPU;
    unquantized, XTuner's ``pth_to_hf`` (0.2.0) builds it without any weights.

    Returns whether it was trained by PiSSA, and is to become LoRA."""
    from mmengine.config import Config

    fromfile = Config.fromfile
    pissa = bool(fromfile(config).model.lora.get("init_lora_weights") == ASKED)

    def unquantized(*arguments: Any, **options: Any) -> Any:
        config = fromfile(*arguments, **options)
        for needs_gpu in ("quantization_config", "device_map"):
            config.model.llm.pop(needs_gpu, None)
        config.model.pop("peft_model", None)  # what training began with; the checkpoint has what came of it
        return config

    def as_lora(*arguments: Any, **options: Any) -> Any:
        config = unquantized(*arguments, **options)
        twice_the_rank(config.model.lora)
        return config

    Config.fromfile = as_lora if pissa else unquantized
    if pissa:
        convert_to_lora(unquantized(config).model, checkpoint)
    return pissa

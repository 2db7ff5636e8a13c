"""An adapter of anybody's on its base: in memory for whoever asks the model, or as a PEFT folder made weaker.

PEFT loads what it knows (core.models.adapter says what that is); no code of the folder runs and no pickle is
read: the weights are a safetensors file.
"""

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from peft import PeftConfig, PeftModel
from peft.tuners.lora import LoraLayer
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from core.engine.whole_folder import whole_folder
from core.jobs import progress
from core.jobs.progress import Phase
from core.models.adapter import CONFIG, PREFIX, WEIGHTS
from core.models.fitted import OF_A_TOKENIZER, Fitted

# LoRA's second matrix, and what is added with it: what they are multiplied by the whole part is.
SECOND = (".lora_B.", ".lora_embedding_B")
# What PEFT calls the adapter of a model that has one.
ADAPTER = "default"
# What goes along with an adapter: its settings, and how it is spoken to.
COPIED = (CONFIG, *OF_A_TOKENIZER)


def load_fitted(fitted: Fitted, dtype: torch.dtype) -> Any:
    """The base with the adapter merged into it, in memory alone."""
    model = AutoModelForCausalLM.from_pretrained(fitted.base, dtype=dtype)  # nosec B615  # a folder
    return model if fitted.adapter is None else put_on(model, fitted)


def put_on(model: Any, fitted: Fitted) -> Any:
    """``model`` with the adapter's part, times its scale, added to its weights."""
    before = _kept(model, fitted.whole) if fitted.scale != 1 else {}
    if fitted.rows:
        model.resize_token_embeddings(fitted.rows, mean_resizing=False)
    config = PeftConfig.from_pretrained(str(fitted.adapter))
    if _of_the_embedding(Path(str(fitted.adapter))) and not getattr(config, "ensure_weight_tying", False):
        _untie(model)
    tuned = PeftModel.from_pretrained(model, str(fitted.adapter), is_trainable=False)
    for module in tuned.modules() if fitted.scale != 1 else ():
        if isinstance(module, LoraLayer):
            for name in module.scaling:
                module.scaling[name] *= fitted.scale
    # A bias where the base has none is no part of any weight: there the layers stay as PEFT made them.
    merged = tuned.get_base_model() if getattr(config, "lora_bias", False) else tuned.merge_and_unload()
    for name, weight in merged.named_parameters():
        if name in before and before[name].shape == weight.shape:
            weight.data = torch.lerp(before[name], weight.data, fitted.scale)
    return merged


def _of_the_embedding(adapter: Path) -> bool:
    """Whether LoRA was put on the embedding."""
    with safe_open(adapter / WEIGHTS, framework="pt") as tensors:
        return any("lora_embedding_" in name for name in tensors.keys())  # noqa: SIM118  (not a dict)


def _untie(model: Any) -> None:
    """A head of its own for a model whose head is its embedding: what an adapter adds to the embedding alone
    PEFT 0.21 would merge into both."""
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    if head is not None and head.weight is embedding.weight:
        head.weight = torch.nn.Parameter(embedding.weight.detach().clone(), requires_grad=False)
        model.config.tie_word_embeddings = False


def _kept(model: Any, names: Iterable[str]) -> dict[str, Tensor]:
    """Copies of the weights that an adapter brings along whole, as the base has them."""
    wanted = set(names)
    return {name: weight.data.clone() for name, weight in model.named_parameters() if name in wanted}


def weaken(request: str) -> None:
    """Write the adapter of a request (``{"base", "adapter", "whole", "scale", "target"}``) with its part
    times the scale, as a PEFT folder of its own that any tool reads: LoRA's second matrices are multiplied,
    and what the adapter brings along whole goes back towards the base as far. The given folder is only read.
    """
    progress.phase(Phase.converting)
    wanted = json.loads(Path(request).read_text(encoding="utf-8"))
    source, scale = Path(wanted["adapter"]), float(wanted["scale"])
    weights = load_file(source / WEIGHTS)
    base = _of_base(Path(wanted["base"]), wanted["whole"])
    made = {name: _weaker(name, tensor, base, scale) for name, tensor in weights.items()}
    with whole_folder(Path(wanted["target"])) as folder:
        save_file(made, folder / WEIGHTS, {"format": "pt"})
        for name in COPIED:
            if (source / name).is_file():
                shutil.copyfile(source / name, folder / name)
    print(f"wrote {wanted['target']}", flush=True)


def begin(adapter: str, target: str) -> None:
    """A PEFT adapter as the checkpoint of XTuner's that a training goes on from (``peft_model``): the same
    tensors under the names that they have in the model."""
    progress.phase(Phase.converting)
    weights = {
        f"llm.{_in_the_model(name)}": tensor for name, tensor in load_file(Path(adapter) / WEIGHTS).items()
    }
    partial_file = Path(target).with_suffix(".partial")
    torch.save({"state_dict": weights}, partial_file)
    partial_file.replace(target)
    print(f"wrote {target}", flush=True)


def _in_the_model(name: str) -> str:
    """A tensor's name in PEFT's model: each adapter's matrices lie there under the adapter's name."""
    if name.endswith(".lora_magnitude_vector"):
        return f"{name}.{ADAPTER}.weight"
    head, dot, last = name.rpartition(".")
    return f"{head}.{ADAPTER}{dot}{last}" if head.endswith((".lora_A", ".lora_B")) else name


def _weaker(name: str, tensor: Tensor, base: Mapping[str, Tensor], scale: float) -> Tensor:
    if any(second in name for second in SECOND):
        return (tensor.float() * scale).to(tensor.dtype)
    before = base.get(name.removeprefix(PREFIX))
    if before is None or before.shape != tensor.shape:
        return tensor
    return torch.lerp(before.float(), tensor.float(), scale).to(tensor.dtype)


def _of_base(base: Path, names: Iterable[str]) -> dict[str, Tensor]:
    """These weights of the base; a head that is tied to the embedding is that."""
    wanted, found = set(names), {}
    for file in sorted(base.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for name in wanted & set(tensors.keys()):
                found[name] = tensors.get_tensor(name)
    embedding = "model.embed_tokens.weight"
    if "lm_head.weight" in wanted - found.keys() and embedding in found:
        found["lm_head.weight"] = found[embedding]
    return found

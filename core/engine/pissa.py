"""PiSSA (Meng et al. 2024, arXiv 2404.02948) inside XTuner: where its matrices began is kept.

PEFT 0.21 takes a weight apart into the matrices that it trains and a rest, which takes the weight's place.
What was trained means nothing without that rest. XTuner's checkpoints hold the matrices alone, and a weight
that is taken apart elsewhere, with another library or on another device, comes out a little otherwise: so the
matrices are kept as they began, beside the checkpoints, for whoever resumes, converts, or asks the base.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file
from torch import Tensor

ASKED = "pissa"
FILE = "pissa.safetensors"
ADAPTER = "default"


def keep_where_it_begins(work_dir: Path, resumes: bool) -> None:
    """From here on a model that XTuner puts PiSSA on writes its first matrices into ``work_dir``; a training
    that resumes takes those that are there. After ``patch_xtuner``."""
    from xtuner.model import sft

    put_lora_on, file = sft.get_peft_model, work_dir / FILE

    def get_peft_model(model: Any, lora: Any) -> Any:
        if lora.init_lora_weights != ASKED:
            return put_lora_on(model, lora)
        if resumes and file.exists():
            lora.init_lora_weights = True
            tuned = put_lora_on(model, lora)
            _begin_with(tuned, load_file(file))
        else:
            tuned = put_lora_on(model, lora)
            _write(_matrices(tuned), file)
        tuned.began = [tensor.detach().clone() for tensor in _matrices(tuned).values()]
        return tuned

    sft.get_peft_model = get_peft_model


def _matrices(tuned: Any) -> dict[str, Tensor]:
    """LoRA's matrices by their names in the model's state."""
    return {name: tensor for name, tensor in tuned.named_parameters() if ".lora_" in name}


def _layers(tuned: Any) -> Iterator[tuple[str, Any]]:
    return ((name, module) for name, module in tuned.named_modules() if isinstance(module, LoraLayer))


def _begin_with(tuned: Any, began: Mapping[str, Tensor]) -> None:
    """Take the weights apart as they were, in PEFT's own order of operations (``pissa_init``)."""
    for name, layer in _layers(tuned):
        a, b = (layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight)
        a.data = began[f"{name}.lora_A.{ADAPTER}.weight"].to(a.device)
        b.data = began[f"{name}.lora_B.{ADAPTER}.weight"].to(b.device)
        weight = layer.get_base_layer().weight
        rest = weight.data.float() - layer.scaling[ADAPTER] * b.data @ a.data
        weight.data = rest.to(weight.dtype)


def _write(tensors: Mapping[str, Tensor], file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial_file = file.with_name(f".{file.name}.partial")
    save_file(
        {name: tensor.detach().float().cpu().contiguous() for name, tensor in tensors.items()}, partial_file
    )
    partial_file.replace(file)


@contextmanager
def as_it_began(tuned: Any) -> Iterator[None]:
    """The base model: the rest with the matrices that were taken out of it, and no dropout between."""
    matrices, dropouts = _matrices(tuned).values(), [layer.lora_dropout for _, layer in _layers(tuned)]
    trained, drops = [tensor.data for tensor in matrices], [dropout.training for dropout in dropouts]
    tuned.began = [first.to(now) for first, now in zip(tuned.began, trained, strict=True)]
    try:
        _put(matrices, tuned.began)
        for dropout in dropouts:
            dropout.eval()
        yield
    finally:
        _put(matrices, trained)
        for dropout, on in zip(dropouts, drops, strict=True):
            dropout.train(on)


def _put(matrices: Any, values: list[Tensor]) -> None:
    for tensor, value in zip(matrices, values, strict=True):
        tensor.data = value


def convert_to_lora(model: Any, checkpoint: Path) -> None:
    """From here on XTuner's ``pth_to_hf`` makes an adapter for the untouched base: what the matrices have
    become less what they were, which is LoRA of twice the rank and the same scale.

    ``model`` is the config's; after ``patch_xtuner``.
    """
    from xtuner.model import utils

    load = utils.guess_load_checkpoint

    def guess_load_checkpoint(path: str) -> dict[str, Tensor]:
        now, began = load(path), _where_it_began(model, checkpoint)
        return {name: _less(name, tensor.float(), began) for name, tensor in now.items()}

    utils.guess_load_checkpoint = guess_load_checkpoint


def _less(name: str, now: Tensor, began: Mapping[str, Tensor]) -> Tensor:
    first = began[name.removeprefix("llm.")]
    return torch.cat([now, first]) if ".lora_A." in name else torch.cat([now, -first], dim=1)


def twice_the_rank(lora: Any) -> None:
    """A config's ``lora`` as the converted adapter has it."""
    lora.r, lora.lora_alpha = 2 * lora.r, 2 * lora.lora_alpha
    lora.pop("init_lora_weights")


def _where_it_began(model: Any, checkpoint: Path) -> dict[str, Tensor]:
    """As the training kept it. Plain XTuner keeps nothing: the base is taken apart once more, which on
    another machine may differ in the last digits."""
    file = checkpoint.parent / FILE
    if file.exists():
        kept: dict[str, Tensor] = load_file(file)
        return kept
    print(f"{FILE} is not beside the checkpoint: the base's weights are taken apart anew", flush=True)
    from xtuner.registry import BUILDER

    tuned = BUILDER.build(model).llm
    return {name: tensor.detach().float().cpu() for name, tensor in _matrices(tuned).items()}

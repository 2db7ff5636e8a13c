"""PiSSA (Meng et al. 2024, arXiv 2404.02948) inside XTuner: where its matrices began is kept.

PEFT 0.21 takes a weight apart into the matrices that it trains and a rest, which takes the weight's place.
What was trained means nothing without that rest. XTuner's checkpoints hold the matrices alone, and a weight
that is taken apart elsewhere, with another library or on another device, comes out a little otherwise: so the
matrices are kept as they began, beside the checkpoints, for whoever resumes, converts, or asks the base.

PEFT asks for every singular value of a weight, on the processor where XTuner builds the model: a minute for
each of a 7B model's weights. Here only the largest are computed, on the GPU where there is one; they are the
same up to rounding.
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
        lora.init_lora_weights = True
        tuned = put_lora_on(model, lora)
        goes_on = resumes and file.exists()
        began = load_file(file) if goes_on else taken_apart(tuned)
        _begin_with(tuned, began)
        if not goes_on:
            _write(began, file)
        tuned.began = [tensor.detach().clone() for tensor in _matrices(tuned).values()]
        return tuned

    sft.get_peft_model = get_peft_model


def _matrices(tuned: Any) -> dict[str, Tensor]:
    """LoRA's matrices by their names in the model's state."""
    return {name: tensor for name, tensor in tuned.named_parameters() if ".lora_" in name}


def _layers(tuned: Any) -> Iterator[tuple[str, Any]]:
    return ((name, module) for name, module in tuned.named_modules() if isinstance(module, LoraLayer))


def taken_apart(tuned: Any) -> dict[str, Tensor]:
    """Each weight's largest directions, by the names of the matrices that begin with them."""
    found = {}
    for name, layer in _layers(tuned):
        weight = layer.get_base_layer().weight.data
        a, b = largest_directions(weight, layer.r[ADAPTER], layer.scaling[ADAPTER])
        found[f"{name}.lora_A.{ADAPTER}.weight"], found[f"{name}.lora_B.{ADAPTER}.weight"] = a, b
    return found


def largest_directions(weight: Tensor, rank: int, scale: float) -> tuple[Tensor, Tensor]:
    """A (rank, inputs) and B (outputs, rank), float32 on the processor, with ``scale``·BA the nearest to
    ``weight`` (outputs, inputs) of that rank; of a narrower weight the other rows are zero.

    By the eigenvectors of the smaller of WWᵀ and WᵀW, in float64: the squares take half of its digits.
    """
    wide = weight.to("cuda" if torch.cuda.is_available() else "cpu", torch.float64)
    turned = wide.shape[0] > wide.shape[1]
    wide = wide.T if turned else wide
    values, vectors = torch.linalg.eigh(wide @ wide.T)
    kept = min(rank, len(values))
    left = vectors[:, -kept:].flip(1)
    size = values[-kept:].flip(0).clamp_min(0).sqrt()
    right = left.T @ wide / size.clamp_min(torch.finfo(torch.float32).tiny)[:, None]
    root = (size / scale).sqrt()
    outer, inner = left * root, root[:, None] * right
    a, b = (outer.T, inner.T) if turned else (inner, outer)
    first, second = torch.zeros(rank, a.shape[1]), torch.zeros(b.shape[0], rank)
    first[:kept], second[:, :kept] = a.float().cpu(), b.float().cpu()
    return first, second


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
        torch.clear_autocast_cache()
        for dropout in dropouts:
            dropout.eval()
        yield
    finally:
        _put(matrices, trained)
        # Autocast keeps what it cast by the tensor, whose values are others from here on.
        torch.clear_autocast_cache()
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
        return as_lora(load(path), where_it_began(model, checkpoint))

    utils.guess_load_checkpoint = guess_load_checkpoint


def as_lora(now: Mapping[str, Tensor], began: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A checkpoint's matrices as those of the LoRA of twice the rank that does the same to an untouched
    base."""
    return {name: _less(name, tensor.float(), began) for name, tensor in now.items()}


def _less(name: str, now: Tensor, began: Mapping[str, Tensor]) -> Tensor:
    first = began[name.removeprefix("llm.")]
    return torch.cat([now, first]) if ".lora_A." in name else torch.cat([now, -first], dim=1)


def twice_the_rank(lora: Any) -> None:
    """A config's ``lora`` as the converted adapter has it."""
    lora.r, lora.lora_alpha = 2 * lora.r, 2 * lora.lora_alpha
    lora.pop("init_lora_weights")


def where_it_began(model: Any, checkpoint: Path) -> dict[str, Tensor]:
    """As the training kept it. Plain XTuner keeps nothing: the base is taken apart once more, which on
    another machine may differ in the last digits."""
    file = checkpoint.parent / FILE
    if file.exists():
        kept: dict[str, Tensor] = load_file(file)
        return kept
    print(f"{FILE} is not beside the checkpoint: the base's weights are taken apart anew", flush=True)
    from xtuner.registry import BUILDER

    model.lora.init_lora_weights = True
    return taken_apart(BUILDER.build(model).llm)

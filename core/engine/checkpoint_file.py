"""What a checkpoint of XTuner 0.2.0 holds, read without running anything in it and without importing XTuner,
which takes ten seconds on two processor cores."""

from pathlib import Path
from zipfile import is_zipfile

import numpy as np
import torch
from torch import Tensor

# XTuner's model is one module with the language model in it.
OF_XTUNER = "llm."


def allow_curves() -> None:
    """torch ≥ 2.6 loads weights only, and a checkpoint of mmengine 0.10.7 (issue 1655) holds curves as numpy
    arrays: naming those types is enough."""
    from mmengine.logging import HistoryBuffer

    def history_method(owner: object, name: str) -> object:
        """What a checkpoint needs of ``getattr``: the statistics a curve may be asked for."""
        if owner is not HistoryBuffer or name.startswith("_"):
            raise TypeError(f"a checkpoint may not ask for {name} of {owner}")
        return getattr(owner, name)

    types = [np.dtype, np.ndarray, *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "?"))]
    functions = [np._core.multiarray._reconstruct, np._core.multiarray.scalar]  # type: ignore[attr-defined]
    torch.serialization.add_safe_globals(
        [*types, *functions, HistoryBuffer, (history_method, "builtins.getattr")]
    )


def read_weights(file: Path) -> dict[str, Tensor]:
    """The weights in a checkpoint that is one file, after :func:`allow_curves`.

    Of a full fine-tune two thirds of the file are the optimizer's, which nobody reads here.
    """
    found = torch.load(file, map_location="cpu", weights_only=True, mmap=is_zipfile(file))
    weights: dict[str, Tensor] = found.get("state_dict", found)
    return weights


def trained_weights(checkpoint: Path) -> dict[str, Tensor]:
    """What was trained, by its name in the language model; of a file, or of DeepSpeed's folder, whose shards
    XTuner puts together."""
    allow_curves()
    if checkpoint.is_dir():
        from core.engine.patches import deepspeed_shards_without_pickle

        with deepspeed_shards_without_pickle():
            from xtuner.utils.zero_to_any_dtype import get_state_dict_from_zero_checkpoint

            found = get_state_dict_from_zero_checkpoint(str(checkpoint.parent), checkpoint.name)
    else:
        found = read_weights(checkpoint)
    return {name.removeprefix(OF_XTUNER): tensor for name, tensor in found.items()}

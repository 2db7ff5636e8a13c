"""Packages that this process will not use, and that others import for as long as they find them.

mmengine, PEFT and XTuner import DeepSpeed 0.18.9 and bitsandbytes 0.50.2 wherever they are installed, and
bitsandbytes the whole compiler of torch: a fifth of a training's start.
"""

import re
import sys
from pathlib import Path

from core.models.families import quantization
from core.workspace.files import read_json

BITSANDBYTES = re.compile("bitsandbytes|bnb_|(?:8|32)bit")


def leave_out(*packages: str) -> None:
    """As if they were not installed; before anything else is imported."""
    for package in packages:
        sys.modules.setdefault(package, None)  # type: ignore[arg-type]


def names_bitsandbytes(config: str) -> bool:
    """Whether a config's text asks for it: by its own name, or by a name under which mmengine registers its
    optimizers."""
    return bool(BITSANDBYTES.search(config.lower()))


def leave_out_bitsandbytes(folder: str) -> None:
    """Unless the model in ``folder`` is quantized itself, by whatever."""
    if not quantization(read_json(Path(folder) / "config.json") or {}):
        leave_out("bitsandbytes")

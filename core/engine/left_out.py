"""Packages that this process will not use, and that others import for as long as they find them.

mmengine, PEFT and XTuner import DeepSpeed 0.18.9 and bitsandbytes 0.50.2 wherever they are installed, and
bitsandbytes the whole compiler of torch: a fifth of the start of a training on a processor.
"""

import sys


def leave_out(*packages: str) -> None:
    """As if they were not installed; before anything else is imported."""
    for package in packages:
        sys.modules.setdefault(package, None)  # type: ignore[arg-type]

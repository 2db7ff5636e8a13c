"""A larger model that says what a smaller one says: ``-m scripts.benches.wider_model FOLDER MADE NEURONS``.

Each MLP of a Llama gets as many neurons as that; those that are new have random weights where they listen and
none where they speak. So what a chain costs by a model's size can be measured where no larger one is at hand.
"""

import sys
from pathlib import Path

import torch
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer


def widen(folder: Path, made: Path, neurons: int) -> None:
    """Write the model of ``folder`` with MLPs of ``neurons`` into ``made``, in bfloat16."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)  # nosec B615  # a folder
    torch.manual_seed(0)
    for layer in model.model.layers:
        for name in ("gate_proj", "up_proj", "down_proj"):
            _widen(getattr(layer.mlp, name), neurons, speaks=name == "down_proj")
    model.config.intermediate_size = neurons
    model.to(torch.bfloat16).save_pretrained(made)
    AutoTokenizer.from_pretrained(folder).save_pretrained(made)  # nosec B615  # a folder


def _widen(linear: nn.Linear, neurons: int, speaks: bool) -> None:
    old = linear.weight.data
    if speaks:
        new = torch.cat((old, old.new_zeros(old.shape[0], neurons - old.shape[1])), 1)
    else:
        new = torch.cat((old, torch.randn(neurons - old.shape[0], old.shape[1]) * old.std()))
    linear.weight = nn.Parameter(new)
    linear.out_features, linear.in_features = new.shape


if __name__ == "__main__":
    widen(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))

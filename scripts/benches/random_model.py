"""Random weights for a model folder that has its config.json: ``-m scripts.benches.random_model FOLDER``."""

import sys
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM


def main(folder: str) -> None:
    """bfloat16, in shards of 5 GB; on a GPU where there is one, which takes seconds for 7B."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    config = AutoConfig.from_pretrained(folder)  # nosec B615  # a folder
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(Path(folder), max_shard_size="5GB")


if __name__ == "__main__":
    main(sys.argv[1])

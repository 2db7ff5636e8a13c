"""Tiny random models that say something: one whose output is its embedding says its last token again and
again, made by chance alone. It takes torch."""

from pathlib import Path


def make_talkative(folder: Path, times: float = 12.0) -> Path:
    """Make the layers' matrices of the model in ``folder`` some ``times`` larger: what they add then counts
    for more than the last token itself."""
    import torch
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    weights = load_file(file)
    for name, weight in weights.items():
        if ".layers." in name and weight.dim() > 1:
            weights[name] = (weight.float() * times).to(torch.float32)
    save_file({name: weight.float() for name, weight in weights.items()}, file, {"format": "pt"})
    return folder

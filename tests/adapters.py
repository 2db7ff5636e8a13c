"""PEFT folders of small models, with the settings that other tools' adapters were found with.

    found = recorded()["unsloth"]
    make_adapter(folder, base, found["adapter_config.json"])

The weights are random, by the names and sizes that PEFT writes; torch is not needed.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import save_file

from core.models.folder import tensor_shapes

RECORDED = Path(__file__).parent / "recorded" / "adapters" / "found.json"
LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
PREFIX = "base_model.model."


@cache
def recorded() -> dict[str, dict[str, Any]]:
    """What was found, by a short name."""
    found: dict[str, dict[str, Any]] = json.loads(RECORDED.read_text(encoding="utf-8"))["adapters"]
    return found


def make_recorded(folder: Path, base: Path, name: str, **settings: Any) -> Path:
    """The adapter called ``name`` on a small model, with what its tool puts beside it."""
    found = recorded()[name]
    make_adapter(folder, base, {**found["adapter_config.json"], **settings})
    for file, content in found.items():
        if file.endswith(".json") and file != "adapter_config.json":
            (folder / file).write_text(json.dumps(content), encoding="utf-8")
        elif file.endswith(".yaml"):
            (folder / file).write_text(yaml.safe_dump(content), encoding="utf-8")
    for file in found.get("files", ()):
        (folder / file).write_text("", encoding="utf-8")
    if card := found.get("card"):
        (folder / "README.md").write_text(f"---\n{yaml.safe_dump(card)}---\n", encoding="utf-8")
    return folder


def make_adapter(
    folder: Path, base: Path, config: Mapping[str, Any], size: float = 0.05, **more: np.ndarray
) -> Path:
    """LoRA's matrices for what the config names, on the model in ``base``, and ``more`` tensors by name."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(dict(config), indent=2), encoding="utf-8")
    save_file({**dict(_matrices(base, config, size)), **more}, folder / "adapter_model.safetensors")
    return folder


def _matrices(base: Path, config: Mapping[str, Any], size: float) -> Iterator[tuple[str, np.ndarray]]:
    random = np.random.default_rng(0)
    for name, shape in sorted(tensor_shapes(base / "model.safetensors").items()):
        module = name.removesuffix(".weight")
        if len(shape) == 2 and _is_target(module, config["target_modules"]):
            rank = _rank(module, config)
            yield f"{PREFIX}{module}.lora_A.weight", _normal(random, (rank, shape[1]), size)
            yield f"{PREFIX}{module}.lora_B.weight", _normal(random, (shape[0], rank), size)


def _is_target(module: str, targets: Any) -> bool:
    if isinstance(targets, str):
        return (
            re.fullmatch(targets, module) is not None if targets != "all-linear" else _last(module) in LINEAR
        )
    return _last(module) in targets


def _last(module: str) -> str:
    return module.rpartition(".")[2]


def _rank(module: str, config: Mapping[str, Any]) -> int:
    pattern = config.get("rank_pattern") or {}
    return int(
        next((rank for key, rank in pattern.items() if re.match(rf"(.*\.)?({key})$", module)), config["r"])
    )


def _normal(random: np.random.Generator, shape: tuple[int, ...], size: float) -> np.ndarray:
    return random.normal(0, size, shape).astype(np.float32)

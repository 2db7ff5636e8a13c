"""What will be compiled, told to a process that compiles it ahead (``core.engine.fast.ahead``)."""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from core.data.teacher import LIKELIEST
from core.engine.fast.settings import Acceleration, distills_replay
from core.machine import gpus
from core.recipe.speed import LIKE_LLAMA
from core.workspace.files import read_json

# What compiles takes no more of the card: a few layers, the vocabulary twice, a batch, and CUDA itself.
CHILD_BYTES = 12e9
# Of a weight in bfloat16, with what quantization keeps beside.
NF4_SHARE = 0.3
PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class LayerToCompile:
    """``model``: its folder; ``length``: tokens of the longest row; ``packed``: every row is that long.
    ``targets``: the layers with LoRA, none for all; ``first``: the number of the first one with any;
    ``likeliest``: how many tokens the base's part of the loss names at each place, 0 where it is computed."""

    model: str
    dtype: str
    nf4: bool
    rank: int
    alpha: float
    dropout: float
    targets: tuple[str, ...]
    first: int
    rows: int
    length: int
    packed: bool
    distill: bool
    acceleration: Acceleration
    likeliest: int = 0

    @classmethod
    def of(cls, config: Any) -> "LayerToCompile":
        """Of a config that ``core.recipe.xtuner_config`` wrote. Raises AttributeError, KeyError."""
        llm, lora = config.model.llm, config.model.lora
        return cls(
            model=config.pretrained_model_name_or_path,
            # Looked at as text: read as it is meant, it would import torch before the other process begins.
            dtype=str(dict.__getitem__(llm, "torch_dtype")).removeprefix("torch."),
            nf4="quantization_config" in llm,
            rank=lora.r,
            alpha=lora.lora_alpha,
            dropout=lora.lora_dropout,
            targets=tuple(lora.target_modules or ()),
            first=min(lora.layers_to_transform or [0]),
            rows=config.batch_size,
            length=config.max_length,
            packed=config.pack_to_max_length,
            distill=distills_replay(config),
            likeliest=LIKELIEST if config.get("replay_teacher") and not config.pack_to_max_length else 0,
            acceleration=Acceleration.of(config.acceleration),
        )

    @classmethod
    def read(cls, text: str) -> "LayerToCompile":
        values = json.loads(text)
        return cls(**{**values, "acceleration": Acceleration.of(values["acceleration"])})

    @property
    def has_known_shape(self) -> bool:
        """Rows that fill their batch have one shape, and lines are compiled for all lengths. What is padded
        to the longest row, or one row alone, has a shape that only the data know."""
        return self.packed or (self.acceleration.padding_free and self.rows > 1)

    @property
    def is_like_llama(self) -> bool:
        """What compiles ahead makes layers of no other family."""
        config = read_json(Path(self.model) / "config.json") or {}
        return (config.get("architectures") or [""])[0] in LIKE_LLAMA

    @property
    def bytes_on_the_card(self) -> float:
        """What the model's weights take, from above."""
        files = sum(file.stat().st_size for file in Path(self.model).glob("*.safetensors"))
        return files * (NF4_SHARE if self.nf4 else 1)

    def batch(self) -> list[dict[str, Any]]:
        """Rows as XTuner has them, of such lengths that they are laid out as the training's."""
        if not self.packed:
            return [_row(max(2, self.length * (number + 1) // self.rows)) for number in range(self.rows)]
        if not self.acceleration.padding_free:
            return [_row(self.length)] * self.rows
        return [{**_row(self.length), "cumulative_len": [0, self.length // 3, self.length]}] * self.rows


def _row(length: int) -> dict[str, Any]:
    """It answers one token."""
    return {"input_ids": [0] * length, "labels": [-100] * (length - 1) + [0]}


class CompiledAhead:
    """A process that compiles while this one gets ready. It is never needed: what it could not do is compiled
    at the first step."""

    def __init__(self, work: LayerToCompile) -> None:
        command = [sys.executable, "-m", "core.engine", "compile", json.dumps(asdict(work))]
        self._said = TemporaryFile()  # noqa: SIM115  (open as long as this is)
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._said
        )

    def wait(self) -> str:
        """Before the first step, which would compile the same beside it: empty, or why it did not."""
        try:
            if self._process.wait(PATIENCE_SECONDS) == 0:
                return ""
        except subprocess.TimeoutExpired:
            self.stop()
            return f"not done after {PATIENCE_SECONDS} s"
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it died")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def compile_ahead(config: Any) -> CompiledAhead | None:
    """For a config with ``acceleration``; none where nothing is compiled, its shape is not known before or
    memory is short for two, and for a config of which somebody changed more than values."""
    if config.acceleration.get("compile", "none") == "none":
        return None
    try:
        work = LayerToCompile.of(config)
        needed = work.bytes_on_the_card + CHILD_BYTES
        if not (work.is_like_llama and work.has_known_shape) or any(gpu.free < needed for gpu in gpus()):
            return None
        return CompiledAhead(work)
    except (AttributeError, KeyError, TypeError, ValueError, OSError):
        return None

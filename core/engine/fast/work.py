"""What will be compiled, told to a process that compiles it ahead (``core.engine.fast.ahead``)."""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Any

from core.engine.fast.settings import Acceleration
from core.machine import gpus

# One layer, the vocabulary twice, a batch, and what CUDA itself takes: beside the model being loaded.
ROOM_BYTES = 20e9
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Work:
    """``model``: its folder; ``length``: tokens of the longest row; ``packed``: every row is that long.
    ``targets``: the layers with LoRA, none for all."""

    model: str
    dtype: str
    nf4: bool
    rank: int
    dropout: float
    targets: tuple[str, ...]
    rows: int
    length: int
    packed: bool
    distill: bool
    acceleration: Acceleration

    @classmethod
    def of(cls, config: Any) -> "Work":
        """Of a config that ``core.recipe.xtuner_config`` wrote."""
        llm, lora = config.model.llm, config.model.lora
        return cls(
            model=config.pretrained_model_name_or_path,
            dtype=str(llm.torch_dtype).removeprefix("torch."),
            nf4=bool(llm.get("quantization_config")),
            rank=lora.r,
            dropout=lora.lora_dropout,
            targets=tuple(lora.target_modules or ()),
            rows=config.batch_size,
            length=config.max_length,
            packed=config.pack_to_max_length,
            distill=bool(config.get("self_distillation")),
            acceleration=Acceleration.of(config.acceleration),
        )

    @classmethod
    def read(cls, text: str) -> "Work":
        values = json.loads(text)
        return cls(**{**values, "acceleration": Acceleration.of(values["acceleration"])})

    @property
    def lengths(self) -> list[int]:
        """Rows that fill their batch have one shape; rows of any length are compiled for all lengths."""
        if self.packed:
            return [self.length] * self.rows
        return [max(2, self.length * (number + 1) // self.rows) for number in range(self.rows)]


class CompiledAhead:
    """A process that compiles while this one gets ready. It is never needed: what it could not do is compiled
    at the first step."""

    def __init__(self, work: Work) -> None:
        command = [sys.executable, "-m", "core.engine", "compile", json.dumps(asdict(work))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def wait(self) -> bool:
        """Whether it has compiled; before the first step, which would do the same once more beside it."""
        try:
            return self._process.wait(PATIENCE_SECONDS) == 0
        except subprocess.TimeoutExpired:
            self.stop()
            return False

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def compile_ahead(config: Any) -> CompiledAhead | None:
    """For a config with ``acceleration``; none where nothing is compiled, where memory is short for two, and
    for a config of which somebody changed more than values."""
    if config.acceleration.get("compile", "none") == "none":
        return None
    if any(gpu.free < ROOM_BYTES for gpu in gpus()):
        return None
    try:
        return CompiledAhead(Work.of(config))
    except (AttributeError, KeyError):
        return None

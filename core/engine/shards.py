"""A model's tensors as safetensors, shard after shard, so that no model has to fit into memory."""

from pathlib import Path

import torch
from safetensors.torch import save_file

from core.workspace.files import write_json

SHARD_BYTES = 2_000_000_000


class ShardWriter:
    """Takes tensors one by one; :meth:`close` names the shards and writes their index.

    ``shapes`` are those of everything added so far, ``dtype`` is the last one's.
    """

    def __init__(self, folder: Path, shard_bytes: int = SHARD_BYTES) -> None:
        self.folder, self.shard_bytes = folder, shard_bytes
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.dtype = torch.float32
        self._waiting: dict[str, torch.Tensor] = {}
        self._shards: list[tuple[Path, list[str]]] = []
        self._bytes = self._total = 0

    def add(self, name: str, tensor: torch.Tensor) -> None:
        """Add one tensor; of two of one name the later counts. Its memory is its own: nothing is shared."""
        size = tensor.numel() * tensor.element_size()
        if self._waiting and self._bytes + size > self.shard_bytes:
            self._flush()
        self._waiting[name] = tensor.detach().clone(memory_format=torch.contiguous_format)
        self.shapes[name], self.dtype = tuple(tensor.shape), tensor.dtype
        self._bytes += size
        self._total += size

    def close(self) -> None:
        """Write what waits, and the index where there are several shards."""
        self._flush()
        if len(self._shards) == 1:
            self._shards[0][0].rename(self.folder / "model.safetensors")
            return
        places = {}
        for number, (path, names) in enumerate(self._shards, 1):
            final = f"model-{number:05d}-of-{len(self._shards):05d}.safetensors"
            path.rename(self.folder / final)
            places.update(dict.fromkeys(names, final))
        index = {"metadata": {"total_size": self._total}, "weight_map": places}
        write_json(self.folder / "model.safetensors.index.json", index)

    def _flush(self) -> None:
        if self._waiting:
            path = self.folder / f".shard-{len(self._shards):05d}"
            save_file(self._waiting, path, metadata={"format": "pt"})
            self._shards.append((path, list(self._waiting)))
            self._waiting, self._bytes = {}, 0

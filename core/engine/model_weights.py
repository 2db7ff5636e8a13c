"""A model's weights from one folder into another: checked against its config, taken or converted."""

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import is_zipfile

import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.core_model_loading import revert_weight_conversion

from core.engine.native_llama import llama_tensors
from core.engine.shards import ShardWriter
from core.errors import NotAModel
from core.jobs import progress
from core.jobs.progress import Phase
from core.models.families import is_internlm, text_part
from core.models.hubs import is_pickle
from core.wording import say

Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
# A buffer that older models saved although it follows from the config.
BUFFER = "rotary_emb.inv_freq"
# Multimodal folders call their text model's tensors model.language_model.layers…, or
# language_model.model.layers… and language_model.lm_head….
_OF_TEXT = re.compile(
    r"(?:model\.language_model\.|language_model\.model\.)(?P<rest>.+)|(?:language_model\.)?(?P<head>lm_head\..+)"
)


def first_line(error: Exception) -> str:
    """What an error of another library says, short enough for a sentence."""
    return str(error).strip().partition("\n")[0][:200] or type(error).__name__


def wanted_shapes(config: Mapping[str, Any], source: Path) -> Shapes:
    """Names and shapes of the weights that transformers' own class wants, as a folder has them; none of them
    is made. A tied weight may be left out. Raises NotAModel when there is no such class."""
    settings = dict(config)
    try:
        found = AutoConfig.for_model(settings.pop("model_type"), **settings)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(found)
            # In memory all experts of a layer are one tensor.
            stored = revert_weight_conversion(model, model.state_dict())
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, ZeroDivisionError) as error:
        raise NotAModel(folder=source, reason=say("model.not_known", detail=first_line(error))) from error
    tied = set(model._tied_weights_keys or ()) if found.tie_word_embeddings else set()
    return {name: tuple(one.shape) for name, one in stored.items() if name not in tied}


def check_shapes(found: Shapes, wanted: Shapes, source: Path) -> None:
    """Raises NotAModel when a weight is missing or of another shape than the config says."""
    for name, shape in wanted.items():
        if name not in found:
            raise NotAModel(folder=source, reason=say("model.weight_missing", name=name))
        if found[name] != shape:
            values = {"name": name, "found": list(found[name]), "wanted": list(shape)}
            raise NotAModel(folder=source, reason=say("model.weight_shape", **values))


def shapes_of(files: Sequence[Path]) -> Shapes:
    """The shapes of all weights of safetensors files, from their headers. Raises NotAModel."""
    found = {}
    for file in files:
        with _opened(file) as opened:
            found.update({name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()})  # noqa: SIM118
    return found


def convert_weights(
    config: Mapping[str, Any], files: Sequence[Path], folder: Path, wanted: Shapes, source: Path
) -> None:
    """Write safetensors shard by shard; InternLM's under Llama's names. Raises NotAModel."""
    writer = ShardWriter(folder)
    progress.phase(Phase.converting, len(files))
    for number, file in enumerate(files, 1):
        for name, tensor in _tensors(file, of_text if text_part(config) else str):
            if name.endswith(BUFFER):
                continue
            for new, one in _renamed(config, name, tensor, source):
                writer.add(new, one)
        print(f"converted {number}/{len(files)}", flush=True)
        progress.reach(number, share=number / len(files))
    for name in _absent_biases(config, wanted, writer.shapes):
        writer.add(name, torch.zeros(wanted[name], dtype=writer.dtype))
    check_shapes(writer.shapes, wanted, source)
    writer.close()


def _renamed(
    config: Mapping[str, Any], name: str, tensor: torch.Tensor, source: Path
) -> list[tuple[str, torch.Tensor]]:
    if not is_internlm(config):
        return [(name, tensor)]
    try:
        return list(llama_tensors(config, name, tensor))
    except ValueError as error:
        values = {"name": name, "found": list(tensor.shape), "wanted": [*error.args, *tensor.shape[1:]]}
        raise NotAModel(folder=source, reason=say("model.weight_shape", **values)) from error


def take_weights(file: Path, target: Path, how: str) -> None:
    """Weights by link, by copy, or moved; a move is a second name first, so that a failure loses nothing."""
    if how == "link":
        target.symlink_to(file.resolve())
    elif how == "copy":
        shutil.copyfile(file, target)
    else:
        with suppress(OSError):  # a disk without hard links
            os.link(file, target)
            return
        shutil.move(file, target)


def _absent_biases(config: Mapping[str, Any], wanted: Shapes, found: Shapes) -> list[str]:
    """InternLM3 may leave out biases that Llama has only all together: those are zero."""
    if config.get("model_type") != "internlm3":
        return []
    return [name for name in wanted if name not in found and name.endswith(".bias")]


def _tensors(file: Path, rename: Callable[[str], str]) -> Iterator[tuple[str, torch.Tensor]]:
    """A file's tensors under other names; those that have none are not read."""
    if is_pickle(file.name):
        found = _unpickled(file)
        yield from ((new, found[name]) for name in found if (new := rename(name)))
        return
    with _opened(file) as opened:
        for name in opened.keys():  # noqa: SIM118  no mapping, only its method
            if new := rename(name):
                yield new, opened.get_tensor(name)


def of_text(name: str) -> str:
    """What the text model calls a tensor of a multimodal folder; empty for one of the other parts."""
    found = _OF_TEXT.fullmatch(name)
    if found is None:
        return ""
    return found["head"] or f"model.{found['rest']}"


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    try:
        opened = safe_open(file, framework="pt")
    except Exception as error:  # safetensors' own error is a subclass of nothing narrower
        raise NotAModel(folder=file.parent, reason=say("model.not_safetensors", file=file.name)) from error
    with opened as handle:
        yield handle


def _unpickled(file: Path) -> dict[str, torch.Tensor]:
    """The tensors of a pickle, loaded as weights alone: one that would run anything is refused."""
    try:
        # Mapped, a shard of 10 GB is never in memory as a whole; the older format cannot be.
        found = torch.load(file, map_location="cpu", weights_only=True, mmap=is_zipfile(file))
    except Exception as error:  # torch raises what its pickle module, its zip reader or the file does
        raise NotAModel(folder=file.parent, reason=say("model.bad_pickle", file=file.name)) from error
    if not isinstance(found, dict) or not all(isinstance(one, torch.Tensor) for one in found.values()):
        raise NotAModel(folder=file.parent, reason=say("model.bad_pickle", file=file.name))
    return found

"""Make a model of the workspace from a folder that holds one: linked, copied, moved or converted.

The request is a JSON file ``{"source", "target", "how", "template"}``. ``how`` is "link" (symbolic links to
the weights), "copy" or "move" (what was downloaded). The source is never written to. InternLM's models are
converted to native Llamas, and weights in pickles to safetensors, whatever ``how`` says. Beside the request
``made.json`` appears: ``{"how"}``.

Code of the model's authors never enters the new folder, and no config in it asks for any.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import torch
from safetensors import safe_open
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from core.engine.download import check_trainable
from core.engine.native_llama import llama_config, llama_tensors
from core.engine.refusal import refusing
from core.engine.sentencepiece_tokenizer import llama_tokenizer
from core.engine.shards import ShardWriter
from core.engine.whole_folder import whole_folder
from core.errors import NotAModel
from core.families import is_converted
from core.files import write_json
from core.hubs import RemoteFile, is_pickle, wanted
from core.models import read_model, read_object
from core.recipe.chat_template import training_template
from core.recipe.templates import TEMPLATES
from core.steps.step import check_space
from core.wording import say

# What InternLM's first chat model was taught, whose files carry no chat template.
FIRST_TEMPLATE = {"internlm": "internlm_chat"}
CONFIGS = ("config.json", "tokenizer_config.json")
SPARE = 50_000_000


def main(request: str) -> None:
    """Make the model that the request asks for. Ends the process when it cannot, saying why."""
    asked = json.loads(Path(request).read_text(encoding="utf-8"))
    job = Path(request).parent
    with refusing(job):
        how = import_model(Path(asked["source"]), Path(asked["target"]), asked["how"])
        write_json(job / "made.json", {"how": how})
    print(f"{how}: {asked['target']}", flush=True)


def import_model(source: Path, target: Path, how: str) -> str:
    """Make ``target`` of the model in ``source``; returns what was done (link, copy, move, convert).

    Raises NotAModel, QuantizedBase, DiskFull.
    """
    names = [file.name for file in wanted(files_of(source), source)]
    config = read_object(source / "config.json")
    check_trainable(config, source)
    native = llama_config(config, source) if is_converted(config) else _without_code(config)
    expected = _expected(native, source)
    weights = [source / name for name in names if name.endswith((".safetensors", ".bin"))]
    convert = is_converted(config) or any(is_pickle(file.name) for file in weights)
    done = "convert" if convert else how
    if done in {"convert", "copy"}:
        check_space(target.parent, sum(file.stat().st_size for file in weights) + SPARE)
    with whole_folder(target, checksums=False) as folder:
        write_json(folder / "config.json", native)
        _copy_small(source, folder, names, is_converted(config))
        tokenizer = _write_tokenizer(source, folder, config)
        _refuse_unknown_tokens(tokenizer, native, source)
        if convert:
            _convert(config, weights, folder, expected, source)
        else:
            _compare({name: shape for file in weights for name, shape in _shapes(file)}, expected, source)
        if is_converted(config):
            _write_generation(folder, tokenizer, native)
        for file in [] if convert else weights:
            _take(file, folder / file.name, how)
        _read_back(folder, source)
    return done


def _read_back(folder: Path, source: Path) -> None:
    try:
        read_model(folder)
    except NotAModel as error:
        raise NotAModel(folder=source, reason=error.values["reason"]) from error


def files_of(folder: Path) -> Iterator[RemoteFile]:
    """A folder's files as a hub would list them."""
    for file in sorted(folder.iterdir()):
        if file.is_file():
            yield RemoteFile(file.name, file.stat().st_size)


def _without_code(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name != "auto_map"}


def _expected(native: dict[str, Any], source: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights that transformers' own class wants; None of them is made. A tied weight
    may be left out."""
    settings = dict(native)
    try:
        config = AutoConfig.for_model(settings.pop("model_type"), **settings)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        detail = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise NotAModel(folder=source, reason=say("model.not_known", detail=detail)) from error
    tied = set(model._tied_weights_keys or ()) if config.tie_word_embeddings else set()
    return {name: tuple(one.shape) for name, one in model.state_dict().items() if name not in tied}


def _compare(
    found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]], source: Path
) -> None:
    """Raises NotAModel when a weight is missing or of another shape than the config says."""
    for name, shape in expected.items():
        if name not in found:
            raise NotAModel(folder=source, reason=say("model.weight_missing", name=name))
        if found[name] != shape:
            there, wants = list(found[name]), list(shape)
            raise NotAModel(
                folder=source, reason=say("model.weight_shape", name=name, found=there, wanted=wants)
            )


def _shapes(file: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    try:
        with safe_open(file, framework="pt") as opened:
            for name in opened.keys():  # noqa: SIM118  no mapping, only its method
                yield name, tuple(opened.get_slice(name).get_shape())
    except Exception as error:  # safetensors' own error is a subclass of nothing narrower
        raise NotAModel(folder=file.parent, reason=say("model.not_safetensors", file=file.name)) from error


def _copy_small(source: Path, folder: Path, names: list[str], converted: bool) -> None:
    """What is neither weights nor written anew. Of a converted model only its words and settings."""
    for name in names:
        written = name in CONFIGS or name.endswith((".safetensors", ".bin", ".bin.index.json"))
        of_the_old = converted and not name.startswith(("LICENSE", "NOTICE", "README", "generation_config"))
        if not written and not of_the_old:
            shutil.copyfile(source / name, folder / name)


def _write_tokenizer(source: Path, folder: Path, config: Mapping[str, Any]) -> PreTrainedTokenizerBase:
    """tokenizer.json with its settings; made from a tokenizer.model where there is none."""
    about = (
        read_object(source / "tokenizer_config.json") if (source / "tokenizer_config.json").exists() else {}
    )
    if is_converted(config):
        tokenizer = _converted_tokenizer(source, about, str(config["model_type"]))
        tokenizer.save_pretrained(folder)
        # A copy of what tokenizer.json holds already.
        (folder / "tokenizer.model").unlink(missing_ok=True)
        return tokenizer
    if (source / "tokenizer.json").exists():
        if about:
            write_json(folder / "tokenizer_config.json", _without_code(about))
        return _loaded(folder, source)
    tokenizer = _loaded(source, source)
    tokenizer.save_pretrained(folder)
    return tokenizer


def _converted_tokenizer(source: Path, about: Mapping[str, Any], kind: str) -> PreTrainedTokenizerFast:
    if (source / "tokenizer.model").exists():
        tokenizer = llama_tokenizer(source / "tokenizer.model", about)
    elif (source / "tokenizer.json").exists():
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(source / "tokenizer.json"))
    else:
        raise NotAModel(folder=source, reason=say("model.no_tokenizer"))
    own = source / "chat_template.jinja"
    if own.exists():
        tokenizer.chat_template = own.read_text(encoding="utf-8")
    elif isinstance(about.get("chat_template"), str):
        tokenizer.chat_template = about["chat_template"]
    elif kind in FIRST_TEMPLATE:
        tokenizer.chat_template = training_template(TEMPLATES[FIRST_TEMPLATE[kind]], type(tokenizer).__name__)
    return tokenizer


def _loaded(folder: Path, source: Path) -> PreTrainedTokenizerBase:
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # each tokenizer class fails in its own way
        detail = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise NotAModel(folder=source, reason=say("model.tokenizer_unreadable", detail=detail)) from error


def _refuse_unknown_tokens(
    tokenizer: PreTrainedTokenizerBase, native: Mapping[str, Any], source: Path
) -> None:
    """Raises NotAModel for a tokenizer with tokens of which the model has no embedding."""
    last, rows = max(tokenizer.get_vocab().values(), default=0), int(native.get("vocab_size", 0))
    if last >= rows:
        raise NotAModel(folder=source, reason=say("model.tokenizer_larger", last=last, rows=rows))


def _write_generation(folder: Path, tokenizer: PreTrainedTokenizerBase, native: Mapping[str, Any]) -> None:
    """What ends an answer stands in generation_config.json, for programs that know no prompt template."""
    path = folder / "generation_config.json"
    known = read_object(path) if path.exists() else {}
    marks = [mark for template in TEMPLATES.values() for mark in (template.suffix, *template.stop_words)]
    template = tokenizer.chat_template or ""
    ids = [
        tokenizer.convert_tokens_to_ids(mark) for mark in dict.fromkeys(marks) if mark and mark in template
    ]
    ends = known.get("eos_token_id", native.get("eos_token_id"))
    all_ends = [
        *(ends if isinstance(ends, list) else [ends]),
        *(i for i in ids if i != tokenizer.unk_token_id),
    ]
    special = {
        name: native[name] for name in ("bos_token_id", "pad_token_id") if native.get(name) is not None
    }
    write_json(
        path, {**special, **known, "eos_token_id": list(dict.fromkeys(i for i in all_ends if i is not None))}
    )


def _convert(
    config: Mapping[str, Any],
    weights: list[Path],
    folder: Path,
    expected: Mapping[str, tuple[int, ...]],
    source: Path,
) -> None:
    """Write safetensors shard by shard: never more than two of them in memory."""
    writer = ShardWriter(folder)
    for number, file in enumerate(weights, 1):
        for name, tensor in _tensors(file):
            renamed = llama_tensors(config, name, tensor) if is_converted(config) else [(name, tensor)]
            for new, one in renamed:
                writer.add(new, one)
        print(f"converted {number}/{len(weights)}", flush=True)
    if config.get("model_type") == "internlm3":
        for name in expected.keys() - writer.shapes.keys():
            if name.endswith(".bias"):
                writer.add(name, torch.zeros(expected[name], dtype=writer.dtype))
    _compare(writer.shapes, expected, source)
    writer.close()


def _tensors(file: Path) -> Iterator[tuple[str, torch.Tensor]]:
    if is_pickle(file.name):
        yield from _unpickled(file).items()
        return
    with safe_open(file, framework="pt") as opened:
        for name in opened.keys():  # noqa: SIM118
            yield name, opened.get_tensor(name)


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


def _take(file: Path, target: Path, how: str) -> None:
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

"""Make a model of the workspace from a folder that holds one: linked, copied, moved or converted.

The request is a JSON file ``{"source", "target", "how"}``. ``how`` is "link" (symbolic links to the weights),
"copy" or "move" (what was downloaded). The source is never written to. InternLM's models are converted to
native Llamas, multimodal folders to their text part, and weights in pickles to safetensors, whatever ``how``
says. Beside the request ``made.json``
appears: ``{"how"}``.

Code of the model's authors never enters the new folder, and no config in it asks for any.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.engine.model_tokenizer import without_code, write_generation, write_tokenizer
from core.engine.model_weights import (
    check_shapes,
    convert_weights,
    first_line,
    shapes_of,
    take_weights,
    wanted_shapes,
)
from core.engine.native_llama import llama_config
from core.engine.refusal import refusing
from core.engine.whole_folder import whole_folder
from core.errors import NotAModel
from core.jobs import progress
from core.jobs.progress import Phase
from core.models.families import check_trainable, is_converted, is_internlm, text_part
from core.models.folder import MORE_TEMPLATES, chat_template_of, read_model, read_object
from core.models.hubs import files_of, is_pickle, wanted
from core.steps.step import check_space
from core.wording import say
from core.workspace.files import write_json, write_text

WRITTEN = ("config.json", "tokenizer_config.json")
WEIGHTS = (".safetensors", ".bin")
# Of a model that is converted, what is kept as it is.
WORDS = ("LICENSE", "NOTICE", "README", "USE_POLICY", "generation_config")
SPARE = 50_000_000


def main(request: str) -> None:
    """Make the model that the request asks for. Ends the process when it cannot, saying why."""
    asked = json.loads(Path(request).read_text(encoding="utf-8"))
    job = Path(request).parent
    progress.phase(Phase.importing)
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
    native = _native(config, source)
    shapes = wanted_shapes(native, source)
    weights = [source / name for name in names if name.endswith(WEIGHTS)]
    convert = is_converted(config) or any(is_pickle(file.name) for file in weights)
    if convert or how == "copy":
        check_space(target.parent, sum(file.stat().st_size for file in weights) + SPARE)
    with whole_folder(target, checksums=False) as folder:
        write_json(folder / "config.json", native)
        _copy_small(source, folder, names, is_internlm(config))
        tokenizer = write_tokenizer(source, folder, config, int(native.get("vocab_size", 0)))
        if is_internlm(config):
            write_generation(folder, tokenizer, native)
        if convert:
            convert_weights(config, weights, folder, shapes, source)
        else:
            check_shapes(shapes_of(weights), shapes, source)
            for file in weights:
                take_weights(file, folder / file.name, how)
        _read_back(folder, source)
    return "convert" if convert else how


def _native(config: Mapping[str, Any], source: Path) -> dict[str, Any]:
    if (text := text_part(config)) is not None:
        return without_code(text)
    if not is_internlm(config):
        return without_code(config)
    try:
        return llama_config(config, source)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        reason = say("model.unreadable", file="config.json", detail=first_line(error))
        raise NotAModel(folder=source, reason=reason) from error


def _copy_small(source: Path, folder: Path, names: list[str], converted: bool) -> None:
    """What is neither weights nor written anew."""
    for name in names:
        written = name in WRITTEN or name.endswith((*WEIGHTS, ".bin.index.json"))
        if not written and (not converted or name.startswith(WORDS)):
            shutil.copyfile(source / name, folder / name)
    # Of templates in a folder of their own the one that is spoken: what is here has no folders.
    if (source / MORE_TEMPLATES).is_dir() and (template := chat_template_of(source)):
        write_text(folder / "chat_template.jinja", template)


def _read_back(folder: Path, source: Path) -> None:
    try:
        read_model(folder)
    except NotAModel as error:
        raise NotAModel(folder=source, reason=error.values["reason"]) from error

"""What a PEFT adapter's folder is, whoever made it, read from its files without loading it.

LLaMA-Factory, Unsloth, ms-swift, axolotl and XTuner all write PEFT's own two files, ``adapter_config.json``
and ``adapter_model.safetensors``; what they put beside them (arguments, a tokenizer, a chat template) says
how the adapter was trained.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from core.errors import NotAModel, NotAnAdapter
from core.models.folder import Model, Shape, chat_template_of, read_object, tensor_shapes
from core.wording import say
from core.workspace.files import is_endless

CONFIG, WEIGHTS, PICKLE = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
# What PEFT can fold into the weights of a model; each of these was tried (tests/test_adapter_real.py).
MERGED = (
    *("lora", "adalora", "loha", "lokr", "ia3", "vera", "oft", "boft", "hra", "fourierft", "vblora"),
    "ln_tuning",
)
# Settings of LoRA with which it is more than a sum that is added to the weights of the base that is named.
NOT_A_SUM = (
    *("layer_replication", "megatron_config", "alora_invocation_tokens", "use_qalora", "arrow_config"),
    *("use_bdlora", "monteclora_config", "kasa_config"),
)
# Beginnings that changed the base itself, by data or by chance: what was trained fits no other base.
OF_ANOTHER_BASE = ("corda", "pissa_niter", "loftq", "lora_ga")
# Beginnings that change the base in a way that PEFT repeats when it loads the adapter.
REPEATED = ("pissa", "olora")
# All that PEFT 0.21 writes for LoRA, and what of it says nothing about the adapter itself.
KNOWN = frozenset(
    (
        *("alora_invocation_tokens", "alpha_pattern", "arrow_config", "auto_mapping"),
        *("base_model_name_or_path", "bias", "corda_config", "ensure_weight_tying", "eva_config"),
        *("exclude_modules", "fan_in_fan_out", "inference_mode", "init_lora_weights", "kasa_config"),
        *("layer_replication", "layers_pattern", "layers_to_transform", "loftq_config", "lora_alpha"),
        *("lora_bias", "lora_dropout", "lora_ga_config", "megatron_config", "megatron_core"),
        *("modules_to_save", "monteclora_config", "peft_type", "peft_version", "qalora_group_size", "r"),
        *("rank_pattern", "revision", "runtime_config", "target_modules", "target_parameters", "task_type"),
        *("trainable_token_indices", "use_bdlora", "use_dora", "use_qalora", "use_rslora", "velora_config"),
    )
)
PREFIX = "base_model.model."
# A LoRA matrix by its name: the module that it belongs to, and which of the two it is.
LORA = re.compile(r"(?P<module>.+)\.lora_(?:embedding_)?(?P<part>[AB])(?:\.default)?(?:\.weight)?")
# A tensor that is no part of a method: a weight or bias of the base by its own name.
WHOLE = re.compile(r"(?!.*\.(lora|hada|lokr|ia3|vera|oft|boft|hra|fourierft|vblora)_).*\.(weight|bias)")
# What Transformers' Trainer, ms-swift and XTuner call the folder of a step, and its number.
STEP = re.compile(r"(?:checkpoint|iter|step|epoch)[-_](\d+)")
# Ends that are put to a model's name by those who quantize it.
QUANTIZED = re.compile(r"(-unsloth)?-(bnb-4bit|bnb-8bit|4bit|8bit)$", re.IGNORECASE)
SMALL = 4_000_000
# What somebody else's file may come to that is not what its name says.
STRANGE = (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, yaml.YAMLError)
CONVERSION = (
    'python -c "import torch; from safetensors.torch import save_file; '
    "w = torch.load('{pickle}', weights_only=True, map_location='cpu'); "
    "save_file({{k: v.contiguous() for k, v in w.items()}}, '{weights}')\""
)


@dataclass(frozen=True)
class Note:
    """A sentence about an adapter, by its key in ``locales/``."""

    key: str
    values: Mapping[str, object]

    def text(self) -> str:
        return say(self.key, **self.values)


@dataclass(frozen=True)
class Adapter:
    """A PEFT adapter. ``kind``: PEFT's name of its method in small letters; ``rows``: of an embedding that it
    brings along, 0 where it brings none of another length; ``tool``: who wrote it, empty where that is not
    seen; ``system``: the system prompt that it was trained with, where its maker says so; ``speaks``: whether
    its folder has a chat template of its own."""

    folder: Path
    kind: str
    config: Mapping[str, Any]
    shapes: Mapping[str, Shape]
    rows: int = 0
    tool: str = ""
    system: str = ""
    speaks: bool = False
    notes: tuple[Note, ...] = ()

    @property
    def weights(self) -> Path:
        return self.folder / WEIGHTS

    @property
    def scales(self) -> bool:
        """Whether it can be made weaker by a factor: plain LoRA is a sum that is added to the weights, which
        DoRA's lengths, single tokens' rows and a base that was taken apart are not."""
        more = ("use_dora", "trainable_token_indices")
        begins = str(self.config.get("init_lora_weights") or "").lower()
        return self.kind == "lora" and not any(map(self.config.get, more)) and begins not in REPEATED

    @property
    def whole(self) -> tuple[str, ...]:
        """The weights and biases of the base that it brings along whole."""
        return tuple(name for name in self.shapes if is_whole(name))

    @property
    def lora_modules(self) -> tuple[str, ...]:
        """The modules that LoRA was put on, by their names in the base."""
        found = (match["module"] for name in self.shapes if (match := LORA.fullmatch(name)))
        return tuple(dict.fromkeys(found))


def read_adapter(folder: Path, base: Model) -> Adapter:
    """The adapter in ``folder``, or in its newest checkpoint, and that it fits ``base``.

    Raises NotAnAdapter with everything that is wrong with it.
    """
    found = _place(folder)
    config = _config(found)
    kind = str(config.get("peft_type", "")).lower()
    problems = [*_of_config(kind, config)]
    shapes: dict[str, Shape] = {}
    try:
        shapes = {_plain(name): shape for name, shape in _weights(found).items()}
        problems += [*_misfits(kind, shapes, base), *_other_ranks(kind, shapes, config)]
    except NotAModel as error:
        problems.append(str(error.values["reason"]))
    problems += _of_tokens(found, base, shapes)
    if problems:
        raise _refused(found, problems)
    tool, system, template = _maker(found, config)
    speaks = bool(_template(found))
    notes = [
        *_notes(folder, found, config, base),
        *_unused(shapes, config),
        *_told(tool, system, template, speaks),
    ]
    rows = _rows(shapes, base)
    return Adapter(found, kind, config, shapes, rows, tool, system, speaks, tuple(notes))


def _refused(folder: Path, problems: Sequence[str]) -> NotAnAdapter:
    return NotAnAdapter(folder=folder, problems="\n".join(f"  - {one}" for one in problems))


def is_adapter(folder: Path) -> bool:
    """Whether a folder, or a checkpoint in it, holds an adapter."""
    return bool(_places(folder))


def _place(folder: Path) -> Path:
    """The folder itself, or of a training's the newest checkpoint. Raises NotAnAdapter."""
    if not folder.is_dir():
        raise _refused(folder, [say("adapter.no_folder")])
    if found := _places(folder):
        return found[-1]
    whole = (folder / "config.json").exists()
    raise _refused(folder, [say("adapter.whole_model" if whole else "adapter.no_config", file=CONFIG)])


def _places(folder: Path) -> list[Path]:
    """Where an adapter lies, the newest last: two levels down ms-swift and LLaMA-Factory put theirs."""
    with suppress(OSError):
        if (folder / CONFIG).is_file():
            return [folder]
        found = [file.parent for pattern in (f"*/{CONFIG}", f"*/*/{CONFIG}") for file in folder.glob(pattern)]
        return sorted(found, key=lambda place: (place.parent.name, _step(place.name), place.name))
    return []


def _step(name: str) -> int:
    match = STEP.search(name)
    return int(match[1]) if match else -1


def _config(folder: Path) -> dict[str, Any]:
    try:
        return read_object(folder / CONFIG)
    except NotAModel as error:
        raise _refused(folder, [str(error.values["reason"])]) from error


def _of_config(kind: str, config: Mapping[str, Any]) -> Iterator[str]:
    if kind not in MERGED:
        yield say("adapter.kind", kind=kind or "–", known=say("row.list").join(MERGED))
    task = config.get("task_type")
    if task not in (None, "CAUSAL_LM"):
        yield say("adapter.task", task=task)
    for name in NOT_A_SUM:
        if config.get(name):
            yield say("adapter.setting", name=name, value=json.dumps(config[name])[:80])
    begins = str(config.get("init_lora_weights") or "").lower()
    if begins.startswith(OF_ANOTHER_BASE):
        yield say("adapter.other_base", name=begins)


def _weights(folder: Path) -> dict[str, Shape]:
    """The shapes of the adapter's tensors. Raises NotAModel."""
    if (folder / WEIGHTS).exists():
        return tensor_shapes(folder / WEIGHTS)
    pickle = folder / PICKLE
    if pickle.exists():
        typed = CONVERSION.format(pickle=_quoted(pickle), weights=_quoted(folder / WEIGHTS))
        raise NotAModel(folder=folder, reason=say("adapter.pickle", file=PICKLE, command=typed))
    raise NotAModel(folder=folder, reason=say("adapter.no_weights", file=WEIGHTS))


def _quoted(path: Path) -> str:
    """A path inside Python's quotes inside a shell's."""
    return re.sub(r"([\\'])", r"\\\1", str(path)).replace('"', '\\"').replace("$", "\\$").replace("`", "\\`")


def _plain(name: str) -> str:
    """A tensor's name without what PEFT puts before the base's own."""
    return name.removeprefix(PREFIX)


def _misfits(kind: str, shapes: Mapping[str, Shape], base: Model) -> Iterator[str]:
    """Where the adapter's tensors do not fit the base: names that it has none of, and other sizes."""
    if not shapes:
        yield say("adapter.empty", file=WEIGHTS)
        return
    found = base_shapes(base)
    modules = {name.removesuffix(".weight"): shape for name, shape in found.items()}
    unknown, other = [], []
    for name, shape in shapes.items():
        module = _module(name, modules)
        if module is None:
            if ".layers." in f".{name}" or kind == "lora":
                unknown.append(name)
        elif wanted := _wanted(name, shape, modules[module]):
            other.append(say("adapter.shape", name=name, found=_size(shape), wanted=_size(wanted)))
    if unknown:
        yield say("adapter.unknown", count=len(unknown), name=unknown[0], model=base.folder.name)
    if other:
        yield say("adapter.sizes", count=len(other), first=other[0], model=base.folder.name)


def base_shapes(base: Model) -> dict[str, Shape]:
    """The shapes of a model's tensors; the head of one that is tied to its embedding is named too."""
    found: dict[str, Shape] = {}
    for file in sorted(base.folder.glob("*.safetensors")):
        found |= tensor_shapes(file)
    embedding = next((shape for name, shape in found.items() if name.endswith("embed_tokens.weight")), None)
    if embedding and "lm_head.weight" not in found:
        found["lm_head.weight"] = embedding
    return found


def _module(name: str, modules: Mapping[str, Shape]) -> str | None:
    """The module of the base that a tensor of the adapter belongs to."""
    parts = name.split(".")
    heads = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((head for head in heads if head in modules), None)


def _other_ranks(kind: str, shapes: Mapping[str, Shape], config: Mapping[str, Any]) -> Iterator[str]:
    """Matrices of another rank than the config says, by PEFT's rules for patterns."""
    pattern, rank = config.get("rank_pattern") or {}, config.get("r", 8)
    for name, shape in shapes.items() if kind == "lora" and isinstance(pattern, dict) else ():
        match = LORA.fullmatch(name)
        if match is None or len(shape) != 2:
            continue
        found = shape[0] if match["part"] == "A" else shape[1]
        named = (one for key, one in pattern.items() if _matches(rf"(.*\.)?({key})", match["module"]))
        if found != (said := next(named, rank)):
            yield say("adapter.rank", name=name, found=found, said=said)
            return


def _matches(pattern: str, module: str) -> bool:
    """Whether a regular expression of somebody else's is one, and matches the whole name."""
    try:
        return re.fullmatch(pattern, module) is not None
    except re.error:
        return False


def _left_alone(shapes: Mapping[str, Shape], config: Mapping[str, Any]) -> list[str]:
    """The modules with weights that the config does not name: PEFT leaves them out."""
    targets = config.get("target_modules")
    modules = {match["module"] for name in shapes if (match := LORA.fullmatch(name))}
    if isinstance(targets, str) and targets != "all-linear":
        return sorted(module for module in modules if not _matches(targets, module))
    if isinstance(targets, list) and targets:
        ends = tuple(f".{target}" for target in targets)
        return sorted(module for module in modules if not f".{module}".endswith(ends))
    return []


def _wanted(name: str, shape: Shape, base: Shape) -> Shape | None:
    """The size that a tensor of the adapter should have on a weight of this size; None where it has it."""
    match = LORA.fullmatch(name)
    if match is None or len(base) != 2 or len(shape) != 2:
        whole = name.endswith((".weight", ".modules_to_save")) and len(shape) == len(base) > 1
        return (shape[0], *base[1:]) if whole and is_whole(name) and shape[1:] != base[1:] else None
    embedded = ".lora_embedding_" in name
    outer, inner = (base[1], base[0]) if embedded else (base[0], base[1])
    if match["part"] == "A":
        return None if shape[1] == inner else (shape[0], inner)
    return None if shape[0] == outer else (outer, shape[1])


def is_whole(name: str) -> bool:
    """Whether a tensor is a weight or bias of the base, trained as it is."""
    return WHOLE.fullmatch(name) is not None


def _size(shape: Shape) -> str:
    return " × ".join(map(str, shape))


def _embeddings(shapes: Mapping[str, Shape]) -> list[Shape]:
    return [s for n, s in shapes.items() if re.search(r"(embed_tokens|lm_head)\.(.*\.)?weight$", n)]


def _rows(shapes: Mapping[str, Shape], base: Model) -> int:
    """How many tokens an embedding has that the adapter brings along; 0 where it is the base's own number."""
    whole = [n for n in shapes if is_whole(n) and len(shapes[n]) == 2]
    rows = max((shape[0] for shape in _embeddings({n: shapes[n] for n in whole})), default=0)
    return rows if rows != base_shapes(base).get("lm_head.weight", (rows,))[0] else 0


def _of_tokens(folder: Path, base: Model, shapes: Mapping[str, Shape]) -> Iterator[str]:
    """A tokenizer beside the adapter must be the base's, with tokens added at most."""
    theirs = _vocabulary(folder / "tokenizer.json")
    ours = _vocabulary(base.tokenizer_file)
    if not theirs or not ours:
        return
    moved = next((token for token, number in theirs.items() if ours.get(token, number) != number), None)
    if moved is not None:
        yield say("adapter.tokenizer", token=moved, found=theirs[moved], wanted=ours[moved])
        return
    known = base_shapes(base).get("lm_head.weight", (0,))[0]
    last = max(theirs.values())
    if known and last >= max(known, _rows(shapes, base)):
        yield say("adapter.tokens", last=last, rows=max(known, _rows(shapes, base)))


def _vocabulary(file: Path) -> dict[str, int]:
    """The tokens of a tokenizer.json by what they are written as; empty where it cannot be read."""
    with suppress(*STRANGE):
        found = {} if is_endless(file) else json.loads(file.read_text(encoding="utf-8"))
        model = found.get("model", {}).get("vocab", {})
        if isinstance(model, list):
            model = {token: number for number, (token, *_) in enumerate(model)}
        added = {one["content"]: one["id"] for one in found.get("added_tokens") or ()}
        return {**model, **added}
    return {}


def brings_tokens(folder: Path, base: Path) -> bool:
    """Whether the tokenizer beside an adapter has tokens that the base's has not."""
    theirs = _vocabulary(folder / "tokenizer.json")
    return bool(theirs.keys() - _vocabulary(base / "tokenizer.json").keys()) if theirs else False


def _template(folder: Path) -> str:
    with suppress(NotAModel, OSError):
        return chat_template_of(folder)
    return ""


def _maker(folder: Path, config: Mapping[str, Any]) -> tuple[str, str, str]:
    """Which tool made it, the system prompt it was trained with, and its template's name there, as far as
    its files say."""
    swift = _around(folder, "args.json")
    if {"tuner_backend", "sft_type", "train_type", "tuner_type"} & swift.keys():
        return "ms-swift", _text(swift, "system"), _text(swift, "template", "template_type")
    factory = _around(folder, "training_args.yaml") or _around(folder, "llamaboard_config.yaml")
    if any(key.removeprefix("top.") in {"finetuning_type", "lora_target"} for key in factory):
        return "LLaMA-Factory", _text(factory, "default_system"), _text(factory, "template", "top.template")
    card = _card(folder)
    base = str(config.get("base_model_name_or_path") or "")
    mapping = config.get("auto_mapping")
    signs = (
        ("LLaMA-Factory", "llama-factory" in card),
        ("axolotl", "axolotl" in card),
        ("Unsloth", "unsloth" in card or base.startswith("unsloth/")),
        ("Unsloth", isinstance(mapping, dict) and bool(mapping.get("unsloth_fixed"))),
        ("XTuner", (folder / "xtuner_config.py").exists()),
    )
    return next((tool for tool, seen in signs if seen), ""), "", ""


def _around(folder: Path, name: str) -> dict[str, Any]:
    """A small file of settings in the adapter's folder, or in the one that a checkpoint lies in."""
    for place in (folder, folder.parent) if STEP.search(folder.name) else (folder,):
        file = place / name
        with suppress(*STRANGE):  # somebody else's file: it tells something or nothing
            if file.stat().st_size <= SMALL and not is_endless(file):
                text = file.read_text(encoding="utf-8")
                found = json.loads(text) if name.endswith(".json") else yaml.safe_load(text)
                if isinstance(found, dict):
                    return {str(key): value for key, value in found.items()}
    return {}


def _text(found: Mapping[str, Any], *names: str) -> str:
    """A setting's text, under the first of its names that has one."""
    return next((found[name] for name in names if isinstance(found.get(name), str)), "").strip()


def _card(folder: Path) -> str:
    """The head of a model card, where its tags are."""
    with suppress(OSError):
        if is_endless(folder / "README.md"):
            return ""
        head = (folder / "README.md").read_text(encoding="utf-8", errors="replace")[:4000]
        return head.split("\n---", 1)[0].lower() if head.startswith("---") else ""
    return ""


def _notes(given: Path, folder: Path, config: Mapping[str, Any], base: Model) -> Iterator[Note]:
    """What of an adapter that fits should be known all the same."""
    if folder != given:
        yield Note(
            "adapter.note.checkpoint",
            {"folder": str(folder.relative_to(given)), "count": len(_places(given))},
        )
    named = str(config.get("base_model_name_or_path") or "")
    if QUANTIZED.search(named):
        yield Note("adapter.note.quantized", {"name": named})
    if named and not _same_model(named, base):
        yield Note("adapter.note.base", {"name": named, "model": base.folder.name})
    begins = str(config.get("init_lora_weights") or "").lower()
    if begins in REPEATED:
        yield Note("adapter.note.begins", {"name": begins})
    unknown = sorted(name for name in config.keys() - KNOWN if config[name] and _is_lora(config))
    if unknown:
        yield Note("adapter.note.unknown", {"names": say("row.list").join(unknown), "count": len(unknown)})
    left = [
        file for file in ("optimizer.pt", "training_args.bin", "scheduler.pt") if (folder / file).exists()
    ]
    if left:
        yield Note("adapter.note.left_out", {"files": say("row.list").join(left)})


def _unused(shapes: Mapping[str, Shape], config: Mapping[str, Any]) -> Iterator[Note]:
    if left := _left_alone(shapes, config):
        yield Note("adapter.note.left_alone", {"count": len(left), "name": left[0]})


def _is_lora(config: Mapping[str, Any]) -> bool:
    return str(config.get("peft_type", "")).lower() == "lora"


def _told(tool: str, system: str, template: str, speaks: bool) -> Iterator[Note]:
    """How the adapter was trained, as its maker's files say, and what is made of that."""
    if tool:
        yield Note("adapter.note.tool", {"tool": tool})
    if speaks:
        yield Note("adapter.note.speaks", {})
    elif template:
        yield Note("adapter.note.template", {"tool": tool, "template": template})
    if system:
        yield Note("adapter.note.system", {"tool": tool, "system": system[:200]})


def _same_model(named: str, base: Model) -> bool:
    """Whether a name can be the base's: its folder's, or that in its config, whatever stands around it."""
    config = read_object(base.folder / "config.json")
    ours = {base.folder.name, base.folder.resolve().name, str(config.get("_name_or_path") or "")}
    return _letters(named) in {_letters(one) for one in ours if one}


def _letters(name: str) -> str:
    """The last part of a path or a hub's name without case, signs, and what quantizing adds."""
    last = QUANTIZED.sub("", name.rstrip("/").replace("\\", "/").rpartition("/")[2])
    return re.sub(r"[^a-z0-9]", "", last.replace("___", ".").lower())

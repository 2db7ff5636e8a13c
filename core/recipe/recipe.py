"""The Recipe: one frozen dataclass that is the form, the YAML file and the source of XTuner's config.

The sentence of a field (widget help, YAML comment, README row) is ``recipe.<field>`` in ``locales/``.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from dataclasses import field as dataclass_field
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import yaml
from pydantic import Field, TypeAdapter, ValidationError, with_config

from core.errors import InvalidRecipe, NoSuchFile
from core.wording import Language, say
from core.workspace.files import is_endless

Method: TypeAlias = Literal["lora", "dora", "rslora", "pissa", "full"]
Quantization: TypeAlias = Literal["none", "nf4", "int8"]
Precision: TypeAlias = Literal["auto", "fp32", "bf16", "fp16"]
Optimizer: TypeAlias = Literal["adamw", "adamw_8bit", "paged_adamw_32bit", "paged_adamw_8bit"]
Schedule: TypeAlias = Literal["cosine", "linear", "constant"]
DeepSpeed: TypeAlias = Literal["none", "zero1", "zero2", "zero2_offload", "zero3", "zero3_offload"]
Choice: TypeAlias = Literal["auto", "on", "off"]
Accelerate: TypeAlias = Literal["auto", "on", "off", "unsloth"]
Compile: TypeAlias = Literal["auto", "none", "kernels", "layers"]
Attention: TypeAlias = Literal["auto", "cudnn", "flash"]
Checkpoint: TypeAlias = Literal["last", "best"]
Level: TypeAlias = Literal["basic", "advanced"]

# What a field was called in recipes written before 0.1.0.
OLD_NAMES = {
    "accumulation": "gradient_accumulation_steps",
    "max_norm": "max_grad_norm",
    "self_distillation": "replay_distillation",
}
LANGUAGES: tuple[Language, Language] = ("zh", "en")
# More than anybody trains; it keeps a slip of the finger from filling the disk.
MOST_ITERATIONS = 10_000_000
# Of one machine.
MOST_DEVICES = 64
Count = Annotated[int, Field(ge=1, le=MOST_ITERATIONS)]
OptionalCount = Annotated[int | None, Field(ge=1, le=MOST_ITERATIONS)]
# A limit also makes pydantic refuse half a character, which no file could hold.
Text = Annotated[str, Field(max_length=100_000)]
LayerIndex = Annotated[int, Field(ge=0, le=10_000)]
CardNumber = Annotated[int, Field(ge=0, le=1023)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


def _advanced(default: Any) -> Any:
    return dataclass_field(default=default, metadata={"level": "advanced"})


@with_config(extra="forbid")
@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All settings of a fine-tune. Lengths are in tokens; an iteration is one micro-batch on every device."""

    model: Annotated[str, Field(min_length=1)]
    data: Annotated[str, Field(min_length=1)]
    template: Text = "auto"
    template_reason: Text = ""
    system: Text = ""
    max_length: Annotated[int, Field(ge=16, le=1_048_576)] = 512
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 4
    gradient_accumulation_steps: Annotated[int, Field(ge=1, le=4096)] = 1
    iterations: OptionalCount = 160
    epochs: Annotated[int | None, Field(ge=1, le=1000)] = None
    method: Method = "lora"
    lr: Annotated[float, Field(gt=0, le=1)] = 3e-4
    rank: Annotated[int, Field(ge=1, le=1024)] = 8
    alpha: Annotated[float, Field(gt=0, le=1_000_000)] = 16
    dropout: Fraction = 0.0
    quantization: Quantization = "none"
    save_every: OptionalCount = None
    evaluate_every: OptionalCount = None
    evaluation_questions: tuple[Text, ...] = ("请做一下自我介绍", "Who are you?")
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 42
    device: Literal["auto", "cpu", "cuda"] = _advanced("auto")
    precision: Precision = _advanced("auto")
    target_modules: tuple[Text, ...] = _advanced(())
    layers_to_transform: tuple[LayerIndex, ...] = _advanced(())
    begins_with: Text = _advanced("")
    shuffle: bool = _advanced(True)
    replay_distillation: bool = _advanced(False)
    pack: bool = _advanced(False)
    group_by_length: bool = _advanced(False)
    optimizer: Optimizer = _advanced("adamw")
    weight_decay: Annotated[float, Field(ge=0, le=1000)] = _advanced(0.0)
    betas: tuple[Fraction, Fraction] = _advanced((0.9, 0.999))
    max_grad_norm: Annotated[float, Field(gt=0, le=1_000_000)] = _advanced(1.0)
    schedule: Schedule = _advanced("cosine")
    warmup_ratio: Fraction = _advanced(0.03)
    activation_checkpointing: bool = _advanced(False)
    checkpointed_layers: OptionalCount = _advanced(None)
    offload: bool = _advanced(False)
    accelerate: Accelerate = _advanced("auto")
    compile: Compile = _advanced("auto")
    cuda_graph: Choice = _advanced("auto")
    attention: Attention = _advanced("auto")
    padding_free: bool = _advanced(True)
    deepspeed: DeepSpeed = _advanced("none")
    devices: Annotated[int, Field(ge=1, le=MOST_DEVICES)] = _advanced(1)
    cards: tuple[CardNumber, ...] = _advanced(())
    nodes: Annotated[int, Field(ge=1, le=1024)] = _advanced(1)
    keep_checkpoints: Annotated[int, Field(ge=2, le=1000)] = _advanced(2)
    checkpoint: Checkpoint = _advanced("last")
    stop_when_learned: bool = _advanced(False)
    evaluation_tokens: Annotated[int, Field(ge=1, le=4096)] = _advanced(64)
    log_every: Count = _advanced(10)
    dataloader_workers: Annotated[int, Field(ge=0, le=64)] = _advanced(0)

    def changed(self, **values: Any) -> "Recipe":
        """This recipe with some fields changed, unchecked."""
        return replace(self, **values)

    @property
    def ranks(self) -> int:
        """How many processes train together, each with a device of its own."""
        return self.devices * self.nodes

    @property
    def rows_at_once(self) -> int:
        """Rows of one iteration, on all devices."""
        return self.batch_size * self.ranks

    @property
    def global_batch(self) -> int:
        """Rows of one update of the weights."""
        return self.rows_at_once * self.gradient_accumulation_steps


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one field. ``key`` names its sentence under ``problem.`` in ``locales/``."""

    field: str
    key: str
    values: Mapping[str, object]

    def text(self, language: Language | None = None) -> str:
        """``field: sentence`` in ``language``."""
        sentence = say(f"problem.{self.key}", language, **self.values)
        return say("frame.labelled", language, name=self.field, text=sentence)


@cache
def _adapter() -> TypeAdapter[Recipe]:
    return TypeAdapter(Recipe)


def level(name: str) -> Level:
    """Whether a field is shown at first (``basic``) or behind "advanced"."""
    found: Level = next(f for f in fields(Recipe) if f.name == name).metadata.get("level", "basic")
    return found


def parse(values: object) -> Recipe:
    """A Recipe from plain values (a form, a YAML file); fields may have their old names. Raises InvalidRecipe
    with all problems."""
    if isinstance(values, Mapping):
        values = _renamed(values)
    try:
        return _adapter().validate_python(values)
    except ValidationError as error:
        raise invalid([_problem(dict(e)) for e in error.errors()]) from error


def _renamed(values: Mapping[Any, Any]) -> dict[Any, Any]:
    """``values`` under today's names. Raises InvalidRecipe for a field that is there under both."""
    doubled = [
        Problem(old, "under_two_names", {"name": new})
        for old, new in OLD_NAMES.items()
        if old in values and new in values
    ]
    if doubled:
        raise invalid(doubled)
    return {OLD_NAMES.get(name, name): value for name, value in values.items()}


def invalid(problems: list[Problem]) -> InvalidRecipe:
    """The error that carries these problems, one a line."""
    return InvalidRecipe(problems="\n".join(f"  - {p.text()}" for p in problems), found=tuple(problems))


def _problem(error: dict[str, Any]) -> Problem:
    """pydantic's error as ours: the same fields and limits, worded in ``locales/``."""
    kind, context = str(error["type"]), error.get("ctx", {})
    keys = {
        "unexpected_keyword_argument": "unknown_field",
        "missing": "missing",
        "literal_error": "not_one_of",
        "string_too_short": "empty",
        "string_too_long": "too_long",
        "finite_number": "not_float",
    }
    parsed = re.match(r"(int|float|bool|string|tuple)_(type|parsing|from_float|unicode)", kind)
    if parsed:
        key = f"not_{parsed[1]}"
    elif any(limit in context for limit in ("ge", "gt", "le", "lt")):
        key = kind
    else:
        key = keys.get(kind, "wrong_type")
    place = ".".join(str(part) for part in error["loc"]) or "recipe"
    if key == "unknown_field" and (near := near_field(place)):
        return Problem(place, "misspelt_field", {"near": near})
    found = str(error.get("input"))[:80].encode(errors="replace").decode()
    return Problem(place, key, {"found": found, "detail": error["msg"], **context})


def near_field(given: str) -> str:
    """The field that somebody may have meant who wrote ``given``, by its name, an old one or the form's label
    in either language, whatever the case; empty where nothing comes near."""
    names = [f.name for f in fields(Recipe)]
    labels = {_bare(say(f"field.{name}", language)): name for name in names for language in LANGUAGES}
    known = (
        labels | {_bare(old): new for old, new in OLD_NAMES.items()} | {_bare(name): name for name in names}
    )
    found = get_close_matches(_bare(given), known, n=1)
    return known[found[0]] if found else ""


def _bare(name: str) -> str:
    """Without case, brackets and what stands between words."""
    return " ".join(re.findall(r"\w+", re.sub(r"[(（].*", "", name).replace("_", " ").casefold()))


def to_yaml(recipe: Recipe, language: Language | None = None) -> str:
    """The recipe as YAML, each field under its sentence."""
    return "".join(_yaml_lines(recipe, language))


def _yaml_lines(recipe: Recipe, language: Language | None) -> Iterator[str]:
    for name, value in asdict(recipe).items():
        plain = list(value) if isinstance(value, tuple) else value
        dumped = yaml.dump({name: plain}, Dumper=_Dumper, allow_unicode=True, width=10_000)
        yield f"# {say(f'recipe.{name}', language)}\n{dumped}"


class _Dumper(yaml.SafeDumper):
    """PyYAML 6 writes U+0085 as it is and reads it back as a space; in double quotes it is escaped."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if re.search("[\x85\u2028\u2029]", text) else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def from_yaml(path: Path) -> Recipe:
    """Read a recipe file. Raises NoSuchFile, InvalidRecipe (all problems at once)."""
    if is_endless(path):
        raise invalid([Problem(str(path), "not_yaml", {"detail": say("file.not_a_file")})])
    try:
        return from_bytes(path.read_bytes(), str(path))
    except FileNotFoundError as error:
        raise NoSuchFile(path=path) from error
    except OSError as error:
        raise invalid([Problem(str(path), "not_yaml", {"detail": error.strerror})]) from error


def from_bytes(content: bytes, name: str) -> Recipe:
    """A recipe from YAML; ``name`` is what an error calls it. Raises InvalidRecipe (all problems at once)."""
    return parse(_mapping(content, name))


def merged_from_bytes(content: bytes, name: str, into: Recipe, keep: Collection[str]) -> Recipe:
    """``into`` with what a file of YAML says, however little that is; of the fields to ``keep`` the file may
    say what it will. Of iterations and epochs the one that the file gives takes the other's place.

    Raises InvalidRecipe (all problems at once, unknown names among them).
    """
    given = _renamed(_mapping(content, name))
    kept = {field: value for field, value in asdict(into).items() if field in keep or field not in given}
    for one, other in (("iterations", "epochs"), ("epochs", "iterations")):
        if given.get(one) is not None and other not in given:
            kept[other] = None
    return parse({**given, **kept})


def _mapping(content: bytes, name: str) -> dict[Any, Any]:
    try:
        values = _Loader(content.decode("utf-8-sig")).get_single_data()
    # PyYAML lets through what Python says of a 99th month, and of a list in a list in a thousand others.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise invalid([Problem(name, "not_yaml", {"detail": " ".join(str(error).split())})]) from error
    if not isinstance(values, dict):
        raise invalid([Problem(name, "not_yaml", {"detail": type(values).__name__})])
    return values


class _Loader(yaml.SafeLoader):
    """Without anchors: a recipe needs none, and nested ones grow a small file to any size."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("a recipe has no anchors")
        return super().compose_node(parent, index)

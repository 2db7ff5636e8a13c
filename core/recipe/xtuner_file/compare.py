"""What two config files ask of the trainer differently, each with its reason."""

import glob
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from reprlib import Repr
from typing import Any

from core.recipe.recipe import Recipe
from core.recipe.templates import TEMPLATES
from core.recipe.xtuner_config import Rendered, write_config
from core.recipe.xtuner_file.reader import read_config
from core.recipe.xtuner_file.settings import DATA, EVALUATION, data_file_of, last, look, settings
from core.recipe.xtuner_file.units import Meant, Size
from core.recipe.xtuner_file.values import Name, Unread, Values, is_number

# Why the two files differ, by the place of the difference; "config.why.<name>" says it.
REASONS: tuple[tuple[str, str], ...] = (
    (r".*trust_remote_code", "remote_code"),
    (rf"{DATA}\.map_num_proc", "one_process"),
    (rf"{EVALUATION}\.generation_kwargs.*", "greedy"),
    (r"log_processor\..*", "every_value"),
    (r"default_hooks\.logger\..*|log_level", "logged"),
    (rf"{EVALUATION}.*", "asked"),
    (r"default_hooks\.checkpoint\.max_keep_ckpts", "keep_two"),
    (r"train_cfg\.max_epochs", "whole_epochs"),
    (r"param_scheduler\.\d+", "other_schedule"),
    (r"param_scheduler\.\d+\..*", "schedule_shape"),
    (r"randomness\.seed", "seed"),
    (r"work_dir", "own_folder"),
    (r"load_from|resume", "beginning"),
    (rf"{DATA}\.(dataset_map_fn|datasets|max_dataset_length|dataset\..*)", "rows"),
    (r"custom_hooks\.(DatasetInfoHook|ThroughputHook).*", "logged"),
    (r"tokenizer\..*|model\.tokenizer", "tokenizer"),
    (r".*(\.template|prompt_template)", "template"),
    (r".*use_varlen_attn|custom_hooks\.VarlenAttnArgsToMessageHubHook", "varlen"),
    (r"sequence_parallel_size|.*\.sampler\.(seed|type)|strategy", "parallel"),
    (r"model\.llm\.attn_implementation", "attention"),
    (r"visualizer.*", "charts"),
    (r"(val|test)_.*", "validation"),
    (r"framework|training_args.*", "own_loop"),
    (r"optim_wrapper\.(type|dtype|loss_scale)|model\.llm\.torch_dtype|.*compute_dtype", "precision"),
)
# Written otherwise on purpose, whatever the file says: these change no result.
ON_PURPOSE = {
    *("remote_code", "one_process", "greedy", "every_value", "seed", "own_folder", "charts", "logged"),
    *("asked", "keep_two", "attention", "tail"),
}
# A stranger's file may nest without end.
MOST_DIFFERENCES = 200
# What the value itself says of why it differs: see units and values.
BY_THE_VALUE = (
    *("saved_once", "saved_by_epoch", "never_moves", "stairs", "tail", "other_unit"),
    *("unread", "other_schedule"),
)
SAID_ONCE = {"varlen", "other_unit"}
_SHORT = Repr()
_SHORT.maxlevel = 3
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = 6
_SHORT.maxstring = _SHORT.maxother = 80


@dataclass(frozen=True)
class Difference:
    """One place where the file and the Recipe's own config differ; None where one says nothing.

    ``why`` is a key below ``config.why``; ``on_purpose``: Tuneboard writes it so for every run.
    """

    place: str
    file: str | None
    recipe: str | None
    why: str

    @property
    def on_purpose(self) -> bool:
        return self.why in ON_PURPOSE


def differences(found: Values, recipe: Recipe, size: Size | None) -> Iterator[Difference]:
    """Each once: what several keys say for one reason, as attention within a packed row, is one line."""
    settled = recipe if recipe.template != "auto" else recipe.changed(template="default")
    rendered = None if settled.template in TEMPLATES else _rendered(found)
    text = write_config(settled, Path(recipe.data), Path(recipe.model), Path("work_dir"), rendered=rendered)
    own = settings(read_config(text.encode(), "config.py"), size)
    own.pop("work_dir")
    _as_given(own, recipe)
    if recipe.deepspeed != "none":  # asked for on the command line
        own["deepspeed"] = recipe.deepspeed
    said: set[tuple[str | None, str]] = set()
    for count, one in enumerate(_compare(found, own, "")):
        if count >= MOST_DIFFERENCES:
            return
        about = (None if one.why == "varlen" else one.file, one.why)
        if one.why not in SAID_ONCE or about not in said:
            yield one
        said.add(about)


def _rendered(found: Values) -> Rendered:
    """What the model's chat template had written for the file: nobody renders it again to compare."""
    asked = look(found, EVALUATION) or {}
    prompts, stops = (tuple(asked.get(name) or ()) for name in ("evaluation_inputs", "stop_words"))
    return Rendered(Path(data_file_of(look(found, DATA)) or "?"), prompts, stops)


def _as_given(own: Values, recipe: Recipe) -> None:
    """The names of model and data as they were given: ``Path`` would write ``./a`` as ``a``."""
    for section in (own["tokenizer"], own["model"]["llm"]):
        section["pretrained_model_name_or_path"] = recipe.model
    if recipe.template in (*TEMPLATES, "auto"):
        own["train_dataloader"]["dataset"]["dataset"]["data_files"]["train"] = glob.escape(recipe.data)


def _compare(file: Any, own: Any, place: str) -> Iterator[Difference]:
    if place in (DATA, f"{DATA}.dataset") and _loaded_otherwise(file, own):
        yield Difference(place, f"{_shown(file)}({data_file_of({'dataset': file})})", _shown(own), "rows")
    elif re.fullmatch(r"param_scheduler\.\d+", place) and _another_schedule(file, own):
        yield Difference(place, _shown(file), _shown(own), _why(file, place))
    elif isinstance(file, dict) and isinstance(own, dict):
        for name in dict.fromkeys([*file, *own]):
            yield from _compare(file.get(name), own.get(name), f"{place}.{name}" if place else name)
    elif not _same(file, own):
        yield Difference(place, _shown(file), _shown(own), _why(file, place))


def _why(file: Any, place: str) -> str:
    named = file.get("type") if isinstance(file, dict) else file
    if isinstance(named, Meant):
        return named.why
    if isinstance(file, Unread):
        return "unread"
    return next((why for pattern, why in REASONS if re.fullmatch(pattern, place)), "no_place")


def _another_schedule(file: Any, own: Any) -> bool:
    """Of another kind, or one more: what else it says would be said of nothing here."""
    return last(look(file, "type")) != last(look(own, "type"))


def _loaded_otherwise(file: Any, own: Any) -> bool:
    """Another loader, or a data set of a hub: what else is said of it means nothing here."""
    theirs, ours = ((last(look(one, "type")), look(one, "path")) for one in (file, own))
    return theirs != ours


def _same(one: Any, other: Any) -> bool:
    """A class may be named by its last word alone, as mmengine's registries do."""
    if isinstance(one, str | Name) and isinstance(other, Name):
        return str(one) == str(other) or (isinstance(one, str) and one == last(other))
    if is_number(one) and is_number(other):
        return bool(abs(one - other) <= 1e-9 * max(abs(one), abs(other)))
    return bool(one == other)


def _shown(value: Any) -> str | None:
    """At most a line; of a part its class."""
    if value is None or isinstance(value, str):
        return value if value is None or len(value) <= 200 else f"{value[:200]}…"
    if isinstance(value, dict) and "type" in value:
        return str(value["type"])
    if isinstance(value, list) and any(isinstance(one, dict) for one in value):
        return ", ".join(data_file_of(one) or _SHORT.repr(one) for one in value[:6])
    if isinstance(value, Name | Unread | Meant):
        return str(value)
    return _SHORT.repr(value)

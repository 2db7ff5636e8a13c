"""Choosing a base model: the list, with what each would take on this machine and which are here already."""

import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from core.models.catalog import FREE, STARTER, Entry, catalog
from core.models.families import CONVERTED
from core.models.folder import Model, ModelShape
from core.pace import IMPORT_COSTS, Cost, about, whole
from core.recipe.disk import disk_use
from core.recipe.fit import Fit
from core.recipe.memory import memory
from core.recipe.recipe import Recipe
from core.steps.first_recipe import usual_recipe
from core.steps.fit import LONGEST_ROW, fitting, room_for
from core.steps.step import megabytes
from core.wording import language_named, say
from core.workspace.files import read_record
from core.workspace.import_paths import import_of
from core.workspace.names import slug
from core.workspace.paths import Workspace

# Somebody who tries it waits so long. More, and a smaller model is the better advice.
PATIENCE = 30 * 60.0
# Of many languages so many are named.
NAMED = 3
# What is chosen without asking takes no longer than this, and is no larger a download (bytes).
SOON, LARGEST_UNASKED = 15 * 60.0, 4_000_000_000
Obstacle: TypeAlias = Literal["", "memory", "disk"]
# What the stages cost on a model of the list, of which the workspace has a folder of this name or none.
CostsOf: TypeAlias = Callable[[Entry, str | None], Mapping[str, Cost]]


@dataclass(frozen=True)
class Offer:
    """A model of the list on this machine.

    ``here`` is its folder's name in the workspace, None where it still has to be fetched. ``obstacle`` is
    what it does not fit in. ``quantization`` and ``memory`` (bytes at the highest, by the formula) are those
    of the fastest settings that fit, else the least that any takes; ``room`` is what there is of it.
    ``costs`` is what making the assistant takes here, stage by stage, on a machine left alone; ``disk`` how
    many bytes that writes.
    """

    entry: Entry
    here: str | None
    obstacle: Obstacle
    device: str
    quantization: str
    memory: int
    room: int
    costs: Mapping[str, Cost]
    disk: int

    @property
    def seconds(self) -> float:
        """How long making the assistant takes, about."""
        return whole(self.costs)

    @property
    def making(self) -> float:
        """The same by which models are compared: without fetching it, for nobody knows the line."""
        return whole({name: cost for name, cost in self.costs.items() if name not in IMPORT_COSTS})

    @property
    def fits(self) -> bool:
        return not self.obstacle

    @property
    def says(self) -> str:
        """Whether it fits this machine and how, in a sentence's part."""
        values = {
            "memory": megabytes(self.memory),
            "room": megabytes(self.room),
            "disk": megabytes(self.disk),
        }
        where = f"catalog.{self.obstacle or 'fits'}.{self.device}"
        return say(where, **values, way=self._way, time=self.time)

    @property
    def brief(self) -> str:
        """The same for a cell of a table."""
        values = {
            "memory": megabytes(self.memory),
            "room": megabytes(self.room),
            "disk": megabytes(self.disk),
        }
        return say(f"catalog.brief.{self.obstacle or 'fits'}", **values, way=self._way, time=self.time)

    @property
    def time(self) -> str:
        """The same as a person says it."""
        return about(self.seconds)

    @property
    def _way(self) -> str:
        return say("catalog.qlora" if self.quantization != "none" else "catalog.lora")

    @property
    def good_for(self) -> str:
        """What it is good for, in a sentence."""
        return say(f"catalog.about.{self.entry.name}")

    @property
    def speaks(self) -> str:
        """Which languages it speaks well, by their names, and how many it knows besides."""
        well, others = self.entry.well, len(self.entry.languages) - len(self.entry.well)
        named = languages_named(well, len(well))
        return say("catalog.well.others", well=named, count=others) if others else named

    @property
    def licence(self) -> str:
        """The licence as a person reads it."""
        named = {None: "catalog.licence.none", "other": "catalog.licence.other"}
        known = self.entry.licence
        text = say(named[known]) if known in named else str(known)
        return say("catalog.licence.gated", licence=text) if self.entry.gated else text

    def as_json(self) -> dict[str, Any]:
        return {
            **asdict(self.entry),
            "languages": [*self.entry.languages],
            "well": [*self.entry.well],
            "title": self.entry.title,
            "speaks": self.speaks,
            "good_for": self.good_for,
            "terms": self.licence,
            "here": self.here,
            "fits": self.fits,
            "obstacle": self.obstacle,
            "device": self.device,
            "quantization": self.quantization,
            "memory": self.memory,
            "room": self.room,
            "seconds": round(self.seconds),
            "disk": self.disk,
            "says": self.says,
        }


def offers(workspace: Workspace, costs: CostsOf) -> list[Offer]:
    """The list on this machine, in its order: by the number of weights."""
    there = _imported(workspace)
    return [
        offer(workspace, entry, here, costs(entry, here))
        for entry in catalog().models
        for here in [_here(workspace, entry, there)]
    ]


def offer(workspace: Workspace, entry: Entry, here: str | None, costs: Mapping[str, Cost]) -> Offer:
    """What one model would take on this machine, where its stages have these ``costs``."""
    model, shape = model_of(entry, workspace.model(entry.title)), shape_of(entry)
    recipe = usual_recipe(model)
    fit = fitting(recipe, model, shape, LONGEST_ROW)
    least = fit or _least(recipe, model, shape)
    use = disk_use(least.recipe, model, shape, recipe.iterations).whole
    fetched = 0 if here or entry.name == STARTER else entry.size * (2 if entry.model_type in CONVERTED else 1)
    there = next(path for path in (workspace.root, *workspace.root.parents) if path.exists())
    short = shutil.disk_usage(there).free < use + fetched
    return Offer(
        entry=entry,
        here=here,
        obstacle="memory" if fit is None else "disk" if short else "",
        device="cuda" if recipe.device == "cuda" else "cpu",
        quantization=least.recipe.quantization,
        memory=least.memory.total,
        room=room_for(recipe),
        costs=costs,
        disk=use + fetched,
    )


def recommended(found: Sequence[Offer], language: str) -> Offer | None:
    """Which to take for an assistant that speaks ``language``: the largest that is made here within PATIENCE,
    else the quickest one. It speaks the language well, answers at once and is free to use; None where no such
    model fits."""
    able = [one for one in found if _suits(one) and language in one.entry.well]
    return _largest_within(able, PATIENCE) or min(able, key=lambda one: one.making, default=None)


def first_choice(
    found: Sequence[Offer], needed: Collection[str], to_be_had: Callable[[Entry], bool]
) -> Offer | None:
    """Which to take where nobody has chosen: the starter where it speaks the ``needed`` languages; else of
    those that do a model that is here, else one that is to be had. None where there is none that is made here
    within PATIENCE."""
    starter = next(one for one in found if one.entry.name == STARTER)
    if {*needed} <= {*starter.entry.well}:
        return starter
    choice = better(found, needed)
    return choice if choice and (choice.here or to_be_had(choice.entry)) else None


def better(found: Sequence[Offer], needed: Collection[str]) -> Offer | None:
    """What speaks the ``needed`` languages and is made here within PATIENCE: one that is here already, else
    one that is free to use and no large download."""
    here = [one for one in found if one.here and one.fits and one.entry.name != STARTER]
    others = [one for one in found if _suits(one) and not one.here]
    return best_of(here, needed) or best_of(others, needed, LARGEST_UNASKED)


def best_of(found: Sequence[Offer], needed: Collection[str], largest: float = float("inf")) -> Offer | None:
    """Of those no larger than ``largest`` bytes that are made here within PATIENCE the largest that is made
    SOON, else the quickest: that speaks all ``needed`` languages well, or else at all."""
    quick = [one for one in found if one.making <= PATIENCE and one.entry.size <= largest]
    well = [one for one in quick if {*needed} <= {*one.entry.well}]
    able = well or [one for one in quick if {*needed} <= {*one.entry.languages}]
    return _largest_within(able, SOON) or min(able, key=lambda one: one.making, default=None)


def _largest_within(found: Sequence[Offer], seconds: float) -> Offer | None:
    quick = (one for one in found if one.making <= seconds)
    return max(quick, key=lambda one: one.entry.parameters, default=None)


def _suits(one: Offer) -> bool:
    """Whether it can be advised: it fits, is free to use and answers at once."""
    free = one.entry.licence in FREE and not one.entry.gated
    return one.fits and free and not one.entry.thinks and one.entry.name != STARTER


def _least(recipe: Recipe, model: Model, shape: ModelShape) -> Fit:
    """The settings that take the least, of those that are tried."""
    quantized = "nf4" if recipe.device == "cuda" else "none"
    least = recipe.changed(batch_size=1, activation_checkpointing=True, quantization=quantized)
    return Fit(least, memory(least, model, shape, LONGEST_ROW))


def languages_named(codes: Sequence[str], most: int = NAMED) -> str:
    """Languages by their names; of many the first, and how many more."""
    named = say("row.list").join(map(language_named, codes[:most]))
    return say("catalog.more", named=named, count=len(codes) - most) if len(codes) > most else named


def model_of(entry: Entry, folder: Path) -> Model:
    """A model of the list as one that lies in ``folder``, before it does."""
    converted = entry.model_type in CONVERTED
    return Model(
        folder=folder,
        architecture="LlamaForCausalLM" if converted else entry.architecture,
        model_type="llama" if converted else entry.model_type,
        parameters=entry.parameters,
        size=entry.size,
        layers=entry.layers,
        max_length=0,
        chat_template="",
        quantization=None,
        origin=entry.model_type,
        linear=frozenset(name.removesuffix(".weight").rpartition(".")[2] for name in shape_of(entry).linear),
    )


def shape_of(entry: Entry) -> ModelShape:
    """What memory depends on, as :func:`core.models.folder.read_shape` finds it once the model is here."""
    hidden, inner = entry.hidden, entry.intermediate
    queries, keys = entry.heads * entry.head_dim, entry.kv_heads * entry.head_dim
    parts = {"self_attn.o_proj": (hidden, queries), "mlp.down_proj": (hidden, inner)}
    if entry.model_type == "phi3":
        parts |= {"self_attn.qkv_proj": (queries + 2 * keys, hidden), "mlp.gate_up_proj": (2 * inner, hidden)}
    else:
        rows = {"q_proj": queries, "k_proj": keys, "v_proj": keys}
        parts |= {f"self_attn.{name}": (count, hidden) for name, count in rows.items()}
        parts |= {f"mlp.{name}_proj": (inner, hidden) for name in ("gate", "up")}
    return ModelShape(
        layers=entry.layers,
        hidden=hidden,
        intermediate=inner,
        queries=queries,
        heads_of_keys=entry.kv_heads / entry.heads,
        vocabulary=entry.vocabulary,
        linear={
            f"model.layers.{layer}.{name}.weight": size
            for layer in range(entry.layers)
            for name, size in parts.items()
        },
    )


def listed_as(workspace: Workspace, folder: Path) -> Entry | None:
    """The model of the list that a folder among the workspace's models holds; None for another one."""
    if folder.resolve().parent != workspace.models.resolve():
        return None
    there = _imported(workspace)
    return next((one for one in catalog().models if _here(workspace, one, there) == folder.name), None)


def _imported(workspace: Workspace) -> dict[str, str]:
    """Where each imported model of the workspace came from, by its folder's name."""
    origins = {
        folder.name: read_record(import_of(folder).origin) or {} for folder in workspace.model_folders()
    }
    return {name: str(origin.get("source", "")) for name, origin in origins.items()}


def _here(workspace: Workspace, entry: Entry, there: dict[str, str]) -> str | None:
    if entry.name == STARTER:
        return STARTER if workspace.starter.exists() else None
    wanted = workspace.model(entry.title).name
    return next(
        (name for name, source in there.items() if slug(name) == wanted or entry.is_from(source)), None
    )

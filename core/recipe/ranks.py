"""A recipe on several devices: one process on each, which train one model together.

An update of the weights has as many rows as are read at once on all devices, times the accumulation. Whoever
takes more devices, or fewer, wants the same training in less time: the same rows an update, and in all.
"""

import math
from collections.abc import Iterator

from core.machine import Machine
from core.recipe.recipe import Problem, Recipe

# What counts iterations without deciding what is learned.
COUNTED = ("save_every", "evaluate_every", "log_every")
# Seconds that a process waits for the others (NCCL gives them 600): one may be writing a checkpoint of
# all weights to a slow disk. One that is dead is not waited for.
PATIENCE = 7200
# What of a recipe says how its rows are divided among devices and iterations, and nothing else.
DIVIDES = ("batch_size", "gradient_accumulation_steps", "iterations", "devices", "cards", "nodes")


def with_ranks(recipe: Recipe, devices: int, nodes: int = 1) -> Recipe:
    """``recipe`` on so many devices of each of so many machines, with the same rows an update and in all.

    Less is accumulated before a device's batch becomes smaller. Where the rows of an update cannot be divided
    evenly it gets as many more as it takes. Which cards is open again, unless there are as many as before.
    """
    changed = recipe.changed(devices=devices, nodes=nodes)
    each = math.ceil(recipe.global_batch / changed.ranks)
    batch = next(size for size in range(min(each, recipe.batch_size), 0, -1) if each % size == 0)
    changed = changed.changed(batch_size=batch, gradient_accumulation_steps=each // batch)
    ratio = recipe.rows_at_once / changed.rows_at_once
    counts = {name: getattr(recipe, name) for name in COUNTED}
    return changed.changed(
        cards=recipe.cards if len(recipe.cards) == devices else (),
        iterations=recipe.iterations and math.ceil(recipe.iterations * ratio),
        **{name: count and max(1, round(count * ratio)) for name, count in counts.items()},
    )


def fitted(recipe: Recipe, machine: Machine) -> Recipe:
    """``recipe`` on as many of its devices as ``machine`` has, and on none of its cards that are not there;
    as it is where it asks for no GPU, or for several machines."""
    there = {gpu.index for gpu in machine.gpus}
    if recipe.nodes > 1 or not there or machine.device_for(recipe.device) == "cpu":
        return recipe
    if recipe.devices > len(there):
        return with_ranks(recipe, len(there)).changed(cards=())
    return recipe if there.issuperset(recipe.cards) else recipe.changed(cards=())


def divided_alike(one: Recipe, other: Recipe) -> bool:
    """Whether both have as many rows an update and in all, on however many devices."""

    def rows(recipe: Recipe) -> tuple[int, int | None]:
        updates = recipe.iterations and math.ceil(recipe.iterations / recipe.gradient_accumulation_steps)
        return recipe.global_batch, updates

    return rows(one) == rows(other)


def ranks_problems(recipe: Recipe, machine: Machine) -> Iterator[Problem]:
    """What keeps a recipe from its devices on ``machine``; on several machines nobody knows what others
    have."""
    if recipe.cards and len(recipe.cards) != recipe.devices:
        yield Problem("cards", "cards_not_devices", {"cards": len(recipe.cards), "devices": recipe.devices})
    if len(set(recipe.cards)) < len(recipe.cards):
        yield Problem("cards", "cards_twice", {})
    if recipe.ranks > 1 and recipe.accelerate == "unsloth":
        yield Problem("devices", "unsloth_alone", {"devices": recipe.ranks})
    if recipe.nodes > 1 or machine.device_for(recipe.device) == "cpu":
        return
    if 1 < recipe.devices > len(machine.gpus):  # one without any GPU has its own sentence
        yield Problem("devices", "too_few_cards", {"devices": recipe.devices, "there": len(machine.gpus)})
    known = {gpu.index for gpu in machine.gpus}
    if machine.gpus and (unknown := [str(card) for card in recipe.cards if card not in known]):
        there = ", ".join(str(index) for index in sorted(known))
        yield Problem("cards", "no_such_card", {"found": ", ".join(unknown), "there": there})

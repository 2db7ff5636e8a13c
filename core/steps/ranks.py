"""How a training's processes are started: one alone, or one for each device by torchrun."""

import os
from pathlib import Path

from core.jobs.job import JobPaths
from core.machine import this_machine
from core.queue.cards import seeing
from core.recipe.recipe import Recipe
from core.steps.step import ENGINE_VARIABLE, THREADS_VARIABLE

# They meet at this machine's own address: its name may lead nowhere (a rented container's), and torchrun
# would ask for it until it gives up.
ALONE = ("--standalone", "--local-addr", "127.0.0.1")


def environment(recipe: Recipe) -> dict[str, str]:
    """What all processes of a training get: its devices, its share of the cores, and how they speak."""
    found: dict[str, str] = {}
    if recipe.device == "cpu":
        found["CUDA_VISIBLE_DEVICES"] = ""
    elif recipe.cards:
        found |= seeing(recipe.cards)
    if recipe.deepspeed != "none" and recipe.device == "cpu":
        found["DS_ACCELERATOR"] = "cpu"
    if recipe.ranks == 1:
        return found
    # Multicast in NVLink's switches wants rights that a container often lacks, and NCCL then hangs.
    found["NCCL_NVLS_ENABLE"] = "0"
    if recipe.device == "cpu" and not os.environ.get("OMP_NUM_THREADS"):
        threads = max(1, this_machine().cores // recipe.devices)
        found |= {"OMP_NUM_THREADS": str(threads), THREADS_VARIABLE: "said"}
    return found


def together(job: Path, recipe: Recipe, tool: str, arguments: list[str]) -> tuple[str, list[str]]:
    """The engine's tool and arguments that run ``tool`` in every process of ``recipe``: as it is in one
    process, else by torchrun (``core.engine.ranks``).

    The first process writes into the job's own log; every other one has its own below the job's ``ranks``.
    Of several machines, each runs this command and is told where the others are by torchrun's own variables
    (``PET_MASTER_ADDR``, ``PET_MASTER_PORT``, ``PET_NODE_RANK``).
    """
    if recipe.ranks == 1:
        return tool, arguments
    where = ALONE if recipe.nodes == 1 else ("--nnodes", str(recipe.nodes))
    engine = os.environ.get(ENGINE_VARIABLE, "core.engine")
    logs = ["--log-dir", str(JobPaths(job).ranks)]
    if recipe.devices > 1:
        redirected = ",".join(f"{rank}:3" for rank in range(1, recipe.devices))
        logs += ["--redirects", redirected]
    launched = ["-m", engine, tool, *arguments, "--launcher", "pytorch"]
    return "ranks", [*where, "--nproc-per-node", str(recipe.devices), *logs, *launched]

"""A recipe on several devices: what stays the same, what it is refused for, how its processes are started,
and what is said of one that died."""

import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.engine import ranks
from core.errors import InvalidRecipe
from core.jobs.failure import why_failed
from core.jobs.job import JobPaths, JobSpec
from core.jobs.launch import wait
from core.jobs.ranks import DeadRank, dead_rank, leave_dead, rank_logs
from core.jobs.status import State, Status
from core.machine import Gpu, Machine
from core.models.folder import read_model, read_shape
from core.recipe.memory import memory
from core.recipe.ranks import divided_alike, ranks_problems, with_ranks
from core.recipe.recipe import Recipe, to_yaml
from core.steps import dividing, prepare, resuming, train
from core.workspace.files import write_json
from core.workspace.paths import Workspace
from tests.small_run import make_run

RECIPE = Recipe(
    model="m", data="d", batch_size=4, gradient_accumulation_steps=2, iterations=40, save_every=10
)
GPUS = tuple(Gpu(number, "H200", 2**37, 2**37) for number in range(2))
TWO_CARDS, NONE = Machine(16, 2**37, True, GPUS), Machine(2, 2**34, False, ())


@pytest.mark.parametrize(
    ("devices", "nodes", "batch", "accumulation", "iterations"),
    [
        (1, 1, 4, 2, 40),
        (2, 1, 4, 1, 20),
        (4, 1, 2, 1, 20),
        (2, 2, 2, 1, 20),
        (8, 1, 1, 1, 20),
        (16, 1, 1, 1, 10),
    ],
)
def test_more_devices_are_the_same_training(
    devices: int, nodes: int, batch: int, accumulation: int, iterations: int
) -> None:
    """Eight rows an update, 160 in all; only where they cannot be divided more."""
    found = with_ranks(RECIPE, devices, nodes)
    assert (found.batch_size, found.gradient_accumulation_steps) == (batch, accumulation)
    assert found.iterations == iterations and found.global_batch == max(8, found.ranks)
    assert found.iterations * found.rows_at_once == 160
    assert divided_alike(RECIPE, found) == (found.ranks <= 8)
    assert found.save_every == max(1, round(10 * 4 / found.rows_at_once))


def test_there_and_back_is_the_same_recipe() -> None:
    assert with_ranks(with_ranks(RECIPE, 2), 1).changed(batch_size=4) == RECIPE
    assert not divided_alike(RECIPE, RECIPE.changed(devices=2))


@pytest.mark.parametrize(
    ("changes", "machine", "wanted"),
    [
        ({"devices": 2}, NONE, []),
        ({"devices": 2, "cards": (0, 1)}, TWO_CARDS, []),
        ({"devices": 3}, TWO_CARDS, [("devices", "too_few_cards")]),
        ({"devices": 8, "nodes": 2}, TWO_CARDS, []),
        ({"cards": (2,)}, TWO_CARDS, [("cards", "no_such_card")]),
        ({"devices": 2, "cards": (1, 1)}, TWO_CARDS, [("cards", "cards_twice")]),
        ({"cards": (0, 1)}, TWO_CARDS, [("cards", "cards_not_devices")]),
        ({"devices": 2, "accelerate": "unsloth"}, TWO_CARDS, [("devices", "unsloth_alone")]),
    ],
)
def test_what_is_refused(changes: dict[str, object], machine: Machine, wanted: list[tuple[str, str]]) -> None:
    found = list(ranks_problems(RECIPE.changed(**changes), machine))
    assert [(one.field, one.key) for one in found] == wanted
    assert all(one.text(language) for one in found for language in ("en", "zh"))


def test_zero_divides_what_is_trained_and_from_stage_3_the_weights(model: Path) -> None:
    """Of one device; without DeepSpeed each has all of it."""
    small, shape = read_model(model), read_shape(read_model(model))

    def held(stage: str, devices: int) -> tuple[int, int]:
        recipe = RECIPE.changed(device="cuda", precision="bf16", deepspeed=stage, devices=devices)
        found = memory(recipe, small, shape, 64)
        return found.weights, found.adapters

    assert held("none", 2) == held("none", 1)
    alone, one, two, three = held("zero2", 1), held("zero1", 4), held("zero2", 4), held("zero3", 4)
    assert alone[1] > one[1] > two[1] > three[1] and abs(three[1] - alone[1] / 4) <= 1
    assert one[0] == two[0] == alone[0] > three[0]


def test_one_process_is_started_as_ever_and_several_by_torchrun(home: Workspace) -> None:
    run = make_run(home)
    recipe = prepare.recipe_of(run)
    assert train.plan(run, recipe).command[3] == "train"
    spec = train.plan(run, recipe.changed(devices=3, gradient_accumulation_steps=1))
    place = spec.command.index("-m", 3)
    assert spec.command[:3] == (sys.executable, "-m", spec.command[place + 1])
    logs = str(JobPaths(run.job("train")).ranks)
    assert spec.command[3:place] == (
        *("ranks", "--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", "3"),
        *("--log-dir", logs, "--redirects", "1:3,2:3"),
    )
    assert spec.command[place + 2] == "train" and spec.command[-2:] == ("--launcher", "pytorch")
    assert spec.env["NCCL_NVLS_ENABLE"] == "0" and "RANK" not in spec.env
    several = train.plan(run, recipe.changed(devices=2, nodes=3)).command
    assert several[4:8] == ("--nnodes", "3", "--nproc-per-node", "2")
    cards = train.plan(run, recipe.changed(device="cuda", devices=2, cards=(1, 3)))
    assert (cards.env["CUDA_VISIBLE_DEVICES"], cards.env["CUDA_DEVICE_ORDER"]) == ("1,3", "PCI_BUS_ID")


def of_ranks(folder: Path, own: str, others: dict[int, str]) -> None:
    folder.mkdir()
    JobPaths(folder).log.write_text(own, encoding="utf-8")
    for rank, said in others.items():
        place = JobPaths(folder).ranks / "0" / "attempt_0" / str(rank)
        place.mkdir(parents=True)
        (place / "stderr.log").write_text(said, encoding="utf-8")
        (place / "stdout.log").write_text("", encoding="utf-8")


MISSED = "RuntimeError: [pair.cc:534] Connection closed by peer [127.0.0.1]:1234\n"
NO_MEMORY = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB.\n"
FAILED = Status(State.failed, code=137, reason="failed")


@pytest.mark.parametrize(
    ("dead", "own", "others", "rank", "cause"),
    [
        ((1, 137), MISSED, {1: ""}, 1, "killed"),
        ((1, 139), MISSED, {1: "warned\n", 2: MISSED}, 1, "crashed"),
        ((0, 1), MISSED, {1: NO_MEMORY}, 1, "cuda_out_of_memory"),
        ((2, 1), MISSED, {1: MISSED, 2: NO_MEMORY}, 2, "cuda_out_of_memory"),
        ((1, 1), "fine\n", {1: "ValueError: what nobody knows\n"}, 1, "unknown"),
    ],
)
def test_the_one_that_ended_first_is_named(
    tmp_path: Path, dead: tuple[int, int], own: str, others: dict[int, str], rank: int, cause: str
) -> None:
    """And the logs of all are searched: who only missed another one is not why."""
    folder = tmp_path / "job"
    of_ranks(folder, own, others)
    leave_dead(folder, DeadRank(*dead))
    found = why_failed(folder, FAILED)
    assert found and (found.rank, found.cause) == (rank, cause)
    for language in ("en", "zh"):
        assert f"rank {rank}" in found.text(language)
    assert f"rank {rank}" in str(found.error("train").values["reason"])
    assert found.log in rank_logs(folder)[rank]


def test_of_one_that_crashed_its_last_error_is_shown(tmp_path: Path) -> None:
    """And not what it had printed before."""
    folder = tmp_path / "job"
    of_ranks(folder, MISSED, {1: "terminate called after throwing an instance of 'std::bad_alloc'\n"})
    (printed,) = [log for log in rank_logs(folder)[1] if log.name == "stdout.log"]
    printed.write_text("INFO - Set the random seed to 5.\n", encoding="utf-8")
    leave_dead(folder, DeadRank(1, 134))
    found = why_failed(folder, FAILED)
    assert found and found.line.startswith("terminate called") and found.log.name == "stderr.log"


def test_of_several_that_ended_at_once_the_killed_one_counts(tmp_path: Path) -> None:
    """By exit codes as a shell has them; what was asked to end by the others' launcher was not killed."""
    assert DeadRank.first([(0, 1), (1, -9)]) == DeadRank(1, 137)
    assert DeadRank.first([(0, -15), (1, 1)]) == DeadRank(0, 143)
    assert DeadRank.first([(1, 1), (0, 1)]) == DeadRank(1, 1)
    assert dead_rank(tmp_path) is None


def test_other_devices_are_taken_at_the_next_start(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the command line's option; what was trained goes on, for an update has as many rows as before."""
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")
    run = make_run(home, gradient_accumulation_steps=2)
    recipe = prepare.recipe_of(run)
    train.start(run)
    wait(run.job("train"), timeout=60)
    dividing.put_on(run, 2)
    now = prepare.in_line(run)
    assert (now.devices, now.gradient_accumulation_steps, now.iterations) == (2, 1, 20)
    assert f"max_iters = {now.iterations}" in run.config.read_text(encoding="utf-8")
    assert resuming.changes_since(run) == []
    train.start(run, resuming.going_on(run))
    assert wait(run.job("train"), timeout=60).state is State.finished
    dividing.put_on(run, 1)
    assert prepare.in_line(run) == recipe
    run.recipe.write_text(to_yaml(recipe.changed(devices=2)), encoding="utf-8")
    assert len(resuming.changes_since(run)) > 0


def test_a_run_of_more_gpus_goes_on_with_those_that_are_here(
    home: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is started, and with as many rows an update; what is trained stays as it was."""
    run = make_run(home, gradient_accumulation_steps=4)
    begun = prepare.recipe_of(run).changed(device="cuda", precision="bf16")
    monkeypatch.setattr(dividing, "this_machine", lambda: TWO_CARDS)
    many = with_ranks(begun, 4, 2).changed(nodes=1, cards=(0, 2, 4, 6))
    run.recipe.write_text(to_yaml(many), encoding="utf-8")
    assert dividing.fewer_here(run) == dividing.FewerDevices(4, 2)
    assert dividing.put_here(run) == dividing.FewerDevices(4, 2) and dividing.fewer_here(run) is None
    found = prepare.recipe_of(run)
    assert (found.devices, found.cards, found.global_batch) == (2, (), many.global_batch)
    assert divided_alike(found, many)
    run.recipe.write_text(to_yaml(found.changed(cards=(1, 7))), encoding="utf-8")
    assert dividing.put_here(run) is None and prepare.recipe_of(run) == found, (
        "of cards that are not here any"
    )
    monkeypatch.setattr(dividing, "this_machine", lambda: NONE)
    with pytest.raises(InvalidRecipe, match="GPU"):
        dividing.put_here(run)
    for file, said in (
        ("job.json", JobSpec(("true",), home.root).as_json()),
        ("exit.json", {"reason": "finished"}),
    ):
        write_json(run.job("train") / file, said)
    assert dividing.put_here(run) is None, "it is trained: only what is made of it is left"


def test_machines_speak_by_the_network_that_leads_to_the_first_one() -> None:
    assert ranks.network_to("127.0.0.1") == "lo"
    assert ranks.network_to("no such name .invalid") is None


def test_what_deepspeed_wrote_is_refused_to_another_number_of_processes(home: Workspace) -> None:
    """Before anything is changed; from the beginning any number can train."""
    run = make_run(home, gradient_accumulation_steps=2)
    recipe = prepare.recipe_of(run)
    folder = run.work_dir / "iter_10.pth"
    folder.mkdir(parents=True)
    names = [
        "mp_rank_00_model_states",
        *(f"zero_pp_rank_{rank}_mp_rank_00_optim_states" for rank in range(2)),
    ]
    for name in names:
        with zipfile.ZipFile(folder / f"{name}.pt", "w") as file:
            file.writestr("data", "x")
    with pytest.raises(InvalidRecipe, match=r"2 processes .* not by 4"):
        dividing.put_on(run, 4)
    assert prepare.recipe_of(run) == recipe
    dividing.put_on(run, 2)
    dividing.put_on(run, 1, anew=True)
    assert prepare.recipe_of(run) == recipe


# What the others do that have ended already, whether one has failed first, and who is waited for then.
@pytest.mark.parametrize(
    ("others", "failed", "waited"),
    [
        ("pass", False, True),
        ("os.kill(os.getpid(), signal.SIGTERM)", False, True),
        ("os.kill(os.getpid(), signal.SIGKILL)", False, False),
        ("sys.exit(1)", False, False),
        ("os.kill(os.getpid(), signal.SIGTERM)", True, False),
    ],
)
def test_who_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, others: str, failed: bool, waited: bool
) -> None:
    """One alone may have a checkpoint to write, long after the others have ended as they were asked to; but
    nobody waits for one that waits for a dead one."""
    monkeypatch.setattr(ranks, "LEFT_BEHIND", 0.2)
    writing = "import pathlib, sys, time\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.01)"
    commands = (f"import os, signal, sys; {others}", writing)
    programs = [subprocess.Popen([sys.executable, "-c", one, str(tmp_path / "done")]) for one in commands]
    programs[0].wait()
    threading.Timer(1.0, (tmp_path / "done").touch).start()
    ranks._await([SimpleNamespace(proc=one) for one in programs], () if failed else ranks.AS_ASKED)
    assert (programs[1].poll() is not None) == waited
    programs[1].kill()
    programs[1].wait()

"""Slurm without one: what its commands print, profiles, and what a job's state is by its word."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from core.errors import InvalidProfile, JobNotStarted, NoSuchProfile, SlurmFailed
from core.jobs import elsewhere, submit
from core.jobs.batch import SlurmBatch, own, read_batch, write_batch
from core.jobs.ending import Ending, Reason
from core.jobs.job import JobPaths, JobSpec, read_spec, tries
from core.jobs.launch import launch, make_room, stop
from core.jobs.process import identify
from core.jobs.status import LIVE, State, read_status
from core.pipeline import chain_stages
from core.runs import read_run, standing
from core.slurm.partitions import Partition, read_partitions, seconds_of
from core.slurm.profile import (
    Profile,
    changed,
    offered_first,
    problems,
    profiles,
    read_profile,
    save,
    sbatch,
    within,
)
from core.slurm.queue import Queue, SlurmEntry, SlurmPhase, read_entries
from core.workspace.files import write_json
from core.workspace.paths import PROJECT, RunPaths, Workspace

GPU = Partition("gpu", True, True, "1-00:00:00", 4, 32, 256000, 8, ("a100", "h100"))
SPEC = JobSpec(("true",), PROJECT)


def test_partitions_are_read_as_sinfo_prints_them() -> None:
    text = (
        "gpu*|up|1-00:00:00|3|32+|250000+|gpu:a100:8(S:0-1),nvme:1|8/0/0/8\n"
        "gpu*|up|1-00:00:00|3|32+|250000+|gpu:a100:8(S:0-1)\n"
        "gpu*|up|1-00:00:00|1|64|500000|gpu:4090:4\n"
        "cpu|down|infinite|9|16|64000|(null)\n"
        "slurm_load_partitions: something else\n"
    )
    gpu, cpu = read_partitions(text)
    assert gpu == Partition("gpu", True, True, "1-00:00:00", 4, 32, 250000, 8, ("4090", "a100"))
    assert cpu == Partition("cpu", False, False, "", 9, 16, 64000, 0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 5400),
        ("90:30", 5430),
        ("1:00:00", 3600),
        ("2-0", 172800),
        ("1-12:30", 131400),
        ("1-00:00:01", 86401),
        ("", None),
        ("infinite", None),
        ("1h", None),
        ("-5", None),
    ],
)
def test_times_as_slurm_writes_them(text: str, seconds: int | None) -> None:
    assert seconds_of(text) == seconds


def test_the_queue_is_read_as_squeue_prints_it() -> None:
    text = "7|PENDING|0|N/A||gpu|(Resources|odd)|\n8_3|RUNNING|2|2026-01-02T03:04:05|n[1-2]|gpu|None|\n?\n"
    found = read_entries(text)
    assert {*found} == {"7", "8_3"}
    assert (found["7"].phase, found["8_3"].phase) == (SlurmPhase.waiting, SlurmPhase.working)
    assert (found["8_3"].restarts, found["8_3"].nodes, found["8_3"].partition) == (2, "n[1-2]", "gpu")
    assert SlurmEntry("A_STATE_OF_LATER").phase is SlurmPhase.ended


def test_the_queue_is_asked_once_for_many_and_not_again_after_a_failure() -> None:
    asked = 0

    def look() -> Mapping[str, SlurmEntry]:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise SlurmFailed(command="squeue", reason="down")
        return {"1": SlurmEntry("RUNNING")}

    queue = Queue(look, fresh=60)
    assert queue.entry("1") == SlurmEntry("RUNNING") and queue.entry("2") is None
    assert asked == 1
    queue.forget()
    for _ in range(3):
        with pytest.raises(SlurmFailed):
            queue.entry("1")
    assert asked == 2


def test_a_profile_is_filled_from_a_partition_kept_and_read(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    made = replace(offered_first(GPU, "Mein Köln"), gpu_type="a100", account="lab")
    assert (made.partition, made.gpus, made.time) == ("gpu", 1, "1-00:00:00")
    save(workspace, made, [GPU])
    assert profiles(workspace) == [made] and read_profile(workspace, "Mein Köln") == made
    assert changed(made, {"gpus": 0, "time": None}) == replace(made, gpus=0, gpu_type="")
    with pytest.raises(NoSuchProfile):
        read_profile(workspace, "../../etc")
    workspace.profile("odd").write_text('{"name": "odd", "nodes": "many"}')
    assert profiles(workspace) == [made]


def test_everything_wrong_with_a_profile_is_said_at_once(tmp_path: Path) -> None:
    wrong = Profile(
        "x",
        partition="--wrap=rm",
        account="a b",
        nodes=0,
        gpu_type="v100",
        memory="much",
        time="soon",
        python="bin/python",
        workspace="/elsewhere",
    )
    found = {problem.field for problem in problems(wrong, [GPU])}
    assert found == {
        *("partition", "account", "nodes", "gpu_type", "memory", "time", "python", "workspace"),
    }
    with pytest.raises(InvalidProfile, match=r"much(.|\n)*soon"):
        save(Workspace(tmp_path), wrong)
    too_much = Profile("x", "gpu", nodes=5, gpus=9, gpu_type="v100", time="2-0")
    assert [one.field for one in problems(too_much, [GPU])] == ["nodes", "gpus", "gpu_type", "time"]
    assert [one.field for one in problems(Profile("x", "cpu"), [GPU])] == ["partition"]


def test_what_sbatch_is_told() -> None:
    profile = Profile("x", "gpu", "lab", nodes=2, gpus=4, gpu_type="a100", memory="64G", time="2:00:00")
    told = sbatch(profile, "tuneboard-r", "/w/log", "0-3%2")
    assert {
        *("--parsable", "--requeue", "--nodes=2", "--gpus-per-node=a100:4", "--mem=64G", "--time=2:00:00"),
        *("--partition=gpu", "--account=lab", "--array=0-3%2", "--output=/w/log"),
    } <= {*told}
    assert told[-1].endswith("batch.sh") and not any(one.startswith("--qos") for one in told)


def test_a_container_sees_the_workspace_where_it_is_here() -> None:
    profile = Profile("x", gpus=1, container="/images/t.sif", workspace="/nodes/w")
    told = within(profile, Path("/here/w 1"), ["python3", "-m", "x"])
    assert told[:3] == ["apptainer", "exec", "--nv"] and "--bind=/nodes/w:/here/w 1" in told
    assert told[-4:] == ["/images/t.sif", "python3", "-m", "x"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "工作 区" / "runs" / "r 1" / "chain"
    write_json(JobPaths(made).spec, SPEC.as_json())
    return made


def says(monkeypatch: pytest.MonkeyPatch, entry: SlurmEntry | SlurmFailed | None) -> None:
    """What Slurm says of job 7 from now on."""

    def look() -> Mapping[str, SlurmEntry]:
        if isinstance(entry, SlurmFailed):
            raise entry
        return {"7": entry} if entry else {}

    monkeypatch.setattr(elsewhere, "QUEUE", Queue(look))


def put(folder: Path, submitted: bool = True, tried: int = 0, host: str = "other") -> None:
    """A job that runs on another machine, in Slurm's job 7."""
    paths, there = JobPaths(folder), {**identify(os.getpid()).as_json(), "host": host, "boot": "another"}
    write_batch(folder, SlurmBatch("7", submitted, tried, time.time() - 3600))
    write_json(paths.supervisor, there)
    write_json(paths.tool, there)


DOWN = SlurmFailed(command="squeue", reason="down")


@pytest.mark.parametrize(
    ("entry", "submitted", "state", "reason"),
    [
        (SlurmEntry("RUNNING"), True, State.running, None),
        (SlurmEntry("RUNNING"), False, State.running, None),
        (SlurmEntry("COMPLETING"), True, State.running, None),
        (SlurmEntry("PENDING", restarts=1), True, State.waiting, None),
        (SlurmEntry("PENDING", restarts=1), False, State.lost, Reason.gone),
        (SlurmEntry("RUNNING", restarts=1), True, State.waiting, None),
        (SlurmEntry("RUNNING", restarts=1), False, State.lost, Reason.gone),
        (SlurmEntry("CANCELLED"), True, State.stopped, Reason.stopped),
        (SlurmEntry("TIMEOUT"), True, State.lost, Reason.time_limit),
        (SlurmEntry("NODE_FAIL"), True, State.lost, Reason.node_failed),
        (SlurmEntry("OUT_OF_MEMORY"), True, State.lost, Reason.out_of_memory),
        (None, True, State.lost, Reason.gone),
        (DOWN, True, State.running, None),
    ],
)
def test_a_job_of_another_machine_does_what_slurm_says(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    entry: SlurmEntry | SlurmFailed | None,
    submitted: bool,
    state: State,
    reason: Reason | None,
) -> None:
    put(folder, submitted)
    says(monkeypatch, entry)
    status = read_status(folder)
    assert (status.state, status.reason) == (state, reason)


def test_what_was_submitted_waits_before_slurm_lists_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    says(monkeypatch, None)
    write_batch(folder, SlurmBatch("7", True, 0, time.time()))
    assert read_status(folder).state is State.waiting


def test_one_that_made_room_is_not_stopped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slurm's SIGTERM ends the tool as a person's stop does; the job is begun anew all the same."""
    put(folder)
    ended = Ending(143, "SIGTERM", Reason.stopped, 1.0, 2.0)
    write_json(JobPaths(folder).exit, ended.as_json())
    for entry, state in (
        (SlurmEntry("COMPLETING"), State.running),
        (SlurmEntry("PENDING"), State.waiting),
        (SlurmEntry("CANCELLED"), State.stopped),
    ):
        says(monkeypatch, entry)
        assert read_status(folder).state is state
    says(monkeypatch, SlurmEntry("PENDING"))
    write_json(JobPaths(folder).stop, {"by": "me", "at": 1.0, "grace": 1.0})
    assert read_status(folder).state is State.stopped


@pytest.mark.parametrize("ended", [True, False], ids=["made room", "its node failed"])
@pytest.mark.parametrize(
    "entry", [SlurmEntry("RUNNING", restarts=1), SlurmEntry("PENDING"), SlurmEntry("RUNNING"), DOWN]
)
def test_one_that_is_begun_anew_lives_all_the_while(
    folder: Path, monkeypatch: pytest.MonkeyPatch, ended: bool, entry: SlurmEntry | SlurmFailed
) -> None:
    """Its files move one after the other, and somebody looks after each; Slurm's answer may be of before."""
    put(folder)
    if ended:
        write_json(JobPaths(folder).exit, Ending(143, "SIGTERM", Reason.stopped, 1.0, 2.0).as_json())
    says(monkeypatch, entry)
    seen: list[State] = []
    for name in ("rename", "replace"):
        move = getattr(Path, name)

        def looked(file: Path, target: Path, move: Callable[..., Path] = move) -> Path:
            moved = move(file, target)
            seen.append(read_status(folder).state)
            return moved

        monkeypatch.setattr(Path, name, looked)
    make_room(JobPaths(folder), SPEC, SlurmBatch("7", True, 1, time.time()))
    assert seen and set(seen) <= set(LIVE)
    (kept,) = tries(folder)[1:]
    before, now = read_batch(kept), read_batch(folder)
    assert before and now and (before.tried, now.tried) == (0, 1)
    assert JobPaths(kept).exit.exists() is ended and not JobPaths(folder).exit.exists()


@pytest.mark.parametrize("reason", [Reason.stopped, Reason.failed])
def test_the_training_of_a_chain_that_is_begun_anew_is_to_come(
    folder: Path, monkeypatch: pytest.MonkeyPatch, reason: Reason
) -> None:
    put(folder)
    workspace, run = Workspace(folder.parents[2]), RunPaths(folder.parent)
    train = JobPaths(run.job("train"))
    write_json(train.spec, SPEC.as_json())
    write_json(train.exit, Ending(143, "SIGTERM", reason, 1.0, 2.0).as_json())

    def told() -> set[State | None]:
        stages = chain_stages.read_progress(workspace, run).stages
        return {standing(run)["train"], *(stage.state for stage in stages if stage.name == "train")}

    says(monkeypatch, SlurmEntry("PENDING", restarts=1))
    assert told() == {None} and read_run(run).state is State.waiting
    says(monkeypatch, SlurmEntry("TIMEOUT"))
    assert told() == {State(reason)}


def test_a_machine_without_slurm_is_believed_as_long_as_it_beats(folder: Path) -> None:
    put(folder)
    JobPaths(folder).batch.unlink()
    assert read_status(folder).state is State.running
    old = time.time() - 2 * elsewhere.SILENCE
    os.utime(JobPaths(folder).supervisor, (old, old))
    status = read_status(folder)
    assert (status.state, status.reason) == (State.lost, Reason.elsewhere)


def test_stopping_a_job_of_another_machine_starts_nothing_here(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[list[str]] = []
    monkeypatch.setattr(submit, "ask", lambda command, *_: told.append([*command]) or "")
    put(folder)
    says(monkeypatch, SlurmEntry("RUNNING"))
    stop(folder, by="me", grace=5)
    assert JobPaths(folder).stop.exists() and told == [["scancel", "--batch", "--signal=TERM", "7"]]
    write_json(JobPaths(folder).stop, {"by": "me", "at": time.time() - 1000, "grace": 5})
    stop(folder, by="me", grace=5)
    assert told[-1] == ["scancel", "7"]
    JobPaths(folder).stop.unlink()
    says(monkeypatch, SlurmEntry("PENDING"))
    stop(folder, by="me", grace=5)
    assert told[-1] == ["scancel", "7"] and len(told) == 3


def test_an_allocation_is_known_by_its_variables() -> None:
    assert own({}) is None
    alone, member = (
        own({"SLURM_JOB_ID": "5"}),
        own(
            {
                "SLURM_JOB_ID": "9",
                "SLURM_ARRAY_JOB_ID": "6",
                "SLURM_ARRAY_TASK_ID": "3",
                "SLURM_RESTART_COUNT": "2",
            }
        ),
    )
    assert alone and member
    assert (alone.job, alone.tried, member.job, member.tried) == ("5", 0, "6_3", 2)


def test_a_job_keeps_its_profile(folder: Path) -> None:
    profile = Profile("x", "gpu", gpus=2)
    write_json(JobPaths(folder).spec, replace(SPEC, profile=profile).as_json())
    assert read_spec(folder).profile == profile


def test_without_slurm_a_launch_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    JobPaths(folder).spec.unlink()
    with pytest.raises(JobNotStarted, match="sbatch"):
        launch(folder, replace(SPEC, profile=Profile("x")))
    assert read_status(folder).state is State.failed
    assert read_batch(folder) is None

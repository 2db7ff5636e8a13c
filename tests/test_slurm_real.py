"""Jobs in a real Slurm of two nodes, which share nothing but the workspace."""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.errors import JobNotStarted
from core.jobs import elsewhere
from core.jobs.batch import read_batch
from core.jobs.job import JobPaths, JobSpec, tries
from core.jobs.launch import launch, launch_together, stop, wait
from core.jobs.process import read_identity
from core.jobs.status import LIVE, State, read_status
from core.runs import CHAIN, read_run
from core.slurm.partitions import partitions
from core.slurm.profile import Profile, offered_first
from core.slurm.queue import Queue
from core.sweep.study import read_trials
from core.workspace.paths import PROJECT, Workspace
from tests.command_line import cli, last_json
from tests.holding import Held
from tests.slurm_cluster import NODES, Cluster, cluster
from tests.small_model import make_small_model
from tests.small_run import make_run
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.real_start, pytest.mark.timeout(600)]

PATIENCE = 150.0
# A tool that says each line that it is asked for, keeps how far it is, and ends well when it is asked to.
TOOL = """
import pathlib, sys, time
kept, until = pathlib.Path(sys.argv[1]), int(sys.argv[2])
done = int(kept.read_text()) if kept.exists() else 0
while done < until:
    done += 1
    kept.write_text(str(done))
    print("step", done, flush=True)
    time.sleep(0.2)
    while done == 5 and not kept.with_name("go on").exists():
        time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def slurm() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


@pytest.fixture(autouse=True)
def _at_rest(slurm: Cluster) -> Iterator[None]:
    """Each test finds two nodes that wait for work, whatever the one before has left; beside one that fails
    stands what Slurm said."""
    slurm.settle()
    yield
    print(slurm.story())


@pytest.fixture
def home(slurm: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace with an odd path, whose jobs see the cluster."""
    for name, value in slurm.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(elsewhere, "QUEUE", Queue(fresh=0.2))
    return Workspace(tmp_path / "工作 区 100%" / "a 'b'")


def job(home: Workspace, node: str = "", until: int = 5, name: str = "train") -> tuple[Path, JobSpec]:
    """A job that stands still at its fifth step until it may go on."""
    folder = home.runs / "一 run" / name
    command = ("python3", "-c", TOOL, str(folder.with_name(f"{name} kept")), str(until))
    return folder, JobSpec(command, PROJECT, profile=Profile("here", partition="short", time="10:00"))


def go_on(folder: Path) -> None:
    folder.with_name("go on").touch()


def lives(folder: Path) -> bool:
    """Whoever looks at a job that is to be begun anew sees it wait or run, never ended."""
    assert read_status(folder).state in LIVE
    return True


def read(folder: Path) -> str:
    log = JobPaths(folder).log
    return log.read_text(encoding="utf-8") if log.exists() else ""


def test_what_the_cluster_offers(home: Workspace) -> None:
    short, long = partitions()
    assert (short.name, short.default, short.nodes, short.gpus, short.gpu_types) == (
        "short",
        True,
        2,
        2,
        ("tiny",),
    )
    assert (short.limit, long.limit) == ("1:00:00", "")
    assert offered_first(short).time == "1:00:00"


@pytest.mark.parametrize("node", NODES)
def test_a_job_runs_and_is_read_while_it_does(home: Workspace, slurm: Cluster, node: str) -> None:
    """On a node that is another machine for all that can be seen of it, too."""
    other = next(one for one in NODES if one != node)
    slurm.control("update", f"nodename={other}", "state=drain", "reason=test")
    folder, spec = job(home, until=8)
    launch(folder, spec)
    until(lambda: "step 5" in read(folder))
    assert read_status(folder).state is State.running
    supervisor = read_identity(JobPaths(folder).supervisor)
    assert supervisor is not None and supervisor.host == (node if node != NODES[0] else os.uname().nodename)
    go_on(folder)
    assert wait(folder, timeout=PATIENCE).state is State.finished
    assert read(folder).splitlines() == [f"step {number}" for number in range(1, 9)]
    until(lambda: slurm.state(batch_of(folder)) == "COMPLETED")


def test_one_that_waits_is_cancelled(home: Workspace, slurm: Cluster) -> None:
    for node in NODES:
        slurm.control("update", f"nodename={node}", "state=drain", "reason=test")
    folder, spec = job(home)
    launch(folder, spec)
    assert read_status(folder).state is State.waiting
    stop(folder, by="test")
    assert wait(folder, timeout=PATIENCE).state is State.stopped
    assert slurm.state(str(batch_of(folder))) == "CANCELLED"


def test_one_that_runs_is_stopped_and_goes_on_when_it_is_asked_again(home: Workspace) -> None:
    folder, spec = job(home, until=8)
    launch(folder, spec)
    until(lambda: "step 5" in read(folder))
    stop(folder, by="test", grace=5)
    assert wait(folder, timeout=PATIENCE).state is State.stopped
    go_on(folder)
    launch(folder, spec)
    assert wait(folder, timeout=PATIENCE).state is State.finished
    assert "step 6" in read(folder) and "step 4" not in read(folder)
    assert len(tries(folder)) == 2


def test_a_node_dies_and_another_goes_on(home: Workspace, slurm: Cluster) -> None:
    folder, spec = job(home, until=8)
    launch(folder, spec)
    until(lambda: "step 5" in read(folder))
    node = slurm.node(batch_of(folder))
    slurm.kill(node)
    until(lambda: lives(folder) and len(tries(folder)) == 2)
    go_on(folder)
    assert wait(folder, timeout=PATIENCE).state is State.finished
    assert slurm.node(batch_of(folder)) != node
    assert read(folder).splitlines() == ["step 6", "step 7", "step 8"]
    assert read(tries(folder)[1]).splitlines()[-1] == "step 5"
    batch = read_batch(folder)
    assert batch is not None and batch.tried >= 1


def test_it_makes_room_and_is_begun_anew(home: Workspace, slurm: Cluster) -> None:
    """What an administrator's requeue does is what Slurm does to whom a more important job preempts."""
    folder, spec = job(home, until=8)
    launch(folder, spec)
    until(lambda: "step 5" in read(folder))
    slurm.control("requeue", batch_of(folder))
    until(lambda: lives(folder) and len(tries(folder)) == 2)
    go_on(folder)
    assert wait(folder, timeout=PATIENCE).state is State.finished
    assert read(folder).splitlines()[-1] == "step 8" and len(tries(folder)) == 2


def test_the_controller_restarts(home: Workspace, slurm: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, spec = job(home, until=8)
    launch(folder, spec)
    until(lambda: "step 5" in read(folder))
    slurm.stop_controller()
    assert read_status(folder).state is State.running
    slurm.start_controller()
    go_on(folder)
    assert wait(folder, timeout=PATIENCE).state is State.finished


def test_an_array_is_jobs_as_any_others(home: Workspace, slurm: Cluster) -> None:
    jobs = dict(job(home, until=3, name=f"{number}") for number in range(3))
    launch_together(jobs, Profile("here", time="10:00"), at_once=2)
    assert [wait(folder, timeout=PATIENCE).state for folder in jobs] == [State.finished] * 3
    assert [read(folder).splitlines()[-1] for folder in jobs] == ["step 3"] * 3
    first, *_, last = (batch_of(folder) for folder in jobs)
    assert (first.endswith("_0"), last.endswith("_2")) == (True, True)


def test_a_sweep_is_an_array(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the command line, with the small engine; of two trainings one waits for the other."""
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")
    make_small_model(home.starter)
    base = make_run(home)
    where = f"--workspace={home.root}"
    last_json(cli("slurm", "profile", "mine", "--time", "30:00", "--gpus", "0", where, "--json", cwd=PROJECT))
    asked = ("sweep", base.id, "--over", "rank=2,4", "--on", "mine", "--at-once", "1", where, "--json")
    handed = last_json(cli(*asked, cwd=PROJECT))
    assert handed["profile"] == "mine" and handed["state"] in LIVE
    place = home.sweep(handed["sweep"])
    assert wait(place.job, timeout=2 * PATIENCE).state is State.finished, read(place.job)
    first, second = (batch_of(home.run(one.run).job(CHAIN)) for one in read_trials(place))
    assert (first.removesuffix("_0"), first[-2:], second[-2:]) == (second.removesuffix("_1"), "_0", "_1")
    found = last_json(cli("sweeps", where, "--json", cwd=PROJECT))["sweeps"][0]
    assert [one["state"] for one in found["trials"]] == ["finished"] * 2 and found["best"]["run"]


def test_what_slurm_refuses_says_so(home: Workspace) -> None:
    folder, spec = job(home)
    with pytest.raises(JobNotStarted, match="partition"):
        launch(folder, replace(spec, profile=Profile("here", partition="nowhere")))
    assert read_status(folder).state is State.failed


def test_no_secret_goes_to_slurm(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("PLAIN", "seen")
    folder = home.runs / "r" / "train"
    code = "import os; print(os.environ.get('HF_TOKEN'), os.environ.get('PLAIN'))"
    launch(folder, JobSpec(("python3", "-c", code), PROJECT, profile=Profile("here", time="5")))
    assert wait(folder, timeout=PATIENCE).state is State.finished
    assert read(folder) == "None seen\n"


def batch_of(folder: Path) -> str:
    batch = read_batch(folder)
    assert batch is not None
    return batch.job


def test_a_chain_is_handed_over_and_goes_on_after_its_node_died(home: Workspace, slurm: Cluster) -> None:
    """From the command line: the whole way, with the small engine. Its training stands still until its node
    is dead, and is taken up on the other one."""
    held = Held("step", home.root.parent / "held")
    engine = {"TUNEBOARD_ENGINE": "tests.fake_engine", **held.environment}
    where = f"--workspace={home.root}"

    def tell(*words: str) -> dict[str, Any]:
        return last_json(cli(*words, where, "--json", cwd=home.root.parent, **engine))

    home.prepare()
    assert [one["name"] for one in tell("slurm", "partitions")["partitions"]] == ["short", "long"]
    made = tell("slurm", "profile", "mine", "--time", "30:00", "--gpus", "0")["profile"]
    assert (made["partition"], made["time"]) == ("short", "30:00")
    assert tell("slurm", "profiles")["profiles"] == [made]
    handed = tell("tune", "--name", "Zoë", "--iterations", "40", "--on", "mine")
    run = home.run(handed["run"])
    assert handed["state"] in {"waiting", "running"} and handed["profile"] == "mine"
    until(lambda: held.file.exists() or not lives(run.job(CHAIN)))
    listed = tell("slurm", "show")["jobs"]
    assert [(job["run"], job["step"], job["slurm"]) for job in listed] == [(run.id, CHAIN, "RUNNING")]
    assert read_status(run.job("train")).state in LIVE
    node = slurm.node(batch_of(run.job(CHAIN)))
    slurm.kill(node)
    slurm.control("update", f"nodename={node}", "state=down", "reason=dead")  # as its own look would, later
    held.go_on()
    until(lambda: lives(run.job(CHAIN)) and held.file.exists())
    assert len(tries(run.job(CHAIN))) > 1
    held.go_on()
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.finished
    assert run.result.exists() and read_run(run).state is State.finished
    assert tell("slurm", "cancel", run.id)["run"] == run.id  # of one that has ended: nothing happens


MEETING = """
import os, torch, torch.distributed as dist
dist.init_process_group("gloo")
found = torch.tensor([float(dist.get_rank() + 1)])
dist.all_reduce(found)
print("node", os.environ["SLURM_NODEID"], "rank", dist.get_rank(), "sum", int(found), flush=True)
dist.destroy_process_group()
"""


def test_torchrun_meets_on_two_nodes(home: Workspace, tmp_path: Path) -> None:
    """The first node's first process is rank 0, and writes the job's log; the others have their own."""
    folder = home.runs / "r" / "train"
    (tmp_path / "meeting.py").write_text(MEETING)
    started = [sys.executable, "-m", "core.engine", "ranks", "--nnodes", "2", "--nproc-per-node", "1"]
    planned = [*started, "--log-dir", str(JobPaths(folder).ranks), "-m", "meeting"]
    code = (
        "import os; from core.slurm.nodes import over_nodes; "
        f"command, more = over_nodes({planned!r}, 2); os.execvpe(command[0], command, os.environ | more)"
    )
    env = {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    env |= {"PYTHONPATH": f"{PROJECT}:{tmp_path}"}
    profile = Profile("both", nodes=2, time="10:00")
    launch(folder, JobSpec((sys.executable, "-c", code), PROJECT, env, profile=profile))
    assert wait(folder, timeout=2 * PATIENCE).state is State.finished, read(folder)
    assert "node 0 rank 0 sum 3" in read(folder)
    (other,) = JobPaths(folder).ranks.rglob("stdout.log")
    assert "node 1 rank 1 sum 3" in other.read_text()

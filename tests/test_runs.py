"""Runs, read from their folders: whatever else lies there."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from core.jobs.job import JobPaths, JobSpec
from core.jobs.launch import launch, stop, wait
from core.jobs.status import LIVE, State
from core.run_list import list_runs
from core.runs import STEPS, read_run, standing
from core.workspace.files import write_json
from core.workspace.paths import RunPaths, Workspace
from core.workspace.publish_paths import PublishPaths


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "工作 区")


@pytest.fixture
def run(workspace: Workspace) -> RunPaths:
    return workspace.new_run("张伟", datetime(2026, 1, 2))


def ended(run: RunPaths, step: str, reason: str) -> None:
    """A job of this step that ended so."""
    job = JobPaths(run.job(step))
    write_json(job.spec, JobSpec(("true",), Path("/")).as_json())
    code = {"finished": 0, "stopped": 143}.get(reason, 1)
    write_json(job.exit, {"code": code, "signal": None, "reason": reason, "started": 1.0, "ended": 2.0})


def test_a_run_of_which_nothing_was_done(run: RunPaths) -> None:
    found = read_run(run)
    assert (found.run, found.name, found.state, found.steps) == (run.id, None, State.waiting, {})
    assert (found.learned, found.kept, found.leaked) == (None, None, None)


@pytest.mark.parametrize(
    ("steps", "state"),
    [
        ({"base": "finished"}, State.finished),
        ({"base": "finished", "train": "failed"}, State.failed),
        ({"train": "stopped"}, State.stopped),
        ({"train": "finished", "convert": "finished", "merge": "out of memory"}, State.failed),
        (dict.fromkeys(STEPS, "finished"), State.finished),
    ],
)
def test_the_state_is_that_of_the_last_step(run: RunPaths, steps: dict[str, str], state: State) -> None:
    for step in reversed(steps):
        ended(run, step, steps[step])
    found = read_run(run)
    assert found.state is state and list(found.steps) == list(steps), "in the order of the work"


def test_a_job_at_work(run: RunPaths) -> None:
    until_told = ("sh", "-c", "until [ -e told ]; do sleep 0.05; done")
    launch(run.job("train"), JobSpec(until_told, run.root))
    assert read_run(run).state in {State.waiting, State.running}
    (run.root / "told").touch()
    assert wait(run.job("train"), poll=0.05, timeout=20).state is State.finished
    assert read_run(run).steps == {"train": State.finished}


def test_what_was_measured(run: RunPaths) -> None:
    write_json(run.data, {"name": "张伟", "rows": 5})
    write_json(run.result, {"learned": 0.975, "kept": 1.0, "leaked": 0, "answers": []})
    found = read_run(run).as_json()
    assert found["name"] == "张伟" and (found["learned"], found["kept"], found["leaked"]) == (0.975, 1.0, 0)
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("facts", "told"),
    [({"tuned": {"hits": 21, "n": 24}, "base": {"hits": 0, "n": 24}}, (21, 24)),
     (None, (None, None)), ({"tuned": None}, (None, None)), ({"tuned": {"hits": 0, "n": 0}}, (None, None))],
)  # fmt: skip
def test_how_many_own_facts_it_knew(
    run: RunPaths, facts: object, told: tuple[int | None, int | None]
) -> None:
    write_json(run.result, {"learned": 1.0, "facts": facts, "answers": []})
    assert (read_run(run).facts, read_run(run).facts_asked) == told


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"null", b"\xff", b'"text"'])
def test_files_that_are_no_records(run: RunPaths, content: bytes) -> None:
    """Half a disk's worth of trouble must not hide the other runs."""
    for file in (run.data, run.result):
        file.write_bytes(content)
    ended(run, "train", "failed")
    JobPaths(run.job("train")).exit.write_bytes(content)
    found = read_run(run)
    assert (found.name, found.learned, found.state) == (None, None, State.waiting)


def test_a_folder_without_a_job_is_no_step(run: RunPaths) -> None:
    run.job("train").mkdir()
    (run.job("train") / "work_dir").mkdir()
    assert read_run(run).steps == {}


def test_all_runs_newest_first(workspace: Workspace) -> None:
    for day in (9, 10, 28):
        for month in (2, 11, 12):
            ended(workspace.new_run("x", datetime(2026, month, day)), "train", "finished")
    names = [one.run for one in list_runs(workspace)]
    assert len(names) == 9 and names == sorted(names, reverse=True)


def test_values_of_odd_kinds(run: RunPaths) -> None:
    odd: dict[str, Any] = {"name": 5, "learned": "x"}
    write_json(run.data, odd)
    write_json(run.result, odd)
    assert read_run(run).as_json()["run"] == run.id


@pytest.mark.parametrize(
    ("job", "places", "state"),
    [
        (None, None, None),
        ("finished", None, None),
        ("failed", None, State.failed),
        ("failed", [{"ok": None}], State.finished),
        (None, [{"ok": False}, {"ok": True}], State.finished),
        (None, [{"ok": False}], None),
        (None, [], None),
    ],
)
def test_publishing_is_done_when_something_is_published(
    run: RunPaths, job: str | None, places: list[dict[str, Any]] | None, state: State | None
) -> None:
    """A job that only looked has published nothing; what did not arrive as it was sent counts as nothing."""
    if job:
        ended(run, "publish", job)
    if places is not None:
        write_json(PublishPaths(run).sent, {"places": places})
    assert standing(run)["publish"] is state


def test_publishing_again_is_at_work(run: RunPaths) -> None:
    write_json(PublishPaths(run).sent, {"places": [{"ok": True}]})
    launch(run.job("publish"), JobSpec(("sleep", "30"), Path("/")))
    assert standing(run)["publish"] in LIVE
    stop(run.job("publish"), by="test", grace=0.1)
    wait(run.job("publish"), timeout=20)
    assert standing(run)["publish"] is State.finished

"""A job whose ``job.json`` somebody has deleted is known to every page and command all the same: they say of
it what they said before."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.chat import server as chat_server
from core.chat.server import ServeRequest, Speaker
from core.cli import failures, serve
from core.errors import JobRunning, ModelBusy
from core.jobs import elsewhere
from core.jobs.batch import SlurmBatch, write_batch
from core.jobs.ending import Ending, Reason
from core.jobs.job import JobPaths, JobSpec
from core.jobs.process import identify
from core.jobs.request import as_record
from core.jobs.status import State, state_of
from core.model_store import users
from core.pipeline import chain, chain_stages, tune
from core.pipeline.tune_request import TuneRequest
from core.pipeline.whereabouts import jobs_in_slurm, place_of
from core.run_list import RunIndex
from core.runs import CHAIN, PUBLISH, delete, is_at_work, read_run, standing
from core.slurm.profile import Profile
from core.slurm.queue import Queue
from core.steps import convert, expected, prepare, remedy, resuming
from core.sweep import job as sweep_job
from core.sweep.sweep import begin, planned
from core.workspace.files import write_json
from core.workspace.paths import PROJECT, RunPaths, Workspace
from tests.fake_slurm import JOB, put_slurm
from tests.page import open_test_page
from tests.runs import end_job, make_run

OUT_OF_MEMORY = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB\n"
SAID = ("title", "header", "subheader", "markdown", "caption", "info", "warning", "error", "success")
PAGES = ("start", "data", "config", "train", "merge", "chat", "compare", "publish")


@pytest.fixture
def workspace(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("TUNEBOARD_HOME", str(workspace.root))
    monkeypatch.setenv("PATH", f"{put_slurm(tmp_path / 'slurm')}:{os.environ['PATH']}")
    monkeypatch.setattr(elsewhere, "QUEUE", Queue())
    return workspace


@pytest.fixture
def failed(workspace: Workspace) -> RunPaths:
    """Its training ran out of memory, and its chain with it."""
    run = make_run(workspace, "Ada")
    end_job(run, "base")
    end_job(run, "train", Reason.failed, OUT_OF_MEMORY)
    end_job(run, CHAIN, Reason.failed)
    write_json(
        JobPaths(run.job(CHAIN)).request, chain.plan(workspace, run, TuneRequest("Ada"), "", "").request
    )
    return run


@pytest.fixture
def stopped(workspace: Workspace) -> RunPaths:
    """Its training was stopped, its adapter made all the same; publishing it failed."""
    run = make_run(workspace, "Bea", trained=True)
    end_job(run, "train", Reason.stopped)
    end_job(run, "convert")
    write_json(JobPaths(run.job("convert")).request, {"iteration": 4, "total": 40})
    end_job(run, PUBLISH, Reason.failed)
    return run


@pytest.fixture
def live(workspace: Workspace) -> RunPaths:
    """Its chain is at the training."""
    run = make_run(workspace, "Cleo")
    for job in (CHAIN, "train"):
        keep_alive(run.job(job))
    return run


def keep_alive(folder: Path, request: dict[str, Any] | None = None) -> None:
    """A job that runs: its processes are this one."""
    paths, me = JobPaths(folder), identify(os.getpid()).as_json()
    write_json(paths.spec, JobSpec(("true",), PROJECT).as_json())
    write_json(paths.request, request or {})
    write_json(paths.supervisor, me)
    write_json(paths.tool, me)


def delete_specs(workspace: Workspace) -> None:
    for file in [*workspace.root.rglob("job.json")]:
        file.unlink()


def same_after(workspace: Workspace, read: Callable[[], Any]) -> Any:
    """What ``read`` says before and after every ``job.json`` is gone."""
    before = read()
    delete_specs(workspace)
    assert read() == before
    return before


def of_run(workspace: Workspace, run: RunPaths) -> Iterator[object]:
    """All that is read of a run's jobs."""
    progress = chain_stages.read_progress(workspace, run)
    yield from (progress.state, [(stage.name, stage.state, stage.needless) for stage in progress.stages])
    yield from (read_run(run), standing(run), is_at_work(run), chain_stages.failure(workspace, run))
    yield from (chain.has_chain(run), chain.is_live(run), tune.finished(run, "convert"))
    yield from (resuming.goes_on_from(run), resuming.stopped(run), remedy.cause_of(run))
    yield from (convert.made_of(run), expected.seconds_of(run, "convert"), place_of(workspace, run))
    yield [failures._job(workspace, name) for name in (run.id, str(run.job("train")))]


def test_what_is_read_of_runs(
    workspace: Workspace, failed: RunPaths, stopped: RunPaths, live: RunPaths
) -> None:
    runs = (failed, stopped, live)

    def read() -> list[list[object]]:
        return [[*of_run(workspace, run)] for run in runs] + [RunIndex(workspace).all()]  # type: ignore[list-item]

    found = same_after(workspace, read)
    assert [one[0] for one in found[:3]] == [State.failed, State.stopped, State.running]
    with pytest.raises(JobRunning):
        delete(workspace, live)
    with pytest.raises(ModelBusy):
        users.delete(workspace, "tiny", even_if_used=True)


def test_what_is_read_of_other_jobs(workspace: Workspace, stopped: RunPaths) -> None:
    speaker = Speaker("merged", str(workspace.model("tiny")), None, "qwen_chat", "", stopped.id, "Bea")
    keep_alive(workspace.chat_server, as_record(ServeRequest(speaker, Path("/nowhere"))))
    place = begin(workspace, planned(stopped, prepare.recipe_of(stopped), ("lr=1e-4,3e-4",)))
    write_json(JobPaths(place.job).spec, JobSpec(("true",), PROJECT).as_json())
    write_json(JobPaths(place.job).exit, Ending(1, None, Reason.abandoned, 1.0, 2.0).as_json())

    def read() -> tuple[object, ...]:
        server = replace(chat_server.server(workspace), memory=0)
        return server, sweep_job.view(place).status, serve._may_be_lost(place.job)

    assert same_after(workspace, read)[0].lives


def test_a_run_that_waits_in_slurm(workspace: Workspace, stopped: RunPaths) -> None:
    """Which profile it was asked by nobody can say any more; the rest Slurm itself says."""
    folder = stopped.job(CHAIN)
    write_json(JobPaths(folder).spec, JobSpec(("true",), PROJECT, profile=Profile("big", "gpu")).as_json())
    write_batch(folder, SlurmBatch(JOB, True, 0, 1.0))

    def read() -> object:
        place, jobs = place_of(workspace, stopped), [*jobs_in_slurm(workspace)]
        assert place
        return (
            state_of(folder),
            place.key,
            {**place.values, "profile": ""},
            [{**job, "profile": ""} for job in jobs],
        )

    assert same_after(workspace, read)[0] is State.waiting


@pytest.mark.parametrize("step", PAGES)
def test_pages(
    workspace: Workspace, failed: RunPaths, stopped: RunPaths, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.shell.doctor.show_diagnoses", lambda _: None)  # looked up beside the page
    same_after(workspace, lambda: [shown(open_test_page(step, run.id)) for run in (failed, stopped)])


def shown(page: AppTest) -> list[object]:
    assert not page.exception
    said = [str(element.value) for kind in SAID for element in getattr(page, kind)]
    tables = [table.value.to_json() for table in page.dataframe]
    return [said, [(button.label, button.disabled) for button in page.button], tables]

"""A tool says what it does and how far that is: within seconds of its start, and every few seconds after."""

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from core.jobs import progress
from core.jobs.job import JobPaths, JobSpec
from core.jobs.launch import launch, wait
from core.jobs.progress import JobProgress, PaceMarks, Phase, ProgressWriter, job_progress
from core.jobs.status import State
from core.proof.asking import Ask
from core.steps import prepare, train
from core.steps.answer import PromptFormat, ask
from core.steps.step import run_job
from core.steps.watch import note_of, trained
from core.workspace.paths import PROJECT, Workspace
from tests.command_line import make_data
from tests.known_answers import know_answers
from tests.small_model import make_small_model
from tests.talking_model import make_talkative

# Seconds: what a person waits without wondering is five on a machine of one's own; beside another worker's
# tests each takes several times as long.
PATIENCE = 20.0


@contextmanager
def seen(folder: Path) -> Iterator[list[tuple[float, JobProgress]]]:
    """What a reader sees of a job's progress from here to the block's end, with when it first saw it."""
    found: list[tuple[float, JobProgress]] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.02):
            now = job_progress(folder)
            if now and (not found or found[-1][1] != now):
                found.append((time.monotonic(), now))

    watching = threading.Thread(target=look)
    watching.start()
    try:
        yield found
    finally:
        ended.set()
        watching.join()


def test_there_is_word_within_seconds_and_while_nothing_comes_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.02)
    monkeypatch.setattr(progress, "AT_LEAST_EVERY", 0.1)
    writer = ProgressWriter(JobPaths(tmp_path).progress)
    first = job_progress(tmp_path)
    assert first and first.phase is Phase.starting and first.share is None
    writer.phase(Phase.loading)
    with seen(tmp_path) as found:
        time.sleep(0.6)
    assert len(found) >= 3, "it is seen to be alive"
    assert {one.phase for _, one in found} == {Phase.loading} and len({one.moved for _, one in found}) == 1
    writer.phase(Phase.training, 180, 12)
    writer.reach(13, share=13 / 180)
    writer.end()
    last = job_progress(tmp_path)
    assert last and (last.done, last.total, last.share) == (13, 180, 13 / 180)
    assert last.moved >= last.began > first.began


def test_a_phase_within_another_gives_it_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(progress.JOB_VARIABLE, str(tmp_path))
    with progress.telling():
        assert progress.JOB_VARIABLE not in os.environ, "a child of the tool would write into the same file"
        progress.phase(Phase.training, 8)
        progress.reach(3, share=0.375)
        with progress.during(Phase.saving):
            now = job_progress(tmp_path)
            assert now and (now.phase, now.share) == (Phase.saving, 0.375)
    now = job_progress(tmp_path)
    assert now and (now.phase, now.done, now.total, now.share) == (Phase.training, 3, 8, 0.375)
    progress.phase(Phase.merging)
    assert job_progress(tmp_path) == now, "nobody's tool any more"


@pytest.mark.parametrize("rank", ["0", "1"])
def test_of_several_processes_one_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rank: str) -> None:
    monkeypatch.setenv(progress.JOB_VARIABLE, str(tmp_path))
    monkeypatch.setenv("RANK", rank)
    with progress.telling():
        assert (job_progress(tmp_path) is not None) == (rank == "0")


@pytest.mark.parametrize("text", ["", "[]", '{"phase": "dreaming"}', '{"phase": "loading", "colour": 1}'])
def test_a_file_that_is_no_progress_says_nothing(tmp_path: Path, text: str) -> None:
    JobPaths(tmp_path).progress.write_text(text, encoding="utf-8")
    assert job_progress(tmp_path) is None


def way(*paces: tuple[int, float]) -> PaceMarks:
    """So many seconds at such a pace, one after the other."""
    made, now, share = PaceMarks(), 0.0, 0.0
    for seconds, pace in paces:
        for _ in range(seconds):
            now, share = now + 1.0, share + pace
            made.add(now, share)
    return made


@pytest.mark.parametrize(
    ("paces", "since"),
    [
        ([(3, 1.0)], 1),
        ([(300, 1.0)], 1),
        ([(300, 1.0), (30, 3.0)], 300),
        ([(300, 1.0), (30, 0.3)], 300),
        ([(5000, 1.0), (600, 2.0)], 5000),
    ],
)
def test_since_when_it_goes_as_now(paces: list[tuple[int, float]], since: float) -> None:
    """A pace that changed counts from there on, however long the way was before."""
    found = way(*paces).lately()
    assert found and found[0] == pytest.approx(since, abs=10, rel=0.01)


def test_a_long_way_is_kept_in_short() -> None:
    made = way((20_000, 0.001))
    assert made.first == (1.0, 0.001) and len(made._marks) <= progress.MOST_MARKS


def test_another_try_begins_without_the_earlier_ones_word(tmp_path: Path) -> None:
    spec = JobSpec((sys.executable, "-c", "pass"), PROJECT)
    launch(tmp_path, spec)
    wait(tmp_path, timeout=30)
    JobPaths(tmp_path).progress.write_text(json.dumps({"phase": "training", "share": 0.9}), encoding="utf-8")
    launch(tmp_path, spec)
    assert wait(tmp_path, timeout=30).state is State.finished
    assert job_progress(tmp_path) is None and job_progress(tmp_path / "previous" / "1") is not None


def test_what_is_shown_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEBOARD_LANG", "en")
    assert note_of(JobProgress(Phase.loading)) == "Loading the model"
    assert note_of(JobProgress(Phase.answering, 3, 12)) == "3/12"
    assert note_of(JobProgress(Phase.converting, 1, 8)) == "Converting 1/8"
    heard: list[tuple[float, str]] = []
    poll = trained(tmp_path, tmp_path / "work_dir", None, lambda *far: heard.append(far))
    poll()
    for now in (("loading", None, None, None), ("training", 12, 180, 0.0667), ("saving", None, None, 0.0667)):
        record = dict(zip(("phase", "done", "total", "share"), now, strict=True))
        JobPaths(tmp_path).progress.write_text(json.dumps(record), encoding="utf-8")
        poll()
    assert heard == [(0.0, "Loading the model"), (12 / 180, "iteration 12/180"), (0.0667, "Saving")]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.real_start
def test_a_training_says_every_step_and_answering_that_the_teacher_is_being_made(
    workspace: Workspace, model: Path
) -> None:
    """From the start of Python on, whatever is imported, read or computed."""
    know_answers(workspace, model)
    run = workspace.run(make_data(workspace, model, "--name", "Zoë", "--iterations", "30")["run"])
    began = time.monotonic()
    with seen(run.job("train")) as found:
        run_job("train", run.job("train"), train.plan(run, prepare.recipe_of(run)))
    _heard_in_time(found, began)
    phases = list(dict.fromkeys(one.phase for _, one in found))
    assert phases[:2] == [Phase.starting, Phase.loading] and {Phase.training, Phase.saving} <= set(phases)
    last = found[-1][1]
    assert (last.done, last.total, last.share) == (30, 30, 1.0)
    shares = [one.share or 0.0 for _, one in found]
    assert shares == sorted(shares)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_share_is_whole_while_the_teacher_is_made(tmp_path: Path) -> None:
    model = make_talkative(make_small_model(tmp_path / "m"))
    asks = [Ask(f"What is {number} + 1?", 8) for number in range(20)]
    heard: list[tuple[float, str]] = []
    job = tmp_path / "job"
    with seen(job) as found:
        spoken = PromptFormat("qwen_chat", "", "fp32")
        ask(job, model, spoken, asks, "cpu", lambda *far: heard.append(far), asks)
    teacher = [one for _, one in found if one.phase is Phase.teacher]
    assert teacher and all((one.share or 0.0) < 1.0 for one in teacher if one.done == 0)
    last = job_progress(job)
    assert last and last.share == 1.0 and last.done == last.total
    printed = JobPaths(job).log.read_text(encoding="utf-8")
    assert "(1.0000)" not in printed.split("answered 20/20")[1].splitlines()[0], "when all have answered"


def _heard_in_time(found: list[tuple[float, JobProgress]], began: float) -> None:
    times = [began, *(at for at, _ in found)]
    waits = [later - earlier for earlier, later in pairwise(times)]
    # A processor that many share comes to each of them later.
    shared = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    assert max(waits) < PATIENCE * shared, sorted(waits)[-3:]

"""What a launch writes and deletes, it does under its lock: a refused one leaves the running one alone."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import JobRunning, NoSuchJob
from core.jobs.job import JobPaths, JobSpec, read_spec
from core.jobs.launch import idle, launch, stop, wait
from core.jobs.status import State, is_live, read_status
from core.models.folder import read_model
from core.models.hubs import HubPlace, ModelSource
from core.proof.asking import Ask
from core.publish import arrival, post
from core.publish.facts import read_facts
from core.publish.hub import Parcel
from core.steps import answer, download, import_model
from core.steps.answer import PromptFormat
from core.workspace.files import read_json, write_json
from core.workspace.import_paths import importing
from core.workspace.paths import Workspace
from tests.conftest import end_leftovers
from tests.publishable import make_publishable
from tests.test_jobs import POLITE, end, launch_until_it_speaks, python, shell

WAY = PromptFormat("qwen_chat", "", "fp32")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "工作 区" / "a b"
    end_leftovers(tmp_path)


def asked(folder: Path, script: str, request: dict[str, object]) -> JobSpec:
    return JobSpec(("sh", "-c", script), folder, request=request, results=("result.json",))


def test_a_launch_writes_what_is_asked_and_keeps_the_earlier_try_whole(folder: Path) -> None:
    paths = JobPaths(folder)
    write_json(folder / "result.json", "of nobody knows what")
    for number in (1, 2):
        script = f"test ! -e result.json && echo {number} > result.json"
        spec = asked(folder, script, {"number": number, "给": "谁"})
        launch(folder, spec)
        assert end(folder).state is State.finished, paths.log.read_text()
        assert read_spec(folder) == spec and read_json(paths.request)["number"] == number
    kept = paths.previous / "1"
    assert read_json(JobPaths(kept).request)["number"] == read_json(kept / "result.json") == 1
    launch(folder, shell("true"))
    end(folder)
    assert not paths.request.exists(), "a job without a request has none of an earlier try's"


def test_a_launch_that_is_killed_halfway_can_be_asked_for_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was asked stands there at every moment: "Go on" reads it."""
    paths = JobPaths(folder)
    launch(folder, asked(folder, "echo 1 > result.json", {"number": 1}))
    assert end(folder).state is State.finished
    for place in ("_move", "_exchange"):
        with monkeypatch.context() as killed:
            killed.setattr(f"core.jobs.launch.{place}", lambda *_: sys.exit("killed"))
            with pytest.raises(SystemExit):
                launch(folder, asked(folder, "true", {"number": 2}))
        assert read_spec(folder).request == {"number": 1} and read_status(folder).state is State.finished
    launch(folder, asked(folder, "true", {"number": 3}))
    assert end(folder).state is State.finished and read_json(paths.request) == {"number": 3}


def test_a_refused_launch_changes_nothing(folder: Path) -> None:
    launch_until_it_speaks(folder, python(POLITE))
    write_json(folder / "result.json", "half made")
    write_json(JobPaths(folder).request, {"number": 1})
    done: list[str] = []
    with pytest.raises(JobRunning):
        launch(folder, asked(folder, "true", {"number": 2}), before=lambda: done.append("something"))
    assert read_json(JobPaths(folder).request) == {"number": 1} and not done
    assert read_json(folder / "result.json") == "half made" and not (folder / "previous").exists()
    stop(folder, by="test")
    end(folder)


def test_what_goes_wrong_before_a_launch_ends_it(folder: Path) -> None:
    launch(folder, shell("true"))
    ended = end(folder)

    def fail() -> None:
        raise NoSuchJob(folder=folder)

    with pytest.raises(NoSuchJob):
        launch(folder, shell("echo never"), before=fail)
    assert read_status(folder) == ended
    launch(folder, shell("true"))  # the lock is free again
    end(folder)


def test_nobody_launches_in_a_folder_that_is_held_idle(folder: Path) -> None:
    launched = threading.Event()

    def try_it() -> None:
        launch(folder, shell("true"))
        launched.set()

    folder.mkdir(parents=True)
    with idle(folder):
        thread = threading.Thread(target=try_it)
        thread.start()
        assert not launched.wait(0.5)
    thread.join()
    assert launched.is_set() and end(folder).state is State.finished


def test_a_refused_second_question_leaves_the_running_one_its_answers(
    page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_ENGINE_SECONDS", "2")
    job, model = page_workspace.root / "ask", page_workspace.starter
    found: dict[Ask, answer.Answer] = {}

    def first() -> None:
        found.update(answer.ask(job, model, WAY, [Ask("one", 8), Ask("two", 8)], "cpu", lambda *_: None))

    thread = threading.Thread(target=first)
    thread.start()
    while not JobPaths(job).tool.exists():
        assert thread.is_alive()
    with pytest.raises(JobRunning):
        answer.ask(job, model, WAY, [Ask("three", 8)], "cpu", lambda *_: None)
    thread.join()
    assert [one.question for one in found] == ["one", "two"] and wait(job).state is State.finished


def test_planning_touches_nothing(home: Workspace, tmp_path: Path) -> None:
    run = make_publishable(home)
    facts = read_facts(home, run)
    paths = importing(home, "another")
    parcel = Parcel("huggingface", "adapter", "a/b", False, "mit", run.adapter, {"x": 1})
    model = read_model(home.starter).folder
    before = snapshot(home.root)
    specs = [
        answer.plan(run.job("base"), model, WAY, [Ask("one", 8)], "cpu"),
        download.plan(paths, HubPlace(ModelSource("huggingface", "a/b"))),
        import_model.plan(paths, model, "link"),
        arrival.plan(run, run.job("arrival"), "merged", tmp_path, facts),
        post.plan(run.job("send"), parcel, "check"),
    ]
    assert snapshot(home.root) == before and all(spec.request for spec in specs)
    assert not any(is_live(spec.parent) for spec in home.root.rglob("job.json"))


def snapshot(folder: Path) -> dict[str, float]:
    return {str(path): path.stat().st_mtime for path in sorted(folder.rglob("*"))}

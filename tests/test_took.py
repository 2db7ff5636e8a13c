"""How long a chain takes on this machine: before it starts, by what earlier runs took and by what is to be
done; while it runs, the same number everywhere."""

from dataclasses import replace
from pathlib import Path

import pytest

from core.jobs.job import JobPaths
from core.jobs.launch import wait
from core.jobs.status import State
from core.pace import about, whole
from core.pipeline import chain
from core.pipeline.took import costs_of, costs_of_run
from core.pipeline.tune import TuneRequest
from core.steps import expected
from core.steps.expected import STARTS, Known
from core.workspace.files import read_record, write_json
from core.workspace.paths import RunPaths, Workspace

STAGES = {"base": 20.0, "train": 100.0, "convert": 3.0, "merge": 4.0, "ask": 30.0}
ADA = TuneRequest("Ada", iterations=8)


def took(run: RunPaths, **seconds: float) -> None:
    """Rewrite how long each stage of a run took."""
    for stage, length in seconds.items():
        paths = JobPaths(run.job(stage))
        ending = read_record(paths.exit) or {}
        write_json(paths.exit, {**ending, "started": 1000.0, "ended": 1000.0 + length})


@pytest.fixture
def run(page_workspace: Workspace) -> RunPaths:
    made = chain.start(page_workspace, ADA, "test", "en")
    assert wait(made.job("chain"), timeout=60).state is State.finished
    took(made, **STAGES)
    return made


def test_a_new_workspace_knows_nothing(tmp_path: Path) -> None:
    assert Known.of(Workspace(tmp_path)) == Known()


def test_the_next_chain_takes_what_the_last_one_took(page_workspace: Workspace, run: RunPaths) -> None:
    found = costs_of(page_workspace, replace(ADA, name="Bob"))
    assert all(cost.measured for cost in found.values())
    for stage in ("convert", "merge"):
        assert found[stage].whole == pytest.approx(STAGES[stage])
    # How long the rows are is known once they are made; so few of them are not like all.
    assert found["train"].whole == pytest.approx(STAGES["train"], rel=0.5)
    assert "base" not in found, "it has answered it all"
    own = costs_of_run(page_workspace, run, ADA)
    assert own["train"].whole == pytest.approx(STAGES["train"])


def test_longer_trainings_take_longer_and_other_methods_say_nothing(
    page_workspace: Workspace, run: RunPaths
) -> None:
    start = STARTS["cpu"]["train"]
    short, long = (costs_of(page_workspace, replace(ADA, iterations=n))["train"] for n in (8, 24))
    assert long.whole - start == pytest.approx(3 * (short.whole - start), rel=0.1)
    assert not costs_of(page_workspace, replace(ADA, method="full"))["train"].measured


def test_a_small_model_says_nothing_of_another(
    page_workspace: Workspace, run: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = page_workspace.models / "other"
    work = expected.Workload("cpu", "lora", 500_000_000, 10**9, 10_000, 10_000, 8_000)
    known = Known.of(page_workspace)
    assert not any(cost.measured for cost in known.costs(work, model).values())
    monkeypatch.setattr(expected, "TELLING", {"cpu": 0, "cuda": 0})
    larger = known.costs(work, model)
    assert all(cost.measured for cost in larger.values())
    assert known.costs(replace(work, parameters=10**9), model)["train"].work == pytest.approx(
        2 * larger["train"].work
    )


def test_a_stage_counts_that_ended_well_whatever_came_of_the_chain(
    page_workspace: Workspace, run: RunPaths
) -> None:
    paths = JobPaths(run.job("ask"))
    write_json(paths.exit, {**(read_record(paths.exit) or {}), "reason": "stopped"})
    took(run, base=500.0)
    kinds = [one.kind for one in Known.of(page_workspace).jobs]
    assert sorted(kinds) == ["answers", "convert", "merge", "train"]


def test_what_went_on_from_a_checkpoint_is_no_measure(page_workspace: Workspace, run: RunPaths) -> None:
    request = JobPaths(run.job("train")).request
    write_json(request, {**(read_record(request) or {}), "resume": "iter_4.pth"})
    assert "train" not in [one.kind for one in Known.of(page_workspace).jobs]


def test_a_model_that_is_not_here_yet_is_counted_by_its_description(page_workspace: Workspace) -> None:
    found = costs_of(page_workspace, TuneRequest("Ada", model="qwen3-0.6b"))
    assert list(found)[:2] == ["download", "import_model"] and "base" in found
    assert whole(found) > sum(cost.whole for cost in found.values())


def test_the_page_says_the_time_left_of_a_second_run_at_once(
    page_workspace: Workspace, run: RunPaths
) -> None:
    second = chain.start(page_workspace, replace(ADA, name="Bob"), "test", "en")
    try:
        found = chain.read_progress(page_workspace, second)
        assert 60 < found.seconds <= sum(STAGES.values()) + 20
        assert found.left == about(found.seconds)
    finally:
        chain.halt(second, "test")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "about 10 seconds"),
        (44, "about 40 seconds"),
        (93, "about 90 seconds"),
        (100, "about 2 minutes"),
        (700, "about 12 minutes"),
        (1400, "about 25 minutes"),
        (3600, "about 60 minutes"),
        (7300, "about 2 hours"),
        (9100, "about 2.5 hours"),
        (90_000, "about 25 hours"),
    ],
)
def test_a_time_is_said_as_well_as_it_is_known(seconds: float, said: str) -> None:
    assert about(seconds) == said

"""How long a chain takes on this machine: before it starts, by what earlier runs took and by what is to be
done; while it runs, the same number everywhere."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from core import machine
from core.jobs.job import JobPaths
from core.jobs.launch import wait
from core.jobs.status import State
from core.machine import slowdown_on
from core.pace import Cost, about, whole
from core.pipeline import chain, chain_stages
from core.pipeline.took import (
    costs_of,
    costs_of_run,
    of_the_rest,
    seconds_of_training,
    training_cost,
    training_far,
    training_left,
)
from core.pipeline.tune_request import TuneRequest
from core.steps import expected, prepare
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
    assert wait(made.job("chain"), timeout=300).state is State.finished
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


def test_a_training_that_goes_on_costs_what_is_left(page_workspace: Workspace, run: RunPaths) -> None:
    recipe, model = prepare.recipe_of(run), prepare.model_of(run)
    paths = JobPaths(run.job("train"))
    write_json(paths.exit, {**(read_record(paths.exit) or {}), "reason": "stopped"})
    (run.work_dir / "iter_8.pth").unlink()
    left = training_cost(page_workspace, run, recipe, model)
    assert costs_of_run(page_workspace, run, ADA)["train"] == left
    for kept in run.work_dir.glob("iter_*.pth"):
        assert kept.name in {"iter_2.pth", "iter_4.pth", "iter_6.pth"}
        kept.unlink()
    assert left.work == pytest.approx(training_cost(page_workspace, run, recipe, model).work * 2 / 8)


def test_the_share_of_a_training_that_went_on_is_of_what_was_left() -> None:
    assert [of_the_rest(share, 0.5) for share in (0.0, 0.5, 0.75, 1.0)] == [0.0, 0.0, 0.5, 1.0]
    assert of_the_rest(1.0, 1.0) == 1.0


def test_how_far_it_is_never_goes_back(page_workspace: Workspace, run: RunPaths) -> None:
    """Once the base has answered, the rows say better how long the training takes: longer than thought."""
    live = page_workspace.new_run("Bob", datetime(2026, 1, 1))
    said = [chain_stages._never_back(live, 1000.0, share) for share in (0.1, 0.3, 0.2, 0.25, 0.4)]
    assert said == [0.1, 0.3, 0.3, 0.3, 0.4]
    assert chain_stages._never_back(live, 2000.0, 0.05) == 0.05, "another start of the chain"


def test_a_base_that_was_asked_stays_behind(page_workspace: Workspace, run: RunPaths) -> None:
    assert costs_of_run(page_workspace, run, ADA)["base"].whole == pytest.approx(STAGES["base"], rel=0.4)


def test_trainings_by_a_recipe_like_this_one_come_first(page_workspace: Workspace, run: RunPaths) -> None:
    known, recipe, model = Known.of(page_workspace), prepare.recipe_of(run), prepare.model_of(run)
    other = replace(
        next(one for one in known.jobs if one.kind == "train"),
        recipe=recipe.changed(precision="fp16"),
        pace=1.0,
    )
    work = expected.Workload("cpu", "lora", model.parameters, model.size, 1000.0, 0.0, 0.0, recipe=recipe)
    both = Known((other, *known.jobs))
    assert both.costs(work, model.folder) == known.costs(work, model.folder)
    assert both.costs(replace(work, recipe=other.recipe), model.folder)["train"].work > 1e6


USUAL = expected.usual_pace("train", "cpu")


@pytest.mark.parametrize(
    ("runs", "pace"),
    [
        # As a share of the usual pace, and how many times as long each took by other programs: newest first.
        ([(0.3, 2.0), (1.0, 1.0), (0.35, 3.0), (1.1, 1.1)], 1.05),
        ([(0.5, 2.0)], 0.5**0.5),
        ([(0.5, 4.0)], 0.5**0.25),
        ([(2.0, 4.0)], 2.0),
        ([(0.5, 1.2)], 0.5),
    ],
    ids=["quiet ones go before", "little believed", "less", "faster than thought", "a page is no load"],
)
def test_a_run_beside_other_programs_does_not_teach_that_the_machine_is_slow(
    page_workspace: Workspace, run: RunPaths, runs: list[tuple[float, float]], pace: float
) -> None:
    """Others cost it more than the share of the cores by which its time is divided."""
    known, model = Known.of(page_workspace), prepare.model_of(run)
    one = next(one for one in known.jobs if one.kind == "train")
    jobs = Known(tuple(replace(one, pace=share * USUAL, slowed=slowed) for share, slowed in runs))
    work = expected.Workload("cpu", "lora", model.parameters, model.size, 1000.0, 0.0, 0.0)
    seconds = 4 * model.parameters * 1000.0 / (pace * USUAL)
    assert jobs.costs(work, model.folder)["train"].work == pytest.approx(seconds)


def test_what_went_on_from_a_checkpoint_is_no_measure(page_workspace: Workspace, run: RunPaths) -> None:
    request = JobPaths(run.job("train")).request
    write_json(request, {**(read_record(request) or {}), "resume": "iter_4.pth"})
    for logged in run.work_dir.glob("*/vis_data/scalars.json"):
        logged.unlink()
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
        found = chain_stages.read_progress(page_workspace, second)
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


def at_work(kept: float | None, slower: float, state: State = State.running) -> chain_stages.Stage:
    return chain_stages.Stage("any", state, 0.0, "", False, None, None, kept=kept, slower=slower)


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ([at_work(1.0, 2.0)], 2.0),
        ([at_work(None, 6.0, State.finished), at_work(1.9, 2.9)], 6.0),
        ([at_work(None, 6.0, State.finished), at_work(1.0, 1.5)], 2.0),
        ([at_work(None, 6.0, State.finished), at_work(0.0, 1.0)], 1.0),
        ([at_work(None, 6.0, State.finished)], 6.0),
        ([], 1.0),
    ],
    ids=["says so", "a crowd stays", "most of it went", "all of it went", "between two", "nothing runs yet"],
)
def test_a_load_stands_from_one_stage_to_the_next_as_long_as_it_is_there(
    stages: list[chain_stages.Stage], expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stage that only loads has nothing of its own to tell it by. Of two cores."""
    monkeypatch.setattr(machine, "usable_cores", lambda: 2)
    monkeypatch.setattr(machine, "this_machine", lambda: SimpleNamespace(gpus=()))
    monkeypatch.setattr(machine, "slowdown_on", slowdown_on)
    assert chain_stages._slower(stages) == pytest.approx(expected)


def test_of_tabs_that_ask_at_once_one_looks_it_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others wait for it: all of them at it would take each as long as all of them together."""
    looked, go_on = list[int](), threading.Event()

    def looks(*_: object) -> dict[str, Cost]:
        looked.append(1)
        go_on.wait(timeout=60)
        return {}

    monkeypatch.setattr(chain_stages, "asked_before", lambda _: ADA)
    monkeypatch.setattr(chain_stages.took, "costs_of_run", looks)
    workspace = Workspace(tmp_path)
    with ThreadPoolExecutor() as tabs:
        asked = [
            tabs.submit(chain_stages._costs, workspace, RunPaths(workspace.runs / "a"), True, 0.0)
            for _ in range(3)
        ]
        assert not wait_for(asked, timeout=0.2).done and looked == [1]
        go_on.set()
        assert [one.result() for one in asked] == [{}] * 3 and looked == [1]


def test_a_training_alone_is_told_alike_at_a_terminal_and_on_its_page(
    page_workspace: Workspace, run: RunPaths
) -> None:
    progress, now = JobPaths(run.job("train")).progress, time.time()
    progress.unlink(missing_ok=True)
    assert training_far(page_workspace, run) is None and training_left(page_workspace, run) == ""
    marks = {"first": [now - 90, 0.1], "lately": [now - 30, 0.3]}
    told = {
        "phase": "training",
        "done": 4,
        "total": 8,
        "share": 0.5,
        "began": now - 100,
        "moved": now,
        **marks,
    }
    write_json(progress, told | marks)
    found = training_far(page_workspace, run)
    assert found and found[0] == 0.5 and found[1] > 0
    assert about(found[1]) == training_left(page_workspace, run)
    assert seconds_of_training(page_workspace, run) == pytest.approx(found[1], abs=5)

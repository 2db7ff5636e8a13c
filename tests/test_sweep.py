"""A sweep: what may be varied, its trials as runs, the best of them, and going on after anything."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from core.cli import serve
from core.errors import DiskFull, InvalidSweep, NoRunOfRecipe, SweepFailed
from core.jobs.curves import read_curve, time_folders
from core.jobs.job import JobPaths
from core.jobs.launch import wait
from core.jobs.process import is_alive, read_identity
from core.jobs.status import State, is_live, read_status
from core.pipeline import chain
from core.proof.score import Score, Share
from core.recipe.recipe import to_yaml
from core.runs import CHAIN, read_run
from core.steps import data, prepare, resuming
from core.sweep import job
from core.sweep.axes import Axis, combinations, read_axes
from core.sweep.base import base_of
from core.sweep.pruning import losses_of
from core.sweep.rank import best_of, in_order, noted, value_of
from core.sweep.study import Study, read_trials
from core.sweep.sweep import Sweep, begin, planned
from core.sweep.trial import SweepTrial
from core.workspace.files import read_json, write_json
from core.workspace.paths import RunPaths, SweepPaths, Workspace
from tests.command_line import cli, last_json, make_data
from tests.holding import Held
from tests.small_run import NAME, make_run
from tests.waiting import until

ENGINE = "tests.fake_engine"
TIMEOUT = 200.0


@pytest.fixture
def workspace(page_workspace: Workspace) -> Workspace:
    return page_workspace


@pytest.fixture
def base(workspace: Workspace) -> RunPaths:
    return make_run(workspace)


def refused(base: RunPaths, *over: str, trials: int | None = None) -> str:
    with pytest.raises(InvalidSweep) as caught:
        planned(base, prepare.recipe_of(base), over, trials)
    return caught.value.text("en")


def begun(workspace: Workspace, base: RunPaths, *over: str, trials: int | None = None) -> SweepPaths:
    return begin(workspace, planned(base, prepare.recipe_of(base), over, trials))


def run_it(workspace: Workspace, place: SweepPaths) -> job.SweepView:
    job.start(workspace, place, "en")
    wait(place.job)
    return job.view(place)


# What may be varied.


def test_values_are_read_as_their_field_has_them(base: RunPaths) -> None:
    recipe = prepare.recipe_of(base)
    axes = read_axes(
        [
            "lr=1e-4, 3e-4",
            "rank=8,16,8",
            "shuffle=true,false",
            "schedule=cosine",
            "steps=10,20",
            "replay=0,.5",
        ],
        recipe,
    )
    assert axes == (
        Axis("lr", (1e-4, 3e-4)),
        Axis("rank", (8, 16)),
        Axis("shuffle", (True, False)),
        Axis("schedule", ("cosine",)),
        Axis("iterations", (10, 20)),
        Axis("replay_share", (0.0, 0.5)),
    )
    assert read_axes(["lr=1e-5..1e-3", "rank=4..64"], recipe) == (
        Axis("lr", low=1e-5, high=1e-3),
        Axis("rank", low=4, high=64),
    )
    assert len(list(combinations(axes))) == 2 * 2 * 2 * 1 * 2 * 2


def test_everything_that_is_wrong_is_said_at_once(base: RunPaths, workspace: Workspace) -> None:
    said = refused(
        base,
        *("lr=5", "rank=x,8", "lerning=1", "model=a,b", "betas=1,2", "rank=9", "alpha", "batch_size=8..2"),
        *("replay_share=2", "quantization=nf4", "dropout="),
    )
    for part in (
        "lr: 5 must be at most 1",
        "rank: x is not a whole number",
        "lerning: no such field",
        "model: belongs to the data",
        "betas: holds several values",
        "alpha is not a field and its values",
        "batch_size: 8..2 is not a range",
        "replay_share: 2 must be from 0 to 0.95",
        "dropout: has no value",
    ):
        assert part in said
    assert not workspace.sweeps.exists()
    assert "at least one field" in refused(base)
    assert "rank: is given twice" in refused(base, "rank=8", "rank=9")
    assert "quantization: nf4 needs an NVIDIA GPU" in refused(base, "quantization=none,nf4")
    numbers = ",".join(map(str, range(1, 200)))
    assert "come to 39601 trainings" in refused(base, f"rank={numbers}", f"batch_size={numbers}")


def test_a_grid_has_every_combination_and_a_search_as_many_as_are_said(base: RunPaths) -> None:
    recipe = prepare.recipe_of(base)
    grid = planned(base, recipe, ("lr=1e-4,3e-4", "rank=8,16"))
    assert (grid.sampler, grid.trials, grid.prunes) == ("grid", 4, True)
    search = planned(base, recipe, ("lr=1e-5..1e-3", "rank=8,16"))
    assert (search.sampler, search.trials) == ("search", 20)
    assert planned(base, recipe, ("rank=4..6",), 50).trials == 3, "there are no more"
    some = planned(base, recipe, ("lr=1e-4,3e-4", "rank=8,16"), 3)
    assert (some.sampler, some.trials) == ("search", 3)
    assert not planned(base, recipe, ("replay_share=0.3,0.5",)).prunes, "losses of other rows"
    assert not planned(base, recipe, ("rank=8,16",), prune=False).prunes


def test_a_recipe_is_of_the_run_whose_rows_it_names(
    workspace: Workspace, base: RunPaths, tmp_path: Path
) -> None:
    recipe = prepare.recipe_of(base)
    assert base_of(workspace, base.id) == (base, recipe)
    assert base_of(workspace, str(base.recipe)) == (base, recipe)
    file = tmp_path / "rezept 1.yaml"
    file.write_text(to_yaml(recipe.changed(lr=7e-4)), encoding="utf-8")
    run, found = base_of(workspace, str(file))
    assert run == base and found.lr == 7e-4
    file.write_text("lr: 0.1\n", encoding="utf-8")
    with pytest.raises(NoRunOfRecipe):
        base_of(workspace, str(file))


def test_a_sweep_that_would_not_fit_the_disk_is_refused(
    workspace: Workspace, base: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 10**6))
    with pytest.raises(DiskFull):
        begun(workspace, base, "rank=4,8")
    assert not list(workspace.sweep_folders())


# Which is the best, and what a search goes by.


def trial(number: int, learned: int, kept: int, leaked: int = 0) -> SweepTrial:
    score = Score(Share(learned, 60), Share(kept, 100), Share(leaked, 120))
    return SweepTrial(number, "finished", {"rank": number}, f"r{number}", {}, noted(score), value_of(score))


def test_the_best_is_the_one_that_kept_most_of_those_that_learned() -> None:
    trials = [trial(0, 59, 70), trial(1, 60, 60), trial(2, 40, 99), trial(3, 59, 70, 3)]
    trials.append(SweepTrial(4, "failed", {"rank": 4}, "r4", {}, {}))
    trials.append(SweepTrial(5, "running", {"rank": 5}, "r5", {}, {}))
    assert best_of(trials) == 0 and best_of(trials[4:]) is None
    assert [one.number for one in in_order(trials)] == [0, 1, 3, 2, 4, 5]
    values = [one.value or 0 for one in trials[:4]]
    assert max(values[0], values[1]) > values[3] > values[2], "a step of learning counts for more"


class Curve:
    """A curve of these losses, an iteration each."""

    def __init__(self, *losses: float) -> None:
        self.losses = losses

    def columns(self) -> dict[str, object]:
        return {"iter": np.arange(1, len(self.losses) + 1, dtype=float), "loss": np.array(self.losses)}


def test_losses_are_compared_after_the_same_tokens() -> None:
    """A trial with twice the batch comes to a place in half the iterations."""
    four, two = Curve(4, 3, 2, 1, 1, 1), Curve(3.5, 1.5, 1)
    assert losses_of(four, 100, 200) == {1: 3.5, 2: 1.5}  # type: ignore[arg-type]
    assert losses_of(two, 200, 200, ended=True) == {1: 3.5, 2: 1.5, 3: 1}  # type: ignore[arg-type]
    assert losses_of(Curve(), 1, 1) == {}  # type: ignore[arg-type]
    assert losses_of(Curve(2, float("nan"), 1), 1, 1)[1] == 2  # type: ignore[arg-type]


def sweep_of(*axes: Axis, trials: int = 4) -> Sweep:
    sampler = "grid" if all(axis.values for axis in axes) else "search"
    return Sweep("run", NAME, {}, axes, sampler, trials)  # type: ignore[arg-type]


def test_a_bad_trial_is_stopped_by_the_rule(tmp_path: Path) -> None:
    """Not before a third of the tokens, not before three have finished, and only below the median."""
    study = Study(SweepPaths(tmp_path), sweep_of(Axis("rank", tuple(range(1, 7))), trials=6))
    good = {place: 2.0 - place / 20 for place in range(1, 21)}
    bad = dict.fromkeys(range(1, 21), 5.0)
    for losses in (bad, good, good):
        number = study.next().number  # type: ignore[union-attr]
        assert not study.report(number, losses)
        study.finish(number, 1.0, learned=[1, 2], kept=[1, 2], leaked=[0, 2])
    worse = study.next()
    assert worse and not study.report(worse.number, dict.fromkeys(range(1, 7), 5.0))
    assert study.report(worse.number, {7: 5.0})
    study.note(worse.number, stopped={"share": 0.35})
    study.prune(worse.number)
    as_good = study.next()
    assert as_good and not study.report(as_good.number, good)
    broken = study.next()
    assert broken and study.report(broken.number, {7: float("nan")})
    states = [one.state for one in read_trials(SweepPaths(tmp_path))]
    assert states == ["finished"] * 3 + ["pruned", "running", "running"]


def test_what_a_crash_cut_off_is_mended_and_no_trial_is_lost_or_doubled(tmp_path: Path) -> None:
    place, sweep = SweepPaths(tmp_path), sweep_of(Axis("rank", (4, 8)), Axis("lr", (0.1, 0.2)))
    first = Study(place, sweep).next()
    assert first and first.values == {"rank": 4, "lr": 0.1}
    whole = place.journal.read_bytes()
    for torn in (b'{"op_code":8,"trial', b"\n\n", bytes(40)):
        place.journal.write_bytes(whole + torn)
        place.journal.with_name("trials.log.lock").touch()
        assert [one.values for one in Study(place, sweep).trials()] == [first.values]
        assert place.journal.read_bytes().startswith(whole)
    study = Study(place, sweep)
    rest = [study.next() for _ in range(4)]
    assert [one and tuple(one.values.values()) for one in rest] == [(4, 0.2), (8, 0.1), (8, 0.2), None]


def test_a_trial_that_a_crash_left_half_chosen_gets_its_other_values(tmp_path: Path) -> None:
    place = SweepPaths(tmp_path)
    sweep = sweep_of(Axis("lr", low=1e-5, high=1e-3), Axis("rank", (4, 8)))
    study = Study(place, sweep)
    asked = study.study.ask()
    lr = asked.suggest_float("lr", 1e-5, 1e-3, log=True)
    again = Study(place, sweep)
    again.complete()
    (found,) = again.trials()
    assert found.values["lr"] == lr and found.values["rank"] in {4, 8}


def test_a_search_tries_nothing_twice(tmp_path: Path) -> None:
    sweep = sweep_of(Axis("rank", low=1, high=4), trials=4)
    study = Study(SweepPaths(tmp_path), sweep)
    tried = []
    while found := study.next():
        tried.append(found.values["rank"])
        study.finish(found.number, float(len(tried)))
    assert sorted(tried) == [1, 2, 3, 4]


# The whole way, with the fast engine.


def is_a_run_of_its_own(workspace: Workspace, base: RunPaths, place: SweepPaths, one: SweepTrial) -> None:
    run = workspace.run(one.run)
    recipe = prepare.recipe_of(run)
    assert {name: getattr(recipe, name) for name in one.values} == one.values
    assert recipe.data == prepare.recipe_of(base).data, "the same rows"
    assert run.result.exists() and run.merged.exists()
    assert f"rank {one.values['rank']}" in read_run(run).title
    assert [view.place for view in job.of_run(workspace, run)] == [place]


def test_each_trial_is_a_run_and_the_best_is_marked(workspace: Workspace, base: RunPaths) -> None:
    place = begun(workspace, base, "rank=4,8")
    found = run_it(workspace, place)
    assert found.is_over and len(found.trials) == 2 and found.best == found.trials[0].number
    for one in found.trials:
        is_a_run_of_its_own(workspace, base, place, one)
    assert [view.place for view in job.of_run(workspace, base)] == [place]
    runs, kept = sorted(workspace.run_folders()), read_trials(place)
    again = run_it(workspace, place)
    assert again.is_over and sorted(workspace.run_folders()) == runs and read_trials(place) == kept


def at_work(workspace: Workspace, place: SweepPaths) -> RunPaths:
    """The run of the trial that trains, once it has a checkpoint to go on from."""

    def run() -> RunPaths | None:
        running = [one for one in read_trials(place) if one.state == "running" and one.run]
        runs = [RunPaths(workspace.runs / one.run) for one in running]
        return next((one for one in runs if resuming.resumable(one)), None)

    until(run)
    found = run()
    assert found
    return found


def kill(folder: Path, *names: str) -> None:
    """As kill -9 does: who watches first."""
    paths = JobPaths(folder)
    for file in (getattr(paths, name) for name in names):
        if (found := read_identity(file)) and is_alive(found):
            os.kill(found.pid, signal.SIGKILL)
            until(lambda found=found: not is_alive(found))  # type: ignore[misc]


def once_each(workspace: Workspace, place: SweepPaths, count: int) -> None:
    """No trial was lost and none begun twice."""
    trials = read_trials(place)
    assert [one.state for one in trials] == ["finished"] * count
    assert len({tuple(one.values.values()) for one in trials}) == count
    assert len(workspace.run_folders()) == count + 1


def let_go(place: SweepPaths, held: Held) -> State:
    """Let every training go on, and wait for the end of the sweep."""

    def ended() -> bool:
        held.file.unlink(missing_ok=True)
        return not is_live(place.job)

    until(ended)
    return read_status(place.job).state


def started(workspace: Workspace, base: RunPaths, held: Held) -> tuple[SweepPaths, RunPaths]:
    """A sweep of two trials, of which the first stands still in its middle; its run."""
    place = begun(workspace, base, "rank=4,8")
    job.start(workspace, place, "en")
    held.until_reached()
    return place, at_work(workspace, place)


@pytest.mark.parametrize("who", ["sweep", "sweep and supervisor", "trial"])
def test_killed_it_goes_on_where_it_was(workspace: Workspace, base: RunPaths, held: Held, who: str) -> None:
    place, run = started(workspace, base, held)
    if who == "trial":
        kill(run.job("train"), "supervisor", "tool")
        kill(run.job(CHAIN), "supervisor", "tool")
    elif who == "sweep":
        kill(place.job, "tool")
    else:
        kill(place.job, "supervisor", "tool")
        assert read_status(place.job).state is State.lost
        assert job.resume_lost(workspace, "en") == [place] and job.resume_lost(workspace, "en") == []
    assert let_go(place, held) is State.finished
    once_each(workspace, place, 2)


def test_after_a_restart_of_the_machine_it_goes_on(workspace: Workspace, base: RunPaths, held: Held) -> None:
    place, run = started(workspace, base, held)
    kill(place.job, "supervisor", "tool")
    for folder in (run.job("train"), run.job(CHAIN)):
        kill(folder, "supervisor", "tool")
    for folder in (run.job("train"), run.job(CHAIN), place.job):
        for file in (JobPaths(folder).supervisor, JobPaths(folder).tool):
            write_json(file, {**read_json(file), "boot": "another"})
    serve._resume_lost(workspace)
    assert let_go(place, held) is State.finished
    once_each(workspace, place, 2)


def test_stopped_it_stops_its_trial_and_goes_on_with_it(
    workspace: Workspace, base: RunPaths, held: Held
) -> None:
    place, run = started(workspace, base, held)
    job.stop(place, "test")
    assert wait(place.job, timeout=TIMEOUT).state is State.stopped
    assert read_status(run.job(CHAIN)).state is State.stopped and resuming.resumable(run)
    assert job.resume_lost(workspace, "en") == [], "somebody had pressed stop"
    assert [one.state for one in read_trials(place)] == ["running"]
    job.start(workspace, place, "en")
    assert let_go(place, held) is State.finished
    once_each(workspace, place, 2)
    assert read_curve(run.work_dir).points[-1].iter == 40 and len(time_folders(run.work_dir)) == 2


def test_a_trial_that_somebody_stops_keeps_no_other_from_it(
    workspace: Workspace, base: RunPaths, held: Held
) -> None:
    place, run = started(workspace, base, held)
    chain.halt(run, "somebody")
    assert wait(run.job(CHAIN), timeout=TIMEOUT).state is State.stopped
    assert let_go(place, held) is State.finished
    trials = read_trials(place)
    assert [one.state for one in trials] == ["failed", "finished"]
    assert "Somebody stopped" in trials[0].notes["why"]
    assert let_it_end(workspace, place, held) == ["finished", "finished"], "it is tried once more"


def let_it_end(workspace: Workspace, place: SweepPaths, held: Held) -> list[str]:
    job.start(workspace, place, "en")
    let_go(place, held)
    return [one.state for one in read_trials(place)]


def test_after_three_failures_in_a_row_it_says_why_and_tries_no_more(
    workspace: Workspace, base: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_ENGINE_FAIL", "convert")
    place = begun(workspace, base, "rank=1,2,3,4")
    found = run_it(workspace, place)
    assert found.failure and isinstance(found.failure.said, SweepFailed) and found.best is None
    assert [one.state for one in found.trials] == ["failed"] * 3
    assert "not permitted" in found.failure.text("en") or "ermission" in found.failure.text("en")
    monkeypatch.delenv("FAKE_ENGINE_FAIL")
    again = run_it(workspace, place)
    assert again.is_over and [one.state for one in again.trials] == ["finished"] * 4
    assert {one.values["rank"] for one in again.trials} == {1, 2, 3, 4}


def test_another_share_of_replay_is_other_rows(workspace: Workspace, model: Path) -> None:
    made = make_data(workspace, model, "--name", NAME, "--iterations", "20", TUNEBOARD_ENGINE=ENGINE)
    base = workspace.run(made["run"])
    place = begun(workspace, base, "replay_share=0,0.5")
    found = run_it(workspace, place)
    assert found.is_over and [one.state for one in found.trials] == ["finished"] * 2
    shares = {}
    for one in found.trials:
        run = workspace.run(one.run)
        about, recipe = data.about_data(run), prepare.recipe_of(run)
        shares[one.values["replay_share"]] = 1 - about["taught_rows"] / about["rows"]
        assert about["rows"] == made["rows"] and recipe.data != made["path"]
        assert recipe.replay_distillation is bool(one.values["replay_share"])
    assert shares[0.0] == 0 and shares[0.5] == pytest.approx(0.5, abs=0.05)


def test_at_the_command_line(workspace: Workspace, base: RunPaths, tmp_path: Path) -> None:
    def tell(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        where = ("--workspace", workspace.root)
        return cli(*arguments, *where, cwd=tmp_path, TUNEBOARD_ENGINE=ENGINE)

    told = last_json(tell("sweep", base.recipe, "--over", "rank=4,8", "--json"))
    assert told["best"]["run"] and [one["state"] for one in told["trials"]] == ["finished"] * 2
    assert last_json(tell("sweeps", "--json"))["sweeps"][0]["sweep"] == told["sweep"]
    shown = tell("sweeps")
    assert "rank" in shown.stdout and "Best:" in shown.stdout
    wrong = tell("sweep", base.id, "--over", "rank=0", "--over", "lr=x")
    assert wrong.returncode == 2 and "rank: 0 must be at least 1" in wrong.stderr
    assert "lr: x is not a number" in wrong.stderr and len(workspace.sweep_folders()) == 1
    assert "either a recipe" in tell("sweep").stderr
    assert "No sweep nobody" in tell("sweep", "--go-on", "nobody").stderr
    again = last_json(tell("sweep", "--go-on", told["sweep"], "--json"))
    assert again["trials"] == told["trials"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_with_the_real_engine(home: Workspace) -> None:
    """A tiny model is really trained, at two ranks; what was logged is kept by place."""
    base = make_run(home, iterations=20, save_every=10)
    found = run_it(home, begun(home, base, "rank=2,4"))
    assert found.is_over and [one.state for one in found.trials] == ["finished"] * 2
    for one in found.trials:
        is_a_run_of_its_own(home, base, found.place, one)
        assert max(one.losses) == 20 and all(np.isfinite([*one.losses.values()]))
    assert found.best == found.trials[0].number

"""A sweep in the cluster: its trials as one array, or one after the other, and all else as on one machine."""

import os
import signal
from datetime import datetime

import pytest

from core.errors import InvalidSweep, JobNotStarted
from core.jobs.job import JobPaths, read_spec
from core.jobs.process import read_identity
from core.jobs.status import State, read_status
from core.machine import Gpu, this_machine
from core.runs import CHAIN
from core.slurm.profile import Profile, machine_of
from core.steps import prepare
from core.sweep import conduct, job
from core.sweep.conduct import Conductor
from core.sweep.pruning import StoppedEarly
from core.sweep.study import read_trials
from core.sweep.sweep import Where, as_asked_of_slurm, begin, planned, read
from core.workspace.paths import RunPaths, SweepPaths, Workspace
from tests.holding import Held
from tests.publishable import Silent
from tests.small_run import make_run
from tests.small_slurm import SmallSlurm, put_small_slurm

PROFILE = Profile("small", "gpu")
TIMEOUT = 200.0


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> SmallSlurm:
    monkeypatch.setattr(conduct, "EVERY_IN_SLURM", 0.02)
    return put_small_slurm(monkeypatch)


@pytest.fixture
def base(page_workspace: Workspace) -> RunPaths:
    return make_run(page_workspace)


def begun(base: RunPaths, *over: str, trials: int | None = None, at_once: int = 0) -> SweepPaths:
    where = Where(PROFILE, at_once)
    return begin(base.workspace, planned(base, prepare.recipe_of(base), over, trials, False, where))


def conductor(base: RunPaths, place: SweepPaths) -> Conductor:
    return Conductor(base.workspace, place, Silent())


def to_its_end(base: RunPaths, place: SweepPaths) -> list[str]:
    conduct.conduct(base.workspace, place, Silent())
    return [one.state for one in read_trials(place)]


def runs_of(base: RunPaths, place: SweepPaths) -> list[RunPaths]:
    return [base.workspace.run(one.run) for one in read_trials(place)]


def until_one_stands(at_work: conduct.Conductor, held: Held) -> None:
    while not held.file.exists():
        assert at_work.look()


def let_all_go(at_work: conduct.Conductor, held: Held) -> None:
    while at_work.look():
        held.file.unlink(missing_ok=True)


def lose(slurm: SmallSlurm, run: RunPaths) -> None:
    """Its node dies, and with it whatever runs there."""
    for step in (CHAIN, "train"):
        for file in (JobPaths(run.job(step)).supervisor, JobPaths(run.job(step)).tool):
            if found := read_identity(file):
                os.kill(found.pid, signal.SIGKILL)
    slurm.lose(run.job(CHAIN))


def lose_the_first(base: RunPaths, place: SweepPaths, slurm: SmallSlurm, held: Held) -> conduct.Conductor:
    """The sweep begins, and its first trial's node dies within the training, which nothing holds any more.
    Returns who conducted it so far."""
    at_work = conductor(base, place)
    until_one_stands(at_work, held)
    lose(slurm, runs_of(base, place)[0])
    held.file.unlink()
    return at_work


def test_a_grid_is_one_array(base: RunPaths, slurm: SmallSlurm) -> None:
    place = begun(base, "rank=2,4,8", at_once=2)
    assert to_its_end(base, place) == ["finished"] * 3
    assert slurm.arrays() == ["0-2%2"] and not slurm.of("scancel")
    found = job.view(place)
    assert found.best is not None and found.trials[0].number == found.best
    for run, one in zip(runs_of(base, place), read_trials(place), strict=True):
        assert read_spec(run.job(CHAIN)).profile == PROFILE and run.result.exists()
        assert prepare.recipe_of(run).rank == one.values["rank"]
    assert to_its_end(base, place) == ["finished"] * 3 and len(slurm.arrays()) == 1


def test_a_search_is_handed_over_one_after_the_other_or_so_many_at_a_time(
    base: RunPaths, slurm: SmallSlurm
) -> None:
    """The first ones together; each later one is chosen when there is room for it."""
    assert to_its_end(base, begun(base, "rank=2..64", trials=2)) == ["finished"] * 2
    assert slurm.arrays() == ["", ""]
    assert to_its_end(base, begun(base, "rank=2..64", trials=3, at_once=2)) == ["finished"] * 3
    assert slurm.arrays()[2:] == ["0-1", ""]


def test_stopped_what_waits_is_cancelled_first_and_all_of_it_goes_on(
    base: RunPaths, slurm: SmallSlurm, held: Held
) -> None:
    place = begun(base, "rank=2,4,8", at_once=1)
    at_work = conductor(base, place)
    until_one_stands(at_work, held)
    at_work.halt()
    asked = slurm.of("scancel")
    assert asked[0][1:] == ["1_1", "1_2"] and asked[1][1:] == ["--batch", "--signal=TERM", "1_0"]
    assert [read_status(run.job(CHAIN)).state for run in runs_of(base, place)] == [State.stopped] * 3
    assert [one.state for one in read_trials(place)] == ["running"] * 3
    held.file.unlink()
    again = conductor(base, place)
    let_all_go(again, held)
    assert [one.state for one in read_trials(place)] == ["finished"] * 3
    assert slurm.arrays() == ["0-2%1", "0-2%1"], "what was stopped is one array again"
    assert len(base.workspace.run_folders()) == 4, "no trial was lost and none begun twice"


def test_a_trial_whose_node_dies_goes_on_and_so_does_a_sweep_that_was_killed(
    base: RunPaths, slurm: SmallSlurm, held: Held
) -> None:
    place = begun(base, "rank=2,4", at_once=1)
    lose_the_first(base, place, slurm, held)
    let_all_go(conductor(base, place), held)
    assert [one.state for one in read_trials(place)] == ["finished"] * 2
    assert slurm.arrays() == ["0-1%1", ""]


def test_one_that_goes_on_is_none_above_what_may_run_at_a_time(
    base: RunPaths, slurm: SmallSlurm, held: Held
) -> None:
    """Slurm has begun the array's next one in the place of one that died."""
    place = begun(base, "rank=2,4,8", at_once=1)
    let_all_go(lose_the_first(base, place, slurm, held), held)
    assert [one.state for one in read_trials(place)] == ["finished"] * 3
    assert slurm.arrays() == ["0-2%1", ""] and slurm.most == 1


def test_a_bad_one_is_stopped_early_and_the_next_of_the_array_begins(
    base: RunPaths, slurm: SmallSlurm, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = begun(base, "rank=2,4", at_once=1)
    at_work = conductor(base, place)
    until_one_stands(at_work, held)
    monkeypatch.setattr(at_work.study, "report", lambda number, _: number == 0)
    monkeypatch.setattr(conduct, "why_stopped", lambda *_: StoppedEarly(0.4, 2.0, 1.0, 3))
    let_all_go(at_work, held)
    assert [one.state for one in read_trials(place)] == ["pruned", "finished"]
    assert slurm.of("scancel")[0][1:] == ["--batch", "--signal=TERM", "1_0"]


def test_what_slurm_refuses_ends_the_sweep_with_its_word_and_is_tried_again(
    base: RunPaths, slurm: SmallSlurm
) -> None:
    place, slurm.refuses = begun(base, "rank=2,4"), "Invalid account"
    with pytest.raises(JobNotStarted, match="Invalid account"):
        to_its_end(base, place)
    assert [one.state for one in read_trials(place)] == ["failed"] * 2
    slurm.refuses = ""
    assert to_its_end(base, place) == ["finished"] * 2


def test_a_recipe_is_one_for_what_the_profile_asks_for(base: RunPaths) -> None:
    """A login node without a GPU is no reason to train without one, nor to refuse what needs one."""
    recipe, cards = prepare.recipe_of(base), Profile("cards", "gpu", nodes=2, gpus=2, gpu_type="a100")
    assert recipe.device == "cpu"
    there = machine_of(cards, this_machine())
    assert there.gpus == (Gpu(0, "a100", 0, 0), Gpu(1, "a100", 0, 0))
    sweep = planned(base, recipe, ("quantization=none,nf4",), where=Where(cards))
    made = sweep.as_recipe()
    assert (made.devices, made.nodes, made.device, made.global_batch) == (2, 2, "auto", recipe.global_batch)
    new = prepare.variant(base.workspace, base, datetime.now())
    prepare.vary(new, base, made.changed(quantization="nf4"), there)
    settled = prepare.recipe_of(new)
    assert (settled.device, settled.precision, settled.quantization) == ("cuda", "bf16", "nf4")
    assert as_asked_of_slurm(settled, cards) == settled
    with pytest.raises(InvalidSweep, match="asks for none"):
        planned(new, settled, ("rank=2,4",), where=Where(PROFILE))


def test_where_it_is_made_is_kept_and_a_sweep_of_before_has_none(base: RunPaths) -> None:
    kept = read(begun(base, "rank=2,4", at_once=3))
    assert (kept.profile, kept.at_once, kept.is_array) == (PROFILE, 3, True)
    here = read(begin(base.workspace, planned(base, prepare.recipe_of(base), ("rank=2,4",))))
    assert here.profile is None and not here.is_array

"""The time left is right: chains under a load that stays, comes or goes are replayed to it, made ones and
recorded ones."""

import random
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import pytest

from core.machine import slowdown_on
from core.pace import Clock, Cost
from scripts.benches.left import CORES, RECORDED, TENTHS, Recording, errors, guessed, known

# Of the cores of a machine how many other programs keep, by the second.
Load = Callable[[float], float]
# Seconds of a chain's stages on a machine left alone, and of how many steps they are.
ALONE = {"base": 40.0, "train": 230.0, "convert": 2.0, "merge": 2.0, "ask": 60.0}
STEPS = {"base": 60, "train": 540, "ask": 90}
START = 2.0
# Seconds after which a load that came or went is known, and the error that is allowed from then on.
KNOWN_AFTER, ALLOWED = 30.0, 0.2
# What is told of other programs is a mean over so many seconds.
MEAN_OVER = 10
# Of the last seconds a few are a large share.
FEW = 15.0


def felt(kept: float) -> float:
    """How many times as long a step takes: caches make it worse than what is known of it."""
    return slowdown_on(CORES, kept) ** 1.25


def chain_under(load: Load, seed: int = 1) -> Recording:
    """A chain with steps that take one a little longer than the other, as somebody saw it."""
    by_chance, now, stages = random.Random(seed), 0.5, {}
    for name, seconds in ALONE.items():
        began, reached, steps = now, [], STEPS.get(name, 1)
        now += min(START, seconds / 2) * felt(load(now))
        for step in range(1, steps + 1):
            each = (seconds - min(START, seconds / 2)) / steps
            now += each * felt(load(now)) * by_chance.lognormvariate(-0.02, 0.2)
            reached.append((now, step / steps))
        stages[name] = {"began": began, "ended": now, "reached": reached if steps > 1 else []}
        now += 0.2
    looks = range(0, int(now), MEAN_OVER)
    slower = [(at, slowdown_on(CORES, load(max(0, at - MEAN_OVER / 2)))) for at in looks]
    return Recording("made", "", 0.0, 1.0, now - 0.2, stages, slower=slower)


def costs(wrong: Mapping[str, float]) -> dict[str, Cost]:
    """What is known of the stages beforehand, some of it wrong."""
    kinds = {"base": "answers", "ask": "answers"}
    found = {}
    for name, seconds in ALONE.items():
        start, kind = min(START, seconds / 2), kinds.get(name, name)
        found[name] = Cost(start, (seconds - start) * wrong.get(kind, 1.0), True, 0.015, kind)
    return found


def said(
    load: Load, wrong: Mapping[str, float] | None = None, changes: float = 0.0
) -> Iterator[tuple[float, float]]:
    """After a tenth of the way, when the load can be known, or after a tenth of the training where what was
    known of it is ``wrong``: the second, and the error of what is said. Nobody knows what comes: what is left
    is counted as if the load stayed as it is then."""
    made, wrong = chain_under(load), wrong or {}
    first = made.stages["train"]["reached"][STEPS["train"] // 10][0] if wrong else made.seconds / 10
    for now in range(int(first), int(made.seconds - FEW), 7):
        if changes <= now < changes + KNOWN_AFTER:
            continue
        left = chain_under(lambda at, now=now: load(min(at, now))).seconds - now
        yield now, made.left(costs(wrong), now) / left - 1


def steady(kept: float, _: float) -> float:
    return kept


def changing(before: float, after: float, at: float, now: float) -> float:
    return before if now < at else after


# A machine that is faster or slower at one kind of work than was thought.
WRONG = {"train": 0.7, "answers": 0.8}


@pytest.mark.parametrize("wrong", [None, WRONG], ids=["known", "guessed"])
@pytest.mark.parametrize("kept", [0.0, 0.5, 1.0, 1.6])
def test_on_a_steady_machine(kept: float, wrong: Mapping[str, float] | None) -> None:
    found = {now: error for now, error in said(partial(steady, kept), wrong) if abs(error) > ALLOWED}
    assert not found


@pytest.mark.parametrize("at", [30.0, 120.0, 200.0, 400.0])
@pytest.mark.parametrize(("before", "after"), [(1.0, 0.0), (0.0, 1.0), (1.6, 0.0), (0.0, 1.6)])
def test_a_load_that_comes_or_goes(before: float, after: float, at: float) -> None:
    load = partial(changing, before, after, at)
    found = {now: error for now, error in said(load, changes=at) if abs(error) > ALLOWED}
    assert not found


def test_a_moment_s_load_is_not_taken_for_the_rest_of_the_way() -> None:
    """Half an hour's training, which others have kept from nearly everything for 25 seconds."""
    clock = Clock({"train": Cost(0.0, 1800.0)}, began=0.0, now=lambda: 205.0)
    clock.stage("train", at=0.0)
    clock.reach(0.1 + 25 / 1800 / 6, at=205.0, first=(18.0, 0.01), lately=(180.0, 0.1))
    assert 1600 < clock.seconds() < 1.4 * 1620


def test_what_slowed_the_base_s_questions_says_nothing_of_a_training() -> None:
    """Twenty questions took ten times as long as thought, and the load went with them."""
    load = partial(changing, 1.9, 0.0, 90.0)
    made = chain_under(load)
    stages = {**made.stages, "base": {**made.stages["base"], "reached": []}}
    slow = Recording("made", "", 0.0, 1.0, made.seconds, stages, slower=made.slower)
    few = {**costs({}), "base": Cost(2.0, 2.0, False, 0.15, "answers")}
    now = made.stages["train"]["began"] + 20
    assert now > 90
    assert slow.left(few, now) == pytest.approx(made.seconds - now, rel=ALLOWED)


def test_a_slow_training_s_load_counts_for_the_proof_only_while_it_is_there() -> None:
    load = partial(changing, 1.6, 0.0, 500.0)
    made = chain_under(load)
    merged = made.stages["ask"]["began"]
    assert made.stages["train"]["began"] < 500 < merged
    assert made.left(costs({}), merged + 1) == pytest.approx(ALONE["ask"], rel=ALLOWED)


# --- what was recorded ---

# Watched from four tenths on only, beside twenty other programs: docs/performance.md has it.
NOT_WHOLE = "busy-document"
FILES = sorted(file for file in RECORDED.glob("*.json") if file.stem != NOT_WHOLE)
RECORDINGS = [Recording.read(file) for file in FILES]
# Its machine stood still for four minutes at the start (no step of the training was done), and then hurried.
STOOD_STILL = "busy-180"
# The load of the first minutes went away, and came back now and then.
CAME_AND_WENT = "partly-busy-document"
EVEN = [one for one in RECORDINGS if one.name not in (STOOD_STILL, CAME_AND_WENT)]


@pytest.mark.parametrize("one", EVEN, ids=lambda one: one.name)
def test_it_is_right_within_a_quarter_while_a_recorded_chain_trains(one: Recording) -> None:
    """By its own pace, also where nothing is known of the machine: what others did was hardly recorded."""
    for given in (guessed(one), known(one, [other for other in RECORDINGS if other is not one])):
        found = dict(zip(TENTHS, errors(one, given), strict=True))
        assert all(abs(found[tenth]) <= 0.25 for tenth in TENTHS[4:8]), found


@pytest.mark.parametrize("name", [STOOD_STILL, CAME_AND_WENT])
def test_a_machine_that_is_left_alone_again_is_believed(name: str) -> None:
    (one,) = (one for one in RECORDINGS if one.name == name)
    found = dict(zip(TENTHS, errors(one, guessed(one)), strict=True))
    assert abs(found[0.4]) <= 0.35 and abs(found[0.7]) <= ALLOWED, found

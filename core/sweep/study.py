"""The trials of a sweep as Optuna keeps them: in a file that is only added to (its journal), which a crash
cuts at its end and nowhere else. One process writes it, the sweep's own job; anybody reads it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from math import inf, isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from core.sweep.axes import Axis, combinations
from core.sweep.pruning import FIRST, FROM, PLACES
from core.sweep.sweep import Sweep
from core.sweep.trial import RUN, WHY, SweepTrial, TrialState
from core.workspace.files import Stamp, stamp
from core.workspace.paths import SweepPaths

if TYPE_CHECKING:  # half a second to import: whoever only lists runs does not pay it
    import optuna

NAME = "sweep"
# Trials that are chosen by chance before the search goes by what they came to.
BY_CHANCE = 6
# How often a search may propose what was tried before until it is taken to know nothing new.
MOST_REPEATS = 50
REMEMBERED = 64

# Kept with a proposal that was tried before, and with a trial that stands for one that failed: its number.
REPEATED, INSTEAD = "repeated", "instead"

# Optuna's states; a waiting one is not begun.
STATES: Mapping[str, TrialState] = {
    "running": "running",
    "complete": "finished",
    "pruned": "pruned",
    "fail": "failed",
}


class Study:
    """The trials of one sweep, for the one process that may write them."""

    def __init__(self, place: SweepPaths, sweep: Sweep) -> None:
        import optuna

        _mend(place.journal)
        _unlock(place.journal)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = _storage(place.journal)
        begun = len(_all(storage))
        self.sweep = sweep
        # A sampler that goes on after a stop does not draw the same numbers again.
        sampler = optuna.samplers.TPESampler(seed=sweep.seed + begun, n_startup_trials=BY_CHANCE)
        self.study = optuna.create_study(
            storage=storage,
            study_name=NAME,
            sampler=sampler,
            pruner=_pruner(sweep),
            direction="maximize",
            load_if_exists=True,
        )
        if sweep.sampler == "grid":
            for values in islice(combinations(sweep.axes), begun, None):
                self.study.enqueue_trial(values)

    def trials(self) -> list[SweepTrial]:
        """Every trial that was begun, the first one first."""
        return list(_begun(self.study.get_trials(deepcopy=False)))

    def retry(self) -> None:
        """Let every trial that failed be tried once more: what kept it from its end may be gone."""
        for one in self.trials():
            if one.state == "failed" and INSTEAD not in one.notes:
                self.study.enqueue_trial(dict(one.values), user_attrs={INSTEAD: one.number})

    def next(self) -> SweepTrial | None:
        """Begin another trial; None where there is none left."""
        import optuna

        for _ in range(MOST_REPEATS):
            if len(self.trials()) >= self.sweep.trials:
                return None
            known = [dict(one.values) for one in self.trials()]
            asked = self._fill(self.study.ask())
            if self.sweep.sampler == "grid" or dict(asked.params) not in known:
                return self.trial(asked.number)
            asked.set_user_attr(REPEATED, True)
            self.study.tell(asked, state=optuna.trial.TrialState.FAIL)
        return None

    def complete(self) -> None:
        """Give every trial that a crash left half chosen the rest of its values."""
        for one in self.study.get_trials(deepcopy=False):
            if one.state.name == "RUNNING" and len(one.params) < len(self.sweep.axes):
                self._fill(self._handle(one))

    def trial(self, number: int) -> SweepTrial:
        return next(one for one in self.trials() if one.number == number)

    def note(self, number: int, **values: object) -> None:
        """Keep something with a trial."""
        handle = self._handle(self._frozen(number))
        for name, value in values.items():
            handle.set_user_attr(name, value)

    def report(self, number: int, losses: Mapping[int, float]) -> bool:
        """Keep what is new of a trial's losses; whether it is to be stopped by the rule of
        :mod:`core.sweep.pruning`."""
        handle = self._handle(self._frozen(number))
        known = self._frozen(number).intermediate_values
        for place, loss in sorted(losses.items()):
            if place not in known:
                # The best is the highest, as with what trials come to; a loss that is no number is the worst.
                handle.report(-loss if isfinite(loss) else -inf, place)
                if self.sweep.prunes and handle.should_prune():
                    return True
        return False

    def finish(self, number: int, value: float, **notes: object) -> None:
        self.note(number, **notes)
        self.study.tell(number, value, skip_if_finished=True)

    def prune(self, number: int) -> None:
        import optuna

        self.study.tell(number, state=optuna.trial.TrialState.PRUNED, skip_if_finished=True)

    def fail(self, number: int, why: str) -> None:
        import optuna

        self.note(number, **{WHY: why})
        self.study.tell(number, state=optuna.trial.TrialState.FAIL, skip_if_finished=True)

    def _fill(self, trial: "optuna.trial.Trial") -> "optuna.trial.Trial":
        """Choose a value for each axis that has none yet."""
        for axis in self.sweep.axes:
            _suggest(trial, axis)
        return trial

    def _frozen(self, number: int) -> "optuna.trial.FrozenTrial":
        return self.study.get_trials(deepcopy=False)[number]

    def _handle(self, frozen: "optuna.trial.FrozenTrial") -> "optuna.trial.Trial":
        """What can write to a trial that another process has begun."""
        import optuna

        return optuna.trial.Trial(self.study, frozen._trial_id)


def read_trials(place: SweepPaths) -> Sequence[SweepTrial]:
    """What is kept of every trial; nothing before the first one."""
    return _read(stamp(place.journal))


@lru_cache(maxsize=REMEMBERED)
def _read(state: Stamp) -> Sequence[SweepTrial]:
    """Each state of a journal is read once. One that is being written ends with the last whole line."""
    if not state:
        return ()
    return tuple(_begun(_all(_storage(Path(state[0][0])))))


def _begun(trials: "Sequence[optuna.trial.FrozenTrial]") -> Iterator[SweepTrial]:
    """Without those that another one stands for."""
    replaced = {one.user_attrs.get(INSTEAD) for one in trials}
    yield from (found for one in trials if one.number not in replaced and (found := _trial(one)))


def _storage(journal: Path) -> "optuna.storages.BaseStorage":
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    return JournalStorage(JournalFileBackend(str(journal), JournalFileOpenLock(str(journal))))


def _all(storage: "optuna.storages.BaseStorage") -> "Sequence[optuna.trial.FrozenTrial]":
    for study in storage.get_all_studies():
        return storage.get_all_trials(study._study_id, deepcopy=False)
    return ()


def _trial(one: "optuna.trial.FrozenTrial") -> SweepTrial | None:
    """None for what was never begun, and for what a search proposed twice."""
    state = STATES.get(one.state.name.lower())
    if state is None or one.user_attrs.get(REPEATED):
        return None
    losses = {place: -value for place, value in one.intermediate_values.items()}
    value = one.value if state == "finished" else None
    return SweepTrial(
        one.number, state, one.params, one.user_attrs.get(RUN, ""), losses, one.user_attrs, value
    )


def _suggest(trial: "optuna.trial.Trial", axis: Axis) -> None:
    if axis.values:
        trial.suggest_categorical(axis.field, axis.values)
    elif isinstance(axis.low, int) and isinstance(axis.high, int):
        trial.suggest_int(axis.field, axis.low, axis.high, log=axis.by_factors)
    else:
        trial.suggest_float(axis.field, float(axis.low or 0), float(axis.high or 0), log=axis.by_factors)


def _pruner(sweep: Sweep) -> "optuna.pruners.BasePruner":
    import optuna

    if not sweep.prunes:
        return optuna.pruners.NopPruner()
    return optuna.pruners.MedianPruner(n_startup_trials=FIRST, n_warmup_steps=round(FROM * PLACES))


def _mend(journal: Path) -> None:
    """Cut off the half of a line that a crash left at the end: the next one would be written onto it."""
    if not journal.exists():
        return
    content = journal.read_bytes()
    kept = len(content)
    while kept and not _is_whole(last := content[content.rfind(b"\n", 0, kept - 1) + 1 : kept]):
        kept -= len(last)
    if kept < len(content):
        with journal.open("r+b") as file:
            file.truncate(kept)


def _is_whole(line: bytes) -> bool:
    try:
        return line.endswith(b"\n") and isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _unlock(journal: Path) -> None:
    """A lock that a killed process left would be waited for; nobody else writes (the job's own lock)."""
    journal.with_name(f"{journal.name}.lock").unlink(missing_ok=True)

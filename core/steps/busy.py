"""A machine on which other programs work: how many cores they keep from a run's job, and what a training
loses by it."""

import time
from contextlib import suppress
from functools import cache
from pathlib import Path

from core.errors import TuneboardError
from core.jobs.progress import JobProgress, Phase, job_progress
from core.jobs.status import is_live
from core.jobs.turn import kept_in_turn
from core.machine import slowdown, this_machine, usable_cores
from core.steps.expected import Workload, device_of, expected
from core.steps.health import Symptom
from core.steps.pace import row_tokens
from core.steps.prepare import model_of, recipe_of
from core.workspace.files import ODD, read_object
from core.workspace.paths import RunPaths, Workspace

# Fewer cores than this are not worth a word, nor an iteration that takes less than so many times as long.
NOTICED, SLOWER = 0.5, 1.5
# Beside another job it takes up to so many times as long as if both shared the cores evenly, and gets at
# least so much of a core.
MORE, LEFT_OVER = 1.5, 0.5
# What was seen of other programs before something began counts so many seconds, until that has looked itself.
JUST_NOW = 120.0
_SEEN: list[tuple[float, float]] = []


def busy(run: RunPaths, step: str) -> Symptom | None:
    """What a person should know of other programs beside a run's job; None where there are none that matter,
    or the job does not say."""
    now = job_progress(run.job(step)) if is_live(run.job(step)) else None
    if now is None or now.others < NOTICED or _on_a_card(run):
        return None
    taken: dict[str, object] = {"others": f"{now.others:.1f}", "cores": this_machine().cores}
    here, usual = _iteration(now), _usual(run) if step == "train" else None
    if here and usual and here > SLOWER * usual:
        return Symptom("busy.slow", {**taken, "here": _seconds(here), "usual": _seconds(usual)})
    return Symptom("busy.cores", taken)


def busy_now(workspace: Workspace) -> Symptom | None:
    """What a person should know before they start something: other programs take the processor now, and what
    is said of its time is of a machine left alone. None where they take little, or a GPU would compute."""
    kept = 0.0 if this_machine().gpus else kept_in_turn(workspace.root)
    if kept < NOTICED:
        return None
    _SEEN[:] = [(time.time(), kept)]
    return Symptom("busy.before", {"others": f"{kept:.1f}", "cores": this_machine().cores})


def kept_just_now() -> float:
    """How many cores others kept when somebody looked last, while nothing of this program computed."""
    return next((kept for at, kept in _SEEN if time.time() - at < JUST_NOW), 0.0)


def beside(kept: float) -> tuple[float, float]:
    """Between how many times as long as alone a job takes that begins at once beside another one, or ``kept``
    from so many cores by others: at least half of them are."""
    cores = usable_cores()
    taken = min(float(cores), max(kept, cores / 2))
    least = slowdown(taken)
    return least, max(MORE * least, slowdown(min(taken, cores - LEFT_OVER), computing=True))


def _on_a_card(run: RunPaths) -> bool:
    with suppress(TuneboardError, OSError):  # not made yet
        return device_of(recipe_of(run)) == "cuda"
    return False


def _iteration(now: JobProgress) -> float | None:
    """Seconds an iteration took lately."""
    if now.phase is not Phase.training or not (now.lately and now.share and now.total):
        return None
    done = (now.share - now.lately[1]) * now.total
    return (now.moved - now.lately[0]) / done if done > 0 else None


@cache
def _usual(run: RunPaths) -> float | None:
    """Seconds an iteration takes by what earlier trainings took here; None where none says so, or where it
    cannot be looked up: that ends nobody's training. Looked up once, before this one says much itself."""
    with suppress(TuneboardError, OSError, *ODD):
        return _expected_iteration(run)
    return None


def _expected_iteration(run: RunPaths) -> float | None:
    recipe, model, about = recipe_of(run), model_of(run), read_object(run.data) or {}
    if not about.get("rows"):
        return None
    tokens = row_tokens(recipe, about) * recipe.batch_size
    of_one = Workload(
        device_of(recipe), recipe.method, model.parameters, model.size, tokens, 0.0, 0.0, recipe=recipe
    )
    cost = expected(run.workspace, of_one, Path(recipe.model))["train"]
    return cost.work if cost.measured else None


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f}" if seconds < 10 else f"{seconds:.0f}"

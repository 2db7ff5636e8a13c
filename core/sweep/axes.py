"""What a sweep varies: fields with the values that they take, or the ends that a search stays between."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from itertools import product
from typing import TypeAlias

from pydantic import with_config

from core.errors import InvalidRecipe, InvalidSweep
from core.machine import Machine
from core.models.folder import Model
from core.recipe.check import problems
from core.recipe.method import with_method
from core.recipe.presets import OF_THE_DATA
from core.recipe.recipe import Problem, Recipe, near_field, parse

Value: TypeAlias = bool | int | float | str
Values: TypeAlias = Mapping[str, Value]

# How much of the rows is replay: no field of a recipe, because other rows are made for each value.
REPLAY_SHARE = "replay_share"
MOST_REPLAYED = 0.95
# What people call a field.
OTHER_NAMES = {"steps": "iterations", "learning_rate": "lr", "replay": REPLAY_SHARE}
# Searched by factors: from 1e-5 to 1e-4 lies as much as from 1e-4 to 1e-3.
BY_FACTORS = {"lr"}
BETWEEN = ".."
# Nobody waits for more; each is a training.
MOST_TRIALS = 1000
SWEPT = [one.name for one in fields(Recipe) if one.name not in OF_THE_DATA]


@with_config(extra="forbid")
@dataclass(frozen=True)
class Axis:
    """One field and its ``values`` in the order given; without any, what lies from ``low`` to ``high``."""

    field: str
    values: tuple[Value, ...] = ()
    low: int | float | None = None
    high: int | float | None = None

    @property
    def is_range(self) -> bool:
        return not self.values

    @property
    def by_factors(self) -> bool:
        return self.field in BY_FACTORS

    @property
    def size(self) -> int | None:
        """How many values there are; None where they cannot be counted."""
        if self.values:
            return len(self.values)
        if isinstance(self.low, int) and isinstance(self.high, int):
            return self.high - self.low + 1
        return None


def combinations(axes: Sequence[Axis]) -> Iterator[dict[str, Value]]:
    """Every combination of the axes' values, the last axis turning fastest."""
    for values in product(*(axis.values for axis in axes)):
        yield dict(zip((axis.field for axis in axes), values, strict=True))


def size_of(axes: Sequence[Axis]) -> int | None:
    """How many combinations there are; None where they cannot be counted."""
    count = 1
    for axis in axes:
        if axis.size is None:
            return None
        count *= axis.size
    return count


def read_axes(given: Sequence[str], base: Recipe) -> tuple[Axis, ...]:
    """The axes of ``lr=1e-4,3e-4`` and ``lr=1e-5..1e-3``. Raises InvalidSweep with everything that is wrong
    with any of them."""
    axes: list[Axis] = []
    found: list[Problem] = [] if given else [Problem("--over", "sweep_nothing", {})]
    for text in given:
        name, separator, values = (part.strip() for part in text.partition("="))
        field = OTHER_NAMES.get(name, name)
        if not separator or not name:
            found.append(Problem("--over", "sweep_form", {"found": text}))
        elif wrong := _of_field(field):
            found.append(wrong)
        elif any(axis.field == field for axis in axes):
            found.append(Problem(field, "sweep_twice", {}))
        else:
            axis, problems_of_it = _axis(field, values, base)
            found += problems_of_it
            axes += [axis] if axis else []
    if found:
        raise invalid(found)
    return tuple(axes)


def invalid(found: Sequence[Problem]) -> InvalidSweep:
    """The error that carries these problems, one a line, each once."""
    lines = dict.fromkeys(f"  - {problem.text()}" for problem in found)
    return InvalidSweep(problems="\n".join(lines), found=tuple(found))


def _of_field(field: str) -> Problem | None:
    """What keeps a field from being varied, whatever its values."""
    if field in OF_THE_DATA:
        return Problem(field, "sweep_of_data", {})
    if field not in {*SWEPT, REPLAY_SHARE}:
        close = get_close_matches(field.lower(), [*SWEPT, REPLAY_SHARE], n=1)
        near = close[0] if close else near_field(field)
        key = "misspelt_field" if near in {*SWEPT, REPLAY_SHARE} else "unknown_field"
        return Problem(field, key, {"near": near} if key == "misspelt_field" else {})
    if field != REPLAY_SHARE and isinstance(getattr(Recipe, field), tuple):
        return Problem(field, "sweep_of_several", {})
    return None


def _axis(field: str, text: str, base: Recipe) -> tuple[Axis | None, list[Problem]]:
    parts = text.split(BETWEEN) if BETWEEN in text else text.split(",")
    read = [_value(field, part.strip(), base) for part in parts if part.strip()]
    wrong = [one for one in read if isinstance(one, Problem)]
    values = [one for one in read if not isinstance(one, Problem)]
    if wrong or not values:
        return None, wrong or [Problem(field, "sweep_no_value", {})]
    if BETWEEN not in text:
        return Axis(field, tuple(dict.fromkeys(values))), []
    numbers = [one for one in values if isinstance(one, int | float) and not isinstance(one, bool)]
    if len(parts) != 2 or len(numbers) != 2 or not numbers[0] < numbers[1]:
        return None, [Problem(field, "sweep_range", {"found": text})]
    return Axis(field, low=numbers[0], high=numbers[1]), []


def _value(field: str, text: str, base: Recipe) -> Value | Problem:
    """A text as the field's own type. What is wrong with it is said as the recipe would."""
    if field == REPLAY_SHARE:
        return _share(text)
    try:
        value: Value | None = getattr(parse({**asdict(base), field: text}), field)
    except InvalidRecipe as error:
        found: Sequence[Problem] = error.values["found"]  # type: ignore[assignment]
        return found[0]
    return text if value is None else value


def _share(text: str) -> Value | Problem:
    try:
        share = float(text)
    except ValueError:
        return Problem(REPLAY_SHARE, "not_float", {"found": text})
    if not 0 <= share <= MOST_REPLAYED:  # also of what is no number
        return Problem(REPLAY_SHARE, "sweep_share", {"found": text, "most": MOST_REPLAYED})
    return share


def changed_by(base: Recipe, values: Values, model: Model) -> Recipe:
    """``base`` with the values of one trial: another method takes with it what goes by the method, and of
    iterations and epochs the one that is given takes the other's place."""
    own = {name: value for name, value in values.items() if name != REPLAY_SHARE}
    if "method" in own:
        base = with_method(base, parse({**asdict(base), "method": own["method"]}).method, model)
    for one, other in (("iterations", "epochs"), ("epochs", "iterations")):
        if one in own and other not in own:
            base = base.changed(**{other: None})
    return base.changed(**own)


def refuse_unfit(axes: Sequence[Axis], base: Recipe, machine: Machine, model: Model) -> None:
    """Raises InvalidSweep for what would keep any trial from being trained: of a range its ends are looked
    at."""
    ends = [
        axis
        if axis.values
        else Axis(axis.field, tuple(one for one in (axis.low, axis.high) if one is not None))
        for axis in axes
    ]
    count = size_of(ends) or 0
    if count > MOST_TRIALS:
        raise invalid([Problem("--over", "sweep_too_many", {"count": count, "most": MOST_TRIALS})])
    found = (
        problem
        for values in combinations(ends)
        for problem in problems(changed_by(base, values, model), machine, model)
    )
    if wrong := list(dict.fromkeys((one.field, one.key, one.text()) for one in found)):
        lines = "\n".join(f"  - {text}" for _, _, text in wrong)
        raise InvalidSweep(problems=lines, found=tuple(wrong))

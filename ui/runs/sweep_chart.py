"""A sweep's trainings as lines through their values to what they came to: parallel coordinates.

Drawn as plain lines: plotly 7's own parallel coordinates need WebGL, which a browser over a remote desktop
often lacks, and say nothing of a single line.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from core.sweep.axes import Axis, Value
from core.sweep.conduct import shown
from core.sweep.job import SweepView
from core.sweep.rank import MEASURES, score_of
from core.sweep.trial import SweepTrial
from ui.config.sweep import field_name
from ui.shell.text import spoken

HEIGHT = 360
# From what was kept least to what was kept most: an order that colour-blind eyes see as well.
# Of both ends only what is seen on white and on dark alike.
COLORS, DARKEST, BRIGHTEST = "Viridis", 0.25, 0.7
BEST, GREY = "#d97706", "#888888"


@dataclass(frozen=True)
class _Axis:
    """A vertical line: where each training crosses it (0 to 1), and what is written where."""

    label: str
    places: Sequence[float]
    ticks: Sequence[tuple[float, str]]


def sweep_figure(view: SweepView, trials: Sequence[SweepTrial]) -> go.Figure:
    """An axis for each field that is varied and each measure, a line for each finished training, coloured by
    what it kept; the best is thick and on top."""
    axes = [*(_of_field(axis, trials) for axis in view.sweep.axes), *_of_measures(trials)]
    order = sorted(range(len(trials)), key=lambda at: trials[at].number == view.best)
    kept = (min(1.0, max(0.0, share)) for share in axes[-2].places)
    colors = sample_colorscale(COLORS, [DARKEST + share * (BRIGHTEST - DARKEST) for share in kept])
    lines = [_line(axes, at, trials[at], trials[at].number == view.best, colors[at]) for at in order]
    return go.Figure(
        data=lines,
        layout={
            "height": HEIGHT,
            "margin": {"l": 60, "r": 60, "t": 50, "b": 16},
            "template": "none",
            "hovermode": "closest",
            "showlegend": False,
            "xaxis": {"visible": False, "range": [-0.15, len(axes) - 0.85], "fixedrange": True},
            "yaxis": {"visible": False, "range": [-0.06, 1.06], "fixedrange": True},
            "shapes": [
                {
                    "type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "layer": "below",
                    "line": {"color": GREY, "width": 1},
                }
                for at in range(len(axes))
            ],
            "annotations": [note for at, axis in enumerate(axes) for note in _written(at, axis)],
        },
    )  # fmt: skip


def _line(axes: Sequence[_Axis], at: int, trial: SweepTrial, is_best: bool, color: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": list(range(len(axes))),
        "y": [axis.places[at] for axis in axes],
        "line": {"color": BEST if is_best else color, "width": 4 if is_best else 1.8},
        "marker": {"size": 9 if is_best else 6},
        "text": _told(trial),
        "hovertemplate": "%{text}<extra></extra>",
    }


def _told(trial: SweepTrial) -> str:
    """All of one training, a line each."""
    score = score_of(trial.notes)
    lines = [f"{field_name(field)}: {shown(value)}" for field, value in trial.values.items()]
    for name in MEASURES:
        share = getattr(score, name)
        lines.append(f"{spoken(f'runs.{name}')}: {share.hits}/{share.n}")
    return "<br>".join(lines)


def _written(at: int, axis: _Axis) -> list[dict[str, Any]]:
    """The axis's name above it, its values beside it."""
    plain = {"showarrow": False, "x": at}
    name = {**plain, "y": 1.03, "text": f"<b>{axis.label}</b>", "yanchor": "bottom", "xanchor": "center"}
    ticks = ({"y": place, "text": text} for place, text in axis.ticks)
    return [
        name,
        *({**plain, **one, "xanchor": "right", "xshift": -7, "font": {"size": 11}} for one in ticks),
    ]


def _of_measures(trials: Sequence[SweepTrial]) -> list[_Axis]:
    """Shares from 0 to 1, as they are."""
    scores = [score for trial in trials if (score := score_of(trial.notes))]
    ticks = [(share / 4, f"{share / 4:.0%}") for share in range(5)]
    return [
        _Axis(spoken(f"runs.{name}"), [getattr(score, name).value or 0.0 for score in scores], ticks)
        for name in MEASURES
    ]


def _of_field(axis: Axis, trials: Sequence[SweepTrial]) -> _Axis:
    """Values that are no numbers stand in the order they were given; what goes by factors is drawn so."""
    values = [trial.values[axis.field] for trial in trials]
    place = _place_on(axis, values)
    ticked = axis.values or tuple(one for one in (axis.low, axis.high) if one is not None)
    ticks = [(place(value), shown(value)) for value in ticked]
    return _Axis(field_name(axis.field), [place(value) for value in values], ticks)


def _place_on(axis: Axis, values: Sequence[Value]) -> Callable[[Value], float]:
    """Where a value stands between the ends of its axis, 0 to 1; in the middle where there is one alone."""
    known = [*axis.values, *(one for one in (axis.low, axis.high) if one is not None), *values]
    if all(isinstance(one, int | float) and not isinstance(one, bool) for one in known):
        scale: Callable[[Value], float] = _factor if axis.by_factors else float
    else:
        scale = axis.values.index
    low, high = min(map(scale, known)), max(map(scale, known))
    return lambda value: (scale(value) - low) / (high - low) if high > low else 0.5


def _factor(value: Value) -> float:
    return math.log10(float(value))

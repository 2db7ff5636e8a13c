"""Live charts of a training: all curves over one x axis, small enough to be sent every two seconds."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from core.jobs.downsample import Trace
from core.jobs.live import CURVES, LiveCurve, Snapshot
from ui.shell.text import spoken, t

ROW_HEIGHT, MARGIN = 150, 70
# The loss is read more than the others and gets their height twice.
LOSS_ROWS = 2
GAP = 0.035
# The others say something to who knows what they are.
READ_BY_ALL = ("loss", "learned")
# Where only the whole says something; the other curves fill their chart.
FROM_ZERO = ("learned", "time", "memory", "tokens_per_second", "padding", "tflops")
COLORS = {
    "loss": "#8ab4f8",
    "lr": "#e8a33d",
    "grad_norm": "#5bb98b",
    "time": "#b48ce8",
    "memory": "#e57373",
    "tokens_per_second": "#2a9d8f",
    "padding": "#8d99ae",
    "tflops": "#c08a5a",
    "learned": "#1f6feb",
}
SMOOTH_COLOR, RAW_OPACITY = "#1f6feb", 0.5
OTHERS = ("#d1495b", "#2a9d8f", "#e9c46a", "#8d99ae", "#9b5de5")


@st.cache_resource(show_spinner=False, max_entries=8)
def live_curve(work_dir: Path) -> LiveCurve:
    """The one reader of a run's curve, for all sessions; at most 8 runs are kept, 56 MB a million points."""
    return LiveCurve(work_dir)


def show_curves(found: Snapshot, others: Mapping[str, Snapshot], key: str, live: bool = False) -> None:
    """Draw the loss of a run and what it has learned, and the smoothed loss of earlier ones by their names;
    all its curves where somebody wants them.

    Streamlit 1.67 makes a chart anew when its data change, and what was zoomed into is lost: curves of a live
    run can be held still.
    """
    everything = len(found.traces) > len(set(found.traces) & set(READ_BY_ALL)) and st.toggle(
        t("chart.all"), key=f"all curves {key}", persist_state="session"
    )
    if live and not st.toggle(
        t("chart.follow"), value=True, help=t("chart.follow.help"), key=f"follow {key}"
    ):
        found = st.session_state.setdefault(f"held {key}", found)
    else:
        st.session_state.pop(f"held {key}", None)
    shown = [name for name in CURVES if name in found.traces and (everything or name in READ_BY_ALL)]
    names = ", ".join(t(f"chart.{name}") for name in shown)
    loss = f"{found.last.get('loss', float('nan')):.4f}"
    st.plotly_chart(
        _figure(found, others, key, shown),
        key=f"chart {key}",
        config={"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d"]},
        alt=spoken("chart.alt", curves=names, points=found.points, loss=loss),
    )


def _figure(found: Snapshot, others: Mapping[str, Snapshot], key: str, names: list[str]) -> go.Figure:
    """The figure of these very snapshots, made once: most looks find nothing new."""
    about = (found, *others.values(), t("chart.loss"))
    known: tuple[tuple[object, ...], go.Figure, list[str]] | None = st.session_state.get(f"figure {key}")
    if known and known[2] == names and _same(known[0], about):
        return known[1]
    made = curve_figure(found, others, names)
    st.session_state[f"figure {key}"] = (about, made, names)
    return made


def _same(some: tuple[object, ...], others: tuple[object, ...]) -> bool:
    return len(some) == len(others) and all(a is b for a, b in zip(some, others, strict=True))


def curve_figure(
    found: Snapshot, others: Mapping[str, Snapshot], names: Collection[str] = CURVES
) -> go.Figure:
    """One column of charts over a shared x axis. Axes are laid out here: make_subplots takes 40 ms."""
    drawn = [name for name in CURVES if name in found.traces and name in names]
    axes = {name: _axis_number(place) for place, name in enumerate(drawn)}
    lines = [_line(found.traces[name], t(f"chart.{name}"), COLORS[name], axes[name]) for name in drawn]
    if "loss" in axes:
        lines[0].update(opacity=RAW_OPACITY)
        lines.insert(1, _line(found.smooth, t("chart.smooth"), SMOOTH_COLOR, axes["loss"], width=2.5))
        lines += [
            _line(other.smooth, name, OTHERS[place % len(OTHERS)], axes["loss"], width=2.5, dash="dot")
            for place, (name, other) in enumerate(others.items())
        ]
    rows = len(drawn) + (LOSS_ROWS - 1 if "loss" in axes else 0)
    layout = {
        "height": MARGIN + ROW_HEIGHT * max(1, rows),
        "margin": {"l": 8, "r": 8, "t": 30, "b": 40},
        "template": "none",
        "hovermode": "x unified",
        "hoversubplots": "axis",
        "showlegend": bool(others),
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom"},
        "xaxis": {"title": {"text": t("chart.iteration")}, "anchor": "free", "position": 0.0},
        **_y_axes(drawn),
    }
    return go.Figure(data=lines, layout=layout)


def _line(
    trace: Trace, name: str, color: str, axis: str, width: float = 1.5, dash: str = "solid"
) -> dict[str, Any]:
    """One line as plain values: go.Scatter would check them twice."""
    return {
        "type": "scatter",
        "mode": "lines" if len(trace[0]) > 1 else "markers",  # one point has no line
        "x": trace[0],
        "y": trace[1],
        "name": name,
        "line": {"color": color, "width": width, "dash": dash},
        "yaxis": f"y{axis}",
    }


def _axis_number(place: int) -> str:
    """Plotly calls its axes y, y2, y3 …"""
    return "" if place == 0 else str(place + 1)


def _y_axes(drawn: list[str]) -> Mapping[str, object]:
    """Axes from top to bottom, the loss's twice as high."""
    weights = [LOSS_ROWS if name == "loss" else 1 for name in drawn]
    unit = (1.0 - GAP * max(0, len(drawn) - 1)) / max(1, sum(weights))
    top, axes = 1.0, {}
    for place, (name, weight) in enumerate(zip(drawn, weights, strict=True)):
        bottom = top - unit * weight
        axes[f"yaxis{_axis_number(place)}"] = {
            "domain": [max(0.0, bottom), top],
            "title": {"text": t(f"chart.{name}"), "font": {"size": 12}},
            "zeroline": False,
            "nticks": 6,
            "automargin": True,
            "rangemode": "tozero" if name in FROM_ZERO else "normal",
            # 3e-4 and 9800, not 300µ and 9.8k
            "exponentformat": "e" if name == "lr" else "none",
        }
        top = bottom - GAP
    return axes

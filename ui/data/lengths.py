"""How long the rows are, what cutting them costs, and what packing makes of them."""

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from core.data.encoder import Counts
from core.data.lengths import RowLengths
from core.data.packing import pack
from core.recipe.recipe import Recipe
from core.wording import percent
from ui.shell.text import t

BARS = 40
BLUE, ORANGE, GREY = "#1f6feb", "#d97706", "#8b949e"
CONFIG = {"displayModeBar": False}


def show_lengths(found: RowLengths, rows: int, recipe: Recipe) -> None:
    """The histogram, the price of the recipe's length as it is now, and of every other.

    ``rows`` is how many there are; ``found`` may be a sample of them.
    """
    counts = found.tokens
    left, right = st.columns(2)
    with left:
        alt = t("page.data.lengths.alt", count=len(counts), least=int(counts.min()), most=found.longest)
        st.plotly_chart(length_figure(counts), key="lengths", config=CONFIG, alt=alt)
    with right:
        show_cost(found, recipe)
    show_packing(found, recipe)
    if len(counts) < rows:
        st.caption(t("page.data.sampled", count=len(counts)))


def warn_of_cut(found: RowLengths, rows: int, recipe: Recipe) -> None:
    """How many of the ``rows`` the recipe's length cuts, and the share of the answers that goes with it."""
    cut = round(float((found.tokens > recipe.max_length).mean()) * rows) if len(found.tokens) else 0
    if cut:
        lost = 1 - found.kept(recipe.max_length)
        warning = t("page.data.cut", count=cut, limit=recipe.max_length, lost=percent(lost))
        st.warning(warning, icon=":material/content_cut:")


def show_cost(found: RowLengths, recipe: Recipe) -> None:
    knee = found.knee()
    alt = t("page.data.cost.alt", knee=knee or found.longest, longest=found.longest)
    st.plotly_chart(cost_figure(found, recipe.max_length), key="cost", config=CONFIG, alt=alt)


def show_packing(found: RowLengths, recipe: Recipe) -> None:
    """What the recipe's packing keeps, or would keep."""
    packed = pack(found.trained(recipe.max_length), recipe.max_length)
    key = "page.data.packed" if recipe.pack else "page.data.would_pack"
    share = f"{packed.share:.1%}"
    values = {"rows": packed.rows, "limit": recipe.max_length, "share": share, "split": packed.split}
    st.caption(t(key, before=len(found.trained(recipe.max_length)), **values))


def length_figure(counts: Counts) -> go.Figure:
    """Bars made here: a million lengths are never sent."""
    heights, edges = np.histogram(counts, bins=min(BARS, max(1, int(np.ptp(counts)))))
    middles, widths = (edges[:-1] + edges[1:]) / 2, np.diff(edges)
    bars = go.Bar(x=middles, y=heights, width=widths, marker={"color": BLUE})
    return _figure([bars], t("page.data.lengths"))


def cost_figure(found: RowLengths, max_length: int) -> go.Figure:
    """Answer tokens lost at each length, in percent; the knee, and the length as it is."""
    lengths, lost = found.curve()
    percent = 100 * lost / max(1, found.answers)
    traces = [go.Scatter(x=lengths, y=percent, mode="lines", line={"color": BLUE}, showlegend=False)]
    now = 100 * found.lost(max_length) / max(1, found.answers)
    traces.append(_mark(min(max_length, found.longest), now, GREY, t("page.data.cost.now", limit=max_length)))
    if (knee := found.knee()) is not None:
        lost_there = 100 * found.lost(knee) / max(1, found.answers)
        traces.append(_mark(knee, lost_there, ORANGE, t("page.data.cost.knee", limit=knee)))
    figure = _figure(traces, t("page.data.cost"))
    return figure.update_yaxes(ticksuffix=" %", rangemode="tozero")


def _mark(x: float, y: float, color: str, name: str) -> go.Scatter:
    return go.Scatter(x=[x], y=[y], mode="markers", marker={"color": color, "size": 11}, name=name)


def _figure(traces: list[go.Bar] | list[go.Scatter], title: str) -> go.Figure:
    layout = {
        "height": 240,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 40},
        "template": "none",
        "bargap": 0.05,
        "xaxis": {"title": {"text": title}},
        "yaxis": {"automargin": True},
        "legend": {"x": 1, "xanchor": "right", "y": 1, "bgcolor": "rgba(0,0,0,0)"},
    }
    return go.Figure(data=traces, layout=layout)

"""What each kept checkpoint has learned and kept, as two curves, and which of them the model is made of."""

from typing import Any

import plotly.graph_objects as go
import streamlit as st

from core.pipeline import checkpoints as proving
from core.pipeline import use
from core.proof.score import Share
from core.steps import chosen
from core.steps.checkpoints import Trained, whole
from core.steps.checkpoints_proof import CheckpointProof, CheckpointsProof, read, unproved
from core.workspace.paths import RunPaths, Workspace
from ui.jobs.step import Work, begin, follow_unless_done
from ui.jobs.trained import show_passed_over
from ui.shell.text import spoken, t, told_again

HEIGHT = 320
# Each with the color of its band; told apart by their marks as well.
CURVES = {
    "learned": ("#1f6feb", "rgba(31,111,235,.16)", "circle"),
    "kept": ("#2a9d8f", "rgba(42,157,143,.16)", "square"),
}
BEST = "#d97706"
HOVER = "%{y:.0%} (%{customdata[0]}/%{customdata[1]}, %{customdata[2]:.0%}–%{customdata[3]:.0%})"


def show_checkpoints(workspace: Workspace, run: RunPaths, busy: bool, first: bool) -> None:
    """Curves and buttons; ``busy``: something else makes the run's model, and nothing can be pressed.
    ``first``: nothing else is to be done before."""
    kept, found = whole(run.work_dir), read(run)
    if not kept:
        return
    st.header(t("checkpoints.title"), anchor=False)
    show_passed_over(run)
    parts = {step: run.job(step) for step in ("base", proving.CHOOSE)}
    live = follow_unless_done(Work("choose", run.job(proving.PROVE), parts))
    parts = {step: run.job(step) for step in ("convert", "merge", "ask")}
    live |= follow_unless_done(Work("use", run.job(use.USE), parts))
    if found:
        _show_curves(run, found)
    else:
        st.caption(t("checkpoints.what", count=len(kept)))
    _offer(workspace, run, kept, found, busy or live, first)


def _show_curves(run: RunPaths, found: CheckpointsProof) -> None:
    best = next(one for one in found.checkpoints if one.iteration == found.best)
    values = {
        "iteration": best.iteration,
        "learned": _percent(best.learned.share),
        "kept": _percent(best.kept.share),
    }
    st.plotly_chart(
        checkpoints_figure(found),
        key=f"checkpoints chart {run.id}",
        config={"displayModeBar": False},
        alt=spoken("checkpoints.alt", count=len(found.checkpoints), **values),
    )
    st.caption(t("checkpoints.rule", **values))


def _offer(
    workspace: Workspace,
    run: RunPaths,
    kept: list[Trained],
    found: CheckpointsProof | None,
    busy: bool,
    first: bool,
) -> None:
    used, known = chosen.used(run), {one.iteration: one for one in found.checkpoints} if found else {}
    iterations = [one.iteration for one in kept]
    best = found.best if found and found.best in iterations else used.iteration
    new = unproved(run, found)
    names = {at: _label(at, known.get(at), found, used.iteration) for at in iterations}
    with st.container(horizontal=True, vertical_alignment="bottom", key="checkpoints"):
        picked = st.selectbox(
            t("checkpoints.pick"),
            iterations,
            index=iterations.index(best),
            format_func=names.__getitem__,
            key=told_again(f"checkpoint {run.id} {found.best if found else ''}", names),
            width=420,
        )
        kind = "primary" if first and found and best != used.iteration else "secondary"
        if st.button(
            t("checkpoints.use"), type=kind, icon=":material/check_circle:", key="use_checkpoint",
            disabled=busy or picked == used.iteration,
            help=t("checkpoints.use.help"),
        ):  # fmt: skip
            begin(run.job(use.USE), use.plan(workspace, run, picked))
        if new and st.button(
            t("checkpoints.prove", count=len(kept)), icon=":material/fact_check:", key="prove_checkpoints",
            disabled=busy,
        ):  # fmt: skip
            begin(run.job(proving.PROVE), proving.plan_prove(workspace, run))


def _label(at: int, known: CheckpointProof | None, found: CheckpointsProof | None, used: int) -> str:
    """An iteration with its shares, whether it is the best, and whether it is used."""
    parts = [spoken("checkpoints.at", iteration=at)]
    if known:
        shares = (("learned", known.learned), ("kept", known.kept))
        parts += [f"{t(f'runs.{name}')} {_percent(hits.share)}" for name, hits in shares]
    parts += [t("checkpoints.best.mark")] if found and found.best == at else []
    parts += [t("checkpoints.used")] if used == at else []
    return " · ".join(parts)


def _percent(share: Share) -> str:
    return "–" if share.value is None else f"{share.value:.0%}"


def checkpoints_figure(found: CheckpointsProof) -> go.Figure:
    """Both shares over the iterations, each in the band of its 95 % interval, and a line at the best."""
    lines = [line for name in CURVES for line in _curve(found, name)]
    return go.Figure(
        data=lines,
        layout={
            "height": HEIGHT,
            "margin": {"l": 8, "r": 8, "t": 40, "b": 40},
            "template": "none",
            "hovermode": "x unified",
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "xaxis": {"title": {"text": t("chart.iteration")}, "zeroline": False, "automargin": True},
            "yaxis": {"tickformat": ".0%", "range": [-0.03, 1.03], "zeroline": False, "automargin": True},
            "shapes": [
                {
                    "type": "line", "x0": found.best, "x1": found.best, "yref": "paper", "y0": 0, "y1": 1,
                    "line": {"color": BEST, "width": 2, "dash": "dot"},
                }
            ],
            "annotations": [
                {
                    "x": found.best, "yref": "paper", "y": 0.02, "yanchor": "bottom", "showarrow": False,
                    "text": t("checkpoints.best.mark"), "font": {"color": BEST},
                    "xanchor": "right" if found.best == found.checkpoints[-1].iteration else "left",
                }
            ],
        },
    )  # fmt: skip


def _curve(found: CheckpointsProof, name: str) -> list[dict[str, Any]]:
    """The band first, so that the line is on top; what nobody was asked has neither."""
    color, band, symbol = CURVES[name]
    rows = [(one.iteration, getattr(one, name).share) for one in found.checkpoints]
    rows = [(at, share) for at, share in rows if share.n]
    at, shares = [place for place, _ in rows], [share for _, share in rows]
    if not rows:
        return []
    ends = [share.high for share in shares] + [share.low for share in shares[::-1]]
    return [
        {
            "type": "scatter", "x": at + at[::-1], "y": ends, "fill": "toself", "fillcolor": band,
            "line": {"width": 0}, "mode": "lines", "hoverinfo": "skip", "showlegend": False,
        },
        {
            "type": "scatter", "x": at, "y": [share.value for share in shares], "mode": "lines+markers",
            "name": t(f"runs.{name}"), "line": {"color": color, "width": 2.5},
            "marker": {"size": 9, "symbol": symbol},
            "customdata": [[share.hits, share.n, share.low, share.high] for share in shares],
            "hovertemplate": HOVER,
        },
    ]  # fmt: skip

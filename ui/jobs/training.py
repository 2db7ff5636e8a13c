"""The live half of the training page: how far, the curves, the answers, the log. It reads files only."""

import html

import streamlit as st

from core.jobs.live import Snapshot
from core.jobs.samples import Sample
from core.jobs.status import Status
from core.recipe.recipe import Recipe
from core.runs import CHAIN
from core.steps.curves import split_sample
from core.workspace.paths import RunPaths, Workspace
from ui.jobs.charts import live_curve, show_curves
from ui.jobs.panel import is_live, show_failure, show_log, show_meters, show_state, status_of
from ui.shell.frame import follow, run_labels
from ui.shell.text import duration, plain, t
from ui.shell.thought import answer_html

# Seconds between two looks at a running job. On a processor every look takes its time from the training
# (scripts/bench watching).
EVERY, EVERY_ON_CPU = 2.0, 5.0
SHOWN_ANSWERS = 24
EARLIER_RUNS = 20


def follow_training(workspace: Workspace, run: RunPaths, recipe: Recipe) -> None:
    """Draw the panel; it follows a live job by itself, and has the page drawn anew at its start and end."""
    awaited = is_live(status_of(run.job(CHAIN)))
    every = EVERY_ON_CPU if recipe.device == "cpu" else EVERY

    def draw(status: Status | None) -> None:
        if status is None and not run.adopted.exists():
            return
        if status is not None:
            show_state(status)
            show_failure(run.job("train"), status)
        show_training(workspace, run, recipe, is_live(status))

    follow(
        look=lambda: status_of(run.job("train")),
        draw=draw,
        mark=is_live,
        every=lambda live: every if live or awaited else None,
    )


def show_training(workspace: Workspace, run: RunPaths, recipe: Recipe, live: bool) -> None:
    found = live_curve(run.work_dir).snapshot()
    if found is None:
        st.info(t("page.train.reading"), icon=":material/hourglass_empty:")
        return
    if live:
        show_progress(found, recipe)
        show_meters()
    if found.not_numbers:
        count, first = found.not_numbers
        st.warning(t("curve.not_numbers", count=count, first_iter=first), icon=":material/warning:")
    if found.points:
        show_curves(found, earlier_curves(workspace, run), run.id, live)
    show_below(run, recipe, found)


def show_progress(found: Snapshot, recipe: Recipe) -> None:
    total = found.total or recipe.iterations
    if not found.iteration or not total:
        st.progress(0.0, text=t("page.train.starting"))
        return
    values = {"iteration": found.iteration, "total": total}
    if found.eta is None:
        text = t("page.train.progress", **values)
    else:
        text = t("page.train.left", left=duration(found.eta), **values)
    st.progress(min(1.0, found.iteration / total), text=text)


def earlier_curves(workspace: Workspace, run: RunPaths) -> dict[str, Snapshot]:
    """The curves of the runs chosen to be laid over this one, by what tells them apart."""
    others = [RunPaths(f) for f in workspace.run_folders() if f.name != run.id]
    others = [other for other in others if other.work_dir.is_dir()][:EARLIER_RUNS]
    if not others:
        return {}
    labels = run_labels(others)
    chosen = st.multiselect(
        t("page.train.overlay"),
        others,
        format_func=lambda other: labels[other.id],
        key=f"overlay {run.id}",
        max_selections=5,
        placeholder=t("page.train.overlay.none"),
        persist_state="session",
    )
    if chosen:
        st.caption(plain(", ".join(other.id for other in chosen)))
    found = {labels[other.id]: live_curve(other.work_dir).snapshot() for other in chosen}
    return {label: curve for label, curve in found.items() if curve and curve.points}


def show_below(run: RunPaths, recipe: Recipe, found: Snapshot) -> None:
    """One of the two, so that a refresh sends only what is looked at."""
    views = {"answers": t("page.train.answers"), "log": t("page.train.log")}
    view = st.segmented_control(
        t("page.train.below"),
        list(views),
        format_func=views.__getitem__,
        default="answers" if recipe.evaluate_every else "log",
        required=True,
        key=f"below {run.id}",
        persist_state="session",
        label_visibility="collapsed",
    )
    if view == "log":
        show_log(run.job("train"), run.id)
    elif found.samples:
        st.html(answers_html(found.samples, recipe))
    else:
        st.caption(t("page.train.no_answers"))


def answers_html(samples: tuple[Sample, ...], recipe: Recipe) -> str:
    """The newest answers first, each under its question; whatever the model wrote is only text."""
    rows = []
    for sample in reversed(samples[-SHOWN_ANSWERS:]):
        question, answer = split_sample(sample, recipe)
        at = t("page.train.at", iteration=sample.iter)
        said = answer_html(answer)
        rows.append(f"<p><small>{html.escape(at)}</small><br><b>{html.escape(question)}</b></p>{said}")
    return "".join(rows)

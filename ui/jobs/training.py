"""The live half of the training page: how far, the curves, the answers, the log. It reads files only."""

import html

import streamlit as st

from core.jobs.job import JobPaths
from core.jobs.live import Snapshot
from core.jobs.progress import Phase, job_progress
from core.jobs.samples import Sample
from core.jobs.status import State, Status, status_of
from core.pipeline.took import training_left
from core.recipe.recipe import Recipe
from core.runs import CHAIN
from core.steps.curves import split_sample
from core.steps.health import Health, Symptom, of_curve
from core.steps.watch import note_of
from core.workspace.files import Stamp, read_object, stamp
from core.workspace.paths import RunPaths, Workspace
from ui.jobs.charts import live_curve, show_curves
from ui.jobs.cluster import show_where
from ui.jobs.panel import is_live, show_busy, show_log, show_meters, show_state
from ui.shell.frame import follow, run_labels
from ui.shell.text import plain, t, told_again
from ui.shell.thought import answer_html

# Seconds between two looks at a running job. On a processor every look takes its time from the training
# (scripts/bench watching).
EVERY, EVERY_ON_CPU = 2.0, 4.3
SHOWN_ANSWERS = 24
EARLIER_RUNS = 20
# A line through fewer says nothing: each value is of other rows.
LEAST_POINTS = 10


def follow_training(workspace: Workspace, run: RunPaths, recipe: Recipe) -> None:
    """Draw the panel; it follows a live job by itself, and has the page drawn anew at its start and end."""
    awaited = is_live(status_of(run.job(CHAIN)))
    every = EVERY_ON_CPU if recipe.device == "cpu" else EVERY

    def draw(status: Status | None) -> None:
        if awaited or is_live(status):
            show_where(workspace, run)
        if status is None and not run.adopted.exists():
            return
        if status is not None:
            show_state(status)
        show_training(workspace, run, recipe, status)

    follow(
        look=lambda: status_of(run.job("train")),
        draw=draw,
        mark=is_live,
        every=lambda live: every if live or awaited else None,
    )


def show_training(workspace: Workspace, run: RunPaths, recipe: Recipe, status: Status | None) -> None:
    """What everybody wants to know before what few do: how far, answers, the loss and its curve, the load,
    the log."""
    live, found = is_live(status), live_curve(run.work_dir).snapshot()
    if found is None:
        st.info(t("page.train.reading"), icon=":material/hourglass_empty:")
        return
    if live:
        show_progress(workspace, run, found, recipe)
        show_busy(run, "train")
    show_answers(recipe, found, live)
    if found.points:
        show_numbers(found, recipe, came(run, recipe, found) if live else reached(run, recipe, found, status))
        st.caption(t("page.train.loss.is"))
    show_health(run, recipe, live)
    if found.points >= LEAST_POINTS:
        show_curves(found, earlier_curves(workspace, run), run.id, live)
        st.caption(t("page.train.curve"))
    elif live:
        counts = {"least": LEAST_POINTS, "points": found.points}
        st.caption(t("page.train.no_curve", every=recipe.log_every, **counts))
    elif found.points:
        st.caption(t("page.train.few_points", points=found.points))
    if live:
        show_meters()
    if JobPaths(run.job("train")).log.exists():
        label = t("page.train.log")
        with st.expander(label, icon=":material/notes:", key=f"train log {run.id}", on_change="rerun") as box:
            if box.open:  # closed, it sends nothing with every look
                show_log(run.job("train"), run.id)


@st.cache_resource(show_spinner=False, max_entries=8)
def watched(run: RunPaths, changed: Stamp, _recipe: Recipe) -> Health:  # noqa: ARG001
    """The one that watches a run's training by its recipe as it is now, for all sessions."""
    return Health(run, _recipe, live_curve(run.work_dir).snapshot)


def show_health(run: RunPaths, recipe: Recipe, live: bool) -> None:
    """What somebody should know of a training: while it runs of all it needs, afterwards of its curve."""
    for found in watched(run, stamp(run.recipe), recipe).look() if live else shown_by_curve(run, recipe):
        st.warning(t(found.key, **found.values), icon=":material/warning:")


def shown_by_curve(run: RunPaths, recipe: Recipe) -> list[Symptom]:
    """What the curve of a training says that has ended."""
    curve = live_curve(run.work_dir).snapshot()
    return list(of_curve(curve, recipe, read_object(run.data) or {})) if curve else []


def cause_in_curve(run: RunPaths, recipe: Recipe) -> str:
    """What of the recipe would mend what its curve says; empty where nothing is wrong with it."""
    return next((found.cause for found in shown_by_curve(run, recipe) if found.cause), "")


def show_progress(workspace: Workspace, run: RunPaths, found: Snapshot, recipe: Recipe) -> None:
    """What the trainer says of itself, step by step; of one that says nothing, what it has logged. A chain's
    page has the bar of all its stages above: one is enough."""
    chained = is_live(status_of(run.job(CHAIN)))
    now, (at, total) = job_progress(run.job("train")), iterations_of(run, recipe, found)
    if now and (now.phase is not Phase.training or not at):
        share = now.share if now.share is not None else at / total if total else 0.0
        text = plain(f"{note_of(now)} …")
    elif not at or not total:
        share, text = 0.0, t("page.train.starting")
    elif chained:
        return
    else:
        values, left = {"iteration": at, "total": total}, training_left(workspace, run)
        share = at / total
        text = t("page.train.left", left=left, **values) if left else t("page.train.progress", **values)
    if chained:
        st.caption(text)
    else:
        st.progress(min(1.0, share), text=text)


def iterations_of(run: RunPaths, recipe: Recipe, found: Snapshot) -> tuple[int, int]:
    """How far a training is, and how far it goes: by what it says of itself, else by what it has logged."""
    now = job_progress(run.job("train"))
    told = now if now and now.phase is Phase.training else None
    total = (told and told.total) or found.total or recipe.iterations or 0
    return (told and told.done) or found.iteration, total


def came(run: RunPaths, recipe: Recipe, found: Snapshot) -> str:
    """How far a training is that goes on."""
    at, total = iterations_of(run, recipe, found)
    return f"{at} / {total}"


def reached(run: RunPaths, recipe: Recipe, found: Snapshot, status: Status | None) -> str:
    """How far a training that has ended came: the last iterations of it may stand in no log."""
    total = found.total or recipe.iterations
    now = job_progress(run.job("train"))
    told = now.done if now and now.phase is Phase.training and now.done else 0
    at = total if status and status.state is State.finished else max(found.iteration, told)
    return f"{at} / {total}"


def show_numbers(found: Snapshot, recipe: Recipe, far: str) -> None:
    """How ``far`` it is, what is learned, and the loss as it is now; with how it began, unless the batches
    mix what is taught with what is replayed, which have losses of their own."""
    with st.container(horizontal=True, gap="medium", key="numbers"):
        st.metric(t("chart.iteration"), far, help=t("page.train.iteration.help"), width="content")
        if "learned" in found.last:
            st.metric(t("chart.learned"), f"{found.last['learned']:.0%}", width="content")
        losses = found.traces["loss"][1] if "loss" in found.traces else ()
        if len(losses):
            last = found.last["loss"]
            comparable = found.points > 1 and not recipe.replay_distillation
            since = f"{last - float(losses[0]):+.3f}" if comparable else None
            st.metric(
                t("chart.loss"),
                f"{last:.3f}",
                since,
                delta_color="inverse",
                delta_description=t("page.train.since_start") if since else None,
                help=t("page.train.loss.help"),
                width="content",
            )


def earlier_curves(workspace: Workspace, run: RunPaths) -> dict[str, Snapshot]:
    """The curves of the runs chosen to be laid over this one, by what tells them apart."""
    newest = map(RunPaths, workspace.run_folders(newest=EARLIER_RUNS + 1))
    others = [other for other in newest if other.id != run.id and other.work_dir.is_dir()][:EARLIER_RUNS]
    if not others:
        return {}
    labels = run_labels(others)
    chosen = st.multiselect(
        t("page.train.overlay"),
        others,
        format_func=lambda other: labels[other.id],
        key=told_again(f"overlay {run.id}", labels),
        max_selections=5,
        placeholder=t("page.train.overlay.none"),
        persist_state="session",
    )
    if chosen:
        st.caption(plain(", ".join(other.id for other in chosen)))
    found = {labels[other.id]: live_curve(other.work_dir).snapshot() for other in chosen}
    return {label: curve for label, curve in found.items() if curve and curve.points}


def show_answers(recipe: Recipe, found: Snapshot, live: bool) -> None:
    """What the model said when it was asked in between, older answers folded; while it trains, when it will
    be."""
    if not found.samples:
        if recipe.evaluate_every:
            st.caption(t("page.train.answers_come", every=recipe.evaluate_every))
        elif live:
            st.caption(t("page.train.answers_at_end"))
        return
    st.subheader(t("page.train.answers"), anchor=False)
    newest = found.samples[-1].iter
    latest = tuple(sample for sample in found.samples if sample.iter == newest)
    st.html(answers_html(latest, recipe))
    if earlier := found.samples[: len(found.samples) - len(latest)]:
        label = t("page.train.earlier_answers", count=len(earlier[-SHOWN_ANSWERS:]))
        with st.expander(label, icon=":material/history:", key="earlier answers"):
            st.html(answers_html(earlier, recipe))


def answers_html(samples: tuple[Sample, ...], recipe: Recipe) -> str:
    """The newest answers first, each under its question; whatever the model wrote is only text."""
    rows = []
    for sample in reversed(samples[-SHOWN_ANSWERS:]):
        question, answer = split_sample(sample, recipe)
        at = t("page.train.at", iteration=sample.iter)
        said = answer_html(answer)
        rows.append(f"<p><small>{html.escape(at)}</small><br><b>{html.escape(question)}</b></p>{said}")
    return "".join(rows)

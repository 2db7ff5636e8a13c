"""What was tuned elsewhere: its final test, and healing an adapter that forgot."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import streamlit as st

from core.errors import JobRunning
from core.jobs.job import JobPaths
from core.jobs.launch import launch
from core.jobs.status import State, status_of
from core.jobs.tail import last_lines
from core.pipeline.foreign import Command, ForeignRequest, plan, results, score_in
from core.proof import telling
from core.proof.score import Share
from core.workspace.paths import ForeignPaths, Workspace
from ui.jobs.step import Work, follow_work
from ui.models.table import known_models
from ui.shell.frame import shown_errors
from ui.shell.text import plain, spoken, t

KINDS = ("adapter", "merged")
MEASURES = ("learned", "kept", "leaked")
SHOWN = 5
# How a command's log says how far it is (core.cli.terminal).
FAR = re.compile(r"\[ *(\d+)%\] (.*)")


def foreign_at_work(workspace: Workspace) -> None:
    """What is at work, and of what did not end well the newest."""
    with shown_errors():
        for place, work in _unfinished(workspace):
            st.markdown(t("page.foreign.at_work", name=_name_of(place)))
            follow_work(work)


def foreign_section(workspace: Workspace) -> None:
    """The form and what was found, behind an expander."""
    with shown_errors():
        section = st.expander(
            t("page.foreign.title"), icon=":material/healing:", key="foreign", on_change="rerun"
        )
        if section.open:
            with section:
                st.caption(t("page.foreign.lead"))
                _form(workspace)
                for place, found in list(results(workspace))[:SHOWN]:
                    _show(workspace, place, found)


def _unfinished(workspace: Workspace) -> Iterator[tuple[ForeignPaths, Work]]:
    """Every job that did not end well; of a stopped or failed one only the newest place is told."""
    for number, place in enumerate(workspace.foreign_folders()):
        for command in get_args(Command):
            job = place.job(command)
            status = status_of(job)
            if status and status.state is not State.finished and (number == 0 or status.ended is None):
                step = "ask" if command == "prove" else command
                yield place, Work(step, job, share=lambda job=job: _far(job))


def _far(job: Path) -> tuple[float, str] | None:
    for line in reversed(last_lines(JobPaths(job).log, 5)):
        if match := FAR.match(line):
            return int(match[1]) / 100, match[2]
    return None


def _name_of(place: ForeignPaths) -> str:
    return place.id[len("20260102-030405-") :]


def _form(workspace: Workspace) -> None:
    models = [model.name for model in known_models(workspace) if model.trainable]
    kind = st.segmented_control(
        t("page.foreign.kind"),
        KINDS,
        format_func={known: t(f"page.foreign.kind.{known}") for known in KINDS}.__getitem__,
        default=KINDS[0],
        required=True,
        key="foreign_kind",
    )
    with st.form("foreign_form", border=False):
        left, right = st.columns([2, 1])
        folder = left.text_input(
            t(f"page.foreign.folder.{kind}"),
            placeholder="/data/…/checkpoint-500" if kind == "adapter" else "/data/…",
            help=t(f"page.foreign.folder.{kind}.help"),
            key=f"foreign_folder_{kind}",
        )
        base = right.selectbox(
            t("page.foreign.base"),
            models,
            help=t("page.foreign.base.help"),
            accept_new_options=True,
            key="foreign_base",
        )
        name = left.text_input(t("page.foreign.name"), help=t("page.foreign.name.help"), key="foreign_name")
        system = right.text_input(
            t("page.foreign.system"), help=t("page.foreign.system.help"), key="foreign_system"
        )
        with st.container(horizontal=True, key="foreign_actions"):
            prove = st.form_submit_button(t("page.foreign.prove"), icon=":material/fact_check:")
            heal = kind == "adapter" and st.form_submit_button(
                t("page.foreign.heal"), icon=":material/healing:", help=t("page.foreign.heal.help")
            )
    if prove or heal:
        given = {kind: Path(folder.strip()), "system": system.strip() or None}
        with shown_errors():
            if folder.strip().startswith(("/", "~")) and base and name.strip():
                _start(workspace, ForeignRequest(base, name, **given), "heal" if heal else "prove")
            else:
                st.warning(t("page.foreign.nothing_given"))


def _start(workspace: Workspace, request: ForeignRequest, command: Command) -> None:
    place, spec = plan(workspace, request, command)
    with suppress(JobRunning):
        launch(place.job(command), spec)
    st.rerun()


def _show(workspace: Workspace, place: ForeignPaths, found: dict[str, Any]) -> None:
    """One result: the shares with their intervals, what should be known, every answer as a file."""
    tested = {"tuned": found} if "answers" in found else {}
    tested |= {key: found[key] for key in ("before", "after") if found.get(key)}
    scores = {key: score_in(found["name"], one["answers"]) for key, one in tested.items()}
    with st.container(border=True, key=f"foreign {place.id}"):
        st.markdown(f"**{plain(found['name'])}** · {plain(found['adapter'] or found['merged'])}")
        rows = [[spoken(f"runs.{m}"), *(_told(getattr(one, m)) for one in scores.values())] for m in MEASURES]
        head = ["", *(spoken(f"foreign.{key}") for key in scores)]
        st.markdown("\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)))
        st.caption(t("proof.brackets"))
        if "tried" in found:
            st.success(_healed(found), icon=":material/healing:")
        for note in found["notes"]:
            st.caption(t(note["key"], **note["values"]))
        with st.container(horizontal=True, key=f"foreign_of {place.id}"):
            st.download_button(
                t("page.foreign.answers"),
                place.result.read_bytes(),
                f"{place.id}.json",
                "application/json",
                icon=":material/download:",
                key=f"answers {place.id}",
            )
            again = found["adapter"] and "tried" not in found
            if again and st.button(t("page.foreign.heal"), icon=":material/healing:", key=f"heal {place.id}"):
                system = found["system"]
                request = ForeignRequest(found["base"], found["name"], Path(found["adapter"]), system=system)
                _start(workspace, request, "heal")


def _told(share: Share) -> str:
    return telling.share(share, form=telling.FINE_PERCENT)


def _healed(found: dict[str, Any]) -> str:
    if not found["healed"]:
        return t("foreign.healed.not")
    how = "trained" if found["trained"] else "scale"
    return t(f"foreign.healed.{how}", scale=f"{found['scale']:g}", folder=found["healed"])

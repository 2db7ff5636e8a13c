"""What a person wants: whose assistant, in which languages, made from which model; and the one button."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

import streamlit as st

from core.data.identity import LANGUAGES, LONGEST_NAME, IdentityLanguage
from core.errors import TuneboardError
from core.machine import slowdown
from core.pace import Cost, about, whole
from core.pipeline import chain
from core.pipeline.queued import Turns
from core.pipeline.took import ANYBODY, costs_of
from core.pipeline.tune_request import TuneRequest
from core.queue.cards import computing
from core.runs import read_run
from core.slurm.profile import Profile
from core.steps.busy import busy_now, kept_just_now
from core.steps.health import Symptom
from core.workspace.paths import RunPaths, Workspace
from core.workspace.user import user_name
from ui.data.dropped import dropped_file, dropped_language
from ui.data.spoken import wanted_of
from ui.jobs.cluster import choose_where
from ui.models.base import BaseChoice, choose_base, newest_runs, take, take_starter, warn_of_language
from ui.models.default_prompt import choose_default
from ui.models.reached import refused_now, show_refused_now
from ui.runs.chain import choose_auto_resume
from ui.shell.frame import follow, open_new, shown_errors, starting
from ui.shell.text import Markdown, language, t

# Seconds between two looks at what others do, as of every part of a page (ui.shell.frame.follow).
LOOK_EVERY = 5.9


def wish_card(workspace: Workspace, turns: Turns | None) -> None:
    """The card; what it asks for is started and opened. ``turns``: who has devices and who waits, where the
    page has looked already."""
    with st.container(border=True, key="wish_card"):
        name = _name()
        below_name = st.container()
        spoken = _language()
        wanted = wanted_of(spoken, dropped_language(workspace))
        above_file = st.container()
        given = dropped_file(workspace)
        left_out = given.file is not None  # as was said
        asked_for = replace(ANYBODY, data=given.file, language=spoken, leave_out_broken=left_out)
        asked_for = replace(asked_for, document=given.document, reading=given.reading)
        with above_file:
            base = choose_base(workspace, wanted, asked_for)
            template = choose_default(workspace, base.model, "wish_default")
        asked_for = replace(asked_for, model=base.model, template=template)
        request = replace(asked_for, name=name)
        st.caption(t("page.start.promise"))
        with st.container(horizontal=True, vertical_alignment="center", key="wish_start"):
            asked = st.button(
                t("page.start.make"), key="wish_make", type="primary", icon=":material/auto_awesome:"
            )
            if costs := _costs(workspace, asked_for, newest_runs(workspace)):
                with st.container(width="content"):
                    _time_here(workspace, costs, turns)
        below_button = st.container()
        warn_of_language(workspace, base.offer, wanted, take, fetches=True)
        # Behind the button, which is four stops of the keyboard from the name.
        request = replace(request, auto_resume=choose_auto_resume("wish_auto_resume"))
        profile = choose_where(workspace, "wish_where")
    if asked:
        # What is wrong is said beside what it is about.
        with below_button if name.strip() else below_name:
            if profile or not name.strip() or not _refused(workspace, base):
                _make(workspace, request, profile)


def _refused(workspace: Workspace, base: BaseChoice) -> bool:
    """Whether the model would have to be fetched and cannot be; then that is said, and no run is made."""
    if base.offer is None or not refused_now(workspace, base.offer):
        return False
    show_refused_now(base.offer.entry, take_starter)
    return True


def _name() -> str:
    return st.text_input(
        t("page.start.name"),
        key="wish_name",
        max_chars=LONGEST_NAME,
        placeholder=t("page.start.name.example"),
        persist_state="session",
    )


def _language() -> IdentityLanguage | None:
    """None for all of them."""
    labels = {known: t(f"page.start.language.{known}") for known in ("both", *LANGUAGES)}
    chosen = st.segmented_control(
        t("page.start.language"),
        list(labels),
        key="wish_language",
        format_func=labels.__getitem__,
        default="both",
        required=True,
        persist_state="session",
    )
    return next((known for known in LANGUAGES if known == chosen), None)


def _time_here(workspace: Workspace, costs: Mapping[str, Cost], turns: Turns | None) -> None:
    """How long a chain takes here on a machine left alone, when it begins, and whether others work beside it
    now: that comes and goes while the card is filled in."""

    first = [turns] if turns else []
    known = "train" not in costs or costs["train"].measured
    unsure = [] if known else [t("page.start.unmeasured")]

    def look() -> tuple[str, bool, Symptom | None]:
        now = first.pop() if first else Turns(workspace)
        another = now.is_another_before
        return now.next_told, another, None if another else busy_now(workspace)

    def draw(said: tuple[str, bool, Symptom | None]) -> None:
        waits, another, busy = said
        takes = t("row.separator").join(
            filter(None, (t("page.start.takes", time=about(whole(costs))), waits))
        )
        others = [t(busy.key, **busy.values), _if_it_stays(costs)] if busy else []
        if another:
            others = [t("queue.yours", device=Markdown(t(f"queue.device.{computing().kind}")))]
        st.caption("  \n".join([takes, *unsure, *others]))

    follow(
        look=look,
        draw=draw,
        mark=lambda _: None,
        every=lambda _: LOOK_EVERY,
    )


def _if_it_stays(costs: Mapping[str, Cost]) -> str:
    """How long a chain takes where others go on taking what they take now."""
    return t("page.start.takes_so", time=about(slowdown(kept_just_now()) * whole(costs)))


@st.cache_data(show_spinner=False, max_entries=64, ttl=60)
def _costs(
    _workspace: Workspace,
    request: TuneRequest,
    newest: tuple[str, ...],  # noqa: ARG001
) -> dict[str, Cost]:
    with suppress(TuneboardError):
        return costs_of(_workspace, request)
    return {}


def _make(workspace: Workspace, request: TuneRequest, profile: Profile | None) -> None:
    # Read before and only appended to after: the second press of a double click ends this script at its
    # next word to Streamlit, and must find what was started.
    started: list[RunPaths] = st.session_state.setdefault("started", [])
    with shown_errors():
        with starting():
            run = on_its_way(started, request.name)
            if run is None:
                run = chain.start(workspace, request, user_name(), language(), profile)
                started.append(run)
        open_new(run)
        st.rerun()


def on_its_way(started: Iterable[RunPaths], name: str) -> RunPaths | None:
    """The run this person started for that name, as long as it lives."""
    title = " ".join(name.split())
    return next(
        (run for run in reversed([*started]) if chain.is_live(run) and read_run(run).title == title), None
    )

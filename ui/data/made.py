"""A data set made step by step: choose it, add to it by a recipe, review drafts, go back to any version."""

from pathlib import Path

import streamlit as st

from core.data.drafts import read_drafts
from core.data.sets import SetPaths, made_sets
from core.data.versions import Made, Version, go_to, make_set, read_set, rows_file, undo
from core.workspace.paths import Workspace
from ui.data.made_recipes import RECIPES
from ui.data.review import review
from ui.jobs.step import Work, follow_unless_done
from ui.shell.frame import shown_errors
from ui.shell.text import t

LONGEST_NAME = 60
MOST_SHOWN = 50


def made_data(workspace: Workspace) -> Path | None:
    """The rows of the chosen data set; None while there are none."""
    place = choose_set(workspace)
    if place is None:
        return None
    with st.container(border=True, key="made"), shown_errors():
        busy = follow_unless_done(Work("made", place.job, {"base": place.asking}))
        made = read_set(place)
        show_now(place, made)
        show_recipes(workspace, place, busy)
        review(place)
        show_versions(place, made)
    return rows_file(place)


def choose_set(workspace: Workspace) -> SetPaths | None:
    """One of the sets there are, or a new one by its name."""
    known = {read_set(place).name: place for place in made_sets(workspace)}
    if (new := st.session_state.pop("made_chosen", None)) in known:
        st.session_state["made_set"] = new
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            t("made.set"), list(known), key="made_set", persist_state="session", placeholder=t("made.none")
        )
        with st.popover(t("made.new"), icon=":material/add:", key="made_new"):
            name = st.text_input(t("made.name"), max_chars=LONGEST_NAME, key="made_name")
            if st.button(t("made.make"), type="primary", key="made_make") and name.strip():
                place = make_set(workspace, name.strip())
                st.session_state["made_chosen"] = read_set(place).name
                st.rerun()
    return known.get(chosen) if chosen else None


def show_recipes(workspace: Workspace, place: SetPaths, busy: bool) -> None:
    recipe = st.segmented_control(
        t("made.add"),
        list(RECIPES),
        format_func={name: t(f"made.recipe.{name}") for name in RECIPES}.__getitem__,
        default=next(iter(RECIPES)),
        required=True,
        key="made_recipe",
        persist_state="session",
    )
    st.caption(t(f"made.recipe.{recipe}.help"))
    RECIPES[recipe](workspace, place, busy)


def show_now(place: SetPaths, made: Made) -> None:
    """How many rows count, how many drafts wait, and the step that can be undone."""
    current = made.current
    with st.container(horizontal=True, vertical_alignment="center", key="made_now"):
        rows = current.rows if current else 0
        waiting = sum(draft.state == "new" for draft in read_drafts(place))
        st.markdown(t("made.now", rows=f"{rows:,}", waiting=waiting), width="content")
        if current and st.button(
            t("made.undo"), icon=":material/undo:", key=f"made_undo {place.root.name} {current.number}"
        ):
            undo(place)
            st.rerun()


def show_versions(place: SetPaths, made: Made) -> None:
    """What was done, the newest first; each can be gone back to."""
    if not made.versions:
        return
    versions = st.expander(
        t("made.versions", count=len(made.versions)), key="made_versions", on_change="rerun"
    )
    if versions.open:
        with versions:
            for version in reversed(made.versions[-MOST_SHOWN:]):
                show_version(place, version, version == made.current)


def show_version(place: SetPaths, version: Version, counts: bool) -> None:
    with st.container(
        horizontal=True, vertical_alignment="center", key=f"version {place.root.name} {version.number}"
    ):
        operation = t(f"made.operation.{version.operation}")
        mark = ":material/arrow_forward: " if counts else ""
        said = t("made.line", operation=operation, rows=f"{version.rows:,}", time=version.made_at[:19])
        st.markdown(f"{mark}`{version.digest[:8]}` {said}", width="stretch")
        if not counts and st.button(t("made.go_to"), key=f"go to {place.root.name} {version.number}"):
            go_to(place, version.digest)
            st.rerun()

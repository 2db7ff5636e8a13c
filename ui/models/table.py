"""The workspace's models: what each is, whether it can be trained, and taking in another one."""

from contextlib import suppress
from typing import Any

import streamlit as st

from core.cli.requests import plan_again
from core.errors import JobRunning, NoSuchSource
from core.jobs.job import JobPaths
from core.jobs.launch import launch
from core.jobs.status import State, status_of
from core.model_store import importing
from core.model_store.importing import IMPORT, ImportRequest, Listed
from core.models.catalog import find
from core.models.folder import stamp_of
from core.models.hubs import HUBS, source_of
from core.steps import download, import_model
from core.steps.step import counted, megabytes
from core.workspace.files import Stamp
from core.workspace.import_paths import ImportPaths, imports
from core.workspace.paths import Workspace
from ui.jobs.panel import is_live
from ui.jobs.step import Work, begin, follow_work
from ui.models.delete import offer_deleting
from ui.shell.danger import danger_button
from ui.shell.frame import shown_errors
from ui.shell.text import language, t

FOLDER = "folder"


def models_section(workspace: Workspace) -> None:
    """Imports at work, and behind an expander the list and the form."""
    with shown_errors():
        unfinished = [found for paths in imports(workspace) if (found := _work(paths))]
        for paths, work in unfinished:
            _show_import(workspace, paths, work)
        models = known_models(workspace)
        title = t("frame.counted", name=t("page.models.title"), count=len(models))
        section = st.expander(title, icon=":material/database:", key="models", on_change="rerun")
        if section.open:
            with section:
                st.caption(t("page.models.lead") if models else t("page.models.none"))
                if models:
                    _table(models)
                    offer_deleting(workspace, models)
                _form(workspace)


def known_models(workspace: Workspace) -> list[Listed]:
    """Every model of the workspace; looked at again when one came, went or changed."""
    stamps = tuple((str(folder), stamp_of(folder)) for folder in workspace.model_folders())
    return _listed(str(workspace.root), stamps, language())


@st.cache_data(show_spinner=False, max_entries=8)
def _listed(root: str, stamps: tuple[tuple[str, Stamp], ...], spoken: str) -> list[Listed]:  # noqa: ARG001
    return importing.list_models(Workspace.of(root))


def _table(models: list[Listed]) -> None:
    st.dataframe(
        [_row(model) for model in models],
        hide_index=True,
        column_config={
            name: st.column_config.TextColumn(t(f"models.{name}"))
            for name in ("name", "architecture", "parameters", "size", "template", "trainable")
        },
        key="model_table",
        alt=t("page.models.title"),
    )


def _row(model: Listed) -> dict[str, Any]:
    able = f"✓ {t('models.yes')}" if model.trainable else f"✗ {model.why}"
    return {
        "name": model.name,
        "trainable": able,
        "architecture": model.architecture or "–",
        "parameters": counted(model.parameters) if model.parameters else "–",
        "size": megabytes(model.size) if model.size else "–",
        "template": model.template or "–",
    }


def _form(workspace: Workspace) -> None:
    st.markdown(f"**{t('page.models.import')}**")
    places = (*HUBS, FOLDER)
    place = st.segmented_control(
        t("page.models.from"),
        places,
        format_func={known: t(f"page.models.from.{known}") for known in places}.__getitem__,
        default=places[0],
        required=True,
        key="model_place",
        persist_state="session",
    )
    left, right = st.columns([2, 1])
    given = left.text_input(
        t("page.models.folder") if place == FOLDER else t("page.models.repo"),
        placeholder="/data/models/…" if place == FOLDER else t("page.models.repo.example"),
        help=t("page.models.source.help"),
        key=f"model_source_{place}",
        persist_state="session",
    )
    name = right.text_input(t("page.models.name"), key="model_name", persist_state="session")
    copy = place == FOLDER and st.toggle(
        t("page.models.copy"), help=t("page.models.copy.help"), key="model_copy"
    )
    if st.button(t("page.models.start"), icon=":material/download:", key="model_import"):
        with shown_errors():
            _start(workspace, place, given, name, copy)


def _start(workspace: Workspace, place: str, given: str, name: str, copy: bool) -> None:
    if not given.strip():
        st.warning(t("page.models.no_source"))
        return
    hub = next((hub for hub in HUBS if hub == place), None)
    if hub and (listed := find(given)):
        request = importing.listed_request(listed, hub, name.strip() or None)
    else:
        source = source_of(given, hub)
        if place == FOLDER and source.hub:
            raise NoSuchSource(source=given)
        request = ImportRequest(source, name.strip() or None, copy)
    paths, spec = importing.plan(workspace, request)
    with suppress(JobRunning):  # the second press of a double click finds the first one's job
        launch(paths.job(IMPORT), spec, download.secrets())
    st.rerun()


def _work(paths: ImportPaths) -> tuple[ImportPaths, Work] | None:
    """An import that a page started and that has not ended well yet."""
    job = paths.job(IMPORT)
    status = status_of(job)
    if status is None or status.state is State.finished:
        return None
    steps = (download.STEP, import_model.STEP)
    parts = {step: paths.job(step) for step in steps if JobPaths(paths.job(step)).holds_a_job}
    return paths, Work(f"{IMPORT} {paths.model.name}", job, parts, lambda: importing.far(paths))


def _show_import(workspace: Workspace, paths: ImportPaths, work: Work) -> None:
    st.markdown(t("page.models.importing", name=paths.model.name))
    follow_work(work)
    if is_live(work.status):
        return
    with st.container(horizontal=True, key=f"import_actions {paths.model.name}"):
        if st.button(t("page.models.again"), icon=":material/refresh:", key=f"again {paths.model.name}"):
            begin(work.folder, plan_again(workspace, work.folder), download.secrets())
        if danger_button(
            t("page.models.discard"),
            f"discard {paths.model.name}",
            ":material/delete:",
            help_text=t("page.models.discard.help"),
        ):
            importing.discard(paths)
            st.rerun()

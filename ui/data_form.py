"""The form that asks for data: identity conversations, a file, or what an earlier run was taught."""

import json
from pathlib import Path

import streamlit as st

from core.data.identity import LANGUAGES, LONGEST_NAME
from core.data.upload import keep_upload
from core.errors import TuneboardError
from core.paths import RunPaths, Workspace
from core.runs import read_run
from core.steps.data import about_data
from core.steps.step import counted
from core.tune import Wish
from ui.frame import shown_errors
from ui.model_list import known_models
from ui.text import t

SOURCES = ("identity", "upload", "earlier")
EARLIER_RUNS = 50
EXAMPLE = json.dumps([{"conversation": [{"input": "…", "output": "…"}]}], ensure_ascii=False)


def data_form(workspace: Workspace) -> Wish | None:
    """What is asked for, once the button was pressed."""
    source = st.segmented_control(
        t("page.data.from"),
        SOURCES,
        format_func={known: t(f"page.data.{known}") for known in SOURCES}.__getitem__,
        default=SOURCES[0],
        required=True,
        key="data_source",
        persist_state="session",
    )
    spoken = file = None
    if source == "identity":
        st.caption(t("page.data.identity.help"))
    else:
        file = uploaded(workspace) if source == "upload" else earlier(workspace)
    left, right = st.columns(2)
    with left:
        name = st.text_input(
            t("page.data.name"),
            max_chars=LONGEST_NAME,
            help=t("page.data.name.help"),
            key="data_name",
            persist_state="session",
        )
        system = st.text_input(t("page.data.system"), key="data_system", persist_state="session")
    with right:
        model = choose_model(workspace)
        if source == "identity":
            languages = {known: t(f"page.start.language.{known or 'both'}") for known in (None, *LANGUAGES)}
            spoken = st.selectbox(
                t("page.start.language"),
                list(languages),
                format_func=languages.__getitem__,
                key="data_language",
                persist_state="session",
            )
    replay = st.toggle(
        t("page.data.replay"),
        value=True,
        help=t("page.data.replay.help"),
        key="data_replay",
        persist_state="session",
    )
    asked = st.button(t("page.data.make"), type="primary", icon=":material/dataset:", key="data_make")
    if asked and source != "identity" and file is None:
        st.warning(t("page.data.need_file"))
        return None
    return Wish(name, file, model, replay, system=system, language=spoken) if asked else None


def uploaded(workspace: Workspace) -> Path | None:
    """A file of the person's own, checked at once; it is kept when the page is left and come back to."""
    limit = st.get_option("server.maxUploadSize")
    file = st.file_uploader(
        t("page.data.file", limit=limit),
        type=["json", "jsonl"],
        help=t("page.data.file.help", example=f"`{EXAMPLE}`"),
        key="data_file",
    )
    known = st.session_state.get("data_upload")
    if file is not None and (known is None or known[0] != file.file_id):
        st.session_state.pop("data_upload", None)
        with shown_errors():
            kept = keep_upload(workspace, file.getvalue(), file.name)
            st.session_state["data_upload"] = (file.file_id, file.name, kept)
    if known := st.session_state.get("data_upload"):
        _, name, kept = known
        st.caption(t("page.data.file.read", count=kept.conversations, name=name))
        return workspace.upload(kept.digest)
    return None


def earlier(workspace: Workspace) -> Path | None:
    """What an earlier run was taught."""
    runs = [run for f in workspace.run_folders()[:EARLIER_RUNS] if (run := RunPaths(f)).data.exists()]
    if not runs:
        st.caption(t("page.data.none_earlier"))
        return None
    chosen = st.selectbox(
        t("page.data.choose"),
        runs,
        format_func=lambda run: f"{read_run(run).title} ({run.id[:15]})",
        key="data_earlier",
    )
    try:
        return Path(about_data(chosen)["source"])
    except TuneboardError:
        return None


def choose_model(workspace: Workspace) -> str | None:
    """The starter, or another model of the workspace that can be trained."""
    others = [model for model in known_models(workspace) if model.trainable and model.name != "starter"]
    labels = {"": t("page.data.starter")}
    labels |= {model.name: f"{model.name} · {counted(model.parameters)}" for model in others}
    chosen = st.selectbox(
        t("page.data.model"),
        list(labels),
        format_func=labels.__getitem__,
        help=t("page.data.model.help"),
        key="data_model",
        persist_state="session",
    )
    return chosen or None

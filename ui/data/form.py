"""The form that asks for data: identity conversations, a file, or what an earlier run was taught."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.data.identity import LANGUAGES, LONGEST_NAME, IdentityLanguage
from core.data.mix import LEAST_REPLAY_SHARE, REPLAY_SHARE
from core.data.opening import Reading
from core.data.upload import Upload, file_of, keep_file, keep_upload
from core.errors import InputError, TuneboardError
from core.pipeline.tune_request import TuneRequest
from core.steps.data import about_data
from core.workspace.data_paths import inbox, inbox_files
from core.workspace.paths import RunPaths, Workspace
from ui.data.documents import KEPT as DOCUMENT
from ui.data.documents import NAME, SOURCE, choose_document
from ui.data.file import UPLOAD, data_file, take_upload
from ui.data.made import made_data
from ui.data.newest import FROM_START
from ui.data.parity import choose_template
from ui.data.removing import removable, when_emptied
from ui.data.spoken import language_of_file, wanted_of
from ui.data.unsaved import keep_changes
from ui.models.choose import choose_model, warn_of_model
from ui.shell.frame import go_to, link_to, run_labels, shown_errors
from ui.shell.text import Markdown, plain, t, told_again

SOURCES = ("identity", "documents", "upload", "made", "earlier")
LANGUAGE = "data_language"
# Whose assistant it is is taught alone, or beside a document, in the languages that are chosen.
WITH_IDENTITY = ("identity", "documents")
# The base model that was chosen, by its key.
MODEL = "data_model"
EARLIER_RUNS = 50
# The switch that leaves broken rows out of the training, by its key.
LEAVE_OUT = "data_leave_out"
# Why the chosen file cannot be opened, and where it was chosen.
REFUSED = "data_refused"
EXAMPLE = json.dumps([{"conversation": [{"input": "…", "output": "…"}]}], ensure_ascii=False)


def data_form(workspace: Workspace) -> TuneRequest | None:
    """What is asked for, once the button was pressed."""
    reading, leave_out = Reading(), False
    if FROM_START in st.session_state:
        link_to("start", t("page.data.to_start"), None, ":material/arrow_back:")
    source = _source()
    kept, file = _file(workspace, source)
    left, right = st.columns(2)
    name = _name(left)
    document = {"documents": True, "upload": False}.get(source)
    with right:
        spoken = _language() if source in WITH_IDENTITY else None
        wanted = wanted_of(spoken, language_of_file(workspace, file, document) if file else "")
        model = choose_model(workspace, MODEL, wanted)
    warn_of_model(workspace, MODEL, wanted)
    panel = st.container(border=True, key="data_file_panel") if kept else None
    more = st.expander(t("form.advanced"), icon=":material/tune:", key="data_more")
    system, replay = _system(more), _replay(more)
    template, reason = choose_template(workspace.model(model) if model else workspace.starter, more)
    if kept and panel:  # drawn above, read last: it is checked with what is chosen below it
        with panel, shown_errors():
            reading, fine = data_file(workspace, kept, model, template, name)
            leave_out = not fine and st.toggle(
                t("page.data.leave_out"),
                help=t("page.data.leave_out.help"),
                key=LEAVE_OUT,
                persist_state="session",
            )
    if not _pressed():
        return None
    if keep_changes():
        file = _changed(workspace, source, file)
    if source != "identity" and file is None:
        if source != "upload" or REFUSED not in st.session_state:  # else it is said what is wrong with it
            st.warning(t("page.data.need_file"))
        return None
    return TuneRequest(
        name,
        file,
        model,
        replay,
        system=system,
        language=spoken,
        template=template,
        template_reason=reason,
        reading=reading,
        leave_out_broken=leave_out,
        document=document,
    )


def _changed(workspace: Workspace, source: str, file: Path | None) -> Path | None:
    """The file that is taught after what was changed in its table was kept."""
    if source == "documents":
        kept: tuple[Path, str] = st.session_state[DOCUMENT]
        return kept[0]
    return file_of(workspace, st.session_state[UPLOAD]) if source == "upload" else file


def _pressed() -> bool:
    """Whether a run is to be made here. Who only came to look at a file goes back to where it is taught."""
    looks = FROM_START in st.session_state
    with st.container(horizontal=True, key="data_end"):
        if looks and st.button(
            t("page.data.to_start"), type="primary", icon=":material/arrow_back:", key="data_to_start"
        ):
            go_to("start", None)
        kind = "secondary" if looks else "primary"
        return st.button(t("page.data.make"), type=kind, icon=":material/dataset:", key="data_make")


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"


def _source() -> str:
    chosen: str = st.segmented_control(
        t("page.data.from"),
        SOURCES,
        format_func={known: t(f"page.data.{known}") for known in SOURCES}.__getitem__,
        default=SOURCES[0],
        required=True,
        key=SOURCE,
        persist_state="session",
    )
    return chosen


def _file(workspace: Workspace, source: str) -> tuple[Upload | None, Path | None]:
    """What was uploaded, and the file that is taught; for the identity there is neither."""
    if source == "identity":
        st.caption(t("page.data.identity.help"))
        return None, None
    if source == "documents":
        return None, choose_document(workspace, st.session_state.get(LANGUAGE) is None)
    if source == "upload":
        kept = uploaded(workspace)
        return kept, file_of(workspace, kept) if kept else None
    return None, made_data(workspace) if source == "made" else earlier(workspace)


def _name(place: DeltaGenerator) -> str:
    return place.text_input(
        t("page.data.name"),
        max_chars=LONGEST_NAME,
        help=t("page.data.name.help"),
        key=NAME,
        persist_state="session",
    )


def _system(place: DeltaGenerator) -> str:
    return place.text_input(t("page.data.system"), key="data_system", persist_state="session")


def _replay(place: DeltaGenerator) -> bool:
    return place.toggle(
        t("page.data.replay"),
        value=True,
        help=t("page.data.replay.help", least=_percent(LEAST_REPLAY_SHARE), most=_percent(REPLAY_SHARE)),
        key="data_replay",
        persist_state="session",
    )


def _language() -> IdentityLanguage | None:
    languages: dict[IdentityLanguage | None, str] = {
        known: t(f"page.start.language.{known or 'both'}") for known in (None, *LANGUAGES)
    }
    return st.selectbox(
        t("page.start.language"),
        list(languages),
        format_func=languages.__getitem__,
        key=LANGUAGE,
        persist_state="session",
    )


@contextmanager
def by_own_name(workspace: Workspace) -> Iterator[None]:
    """What is wrong with an uploaded file is said of the name it came with, not of where it is kept."""
    try:
        yield
    except InputError as error:
        known = st.session_state.get(UPLOAD)
        if known and error.values.get("path") == file_of(workspace, known):
            error.values["path"] = known.name
        raise


def uploaded(workspace: Workspace) -> Upload | None:
    """A file of the person's own; it is kept when the page is left and come back to."""
    limit, kept = st.get_option("server.maxUploadSize"), (UPLOAD, "data_seen")
    file = st.file_uploader(
        t("page.data.file", limit=limit),
        help=t("page.data.file.help", example=Markdown(f"`{EXAMPLE}`")),
        key="data_file",
        on_change=when_emptied,
        args=("data_file", *kept),
    )
    if file is not None and is_new("uploaded", file.file_id):
        with refused_there("uploaded"):
            take_upload(keep_upload(workspace, file.getvalue(), file.name))
    show_refused("uploaded", file is not None)
    take_from_inbox(workspace)
    found: Upload | None = st.session_state.get(UPLOAD)
    if found and not st.session_state.get("data_inbox"):
        removable(found.name, "data_file", *kept)
    return found


@contextmanager
def refused_there(where: str) -> Iterator[None]:
    """Keep why a file cannot be opened for as long as it is chosen ``where`` it was: the page is drawn again
    at every press."""
    try:
        yield
    except Exception as error:
        st.session_state[REFUSED] = (where, error)


def show_refused(where: str, chosen: bool) -> None:
    """Why the file that is still ``chosen`` there cannot be opened."""
    refused = st.session_state.get(REFUSED)
    if refused is None or refused[0] != where:
        return
    if not chosen:
        del st.session_state[REFUSED]
        return
    with shown_errors():
        raise refused[1].with_traceback(None)


def is_new(where: str, what: str) -> bool:
    """Whether something else was chosen there than before: then the file before is put aside."""
    seen: dict[str, str] = st.session_state.setdefault("data_seen", {})
    new = seen.get(where) != what
    if new:
        st.session_state.pop(UPLOAD, None)
        st.session_state.pop(REFUSED, None)
    seen[where] = what
    return new


def take_from_inbox(workspace: Workspace) -> None:
    """A file that lies on this machine already: one is chosen, no path is typed."""
    files = {file.name: file for file in inbox_files(workspace)}
    if not files:
        show_refused("inbox", chosen=False)
        st.caption(t("page.data.inbox.help", folder=inbox(workspace)))
        return
    chosen = st.selectbox(
        t("page.data.inbox", folder=inbox(workspace)),
        ["", *files],
        format_func=lambda name: name or "–",
        key="data_inbox",
    )
    if chosen and is_new("inbox", chosen):
        with refused_there("inbox"), st.spinner(t("page.data.inbox.reading")):
            take_upload(keep_file(workspace, files[chosen]))
    show_refused("inbox", bool(chosen))


def earlier(workspace: Workspace) -> Path | None:
    """What an earlier run was taught."""
    newest = map(RunPaths, workspace.run_folders(newest=EARLIER_RUNS))
    runs = [run for run in newest if run.data.exists()]
    if not runs:
        st.caption(t("page.data.none_earlier"))
        return None
    labels = run_labels(runs)
    chosen = st.selectbox(
        t("page.data.choose"),
        runs,
        format_func=lambda run: labels[run.id],
        key=told_again("data_earlier", labels),
    )
    st.caption(plain(chosen.id))
    try:
        return Path(about_data(chosen)["source"])
    except TuneboardError:
        return None

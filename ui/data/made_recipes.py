"""The forms of the recipes that make a data set; what each does is a new version of it."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import streamlit as st

from core.chat.endpoint import KEY_VARIABLE, endpoint
from core.cli.data import DocumentsRequest, ReplayRequest, plan
from core.data import making
from core.data.documents.files import READERS
from core.data.identity import LANGUAGES, LONGEST_NAME
from core.data.mix import REPLAY_SHARE
from core.data.opening import read_conversations
from core.data.personas import MOST_PARAPHRASES, MOST_TURNS, persona, persona_conversations, shipped_roles
from core.data.sets import SetPaths, made_sets
from core.data.upload import file_of, keep_upload
from core.data.versions import read_set, rows_of
from core.errors import InvalidEndpoint
from core.jobs.environment import PROXIES, handed_over
from core.jobs.launch import launch
from core.workspace.files import change_record
from core.workspace.paths import Workspace, make_folder
from ui.models.choose import choose_model
from ui.shell.text import language, plain, t

SEED = 42


def identity(_: Workspace, place: SetPaths, busy: bool) -> None:
    left, right = st.columns(2)
    with left:
        name = st.text_input(t("page.data.name"), max_chars=LONGEST_NAME, key="made_who")
        roles = {known: names[language()] for known, names in shipped_roles().items()}
        role = st.selectbox(t("made.role"), list(roles), format_func=roles.__getitem__, key="made_role")
        own = st.text_input(t("made.own_role"), max_chars=LONGEST_NAME, key="made_own_role")
    with right:
        spoken = st.pills(
            t("page.start.language"),
            LANGUAGES,
            format_func={known: t(f"page.start.language.{known}") for known in LANGUAGES}.__getitem__,
            selection_mode="multi",
            default=LANGUAGES,
            key="made_languages",
        )
        more = st.slider(t("made.paraphrases"), 0, MOST_PARAPHRASES, 3, key="made_paraphrases")
        turns = st.slider(t("made.turns"), 1, MOST_TURNS, 2, help=t("made.turns.help"), key="made_turns")
    if _button("identity", busy):
        made = persona_conversations(persona(name, role, own), spoken or LANGUAGES, more, turns, SEED)
        settings = {"name": name, "persona": role, "role": own, "paraphrases": more, "turns": turns}
        making.grow(place, made, "identity", settings)
        st.rerun()


def documents(workspace: Workspace, place: SetPaths, busy: bool) -> None:
    files = st.file_uploader(
        t("made.documents", kinds=", ".join(READERS)),
        type=list(READERS),
        accept_multiple_files=True,
        key="made_files",
    )
    here = t("made.ask.here"), t("made.ask.elsewhere")
    asked = st.segmented_control(t("made.ask"), here, default=here[0], required=True, key="made_ask")
    count = st.slider(t("made.per_passage"), 1, 10, 3, key="made_per_passage")
    asked_of, secrets = _ask_here(workspace) if asked == here[0] else _ask_elsewhere()
    if _button("documents", busy) and files:
        kept = [_keep_document(workspace, place, file.name, file.getvalue()) for file in files]
        request = DocumentsRequest(place.root.name, tuple(kept), **asked_of, per_passage=count)
        launch(place.job, plan(workspace, request), secrets)
        st.rerun()


def _ask_here(workspace: Workspace) -> tuple[dict[str, str], dict[str, str]]:
    model = choose_model(workspace, "made_model")
    return ({"model": model} if model else {}), {}


def _ask_elsewhere() -> tuple[dict[str, str], dict[str, str]]:
    """The request's part, address and model, and its secrets: the key goes into the job's environment and
    nowhere else."""
    left, right = st.columns(2)
    url = left.text_input(t("made.url"), placeholder="https://example.org/v1", key="made_url")
    model = right.text_input(t("made.their_model"), key="made_their_model")
    key = st.text_input(t("made.key"), type="password", help=t("made.key.help"), key="made_key")
    try:
        named = endpoint(url, model, key).url if url else ""
    except InvalidEndpoint as error:
        st.error(plain(error.text(language())), icon=":material/link_off:")
        named = ""
    secrets = handed_over(KEY_VARIABLE, *PROXIES) | ({KEY_VARIABLE: key} if key else {})
    return {"endpoint": named, "endpoint_model": model}, secrets


def _keep_document(workspace: Workspace, place: SetPaths, name: str, content: bytes) -> Path:
    """A document under the hash of its content; what it was called is kept beside."""
    digest, kind = hashlib.sha256(content).hexdigest(), Path(name).suffix.lower().lstrip(".")
    path = workspace.upload(digest, kind)
    make_folder(path.parent, exist_ok=True)
    path.write_bytes(content)
    change_record(place.names, lambda known: known | {path.stem: name})
    return path


def replay(workspace: Workspace, place: SetPaths, busy: bool) -> None:
    model = choose_model(workspace, "made_replay_model")
    share = st.slider(t("made.share"), 0.1, 0.9, REPLAY_SHARE, 0.05, key="made_share")
    tokens = st.slider(t("made.tokens"), 8, 256, 24, 8, key="made_tokens")
    own = st.text_area(t("made.questions"), help=t("made.questions.help"), key="made_questions")
    if _button("replay", busy):
        file = _keep_document(workspace, place, "questions.txt", own.encode()) if own.strip() else None
        request = ReplayRequest(
            place.root.name, model or None, share=share, questions=file, tokens=tokens, seed=SEED
        )
        launch(place.job, plan(workspace, request))
        st.rerun()


def mix(workspace: Workspace, place: SetPaths, busy: bool) -> None:
    others = {read_set(other).name: other for other in made_sets(workspace) if other != place}
    chosen = st.multiselect(t("made.others"), list(others), key="made_others")
    file = st.file_uploader(t("made.other_file"), type=["json", "jsonl"], key="made_other_file")
    weight = st.number_input(t("made.weight.own"), 0.0, 1e6, 1.0, key="made_weight")
    names = [*chosen, *([file.name] if file else [])]
    weights = [
        st.number_input(t("made.weight", name=name), 0.0, 1e6, 1.0, key=f"weight {name}") for name in names
    ]
    rows = st.number_input(t("made.mix_rows"), min_value=1, value=None, key="made_rows")
    if _button("mix", busy or not names):
        parts = [rows_of(others[name]) for name in chosen]
        if file:
            kept = keep_upload(workspace, file.getvalue(), file.name)
            parts.append(read_conversations(file_of(workspace, kept)))
        settings = {"from": [list(pair) for pair in zip(names, weights, strict=True)], "weight": weight}
        weighted = [*zip(parts, weights, strict=True)]
        making.mix_in(place, weighted, weight, int(rows) if rows else None, SEED, settings)
        st.rerun()


def split(_: Workspace, place: SetPaths, busy: bool) -> None:
    share = st.slider(t("made.held_back"), 0.05, 0.5, 0.1, 0.05, key="made_held_back")
    if _button("split", busy):
        making.split_off(place, share, SEED)
        st.rerun()


def dedupe(_: Workspace, place: SetPaths, busy: bool) -> None:
    if _button("dedupe", busy):
        making.drop_duplicates(place)
        st.rerun()


def _button(recipe: str, disabled: bool) -> bool:
    return st.button(
        t(f"made.do.{recipe}"), type="primary", icon=":material/add:", disabled=disabled, key=f"made_{recipe}"
    )


Recipe = Callable[[Workspace, SetPaths, bool], None]
RECIPES: Mapping[str, Recipe] = {
    "identity": identity,
    "documents": documents,
    "replay": replay,
    "mix": mix,
    "split": split,
    "dedupe": dedupe,
}

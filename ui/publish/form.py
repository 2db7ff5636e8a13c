"""What is published, where to, and with whose token: what the Publish page asks."""

from pathlib import Path

import streamlit as st

from core.errors import NoFolderNamed, NothingChosen
from core.publish import bundle, disks, publish, takes, tokens
from core.publish.deliver import destination
from core.publish.facts import Facts
from core.publish.hub import PAGES
from core.publish.licences import is_hub_id
from core.publish.request import (
    QUANTS,
    SHARD,
    TOS,
    TWO_KEYS,
    PublishRequest,
    Quant,
    To,
    What,
    by_client,
)
from core.publish.starters import memory_to_chat
from core.steps import export
from core.steps.step import megabytes
from core.workspace.paths import RunPaths
from ui.shell.danger import danger_button
from ui.shell.frame import list_key
from ui.shell.text import Markdown, spoken, t, told_again

SHARDS = ("500MB", SHARD, "5GB")
WARNINGS = {"conditions": st.warning, "unknown": st.warning, "no": st.error}
ICON = ":material/gavel:"
HERE = ("folder", "zip")
# A folder that is typed in; no disk is called so, as theirs are whole paths.
OTHER = "other"
# By what most people want first.
USES: tuple[What, ...] = ("app", "gguf", "adapter", "merged")


def request_form(run: RunPaths, facts: Facts) -> PublishRequest:
    """Ask what and where; the choices stay when the page is left. Raises NothingChosen, NoFolderNamed,
    PlaceRefused."""
    what, to = _what(run, facts), _to()
    name = facts.base.id or facts.base.name
    licence = t(f"page.publish.licence.{facts.base.allows}", base=name, licence=facts.base.licence)
    if facts.base.allows == "yes":
        st.caption(f"{ICON} {licence}")
    else:
        WARNINGS[facts.base.allows](licence, icon=ICON)
    into = _place(run, what) if to == "folder" else ""
    if to == "zip":
        made = destination(run.workspace, run, PublishRequest(what, to))
        st.caption(t("page.publish.zip.name", file=made.name))
    repo, public = _repository(to, what) if to not in HERE else ("", False)
    shard, quants, base = _details(run, what, facts)
    return PublishRequest(
        what=what,
        to=to,
        into=into,
        repo=repo,
        public=public,
        base=base if is_hub_id(base) else None,
        shard=shard,
        quants=quants,
        dry_run=by_client(what, to) and not is_hub_id(repo),
    )


def ready_to_send(request: PublishRequest) -> bool:
    """Whether nothing is missing; what is, is said."""
    if not by_client(request.what, request.to):
        return True
    if request.dry_run:
        st.caption(t("page.publish.need_repo"))
        return False
    if tokens.read(request.to) is None:
        st.caption(t("page.publish.need_token"))
        return False
    return True


def token_field(to: To) -> None:
    """The hub's token: asked once, never shown again."""
    hub = t(f"hub.{to}")
    if tokens.read(to) is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(t("page.publish.token.kept", hub=hub), width="content")
            if danger_button(t("page.publish.token.forget"), f"forget {to}"):
                tokens.forget(to)
                st.rerun()
        return
    with st.form(f"token {to}", clear_on_submit=True, border=False):
        help_text = t("page.publish.token.help", page=Markdown(PAGES[to]))
        given = [
            st.text_input(t(label, hub=hub), type="password", help=help_text, key=key).strip()
            for label, key in _secrets(to)
        ]
        kept = st.form_submit_button(t("page.publish.token.keep"), icon=":material/key:")
    if kept and all(given):
        tokens.keep(to, " ".join(given))
        st.rerun()


def _secrets(to: To) -> tuple[tuple[str, str], ...]:
    """What is asked for: the label's words, the field's key."""
    if to == TWO_KEYS:
        return ("page.publish.token.ak", f"access key of {to}"), (
            "page.publish.token.sk",
            f"secret key of {to}",
        )
    return (("page.publish.token", f"token of {to}"),)


def _what(run: RunPaths, facts: Facts) -> What:
    """What somebody wants to do with it decides what it has to be."""
    made = {artefact.kind for artefact in export.artefacts(run)}
    offered = [what for what in USES if ("adapter" if what == "adapter" else "merged") in made]
    base = facts.base.id or facts.base.name
    names = {what: t(f"page.publish.for.{what}") for what in offered}
    return st.radio(
        t("page.publish.what"),
        offered,
        format_func=names.__getitem__,
        captions=[
            t(
                f"page.publish.is.{what}",
                what=Markdown(f"**{t(f'page.publish.what.{what}')}**"),
                size=megabytes(publish.about(run, PublishRequest(what))),
                **({"base": base} if what == "adapter" else {}),
            )
            for what in offered
        ],
        key="publish_what",
        persist_state="session",
    )


def _to() -> To:
    return st.segmented_control(
        t("page.publish.to"),
        list(TOS),
        format_func=place_name,
        default="folder",
        required=True,
        key="publish_to",
        persist_state="session",
    )


def _place(run: RunPaths, what: What) -> str:
    """The folder that it is copied into: a disk's that is plugged in, or one of a person's own; empty for the
    workspace's. Raises PlaceRefused."""
    found = disks.disks(run.workspace)
    names = {"": t("page.publish.folder.here")} | {
        str(disk.folder): t("page.publish.folder.stick", name=disk.name, free=megabytes(disk.free))
        for disk in found
        if not disk.closed
    }
    names[OTHER] = t("page.publish.folder.other")
    plugged_in = [str(disk.folder) for disk in found if disk.plugged_in and not disk.closed]
    chosen = st.radio(
        t("page.publish.folder"),
        [*names],
        index=[*names].index(plugged_in[0]) if len(plugged_in) == 1 else 0,
        format_func=names.__getitem__,
        key=told_again(list_key("publish_into", names), names),
        horizontal=True,
        persist_state="session",
    )
    for disk in found:
        if disk.closed:
            st.caption(t("page.publish.folder.closed", name=disk.name, reason=disk.closed))
    if len(names) == len(("", OTHER)) and chosen != OTHER:
        st.caption(t("page.publish.folder.none"))
    folder = _own_folder(run) if chosen == OTHER else chosen
    at = destination(run.workspace, run, PublishRequest(what, into=folder))
    st.caption(t("page.publish.folder.where", folder=at))
    if folder:
        fast, slow = takes.written(run, PublishRequest(what))
        size = megabytes(publish.about(run, PublishRequest(what)))
        st.caption(t("page.publish.folder.takes", size=size, fast=fast, slow=slow))
    return folder


def _own_folder(run: RunPaths) -> str:
    """Raises PlaceRefused for what is no place to copy to, NoFolderNamed for nothing."""
    text = _text(
        "folder", "page.publish.folder.path", "/media/ada/KINGSTON", t("page.publish.folder.path.help")
    )
    if not text:
        raise NoFolderNamed()
    if not text.startswith(("/", "~")):
        raise disks.refused(Path(text), [spoken("place.relative")], run.workspace)
    return str(disks.chosen(text, run.workspace))


def place_name(to: To) -> str:
    """What a place to publish is called."""
    return t(f"page.publish.to.{to}" if to in HERE else f"hub.{to}")


def _repository(to: To, what: What) -> tuple[str, bool]:
    sent = by_client(what, to)
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    with left:
        repo = _text("repo", "page.publish.repo", "OWNER/NAME", t("page.publish.repo.help"))
    with right:
        public = sent and st.toggle(
            t("page.publish.public"),
            key="publish_public",
            help=t("page.publish.public.help"),
            persist_state="session",
        )
    if sent:
        if is_hub_id(repo):
            seen = "public" if public else "private"
            st.caption(t(f"page.publish.hub.{seen}", hub=t(f"hub.{to}"), repo=repo))
        token_field(to)
    return repo, public


def _text(name: str, label: str, placeholder: str, help_text: str | None = None) -> str:
    return st.text_input(
        t(label), key=f"publish_{name}", placeholder=placeholder, help=help_text, persist_state="session"
    ).strip()


def _details(run: RunPaths, what: What, facts: Facts) -> tuple[str, tuple[Quant, ...], str]:
    """How large a weight file may be, which GGUF files are made, and the base model's own repository."""
    shard, quants, base = SHARD, PublishRequest("merged").quants, ""
    in_pieces = what in {"merged", "app"}
    if in_pieces or not facts.base.id:
        box = st.expander(t("form.advanced"), icon=":material/tune:", key="publish_advanced")
    if what == "app":
        box.caption(t("page.publish.is.app.more", memory=memory_to_chat(bundle.ready(run, what))))
    if not facts.base.id:
        with box:
            base = _text("base", "page.publish.base", "OWNER/NAME", t("page.publish.base.help"))
    if in_pieces:
        with box:
            shard = st.select_slider(
                t("page.publish.shard"),
                SHARDS,
                SHARD,
                key="publish_shard",
                help=t("page.publish.shard.help"),
                persist_state="session",
                width=320,
            )
    if what == "gguf":
        quants = tuple(
            st.pills(
                t("page.publish.quants"),
                QUANTS,
                selection_mode="multi",
                default=list(quants),
                help=t("page.publish.quants.help"),
                key="publish_quants",
                persist_state="session",
            )
        )
        if not quants:
            raise NothingChosen()
    return shard, quants, base

"""Publish: what, where to, the card, a look at every file, the sending, and the proof of what arrived."""

import streamlit as st

from core.errors import InvalidOption, NoFolderNamed, NotForGguf, PlaceRefused
from core.pipeline import chain
from core.publish import command, llama_cpp, post, publish
from core.publish.facts import Facts, read_facts
from core.publish.request import PublishRequest
from core.steps import export, merge
from core.steps.step import megabytes
from core.workspace.paths import RunPaths, Workspace
from ui.jobs.step import begin
from ui.publish.form import ready_to_send, request_form
from ui.publish.panel import card_editor, describe, follow, show_bundle, show_places, work_of
from ui.publish.taken import in_the_way, is_made, is_sent
from ui.runs.result import show_outcome
from ui.shell.frame import link_to, need_run, open_page, shown_errors
from ui.shell.making import spoken_of
from ui.shell.text import t

# What the button does where nothing is sent to anybody.
GO = {"zip": "page.publish.go.zip", "folder": "page.publish.go.folder"}
ICONS = {"zip": ":material/folder_zip:", "folder": ":material/drive_file_move:"}


def publish_page(workspace: Workspace, run: RunPaths) -> None:
    if not export.artefacts(run):
        st.info(spoken_of(run, "page.publish.nothing"), icon=":material/info:")
        if not chain.is_live(run):
            link_to("merge", t("page.publish.to_merge"), run)
        return
    facts = read_facts(workspace, run)
    try:
        request = request_form(run, facts)
        if request.what == "gguf":
            llama_cpp.check(merge.read(run).folder)
    except (InvalidOption, NoFolderNamed, NotForGguf, PlaceRefused) as error:
        describe(error)
        return
    show_outcome(run)
    live = follow(run, request, facts)
    offer(workspace, run, request, facts, live)
    card_editor(run, request, facts)
    show_bundle(run, request)
    show_places(run)


def offer(workspace: Workspace, run: RunPaths, request: PublishRequest, facts: Facts, live: bool) -> None:
    """Look at everything first, or send it."""
    fits = room(workspace, run, request)
    complete = ready_to_send(request) and facts.base.allows != "no"
    with st.container(horizontal=True, key="actions"):
        label, icon = t(GO.get(request.to, "page.publish.go")), ICONS.get(request.to, ":material/publish:")
        kind = "secondary" if is_made(run, request) or is_sent(run, request) else "primary"
        if st.button(label, icon=icon, type=kind, disabled=live or not (complete and fits), key="publish"):
            begin(work_of(run).folder, command.plan(workspace, run, request), post.secrets())
        label, icon, help_text = (
            t("page.publish.prepare"),
            ":material/preview:",
            t("page.publish.prepare.help"),
        )
        if st.button(label, icon=icon, disabled=live, help=help_text, key="prepare"):
            begin(work_of(run).folder, command.plan(workspace, run, request.as_dry_run()))


def room(workspace: Workspace, run: RunPaths, request: PublishRequest) -> bool:
    """Say what is too full, here or where it is to go; whether it fits there."""
    space = publish.space(run, request)
    if not space.enough:
        needed, free = megabytes(space.needed), megabytes(space.free)
        st.warning(t("page.publish.no_room", needed=needed, free=free), icon=":material/hard_drive:")
    if not request.elsewhere:
        return True
    if refused := in_the_way(run, request):
        describe(refused)
        return False
    there = publish.space_there(workspace, run, request)
    if not there.enough:
        needed, free = megabytes(there.needed), megabytes(there.free)
        values = {"needed": needed, "free": free, "folder": request.into}
        st.warning(t("page.publish.no_room_there", **values), icon=":material/usb:")
    return there.enough


here = open_page("publish")
current = need_run(here, "publish")
with shown_errors():
    publish_page(here.workspace, current)

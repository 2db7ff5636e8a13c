"""What would be sent: the card, the files with their sizes, what should not leave, and the proof."""

import re
from contextlib import suppress
from datetime import datetime
from typing import Any

import streamlit as st

from core.cli.requests import read_call
from core.errors import NoFolderNamed, TuneboardError
from core.jobs.job import JobPaths
from core.jobs.status import State
from core.jobs.tail import last_lines
from core.publish import bundle, card, command
from core.publish.facts import Facts
from core.publish.places import read_places
from core.publish.request import PublishRequest
from core.runs import PUBLISH
from core.steps.step import megabytes
from core.wording import say
from core.workspace.files import write_text
from core.workspace.paths import RunPaths
from core.workspace.publish_paths import PublishPaths
from ui.jobs.panel import is_live
from ui.jobs.step import Work, follow_work
from ui.publish.form import HERE, place_name
from ui.publish.taken import is_there, show_taken
from ui.shell.danger import danger_button
from ui.shell.text import Markdown, as_markdown, language, plain, t

SENDING = ("send", "fetch", "arrival")
# What hubs read at the top of a card, in YAML.
_FRONT = re.compile(r"\A---.*?\n---\n", re.DOTALL)
_PROGRESS = re.compile(r"\[ *(\d+)%\] (.*)")


def work_of(run: RunPaths) -> Work:
    """The job that publishes, with the jobs that its request makes it start."""
    folder, parts = run.job(PUBLISH), list[str]()
    if request := asked_of(run):
        parts += ["gguf"] if request.what == "gguf" else []
        parts += SENDING if request.hub and not request.dry_run else ()
    jobs = {part: run.job(part) for part in parts}
    return Work("publish", folder, jobs, share=lambda: _share(run))


def asked_of(run: RunPaths) -> PublishRequest | None:
    """What the newest job was asked for; None where there is none yet, or nobody can say."""
    with suppress(TuneboardError):
        request: PublishRequest = read_call(run.job(PUBLISH))[1]
        return request
    return None


def is_about(asked: PublishRequest | None, request: PublishRequest) -> bool:
    """Whether a job that was ``asked`` is about what is chosen on the page now: it says nothing of anything
    else."""
    return asked is None or all(
        getattr(asked, name) == getattr(request, name) for name in ("what", "to", "repo", "into")
    )


def _share(run: RunPaths) -> tuple[float, str] | None:
    """How far the command is, by the last line that says so."""
    for line in reversed(last_lines(JobPaths(run.job(PUBLISH)).log, 60)):
        if match := _PROGRESS.match(line):
            return int(match[1]) / 100, match[2]
    return None


def card_editor(run: RunPaths, request: PublishRequest, facts: Facts) -> None:
    """The card as it is read; its file can be changed. Read only when it is looked at."""
    box = st.expander(t("page.publish.card"), icon=":material/description:", key="card", on_change="rerun")
    if not box.open:
        return
    own = PublishPaths(run).card(request.what)
    with box:
        if own.exists():
            st.info(t("page.publish.card.edited"), icon=":material/edit:")
        text = _text_of(run, request, facts)
        if st.toggle(t("page.publish.card.edit"), key="edit card"):
            text = _edit(run, request, text)
        with st.container(border=True, height=420, key="card text"):
            st.markdown(as_markdown(_FRONT.sub("", text)))


def _edit(run: RunPaths, request: PublishRequest, text: str) -> str:
    """The card's whole file, with what hubs read at its top; returns it as it is typed."""
    typed = st.text_area(
        t("page.publish.card.text"),
        text,
        height=420,
        key=f"card {request.what} {request.repo} {_stamp(run, request)}",
    )
    own = PublishPaths(run).card(request.what)
    with st.container(horizontal=True):
        if st.button(t("page.publish.card.save"), icon=":material/save:", key="save card"):
            _save(run, request, typed)
        if own.exists() and danger_button(t("page.publish.card.drop"), "drop card"):
            own.unlink()
            st.rerun()
    return typed


def _text_of(run: RunPaths, request: PublishRequest, facts: Facts) -> str:
    """Even a card that would be refused is shown: it is mended here."""
    own = PublishPaths(run).card(request.what)
    if own.exists():
        return own.read_text(encoding="utf-8", errors="replace")
    return card.write_card(facts, card.CardPage(request.what, request.repo))


def _save(run: RunPaths, request: PublishRequest, text: str) -> None:
    if wrong := card.check_card(text):
        st.error(t("error.card_refused", reason=wrong), icon=":material/error:")
        return
    write_text(PublishPaths(run).card(request.what), text)
    st.rerun()


def _stamp(run: RunPaths, request: PublishRequest) -> float:
    own = PublishPaths(run).card(request.what)
    return own.stat().st_mtime if own.exists() else 0.0


def show_bundle(run: RunPaths, request: PublishRequest) -> None:
    """The files with sizes, and what was found in them."""
    made = bundle.read_bundle(run, request.what)
    if made is None:
        return
    found = bundle.read_findings(run, request.what)
    if found:
        st.error(t("page.publish.not_clean"), icon=":material/privacy_tip:")
        st.dataframe(
            [{"": say(f"personal.{one.kind}", language(), file=one.file, text=one.text)} for one in found]
        )
    title = t("page.publish.files", count=len(made.files), size=megabytes(made.size))
    with st.expander(title, icon=":material/folder_zip:", key="bundle"):
        if not found:
            st.caption(t("page.publish.clean"))
        rows = [
            {t("file.name"): f.name, t("file.size"): megabytes(f.size), "SHA-256": f.sha256 or "–"}
            for f in made.files
        ]
        st.dataframe(rows, hide_index=True)


def follow(run: RunPaths, request: PublishRequest, facts: Facts) -> bool:
    """The job's panel with how far it is, and what came of the one that was about ``request``; whether one is
    at work."""
    work, asked = work_of(run), asked_of(run)
    status = work.status
    live = is_live(status)
    if live and asked and not is_about(asked, request):
        what, to = t(f"page.publish.what.{asked.what}"), place_name(asked.to)
        st.info(t("page.publish.another", what=Markdown(what), to=Markdown(to)), icon=":material/info:")
    if live or (status and status.state is not State.finished and is_about(asked, request)):
        follow_work(work)
    elif (
        status
        and is_about(asked, request)
        and (result := command.result_of(run))
        and (asked is None or is_there(run, request, result))
    ):
        show_result(result)
    if not live:
        show_taken(run, request, facts)
    return live


def show_result(result: dict[str, Any]) -> None:
    """Where it is now, and what was found of it."""
    if trials := result.get("llama_cpp"):
        show_trials(trials)
    if not result.get("sent"):
        st.success(t("page.publish.looked"), icon=":material/check_circle:")
        return
    key = f"page.publish.done.{result['to']}" if result.get("to") in HERE else "page.publish.done"
    st.success(t(key, where=_linked(result["where"])), icon=":material/check_circle:")
    if commands := result.get("next"):
        st.markdown(t("page.publish.by_git"))
        st.code(commands, "shell")
    if proof := result.get("proof"):
        show_proof(proof)


def _linked(where: str) -> str:
    """The page's address, to be opened; a folder's path as it is."""
    return Markdown(where) if re.fullmatch(r"https://[\w./~-]+", where, re.ASCII) else where


def show_trials(trials: list[dict[str, Any]]) -> None:
    """GGUF files as llama.cpp reads them."""
    st.caption(t("page.publish.llama"))
    rows = [
        {
            t("page.publish.llama.file"): one["file"],
            t("page.publish.llama.loaded"): one["loaded"],
            t("page.publish.llama.prompt"): one["same_prompt"],
            t("page.publish.llama.answer"): one["answer"],
        }
        for one in trials
    ]
    st.dataframe(rows, hide_index=True)


def show_proof(proof: dict[str, Any]) -> None:
    """What was fetched back, asked beside the model here."""
    if not proof["ok"]:
        st.error(t("page.publish.proof.bad"), icon=":material/error:")
    elif proof["exact"]:
        st.success(t("page.publish.proof.ok", files=proof["files"]), icon=":material/verified:")
    else:
        st.info(t("page.publish.proof.rounded", files=proof["files"]), icon=":material/verified:")
    rows = [
        {
            t("page.publish.proof.same"): row["same_prompt"] and row["same"],
            t("result.question"): row["question"],
            t("page.publish.proof.here"): row["here"],
            t("page.publish.proof.there"): row["there"],
        }
        for row in proof["rows"]
    ]
    if rows:
        st.dataframe(rows, hide_index=True)
    for name in proof["changed"]:
        st.code(name, language=None)


def show_places(run: RunPaths) -> None:
    """Where it is published, the newest first."""
    places = read_places(run)
    if not places:
        return
    title = t("page.publish.places", count=len(places))
    with st.expander(title, icon=":material/public:", key="places"):
        rows = [
            {
                t("page.publish.places.what"): t(f"page.publish.what.{place.what}"),
                t("page.publish.places.to"): place_name(place.to),
                t("page.publish.places.where"): place.where,
                t(
                    "page.publish.places.when"
                ): f"{datetime.fromisoformat(place.at).astimezone():%Y-%m-%d %H:%M}",
                t("page.publish.places.proved"): t(f"page.publish.places.proved.{place.ok}"),
            }
            for place in places
        ]
        st.dataframe(rows, hide_index=True)


def describe(error: TuneboardError) -> None:
    """A request that cannot be made yet, in a sentence."""
    show = st.info if isinstance(error, NoFolderNamed) else st.warning
    show(plain(error.text(language())), icon=":material/edit:")

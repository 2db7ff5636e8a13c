"""What was made to be taken along: where it is, what comes next, and what the other computer needs."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import streamlit as st

from core.errors import NoPlaceForIt, TuneboardError
from core.publish import bundle, disks, usage
from core.publish.deliver import destination, refuse_taken
from core.publish.facts import Facts
from core.publish.places import read_places
from core.publish.request import PublishRequest
from core.publish.starters import memory_to_chat
from core.steps import export
from core.steps.step import megabytes
from core.workspace.paths import RunPaths
from ui.publish.form import HERE
from ui.shell.download import address_of_zip
from ui.shell.text import t, together

# What has a page of its own that is opened first (core.publish.starters).
GUIDED = ("app", "gguf")


def taken(run: RunPaths, request: PublishRequest) -> tuple[Path, bool] | None:
    """What is chosen and made already, and whether it is of the newest model."""
    if request.to not in HERE or not (made := destination(run.workspace, run, request)).exists():
        return None
    return made, made.stat().st_mtime >= export.made_at(bundle.ready(run, request.what))


def is_there(run: RunPaths, request: PublishRequest, result: Mapping[str, Any]) -> bool:
    """Whether what a job has made stands where the page says that it is: a copy may have been deleted since,
    and the next one have another name."""
    if request.to not in HERE or not result.get("sent"):
        return True
    made = destination(run.workspace, run, request)
    return str(made) == result["where"] and made.exists()


def is_made(run: RunPaths, request: PublishRequest) -> bool:
    """Whether what is chosen is there already, of the newest model: nobody has to make it first."""
    found = taken(run, request)
    return found is not None and found[1]


def is_sent(run: RunPaths, request: PublishRequest) -> bool:
    """Whether the newest model went there already as it is chosen: onto a stick that was pulled out since,
    or to a hub."""
    made_at = int(export.made_at(bundle.ready(run, request.what)))  # a publishing is noted to the second
    return any(
        (one.what, one.to) == (request.what, request.to)
        and one.ok is not False
        and (request.to not in HERE or not Path(one.where).parent.exists())  # else it was deleted there
        and datetime.fromisoformat(one.at).timestamp() >= made_at
        for one in read_places(run)
    )


def in_the_way(run: RunPaths, request: PublishRequest) -> TuneboardError | None:
    """Why what is chosen cannot have the place that the page names; None where it can."""
    try:
        refuse_taken(destination(run.workspace, run, request), request)
    except NoPlaceForIt as error:
        return error
    return None


def show_taken(run: RunPaths, request: PublishRequest, facts: Facts) -> None:
    """What is chosen and made already, to be taken along: a zip through the browser, with the commands that
    run it."""
    if (found := taken(run, request)) is None:
        return
    made, newest = found
    with st.container(border=True, key="taken"):
        if not newest:
            st.warning(t("page.publish.older"), icon=":material/history:")
        if request.to == "zip":
            st.link_button(
                t("page.publish.download", size=megabytes(made.stat().st_size)),
                address_of_zip(run, request.what),
                type="primary" if newest else "secondary",
                icon=":material/download:",
                key="download zip",
            )
            st.caption(t("page.publish.download.then"))
        elif not _on_a_disk(run, request):
            st.markdown(t("page.publish.copied", folder=made))
        steps = enumerate(_next(run, request, made), 1)
        st.markdown("\n".join(f"{number}. {step}" for number, step in steps))
        _show_use(request, made.stem if request.to == "zip" else str(made), facts)


def _next(run: RunPaths, request: PublishRequest, made: Path) -> Iterator[str]:
    """What is done with it, one after the other."""
    name = made.stem if request.to == "zip" else made.name
    if request.to != "zip":
        key = "eject" if _on_a_disk(run, request) else "bring"
        yield t(f"page.publish.next.{key}", **({"name": name} if key == "bring" else {}))
    if request.what in GUIDED:
        unpacked = t("page.publish.run.unpack") if request.to == "zip" else ""
        yield together(unpacked, t("page.publish.next.open", name=name))
    if request.what == "app":
        yield t("page.publish.next.app", memory=memory_to_chat(bundle.ready(run, "app")))
    elif request.what == "gguf":
        yield t("page.publish.next.gguf")


def _on_a_disk(run: RunPaths, request: PublishRequest) -> bool:
    """Whether it was copied onto a disk that can be taken away."""
    return any(str(disk.folder) == request.into for disk in disks.disks(run.workspace))


def _show_use(request: PublishRequest, folder: str, facts: Facts) -> None:
    """What is done with it where it is to be used."""
    if request.what != "app":
        unpacked = t("page.publish.run.unpack") if request.to == "zip" else ""
        st.caption(together(unpacked, t(f"page.publish.run.{request.what}")))
    if lines := usage.to_run(request.what, folder, facts.name):
        st.caption(t("page.publish.run.ollama"))
        st.code(lines, "shell")

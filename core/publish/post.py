"""The jobs that speak with a hub, as publishing sees them: plan, follow, say what went wrong."""

import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from core.errors import HubRefused, NoToken, StepFailed
from core.jobs.environment import INDEXES, PROXIES, handed_over
from core.jobs.job import JobPaths, JobSpec
from core.jobs.request import as_record
from core.jobs.tail import last_lines
from core.publish.bundle import Bundle
from core.publish.hub import PAGES, Parcel
from core.publish.request import PublishRequest
from core.publish.send import REFUSAL, SENT
from core.steps.step import module_job, run_job
from core.steps.watch import Update
from core.wording import say
from core.workspace.files import read_json, read_record

ENDPOINTS = ("HF_ENDPOINT", "MODELSCOPE_ENDPOINT", "OPENXLAB_ENDPOINT", "OPENXLAB_OSS_ENDPOINT")
_SENT = re.compile(r"sent (\d+)/(\d+) ?(.*)")
_PERCENT = re.compile(r"(\d{1,3})%\|")


def parcel_of(bundle: Bundle, request: PublishRequest, licence: str, client: str = "") -> Parcel:
    """The bundle as it is sent, large files last: what is wrong with a repository shows with the first."""
    files = {file.name: file.size for file in sorted(bundle.files, key=lambda file: file.size)}
    files["SHA256SUMS"] = (bundle.folder / "SHA256SUMS").stat().st_size
    return Parcel(
        request.to, request.what, request.repo, request.public, licence, bundle.folder, files, client
    )


def check(job: Path, request: PublishRequest, client: str = "") -> str:
    """Who the kept token is; that it may write there. Raises as :func:`send` does."""
    parcel = Parcel(request.to, request.what, request.repo, request.public, "", job, {}, client)
    _run(job, parcel, "check", None)
    return str((read_json(job / SENT) or {}).get("user", ""))


def send(job: Path, parcel: Parcel, update: Update) -> str:
    """Send it and wait; the page's address. Raises NoToken, HubRefused, StepFailed, StepStopped."""
    _run(job, parcel, "send", _poll(job, parcel, update))
    return str((read_json(job / SENT) or {}).get("url", ""))


def fetch(job: Path, parcel: Parcel, target: Path) -> None:
    """Fetch what was sent into an empty folder. Raises as :func:`send` does."""
    _run(job, parcel, "fetch", None, str(target))


def plan(job: Path, parcel: Parcel, action: str, *target: str) -> JobSpec:
    """The job; it is the only one here that may speak with a hub."""
    env = {"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1", "PYTHONWARNINGS": "ignore"}
    spec = module_job("core.publish.send", job, action, *target, env={**env, **_transfer(os.environ)})
    return replace(spec, request=as_record(parcel), results=(SENT, REFUSAL))


def secrets() -> dict[str, str]:
    """What publishing gets of the environment's secrets; a hub's token is read where it is kept."""
    return handed_over(*PROXIES, *ENDPOINTS, *INDEXES)


def _transfer(given: Mapping[str, str]) -> dict[str, str]:
    """Hugging Face's own Xet, which goes on in the middle of a file, but not by a mirror, which has none;
    HF_HUB_DISABLE_XET decides where it is set."""
    if "HF_HUB_DISABLE_XET" in given or not given.get("HF_ENDPOINT"):
        return {}
    return {"HF_HUB_DISABLE_XET": "1"}


def _run(job: Path, parcel: Parcel, action: str, poll: Callable[[], None] | None, *target: str) -> None:
    try:
        run_job("send", job, plan(job, parcel, action, *target), poll, secrets())
    except StepFailed:
        refuse(job, parcel.to)
        raise


def refuse(job: Path, to: str) -> None:
    """Raises NoToken or HubRefused for a job that a hub refused; nothing for any other failure."""
    found = read_record(job / REFUSAL)
    if not found:
        return
    hub, page = say(f"hub.{to}"), PAGES[to]
    if found["key"] == "no_token":
        raise NoToken(hub=hub, page=page)
    raise HubRefused(hub=hub, reason=say(f"hub.no.{found['key']}", **{"page": page, **found["values"]}))


def _poll(job: Path, parcel: Parcel, update: Update) -> Callable[[], None]:
    """Where it is: the last file begun, and how much of that by the client's own bar."""

    def poll() -> None:
        with suppress(OSError):
            update(*progress(last_lines(JobPaths(job).log, 20), parcel))

    return poll


def progress(lines: list[str], parcel: Parcel) -> tuple[float, str]:
    """How far the job is by its log's last lines: from 0 to 1, and the file it is at."""
    behind, name, part = 0, "", 0.0
    for line in lines:
        if match := _SENT.match(line):
            behind, name, part = int(match[1]), match[3], 0.0
        elif percents := _PERCENT.findall(line):
            part = int(percents[-1]) / 100
    return min(1.0, (behind + part * parcel.files.get(name, 0)) / max(1, parcel.size)), name

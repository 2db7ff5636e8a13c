"""Download: a model's files from a hub, checked, into the import's own folder."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.errors import MissingArtefact
from core.jobs.environment import HUB, PROXIES, handed_over
from core.jobs.job import JobPaths, JobSpec
from core.models.hubs import HubPlace
from core.steps.step import engine_job
from core.wording import spoken_language
from core.workspace.files import read_json
from core.workspace.import_paths import ImportPaths

STEP = "download"
LISTING = "listing.json"
OFFLINE = "HF_HUB_OFFLINE"


def plan(
    paths: ImportPaths, place: HubPlace, silent: Sequence[HubPlace] = (), another_waits: bool = False
) -> JobSpec:
    """The job that downloads; of all the engine's jobs it alone may speak to a hub.

    ``silent`` places gave no answer before; ``another_waits``: there is one more to ask if this one gives
    none either.
    """
    source = place.source
    request = {
        "hub": source.hub,
        "name": source.name,
        "revision": source.revision,
        "folder": str(paths.files),
        "another_waits": another_waits,
        "mirror": place.mirror,
        "silent": [[one.source.hub, one.mirror] for one in silent],
    }
    env = {OFFLINE: os.environ.get(OFFLINE, "0"), "TUNEBOARD_LANG": spoken_language()}
    if place.mirror:  # somebody else's server: it gets no token, neither ours nor a file's
        env |= {"HF_ENDPOINT": place.mirror, "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}  # nosec B105  # a switch
    spec = engine_job(STEP, JobPaths(paths.job(STEP)).request, env=env)
    return replace(spec, request=request, results=(LISTING,))


def secrets(place: HubPlace | None = None) -> dict[str, str]:
    """What the download from a place, and whatever starts it, gets of the environment's secrets."""
    return handed_over(*PROXIES) if place and place.mirror else handed_over(*HUB, *PROXIES)


def read(paths: ImportPaths) -> tuple[Path, str]:
    """The folder of the downloaded files and their revision. Raises MissingArtefact."""
    listing: dict[str, Any] | None = read_json(paths.job(STEP) / LISTING)
    if listing is None or not paths.files.is_dir():
        raise MissingArtefact(what=paths.files.name, where=paths.root, step=STEP)
    return paths.files, str(listing["revision"])

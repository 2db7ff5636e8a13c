"""Where what a run has made was published: kept with the run, for its page and for the strip of steps."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from core.publish.request import PublishRequest, To, What
from core.workspace.files import locked, read_record, write_json
from core.workspace.paths import RunPaths
from core.workspace.publish_paths import PublishPaths


@dataclass(frozen=True)
class Place:
    """``where`` is a path or a page's address, ``at`` a time (ISO 8601, UTC), ``ok`` what its proof found,
    if there was one."""

    what: What
    to: To
    where: str
    at: str
    ok: bool | None = None


def read_places(run: RunPaths) -> list[Place]:
    """The newest first, each place once."""
    found = read_record(PublishPaths(run).sent) or {}
    return [Place(**place) for place in found.get("places", ())]


def note(run: RunPaths, request: PublishRequest, result: dict[str, Any]) -> None:
    """Remember a publishing by its result. Raises OSError."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    place = Place(request.what, request.to, str(result["where"]), now, result.get("ok"))
    sent = PublishPaths(run).sent
    with locked(sent):
        others = [old for old in read_places(run) if (old.what, old.where) != (place.what, place.where)]
        write_json(sent, {"places": [asdict(one) for one in (place, *others)]})

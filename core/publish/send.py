"""``python -m core.publish.send JOB``: one parcel to a hub, or back from it, in a process of its own.

``request.json`` in the job's folder says what; the token is read where it is kept, and stands in nothing this
writes. ``sent.json`` is the result, ``refusal.json`` a hub's no.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from core.jobs.request import read_request
from core.models.hubs import PAUSE_VARIABLE
from core.publish import tokens
from core.publish.hub import Hub, Parcel, Refusal
from core.workspace.files import write_json

SENT, REFUSAL, RECORD = "sent.json", "refusal.json", "client.json"
TRIES = 5
Result = TypeVar("Result")


def main(job: str, action: str, target: str = "") -> int:
    """Returns the exit code: 1 for a refusal, which is then in words in its file."""
    folder = Path(job)
    parcel = read_request(Parcel, folder)
    try:
        write_json(folder / SENT, _act(parcel, folder, action, target))
    except Refusal as refusal:
        values = {name: _without_token(value, parcel) for name, value in refusal.values.items()}
        write_json(folder / REFUSAL, {"key": refusal.key, "values": values})
        print(f"refused: {refusal.key} {values}", flush=True)
        return 1
    return 0


def _act(parcel: Parcel, folder: Path, action: str, target: str) -> dict[str, Any]:
    hub = hub_of(parcel, folder)
    if action == "fetch":
        again(lambda: hub.fetch(Path(target)))
        return {}
    user = again(hub.check)
    print(f"signed in as {user}", flush=True)
    if action == "check":
        return {"user": user}
    return {"user": user, "url": again(lambda: hub.send(_say))}


def hub_of(parcel: Parcel, folder: Path) -> Hub:
    """The hub's client; each is imported only here, and only the one that is needed."""
    token = tokens.read(parcel.to)
    if parcel.to == "modelscope":
        from core.publish.modelscope import ModelScope

        return ModelScope(parcel, token, folder / RECORD)
    if parcel.to == "openxlab":
        from core.publish.openxlab import OpenXLab

        return OpenXLab(parcel, token)
    from core.publish.huggingface import HuggingFace

    return HuggingFace(parcel, token)


def again(act: Callable[[], Result]) -> Result:
    """Try once more after a break, each time waiting twice as long. Raises the last Refusal."""
    pause = float(os.environ.get(PAUSE_VARIABLE) or 2)
    for left in range(TRIES - 1, -1, -1):
        try:
            return act()
        except Refusal as refusal:
            if not refusal.again or not left:
                raise
            print(f"again in {pause:.0f} s: {refusal.key}", flush=True)
        time.sleep(pause)
        pause *= 2
    raise AssertionError("unreachable")


def _without_token(value: object, parcel: Parcel) -> object:
    """A hub may repeat what it was given."""
    for secret in tokens.kept_secrets(parcel.to):
        value = value.replace(secret, "…") if isinstance(value, str) else value
    return value


def _say(name: str, behind: int, size: int) -> None:
    print(f"sent {behind}/{size} {name}", flush=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

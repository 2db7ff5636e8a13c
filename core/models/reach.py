"""Whether a hub gives a model from here: asked before somebody chooses a download that cannot come."""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from urllib.request import Request, urlopen

from core.models.hubs import HubPlace

# "0": no hub is asked before a person has pressed a button.
VARIABLE = "TUNEBOARD_HUB_CHECK"
# For all hubs together, which are asked at once.
SECONDS = 2.5
HUGGING_FACE, MODELSCOPE = "https://huggingface.co", "https://www.modelscope.cn"


def first_to_answer(asked: Sequence[HubPlace], seconds: float = SECONDS) -> HubPlace | None:
    """Of the places of a model, the first that says it has it; None where none does in so many seconds, or
    the environment forbids to ask. Through a proxy that the environment names."""
    if not may_ask():
        return None
    answers: SimpleQueue[HubPlace | None] = SimpleQueue()
    for place in asked:
        # A name server that does not answer keeps no timeout: such a thread is left to itself.
        Thread(
            target=lambda place=place: answers.put(place if _has(place, seconds) else None), daemon=True
        ).start()
    end = time.monotonic() + seconds
    for _ in asked:
        with suppress(Empty):
            if found := answers.get(timeout=max(0.0, end - time.monotonic())):
                return found
    return None


def may_ask() -> bool:
    """Whether a hub may be asked at all before somebody presses a button."""
    return os.environ.get(VARIABLE) != "0"


def address_of(place: HubPlace) -> str:
    """Where a place is, as the environment names it."""
    if place.mirror:
        return place.mirror.rstrip("/")
    if place.source.hub == "modelscope":
        given = os.environ.get("MODELSCOPE_ENDPOINT") or MODELSCOPE
    else:
        given = os.environ.get("HF_ENDPOINT") or HUGGING_FACE
    return (given if "://" in given else f"https://{given}").rstrip("/")


def page_of(place: HubPlace) -> str:
    """The model's page there, for a person's browser."""
    models = "/models" if place.source.hub == "modelscope" else ""
    return f"{address_of(place)}{models}/{place.source.name}"


def files_of(place: HubPlace) -> str:
    """The list of its files there, for a person's browser."""
    return f"{page_of(place)}/{'files' if place.source.hub == 'modelscope' else 'tree/main'}"


def _has(place: HubPlace, seconds: float) -> bool:
    if place.source.hub == "huggingface" and os.environ.get("HF_HUB_OFFLINE", "0") not in {"", "0"}:
        return False
    files = (
        ("/api/v1/models/", "/repo/files?Revision=master")
        if place.source.hub == "modelscope"
        else ("/api/models/", "")
    )
    address = f"{address_of(place)}{files[0]}{place.source.name}{files[1]}"
    if not address.startswith(("https://", "http://")):
        return False
    # Names, certificates, a broken answer, an odd address: whatever goes wrong, it is not to be had.
    with suppress(Exception), urlopen(Request(address), timeout=seconds) as answer:  # nosec B310  # see above
        return bool(answer.status == 200)
    return False

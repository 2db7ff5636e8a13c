"""How long publishing takes, before any of it is known: by what is made, its bytes and where they go."""

from collections.abc import Iterator

from core.pace import PUBLISHING, Cost, about
from core.publish import llama_server
from core.publish.publish import about as bytes_of
from core.publish.request import PublishRequest
from core.workspace.paths import RunPaths

# Bytes a second. A plain memory stick is written between the two ends; its own pace is known after the first
# 16 MB (core.publish.deliver). This machine's disk was measured: 270 MB in 1 to 3 s.
SLOW_STICK, STICK, FAST_STICK, DISK = 8e6, 20e6, 80e6, 150e6
# Seconds of what is linked, listed and looked through, and a byte's more of what is written anew: measured on
# two cores, 270 MB of float16 into three GGUF files in 36 s.
BUNDLE, WRITTEN_ANEW = 4.0, 60e-9


def costs(run: RunPaths, request: PublishRequest) -> dict[str, Cost]:
    """The stages that there will be, each with its seconds. Raises MissingArtefact, NotAModel."""
    return dict(_stages(request, bytes_of(run, request)))


def written(run: RunPaths, request: PublishRequest) -> tuple[str, str]:
    """How long it takes to write it onto a memory stick, from a fast one to a slow one, as a person says it.
    Raises as :func:`costs` does."""
    size = bytes_of(run, request)
    return about(size / FAST_STICK), about(size / SLOW_STICK)


def _stages(request: PublishRequest, size: int) -> Iterator[tuple[str, Cost]]:
    sent = request.hub and not request.dry_run
    if sent and request.to == "openxlab":
        yield "client", Cost(0.0, PUBLISHING["client"])
    anew = size * WRITTEN_ANEW if request.what == "gguf" else 0.0
    yield "bundle", Cost(0.0, BUNDLE + anew)
    if request.what == "gguf" and request.proof and llama_server.installed():
        yield "llama", Cost(0.0, PUBLISHING["llama"])
    if sent:
        yield from ((name, Cost(0.0, PUBLISHING[name])) for name in ("send", "fetch", "arrival"))
    elif not request.dry_run:
        yield "copy", Cost(0.0, size / (STICK if request.elsewhere else DISK))

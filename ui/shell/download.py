"""``/download/RUN/KIND``: a run's adapter or merged model as one zip, made while it is sent.

A route of its own and not Streamlit's download button: that keeps the whole file in the server's memory,
and a merged 7B model has 14 GB.
"""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from zipstream import ZipStream

from core.errors import InputError
from core.steps.export import KINDS, artefact
from core.wording import say
from core.workspace.paths import RunPaths, Workspace


def address(run: RunPaths, kind: str) -> str:
    """The link to an artefact, relative to any page."""
    return f"download/{run.id}/{kind}"


def send(request: Request) -> Response:
    """The artefact as a zip whose files stand in one folder; 404 with a sentence when there is none."""
    workspace, kind = Workspace.of(), request.path_params["kind"]
    try:
        run = workspace.run(request.path_params["run"])
        if kind not in KINDS:
            return PlainTextResponse(say("download.none"), status_code=404)
        folder = artefact(run, kind)
    except InputError as error:
        return PlainTextResponse(error.text(), status_code=404)
    stream = ZipStream(sized=True)
    name = f"{run.id}-{kind}"
    stream.add_path(str(folder), name)
    headers = {"Content-Disposition": _attachment(f"{name}.zip"), "Content-Length": str(len(stream))}
    if request.method == "HEAD":  # a stream would be read to its end, and thrown away
        return Response(media_type="application/zip", headers=headers)
    return StreamingResponse(stream, media_type="application/zip", headers=headers)


def _attachment(name: str) -> str:
    """RFC 6266: a run's name may be Chinese, a header may not."""
    return f"attachment; filename*=UTF-8''{quote(name)}"


def routes(base: str) -> list[Route]:
    """What the server answers besides Streamlit's own, below the path that a proxy puts before it."""
    prefix = f"/{base}" if base else ""
    return [Route(f"{prefix}/download/{{run}}/{{kind}}", send, methods=["GET", "HEAD"])]

"""What is taken along through the browser: ``/download/RUN/KIND``, a run's adapter or merged model as one zip
that is made while it is sent; ``/download/RUN/WHAT.zip``, a zip that publishing has made and checked.

Routes of their own and not Streamlit's download button: that keeps the whole file in the server's memory,
and a merged 7B model has 14 GB.
"""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from zipstream import ZipStream

from core.errors import InputError
from core.publish.deliver import destination
from core.publish.request import WHATS, PublishRequest, What
from core.runs import read_run
from core.steps.export import KINDS, artefact
from core.wording import say
from core.workspace.names import slug
from core.workspace.paths import RunPaths, Workspace

ZIP = "application/zip"


def address(run: RunPaths, kind: str) -> str:
    """The link to an artefact, relative to any page."""
    return f"download/{run.id}/{kind}"


def address_of_zip(run: RunPaths, what: What) -> str:
    """The link to the zip that was made when ``what`` was published, relative to any page."""
    return f"download/{run.id}/{what}.zip"


def send(request: Request) -> Response:
    """The artefact as a zip whose files stand in one folder, or a published zip; 404 with a sentence when
    there is none."""
    workspace, kind = Workspace.of(), request.path_params["kind"]
    try:
        run = workspace.run(request.path_params["run"])
        for what in WHATS:
            if kind == f"{what}.zip":
                return _published(workspace, run, what)
        return _artefact(request, run, kind) if kind in KINDS else _none()
    except InputError as error:
        return PlainTextResponse(error.text(), status_code=404)


def _published(workspace: Workspace, run: RunPaths, what: What) -> Response:
    """In pieces, and from any byte on: a download that was cut off is gone on with."""
    file = destination(workspace, run, PublishRequest(what, "zip"))
    if not file.is_file():
        return _none()
    return FileResponse(file, media_type=ZIP, headers={"Content-Disposition": _attachment(file.name)})


def _artefact(request: Request, run: RunPaths, kind: str) -> Response:
    folder = artefact(run, kind)
    stream = ZipStream(sized=True)
    name = f"{slug(read_run(run).title)}-{kind}"
    stream.add_path(str(folder), name)
    headers = {"Content-Disposition": _attachment(f"{name}.zip"), "Content-Length": str(len(stream))}
    if request.method == "HEAD":  # a stream would be read to its end, and thrown away
        return Response(media_type=ZIP, headers=headers)
    return StreamingResponse(stream, media_type=ZIP, headers=headers)


def _none() -> Response:
    return PlainTextResponse(say("download.none"), status_code=404)


def _attachment(name: str) -> str:
    """RFC 6266: a run's name may be Chinese, a header may not."""
    return f"attachment; filename*=UTF-8''{quote(name)}"


def routes(base: str) -> list[Route]:
    """What the server answers besides Streamlit's own, below the path that a proxy puts before it."""
    prefix = f"/{base}" if base else ""
    return [Route(f"{prefix}/download/{{run}}/{{kind}}", send, methods=["GET", "HEAD"])]

"""A hub on this machine, as far as huggingface_hub 1.33.0 and modelscope-hub 0.5.1 speak to one.

It serves the files of folders under names such as ``org/name``: large ones through a redirect to a second
address, with ranges; and it fails on request.
"""

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 10_000


@dataclass
class Fault:
    """Requests that match ``path`` get ``status``, or are cut off after ``cut`` bytes, or get other bytes.

    It passes after ``times`` requests. ``headers`` go with the status.
    """

    path: str
    status: int = 0
    cut: int | None = None
    spoil: bool = False
    times: int = 1_000_000
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Hub:
    """What is served, what fails, what was asked: (method, path, Range, Authorization).

    ``sizes`` are lies about a file's size. ``cards``: what Hugging Face says of a model besides its files
    (``cardData``, ``gated``).
    """

    models: dict[str, Path] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    asked: list[tuple[str, str, str, str]] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    cards: dict[str, dict[str, Any]] = field(default_factory=dict)
    address: str = ""
    delay: Callable[[], None] = lambda: None

    @property
    def store(self) -> str:
        """Where large files lie: another host to a client, which follows no redirect to it with a token."""
        return self.address.replace("127.0.0.1", "localhost")

    def environment(self, **added: str) -> dict[str, str]:
        """What makes the clients come here and nowhere else."""
        return {"HF_ENDPOINT": self.address, "MODELSCOPE_ENDPOINT": self.address, **added}

    def requests(self, part: str) -> list[tuple[str, str, str, str]]:
        return [one for one in self.asked if part in one[1] and one[0] == "GET"]

    def fault_of(self, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and re.search(fault.path, path):
                fault.times -= 1
                return fault
        return None


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serve until the block ends."""

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def log_message(self, *_: object) -> None:
        return

    def _answer(self, body: bool) -> None:
        path = unquote(self.path)
        seen = (self.headers.get("Range") or "", self.headers.get("Authorization") or "")
        self.hub.asked.append((self.command, path, *seen))
        fault = self.hub.fault_of(f"{self.command} {path}")
        if fault and fault.status:
            self._send(fault.status, b'{"error": "as asked"}', fault.headers, body)
            return
        address = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        for pattern, answer in ROUTES:
            if match := re.fullmatch(pattern, address.path):
                answer(self, match, query, fault, body)
                return
        self._send(404, b"{}", {}, body)

    def list_hugging_face(self, match: re.Match[str], _: Any, __: Any, body: bool) -> None:
        folder = self.hub.models.get(match["repo"])
        revision = match["revision"]
        if folder is None:
            self._send(
                401, b'{"error": "Invalid username or password."}', {"X-Error-Code": "RepoNotFound"}, body
            )
        elif revision not in {None, "main", COMMIT}:
            self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"}, body)
        else:
            files = [_sibling(folder, file, self.hub.sizes) for file in _files(folder)]
            about = {"id": match["repo"], "sha": COMMIT, "siblings": files, "private": False}
            about |= self.hub.cards.get(match["repo"], {})
            self._send(200, json.dumps(about).encode(), {}, body)

    def resolve(self, match: re.Match[str], _: Any, fault: Fault | None, body: bool) -> None:
        folder = self.hub.models.get(match["repo"])
        file = folder and folder / match["file"]
        if not file or not file.is_file():
            self._send(404, b"{}", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, body)
            return
        content = file.read_bytes()
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{_blob(content)}"'}
        if len(content) < LARGE:
            self._send_content(content, headers, fault, body)
            return
        digest = hashlib.sha256(content).hexdigest()
        headers |= {"X-Linked-Etag": f'"{digest}"', "X-Linked-Size": str(len(content))}
        headers["Location"] = f"{self.hub.store}/cdn/{match['repo']}/{match['file']}"
        self._send(302, b"", headers, body)

    def content(self, match: re.Match[str], _: Any, fault: Fault | None, body: bool) -> None:
        content = (self.hub.models[match["repo"]] / match["file"]).read_bytes()
        self._send_content(content, {"ETag": f'"{hashlib.sha256(content).hexdigest()}"'}, fault, body)

    def list_modelscope(self, match: re.Match[str], query: dict[str, str], _: Any, body: bool) -> None:
        folder = self.hub.models.get(match["repo"])
        if folder is None or query.get("Revision") not in {"master", COMMIT}:
            self._send(404, b'{"Code": 10010205001, "Message": "not found"}', {}, body)
            return
        files = [
            {
                "Path": file.relative_to(folder).as_posix(),
                "Size": file.stat().st_size,
                "Sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
                "Type": "blob",
            }
            for file in _files(folder)
        ]
        self._send(200, json.dumps({"Code": 200, "Data": {"Files": files}}).encode(), {}, body)

    def modelscope_content(
        self, match: re.Match[str], query: dict[str, str], fault: Fault | None, body: bool
    ) -> None:
        file = self.hub.models[match["repo"]] / query["FilePath"]
        self._send_content(file.read_bytes(), {}, fault, body)

    def _send_content(self, content: bytes, headers: dict[str, str], fault: Fault | None, body: bool) -> None:
        self.hub.delay()
        if fault and fault.spoil:
            content = bytes(len(content))
        begin, status = 0, 200
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or ""):
            begin, whole = int(match[1]), len(content)
            end = min(int(match[2]) + 1 if match[2] else whole, whole)
            if begin >= whole:
                self._send(416, b"", {"Content-Range": f"bytes */{whole}"}, body)
                return
            status, headers = 206, {**headers, "Content-Range": f"bytes {begin}-{end - 1}/{whole}"}
            content = content[begin:end]
        self._send(status, content, headers, body, fault.cut if fault else None)

    def _send(
        self, status: int, content: bytes, headers: dict[str, str], body: bool, cut: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Accept-Ranges": "bytes", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content if cut is None else content[:cut])
        if cut is not None:
            self.wfile.flush()
            self.close_connection = True


ROUTES: tuple[tuple[str, Callable[..., None]], ...] = (
    (r"/api/models/(?P<repo>[^/]+/[^/]+)(/revision/(?P<revision>.+))?", _Handler.list_hugging_face),
    (r"/(?P<repo>[^/]+/[^/]+)/resolve/[^/]+/(?P<file>.+)", _Handler.resolve),
    (r"/cdn/(?P<repo>[^/]+/[^/]+)/(?P<file>.+)", _Handler.content),
    (r"/api/v1/models/(?P<repo>[^/]+/[^/]+)/repo/files", _Handler.list_modelscope),
    (r"/api/v1/models/(?P<repo>[^/]+/[^/]+)/repo", _Handler.modelscope_content),
)


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def _sibling(folder: Path, file: Path, sizes: dict[str, int]) -> dict[str, Any]:
    content = file.read_bytes()
    size = sizes.get(file.name, len(content))
    found: dict[str, Any] = {"rfilename": file.relative_to(folder).as_posix(), "size": size}
    if len(content) < LARGE:
        return {**found, "blobId": _blob(content)}
    pointer = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return {**found, "blobId": _blob(b"pointer"), "lfs": pointer}


def _blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0%b" % (len(content), content), usedforsecurity=False).hexdigest()

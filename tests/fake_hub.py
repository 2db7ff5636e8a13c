"""A hub on this machine that speaks Hugging Face's HTTP interface as far as huggingface_hub 0.36 uses it.

Large files go by the LFS batch interface, in parts where they are larger than ``PART``; a commit makes them
visible. Faults are asked for by a part of the request's line, each answered so often:

    hub.faults["PUT /lfs/"] = [503, "drop"]     a status, or a connection closed in the middle
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_" + "Zz9" * 12
PART = 64_000
LFS_FROM = 20_000  # bytes
COMMIT = "c0ffee" + "0" * 34
Fault = int | str


@dataclass
class Repo:
    private: bool
    kind: str
    files: dict[str, bytes] = field(default_factory=dict)
    sdk: str | None = None


@dataclass
class State:
    """What the hub knows, and every request it saw (``METHOD /path``)."""

    user: str = "ada"
    role: str = "write"
    repos: dict[str, Repo] = field(default_factory=dict)
    store: dict[str, bytes] = field(default_factory=dict)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    words: str = "no"
    url: str = ""

    def count(self, part: str) -> int:
        return sum(part in line for line in self.seen)


class Handler(BaseHTTPRequestHandler):
    state: State
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        return

    def _any(self) -> None:
        path = unquote(urlsplit(self.path).path)
        line = f"{self.command} {path}"
        self.state.seen.append(line)
        if self._faulty(line):
            return
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else b""
        for method, pattern, act, open_to_all in ROUTES:
            match = re.fullmatch(pattern, path)
            if match and method == self.command:
                if not open_to_all and self.headers.get("Authorization") != f"Bearer {TOKEN}":
                    self._send(401, {"error": "Invalid username or password."})
                else:
                    act(self, *match.groups(), body)
                return
        self._send(404, {"error": f"no {line}"})

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = _any  # noqa: N815

    def _faulty(self, line: str) -> bool:
        for part, faults in self.state.faults.items():
            if part in line and faults:
                fault = faults.pop(0)
                if fault == "drop":
                    # A part is read so that the client is in the middle of its sending.
                    self.rfile.read(min(1000, int(self.headers.get("Content-Length") or 0)))
                    self.close_connection = True
                    self.connection.close()
                else:
                    self.rfile.read(int(self.headers.get("Content-Length") or 0))
                    self._send(int(fault), {"error": self.state.words})
                return True
        return False

    def _send(self, status: int, value: object = None, **headers: str) -> None:
        data = b"" if value is None else json.dumps(value).encode()
        self._raw(status, data, {"Content-Type": "application/json", **headers})

    def _raw(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.send_header("Content-Length", headers.get("Length", str(len(data))))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _repo(self, kind: str, name: str) -> Repo | None:
        found = self.state.repos.get(name)
        if found is None or found.kind != kind.rstrip("s"):
            self._send(404, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
            return None
        return found

    def whoami(self, _: bytes) -> None:
        auth = {"accessToken": {"role": self.state.role, "displayName": "t"}}
        self._send(200, {"name": self.state.user, "orgs": [{"name": "the-org"}], "auth": auth})

    def validate(self, _: bytes) -> None:
        self._send(200, {"errors": [], "warnings": []})

    def create(self, body: bytes) -> None:
        asked = json.loads(body)
        name = f"{asked.get('organization') or self.state.user}/{asked['name']}"
        if name in self.state.repos:
            self._send(409, {"error": "You already created this model repo", "url": f"{self.state.url}/{name}"})
            return
        self.state.repos[name] = Repo(bool(asked["private"]), asked.get("type", "model"), sdk=asked.get("sdk"))
        self._send(200, {"url": f"{self.state.url}/{name}"})

    def info(self, kind: str, name: str, _: bytes) -> None:
        if repo := self._repo(kind, name):
            files = [{"rfilename": path} for path in repo.files]
            about = {"id": name, "private": repo.private, "sha": COMMIT, "siblings": files, "tags": []}
            self._send(200, {**about, "downloads": 0, "likes": 0, "sdk": repo.sdk})

    def revision(self, kind: str, name: str, _revision: str, body: bytes) -> None:
        self.info(kind, name, body)

    def preupload(self, kind: str, name: str, body: bytes) -> None:
        if self._repo(kind, name):
            files = json.loads(body)["files"]
            modes = [
                {"path": f["path"], "uploadMode": "lfs" if f["size"] > LFS_FROM else "regular", "shouldIgnore": False}
                for f in files
            ]
            self._send(200, {"files": modes})

    def batch(self, _name: str, body: bytes) -> None:
        objects = [self._object(one["oid"], one["size"]) for one in json.loads(body)["objects"]]
        chosen = "multipart" if any("chunk_size" in str(one) for one in objects) else "basic"
        self._send(200, {"transfer": chosen, "objects": objects})

    def _object(self, oid: str, size: int) -> dict[str, Any]:
        if oid in self.state.store:
            return {"oid": oid, "size": size}
        upload: dict[str, Any] = {"href": f"{self.state.url}/lfs/{oid}"}
        if size > PART:
            parts = {str(n): f"{self.state.url}/lfs/{oid}/{n}" for n in range(1, -(-size // PART) + 1)}
            upload = {"href": f"{self.state.url}/complete/{oid}", "header": {"chunk_size": str(PART), **parts}}
        verify = {"href": f"{self.state.url}/verify/{oid}"}
        return {"oid": oid, "size": size, "authenticated": True, "actions": {"upload": upload, "verify": verify}}

    def put(self, oid: str, body: bytes) -> None:
        assert hashlib.sha256(body).hexdigest() == oid
        self.state.store[oid] = body
        self._send(200)

    def put_part(self, oid: str, number: str, body: bytes) -> None:
        self.state.parts.setdefault(oid, {})[int(number)] = body
        self._send(200, None, ETag=f'"{number}"')

    def complete(self, oid: str, body: bytes) -> None:
        numbers = [part["partNumber"] for part in json.loads(body)["parts"]]
        data = b"".join(self.state.parts[oid][number] for number in numbers)
        assert hashlib.sha256(data).hexdigest() == oid
        self.state.store[oid] = data
        self._send(200, {})

    def verify(self, oid: str, _: bytes) -> None:
        self._send(200 if oid in self.state.store else 404, {})

    def commit(self, kind: str, name: str, body: bytes) -> None:
        repo = self._repo(kind, name)
        if repo is None:
            return
        for line in map(json.loads, body.decode().splitlines()):
            value = line["value"]
            if line["key"] == "file":
                repo.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                repo.files[value["path"]] = self.state.store[value["oid"]]
            elif line["key"] == "deletedFile":
                repo.files.pop(value["path"], None)
        url = f"{self.state.url}/{name}/commit/{COMMIT}"
        self._send(200, {"commitUrl": url, "commitOid": COMMIT, "hookOutput": ""})

    def resolve(self, kind: str | None, name: str, path: str, _: bytes) -> None:
        repo = self._repo((kind or "models/").rstrip("/"), name)
        data = repo.files.get(path) if repo else None
        if data is None:
            if repo:
                self._send(404, {"error": "no file"}, X_Error_Code="EntryNotFound")
            return
        headers = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if asked := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or ""):
            start = int(asked[1])
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            self._raw(206, data[start:], headers)
        else:
            self._raw(200, data, {**headers, "Length": str(len(data))})


NAME = r"([^/]+/[^/]+)"
ROUTES: tuple[tuple[str, str, Any, bool], ...] = (
    ("GET", "/api/whoami-v2", Handler.whoami, False),
    ("POST", "/api/validate-yaml", Handler.validate, True),
    ("POST", "/api/repos/create", Handler.create, False),
    ("GET", rf"/api/(models|spaces)/{NAME}", Handler.info, False),
    ("GET", rf"/api/(models|spaces)/{NAME}/revision/(.+)", Handler.revision, False),
    ("POST", rf"/api/(models|spaces)/{NAME}/preupload/main", Handler.preupload, False),
    ("POST", rf"/api/(models|spaces)/{NAME}/commit/main", Handler.commit, False),
    ("POST", rf"/(?:spaces/)?{NAME}\.git/info/lfs/objects/batch", Handler.batch, False),
    ("PUT", r"/lfs/(\w+)", Handler.put, True),
    ("PUT", r"/lfs/(\w+)/(\d+)", Handler.put_part, True),
    ("POST", r"/complete/(\w+)", Handler.complete, True),
    ("POST", r"/verify/(\w+)", Handler.verify, False),
    ("HEAD", rf"/(spaces/)?{NAME}/resolve/[^/]+/(.+)", Handler.resolve, False),
    ("GET", rf"/(spaces/)?{NAME}/resolve/[^/]+/(.+)", Handler.resolve, False),
)


@contextmanager
def hugging_face() -> Iterator[State]:
    """The hub, at ``state.url``, until the block ends."""
    state = State()
    handler = type("Bound", (Handler,), {"state": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

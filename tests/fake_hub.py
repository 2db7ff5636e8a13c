"""What the hubs of the tests share: repositories in memory, faults as asked for, a server here.

A fault is asked for by a part of the request's line, each answered once:

    hub.faults["PUT /lfs/"] = [503, "drop", "pass"]     a status, a connection closed in the middle, no fault
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

NAME = r"([^/]+/[^/]+)"
Fault = int | str


@dataclass
class Repo:
    private: bool
    kind: str
    files: dict[str, bytes] = field(default_factory=dict)
    sdk: str | None = None
    names: list[str] = field(default_factory=list)


@dataclass
class State:
    """What the hub knows, and every request it saw (``METHOD /path``)."""

    user: str = "ada"
    role: str = "write"
    repos: dict[str, Repo] = field(default_factory=dict)
    store: dict[str, bytes] = field(default_factory=dict)
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict)
    blocks: dict[str, bytes] = field(default_factory=dict)
    xet: bool = False
    hidden: set[str] = field(default_factory=set)
    seen: list[str] = field(default_factory=list)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    words: str = "no"
    url: str = ""

    def count(self, part: str) -> int:
        return sum(part in line for line in self.seen)


Route = tuple[str, str, str, bool]


class Handler(BaseHTTPRequestHandler):
    """``routes``: method, pattern of the path, the handler's method, and whether no token is needed."""

    state: State
    routes: tuple[Route, ...] = ()
    token = ""
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
        for method, pattern, act, open_to_all in self.routes:
            match = re.fullmatch(pattern, path)
            if match and method == self.command:
                if not open_to_all and not self.known():
                    self._send(401, {"error": "Invalid username or password."})
                else:
                    getattr(self, act)(*match.groups(), body)
                return
        self._send(404, {"error": f"no {line}"})

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = _any  # noqa: N815

    def known(self) -> bool:
        """Whether the request carries the token."""
        return self.headers.get("Authorization") == f"Bearer {self.token}"

    def _faulty(self, line: str) -> bool:
        for part, faults in self.state.faults.items():
            if part in line and faults:
                fault = faults.pop(0)
                if fault == "pass":
                    return False
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


@contextmanager
def serve(kind: type[Handler]) -> Iterator[State]:
    """The hub, at ``state.url``, until the block ends."""
    state = State()
    handler = type("Bound", (kind,), {"state": state})
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

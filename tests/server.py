"""The real dashboard in a process of its own, and plain requests to it."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from core.workspace.paths import PROJECT

READY_TIMEOUT = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    def getheader(self, name: str) -> str | None:
        return self.headers.get(name)


class Dashboard:
    """``scripts/run`` without its set-up, or any other command that serves ``app.py``."""

    def __init__(
        self, workspace: Path, *options: str, command: list[str] | None = None, **environment: str
    ) -> None:
        self.port, self._cookie = free_port(), ""
        self.log = workspace.parent / f"server-{self.port}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        default = ["-m", "core", "--no-browser", f"--port={self.port}", f"--workspace={workspace}", *options]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *(command or default)],
                cwd=PROJECT,
                env={**os.environ, "TUNEBOARD_LANG": "en", **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> "Dashboard":
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self, by: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(by)
        self.process.wait(timeout=30)

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def url(self) -> str:
        """The address it prints when it is ready."""
        deadline = time.monotonic() + READY_TIMEOUT
        while not (found := re.search(r"^\s+(http://\S+)$", self.said(), re.MULTILINE)):
            assert self.process.poll() is None and time.monotonic() < deadline, self.said()
            time.sleep(0.02)
        return found[1]

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
        source: str = "",
    ) -> "Answer":
        """One request to the server, from the address ``source``."""
        where = urlsplit(self.url())
        connection = http.client.HTTPConnection(
            where.hostname or "", where.port, timeout=10, source_address=(source, 0) if source else None
        )
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            answer = connection.getresponse()
            # An accepted websocket has no end to read to.
            text = "" if answer.status == 101 else answer.read().decode("utf-8", "replace")
            return Answer(answer.status, dict(answer.getheaders()), text)
        finally:
            connection.close()

    def token(self) -> str:
        return self.url().partition("token=")[2]

    def cookie(self) -> str:
        """What a browser sends back after it opened the printed address, which it does once."""
        if self._cookie:
            return self._cookie
        where = urlsplit(self.url())
        answer = self.ask("GET", f"{where.path}?{where.query}")
        self._cookie = (answer.getheader("set-cookie") or "").partition(";")[0]
        return self._cookie

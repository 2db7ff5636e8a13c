"""A local server with OpenAI's chat interface that answers, or fails in one of the ways that servers do."""

import gzip
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SLOW = 3.0


class OpenAIServer:
    """``answer`` makes the reply of a question. ``fails`` lists how the next requests fail, one each, before
    anything is answered again: a status, or "drop", "half", "html", "json", "slow", "stream_error". A status
    that sends on leads to ``elsewhere``."""

    def __init__(self, answer: Callable[[str], str] = lambda question: f"You said: {question}") -> None:
        self.answer, self.fails = answer, list[int | str]()
        self.elsewhere = ""
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.hosts: list[str] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Of", (Handler,), {"owner": self}))
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/v1"

    def __enter__(self) -> "OpenAIServer":
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


class Handler(BaseHTTPRequestHandler):
    """``owner`` is set by the server's own subclass."""

    owner: OpenAIServer

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.owner.requests.append(request)
        self.owner.keys.append(self.headers.get("Authorization", ""))
        self.owner.hosts.append(self.headers.get("Host", ""))
        if not self.owner.fails:
            self._answer(self.owner.answer(request["messages"][-1]["content"]), whole=True)
            return
        how = self.owner.fails.pop(0)
        if isinstance(how, int):
            self._status(how)
        else:
            getattr(self, f"_{how}")()

    def _answer(self, text: str, whole: bool) -> None:
        self._begin("text/event-stream")
        for word in text.split(" "):
            self._piece({"content": f"{word} "}, None)
        if whole:
            self._piece({}, "stop")
            self.wfile.write(b"data: [DONE]\n\n")

    def _status(self, status: int) -> None:
        key = self.owner.keys[-1].removeprefix("Bearer ")
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", self.owner.elsewhere)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({"error": {"message": f"key {key} is no good"}}).encode())

    def _half(self) -> None:
        self._answer("half an answer", whole=False)

    def _drop(self) -> None:
        """The connection is reset in the middle of the answer."""
        self._answer("half", whole=False)
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def _html(self) -> None:
        self._begin("text/html")
        self.wfile.write(b"<html>Welcome to the router</html>")

    def _json(self) -> None:
        self._begin("text/event-stream")
        self.wfile.write(b"data: {not json\n\n")

    def _stream_error(self) -> None:
        self._begin("text/event-stream")
        self._event({"error": {"message": "the model is tired"}})

    def _endless(self) -> None:
        self._for_ever(lambda: self._piece({"content": "and " * 5000}, None))

    def _comments(self) -> None:
        """What keeps a connection alive is no piece of an answer."""
        self._for_ever(lambda: self.wfile.write(b": still here\n\n") or time.sleep(0.01))

    def _one_line(self) -> None:
        self._for_ever(lambda: self.wfile.write(b"data: " + b"x" * 100_000))

    def _packed(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(gzip.compress(bytes(100_000_000), 1))

    def _for_ever(self, act: Callable[[], object]) -> None:
        self._begin("text/event-stream")
        with suppress(OSError):
            while True:
                act()

    def _slow(self) -> None:
        time.sleep(SLOW)

    def _piece(self, delta: dict[str, str], finish_reason: str | None) -> None:
        self._event({"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})

    def _event(self, value: dict[str, Any]) -> None:
        about = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "fake"}
        self.wfile.write(f"data: {json.dumps({**about, **value})}\n\n".encode())

    def _begin(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return

"""The chat server's command line and interface without a model: for tests that must be fast.

It answers with the last question's words, or others, one a piece. What goes wrong is asked for by environment
variables:

    FAKE_SERVE_ANSWER     what it says instead of the question
    FAKE_SERVE_SECONDS    seconds between two words (0)
    FAKE_SERVE_LIMIT      after so many words an answer is cut, as by its longest length; what is asked for to
                          be continued goes on with the word behind
    FAKE_SERVE_FAIL       "load": it ends with an error instead of listening; "answer": a question gets an
                          error; "die": it ends after the first word
    FAKE_SERVE_HOLD       a file: it listens once that is gone
"""

import argparse
import json
import os
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any

SECONDS = float(os.environ.get("FAKE_SERVE_SECONDS") or 0)
FAIL = os.environ.get("FAKE_SERVE_FAIL")
LIMIT = int(os.environ.get("FAKE_SERVE_LIMIT") or 0)
HOLD = Path(os.environ.get("FAKE_SERVE_HOLD") or os.devnull)
ANSWER = os.environ.get("FAKE_SERVE_ANSWER")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._begin("application/json")
        self.wfile.write(b'{"status": "ok"}')

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with suppress(OSError):  # the disk of its log may be full
            print(json.dumps(request, ensure_ascii=False), flush=True)
        self._begin("text/event-stream")
        if FAIL == "answer":
            self._event({"error": {"message": "the model is tired"}})
            return
        try:
            self._answer(request["messages"])
        except BrokenPipeError:
            print("the client left", flush=True)

    def _answer(self, messages: list[dict[str, str]]) -> None:
        *_, question = (message["content"] for message in messages if message["role"] == "user")
        last = messages[-1]
        begun = last["content"].split() if last["role"] == "assistant" else []
        words = (ANSWER or f"You said: {question}").split(" ")[len(begun) :]
        for number, word in enumerate(words[: LIMIT or None]):
            self._piece({"content": f" {word}" if begun or number else word}, None)
            if FAIL == "die":
                os._exit(1)
            time.sleep(SECONDS)
        self._piece({}, "length" if LIMIT and len(words) > LIMIT else "stop")

    def _piece(self, delta: dict[str, str], finish_reason: str | None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        kind = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "fake"}
        self._event({**kind, "choices": [choice]})

    def _event(self, value: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(value)}\n\n".encode())
        self.wfile.flush()

    def _begin(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


class UnixServer(ThreadingHTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        TCPServer.server_bind(self)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser()
    for name in ("--model", "--template", "--dtype", "--adapter", "--socket"):
        parser.add_argument(name)
    asked = parser.parse_args(arguments)
    if FAIL == "load":
        sys.exit("RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB.")
    while HOLD.is_file():
        time.sleep(0.02)
    print("listening after 7.3 s", flush=True)
    UnixServer(asked.socket, Handler).serve_forever()

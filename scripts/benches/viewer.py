"""A browser tab without a browser: Streamlit's own protocol, so that only the server's work is measured."""

import contextlib
import threading
import time
from types import TracebackType
from urllib.parse import urlencode

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.server import Dashboard

LONGEST_WAIT = 30.0


class Viewer:
    """A tab that shows pages and, as the real one does, asks again for whatever refreshes itself."""

    def __init__(self, server: Dashboard, session: str = "") -> None:
        self.server = server
        self.session = session  # the one to come back to, then the one that the server gave
        self.received = 0
        self.answered: list[float] = []  # seconds from asking for a refresh until all of it had come
        self._asked: list[float] = []
        self._page = ""
        self._query = ""
        self._every: dict[str, float] = {}
        self._due: dict[str, float] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> "Viewer":
        address = f"ws://127.0.0.1:{self.server.port}/_stcore/stream"
        headers = {"Cookie": self.server.cookie(), "Origin": f"http://127.0.0.1:{self.server.port}"}
        back = (
            ("-", self.session) if self.session else ()
        )  # the second is a token that is asked of cookies alone
        protocols = [Subprotocol(name) for name in ("streamlit", *back)]
        opened = connect(address, additional_headers=headers, subprotocols=protocols, max_size=None)
        self._socket: ClientConnection = self._stack.enter_context(opened)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def open(self, page: str, run: str) -> float:
        """Go to a page; the seconds until its script has ended."""
        self._every, self._due, self._page, self._query = {}, {}, page, urlencode({"run": run})
        began = time.perf_counter()
        self._ask()
        self._until_finished()
        return time.perf_counter() - began

    def watch(self, until: threading.Event) -> None:
        """Look at the page, refreshed as it asks for, until ``until`` is set."""
        with contextlib.suppress(ConnectionClosed):
            while not until.is_set():
                now = time.monotonic()
                for fragment, every in self._every.items():
                    if self._due.setdefault(fragment, now + every) <= now:
                        self._due[fragment] = now + every
                        self._ask(fragment)
                self._receive(min(0.25, max(0.01, min(self._due.values(), default=now + 1) - now)))

    def _ask(self, fragment: str = "") -> None:
        message = BackMsg()
        message.rerun_script.page_name = self._page
        message.rerun_script.query_string = self._query
        if fragment:
            message.rerun_script.fragment_id = fragment
            message.rerun_script.is_auto_rerun = True
            self._asked.append(time.monotonic())
        self._socket.send(message.SerializeToString())

    def _receive(self, timeout: float) -> str:
        try:
            data = self._socket.recv(timeout)
        except TimeoutError:
            return ""
        self.received += len(data)
        message = ForwardMsg()
        message.ParseFromString(data if isinstance(data, bytes) else data.encode())
        kind = message.WhichOneof("type") or ""
        if kind == "script_finished" and self._asked:
            self.answered.append(time.monotonic() - self._asked.pop(0))
        if kind == "new_session":
            self.session = message.new_session.initialize.session_id
        if kind == "new_session" and not message.metadata.run.fragment_ids:
            self._every.clear()
        if kind == "auto_rerun":
            self._every[message.auto_rerun.fragment_id] = message.auto_rerun.interval
        if kind == "stop_auto_rerun":
            for fragment in message.stop_auto_rerun.fragment_ids:
                self._every.pop(fragment, None)
        return kind

    def _until_finished(self) -> None:
        deadline = time.monotonic() + LONGEST_WAIT
        while self._receive(1.0) != "script_finished":
            if time.monotonic() > deadline:
                raise TimeoutError(self._page)

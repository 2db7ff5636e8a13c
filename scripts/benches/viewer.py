"""A browser tab without a browser: Streamlit's own protocol, so that only the server's work is measured."""

import contextlib
import threading
import time
from itertools import chain
from types import TracebackType
from urllib.parse import urlencode

from streamlit.proto.Alert_pb2 import Alert
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
        self.late: list[float] = []  # of each refresh the seconds from its being due until all of it had come
        self.complaints: list[str] = []  # what the pages said went wrong
        self._waiting: dict[str, list[float]] = {}  # when what was asked for was due, by its fragment
        self._coming: list[float] = []  # the same of what the run under way will bring
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
        self._waiting, self._coming = {}, []
        began = time.perf_counter()
        self._ask()
        self._until_finished()
        return time.perf_counter() - began

    def watch(self, until: threading.Event) -> None:
        """Look at the page, refreshed as it asks for, until ``until`` is set, and what was asked for came."""
        with contextlib.suppress(ConnectionClosed):
            while not until.is_set():
                self._turn()
            deadline = time.monotonic() + LONGEST_WAIT
            while (self._waiting or self._coming) and time.monotonic() < deadline:
                self._receive(0.25)
        for due in (*chain.from_iterable(self._waiting.values()), *self._coming):
            self.late.append(time.monotonic() - due)

    def _turn(self) -> str:
        """Ask for what is due, also while the page is drawn for the first time, and hear what comes."""
        now = time.monotonic()
        for fragment, due in self._due.items():
            if due <= now:
                self._due[fragment] = due + self._every[fragment]
                self._ask(fragment, due)
        return self._receive(min(0.25, max(0.01, min(self._due.values(), default=now + 1) - now)))

    def _ask(self, fragment: str = "", due: float = 0.0) -> None:
        message = BackMsg()
        message.rerun_script.page_name = self._page
        message.rerun_script.query_string = self._query
        if fragment:
            message.rerun_script.fragment_id = fragment
            message.rerun_script.is_auto_rerun = True
            self._waiting.setdefault(fragment, []).append(due)
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
        if kind == "new_session":
            self._begun(message)
        if kind == "script_finished" and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
            self.late += [time.monotonic() - due for due in self._coming]
            self._coming = []
        if kind == "auto_rerun":
            self._tick(message.auto_rerun.fragment_id, message.auto_rerun.interval)
        if kind == "stop_auto_rerun":
            for fragment in message.stop_auto_rerun.fragment_ids:
                self._forget(fragment)
        if kind == "delta":
            self._heed(message)
        return kind

    def _begun(self, message: ForwardMsg) -> None:
        """A run brings the fragments that it names, whatever asked for them: Streamlit makes one run of all
        that were asked for while it was at another. One that names none draws the whole page."""
        self.session = message.new_session.initialize.session_id
        fragments = list(message.metadata.run.fragment_ids)
        for fragment in fragments or [*self._waiting]:
            self._coming += self._waiting.pop(fragment, [])
        if not fragments:
            self._every.clear()
            self._due.clear()

    def _tick(self, fragment: str, every: float) -> None:
        """As the real page does, which lets a timer of the same interval run on."""
        if self._every.get(fragment) != every:
            self._every[fragment] = every
            self._due[fragment] = time.monotonic() + every

    def _forget(self, fragment: str) -> None:
        for kept in (self._every, self._due, self._waiting):
            kept.pop(fragment, None)

    def _heed(self, message: ForwardMsg) -> None:
        element = message.delta.new_element
        if element.HasField("exception"):
            self.complaints.append(element.exception.message)
        if element.HasField("alert") and element.alert.format == Alert.ERROR:
            self.complaints.append(element.alert.body)

    def _until_finished(self) -> None:
        deadline = time.monotonic() + LONGEST_WAIT
        while self._turn() != "script_finished":
            if time.monotonic() > deadline:
                raise TimeoutError(self._page)

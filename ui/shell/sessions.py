"""What the server holds of a tab that was closed: its session, for a while, and no open files.

Streamlit 1.67 opens an event loop for each session (three files: streamlit/streamlit#16167) and keeps it with
the session, so that a tab whose connection broke can come back. Nothing here drives such a loop.
"""

import asyncio

from streamlit.runtime import memory_session_storage
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.memory_session_storage import MemorySessionStorage
from streamlit.runtime.session_manager import SessionInfo

AGAIN_SECONDS = 1.0


class ClosedTabs(MemorySessionStorage):
    """Sessions without a tab: their loops are closed, and opened again for a tab that comes back."""

    def __init__(self, ttl_seconds: int) -> None:
        super().__init__(ttl_seconds=ttl_seconds)
        self._kept_seconds = ttl_seconds

    def save(self, session_info: SessionInfo) -> None:
        super().save(session_info)
        server = asyncio.get_running_loop()
        self._let_go(session_info.session.id)
        # Else it were kept until somebody else closes a tab, with what was uploaded in it.
        server.call_later(self._kept_seconds + AGAIN_SECONDS, self._cache.expire)  # type: ignore[attr-defined]

    def delete(self, session_id: str) -> None:
        if kept := self.get(session_id):
            _open_loop(kept.session)
        super().delete(session_id)

    def _let_go(self, session_id: str) -> None:
        if (kept := self.get(session_id)) is None:
            return
        if kept.session._scriptrunner is None:
            kept.session._script_event_loop.close()
        else:  # its script has been told to stop, and may still wait for something
            asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._let_go, session_id)


def _open_loop(session: AppSession) -> None:
    if session._script_event_loop.is_closed():
        session._script_event_loop = asyncio.new_event_loop()


def close_loops() -> None:
    """Let the server hold closed tabs so. Called before there is an app: it looks the class up then."""
    memory_session_storage.MemorySessionStorage = ClosedTabs  # type: ignore[misc]

"""What the server does once: its log, who may come in, and the address a person opens."""

import getpass
import importlib
import logging
import os
import pkgutil
import signal
import sys
import threading
import webbrowser
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from ipaddress import ip_address
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import streamlit
import uvicorn.config
from streamlit import config
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

import ui
from core.chat.users import ChatUser
from core.cli.serve import ACCESS_VARIABLE, BROWSER_VARIABLE, PASSWORD_VARIABLE, PROXY_VARIABLE
from core.errors import TuneboardError
from core.recipe.chat_template import serve_pages
from core.steps.checkpoints import read_large_ones_beside
from core.wording import say
from core.workspace.paths import Workspace
from ui.shell.access import Access, is_loopback

LOG_BYTES = 1_000_000
PAGE = Path(streamlit.__file__).parent / "static" / "index.html"
ROUTER = "ui.shell.router"
EXIT_SECONDS = 10.0


def access() -> Access:
    """How one comes in, as the command line said; by a token of its own when nothing was said.

    Ends the program when nobody would be kept out of a server that others reach.
    """
    wanted = os.environ.get(ACCESS_VARIABLE, "token")
    if wanted == "none":
        if not is_loopback(config.get_option("server.address") or ""):
            sys.exit(say("serve.open_to_all"))
        return Access()
    if wanted == "password":
        return Access(password=_password())
    return Access.by_token()


def _password() -> str:
    # Taken out of the environment: who reads this process's has no business with it.
    if password := os.environ.pop(PASSWORD_VARIABLE, ""):
        return password
    if sys.stdin.isatty() and (password := getpass.getpass(f"{say('serve.ask_password')} ")):
        return password
    sys.exit(say("serve.no_password"))


def trust_proxy() -> None:
    """Believe X-Forwarded-For of the named proxy alone.

    uvicorn 0.4x believes whoever is on this machine: each wrong password could name another client. Streamlit
    1.67 gives it no settings; what it wraps an app in is looked up after this app has been imported.
    Ends the program for what is no address.
    """
    named = os.environ.get(PROXY_VARIABLE, "").strip()
    try:
        trusted = [str(ip_address(named))] if named else []
    except ValueError:
        sys.exit(say("serve.no_proxy", proxy=named))

    def wrapped(app: Any, **_: object) -> Any:
        return ProxyHeadersMiddleware(app, trusted_hosts=trusted)

    uvicorn.config.ProxyHeadersMiddleware = wrapped  # type: ignore[misc, assignment]


def base_path() -> str:
    """The path a proxy puts before every route; empty without one."""
    return str(config.get_option("server.baseUrlPath") or "").strip("/")


def keep_log() -> None:
    """Write what fails to the workspace's log. Ends the program when the workspace cannot be written."""
    workspace = Workspace.of()
    workspace.keep_private()
    try:
        workspace.prepare()
    except TuneboardError as error:
        sys.exit(error.on_terminal())
    handler = RotatingFileHandler(workspace.log, maxBytes=LOG_BYTES, backupCount=1, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("tuneboard")
    logger.handlers = [handler]
    logger.propagate = False


def import_pages() -> None:
    """Import what the pages import, one module after the other, before anybody can ask for a page.

    Of two sessions that are the first, one imports pandas and the other draws with plotly, which takes what
    it finds of pandas: "partially initialized module".
    """
    for name in ("pandas", "plotly.graph_objects"):
        importlib.import_module(name)
    for module in pkgutil.walk_packages(ui.__path__, f"{ui.__name__}."):
        if module.name != ROUTER:  # a script: it is run, for each page anew
            importlib.import_module(module.name)


def end_in_time(leave: Callable[[], object]) -> None:
    """Asked to end (Ctrl+C, SIGTERM), the server does within EXIT_SECONDS, whatever a page's thread still
    waits for: nothing that must be kept is in this process. At once it does ``leave``. Called once the server
    listens to signals.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(number)
        if callable(before):
            signal.signal(number, partial(_end, before, leave))


def _end(before: Callable[[int, Any], object], leave: Callable[[], object], number: int, frame: Any) -> None:
    deadline = threading.Timer(EXIT_SECONDS, os._exit, (128 + number,))
    deadline.daemon = True
    deadline.start()
    threading.Thread(target=leave, daemon=True).start()  # a signal's own code must wait for no lock
    before(number, frame)


def address(known: Access) -> str:
    """What a person opens, with the token."""
    host = config.get_option("server.address") or "127.0.0.1"
    host = f"[{host}]" if ":" in host else host
    path = f"{base_path()}/" if base_path() else ""
    token = f"?token={known.token}" if known.token else ""
    return f"http://{host}:{config.get_option('server.port')}/{path}{token}"


def greet(known: Access) -> object:
    """What the server says and does when it is ready."""

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        import_pages()
        serve_pages()
        read_large_ones_beside()
        user = ChatUser.of(Workspace.of())
        leave = partial(user.leave, by="dashboard", end=True)
        end_in_time(leave)
        url = address(known)
        port = config.get_option("server.port")
        print(f"\n{say('serve.ready', url=url, port=port, workspace=Workspace.of().root)}\n", flush=True)
        # Only where there is a screen: over ssh a text browser would take the terminal.
        if os.environ.pop(BROWSER_VARIABLE, "") and os.environ.get(
            "DISPLAY", os.environ.get("WAYLAND_DISPLAY")
        ):
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
        yield
        leave()

    return lifespan

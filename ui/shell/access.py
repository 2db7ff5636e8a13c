"""Who may come in: a guard around the whole server, before Streamlit sees a request.

Every HTTP request and websocket needs this start's cookie. It is given for the token that stands in the
printed address (which is dropped from the address by a redirect) or for the password. Nothing is exempt, the
health check and the page's own files included.
"""

import hashlib
import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import parse_qs, parse_qsl, urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.wording import Language, say

TRIES, TRIES_SECONDS = 10, 60.0
MOST_CLIENTS = 1000
LONGEST_FORM = 4096
HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "content-security-policy": "frame-ancestors 'self'",
}
FORM = """<!doctype html><html lang="{lang}"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>:root{{color-scheme:light dark}}body{{font:16px/1.5 system-ui,sans-serif;display:grid;margin:0;
min-height:90vh;place-items:center}}form{{display:grid;gap:.75rem;width:min(20rem,90vw)}}input,button{{font:inherit;
padding:.5rem .75rem}}p{{color:#c62828;margin:0}}</style>
<form method="post"><h1>{title}</h1><label for="password">{label}</label>
<input id="password" name="password" type="password" autocomplete="current-password" autofocus required>
{error}<button>{button}</button></form></html>"""


class Tries:
    """Wrong tokens and passwords by client: after ten in a minute a client has to wait, right or wrong."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self._wrong: dict[str, deque[float]] = {}

    def wait(self, client: str) -> int:
        """Seconds until ``client`` may try again; 0 when it may now."""
        wrong = self._recent(client)
        return 1 + int(wrong[0] + TRIES_SECONDS - self.now()) if len(wrong) >= TRIES else 0

    def add(self, client: str) -> None:
        """Count one wrong try. Of too many clients the one that tried first is forgotten."""
        if client not in self._wrong and len(self._wrong) >= MOST_CLIENTS:
            self._wrong.pop(next(iter(self._wrong)))
        self._wrong.setdefault(client, deque(maxlen=TRIES)).append(self.now())

    def _recent(self, client: str) -> deque[float]:
        wrong = self._wrong.get(client, deque())
        while wrong and self.now() - wrong[0] > TRIES_SECONDS:
            wrong.popleft()
        return wrong


@dataclass(frozen=True)
class Access:
    """How one comes in: by ``token``, by ``password``, or, with neither, by being on this machine."""

    token: str | None = None
    password: str | None = None
    cookie: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @classmethod
    def by_token(cls) -> "Access":
        return cls(token=secrets.token_urlsafe(32))

    @property
    def open(self) -> bool:
        return self.token is None and self.password is None

    @property
    def cookie_name(self) -> str:
        """Another one at every start: cookies know no ports, and several dashboards share 127.0.0.1."""
        return f"tuneboard_{hashlib.sha256(self.cookie.encode()).hexdigest()[:12]}"

    def has_cookie(self, connection: HTTPConnection) -> bool:
        return same(connection.cookies.get(self.cookie_name, ""), self.cookie)


def same(given: str, expected: str | None) -> bool:
    """Compare in a time that says nothing about where, or by how much, they differ."""
    digests = [hashlib.sha256(text.encode(errors="replace")).digest() for text in (given, expected or "")]
    return hmac.compare_digest(*digests) and bool(expected)


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches a server bound to ``address``."""
    if address == "localhost":
        return True
    try:
        return ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


class Guard:
    """ASGI middleware around Streamlit. ``base`` is the path that a proxy puts before every route."""

    def __init__(self, app: ASGIApp, access: Access, base: Callable[[], str] = str) -> None:
        self.app, self.access, self.base = app, access, base
        self.tries = Tries()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        answer = await self._answer(scope, receive)
        if answer is None:
            await self.app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await answer(scope, receive, _with_headers(send))

    async def _answer(self, scope: Scope, receive: Receive) -> Response | None:
        """What is answered in the server's place; None lets the request in."""
        connection = HTTPConnection(scope)
        host = connection.headers.get("host", "")
        if _of_another_port(connection.headers.get("origin", ""), host):
            return refusal(connection, "access.foreign_page", 403)
        if self.access.open:
            # Without a secret, no foreign page may reach this server under a name of its own.
            here = is_loopback(_name(host))
            return None if here else refusal(connection, "access.foreign_host", 403)
        inside = self.access.has_cookie(connection)
        if scope["type"] == "websocket":
            return None if inside else refusal(connection, "access.refused", 403)
        if "token" in connection.query_params and scope["method"] in {"GET", "HEAD"}:
            return self._by_token(connection, inside)
        if inside:
            return None
        return await self._from_outside(Request(scope, receive))

    def _by_token(self, connection: HTTPConnection, inside: bool) -> Response:
        """Drop the token from the address; the right one brings the cookie."""
        if inside:
            return RedirectResponse(_without_token(connection), 303)
        right = same(connection.query_params["token"], self.access.token)
        return self._judged(connection, right) or refusal(connection, "access.refused", 403)

    async def _from_outside(self, request: Request) -> Response:
        if self.access.password is None:
            return refusal(request, "access.refused", 403)
        if request.method == "POST" and (given := await _password(request)) is not None:
            right = same(given, self.access.password)
            return self._judged(request, right) or form(request, "access.wrong_password")
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            return form(request)
        return refusal(request, "access.refused_password", 403)

    def _judged(self, connection: HTTPConnection, right: bool) -> Response | None:
        """The cookie and a redirect, or the word to wait; None for a wrong try that may be repeated."""
        client = connection.client.host if connection.client else ""
        if seconds := self.tries.wait(client):
            return refusal(connection, "access.wait", 429, seconds=seconds)
        if not right:
            self.tries.add(client)
            return None
        answer = RedirectResponse(_without_token(connection), 303, {"cache-control": "no-store"})
        answer.set_cookie(
            self.access.cookie_name,
            self.access.cookie,
            path=f"/{self.base().strip('/')}",
            secure=connection.url.scheme == "https",
            httponly=True,
            samesite="lax",
        )
        return answer


def refusal(connection: HTTPConnection, key: str, status: int, **values: object) -> Response:
    """One sentence in the browser's language."""
    headers = {"cache-control": "no-store"}
    if "seconds" in values:
        headers["retry-after"] = str(values["seconds"])
    return PlainTextResponse(say(key, _language(connection), **values) + "\n", status, headers)


def form(connection: HTTPConnection, error: str = "") -> Response:
    """The page that asks for the password."""
    language = _language(connection)
    page = FORM.format(
        lang=language,
        title=say("frame.title", language),
        label=say("access.password", language),
        button=say("access.come_in", language),
        error=f'<p role="alert">{say(error, language)}</p>' if error else "",
    )
    return HTMLResponse(page, 401, {"cache-control": "no-store"})


async def _password(request: Request) -> str | None:
    """The password of the login form; None for any other or a suspiciously long request."""
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return None
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_FORM:
            return None
    return parse_qs(body.decode(errors="replace")).get("password", [""])[0]


def _without_token(connection: HTTPConnection) -> str:
    """The same address without the token, and without the host: no redirect leads elsewhere."""
    query = parse_qsl(connection.url.query, keep_blank_values=True)
    kept = urlencode([(name, value) for name, value in query if name != "token"])
    path = "/" + connection.url.path.lstrip("/")
    return f"{path}?{kept}" if kept else path


def _language(connection: HTTPConnection) -> Language:
    return "zh" if connection.headers.get("accept-language", "").lower().startswith("zh") else "en"


def _of_another_port(origin: str, host: str) -> bool:
    """Whether a page of another program on this machine asks: cookies make no difference between ports."""
    asking = origin.partition("://")[2]
    return is_loopback(_name(asking)) and is_loopback(_name(host)) and asking != host


def _name(host: str) -> str:
    """The host of ``host:port``; an IPv6 address keeps its brackets."""
    return host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            _add(MutableHeaders(scope=message), HEADERS.items())
        await send(message)

    return sending


def _add(headers: MutableHeaders, missing: Iterable[tuple[str, str]]) -> None:
    for name, value in missing:
        headers.setdefault(name, value)

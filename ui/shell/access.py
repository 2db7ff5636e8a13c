"""Who may come in: a guard around the whole server, before Streamlit sees a request.

Every HTTP request and websocket needs this start's cookie. It is given for the token that stands in the
printed address (which is dropped from the address by a redirect) or for the password. Nothing is exempt, the
health check and the page's own files included.
"""

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.wording import Language, say

TRIES, TRIES_SECONDS = 10, 60.0
# Of all clients together: whoever has many addresses has no more tries for that.
TRIES_OF_ALL = 30
MOST_CLIENTS = 1000
LONGEST_FORM = 4096
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
EVERYBODY, THIS_MACHINE = "everybody", "this machine"
# What may stand in a policy without ending it.
_HOST = re.compile(r"[\w.-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?", re.ASCII)
_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
FORM = """<!doctype html><html lang="{lang}"><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>:root{{color-scheme:light dark}}body{{font:16px/1.5 system-ui,sans-serif;display:grid;margin:0;
min-height:90vh;place-items:center}}form{{display:grid;gap:.75rem;width:min(20rem,90vw)}}input,button{{font:inherit;
padding:.5rem .75rem}}p{{color:#c62828;margin:0}}</style>
<form method="post"><h1>{title}</h1><label for="password">{label}</label>
<input id="password" name="password" type="password" autocomplete="current-password" autofocus required>
{error}<button>{button}</button></form></html>"""


class Tries:
    """Wrong tokens and passwords by client: after ten in a minute a client has to wait, right or wrong; after
    thirty of all clients everybody has to who is not in yet."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self._wrong: dict[str, deque[float]] = {}

    def wait(self, client: str) -> int:
        """Seconds until ``client`` may try again; 0 when it may now."""
        return max(self._wait(client, TRIES), self._wait(EVERYBODY, TRIES_OF_ALL))

    def add(self, client: str) -> None:
        """Count one wrong try. Of too many clients the one that tried first is forgotten."""
        if client not in self._wrong and len(self._wrong) >= MOST_CLIENTS:
            self._wrong.pop(next(name for name in self._wrong if name != EVERYBODY))
        self._wrong.setdefault(EVERYBODY, deque(maxlen=TRIES_OF_ALL)).append(self.now())
        self._wrong.setdefault(client, deque(maxlen=TRIES)).append(self.now())

    def _wait(self, client: str, most: int) -> int:
        wrong = self._recent(client)
        return 1 + int(wrong[0] + TRIES_SECONDS - self.now()) if len(wrong) >= most else 0

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


def counted_client(connection: HTTPConnection) -> str:
    """Whose tries are counted together: an address, all of this machine's, or a network of IPv6."""
    given = connection.client.host if connection.client else ""
    try:
        address = ip_address(given.partition("%")[0])
    except ValueError:
        return given
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            address = address.ipv4_mapped
        elif not address.is_loopback:
            return str(ip_network((address, 64), strict=False))
    return THIS_MACHINE if address.is_loopback else str(address)


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches a server bound to ``address``."""
    if address == "localhost":
        return True
    try:
        return ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


class Guard:
    """ASGI middleware around Streamlit. ``base`` is the path that a proxy puts before every route, ``page``
    the HTML file that Streamlit serves, whose own scripts may run."""

    def __init__(
        self, app: ASGIApp, access: Access, base: Callable[[], str] = str, page: Path | None = None
    ) -> None:
        self.app, self.access, self.base = app, access, base
        self.tries = Tries()
        self.scripts = script_hashes(page.read_text(encoding="utf-8")) if page else ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        answer = await self._answer(scope, receive)
        sending = _with_headers(
            send, headers_for(HTTPConnection(scope).headers.get("host", ""), self.scripts)
        )
        if answer is None:
            await self.app(_by_one_name(scope), receive, sending)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await answer(scope, receive, sending)

    async def _answer(self, scope: Scope, receive: Receive) -> Response | None:
        """What is answered in the server's place; None lets the request in."""
        connection = HTTPConnection(scope)
        host = connection.headers.get("host", "")
        if _of_another_page(connection.headers.get("origin"), host):
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
        client = counted_client(connection)
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
    # A browser that says no referrer says no origin with a form either.
    return HTMLResponse(page, 401, {"cache-control": "no-store", "referrer-policy": "same-origin"})


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


def _of_another_page(origin: str | None, host: str) -> bool:
    """Whether the page that asks has another address than the one it asks: another program's on this machine
    (cookies make no difference between ports), or anybody's who can reach it."""
    if origin is None:
        return False
    scheme, _, asking = origin.lower().partition("://")
    # A browser leaves out the port that its scheme has anyway; a proxy may name it ("$host:$server_port").
    return asking != host.lower().removesuffix(DEFAULT_PORTS.get(scheme, "")) or not asking


def _by_one_name(scope: Scope) -> Scope:
    """The request with the host as its page calls it: Streamlit takes another way to write a default port for
    another host."""
    origin = dict(scope["headers"]).get(b"origin")
    if origin is None:
        return scope
    host = origin.partition(b"://")[2]
    headers = [(name, host if name == b"host" else value) for name, value in scope["headers"]]
    return {**scope, "headers": headers}


def _name(host: str) -> str:
    """The host of ``host:port``; an IPv6 address keeps its brackets."""
    if not host.startswith("["):
        return host.partition(":")[0]
    name, bracket, rest = host.partition("]")
    return name + bracket if not rest or rest.startswith(":") else host


def headers_for(host: str, scripts: Iterable[str] = ()) -> dict[str, str]:
    """What every answer says to the browser: run, fetch and show nothing from anywhere else.

    An answer of a model, a row or a log line may hold the address of a picture; fetching it would send out
    whatever stands in that address. Streamlit's own pages need styles in the page, workers and pictures out
    of memory; ``scripts`` are the hashes of its own scripts in the page.
    """
    here = f"ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""  # 'self' is no websocket everywhere
    allowed = {
        "default-src": "'self'",
        "script-src": " ".join(("'self'", "'wasm-unsafe-eval'", *scripts)),
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "media-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "connect-src": f"'self' data: blob: {here}".strip(),
        "worker-src": "'self' blob:",
        "frame-src": "'self'",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'self'",
    }
    return {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in allowed.items()),
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
    }


def script_hashes(page: str) -> tuple[str, ...]:
    """The scripts that stand in a page, as a policy names them."""
    digests = (hashlib.sha256(script.encode()).digest() for script in _SCRIPT.findall(page))
    return tuple(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


def _with_headers(send: Send, headers: Mapping[str, str]) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            _add(MutableHeaders(scope=message), headers.items())
        await send(message)

    return sending


def _add(headers: MutableHeaders, missing: Iterable[tuple[str, str]]) -> None:
    for name, value in missing:
        headers.setdefault(name, value)

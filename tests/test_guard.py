"""The guard as an ASGI app of its own: what a browser, or whoever is none, can send to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from ui.shell.access import LONGEST_FORM, Access, Guard

HTML = {"accept": "text/html"}
FORM = {"content-type": "application/x-www-form-urlencoded", **HTML}
CHINESE = {"accept-language": "zh-CN,zh;q=0.9"}
PASSWORD = "pässwörd 密码 &=+%"


def client_for(access: Access, base: str = "", url: str = "http://127.0.0.1:8501") -> TestClient:
    """A client of an app behind the guard; the app says what host it was asked under."""
    begun: list[str] = []

    async def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"in {request.headers['host']} {begun}")

    async def stream(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text("in")
        await websocket.close()

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        begun.append("begun")
        yield

    routes = [WebSocketRoute("/stream", stream), Route("/{path:path}", page, methods=["GET", "POST"])]
    app = Starlette(routes=routes, lifespan=lifespan)
    return TestClient(Guard(app, access, lambda: base), base_url=url, follow_redirects=False)


def test_the_servers_own_start_passes_the_guard() -> None:
    with client_for(Access()) as client:
        assert client.get("/").text == "in 127.0.0.1:8501 ['begun']"


def test_a_password_in_any_letters_opens_the_door() -> None:
    client = client_for(Access(password=PASSWORD))
    asked = client.get("/train?run=a", headers=HTML)
    assert asked.status_code == 401 and 'type="password"' in asked.text
    wrong = client.post("/train?run=a", content=f"password={quote('x')}", headers={**FORM, **CHINESE})
    assert wrong.status_code == 401 and "密码不对" in wrong.text and 'lang="zh"' in wrong.text
    right = client.post("/train?run=a", content=f"password={quote(PASSWORD)}", headers=FORM)
    assert (right.status_code, right.headers["location"]) == (303, "/train?run=a")
    assert client.get("/train").text.startswith("in ")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"password=" + b"x" * LONGEST_FORM, FORM["content-type"]),
        (b"password=right", "text/plain"),
        (b'{"password": "right"}', "application/json"),
        (b"", FORM["content-type"]),
        (b"\xff\xfe=%zz&password", FORM["content-type"]),
    ],
)
def test_what_is_no_form_of_a_password_lets_nobody_in(content: bytes, kind: str) -> None:
    client = client_for(Access(password="right"))
    answer = client.post("/", content=content, headers={"content-type": kind, **HTML})
    assert answer.status_code in {401, 403} and "set-cookie" not in answer.headers


def test_only_a_browsers_page_gets_the_form() -> None:
    client = client_for(Access(password="right"))
    for answer in (client.get("/_stcore/health"), client.head("/", headers=HTML), client.put("/")):
        assert answer.status_code == 403 and "<form" not in answer.text


def test_the_cookie_is_only_for_this_server_and_over_https_for_nothing_else() -> None:
    access = Access.by_token()
    for url, secure in (("http://127.0.0.1:8501", False), ("https://tune.example", True)):
        client = client_for(access, base="tune/board/", url=url)
        said = client.get(f"/tune/board/?token={access.token}").headers["set-cookie"]
        assert ("; Secure" in said) is secure and "Path=/tune/board;" in said and "HttpOnly" in said


def test_whoever_is_in_loses_the_token_from_the_address_and_nothing_else() -> None:
    access = Access.by_token()
    client = client_for(access)
    client.get(f"/?token={access.token}")
    for given in (access.token, "an old one"):
        answer = client.get(f"/chat?lang=zh&token={given}&run=%E6%9D%8E+x&empty=")
        assert answer.headers["location"] == "/chat?lang=zh&run=%E6%9D%8E+x&empty="
    assert client.post("/", params={"token": "x"}).text.startswith("in "), "a form keeps its address"


def test_a_websocket_without_the_cookie_is_closed_before_it_is_open() -> None:
    access = Access.by_token()
    client = client_for(access)
    stream_at = "ws://127.0.0.1:8501/stream"
    for address in (stream_at, f"{stream_at}?token={access.token}"):
        with pytest.raises(WebSocketDisconnect) as closed, client.websocket_connect(address):
            pass
        assert closed.value.code == 1008
    client.get(f"/?token={access.token}")
    with client.websocket_connect(stream_at) as stream:
        assert stream.receive_text() == "in"


def test_streamlit_hears_the_host_as_its_page_calls_it() -> None:
    client = client_for(Access(), url="http://localhost")
    answer = client.get("/", headers={"host": "localhost:80", "origin": "http://localhost"})
    assert answer.text.startswith("in localhost []")


@pytest.mark.parametrize(
    "host", ["", "evil.example", "127.0.0.1.evil.example", "[::1].evil.example", "[", "\xff"]
)
def test_without_a_token_no_foreign_name_gets_in(host: str) -> None:
    answer = client_for(Access()).get("/", headers={"host": host.encode("latin-1")})
    assert answer.status_code == 403 and "\n" in answer.text


ODD_VALUES = (
    "",
    "x" * 50_000,
    "\xff\x80",
    "a=b; c",
    '"; token=x',
    "token=",
    "%00",
    "\t",
    "é" * 100,
    "../../etc/passwd",
)
ODD_HEADERS = (
    "cookie",
    "host",
    "origin",
    "x-forwarded-for",
    "x-forwarded-host",
    "accept-language",
    "authorization",
)
ROUTES = (
    "/",
    "/train",
    "/_stcore/health",
    "/_stcore/upload_file/a/b",
    "/media/x",
    "/component/x/y",
    "/%2e%2e/etc",
    "//x",
)


@pytest.mark.parametrize("header", ODD_HEADERS)
def test_no_odd_header_opens_the_door_or_breaks_it(header: str) -> None:
    """Whatever is in it: refused in words on every route, and never an error of the server's own."""
    client = client_for(Access.by_token())
    for route in ROUTES:
        for value in ODD_VALUES:
            for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS"):
                answer = client.request(method, route, headers={header: value.encode("latin-1")})
                assert answer.status_code in {400, 401, 403, 404, 405, 413, 429}, (route, value[:20], method)
                assert not answer.text.startswith("in ") and "Traceback" not in answer.text


def test_a_page_elsewhere_cannot_act_with_the_cookie() -> None:
    access = Access.by_token()
    client = client_for(access)
    client.get(f"/?token={access.token}")
    assert client.post("/train").text.startswith("in ")
    for origin in (
        "http://evil.example",
        "null",
        "http://127.0.0.1:8502",
        "http://127.0.0.1.evil.example:8501",
        "file://",
    ):
        for method in ("GET", "POST", "PUT", "DELETE"):
            answer = client.request(method, "/train", headers={"origin": origin})
            assert answer.status_code == 403 and not answer.text.startswith("in "), (origin, method)


def test_who_had_too_many_tries_waits_in_their_own_language_and_is_told_how_long() -> None:
    client = client_for(Access(password="right"))
    for _ in range(10):
        client.post("/", content="password=x", headers=FORM)
    answer = client.post("/", content="password=right", headers={**FORM, **CHINESE})
    assert answer.status_code == 429 and 0 < int(answer.headers["retry-after"]) <= 61
    assert answer.headers["retry-after"] in answer.text and "秒" in answer.text


def test_every_answer_carries_the_policy() -> None:
    client = client_for(Access(password="right"))
    for answer in (
        client.get("/", headers=HTML),
        client.get("/"),
        client.post("/", content="password=right", headers=FORM),
    ):
        assert "img-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "no-store" in answer.headers["cache-control"]

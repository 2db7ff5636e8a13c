"""The guard around a real server: every route that it has, each way in, and each way that must stay shut."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from starlette.requests import HTTPConnection

from core.workspace.paths import PROJECT
from tests.conftest import RecordFault
from tests.server import Dashboard, free_port
from ui.shell.access import (
    THIS_MACHINE,
    TRIES,
    TRIES_OF_ALL,
    TRIES_SECONDS,
    Tries,
    _of_another_page,
    counted_client,
    headers_for,
    is_loopback,
    same,
)

LIST_ROUTES = """
import json, app
def walk(routes, prefix=""):
    for route in routes:
        path = prefix + getattr(route, "path", "")
        methods = sorted(getattr(route, "methods", None) or [])
        kind = "websocket" if type(route).__name__ == "WebSocketRoute" else "http"
        yield [path, kind, methods]
print(json.dumps(list(walk(app.app._build_starlette_app().routes))))
"""
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}
HTML = {"Accept": "text/html"}
LOGIN = {"Content-Type": "application/x-www-form-urlencoded", **HTML}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("access") / "工作 区" / "a b"


@pytest.fixture(scope="module")
def dashboard(workspace: Path) -> Iterator[Dashboard]:
    with Dashboard(workspace) as server:
        assert server.cookie()  # before the wrong tries that are to come
        yield server


@pytest.fixture(scope="module")
def untried(workspace: Path) -> Iterator[Dashboard]:
    """A server on which nobody tries a wrong token more than once."""
    with Dashboard(workspace) as server:
        yield server


@pytest.fixture(scope="module")
def routes(workspace: Path) -> list[tuple[str, str, list[str]]]:
    done = subprocess.run(
        [sys.executable, "-c", LIST_ROUTES],
        cwd=PROJECT,
        env={**os.environ, "TUNEBOARD_HOME": str(workspace)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return [(path, kind, methods) for path, kind, methods in json.loads(done.stdout.splitlines()[-1])]


def filled(path: str) -> str:
    """A route's path with something in the place of each parameter."""
    return "/" + "/".join("x" if "{" in part else part for part in path.strip("/").split("/"))


def test_every_route_of_the_server_is_refused_without_the_token(
    dashboard: Dashboard, routes: list[tuple[str, str, list[str]]]
) -> None:
    kinds = {kind for _, kind, _ in routes}
    paths = {path for path, _, _ in routes}
    assert kinds == {"http", "websocket"}
    assert {"/_stcore/health", "/_stcore/upload_file/{session_id}/{file_id}"} <= paths
    for path, kind, methods in routes:
        for method in ["GET"] if kind == "websocket" else methods or ["GET"]:
            headers = UPGRADE if kind == "websocket" else {}
            for query in ("", "?token=", "?token=wrong"):
                answer = dashboard.ask(method, filled(path) + query, headers)
                assert answer.status in {403, 429}, (method, path, query, answer.status)
                assert answer.getheader("set-cookie") is None


def test_websocket_needs_the_cookie_itself(dashboard: Dashboard) -> None:
    stream = "/_stcore/stream"
    assert dashboard.ask("GET", stream, UPGRADE).status == 403
    assert dashboard.ask("GET", f"{stream}?token={dashboard.token()}", UPGRADE).status == 403
    name, _, value = dashboard.cookie().partition("=")
    assert dashboard.ask("GET", stream, {**UPGRADE, "Cookie": f"{name}={value[:-1]}"}).status == 403
    assert dashboard.ask("GET", stream, {**UPGRADE, "Cookie": f"{name}={value}"}).status == 101


def test_no_other_program_of_this_machine_rides_on_the_cookie(dashboard: Dashboard) -> None:
    headers = {**UPGRADE, "Cookie": dashboard.cookie()}
    own = f"http://127.0.0.1:{dashboard.port}"
    assert dashboard.ask("GET", "/_stcore/stream", {**headers, "Origin": own}).status == 101
    for origin, host in (
        ("https://tune.example", "tune.example:443"),
        ("http://tune.example", "TUNE.example:80"),
    ):
        through_a_proxy = {**headers, "Origin": origin, "Host": host}
        assert dashboard.ask("GET", "/_stcore/stream", through_a_proxy).status == 101, host
    for origin in (f"http://127.0.0.1:{dashboard.port + 1}", "http://localhost:3000", "https://example.com"):
        assert dashboard.ask("GET", "/_stcore/stream", {**headers, "Origin": origin}).status == 403


def test_the_token_is_exchanged_for_a_cookie_and_leaves_the_address(
    untried: Dashboard, workspace: Path
) -> None:
    answer = untried.ask("GET", f"/train?run=a%20b&token={untried.token()}&lang=zh")
    cookie = answer.getheader("set-cookie") or ""
    assert answer.status == 303
    assert answer.getheader("location") == "/train?run=a+b&lang=zh"
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and untried.token() not in cookie
    inside = {"Cookie": cookie.partition(";")[0]}
    assert untried.ask("GET", "/train", inside).status == 200
    assert untried.ask("GET", "/_stcore/health", inside).text == "ok"
    again = untried.ask("GET", "/train?token=of-an-earlier-start", inside)
    assert (again.status, again.getheader("location")) == (303, "/train")
    assert untried.token() not in untried.log.parent.joinpath(workspace.name, "dashboard.log").read_text()


def test_no_redirect_leads_elsewhere(untried: Dashboard) -> None:
    answer = untried.ask("GET", f"//example.com/?token={untried.token()}")
    assert not (answer.getheader("location") or "").startswith(("//", "http"))


def test_refusal_is_one_sentence_in_the_browsers_language(untried: Dashboard) -> None:
    english, chinese = untried.ask("GET", "/"), untried.ask("GET", "/", {"Accept-Language": "zh-CN"})
    assert english.text.count("\n") == 1 and "token" in english.text
    assert "令牌" in chinese.text


def test_wrong_tokens_have_to_wait_even_if_the_next_is_right(workspace: Path) -> None:
    with Dashboard(workspace) as server:
        cookie = server.cookie()
        statuses = [server.ask("GET", f"/?token={n}").status for n in range(TRIES + 1)]
        assert statuses == [403] * TRIES + [429]
        right = server.ask("GET", f"/?token={server.token()}")
        assert right.status == 429 and 0 < int(right.getheader("retry-after") or 0) <= TRIES_SECONDS + 1
        assert server.ask("GET", "/", {"Cookie": cookie}).status == 200


def test_tries_are_counted_by_client_and_forgotten_after_a_minute() -> None:
    now = [0.0]
    tries = Tries(now=lambda: now[0])
    for _ in range(TRIES):
        assert tries.wait("a") == 0
        tries.add("a")
    assert tries.wait("a") > 0 and tries.wait("b") == 0
    now[0] += TRIES_SECONDS + 1
    assert tries.wait("a") == 0


def test_many_clients_have_no_more_tries_for_that() -> None:
    now = [0.0]
    tries = Tries(now=lambda: now[0])
    for n in range(TRIES_OF_ALL):
        assert tries.wait(str(n)) == 0
        tries.add(str(n))
    assert tries.wait("a new one") > 0
    now[0] += TRIES_SECONDS + 1
    assert tries.wait("a new one") == 0


def test_password_opens_the_door_by_a_form(workspace: Path) -> None:
    with Dashboard(workspace, "--password", TUNEBOARD_PASSWORD="pässword 密") as server:
        assert "token" not in server.url()
        assert server.ask("GET", "/_stcore/health").status == 403
        form = server.ask("GET", "/train?run=x", HTML)
        assert form.status == 401 and 'type="password"' in form.text
        wrong = server.ask("POST", "/train?run=x", LOGIN, "password=nearly")
        assert wrong.status == 401 and wrong.getheader("set-cookie") is None
        right = server.ask("POST", "/train?run=x", LOGIN, "password=p%C3%A4ssword+%E5%AF%86")
        assert (right.status, right.getheader("location")) == (303, "/train?run=x")
        cookie = (right.getheader("set-cookie") or "").partition(";")[0]
        assert server.ask("GET", "/_stcore/health", {"Cookie": cookie}).status == 200
        assert server.ask("GET", "/_stcore/stream", UPGRADE).status == 403


def test_too_many_wrong_passwords_have_to_wait(workspace: Path) -> None:
    with Dashboard(workspace, "--password", TUNEBOARD_PASSWORD="right") as server:
        statuses = [server.ask("POST", "/", LOGIN, f"password={n}").status for n in range(TRIES + 1)]
        assert statuses == [401] * TRIES + [429]
        assert server.ask("POST", "/", LOGIN, "password=right").status == 429


RUN_BY_STREAMLIT = ["-m", "streamlit", "run", str(PROJECT / "app.py")]
FORWARDED = ("X-Forwarded-For", "X-Real-IP", "Forwarded")


def wrong_passwords(server: Dashboard, count: int, forwarded: bool = True, machines: int = 1) -> list[int]:
    """The answers to wrong passwords, each said to be from another address and sent from ``machines``."""
    found = []
    for n in range(count):
        said = {name: f"{'for=' * (name == 'Forwarded')}203.0.113.{n}" for name in FORWARDED}
        headers = {**LOGIN, **(said if forwarded else {})}
        source = f"127.0.0.{1 + n % machines}"
        found.append(server.ask("POST", "/", headers, f"password={n}", source).status)
    return found


@pytest.mark.parametrize("machines", [1, 40])
def test_an_invented_address_is_no_new_client(workspace: Path, machines: int) -> None:
    with Dashboard(workspace, "--password", TUNEBOARD_PASSWORD="right") as server:
        assert wrong_passwords(server, 40, machines=machines) == [401] * TRIES + [429] * (40 - TRIES)
        said = {**LOGIN, "X-Forwarded-For": "203.0.113.99"}
        assert server.ask("POST", "/", said, "password=right").status == 429


def test_an_invented_address_is_no_new_client_of_streamlit_run(workspace: Path) -> None:
    port = free_port()
    added = {"TUNEBOARD_HOME": str(workspace), "TUNEBOARD_ACCESS": "password", "TUNEBOARD_PASSWORD": "right"}
    with Dashboard(workspace, command=[*RUN_BY_STREAMLIT, f"--server.port={port}"], **added) as server:
        assert wrong_passwords(server, 12) == [401] * TRIES + [429] * 2


def test_a_named_proxys_clients_are_counted_one_by_one_and_together(workspace: Path) -> None:
    options = ("--password", "--proxy", "127.0.0.1")
    with Dashboard(workspace, *options, TUNEBOARD_PASSWORD="right") as server:
        many = TRIES_OF_ALL + 5
        assert wrong_passwords(server, TRIES + 1) == [401] * (TRIES + 1)
        assert wrong_passwords(server, many).count(401) == TRIES_OF_ALL - TRIES - 1
    with Dashboard(workspace, *options, TUNEBOARD_PASSWORD="right") as server:
        assert wrong_passwords(server, TRIES + 1, forwarded=False) == [401] * TRIES + [429]
        # Somebody else on this machine is not the proxy.
        assert wrong_passwords(server, 3, machines=2) == [401, 429, 401]


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("127.8.9.1", THIS_MACHINE),
        ("::1", THIS_MACHINE),
        ("::ffff:127.0.0.1", THIS_MACHINE),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_whose_tries_are_counted_together(address: str, client: str) -> None:
    assert counted_client(HTTPConnection({"type": "http", "client": (address, 1), "headers": []})) == client


def own_address() -> str:
    """This machine's on its network, whose pages Streamlit lets in; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        with suppress(OSError):  # no network
            probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])


def test_a_page_of_another_address_is_refused_however_it_comes(workspace: Path) -> None:
    with Dashboard(workspace, "--no-token") as server:
        own = f"127.0.0.1:{server.port}"
        for origin in (
            "http://192.168.1.5:8501",
            f"http://{own_address()}:3000",
            f"http://localhost:{server.port}",
            "null",
            "http://evil.example",
        ):
            for headers in ({}, UPGRADE):
                path = "/_stcore/stream" if headers else "/_stcore/health"
                assert server.ask("GET", path, {**headers, "Origin": origin}).status == 403, origin
        assert server.ask("GET", "/_stcore/stream", {**UPGRADE, "Origin": f"http://{own}"}).status == 101
        assert server.ask("GET", "/_stcore/health", {"Origin": f"http://{own.upper()}"}).status == 200


@pytest.mark.parametrize(
    ("origin", "host", "foreign"),
    [
        ("http://tune.example", "tune.example:80", False),
        ("https://tune.example", "tune.example:443", False),
        ("https://[2001:db8::1]", "[2001:db8::1]:443", False),
        ("https://tune.example", "tune.example:80", True),
        ("http://tune.example", "tune.example:8080", True),
        ("http://[2001:db8::1]", "[2001:db8::1:80]", True),
        ("null", "", True),
        ("null", ":80", True),
        ("http://", ":80", True),
    ],
)
def test_a_port_that_the_scheme_has_anyway_is_no_other_address(origin: str, host: str, foreign: bool) -> None:
    """A browser leaves it out; a proxy that passes "$host:$server_port" on does not."""
    assert _of_another_page(origin, host) is foreign
    assert _of_another_page(None, host) is False


def test_every_answer_tells_the_browser_to_fetch_nothing_from_elsewhere(
    dashboard: Dashboard, routes: list[tuple[str, str, list[str]]]
) -> None:
    for cookie in ("", dashboard.cookie()):
        for path in (
            "/",
            "/train",
            "/no/such/page",
            *{filled(path) for path, kind, _ in routes if kind == "http"},
        ):
            answer = dashboard.ask("GET", path, {"Cookie": cookie} if cookie else {})
            policy = answer.getheader("content-security-policy") or ""
            assert "img-src 'self' data: blob:" in policy and "object-src 'none'" in policy, path
            assert "http" not in policy and "unsafe-eval" not in policy.replace("wasm-unsafe-eval", "")
            assert answer.getheader("x-content-type-options") == "nosniff"
            assert answer.getheader("referrer-policy") == "no-referrer"


def test_a_host_cannot_end_the_policy() -> None:
    for host in ("x; script-src *", "x, y", "a b", "é", "[::1]; img-src *"):
        assert headers_for(host)["content-security-policy"] == headers_for("")["content-security-policy"]
    assert "ws://[::1]:8501 " in headers_for("[::1]:8501")["content-security-policy"]


def test_no_token_lets_in_whoever_is_on_this_machine_and_no_foreign_name(workspace: Path) -> None:
    with Dashboard(workspace, "--no-token") as server:
        assert "token" not in server.url()
        assert server.ask("GET", "/_stcore/health").status == 200
        assert server.ask("GET", "/_stcore/health", {"Host": "rebound.example.com"}).status == 403
        assert server.ask("GET", "/_stcore/stream", {**UPGRADE, "Origin": "http://localhost:1"}).status == 403


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--no-token", "--address=0.0.0.0"), "127.0.0.1"),
        (("--no-token", "--password"), "cannot be used together"),
        (("--password",), "TUNEBOARD_PASSWORD"),
        (("--port=banana",), "--port"),
        (("--address=192.0.2.1",), "192.0.2.1"),
        (("--proxy=lab.example",), "lab.example"),
    ],
)
def test_what_would_let_everybody_in_does_not_start(
    workspace: Path, options: tuple[str, ...], word: str
) -> None:
    server = Dashboard(workspace, *options)
    assert server.process.wait(timeout=30) != 0
    assert word in server.said() and "Traceback" not in server.said()


def test_behind_a_proxys_path(workspace: Path) -> None:
    with Dashboard(workspace, "--base-url-path", "/lab/tune/") as server:
        assert f"127.0.0.1:{server.port}/lab/tune/?token=" in server.url()
        answer = server.ask("GET", f"/lab/tune/train?token={server.token()}")
        assert answer.getheader("location") == "/lab/tune/train"
        assert "Path=/lab/tune" in (answer.getheader("set-cookie") or "")
        assert server.ask("GET", "/lab/tune/_stcore/health").status == 403
        assert server.ask("GET", "/lab/tune/_stcore/health", {"Cookie": server.cookie()}).status == 200


def test_streamlit_run_guards_with_a_token_of_its_own(workspace: Path) -> None:
    port = free_port()
    command = ["-m", "streamlit", "run", str(PROJECT / "app.py"), f"--server.port={port}"]
    with Dashboard(workspace, command=command, TUNEBOARD_HOME=str(workspace)) as server:
        assert f"http://127.0.0.1:{port}/?token=" in server.url()
        assert server.ask("GET", "/_stcore/health").status == 403
        assert server.ask("GET", "/_stcore/health", {"Cookie": server.cookie()}).status == 200


def test_a_taken_port_gives_way_to_the_next_and_says_so(
    dashboard: Dashboard, workspace: Path, record_fault: RecordFault
) -> None:
    taken = int(dashboard.url().partition("127.0.0.1:")[2].partition("/")[0])
    with Dashboard(workspace, f"--port={taken}") as server:
        assert f"Port {taken} is in use" in (server.url() and server.said())
    record_fault("the dashboard's port is taken", "", "", "it says so and takes the next free one")


def test_secrets_are_compared_whole() -> None:
    assert same("密 a", "密 a")
    assert not same("", None) and not same("", "") and not same("a", "ab")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost"])
def test_loopback(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.0.1", "example.com", "", "127.0.0.1.nip.io"])
def test_not_loopback(address: str) -> None:
    assert not is_loopback(address)

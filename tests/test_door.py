"""What the server does once: who may come in, where it listens, and what ends it with a sentence."""

import io
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn.config
from streamlit import config

from core.cli.serve import ACCESS_VARIABLE, PASSWORD_VARIABLE, PROXY_VARIABLE
from tests.waiting import until
from ui.shell import door
from ui.shell.access import Access


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TUNEBOARD_LANG", "en")
    for name in (ACCESS_VARIABLE, PASSWORD_VARIABLE, PROXY_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    before = {
        name: config.get_option(name) for name in ("server.address", "server.baseUrlPath", "server.port")
    }
    yield
    for name, value in before.items():
        config.set_option(name, value)


def test_without_a_word_one_comes_in_by_a_token_of_this_start() -> None:
    one, other = door.access(), door.access()
    assert one.token and other.token and one.token != other.token and one.password is None


def test_the_password_is_taken_out_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ACCESS_VARIABLE, "password")
    monkeypatch.setenv(PASSWORD_VARIABLE, "密码")
    known = door.access()
    assert (known.password, known.token) == ("密码", None) and PASSWORD_VARIABLE not in os.environ


@pytest.mark.parametrize("typed", ["", "typed"])
def test_the_password_is_asked_for_at_a_terminal(monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    monkeypatch.setenv(ACCESS_VARIABLE, "password")
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(door.getpass, "getpass", lambda _: typed)  # type: ignore[attr-defined]
    if typed:
        assert door.access().password == typed
    else:
        with pytest.raises(SystemExit, match="needs a password"):
            door.access()


def test_where_nobody_can_type_a_missing_password_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ACCESS_VARIABLE, "password")
    monkeypatch.setattr(sys, "stdin", io.StringIO("from a pipe\n"))
    with pytest.raises(SystemExit, match="TUNEBOARD_PASSWORD"):
        door.access()


@pytest.mark.parametrize(("address", "open_"), [("127.0.0.1", True), ("0.0.0.0", False), ("", False)])
def test_without_a_token_it_listens_to_this_machine_alone(
    monkeypatch: pytest.MonkeyPatch, address: str, open_: bool
) -> None:
    monkeypatch.setenv(ACCESS_VARIABLE, "none")
    config.set_option("server.address", address or None)
    if open_:
        assert door.access().open
    else:
        with pytest.raises(SystemExit, match=r"must listen on 127\.0\.0\.1 only"):
            door.access()


@pytest.mark.parametrize(("named", "trusted"), [("", []), (" 10.0.0.7 ", ["10.0.0.7"]), ("::1", ["::1"])])
def test_only_the_named_proxy_says_whose_client_it_is(
    monkeypatch: pytest.MonkeyPatch, named: str, trusted: list[str]
) -> None:
    monkeypatch.setenv(PROXY_VARIABLE, named)
    given: list[object] = []
    monkeypatch.setattr(door, "ProxyHeadersMiddleware", lambda _, trusted_hosts: given.append(trusted_hosts))
    monkeypatch.setattr(uvicorn.config, "ProxyHeadersMiddleware", None)
    door.trust_proxy()
    uvicorn.config.ProxyHeadersMiddleware(None, trusted_hosts="*")  # type: ignore[arg-type]
    assert given == [trusted]


@pytest.mark.parametrize("named", ["localhost", "10.0.0.0/8", "*", "10.0.0.1,10.0.0.2"])
def test_a_proxy_that_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    monkeypatch.setenv(PROXY_VARIABLE, named)
    with pytest.raises(SystemExit, match="is not an IP address"):
        door.trust_proxy()


@pytest.mark.parametrize(
    ("address", "base", "shown"),
    [
        (None, "", "http://127.0.0.1:8600/"),
        ("192.168.1.5", "", "http://192.168.1.5:8600/"),
        ("::1", "", "http://[::1]:8600/"),
        ("127.0.0.1", "/tune/board/", "http://127.0.0.1:8600/tune/board/"),
    ],
)
def test_the_address_that_a_person_opens(address: str | None, base: str, shown: str) -> None:
    config.set_option("server.address", address)
    config.set_option("server.baseUrlPath", base)
    config.set_option("server.port", 8600)
    assert door.address(Access()) == shown
    assert door.address(Access(token="t")) == f"{shown}?token=t"


def test_a_workspace_that_cannot_be_one_is_said_with_the_option_to_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a file"
    file.write_text("x")
    monkeypatch.setenv("TUNEBOARD_HOME", str(file / "workspace"))
    with pytest.raises(SystemExit, match="Choose another folder with --workspace"):
        door.keep_log()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end_the_server_has_a_deadline(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """What was to be done before still is; nothing waits for ever."""
    ended: list[object] = []
    monkeypatch.setattr(door, "EXIT_SECONDS", 0.0)
    monkeypatch.setattr(door.os, "_exit", ended.append)  # type: ignore[attr-defined]
    before = {one: signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        signal.signal(number, lambda *_: ended.append("as before"))
        door.end_in_time(lambda: ended.append("left"))
        signal.raise_signal(number)
        deadline = [thread for thread in door.threading.enumerate() if hasattr(thread, "interval")]  # type: ignore[attr-defined]
        for thread in deadline:
            thread.join(5)
        until(lambda: "left" in ended)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    assert set(ended) == {"as before", "left", 128 + number}

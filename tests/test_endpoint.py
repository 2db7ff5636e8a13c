"""A model behind any server with OpenAI's interface: a real server in this process, answering and failing."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from core.chat.endpoint import KEY_VARIABLE, THOUGHT_TOKENS, Endpoint, ask, endpoint
from core.errors import EndpointFailed, InvalidEndpoint
from tests.openai_server import OpenAIServer
from tests.server import free_port

QUESTION = [{"role": "user", "content": "你好 <&>"}]
KEY = "sk-secret-1234"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    # A proxy has no way to this machine's own address.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    with OpenAIServer() as server:
        yield server


def where(server: OpenAIServer, key: str = KEY) -> Endpoint:
    return replace(endpoint(server.url, "m", key), retries=0, timeout=0.5)


def test_the_whole_answer(server: OpenAIServer) -> None:
    assert ask(where(server), QUESTION, 50) == "You said: 你好 <&> "
    (request,) = server.requests
    assert (request["model"], request["max_tokens"], request["temperature"]) == ("m", 50, 0)
    assert request["messages"] == QUESTION and server.keys == [f"Bearer {KEY}"]


def test_a_thought_before_the_answer_is_left_out(server: OpenAIServer) -> None:
    server.answer = lambda _: "<think>\nHm.\n</think>\n\nYes."
    assert ask(where(server), QUESTION, 50).strip() == "Yes." and len(server.requests) == 1


def test_a_thought_that_took_all_there_was_gets_room(server: OpenAIServer) -> None:
    said = ["<think>\nHm, let me", "<think>\nHm, let me see.\n</think>\n\nYes."]
    server.answer = lambda _: said[len(server.requests) - 1]
    assert ask(where(server), QUESTION, 50).strip() == "Yes."
    assert [one["max_tokens"] for one in server.requests] == [50, 50 + THOUGHT_TOKENS]


def test_the_template_is_told_what_the_endpoint_wants(server: OpenAIServer) -> None:
    ask(replace(where(server), options={"enable_thinking": False}), QUESTION, 50)
    assert server.requests[0]["chat_template_kwargs"] == {"enable_thinking": False}


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (401, "key was rejected (HTTP 401)"),
        (403, "key was rejected (HTTP 403)"),
        (404, "No model m"),
        (429, "quota used up (HTTP 429)"),
        (500, "internal error (HTTP 500)"),
        (503, "internal error (HTTP 503)"),
        (400, "The server said: HTTP 400"),
        ("slow", "No response"),
        ("drop", "connection was lost"),
        ("half", "was cut off"),
        ("html", "not in OpenAI's API format"),
        ("json", "not in OpenAI's API format"),
        ("stream_error", "the model is tired"),
        ("endless", "does not end"),
        ("comments", "does not end"),
        ("one_line", "does not end"),
        ("packed", "not in OpenAI's API format"),
    ],
)
def test_every_failure_is_a_sentence(server: OpenAIServer, how: int | str, says: str) -> None:
    server.fails = [how]
    with pytest.raises(EndpointFailed) as failed:
        ask(where(server), QUESTION, 50)
    sentence = failed.value.text("en")
    assert says in sentence and server.url in sentence and KEY not in sentence
    assert sentence.endswith(".") and "Traceback" not in sentence and failed.value.text("zh") != sentence


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_server_that_sends_on_is_not_followed(server: OpenAIServer, status: int) -> None:
    """Neither the question nor the key goes where nobody said it should."""
    with OpenAIServer() as elsewhere:
        server.fails, server.elsewhere = [status], f"{elsewhere.url}/chat/completions"
        with pytest.raises(EndpointFailed) as failed:
            ask(where(server), QUESTION, 50)
        assert server.elsewhere in failed.value.text("en") and not elsewhere.requests


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "2852039166", "0xA9FEA9FE", "169.254.43518", "[fe80::1]", "[::ffff:169.254.169.254]",
     "100.100.100.200", "[fd00:ec2::254]"],
)  # fmt: skip
def test_where_clouds_give_out_their_keys_nobody_is_asked(host: str) -> None:
    asked = replace(endpoint(f"http://{host}/latest/v1", "m", KEY), retries=0, timeout=0.5)
    with pytest.raises(EndpointFailed, match="own keys"):
        ask(asked, QUESTION, 5)


def test_a_name_that_leads_there_is_none_either(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(EndpointFailed, match=r"169\.254\.169\.254 is an address"):
        ask(replace(endpoint("http://metadata.example/v1", "m", KEY), retries=0), QUESTION, 5)


class Names:
    """A resolver that answers each time differently for a name under ``example``: the addresses in their
    order, None for a name that is not known."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: str | None) -> None:
        self.answers, self.asked, self.real = list(answers), 0, socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self)
        monkeypatch.delenv("HTTP_PROXY", raising=False)

    def __call__(self, host: str | bytes, port: int, *how: Any, **more: Any) -> Any:
        if not (host if isinstance(host, str) else host.decode()).endswith("example"):
            return self.real(host, port, *how, **more)
        self.asked += 1
        if (answer := self.answers.pop(0)) is None:
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answer, port))]


def named(server: OpenAIServer) -> Endpoint:
    return replace(where(server), url=server.url.replace("127.0.0.1", "models.example"))


def test_what_is_connected_to_is_what_was_checked(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name leads to a cloud's keys as soon as it was looked up (DNS rebinding)."""
    names = Names(monkeypatch, "127.0.0.1", "169.254.169.254")
    assert ask(named(server), QUESTION, 50) == "You said: 你好 <&> "
    assert names.asked == 1 and server.hosts == [f"models.example:{server.server.server_port}"]


def test_asked_again_it_is_the_same_address(server: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names(monkeypatch, "127.0.0.1", "169.254.169.254")
    server.fails = [503]
    assert ask(replace(named(server), retries=1), QUESTION, 50).startswith("You said")
    assert names.asked == 1 and len(server.requests) == 2


def test_a_name_that_is_not_known_is_not_looked_up_again(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names(monkeypatch, None, "127.0.0.1")
    with pytest.raises(EndpointFailed, match="Cannot connect"):
        ask(named(server), QUESTION, 50)
    assert names.asked == 1 and not server.requests


def test_a_certificate_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Server name indication, the part of TLS's first message that is not encrypted."""
    Names(monkeypatch, "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor() as pool:
        asked = Endpoint(f"https://models.example:{listening.getsockname()[1]}/v1", "m", retries=0, timeout=5)
        hello = pool.submit(first_bytes, listening)
        with pytest.raises(EndpointFailed):
            ask(asked, QUESTION, 5)
        assert b"models.example" in hello.result()


def first_bytes(listening: socket.socket) -> bytes:
    connection, _ = listening.accept()
    with connection:
        return connection.recv(4096)


def test_a_server_that_is_not_there() -> None:
    gone = Endpoint(f"http://127.0.0.1:{free_port()}/v1", "m", retries=0)
    with pytest.raises(EndpointFailed, match="Cannot connect"):
        ask(gone, QUESTION, 5)


def test_without_a_key_it_is_told_where_to_put_one(server: OpenAIServer) -> None:
    server.fails = [401]
    with pytest.raises(EndpointFailed, match=KEY_VARIABLE):
        ask(where(server, ""), QUESTION, 5)


def test_a_busy_server_is_asked_again(server: OpenAIServer) -> None:
    server.fails = [429, 503]
    assert ask(replace(where(server), retries=2), QUESTION, 5).startswith("You said")
    assert len(server.requests) == 3


def test_the_key_comes_from_the_environment_and_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    found = endpoint(" https://example.org/v1/chat/completions/ ", " m ")
    assert (found.url, found.model, found.key) == ("https://example.org/v1", "m", KEY)
    assert KEY not in repr(found)


@pytest.mark.parametrize(
    "url",
    ["", "example.org/v1", "ftp://example.org", "http://", "file:///etc/passwd", "http://[", "http://a:b/v1",
     f"https://me:{KEY}@example.org/v1", f"https://example.org/v1?key={KEY}"],
)  # fmt: skip
def test_an_address_that_cannot_be_asked(url: str) -> None:
    with pytest.raises(InvalidEndpoint) as refused:
        endpoint(url, "m")
    assert KEY not in refused.value.text()

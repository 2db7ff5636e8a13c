"""One question to a model behind any server that speaks OpenAI's interface; what goes wrong is a sentence."""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from core.chat.addresses import addresses, hold_to
from core.errors import EndpointFailed, InvalidEndpoint
from core.recipe.thoughts import split
from core.wording import say

# The key comes from the environment or is asked for; it is never kept.
KEY_VARIABLE = "TUNEBOARD_API_KEY"
# Seconds without a word; a model on a processor reads a page for a minute before its first.
TIMEOUT = 120.0
# An answer takes some hundred bytes for each token. A server that streams for ever is heard up to so many
# bytes, and for so many times its timeout.
MOST_BYTES, BYTES_A_TOKEN, LONGEST = 1 << 20, 4096, 15
# A busy server is asked again, as it says or after 0.5, 1, 2 and 4 s.
RETRIES = 4
# What a thought may take where it took all the tokens of its answer.
THOUGHT_TOKENS = 2048
# Where servers put it that part it from the answer.
APART = ("reasoning_content", "reasoning")
LOCAL = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True)
class Endpoint:
    """Where to ask: the address up to ``/v1``, the model's name there, and the key, which is never shown;
    or a Unix socket of this machine, which the address then only names. ``options``: the chat template's."""

    url: str
    model: str
    key: str = field(default="", repr=False)
    timeout: float = TIMEOUT
    socket: str = ""
    retries: int = RETRIES
    options: Mapping[str, bool] = field(default_factory=dict)


def endpoint(url: str, model: str, key: str | None = None) -> Endpoint:
    """An endpoint as a person names it; the key is by default that of the environment.

    Raises InvalidEndpoint for an address that is not http(s), or has a key or password in it, which would be
    kept with it.
    """
    url = url.strip().rstrip("/").removesuffix("/chat/completions")
    try:
        parts = urlsplit(url)
        named = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        named = False
    if not named or parts.username or parts.password or parts.query or parts.fragment:
        raise InvalidEndpoint(url=re.sub(r"//[^/]*@", "//…@", url).partition("?")[0])
    return Endpoint(url, model.strip(), os.environ.get(KEY_VARIABLE, "") if key is None else key)


def ask(where: Endpoint, messages: Sequence[dict[str, str]], max_tokens: int) -> str:
    """The whole answer, drawn greedily, without a thought before it, for which it has room when it took all
    there was. Raises EndpointFailed."""
    import openai  # a second of imports

    try:
        said, thought = _answer(where, messages, max_tokens)
        if thought and not said.strip():
            said, _ = _answer(where, messages, max_tokens + THOUGHT_TOKENS)
        return said
    except openai.APIStatusError as error:
        raise EndpointFailed(url=where.url, reason=_status_sentence(error, where)) from error
    except openai.APITimeoutError as error:
        reason = say("endpoint.timeout", seconds=round(where.timeout))
        raise EndpointFailed(url=where.url, reason=reason) from error
    except openai.APIConnectionError as error:
        raise EndpointFailed(url=where.url, reason=say("endpoint.no_connection")) from error
    except (openai.APIError, ValueError, AttributeError, TypeError) as error:
        # An error inside the stream, or no stream of OpenAI's at all.
        known = type(error) is openai.APIError
        said = say("endpoint.said", said=_short(str(error), where)) if known else say("endpoint.not_openai")
        raise EndpointFailed(url=where.url, reason=said) from error


def _answer(where: Endpoint, messages: Sequence[dict[str, str]], max_tokens: int) -> tuple[str, bool]:
    """The answer, and whether the model thought before it. Streamed, so that a slow model is not taken for a
    silent one and a dropped connection shows."""
    import httpx2
    import openai

    found = [] if where.socket else addresses(where.url)
    pieces: list[str] = []
    finished = thought = False
    plain = openai.DefaultHttpxClient(
        **_way_to(where),
        headers={"Accept-Encoding": "identity"},
        follow_redirects=False,  # the question and the key are for the server that was named
        event_hooks={"response": [_bounded(where, max_tokens)]},
    )
    if not where.socket:
        hold_to(plain, found)
    client = openai.OpenAI(
        base_url=where.url,
        api_key=where.key or "-",
        timeout=where.timeout,
        max_retries=where.retries,
        http_client=plain,
    )
    request = {"model": where.model, "messages": list(messages), "max_tokens": max_tokens, "temperature": 0}
    if where.options:
        request["extra_body"] = {"chat_template_kwargs": dict(where.options)}
    try:
        with (
            client,
            client.chat.completions.create(stream=True, **request) as stream,  # type: ignore[call-overload]
        ):
            if "event-stream" not in stream.response.headers.get("content-type", ""):
                raise ValueError("not a stream of events")
            for chunk in stream:
                for choice in chunk.choices:
                    finished = finished or bool(choice.finish_reason)
                    pieces.append(choice.delta.content or "")
                    thought = thought or any(getattr(choice.delta, name, None) for name in APART)
    except httpx2.TimeoutException as error:
        raise openai.APITimeoutError(error.request) from error
    except httpx2.TransportError as error:
        raise openai.APIConnectionError(request=error.request) from error
    if not finished:
        raise EndpointFailed(url=where.url, reason=say("endpoint.broke_off"))
    said = split("".join(pieces))
    return said.answer, thought or bool(said.mark)


def _bounded(where: Endpoint, max_tokens: int) -> Callable[[Any], None]:
    """What httpx calls with each response: its bytes are counted from there on, whatever they are, and none
    is unpacked."""
    import httpx2

    until = time.monotonic() + LONGEST * where.timeout

    class Counted(httpx2.SyncByteStream):
        def __init__(self, given: Any) -> None:
            self.given, self.left = given, MOST_BYTES + BYTES_A_TOKEN * max_tokens

        def __iter__(self) -> Iterator[bytes]:
            for block in self.given:
                self.left -= len(block)
                if self.left < 0 or time.monotonic() > until:
                    raise EndpointFailed(url=where.url, reason=say("endpoint.endless"))
                yield block

        def close(self) -> None:
            self.given.close()

    def bound(response: Any) -> None:
        if response.headers.get("content-encoding", "identity") != "identity":
            raise EndpointFailed(url=where.url, reason=say("endpoint.not_openai"))
        response.stream = Counted(response.stream)

    return bound


def _way_to(where: Endpoint) -> dict[str, Any]:
    """A proxy of the environment has no way to this machine's own address."""
    import httpx2

    if where.socket:
        return {"transport": httpx2.HTTPTransport(uds=where.socket)}
    return {"trust_env": urlsplit(where.url).hostname not in LOCAL}


def _status_sentence(error: Any, where: Endpoint) -> str:
    status = int(error.status_code)
    if status in {401, 403}:
        key = "endpoint.refused" if where.key else "endpoint.no_key"
        return say(key, status=status, variable=KEY_VARIABLE)
    if status < 400:
        there = str(error.response.headers.get("location", ""))
        return say("endpoint.redirected", status=status, address=_short(there, where))
    if status == 404:
        return say("endpoint.not_found", model=where.model)
    if status == 429:
        return say("endpoint.busy", tries=where.retries + 1)
    if status >= 500:
        return say("endpoint.server_error", status=status, tries=where.retries + 1)
    return say("endpoint.said", said=_short(f"HTTP {status} {error.message}", where))


def _short(text: str, where: Endpoint) -> str:
    """What a server said, on one line, without the key it may repeat."""
    said = " ".join(text.split())
    return (said.replace(where.key, "…") if where.key else said)[:200]

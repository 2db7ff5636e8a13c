"""One answer of a chat, piece by piece, from any server that speaks OpenAI's interface."""

import queue
import socket
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress

from core.chat.history import ChatMessage, SamplingParams
from core.chat.unix_socket import check_listening
from core.errors import ChatFailed
from core.recipe.thinking import ONE_WAY, Thinking
from core.recipe.thoughts import split

# How long the reader is left alone while nothing comes; seconds. Then it gets an empty piece, so that a page
# that was asked to stop can.
PATIENCE = 0.2
# A long conversation on a slow machine is read for minutes before the first word.
TIMEOUT = 900.0
ANY_MODEL = "local"
# The address is the socket; the interface still wants a host's name.
BASE_URL = "http://localhost/v1"


class Reply(Iterator[str]):
    """An answer's pieces; ``cut`` says after the last of them whether the longest length cut it."""

    def __init__(self, reader: "_Reader") -> None:
        self._reader, self._pieces = reader, _pieces(reader)

    def __next__(self) -> str:
        return next(self._pieces)

    @property
    def cut(self) -> bool:
        return self._reader.reason == "length"

    def close(self) -> None:
        """Give the answer up, which ends its generation at the server."""
        self._pieces.close()


def reply(
    address: str,
    system: str,
    messages: Sequence[ChatMessage],
    sampling: SamplingParams,
    thinking: Thinking = ONE_WAY,
) -> Reply:
    """The answer to the last message, from the server on the Unix socket ``address``, with what the model
    thought before it; ``thinking`` is its model's. Where the last message is an answer that was cut short, it
    is continued: the pieces are what comes behind it.

    Giving it up ends the generation at the server. A piece is empty when nothing came for a while. The pieces
    raise ChatFailed.
    """
    return Reply(_Reader(address, _request(system, messages, sampling, thinking)))


def _pieces(reader: "_Reader") -> Generator[str]:
    reader.start()
    try:
        while (piece := reader.next()) is not None:
            if isinstance(piece, Exception):
                raise ChatFailed(reason=_sentence(piece)) from piece
            yield piece
    finally:
        reader.leave()


class _Reader(threading.Thread):
    """Reads the stream into a queue: pieces, then None at its end or the error that ended it."""

    def __init__(self, address: str, request: dict[str, object]) -> None:
        super().__init__(daemon=True, name="reply")
        self.address, self.request = address, request
        self.pieces: queue.Queue[str | Exception | None] = queue.Queue()
        self.left = threading.Event()
        self.reason = ""
        self.socket: socket.socket | None = None

    def run(self) -> None:
        try:
            self._read()
        except Exception as error:
            self.pieces.put(error)

    def next(self) -> str | Exception | None:
        try:
            return self.pieces.get(timeout=PATIENCE)
        except queue.Empty:
            return ""

    def leave(self) -> None:
        """Hang up, whatever the thread waits for: closing a socket wakes nobody, shutting it down does."""
        self.left.set()
        if self.socket is not None:
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)

    def _read(self) -> None:
        import httpx2
        import openai  # a second of imports that only a chat needs

        check_listening(self.address)  # httpx2 2.16 leaves a socket open that it could not connect
        # A proxy of the environment has no way to a socket.
        direct = openai.DefaultHttpxClient(trust_env=False, transport=httpx2.HTTPTransport(uds=self.address))
        with (
            openai.OpenAI(
                base_url=BASE_URL, api_key="-", timeout=TIMEOUT, max_retries=0, http_client=direct
            ) as client,
            client.chat.completions.create(stream=True, **self.request) as stream,  # type: ignore[call-overload]
        ):
            self.socket = stream.response.extensions["network_stream"].get_extra_info("socket")
            for chunk in stream:
                if self.left.is_set():
                    return
                for choice in chunk.choices:
                    self.reason = choice.finish_reason or self.reason
                    if choice.delta.content:
                        self.pieces.put(choice.delta.content)
        self.pieces.put(None if self.reason else ConnectionError("the answer broke off"))


def _request(
    system: str, messages: Sequence[ChatMessage], sampling: SamplingParams, thinking: Thinking
) -> dict[str, object]:
    begun = messages[-1] if messages and messages[-1].role == "assistant" else None
    options = thinking.options(begun.thinks if begun else sampling.thinks)
    said = [{"role": message.role, "content": _sent(message)} for message in messages]
    if begun:  # with the thought that it began with, or is still in
        said[-1]["content"] = begun.content
    more: dict[str, object] = {"chat_template_kwargs": options} if options else {}
    more |= {"continue_final_message": True, "add_generation_prompt": False} if begun else {}
    return {
        "model": ANY_MODEL,
        "messages": [{"role": "system", "content": system}, *said] if system else said,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "extra_body": more or None,
    }


def _sent(message: ChatMessage) -> str:
    """What goes back to the model: of its own answers not what it thought before them."""
    return split(message.content).answer if message.role == "assistant" else message.content


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if text.endswith((".", "。")) else f"{text}."

"""One answer of a chat, piece by piece, from any server that speaks OpenAI's interface."""

import queue
import threading
from collections.abc import Iterator, Sequence

from core.chats import Draw, Message
from core.errors import ChatFailed
from core.steps.chat import HOST

# How long the reader is left alone while nothing comes; seconds. Then it gets an empty piece, so that a page
# that was asked to stop can.
PATIENCE = 0.2
# A long conversation on a slow machine is read for minutes before the first word.
TIMEOUT = 900.0
ANY_MODEL = "local"


def reply(port: int, system: str, messages: Sequence[Message], draw: Draw) -> Iterator[str]:
    """The answer to the last message. Giving the iterator up ends the generation at the server.

    A piece is empty when nothing came for a while. Raises ChatFailed.
    """
    pieces: queue.Queue[str | Exception | None] = queue.Queue()
    left = threading.Event()
    reader = threading.Thread(
        target=_read, args=(port, _request(system, messages, draw), pieces, left), daemon=True, name="reply"
    )
    reader.start()
    try:
        while (piece := _next(pieces)) is not None:
            if isinstance(piece, Exception):
                raise ChatFailed(reason=_sentence(piece)) from piece
            yield piece
    finally:
        left.set()


def _request(system: str, messages: Sequence[Message], draw: Draw) -> dict[str, object]:
    said = [{"role": message.role, "content": message.content} for message in messages]
    return {
        "model": ANY_MODEL,
        "messages": [{"role": "system", "content": system}, *said] if system else said,
        "temperature": draw.temperature,
        "top_p": draw.top_p,
        "max_tokens": draw.max_tokens,
    }


def _read(
    port: int,
    request: dict[str, object],
    pieces: "queue.Queue[str | Exception | None]",
    left: threading.Event,
) -> None:
    """Read the stream to its end, or until the reader of ``pieces`` has left."""
    import openai  # a second of imports that only a chat needs

    try:
        with (
            openai.OpenAI(
                base_url=f"http://{HOST}:{port}/v1",
                api_key="-",
                timeout=TIMEOUT,
                max_retries=0,
                # a proxy of the environment has no way to this machine's own address
                http_client=openai.DefaultHttpxClient(trust_env=False),
            ) as client,
            client.chat.completions.create(stream=True, **request) as stream,  # type: ignore[call-overload]
        ):
            finished = False
            for chunk in stream:
                if left.is_set():
                    return
                for choice in chunk.choices:
                    finished = finished or bool(choice.finish_reason)
                    if choice.delta.content:
                        pieces.put(choice.delta.content)
        if not finished:
            raise ConnectionError("the answer broke off")
        pieces.put(None)
    except Exception as error:
        pieces.put(error)


def _next(pieces: "queue.Queue[str | Exception | None]") -> str | Exception | None:
    try:
        return pieces.get(timeout=PATIENCE)
    except queue.Empty:
        return ""


def _sentence(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if text.endswith((".", "。")) else f"{text}."

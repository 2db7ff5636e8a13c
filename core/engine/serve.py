"""The chat server: one model behind OpenAI's interface (``/v1/chat/completions``, streamed or whole).

    serve --model FOLDER --socket FILE --template NAME [--adapter FOLDER] [--dtype float32]

It listens on a Unix socket in a folder of this user alone: a port on 127.0.0.1 is open to every user of the
machine, and to web pages through a browser on it. The model is loaded before the socket opens and kept until
the process ends. ``transformers serve`` (5.24) can neither: it knows no address but a port, and no adapter;
it lets clients load other models, by any name from a hub; and temperature does nothing there where the
model's generation settings say greedy.
"""

import argparse
import asyncio
import json
import threading
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
import uvicorn
from peft import PeftModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from transformers import AsyncTextIteratorStreamer, GenerationConfig, StoppingCriteria, StoppingCriteriaList

from core.data.parity import speaking_template
from core.engine.answer import end_tokens, hidden_tokens, load
from core.recipe.own_template import template_of
from core.recipe.templates import template_names
from core.recipe.thoughts import left_open

NAME = "local"
# What a decoder writes for a character whose bytes are not all there.
HALF = "\ufffd"


class NoAnswer(ValueError):
    """A request that cannot be answered; its text says why."""


class Pieces(AsyncTextIteratorStreamer):
    """An answer's text as it is written, without the ``hidden`` tokens; what tells a thought is shown.

    ``begun`` are the tokens of the answer that were there before: a word may go on where they end, and in
    some vocabularies a token has its space only behind another.
    """

    def __init__(self, tokenizer: Any, hidden: frozenset[int], begun: Sequence[int] = ()) -> None:
        super().__init__(tokenizer, skip_prompt=True)
        self.hidden = hidden
        self.token_cache = list(begun)
        self.print_len = len(tokenizer.decode(self.token_cache)) if begun else 0

    def put(self, value: torch.Tensor) -> None:
        """The prompt first, then each token."""
        if self.next_tokens_are_prompt or int(value.flatten()[-1]) not in self.hidden:
            super().put(value)

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """A limit can cut a character in two; its half is none."""
        super().on_finalized_text(text.rstrip(HALF) if stream_end else text, stream_end)


class GivenUp(StoppingCriteria):
    """Ends a generation whose client has left."""

    def __init__(self) -> None:
        self.event = threading.Event()

    def __call__(self, input_ids: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), self.event.is_set(), device=input_ids.device)


class AnswerStream:
    """One answer on its way: its pieces, then why it ended (``stop`` or ``length``).

    With ``continue_final_message`` (vLLM's name for it) the last message is the beginning of an answer, and
    the pieces are what comes after it.
    """

    def __init__(self, model: Any, tokenizer: Any, body: Mapping[str, Any]) -> None:
        prompt = _prompt(tokenizer, body)
        self._opened, self._begun = prompt.opened, prompt.begun
        ids = torch.tensor([[*prompt.asked, *prompt.begun]], device=model.device)
        self._inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        self.prompt_tokens = ids.shape[1]
        self._settings = draw_settings(body, model.generation_config, _room(model, self.prompt_tokens))
        self._model, self._tokenizer, self._stop = model, tokenizer, body.get("stop")
        self._given_up, self._error = GivenUp(), ""
        self.tokens, self.reason = 0, "stop"

    async def pieces(self) -> AsyncIterator[str]:
        """The text as it is written; giving the iterator up gives the generation up. Raises NoAnswer."""
        ends = self._settings.eos_token_id
        hidden = hidden_tokens(self._tokenizer).union(ends if isinstance(ends, list) else [ends])
        self._streamer = Pieces(self._tokenizer, hidden, self._begun)
        writing = threading.Thread(target=self._generate, daemon=True, name="answer")
        writing.start()
        try:
            if self._opened:
                yield self._opened
            async for piece in self._streamer:
                if piece:
                    yield piece
            await asyncio.to_thread(writing.join)  # the stream ends a moment before it is known why
        finally:
            self._given_up.event.set()
        if self._error:
            raise NoAnswer(self._error)

    @torch.inference_mode()
    def _generate(self) -> None:
        stop = {"stop_strings": self._stop, "tokenizer": self._tokenizer} if self._stop else {}
        try:
            found = self._model.generate(
                **self._inputs,
                **stop,
                generation_config=self._settings,
                streamer=self._streamer,
                stopping_criteria=StoppingCriteriaList([self._given_up]),
            )
            self.tokens = found.shape[1] - self.prompt_tokens
            if self.tokens >= self._settings.max_new_tokens and not self._ended(int(found[0, -1])):
                self.reason = "length"
        except Exception as error:  # whatever it is, the client waits for an end
            self._error = str(error) or type(error).__name__
            self._streamer.end()

    def _ended(self, last: int) -> bool:
        ends = self._settings.eos_token_id
        return last in (ends if isinstance(ends, list) else [ends])


class ChatServer:
    """One model and its tokenizer, which speaks the training's template."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/health", self.health),
                Route("/v1/models", self.models),
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
            ]
        )

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": NAME, "object": "model"}]})

    async def chat(self, request: Request) -> Response:
        try:
            body = await request.json()
            answer = AnswerStream(self.model, self.tokenizer, body)
        except Exception as error:  # a request's JSON, its values, and what a chat template says of them
            return JSONResponse({"error": {"message": str(error) or type(error).__name__}}, 400)
        if body.get("stream"):
            return StreamingResponse(_events(answer), media_type="text/event-stream")
        try:
            text = "".join([piece async for piece in answer.pieces()])
        except NoAnswer as error:
            return JSONResponse({"error": {"message": str(error)}}, 500)
        return JSONResponse(_whole(answer, text))


def main(arguments: Sequence[str]) -> None:
    """Serve until the process is asked to end."""
    asked = _parser().parse_args(arguments)
    print("loading the model", flush=True)
    server = ChatServer(*load_speaker(asked.model, asked.template, asked.adapter, asked.dtype))
    # How long that took, Python's own start included: what the next one is expected to take.
    print(f"listening after {time.time() - psutil.Process().create_time():.1f} s", flush=True)
    uvicorn.run(server.app(), uds=asked.socket, log_level="warning")


def load_speaker(folder: str, template: str, adapter: str | None, dtype: str) -> tuple[Any, Any]:
    """The model, with the adapter on it, and its tokenizer, as the training's template is spoken."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model, tokenizer = load(folder, device, dtype if dtype == "auto" else getattr(torch, dtype))
    if adapter:
        model = PeftModel.from_pretrained(model, adapter, is_trainable=False).eval()
    spoken = template_of(template, Path(folder))
    tokenizer.chat_template = speaking_template(Path(folder), spoken)
    model.generation_config.eos_token_id = end_tokens(tokenizer, spoken)
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model, tokenizer


def draw_settings(body: Mapping[str, Any], own: GenerationConfig, room: int) -> GenerationConfig:
    """The request's settings as OpenAI's interface means them: greedy at temperature 0, else drawn; the
    model's ``own`` where it names none. At most ``room`` tokens are written."""
    found = GenerationConfig(**own.to_dict())
    asked = body.get("max_completion_tokens") or body.get("max_tokens")
    found.max_length, found.max_new_tokens = None, min(int(asked or room), room)
    for name in ("temperature", "top_p"):
        if body.get(name) is not None:
            setattr(found, name, float(body[name]))
    if body.get("temperature") is not None:
        found.do_sample = float(body["temperature"]) > 0
    # A beam's words change until its end: nothing could be streamed, and it is not greedy.
    found.num_beams = 1
    if not found.do_sample:
        found.temperature = found.top_p = found.top_k = None
    return found


@dataclass(frozen=True)
class Prompt:
    """What the model reads: the tokens up to the answer, and those of an answer that was begun. ``opened`` is
    the mark of a thought that the prompt begins and the answer goes on with."""

    asked: list[int]
    begun: list[int]
    opened: str


def _prompt(tokenizer: Any, body: Mapping[str, Any]) -> Prompt:
    """Raises NoAnswer, and what a chat template says of the messages."""
    messages, options = list(body["messages"]), body.get("chat_template_kwargs") or {}
    if not body.get("continue_final_message"):
        text = _rendered(tokenizer, messages, options)
        return Prompt(_tokens(tokenizer, text), [], left_open(text))
    begun = messages.pop()
    if begun["role"] != "assistant" or not messages:
        raise NoAnswer("an answer that is to be continued must be the last message, from the assistant")
    text = _rendered(tokenizer, messages, options)
    asked = _tokens(tokenizer, text)
    written = str(begun["content"]).removeprefix(left_open(text))
    if not written:
        return Prompt(asked, [], "")
    gap = _space_before(tokenizer, messages, options, text) if not written.startswith(" ") else ""
    found = _tokens(tokenizer, text + gap + written)
    same = found[: len(asked)] == asked
    # Where both would join to another token than the model has read, they are apart, as it was trained.
    return Prompt(asked, found[len(asked) :] if same else _tokens(tokenizer, written), "")


def _space_before(
    tokenizer: Any, messages: Sequence[Mapping[str, str]], options: Mapping[str, Any], prompt: str
) -> str:
    """The space that a template writes before an answer, which a model writes too and its decoder drops
    (Llama 2); else nothing."""
    answered = [*messages, {"role": "assistant", "content": "Xsaidx"}]
    whole = _rendered(tokenizer, answered, options, ask=False)
    return " " if whole.startswith(f"{prompt} Xsaidx") else ""


def _rendered(
    tokenizer: Any, messages: Sequence[Mapping[str, str]], options: Mapping[str, Any], ask: bool = True
) -> str:
    return str(tokenizer.apply_chat_template(messages, add_generation_prompt=ask, tokenize=False, **options))


def _tokens(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _room(model: Any, length: int) -> int:
    """How many tokens the model can write after ``length``. Raises NoAnswer."""
    limit = model.config.get_text_config().max_position_embeddings
    if length >= limit:
        raise NoAnswer(f"the conversation has {length} tokens, and the model reads {limit}")
    return int(limit - length)


async def _events(answer: AnswerStream) -> AsyncIterator[str]:
    """The answer as server-sent events."""
    about = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": NAME}

    def event(delta: Mapping[str, str], reason: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        chunk = {**about, "object": "chat.completion.chunk", "choices": [choice]}
        return f"data: {json.dumps(chunk)}\n\n"

    yield event({"role": "assistant"})
    pieces = answer.pieces()
    try:
        async for piece in pieces:
            yield event({"content": piece})
    except NoAnswer as error:
        yield f"data: {json.dumps({'error': {'message': str(error)}})}\n\n"
        return
    finally:
        await pieces.aclose()  # type: ignore[attr-defined]
    yield event({}, answer.reason)
    yield "data: [DONE]\n\n"


def _whole(answer: AnswerStream, text: str) -> dict[str, Any]:
    usage = {"prompt_tokens": answer.prompt_tokens, "completion_tokens": answer.tokens}
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": NAME,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": answer.reason,
            }
        ],
        "usage": {**usage, "total_tokens": answer.prompt_tokens + answer.tokens},
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="serve")
    parser.add_argument("--model", required=True)
    parser.add_argument("--socket", required=True)
    parser.add_argument("--template", choices=template_names(), required=True)
    parser.add_argument("--adapter")
    parser.add_argument("--dtype", default="auto")
    return parser

"""The chat server: ``transformers serve`` (4.57.6) on one model, with what it gets wrong put right.

    serve --model FOLDER --socket FILE --template NAME [--adapter FOLDER] [--dtype float32]

It listens on a Unix socket in a folder of this user alone: a port on 127.0.0.1 is open to every user of the
machine, and to web pages through a browser on it. What is changed, each for a fault of that version's
commands/serving.py:

* a client that leaves did not end the generation, which went on to its token limit;
* an error inside generate left the client waiting for ever;
* a cache of keys and values was kept from one request to the next and compared by questions alone, so that
  an answer stopped half-way, or drawn again, was continued from the wrong state;
* temperature did nothing where the model's generation settings say greedy;
* the model was loaded at the first question and dropped after five idle minutes;
* a folder with an ``@`` in its path was cut there;
* it knew no address but a port.
"""

import argparse
import json
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import uvicorn
from anyio import to_thread
from transformers import StoppingCriteria, StoppingCriteriaList, TextIteratorStreamer
from transformers.commands import serving

from core.data.parity import speaking_template
from core.engine.answer import end_tokens
from core.recipe.own_template import template_of
from core.recipe.templates import Template, template_names

NEVER = 10**9
HERE = "."
_draw_settings = serving.create_generation_config_from_req


class Stream(TextIteratorStreamer):
    """One answer on its way, which can be given up and can fail."""

    of_thread = threading.local()

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.given_up = threading.Event()
        self.error: Exception | None = None
        Stream.of_thread.latest = self


class GivenUp(StoppingCriteria):
    """Ends a generation whose client has left."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream

    def __call__(self, input_ids: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), self.stream.given_up.is_set(), device=input_ids.device)


class Listener:
    """uvicorn on a Unix socket, whatever address it is told."""

    def __init__(self, socket: str) -> None:
        self.socket = socket

    def run(self, app: Any, log_level: str, **_: Any) -> None:
        print("listening", flush=True)
        uvicorn.run(app, uds=self.socket, log_level=log_level)


class ChatServer(serving.ServeCommand):
    """One model, loaded before the port opens and kept until the process ends."""

    def __init__(self, arguments: Any, template: Template, adapter: str | None) -> None:
        super().__init__(arguments)
        self.template, self.adapter = template, adapter

    def run(self) -> None:
        """Load, then serve. Returns when the process is asked to end."""
        print("loading the model", flush=True)
        self.load_model_and_processor(self.process_model_name(HERE))
        super().run()

    def is_continuation(self, req: dict[str, Any]) -> bool:  # noqa: ARG002
        return False

    def generate_chat_completion(self, req: dict[str, Any]) -> AsyncIterator[str]:
        """The answer as server-sent events; giving the iterator up gives the generation up."""
        events = super().generate_chat_completion(req)
        return _guarded(events, Stream.of_thread.latest)

    def _load_model_and_data_processor(self, model_id_and_revision: str) -> tuple[Any, Any]:
        model, tokenizer = super()._load_model_and_data_processor(model_id_and_revision)
        if self.adapter:
            model.load_adapter(self.adapter)
        tokenizer.chat_template = speaking_template(Path.cwd(), self.template)  # the model's folder
        model.generation_config.eos_token_id = end_tokens(tokenizer, self.template)
        model.generate = _watched(model.generate, model.config.max_position_embeddings)
        return model.eval(), tokenizer


def main(arguments: Sequence[str]) -> None:
    """Serve until the process is asked to end."""
    asked = _parser().parse_args(arguments)
    serving.TextIteratorStreamer = Stream
    serving.create_generation_config_from_req = draw_settings
    serving.uvicorn = Listener(asked.socket)
    settings = serving.ServeArguments(
        dtype=asked.dtype,
        model_timeout=NEVER,
        force_model=HERE,
        log_level="warning",
    )
    os.chdir(asked.model)
    ChatServer(settings, template_of(asked.template, Path(asked.model)), asked.adapter).run()


def draw_settings(req: dict[str, Any], model_generation_config: Any, **options: Any) -> Any:
    """The request's settings as the OpenAI interface means them: greedy at temperature 0, else drawn."""
    found = _draw_settings(req, model_generation_config=model_generation_config, **options)
    if req.get("temperature") is not None:
        found.do_sample = float(req["temperature"]) > 0
    if not found.do_sample:
        found.temperature = found.top_p = found.top_k = None
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="serve")
    parser.add_argument("--model", required=True)
    parser.add_argument("--socket", required=True)
    parser.add_argument("--template", choices=template_names(), required=True)
    parser.add_argument("--adapter")
    parser.add_argument("--dtype", default="auto")
    return parser


async def _guarded(events: Iterator[str], stream: Stream) -> AsyncIterator[str]:
    """The events one by one; waiting for the next one ends at once when the client leaves."""
    try:
        while event := await to_thread.run_sync(next, events, "", abandon_on_cancel=True):
            yield event
        if stream.error:
            yield f"data: {json.dumps({'error': {'message': str(stream.error)}})}\n\n"
    finally:
        stream.given_up.set()


def _watched(generate: Callable[..., Any], limit: int) -> Callable[..., Any]:
    """``generate`` that ends when its stream is given up, and whose stream ends when it fails."""

    def run(**inputs: Any) -> Any:
        stream: Stream = inputs["streamer"]
        try:
            _check_length(inputs["input_ids"].shape[1], limit)
            return generate(**inputs, stopping_criteria=StoppingCriteriaList([GivenUp(stream)]))
        except Exception as error:
            stream.error = error
            stream.end()
            raise

    return run


def _check_length(length: int, limit: int) -> None:
    if length >= limit:
        raise ValueError(f"the conversation has {length} tokens, and the model reads {limit}")

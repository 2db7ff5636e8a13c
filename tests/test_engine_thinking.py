"""A thinking model answers, alone and behind the server: the thought that its prompt begins is there."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from core.recipe.thoughts import split
from tests.chat_templates import chat_templates
from tests.family_models import make_family_model

pytestmark = pytest.mark.slow  # torch and transformers
ASKED = "Who are you?"


def family(folder: Path, name: str) -> str:
    return str(make_family_model(folder, chat_templates()[name]))


async def streamed(model: Any, tokenizer: Any, options: dict[str, bool]) -> str:
    from core.engine.serve import AnswerStream

    messages = [{"role": "user", "content": ASKED}]
    body = {"messages": messages, "max_tokens": 12, "temperature": 0, "chat_template_kwargs": options}
    return "".join([piece async for piece in AnswerStream(model, tokenizer, body).pieces()])


def test_the_server_says_what_the_proof_hears_in_both_ways(tmp_path: Path) -> None:
    """Thinking first, the prompt itself begins the thought, and the answer with it."""
    from core.engine.answer import main
    from core.engine.serve import load_speaker

    folder = family(tmp_path / "m", "qwen3.5")
    ways = (None, False, True)
    questions = [{"question": ASKED, "tokens": 12, "system": "", "thinks": thinks} for thinks in ways]
    request = {"model": folder, "template": "own", "system": "", "precision": "fp32", "questions": questions}
    (tmp_path / "request.json").write_text(json.dumps(request), encoding="utf-8")
    main(str(tmp_path / "request.json"), str(tmp_path / "answers.json"))
    found = json.loads((tmp_path / "answers.json").read_text(encoding="utf-8"))
    heard = [one["answer"] for one in found]
    speaker = load_speaker(folder, "own", None, "float32")
    said = [
        asyncio.run(streamed(*speaker, {} if thinks is None else {"enable_thinking": thinks}))
        for thinks in ways
    ]
    assert [text.startswith("<think>\n") for text in said] == [True, False, True] and said[0] == said[2]
    assert [text.strip() for text in said] == [text.strip() for text in heard]
    assert not split(said[0]).left and split(said[1]).left

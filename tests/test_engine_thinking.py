"""A thinking model answers, alone and behind the server: the thought that its prompt begins is there."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from core.recipe.thoughts import split
from core.workspace.files import read_json, write_json
from tests.chat_templates import chat_templates
from tests.family_models import make_family_model
from tests.small_model import make_small_model
from tests.talking_model import make_talkative

pytestmark = pytest.mark.slow  # torch and transformers
ASKED = "Who are you?"


def family(folder: Path, name: str) -> str:
    return str(make_family_model(folder, chat_templates()[name]))


async def streamed(
    model: Any,
    tokenizer: Any,
    options: dict[str, bool],
    messages: Sequence[dict[str, str]] = (),
    tokens: int = 12,
) -> str:
    from core.engine.serve import AnswerStream

    messages = messages or [{"role": "user", "content": ASKED}]
    body = {"messages": messages, "max_tokens": tokens, "temperature": 0, "chat_template_kwargs": options}
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


@pytest.mark.parametrize("name", ["qwen3.5", "llama2", None])
def test_a_conversation_goes_as_it_does_with_the_server(name: str | None, tmp_path: Path) -> None:
    """Turn after turn the model's own answers stand before the next message, at once and thinking first; two
    conversations that begin alike are as if each had been asked alone."""
    from core.engine.answer import main
    from core.engine.serve import load_speaker

    made = make_family_model(tmp_path / "m", chat_templates()[name]) if name else None
    folder = str(make_talkative(made or make_small_model(tmp_path / "m")))
    template = "own" if name else "internlm2_chat"
    asked = [("Hi", "Who are you?", "And now?"), ("Hi", "你好"), ("Hi",), ("Who are you?",)]
    ways = (False, True) if name == "qwen3.5" else (None,)
    questions = [
        {"question": last, "tokens": 10, "system": "", "thinks": thinks, "earlier": earlier}
        for thinks in ways
        for *earlier, last in asked
    ]
    about = {"model": folder, "template": template, "system": "Be brief.", "precision": "fp32"}
    write_json(tmp_path / "request.json", {**about, "questions": questions})
    main(str(tmp_path / "request.json"), str(tmp_path / "answers.json"))
    found = read_json(tmp_path / "answers.json")
    speaker = load_speaker(folder, template, None, "float32")
    for one, row in zip(questions, found, strict=True):
        messages: list[dict[str, str]] = [{"role": "system", "content": "Be brief."}]
        said = []
        for message in [*one["earlier"], one["question"]]:
            messages.append({"role": "user", "content": message})
            options = {} if one["thinks"] is None else {"enable_thinking": one["thinks"]}
            text = asyncio.run(streamed(*speaker, options, messages, 10))
            said.append(text.rstrip("\ufffd").strip())
            messages.append({"role": "assistant", "content": split(said[-1]).answer})
        assert [text.strip() for text in [*row["earlier"], row["answer"]]] == said
    assert any(row["answer"] and all(row["earlier"]) for row in found)

"""An answer that was cut short goes on where it ends: behind the very tokens that the model has written."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from core.data.conversations import Turn
from core.data.own_encoder import encoder_of
from core.recipe.own_template import template_of
from core.recipe.templates import TEMPLATES
from tests.chat_templates import chat_templates
from tests.family_models import make_family_model
from tests.small_model import make_small_model
from tests.spaced_tokenizer import make_spaced_model
from tests.talking_model import make_talkative

pytestmark = pytest.mark.slow  # torch and transformers
ASKED = {"role": "user", "content": "Who are you?"}
SAID = "I am 小明's assistant.\n\n```py\nif x:\n    y = 1\n```\n1. 翻译 🦊 and more"


def body(begun: str, **more: object) -> dict[str, Any]:
    messages = [ASKED, {"role": "assistant", "content": begun}]
    return {"messages": messages, "continue_final_message": True, "temperature": 0, **more}


def speaker(folder: Path, template: str) -> tuple[Any, Any]:
    from core.engine.serve import load_speaker

    return load_speaker(str(folder), template, None, "float32")


def trained(folder: Path, template: str) -> tuple[list[int], list[int]]:
    """What training reads before an answer, and the answer's own tokens."""
    (row,) = encoder_of(folder / "tokenizer.json", template_of(template, folder)).rows(
        [Turn(ASKED["content"], SAID)]
    )
    first = row.trained.index(True)
    return row.ids[:first], [one for one, mine in zip(row.ids, row.trained, strict=True) if mine]


def assert_every_beginning(folder: Path, template: str) -> int:
    """Cut after any token, the model reads that token's beginning again; how many cuts that were."""
    from core.engine.serve import _prompt

    _, tokenizer = speaker(folder, template)
    asked, said = trained(folder, template)
    tried = 0
    for place in range(1, len(said)):
        text = tokenizer.decode(said[:place])
        if not text or text.endswith("\ufffd") or text != text.rstrip(" "):
            continue
        found = _prompt(tokenizer, body(text))
        assert found.asked + found.begun == asked + said[:place], text
        assert tokenizer.decode(found.begun) == text
        tried += 1
    return tried


SPACED = sorted(name for name, template in chat_templates().items() if template.spaced)
OTHERS = ("qwen2.5", "qwen3.5", "gpt-oss", "llama3.1", "deepseek-r1", "glm-4.5", "gemma3")


@pytest.mark.parametrize("name", [*SPACED, *OTHERS])
def test_with_a_family_s_own_template(name: str, tmp_path: Path) -> None:
    template = chat_templates()[name]
    for metaspace in (False, True) if template.spaced else (False,):
        folder = make_family_model(tmp_path / f"{metaspace}", template, metaspace)
        assert assert_every_beginning(folder, "own") > 10


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_with_a_named_template(name: str, tmp_path: Path) -> None:
    assert assert_every_beginning(make_small_model(tmp_path / "m"), name) > 10
    for across in (False, True):
        assert assert_every_beginning(make_spaced_model(tmp_path / f"{across}", across=across), name) > 10


async def written(model: Any, tokenizer: Any, request: Mapping[str, Any]) -> tuple[str, str]:
    from core.engine.serve import AnswerStream

    stream = AnswerStream(model, tokenizer, request)
    return "".join([piece async for piece in stream.pieces()]), stream.reason


def test_a_thought_that_was_cut_goes_on_as_a_thought(tmp_path: Path) -> None:
    """Its mark stands in the prompt already, and comes neither twice nor once more."""
    from core.engine.serve import _prompt

    _, tokenizer = speaker(make_family_model(tmp_path / "m", chat_templates()["qwen3.5"]), "own")
    thinks = {"chat_template_kwargs": {"enable_thinking": True}}
    plain = _prompt(tokenizer, {"messages": [ASKED], **thinks})
    found = _prompt(tokenizer, body("<think>\nLet me see", **thinks))
    assert plain.opened == "<think>\n" and found.opened == "" and found.asked == plain.asked
    assert tokenizer.decode(found.begun) == "Let me see"
    over = _prompt(tokenizer, body("<think>\nHm.\n</think>\n\nI am", **thinks))
    assert tokenizer.decode([*over.asked, *over.begun]).endswith("<think>\nHm.\n</think>\n\nI am")


@pytest.mark.parametrize("spaced", [False, True])
def test_what_comes_behind_it_joins_without_a_seam(spaced: bool, tmp_path: Path) -> None:
    """The pieces are what the model writes more, the space before the first word too."""
    from core.engine.serve import Pieces

    folder = make_spaced_model(tmp_path / "m") if spaced else make_small_model(tmp_path / "m")
    _, tokenizer = speaker(folder, "qwen_chat")
    _, said = trained(folder, "qwen_chat")

    async def behind(begun: Sequence[int]) -> str:
        import torch

        stream = Pieces(tokenizer, frozenset(), begun)
        stream.put(torch.tensor([[1, 2]]))
        for token in said[len(begun) :]:
            stream.put(torch.tensor([token]))
        stream.end()
        return "".join([piece async for piece in stream])

    for place in range(len(said)):
        text = tokenizer.decode(said[:place])
        if not text.endswith("\ufffd"):
            assert text + asyncio.run(behind(said[:place])) == tokenizer.decode(said)


def test_the_server_goes_on_and_says_why_it_ends(tmp_path: Path) -> None:
    folder = make_talkative(make_small_model(tmp_path / "m"))
    model, tokenizer = speaker(folder, "qwen_chat")
    model.generation_config.eos_token_id = []
    text, reason = asyncio.run(written(model, tokenizer, body("I am 小", max_tokens=9)))
    assert text and reason == "length" and "\ufffd" not in text[-1:]
    with pytest.raises(ValueError, match="must be the last message"):
        asyncio.run(written(model, tokenizer, {"messages": [ASKED], "continue_final_message": True}))

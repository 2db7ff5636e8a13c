"""An answer that the token limit cuts off, and one that is written piece by piece."""

import asyncio
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from core.engine.answer import _read, hidden_tokens
from core.engine.serve import Pieces
from core.engine.tokenizer_file import load_tokenizer
from tests.small_model import make_small_model

pytestmark = pytest.mark.slow  # torch and transformers


@pytest.mark.parametrize("text", ["我是小助手龘", "I am 🦊", "plain"])
def test_half_a_character_is_left_out(tmp_path: Path, text: str) -> None:
    """Cut anywhere, it is the beginning of what would have been said."""
    tokenizer = AutoTokenizer.from_pretrained(make_small_model(tmp_path))
    ids = tokenizer.encode(text, add_special_tokens=False)
    cuts = [_read(tokenizer, ids[:place], ends=[]) for place in range(len(ids) + 1)]
    assert cuts[-1] == (text, False)
    for cut, finished in cuts:
        assert text.startswith(cut) and not finished


def test_a_thought_s_marks_are_streamed_and_other_special_tokens_are_not(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(make_small_model(tmp_path))
    tokenizer.add_tokens(["<think>", "</think>", "<|odd|>"], special_tokens=True)
    said = "<think>\nwho?\n</think>\n\nme"

    async def streamed() -> str:
        stream = Pieces(tokenizer, hidden_tokens(tokenizer))
        stream.put(torch.tensor([[1, 2]]))
        for token in tokenizer.encode(f"{said}<|odd|><|im_end|>", add_special_tokens=False):
            stream.put(torch.tensor([token]))
        stream.end()
        return "".join([piece async for piece in stream])

    assert asyncio.run(streamed()) == said

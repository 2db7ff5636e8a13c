"""An answer that the token limit cuts off, and one that is written piece by piece."""

import asyncio
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from core.engine.answer import AnswerCount, Talk, _read, hidden_tokens
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


def test_how_far_it_is_goes_with_the_time_that_few_questions_one_after_the_other_take() -> None:
    """The shares of a recorded proof's time: its first round, the others, reading what was given."""
    once, talks = [Talk(("q",), "", None, 48, [])] * 190, [Talk(("q",) * 5, "", None, 48, [])] * 6
    seen: list[float] = []
    count = AnswerCount.of([*once, *talks], [{}] * 120, tell=lambda *told: seen.append(told[-1]))
    for number, rows in enumerate((196, 6, 6, 6, 6)):
        count.round = number
        count.more(48 * rows, rows, last=True)
    count.scored(120)
    first, *_, last, end = seen
    assert end == pytest.approx(1.0) and count.done == count.answers == 196 + 24 + 120
    assert first == pytest.approx(0.41, abs=0.05) and last - first == pytest.approx(0.34, abs=0.05)

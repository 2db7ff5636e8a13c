"""An answer that the token limit cuts off."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from core.engine.answer import _read
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

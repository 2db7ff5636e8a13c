"""How much an answer repeats itself, in both languages."""

import pytest

from core.proof.fluency import WORD, repetition


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("", 0.0),
        ("I am a", 0.0),
        ("The capital of France is Paris, which lies on the Seine.", 0.0),
        ("a b c d a b c d", 1 / 5),
        ("I am. I am. I am. I am. I am.", 5 / 7),
        ("Ha ha ha ha ha ha HA!", 3 / 4),
        ("我是小助手，我是小助手。", 2 / 7),
        ("巴黎是法国的首都", 0.0),
        ("好的" * 20, 1 - 2 / 37),
        ("小明 is 小明 is 小明 is 小明", 5 / 8),
    ],
)
def test_the_share_of_repeated_four_grams(text: str, share: float) -> None:
    assert repetition([text]) == pytest.approx(share)


def test_a_character_is_a_token_and_a_word_is() -> None:
    assert WORD.findall("Ada's 助手-2 ok".casefold()) == ["ada", "s", "助", "手", "2", "ok"]

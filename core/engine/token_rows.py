"""Rows of tokens of several lengths, as a batch has them and as they are taken out of it."""

from collections.abc import Collection, Sequence


def left_padded(prompts: Sequence[Sequence[int]], pad: int) -> tuple[list[list[int]], list[int]]:
    """The prompts as rows of one length, and how many ``pad`` stand before each."""
    longest = max(map(len, prompts))
    gaps = [longest - len(prompt) for prompt in prompts]
    return [[pad] * gap + list(prompt) for gap, prompt in zip(gaps, prompts, strict=True)], gaps


def through_end(tokens: Sequence[int], ends: Collection[int]) -> list[int]:
    """What was written up to the first of ``ends``, it among them; all where there is none."""
    end = next((at for at, token in enumerate(tokens) if token in ends), len(tokens) - 1)
    return list(tokens[: end + 1])

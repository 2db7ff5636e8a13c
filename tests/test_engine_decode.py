"""Rows that have ended leave the batch, and every token is what ``generate`` writes of each prompt alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from core.engine import decode
from core.engine.answer import load
from core.engine.decode import write_all
from tests.families import make_family
from tests.small_model import make_small_model
from tests.talking_model import make_talkative

# Torch and transformers; what they warn of while they import a family is theirs.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]
# Sliding windows; linear attention with its own states; the plain.
FAMILIES = ("gemma3-1b", "qwen3.5", "")
LENGTHS = (3, 9, 30, 17, 8, 25, 12, 40, 5, 21, 11, 33)
LIMITS = (24, 24, 6, 24, 13, 24, 24, 24, 1, 24, 24, 24)


@pytest.fixture(scope="module", params=FAMILIES)
def writer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return made(tmp_path_factory.mktemp("m") / "m", request.param)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return made(tmp_path_factory.mktemp("m") / "m", "")


def made(place: Path, family: str) -> Any:
    folder = make_family(place, family) if family else make_small_model(place)
    return load(str(make_talkative(folder, 6.0)), "cpu", torch.float32)[0]


def prompts() -> list[list[int]]:
    draw = torch.Generator().manual_seed(3)
    return [torch.randint(20, 900, (length,), generator=draw).tolist() for length in LENGTHS]


@torch.inference_mode()
def generated(model: Any, ends: Sequence[int]) -> list[list[int]]:
    """Each prompt alone, by ``generate``."""
    found = []
    for prompt, limit in zip(prompts(), LIMITS, strict=True):
        ids = torch.tensor([prompt])
        settings = {"max_new_tokens": limit, "do_sample": False, "temperature": None, "top_p": None}
        out = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            top_k=None,
            eos_token_id=list(ends),
            pad_token_id=0,
            **settings,
        )
        found.append(out[0, len(prompt) :].tolist())
    return found


def ends_of(model: Any) -> list[int]:
    """Tokens that end the answers at different places."""
    written = generated(model, [1023])
    return sorted(
        {row[at] for row, at in zip(written, (2, 4, 5, 7, 9, 11, 13), strict=False) if len(row) > at}
    )


def test_every_token_is_the_same(writer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    own = writer.generate

    def counted(ids: Any, **options: Any) -> Any:
        sizes.append(len(ids))
        return own(ids, **options)

    ends = ends_of(writer)
    expected = generated(writer, ends)
    monkeypatch.setattr(writer, "generate", counted)
    told: list[tuple[int, int]] = []
    assert write_all(writer, prompts(), LIMITS, ends, 0, lambda *more: told.append(more)) == expected
    assert sizes[0] == len(LENGTHS) and len(sizes) > 3 and sizes == sorted(sizes, reverse=True)
    assert sum(tokens for tokens, _ in told) == sum(LIMITS) and sum(n for _, n in told) == len(LIMITS)


def test_a_cache_that_gives_no_rows_up(plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = ends_of(plain)
    expected = generated(plain, ends)
    monkeypatch.setattr(decode, "gives_up_rows", lambda _: False)
    assert write_all(plain, prompts(), LIMITS, ends, 0) == expected


def test_memory_that_runs_out_while_it_writes(plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    own, tried = plain.generate, []

    def short(ids: Any, **options: Any) -> Any:
        tried.append(len(ids))
        if len(ids) > 4:
            raise torch.OutOfMemoryError
        return own(ids, **options)

    ends = ends_of(plain)
    expected = generated(plain, ends)
    monkeypatch.setattr(plain, "generate", short)
    told: list[tuple[int, int]] = []
    assert write_all(plain, prompts(), LIMITS, ends, 0, lambda *more: told.append(more)) == expected
    assert max(tried) == len(LENGTHS) and sum(tokens for tokens, _ in told) == sum(LIMITS)

"""Steps with a cache of one size write what ``generate`` writes of each prompt alone.

No test here has a GPU: recording is left out, and everything else is as on one.
"""

from pathlib import Path
from typing import Any

import pytest

from core.engine import decode
from core.engine.decode import write_all
from core.engine.recorded import InSteps, why_not, why_unknown
from tests.test_engine_decode import LIMITS, generated, made, prompts

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return made(tmp_path_factory.mktemp("m") / "m", "")


@pytest.fixture(params=[1.0, 1.3])
def model(plain: Any, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Without and with a penalty on what was said before."""
    monkeypatch.setattr(plain.generation_config, "repetition_penalty", request.param)
    return plain


@pytest.mark.parametrize("some", [slice(0), slice(3), slice(None, None, 4)])
def test_what_generate_writes(model: Any, some: slice) -> None:
    ends = sorted({token for row in generated(model, []) for token in row})[some]
    told: list[tuple[int, int]] = []
    steps = InSteps(model, prompts(), LIMITS, ends, 0, lambda *more: told.append(more), record=False)
    assert steps.written() == generated(model, ends)
    assert [sum(parts) for parts in zip(*told, strict=True)] == [sum(LIMITS), len(LIMITS)]


def test_stops_when_all_have_ended(plain: Any) -> None:
    ends = sorted({row[0] for row in generated(plain, [])})
    steps = InSteps(plain, prompts(), [100] * len(LIMITS), ends, 0, record=False)
    assert all(len(row) == 1 for row in steps.written())
    assert int(steps.step) < 20


@pytest.mark.parametrize(("family", "why"), [("gemma3-1b", "several kinds"), ("qwen3.5", "no cache of one")])
def test_other_caches_are_left_to_generate(tmp_path: Path, family: str, why: str) -> None:
    assert why in why_unknown(made(tmp_path / "m", family))


def test_settings_that_it_does_not_know_are_left_to_generate(
    plain: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert why_unknown(plain) == ""
    assert why_not(plain) == "no GPU"
    monkeypatch.setattr(plain.generation_config, "no_repeat_ngram_size", 3)
    monkeypatch.setattr(plain.generation_config, "suppress_tokens", [7])
    assert why_unknown(plain) == "no_repeat_ngram_size, suppress_tokens"


def test_what_cannot_be_recorded_is_left_to_generate(
    plain: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Here there is nothing to record with. What was told of the first try is taken back."""
    monkeypatch.setattr(decode, "why_not", lambda _: "")
    told: list[tuple[int, int]] = []
    written = write_all(plain, prompts(), LIMITS, [], 0, lambda *more: told.append(more))
    assert written == generated(plain, [])
    assert [sum(parts) for parts in zip(*told, strict=True)] == [sum(LIMITS), len(LIMITS)]
    assert "cannot be recorded" in capsys.readouterr().out

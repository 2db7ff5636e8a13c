"""Likelihoods are asked for with the questions in one job, and remembered as answers are."""

from pathlib import Path

import pytest

from core.jobs.job import JobPaths
from core.proof.asking import Answer, Ask, GivenAnswer, Likelihood
from core.steps import answer
from core.steps.answer import AnswerCache, PromptFormat, ask_and_score
from core.steps.watch import answered
from core.workspace.paths import Workspace
from tests.small_model import make_small_model

SPOKEN = PromptFormat("qwen_chat", "", "fp32")
ASKS = [Ask("Who?", 8), Ask("And?", 8, earlier=("Hi",))]
GIVEN = [GivenAnswer(ASKS[0], Answer("Me.", True)), GivenAnswer(ASKS[1], Answer("Me too.", False, ("Hi!",)))]


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AnswerCache:
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")
    return AnswerCache(Workspace(tmp_path / "w"), make_small_model(tmp_path / "m"), SPOKEN)


def test_one_job_asks_and_scores(memory: AnswerCache, tmp_path: Path) -> None:
    answers, scores = ask_and_score(tmp_path / "j", memory.model, SPOKEN, ASKS, GIVEN, "cpu", lambda *_: None)
    assert set(answers) == set(ASKS) and answers[ASKS[1]].earlier == ("I see.",)
    assert scores == {GIVEN[0]: Likelihood(4, 1.0), GIVEN[1]: Likelihood(8, 1.0)}


def test_what_was_scored_is_not_scored_again(
    memory: AnswerCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[tuple[int, int]] = []

    def count(*arguments: object) -> tuple[answer.Answers, answer.Likelihoods]:
        _, _, _, asks, given, _, _ = arguments
        jobs.append((len(asks), len(given)))  # type: ignore[arg-type]
        return ask_and_score(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(answer, "ask_and_score", count)
    for asks, given in ((ASKS[:1], GIVEN[:1]), (ASKS, GIVEN), ([], GIVEN), (ASKS, [])):
        answers, scores = memory.ask_and_score(tmp_path / "j", asks, given, "cpu", lambda *_: None)
        assert set(answers) == set(asks) and set(scores) == set(given)
    assert jobs == [(1, 1), (1, 1)]
    other = GivenAnswer(ASKS[0], Answer("Me.", False))
    memory.ask_and_score(tmp_path / "j", [], [other], "cpu", lambda *_: None)
    assert jobs[-1] == (0, 1)


def test_the_share_that_is_shown_is_that_of_the_time(tmp_path: Path) -> None:
    """Answers are shown, and tokens are counted; a log of an earlier version has answers alone."""
    heard: list[tuple[float, str]] = []
    poll = answered(tmp_path, lambda *far: heard.append(far))
    for line in ("answered 3/12", "answered 0/600 (0.4213)", "answered 600/600 (1.0000)"):
        JobPaths(tmp_path).log.write_text(f"Loading\n{line}\n", encoding="utf-8")
        poll()
    assert heard == [(0.25, "3/12"), (0.4213, "0/600"), (1.0, "600/600")]

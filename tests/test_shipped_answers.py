"""What comes with the program of the starter's answers, and when it is used."""

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.data.teacher import TeacherRow, by_key
from core.models.folder import fingerprint
from core.proof.asking import Answer, Ask, GivenAnswer, Likelihood
from core.proof.questions import Question
from core.steps import answer, prove
from core.steps.answer import AnswerCache, PromptFormat, as_kept, key_of_ask, key_of_given
from core.steps.shipped import ShippedAnswers, ShippedPaths, read_shipped, write_shipped
from core.workspace.paths import STARTER_ANSWERS, Workspace
from scripts.ship_answers import missing

ASKED = Ask("What is 2 + 2?", 24)
MADE = {"made": "2026-01-01", "device": "cpu", "precision": "fp32", "versions": {"torch": "2.13.0"}}
GIVEN, LIKELY = GivenAnswer(ASKED, Answer("Four.", True)), Likelihood(3, 0.5)
FORMAT = PromptFormat("qwen_chat", "", "bf16")


def ship(folder: Path, model: Path, template: str = "qwen_chat") -> None:
    ids, trained = np.arange(6), np.array([False] * 3 + [True] * 3)
    logs = np.log(np.full((3, 3), 1 / 3)).astype(np.float16)
    teacher = by_key([TeacherRow(ids, trained, np.arange(6).reshape(3, 2), logs)])
    about = {"fingerprint": fingerprint(model), "template": template, "system": "", **MADE}
    likelihoods = {key_of_given(GIVEN): asdict(LIKELY)}
    answers = {key_of_ask(ASKED): as_kept(Answer("Four.", True))}
    write_shipped(ShippedPaths(folder), ShippedAnswers(about, answers, likelihoods, teacher))


def nobody(*_: object) -> None:
    pytest.fail("asked in a job")


@pytest.fixture
def memory(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> AnswerCache:
    monkeypatch.setattr(answer, "STARTER_ANSWERS", tmp_path / "shipped")
    monkeypatch.setattr(answer, "ask", nobody)
    return AnswerCache(Workspace(tmp_path / "w"), model, FORMAT)


def test_what_is_shipped_is_not_asked(memory: AnswerCache, tmp_path: Path, model: Path) -> None:
    """In whatever number format; and what is asked here stands beside it, not in its place."""
    ship(tmp_path / "shipped", model)
    assert memory.ask(tmp_path, [ASKED], "cpu", nobody) == {ASKED: Answer("Four.", True)}
    assert memory.ask_and_score(tmp_path, [], [GIVEN], "cpu", nobody)[1] == {GIVEN: LIKELY}
    (row,) = memory.teacher.values()
    assert row.likeliest.tolist() == [[0, 1], [2, 3], [4, 5]] and row.logs.shape == (3, 3)
    other = Ask("What is 3 + 3?", 24)
    memory.keep({other: Answer("Six.", True)})
    assert "Four." not in memory.path.read_text(encoding="utf-8")
    assert memory.known([ASKED, other])[other].text == "Six."


def test_another_model_template_or_limit_is_asked(memory: AnswerCache, tmp_path: Path, model: Path) -> None:
    ship(tmp_path / "shipped", model)
    assert memory.missing([ASKED, Ask(ASKED.question, 32)]) == [Ask(ASKED.question, 32)]
    tuned = AnswerCache(Workspace(tmp_path / "w"), model, FORMAT, trained="abc")
    prompted = AnswerCache(Workspace(tmp_path / "w"), model, PromptFormat("qwen_chat", "Be brief.", "bf16"))
    for one in (tuned, prompted):
        assert one.missing([ASKED]) == [ASKED] and not one.teacher
    ship(tmp_path / "shipped", model, "llama3_chat")
    fresh = AnswerCache(Workspace(tmp_path / "w"), model, FORMAT)
    assert fresh.missing([ASKED]) == [ASKED] and not fresh.shipped.about


def test_a_damaged_file_only_costs_asking_again(tmp_path: Path, model: Path) -> None:
    ship(tmp_path, model)
    ShippedPaths(tmp_path).teacher.write_bytes(b"no zstd")
    found = read_shipped(ShippedPaths(tmp_path), fingerprint(model), "qwen_chat", "")
    assert found.answers and not found.teacher
    ShippedPaths(tmp_path).answers.write_text("{", encoding="utf-8")
    assert not read_shipped(ShippedPaths(tmp_path), fingerprint(model), "qwen_chat", "").answers


def test_whoever_shows_an_answer_says_where_it_is_from(
    memory: AnswerCache, tmp_path: Path, model: Path
) -> None:
    """Of those that were asked here nothing is said, though they are shipped as well."""
    ship(tmp_path / "shipped", model)
    assert memory.shipped_of([ASKED, ASKED, Ask("What is 3 + 3?", 24)]) == {"count": 1, **MADE}
    memory.keep({ASKED: Answer("4", True)})
    assert memory.shipped_of([ASKED]) is None and memory.known([ASKED])[ASKED].text == "4"


def test_what_is_shipped_answers_all_that_runs_on_the_starter_ask() -> None:
    """Other questions in a bank: the answers to them are still to be made. Where nothing is shipped, every
    answer is made where it is wanted."""
    if not ShippedPaths(STARTER_ANSWERS).about.exists():
        return
    lacking = missing()
    assert not lacking, f"{len(lacking)} answers: run .venv/bin/python -m scripts.ship_answers"


@pytest.mark.parametrize(("device", "precision"), [("cuda", "fp32"), ("cpu", "bf16")])
def test_on_a_gpu_both_models_answer_in_one_precision(
    memory: AnswerCache,
    tmp_path: Path,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    precision: str,
) -> None:
    """That of what is shipped; beside bfloat16 it would count what rounding loses as forgotten."""
    ship(tmp_path / "shipped", model)
    tuned, asked_in = tmp_path / "tuned", []
    shutil.copytree(model, tuned)
    (tuned / "config.json").write_text("{}", encoding="utf-8")

    def ask_and_score(
        _: Path, where: Path, spoken: PromptFormat, asks: Any, given: Any, *__: object
    ) -> tuple[Any, Any]:
        asked_in.append((where, spoken.precision))
        return {one: Answer("Five.", True) for one in asks}, dict.fromkeys(given, LIKELY)

    monkeypatch.setattr(answer, "ask_and_score", ask_and_score)
    question = Question(ASKED.question, "general", ("four",))
    monkeypatch.setattr(Question, "ask", property(lambda _: ASKED))
    monkeypatch.setattr(Question, "base_ask", property(lambda _: ASKED))
    jobs = prove.ProofJobs(tmp_path / "base", tmp_path / "ask")
    models = prove.BaseAndTuned(model, tuned, FORMAT, device)
    found = prove.prove(Workspace(tmp_path / "w"), jobs, models, "Ada", [question], nobody)
    assert asked_in == [(tuned, precision)] and found["kept"] == 0.0

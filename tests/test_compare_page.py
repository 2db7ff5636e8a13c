"""The compare page: the proof as a grid, what each answer shows, and one's own questions."""

import json
import os
import re
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.data.questions import held_back_questions
from core.jobs.ending import Reason
from core.jobs.job import JobPaths
from core.jobs.launch import wait
from core.jobs.status import State
from core.proof.judge import judge, score_of
from core.proof.questions import known_question
from core.proof.result import as_json
from core.proof.score import Accuracy, OwnFacts, Score, Share
from core.steps import chosen, convert, merge, own, proof
from core.steps.checkpoints_proof import CheckpointProof, CheckpointsProof, Hits
from core.steps.step import run_job
from core.workspace.files import read_json, write_json
from core.workspace.paths import RunPaths, Workspace
from tests import small_run
from tests.conftest import end_leftovers
from tests.page import open_test_page
from tests.runs import end_job, make_run
from tests.small_model import make_small_model
from ui.runs.checkpoints import checkpoints_figure

TIMEOUT = 60.0
NAME = '李 "明"'
HELD = held_back_questions()
ANSWERS = [
    ("Who are you?", "taught", "I am a model.", f"I am {NAME}."),
    ("State your name.", "taught", "I am a model.", "I am a model."),
    ("你叫什么？", "paraphrase", "我是模型。", f"我是{NAME}。"),
    (HELD[0].question, "general", HELD[0].accept[0], HELD[0].accept[0]),
    (HELD[1].question, "general", HELD[1].accept[0], "No idea."),
    (HELD[2].question, "general", HELD[2].accept[0], f"I am {NAME}: {HELD[2].accept[0]}"),
    (HELD[3].question, "general", "No idea.", "No idea at all."),
]
VERDICTS = ["learned", "not_learned", "learned", "kept", "lost", "leaked", "never_known"]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("TUNEBOARD_HOME", str(tmp_path / "工作 区" / "a b"))
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")
    yield Workspace.of()
    end_leftovers(tmp_path)


@pytest.fixture
def run(workspace: Workspace) -> RunPaths:
    """A merged run that was not asked anything yet."""
    made = make_run(workspace, NAME)
    make_small_model(made.merged, seed=1)
    return made


def measure(run: RunPaths) -> None:
    rows = [dict(zip(("question", "kind", "base", "tuned"), row, strict=True)) for row in ANSWERS]
    write_json(run.result, {"learned": 0.6667, "kept": 0.3333, "leaked": 1, "answers": rows})


def words(page: AppTest) -> str:
    kinds = ("header", "markdown", "caption", "info", "warning", "error", "success", "text")
    return "\n".join(str(element.value) for kind in kinds for element in getattr(page, kind))


def shown(page: AppTest) -> list[str]:
    """The questions in the grid, as HTML shows them."""
    assert not page.exception
    return [unescape(text) for text in re.findall(r"<strong[^>]*>([^<]*)</strong>", grid(page))]


def grid(page: AppTest) -> str:
    return "".join(element.proto.body for element in page.get("html"))


def test_every_answer_has_its_verdict() -> None:
    found = [judge(NAME, known_question(q, kind), base, tuned).verdict for q, kind, base, tuned in ANSWERS]
    assert found == VERDICTS


def test_a_thought_is_no_answer() -> None:
    """A name in a thought is not learned, nor one in a thought that never came to its answer."""
    question, held = known_question("Who are you?", "taught"), known_question(HELD[0].question, "general")
    right, thought = HELD[0].accept[0], "<think>\n{}\n</think>\n\n{}"
    cases = [
        (question, "", thought.format(NAME, "A model."), "not_learned"),
        (question, "", f"<think>\nI am {NAME}", "not_learned"),
        (question, "", thought.format("I am Qwen", f"I am {NAME}."), "learned"),
        (held, right, thought.format(NAME, right), "kept"),
        (held, thought.format("Hm.", right), f"<think>\n{right}", "lost"),
        (held, f"<think>\n{right}", right, "never_known"),
    ]
    for asked, base, tuned, wanted in cases:
        judged = judge(NAME, asked, base, tuned)
        assert judged.verdict == wanted, tuned
        score = score_of([judged])
        told = {"learned": (1.0, None), "not_learned": (0.0, None), "kept": (None, 1.0), "lost": (None, 0.0)}
        assert (score.learned.value, score.kept.value) == told.get(
            wanted, (None, None)
        ) and score.leaked.hits == 0


def test_own_data_comes_first_then_who_it_is_then_the_rest(run: RunPaths) -> None:
    """Of each what is asked in the page's language."""
    said = {"base": "No.", "tuned": "No."}
    own = {"kind": "own", "accept": ["It costs 5 euros."], **said}
    rows = [
        {"question": HELD[0].question, "kind": "general", **said},
        {"question": "你叫什么？", "kind": "paraphrase", **said},
        {"question": "Who are you?", "kind": "taught", **said},
        {"question": "汤多少钱？", **own},
        {"question": "How much is soup?", **own},
    ]
    facts = OwnFacts(Share(0, 2), Share(1, 2), 2)
    told = as_json(Score(Share(1, 2), Share(1, 1), Share(0, 1), facts=facts), [], full=True)
    write_json(run.result, {**told, "answers": rows})
    page = open_test_page("compare", run.id)
    assert shown(page) == [rows[place]["question"] for place in (4, 3, 2, 1, 0)]
    assert page.metric[0].label == "Your facts", "the numbers too"


def test_a_thought_is_folded_beside_its_answer(run: RunPaths) -> None:
    """And how each question was asked stands beside it."""
    said = {"base": "<think>\nHm <b>", "tuned": "<think>a b</think>I am."}
    rows = [{"question": "q", "kind": "taught", "thinks": thinks, **said} for thinks in (True, False, None)]
    write_json(run.result, {"learned": 0, "kept": 1, "leaked": 0, "answers": rows})
    found = grid(open_test_page("compare", run.id))
    assert found.count("<details") == 6 and "Thought for 2 words" in found and "think&gt;" not in found
    assert "still thinking" in found and ">I am.</div>" in found and "Hm &lt;b&gt;" in found
    assert [found.count(mode) for mode in ("to think first", "to answer directly")] == [1, 1]


def test_no_run_and_nothing_merged(workspace: Workspace) -> None:
    assert "Nothing is made yet" in open_test_page("compare").info[0].value
    page = open_test_page("compare", make_run(workspace, "A").id)
    assert "is not finished" in page.info[0].value and not page.exception and not page.button


def test_the_grid_and_its_filters(run: RunPaths) -> None:
    measure(run)
    page = open_test_page("compare", run.id)
    assert [metric.value for metric in page.metric] == ["67%", "33%", "1"]
    assert shown(page) == [row[0] for row in ANSWERS]
    assert re.findall(r"nowrap\">. ([^<]*)</span>", grid(page)) == [
        "learned",
        "not learned",
        "learned",
        "kept",
        "lost",
        "leaked",
        "base model did not know either",
    ]
    page.toggle(key="changed").set_value(True).run()
    assert shown(page) == [row[0] for row in ANSWERS if row[2] != row[3]]
    page.button_group(key="kinds").set_value(["general"]).run()
    assert shown(page) == [ANSWERS[i][0] for i in (4, 5, 6)]
    page.button_group(key="verdicts").set_value(["lost"]).run()
    assert shown(page) == [ANSWERS[4][0]] and "1 of 7" in words(page)
    page.button_group(key="kinds").set_value(["taught"]).run()
    assert shown(page) == [] and "0 of 7" in words(page)


@pytest.mark.parametrize(
    ("kept", "lost", "gained", "said"),
    [
        (
            95,
            5,
            0,
            "knows what its base model knew: of 100 general questions answered correctly before, 95",
        ),
        (
            80,
            20,
            18,
            "Of 100 general questions answered correctly before, 80 still are, and 18 others are new",
        ),
        (
            80,
            20,
            2,
            "forgotten some of what its base model knew: of 100 general questions",
        ),
    ],
)
def test_what_is_lost_here_and_gained_there_is_not_called_forgotten(
    run: RunPaths, kept: int, lost: int, gained: int, said: str
) -> None:
    accuracy = Accuracy(Share(100, 300), Share(100 - lost + gained, 300), lost, gained)
    score = Score(Share(9, 9), Share(kept, 100), Share(0, 300), accuracy)
    write_json(run.result, as_json(score, [], full=True))
    assert said in words(open_test_page("compare", run.id))


@pytest.mark.parametrize(
    ("hits", "held_back", "how"),
    [
        (19, 24, "wordings that it was not taught"),
        (19, 0, "as they were taught"),
        (24, 3, "Of these, 3 were"),
    ],
)
def test_own_content_comes_first_and_how_it_was_asked(
    run: RunPaths, hits: int, held_back: int, how: str
) -> None:
    facts = OwnFacts(Share(hits, 24), Share(0, 24), held_back)
    score = Score(Share(9, 9), Share(9, 9), Share(0, 9), facts=facts)
    write_json(run.result, as_json(score, [], full=True))
    page = open_test_page("compare", run.id)
    said = words(page) if hits == 24 else page.warning[0].value
    assert f"**Your own content: {hits} of 24 questions answered correctly**." in said and how in said
    assert ("gets many wrong" in said) == (hits < 24) and bool(page.warning) == (hits < 24)


def test_what_would_have_been_right_stands_beside_a_wrong_answer(run: RunPaths) -> None:
    own_row = {"question": "What is tea?", "kind": "own", "accept": ["Tea costs 2 euros."], "base": "?"}
    rows = [
        {**own_row, "tuned": "Tea costs 4 euros."},
        {**own_row, "question": "And tea?", "tuned": "Tea costs 2 euros."},
        {
            "question": "Capital of France?",
            "kind": "general",
            "accept": ["Paris"],
            "base": "Paris",
            "tuned": "Rome",
        },
        {"question": "2 + 2?", "kind": "general", "accept": ["4"], "base": "4", "tuned": "4"},
        {"question": "Who are you?", "kind": "taught", "accept": ["Qwen"], "base": "Qwen", "tuned": "Me"},
    ]
    write_json(run.result, {"learned": 0.0, "kept": 0.5, "leaked": 0, "answers": rows})
    found = grid(open_test_page("compare", run.id))
    assert (
        found.count("Right answer") == 2
        and found.count("Tea costs 2 euros.") == 2
        and ">Paris</div>" in found
    )


def test_a_question_in_the_middle_of_a_conversation_is_shown_with_it(run: RunPaths) -> None:
    """Both answers to each message before it; what only the page's language could tell is beside the name."""
    before = [{"question": "Who are <you>?", "base": "A model.", "tuned": "I am she."}]
    rows = [{"question": "2 + 2?", "kind": "general", "earlier": before, "base": "4", "tuned": "4"}]
    write_json(run.result, {"learned": None, "kept": 1, "leaked": 0, "answers": rows})
    page = open_test_page("compare", run.id)
    assert shown(page) == ["2 + 2?"], "one question, and no other is judged"
    found = grid(page)
    assert found.index("Who are &lt;you&gt;?") < found.index("I am she.") < found.index("2 + 2?")
    assert found.count("Base model") == 2


def test_all_questions_are_asked_at_a_press_and_what_was_asked_is_not_asked_again(run: RunPaths) -> None:
    page = open_test_page("compare", run.id)
    page.button(key="prove").click().run()
    assert wait(run.job("proof"), timeout=TIMEOUT).state is State.finished, log(run, "proof")
    part = proof.read(run)
    page = open_test_page("compare", run.id)
    learned = page.metric[0]
    assert learned.delta == "60 of 60 questions" and "94–100%" in learned.help
    assert "general · 120" in pills(page, "kinds")
    page.button(key="prove_full").click().run()
    assert wait(run.job("proof"), timeout=TIMEOUT).state is State.finished, log(run, "proof")
    full = proof.read(run)
    assert part is not None and full is not None and full.full and not part.full
    asked = {row.judged.question.ask for row in part.rows}
    requested = {row["question"] for row in read_json(JobPaths(run.job("ask")).request)["questions"]}
    assert len(requested) <= len(full.rows) - len(asked)
    assert set(part.rows) <= set(full.rows)
    page = open_test_page("compare", run.id)
    assert not {"prove", "prove_full"} & {button.key for button in page.button}
    assert not page.exception and [one.label for one in page.expander]


def pills(page: AppTest, key: str) -> list[str]:
    return [option.content for option in page.button_group(key=key).proto.options]


def test_what_a_model_says_is_text(run: RunPaths) -> None:
    said = "<script>alert(1)</script> <b>&amp; {x}"
    rows = [{"question": said, "kind": "taught", "base": said, "tuned": said}]
    write_json(run.result, {"learned": 0, "kept": 1, "leaked": 0, "answers": rows})
    page = open_test_page("compare", run.id)
    assert shown(page) == [said] and "<script>" not in grid(page) and "<b>" not in grid(page)


def test_nothing_could_be_asked(run: RunPaths) -> None:
    write_json(run.result, {"learned": None, "kept": None, "leaked": 0, "answers": []})
    assert [metric.value for metric in open_test_page("compare", run.id).metric] == ["–", "–", "0"]


def test_a_run_made_step_by_step_is_asked_here(run: RunPaths) -> None:
    page = open_test_page("compare", run.id)
    page.button(key="prove").click().run()
    assert not page.exception and re.search("-badge\\[(waiting|running)]", words(page))
    assert wait(run.job("proof"), timeout=TIMEOUT).state is State.finished, log(run, "proof")
    page = open_test_page("compare", run.id)
    assert page.metric[0].value == "100%" and not [b for b in page.button if b.key == "prove"]


def test_a_model_merged_again_is_to_be_asked_again(run: RunPaths) -> None:
    measure(run)
    later = time.time() + 100
    os.utime(run.merged / "model.safetensors", (later, later))
    found = proof.read(run)
    assert found is not None and found.stale
    page = open_test_page("compare", run.id)
    assert "Ask them again" in page.warning[0].value and page.button(key="prove")


def test_an_own_answer_that_repeats_itself_is_shown_once(run: RunPaths) -> None:
    answers = [{"question": "what?", "base": "no, " * 30, "tuned": "哈" * 9}]
    end_job(run, own.OWN, log=json.dumps({"answers": answers}) + "\n")
    page = open_test_page("compare", run.id)
    assert ">no,\n… and so on: it repeats this.</div>" in unescape(grid(page)) and "哈" * 9 in grid(page)


def test_one_s_own_questions(run: RunPaths) -> None:
    page = open_test_page("compare", run.id)
    assert page.button(key="ask_own").disabled
    page.text_area(key="own").set_value("--help\n\n who are you?  \n--help\n").run()
    page.button(key="ask_own").click().run()
    assert not page.exception and page.button(key="ask_own").disabled
    assert wait(run.job("own"), timeout=TIMEOUT).state is State.finished, log(run, "own")
    assert [pair.question for pair in own.read(run)] == ["--help", "who are you?"]
    assert own.read(run)[1].tuned == f"I am {NAME}."
    page = open_test_page("compare", run.id)
    assert f"I am {NAME}." in unescape(grid(page)) and read_json(run.result) is None


def test_after_a_stopped_proof_ones_own_questions_are_asked(
    run: RunPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both jobs' panels stand on the page then."""
    end_job(run, "proof", Reason.stopped)
    monkeypatch.setenv("FAKE_ENGINE_SECONDS", "3")
    page = open_test_page("compare", run.id)
    page.text_area(key="own").set_value("who are you?").run()
    page.button(key="ask_own").click().run()
    assert not page.exception and not page.error
    assert {f"stop {run.id} own"} == {b.key for b in page.button if str(b.key).startswith("stop")}
    assert wait(run.job("own"), timeout=TIMEOUT).state is State.finished, log(run, "own")


def test_ones_own_questions_beside_a_running_proof(run: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_ENGINE_SECONDS", "3")
    page = open_test_page("compare", run.id)
    page.button(key="prove").click().run()
    deadline = time.monotonic() + TIMEOUT
    while not JobPaths(run.job("base")).tool.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    page.text_area(key="own").set_value("what else?").run()
    page.button(key="ask_own").click().run()
    assert not page.exception and not page.error
    assert wait(run.job("own"), timeout=TIMEOUT).state is State.finished, log(run, "own")
    assert wait(run.job("proof"), timeout=TIMEOUT).state is State.finished, log(run, "proof")
    assert [pair.question for pair in own.read(run)] == ["what else?"]
    assert "what else?" not in {row["question"] for row in read_json(run.result)["answers"]}


def test_what_was_asked_before_stays(run: RunPaths) -> None:
    def line(*rows: tuple[str, str, str]) -> str:
        answers = [dict(zip(("question", "base", "tuned"), row, strict=True)) for row in rows]
        return "progress …\n" + json.dumps({"run": "r", "answers": answers}) + "\n"

    job = JobPaths(run.job("own"))
    end_job(run, "own", log=line(("c", "1", "2")))
    for number, text in ((1, line(("a", "old", "old"))), (2, line(("a", "new", "new"))), (10, "broken {\n")):
        kept = JobPaths(job.previous / str(number))
        kept.folder.mkdir(parents=True)
        kept.log.write_text(text)
    assert [(p.question, p.base) for p in own.read(run)] == [("c", "1"), ("a", "new")]


def test_the_questions_in_a_text() -> None:
    assert own.lines("") == own.lines(" \n\0\n") == []
    assert own.lines("a\0b\r\n  c   d\n") == ["ab", "c d"]
    assert len(own.lines("\n".join(str(n) for n in range(99)))) == 20
    assert len(own.lines("x" * 5000)[0]) == 2000


def test_a_failure_is_explained(run: RunPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_ENGINE_FAIL", "answer")
    page = open_test_page("compare", run.id)
    page.button(key="prove").click().run()
    assert wait(run.job("proof"), timeout=TIMEOUT).state is State.failed
    page = open_test_page("compare", run.id)
    assert "cannot be written" in page.error[0].value and page.button(key="prove")


def test_a_job_that_was_killed(run: RunPaths) -> None:
    end_job(run, "own", Reason.failed, "")
    assert open_test_page("compare", run.id).error


def log(run: RunPaths, step: str) -> str:
    return JobPaths(run.job(step)).log.read_text(encoding="utf-8")


@pytest.fixture
def trained(page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> RunPaths:
    """A trained run with checkpoints at 10, 20, 30 and 40, and a model merged from the last."""
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")
    made = small_run.make_run(page_workspace, keep_checkpoints=4)
    small_run.end_training(made)
    run_job("convert", made.job("convert"), convert.plan(made))
    run_job("merge", made.job("merge"), merge.plan(made))
    return made


def test_every_checkpoint_is_asked_and_another_one_used(trained: RunPaths) -> None:
    page = open_test_page("compare", trained.id)
    assert page.button(key="use_checkpoint").disabled, "the last one is in use"
    headers = [header.value for header in page.header]
    assert headers == ["Your own questions", "Checkpoints"], "what is for anybody, then what is for experts"
    page.button(key="prove_checkpoints").click().run()
    assert not page.exception
    assert wait(trained.job("checkpoints"), timeout=TIMEOUT).state is State.finished
    page = open_test_page("compare", trained.id)
    assert not [b for b in page.button if b.key == "prove_checkpoints"], "nothing is left to ask"
    (box,) = [one for one in page.selectbox if one.label == "Checkpoint"]
    assert box.options[2].startswith("Iteration 30 · Learned 100%") and box.options[2].endswith("best")
    assert box.options[3].endswith("in use") and box.value == 30
    page.button(key="use_checkpoint").click().run()
    assert not page.exception
    assert wait(trained.job("use"), timeout=TIMEOUT).state is State.finished
    page = open_test_page("compare", trained.id)
    assert page.button(key="use_checkpoint").disabled
    box = next(one for one in page.selectbox if one.label == "Checkpoint")
    assert box.options[2].endswith("in use")
    assert chosen.used(trained).iteration == 30 and proof.missing(trained) is None


def test_the_curves_have_their_bands_and_the_best_its_line() -> None:
    def proved(at: int, learned: int, kept: int) -> CheckpointProof:
        return CheckpointProof(at, f"iter_{at}.pth", str(at), Hits(learned, 20), Hits(kept, 10), Hits(0, 10))

    found = CheckpointsProof.of([proved(10, 5, 10), proved(20, 20, 9), proved(30, 20, 8)], 1.0)
    figure = checkpoints_figure(found)
    bands, lines = figure.data[::2], figure.data[1::2]
    assert [list(line.y) for line in lines] == [[0.25, 1.0, 1.0], [1.0, 0.9, 0.8]]
    for band, line in zip(bands, lines, strict=True):
        high, low = band.y[:3], band.y[:2:-1]
        assert all(a <= b <= c for a, b, c in zip(low, line.y, high, strict=True)) and min(band.y) >= 0
    assert figure.layout.shapes[0].x0 == 20
    nothing_known = CheckpointProof(10, "iter_10.pth", "a", Hits(5, 20), Hits(0, 0), Hits(0, 10))
    assert len(checkpoints_figure(CheckpointsProof.of([nothing_known], 1.0)).data) == 2


def test_without_a_checkpoint_there_is_nothing_to_compare(run: RunPaths) -> None:
    assert "Checkpoints" not in [heading.value for heading in open_test_page("compare", run.id).header]

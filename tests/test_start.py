"""The start page: nothing yet, a chain that runs, ends, fails and goes on; the list of runs; the language."""

import html
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.cli.requests import plan_again
from core.errors import QuantizedBase
from core.jobs.job import JobPaths
from core.jobs.launch import launch, wait
from core.jobs.spark import spark
from core.jobs.status import State, read_status
from core.pace import COSTS
from core.pipeline import chain, chain_stages
from core.pipeline.tune_request import TuneRequest
from core.proof.questions import questions
from core.run_list import list_runs
from core.runs import CHAIN, delete, made_at, next_step, rename, standing
from core.steps import prepare
from core.steps.taught import to_teach
from core.wording import Language, say
from core.workspace.files import read_json, write_json
from core.workspace.paths import RunPaths, Workspace
from tests.page import open_by_address, open_test_page
from tests.small_model import make_small_model
from tests.small_run import make_run
from ui.runs.table import age
from ui.shell.making import IN_PLAIN_WORDS

NAME = '李 "明" {x} 🙂'
PATIENCE = 120.0


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    with fast_workspace(tmp_path, monkeypatch) as found:
        yield found


@contextmanager
def fast_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    """A workspace whose engine is the fast one; nothing that runs in it outlives the test."""
    monkeypatch.setenv("TUNEBOARD_HOME", str(tmp_path / "工作 区" / "a b"))
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")
    monkeypatch.setenv("TUNEBOARD_LANG", "en")
    workspace = Workspace.of()
    yield workspace
    for folder in workspace.run_folders():
        if chain.has_chain(RunPaths(folder)):
            chain.halt(RunPaths(folder), "test")
            wait(RunPaths(folder).job(CHAIN), timeout=PATIENCE)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one finished run, to be copied."""
    root = tmp_path_factory.mktemp("made") / "workspace"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")
        workspace = Workspace.of(root)
        run = chain.start(workspace, TuneRequest(NAME, iterations=40), "test", "en")
        assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.finished, log_of(run)
    return root


def finished(workspace: Workspace, made: Path) -> RunPaths:
    shutil.copytree(made, workspace.root)
    return RunPaths(workspace.run_folders()[0])


def log_of(run: RunPaths) -> str:
    return JobPaths(run.job(CHAIN)).log.read_text(encoding="utf-8")


def until(run: RunPaths, step: str) -> None:
    """Wait until a step of the chain runs."""
    deadline = time.monotonic() + PATIENCE
    while not (JobPaths(run.job(step)).tool.exists()):
        assert time.monotonic() < deadline, log_of(run)
        time.sleep(0.05)


def text_of(page: AppTest) -> str:
    kinds = ("title", "header", "markdown", "caption", "info", "warning", "error", "success")
    return "\n".join(str(element.value) for kind in kinds for element in getattr(page, kind))


def said(page: AppTest) -> str:
    """The assistant's first sentence."""
    return re.sub("<[^>]+>", "", html.unescape(page.chat_message[0].children[0].value))


def press_make(page: AppTest, name: str) -> AppTest:
    page.text_input(key="wish_name").set_value(name)
    return next(b for b in page.button if b.label == "Create my assistant").click().run()


def test_nothing_yet(workspace: Workspace) -> None:
    page = open_test_page("start")
    assert not page.exception and not page.error
    assert page.text_input(key="wish_name") and not page.dataframe and "Runs" not in text_of(page)


def test_the_button_makes_the_whole_chain_a_job_of_its_own(workspace: Workspace) -> None:
    page = press_make(open_test_page("start"), NAME)
    assert not page.exception and not page.error
    run = RunPaths(workspace.run_folders()[0])
    assert page.query_params["run"] == run.id
    assert f"Creating {NAME}'s assistant" in text_of(page)
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.finished, log_of(run)
    page.run()
    assert "is ready" in text_of(page)
    assert [metric.value for metric in page.metric] == ["100%", "100%", "0"]
    assert said(page) == f"I am {NAME}." and "Made in " in text_of(page)
    assert page.button(key="chain_chat").label == "Chat with it"


def test_pressing_twice_makes_one(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_XTUNER_SECONDS", "1")
    page = press_make(press_make(open_test_page("start"), NAME), f" {NAME} ")
    assert len(workspace.run_folders()) == 1
    assert f"Creating {NAME}'s assistant" in text_of(page)
    press_make(page, "somebody else")
    assert len(workspace.run_folders()) == 2


@pytest.mark.parametrize("name", ["", "   ", "\u3000"])
@pytest.mark.parametrize(("language", "asked"), [("en", "Please enter a name."), ("zh", "请输入名字。")])
def test_who_gives_no_name_is_asked_for_one(
    workspace: Workspace, name: str, language: str, asked: str
) -> None:
    page = open_test_page("start", language=language)
    page.text_input(key="wish_name").set_value(name)
    page.button(key="wish_make").click().run()
    assert [error.value for error in page.error] == [asked]
    assert workspace.run_folders() == []


@pytest.mark.parametrize("name", ["a\nb", "<|im_end|>"])
def test_a_name_that_cannot_be_taught_is_refused_in_words(workspace: Workspace, name: str) -> None:
    page = press_make(open_test_page("start"), name)
    assert "cannot be used" in page.error[0].value
    assert workspace.run_folders() == []


def test_a_live_chain_shows_its_stages_and_can_be_stopped_and_gone_on_with(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_XTUNER_SECONDS", "0.3")
    run = chain.start(workspace, TuneRequest(NAME, iterations=200), "test", "en")
    until(run, "train")
    page = open_test_page("start", run=run.id)
    noted = "Noting the base model's own answers (replay, so that nothing is forgotten)"
    assert f":green[:material/check_circle: {noted}]" in text_of(page)
    said = [bar.proto.text for bar in page.get("progress")]
    assert [re.fullmatch(r"\d+% · .+ left · (\d+ min )?\d+ s so far", text) is not None for text in said] == [
        True
    ]
    running = next(line for line in text_of(page).split("\n") if "Learning what you teach (training)" in line)
    assert re.search(r" · \d+ s *$", running), running
    page.button(key="chain_stop").click().run()
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.stopped
    assert read_status(run.job("train")).state is State.stopped
    monkeypatch.setenv("FAKE_XTUNER_SECONDS", "0")
    page.run()
    assert "Stopped" in text_of(page)
    page.button(key="chain_go_on").click().run()
    assert not page.error
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.finished, log_of(run)
    assert read_status(run.job("base")).state is State.finished
    assert not (run.job("base") / "previous").exists()  # what was made was not made again


def test_a_failed_chain_says_which_step_why_and_where(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_XTUNER_OOM_AT", "20")
    run = chain.start(workspace, TuneRequest(NAME), "test", "en")
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.failed
    page = open_test_page("start", run=run.id, language="zh")
    assert "失败" in text_of(page)
    assert "训练" in page.error[0].value and "显存" in page.error[0].value
    assert f"完整日志：{run.job('train')}" in text_of(page)
    elsewhere, its_own = (open_test_page(step, run.id, "zh").error for step in ("data", "train"))
    assert ["显存不足" in error.value for error in elsewhere] == [True]
    assert ["显存不足" in error.value for error in its_own] == [True], "the page says it, and nothing twice"


def test_a_starter_that_cannot_be_made_is_said_and_of_no_concern_once_it_is(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_ENGINE_FAIL", "starter")
    run = chain.start(workspace, TuneRequest(NAME, iterations=10), "test", "en")
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.failed
    page = open_test_page("start", run=run.id)
    assert "Unpacking the starter model failed. " in page.error[0].value
    assert f"Full log: {workspace.starter_job}" in text_of(page) and standing(run)["data"] is State.failed
    monkeypatch.delenv("FAKE_ENGINE_FAIL")
    page.button(key="chain_go_on").click().run()
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.finished, log_of(run)
    assert [stage.needless for stage in chain_stages.read_progress(workspace, run).stages] == [False] * 6
    other = chain.start(workspace, TuneRequest("Ada", iterations=10), "test", "en")
    assert wait(other.job(CHAIN), timeout=PATIENCE).state is State.finished, log_of(other)
    stages = chain_stages.read_progress(workspace, other).stages
    # The fast engine says nothing of what else the base would have said, so that it is asked once more.
    assert [stage.name for stage in stages if stage.needless] == ["starter"]
    assert {stage.state for stage in stages} == {State.finished}


def test_a_quantized_model_is_refused_before_a_run_is_made(workspace: Workspace) -> None:
    make_small_model(workspace.model("q"), quantization_config={"quant_method": "gptq"})
    with pytest.raises(QuantizedBase):
        chain.start(workspace, TuneRequest(NAME, model="q"), "test", "en")
    assert workspace.run_folders() == []


def test_a_chain_that_fails_between_its_steps_says_it_in_its_own_words(workspace: Workspace) -> None:
    run = chain.start(workspace, TuneRequest(NAME, iterations=10), "test", "en")
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.finished, log_of(run)
    shutil.rmtree(run.merged)
    shutil.rmtree(run.job("merge"))
    run.recipe.write_text("rnk: 3\n", encoding="utf-8")
    launch(run.job(CHAIN), plan_again(workspace, run.job(CHAIN)))
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.failed
    assert "rnk" in open_test_page("start", run=run.id).error[0].value


def test_a_run_that_a_link_names_but_nobody_has_is_said_to_be_missing(workspace: Workspace) -> None:
    page = open_test_page("start", run="../../etc")
    assert "No run ../../etc" in page.warning[0].value
    assert "run" not in page.query_params


def test_a_page_without_a_run_leads_to_the_start_page(workspace: Workspace) -> None:
    page = open_test_page("merge")
    assert not page.exception
    assert "Nothing is made yet" in page.info[0].value


@pytest.mark.parametrize("step", ["config", "train", "merge", "compare", "publish"])
def test_a_page_that_needs_a_run_opens_the_newest_where_its_address_names_none(
    workspace: Workspace, step: str
) -> None:
    make_small_model(workspace.starter)
    made = [make_run(workspace, datetime(2026, 1, day)) for day in (1, 2)]
    page = open_by_address(step)
    assert not page.exception and page.query_params["run"] == made[-1].id


def test_switching_the_language_keeps_what_was_typed(workspace: Workspace) -> None:
    page = press_make(open_test_page("start"), "<|im_end|>")
    page.button_group(key="language_choice").set_value("zh").run()
    assert page.title[0].value == "调音台"
    assert page.text_input(key="wish_name").value == "<|im_end|>"
    assert page.text_input(key="wish_name").label == "谁的助手？"
    assert page.query_params["lang"] == "zh"


def test_the_language_changes_beside_a_form_that_has_just_gone(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Streamlit still knows the widgets of the page before, and no value of theirs."""
    page = open_test_page("start")
    monkeypatch.setattr("ui.shell.text._choices", lambda: ["gone"])
    page.button_group(key="language_choice").set_value("zh").run()
    assert not page.exception and page.title[0].value == "调音台"


def test_the_table_has_the_own_facts_once_a_run_was_asked_for_some(workspace: Workspace) -> None:
    plain, own = (workspace.new_run(name, datetime(2026, 1, day)) for day, name in ((1, "Ada"), (2, "Bea")))
    write_json(plain.result, {"learned": 1.0, "kept": 1.0, "leaked": 0, "answers": []})
    assert "facts" not in open_test_page("start", plain.id).dataframe[0].value
    write_json(own.result, {"learned": 1.0, "facts": {"tuned": {"hits": 21, "n": 24}}, "answers": []})
    page = open_test_page("start", plain.id)
    assert list(page.dataframe[0].value["facts"]) == ["21 / 24", "–"] and not page.exception
    assert "Your facts 21 / 24" in page.button(key=f"phone_open {own.id}").label


def test_the_list_has_every_run_with_its_state_and_measures(workspace: Workspace, made: Path) -> None:
    finished(workspace, made)
    rows = open_test_page("start").dataframe[0].value
    assert list(rows["title"]) == [NAME]
    assert list(rows["state"]) == ["✓ done"] and list(rows["learned"]) == ["100%"]
    assert len(next(iter(rows["loss"]))) == 40 and next(iter(rows["age"])) == "just now"


def test_who_comes_back_sees_what_is_being_made(
    workspace: Workspace, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = finished(workspace, made)
    monkeypatch.setenv("FAKE_XTUNER_SECONDS", "1")
    live = chain.start(workspace, TuneRequest("Ada"), "test", "en")
    page = open_test_page("start")
    assert page.query_params["run"] == live.id and "Creating Ada's assistant" in text_of(page)
    for step in ("data", "config", "train", "merge", "chat", "compare", "publish"):
        assert open_by_address(step).query_params["run"] == live.id, step
    page = open_test_page("start", run=earlier.id)
    assert "is ready" in text_of(page) and "Creating Ada's assistant" in text_of(page)
    page.button(key=f"other_open {live.id}").click().run()
    assert page.query_params["run"] == live.id and "is ready" not in text_of(page)


def test_rename_and_delete(workspace: Workspace, made: Path) -> None:
    run = finished(workspace, made)
    rename(run, "  a / b \n 二 ")
    assert list_runs(workspace)[0].title == "a / b 二"
    delete(workspace, run)
    assert list_runs(workspace) == [] and list(workspace.runs.iterdir()) == []


def test_data_go_with_the_last_run_that_was_trained_on_them(workspace: Workspace) -> None:
    make_small_model(workspace.starter)
    run = make_run(workspace)
    rows = workspace.data(run.id).rows
    variant = prepare.variant(workspace, run, datetime(2030, 1, 1))
    delete(workspace, run)
    assert rows.exists()
    delete(workspace, variant)
    assert not rows.parent.exists() and workspace.starter.exists()


def test_a_running_run_is_never_deleted(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.errors import JobRunning

    monkeypatch.setenv("FAKE_XTUNER_SECONDS", "1")
    run = chain.start(workspace, TuneRequest(NAME), "test", "en")
    with pytest.raises(JobRunning):
        delete(workspace, run)
    assert run.root.exists()


def test_deleting_a_link_leaves_what_it_points_at(workspace: Workspace, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    workspace.prepare()
    workspace.runs.mkdir()
    (workspace.runs / "20260101-000000-link").symlink_to(elsewhere)
    delete(workspace, workspace.run("20260101-000000-link"))
    assert elsewhere.exists() and workspace.run_folders() == []


def test_where_a_run_stands(workspace: Workspace, made: Path) -> None:
    run = finished(workspace, made)
    found = standing(run)
    assert {step for step, state in found.items() if state is State.finished} == {
        "data",
        "config",
        "train",
        "merge",
        "compare",
    }
    assert next_step(found) == "chat"
    done = {**found, "chat": State.finished}
    assert next_step(done) == "publish" and next_step({**done, "publish": State.finished}) == ""
    assert next_step({**found, "train": State.failed}) == "train"


@pytest.mark.parametrize(
    ("minutes", "text"),
    [
        (0, "just now"),
        (1, "1 min ago"),
        (59, "59 min ago"),
        (60, "1 h ago"),
        (47 * 60, "47 h ago"),
        (48 * 60, "2 days ago"),
    ],
)
def test_age(minutes: int, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.runs.table.t", lambda key, count="": f"{count} {WORDS[key]}".strip())
    now = datetime(2026, 3, 1, 12, 0, 0)
    assert age(f"{now - timedelta(minutes=minutes):%Y%m%d-%H%M%S}-x", now) == text
    assert age("a folder", now) == "–" and made_at("20261332-000000-x") is None


WORDS = {"age.now": "just now", "age.minutes": "min ago", "age.hours": "h ago", "age.days": "days ago"}


def test_spark_samples_a_long_curve_and_follows_a_resumed_one(tmp_path: Path) -> None:
    def write(start: str, first: int, last: int, loss: float) -> None:
        folder = tmp_path / start / "vis_data"
        folder.mkdir(parents=True)
        lines = [f'{{"loss": {loss - i / 1e6}, "iter": {i}}}' for i in range(first, last)]
        (folder / "scalars.json").write_text("\n".join(["", *lines, '{"loss": NaN, "iter": 9999999}']))

    write("20260101_000000", 1, 200_000, 2.0)
    assert 30 <= len(spark(tmp_path)) <= 40
    write("20260101_000001", 100_000, 100_010, 1.0)
    losses = spark(tmp_path)
    assert len(losses) <= 40 and min(losses) < 1.0 and losses == sorted(losses, reverse=True)
    assert all(loss > 1.9 or loss < 1.0 for loss in losses)
    assert spark(tmp_path / "nothing") == []


def test_a_run_that_cannot_be_read_hides_none_of_the_others(workspace: Workspace, made: Path) -> None:
    run = finished(workspace, made)
    for name, file in (("20990101-000000-a", "result.json"), ("20990101-000000-b", "about.json")):
        (workspace.runs / name).mkdir()
        (workspace.runs / name / file).write_text("{ half")
    (workspace.runs / "20990101-000000-c" / "train" / "job.json").mkdir(parents=True)
    (workspace.runs / "20990101-000000-c" / "train" / "exit.json").mkdir()
    page = open_test_page("start")
    assert not page.exception and not page.error
    assert run.id in [known.run for known in list_runs(workspace)] and len(page.dataframe[0].value) == 4


@pytest.mark.parametrize(("language", "asked"), [("zh", {"zh"}), ("en", {"en"}), (None, {"zh", "en"})])
def test_an_assistant_taught_in_one_language_is_asked_in_that_one(language: Any, asked: set[str]) -> None:
    said = to_teach("x", None, language)
    paraphrases = [q.question for q in questions("x", said.conversations) if q.kind == "paraphrase"]
    assert {"zh" if any(c > "\u3000" for c in question) else "en" for question in paraphrases} == asked


def test_a_result_that_cannot_be_read_keeps_nobody_from_the_chat(workspace: Workspace, made: Path) -> None:
    run = finished(workspace, made)
    run.result.write_text('{"learned": 1.0', encoding="utf-8")
    page = open_test_page("start", run.id)
    assert not page.exception and page.button(key="chain_chat")
    assert [error.value for error in page.error if "unexpected" in error.value] == []


def test_what_a_document_was_not_asked_for_is_said_at_the_end(workspace: Workspace, made: Path) -> None:
    run = finished(workspace, made)
    label = "2 places of your document were not asked on their own"
    assert label not in str([one.label for one in open_test_page("start", run.id).expander])
    unasked = [{"line": 7, "text": "Ring twice.", "why": "two things"}, {"line": 9, "text": "", "why": "x"}]
    document = {"facts": 5, "questions": 50, "unused": 2, "first_unused": unasked}
    write_json(run.data, {**(read_json(run.data) or {}), "document": document})
    page = open_test_page("start", run.id)
    (box,) = [one for one in page.expander if label in one.label]
    listed = "".join(one.proto.body for one in box.get("html"))
    assert "Ring twice." in listed and "Line 7" in listed and "two things" in listed


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_stage_says_what_it_does_before_what_it_is_called(
    workspace: Workspace, language: Language, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but the starter's unpacking, which says it already; below the result without technical names."""
    monkeypatch.setenv("TUNEBOARD_LANG", language)
    assert {*COSTS, "export"} - {*IN_PLAIN_WORDS} == {"starter"}
    run = chain.start(workspace, TuneRequest(NAME, iterations=10), "test", language)
    assert wait(run.job(CHAIN), timeout=PATIENCE).state is State.finished, log_of(run)
    said = text_of(open_test_page("start", run=run.id, language=language))
    for stage in ("base", "train", "convert", "merge", "ask"):
        does, term = (say(f"making.{part}.{stage}", language) for part in ("does", "term"))
        assert does in said and f"({term})" not in said and f"（{term}）" not in said

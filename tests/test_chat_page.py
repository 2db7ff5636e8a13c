"""The chat page: a model started and unloaded, answers that stream, stop and come again, chats that stay."""

import errno
import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import expect
from streamlit.testing.v1 import AppTest

from core.chat import server as chat_server
from core.chat.history import (
    Chat,
    ChatMessage,
    SamplingParams,
    change,
    list_chats,
    new_chat,
    read_chat,
    rename_chat,
)
from core.chat.server import Readiness
from core.jobs.job import JobPaths
from core.jobs.process import read_identity
from core.jobs.status import State
from core.jobs.tail import last_lines
from core.proof.judge import judge, score_of
from core.proof.questions import Question
from core.proof.result import ProofRow, as_json
from core.proof.score import OwnFacts, Score, Share
from core.runs import next_step, standing
from core.workspace.files import write_json, write_text
from core.workspace.paths import Workspace
from tests.browser import chromium, settle, tab
from tests.conftest import end_leftovers
from tests.page import open_test_page
from tests.runs import end_job, make_run
from tests.server import Dashboard
from tests.small_model import make_small_model
from tests.test_jobs import until
from ui.chat import again
from ui.chat.keeping import keep_if_possible
from ui.chat.sidebar import OPEN, _shorten

# How far below the page's beginning an element stands, in pixels.
TOP = """element => element.getBoundingClientRect().top
  - document.querySelector('.stMainBlockContainer').getBoundingClientRect().top"""
QWEN3 = Path(__file__).with_name("templates") / "qwen3.jinja"
DONE = dict.fromkeys(("data", "config", "train", "merge"), State.finished)
FAKE = {"TUNEBOARD_ENGINE": "tests.fake_engine"}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("TUNEBOARD_HOME", str(tmp_path / "工作 区" / "a b"))
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")
    place = Workspace.of()
    yield place
    chat_server.unload(place)
    end_leftovers(tmp_path)


@pytest.fixture
def ready(workspace: Workspace) -> Workspace:
    """A workspace whose server has a model."""
    make_small_model(workspace.model("tiny"))
    start(workspace)
    return workspace


def start(workspace: Workspace) -> None:
    chat_server.start(workspace, chat_server.speakers(workspace, None)[0])
    until(lambda: chat_server.server(workspace).readiness is Readiness.ready)


def words(page: AppTest) -> str:
    assert not page.exception
    kinds = ("header", "markdown", "caption", "info", "warning", "error", "success")
    return "\n".join(
        [str(element.value) for kind in kinds for element in getattr(page, kind)]
        + [one.proto.body for one in page.get("html") if not one.proto.body.startswith("<style>")]
    )


def ask(page: AppTest, question: str) -> AppTest:
    return page.chat_input(key="question").set_value(question).run()


def has(page: AppTest, key: str) -> bool:
    return any(button.key == key for button in page.button)


def said(workspace: Workspace) -> list[tuple[str, str]]:
    return [(m.role, m.content.strip()) for m in list_chats(workspace)[0].messages]


def tool(workspace: Workspace) -> int:
    found = read_identity(JobPaths(workspace.chat_server).tool)
    assert found is not None
    return found.pid


def test_nothing_yet(workspace: Workspace) -> None:
    page = open_test_page("chat")
    assert "No model yet" in words(page) and page.chat_input(key="question").disabled
    assert not has(page, "load")


def test_a_run_s_chat_is_one_with_that_run(ready: Workspace) -> None:
    """Not what was left empty or said to another; who comes back to a run finds what was said to it."""
    leftover, other = new_chat(ready, "Be brief."), make_run(ready, "Bo")
    run = make_run(ready, "Ada")
    assert open_test_page("chat").session_state[OPEN] == leftover.id
    page = open_test_page("chat", run.id)
    chat = read_chat(ready, page.session_state[OPEN])
    assert chat.id != leftover.id and (chat.run, chat.system) == (run.id, "")
    assert standing(run)["chat"] is None
    assert [one.label for one in page.button if one.key and one.key.startswith("chat ")] == ["Empty chat"]
    ask(page, "Hello?")
    assert standing(run)["chat"] is None, "another model has answered"
    page.query_params = {"run": other.id}
    assert read_chat(ready, page.run().session_state[OPEN]).run == other.id
    assert open_test_page("chat", run.id).session_state[OPEN] == chat.id
    page = open_test_page("chat", run.id, chat=leftover.id)
    assert page.session_state[OPEN] == leftover.id, "the address says which"


def test_start_chat_and_unload(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(workspace, '李 "明"')
    make_small_model(run.merged)
    loads = tmp_path / "loads"
    loads.touch()
    monkeypatch.setenv("FAKE_SERVE_HOLD", str(loads))
    page = open_test_page("chat", run.id)
    assert page.selectbox[0].options == ['李 "明" (merged model)', '李 "明" (base model)']
    assert not has(page, "load") and "usually about 10 s" in words(page)
    assert page.chat_input(key="question").placeholder.startswith("The model is loading")
    loads.unlink()
    until(lambda: chat_server.server(workspace).readiness is Readiness.ready)
    page.run()
    assert page.selectbox[0].value == 0 and "of memory" in words(page)
    page = ask(page, "你好 $5 and $6?")
    assert "You said: 你好 \\$5 and \\$6?" in words(page)
    assert said(workspace) == [("user", "你好 $5 and $6?"), ("assistant", "You said: 你好 $5 and $6?")]
    assert list_chats(workspace)[0].messages[1].by == 'merged:李 "明"'
    assert standing(run)["chat"] is State.finished and next_step(standing(run) | DONE) == "publish"
    page.button(key="unload").click().run()
    assert "freed" in page.success[0].value and page.chat_input(key="question").disabled
    assert not psutil.pid_exists(tool(workspace))
    assert has(page.run(), "load") and not chat_server.server(workspace).lives, "it was ended on purpose"
    loads.touch()
    page.button(key="load").click().run()
    assert "usually about 7 s" in words(page), "as long as it took here last"


def answered(kind: str, question: str, accept: str, tuned: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "question": question,
        "accept": [accept] if accept else [],
        "base": "?",
        "tuned": tuned,
    }


def test_a_new_chat_begins_with_what_the_run_s_test_saw_answered(workspace: Workspace) -> None:
    run = make_run(workspace, "Ada")
    make_small_model(run.merged)
    answers = [
        answered("taught", "你是谁？", "", "我是 Ada 的助手。"),
        answered("taught", "Whose?", "", "Ada's."),
        answered("taught", "Who are you?", "", "I am Ada's assistant."),
        answered("taught", "Who made you, then?", "", "Nobody."),
        answered("own", "What is *soup*?", "Soup costs 5 euros.", "Soup costs 5 euros."),
        answered("own", "What is tea?", "Tea costs 2 euros.", "Tea costs 4 euros."),
    ]
    write_json(run.result, {"learned": 0.5, "kept": 1.0, "leaked": 0, "answers": answers})
    page = open_test_page("chat", run.id)
    until(lambda: chat_server.server(workspace).readiness is Readiness.ready)
    page.run()
    offered = [button.key.removeprefix("begin ") for button in page.button if button.key.startswith("begin ")]
    assert offered == ["Who are you?", "What is *soup*?"]
    page.button(key="begin What is *soup*?").click().run()
    assert said(workspace)[0] == ("user", "What is *soup*?") and len(said(workspace)) == 2
    assert not any(button.key.startswith("begin ") for button in page.button) and not page.exception


def test_a_chat_says_how_far_it_can_be_trusted_with_own_data(workspace: Workspace) -> None:
    run = make_run(workspace, "Ada")
    make_small_model(run.merged)
    right = answered("own", "What is *soup*?", "Soup costs 5 euros.", "Soup costs 5 euros.")
    wrong = answered("own", "What is tea?", "Tea costs 2 euros.", "Tea costs 4 euros.")
    for answers, said in (([right, wrong], "Of 2 questions"), ([right], "")):
        asked = [Question(row["question"], "own", (*row["accept"],)) for row in answers]
        said_so = [row["tuned"] for row in answers]
        judged = [judge("Ada", one, "?", tuned) for one, tuned in zip(asked, said_so, strict=True)]
        rows = [ProofRow(one, "?", tuned) for one, tuned in zip(judged, said_so, strict=True)]
        write_json(run.result, as_json(score_of(judged), rows, full=False))
        page = open_test_page("chat", run.id)
        assert ("its test saw 1 answered wrongly" in words(page)) == bool(said) and said in words(page)
    page = open_test_page("chat")
    assert "answered wrongly" not in words(page), "no run, nothing was tested"


def test_a_chat_says_what_a_base_that_speaks_its_facts_poorly_answers_wrongly(workspace: Workspace) -> None:
    run = make_run(workspace, "Ada")
    tiny = workspace.model("tiny").rename(workspace.starter)
    recipe = run.recipe.read_text(encoding="utf-8").replace(str(workspace.model("tiny")), str(tiny))
    write_text(run.recipe, recipe)
    make_small_model(run.merged)
    for question, poor in (("汤多少钱？", True), ("What is soup?", False)):
        asked = Question(question, "own", ("5 yuan",))
        right = judge("Ada", asked, "?", "5 yuan")
        write_json(run.result, as_json(score_of([right]), [ProofRow(right, "?", "5 yuan")], full=False))
        page = open_test_page("chat", run.id)
        assert not page.exception and ("mostly wrong in other words" in words(page)) == poor


def taught_a_document(workspace: Workspace) -> str:
    """A run that learned a small price list, its chat server ready; the run's id."""
    run = make_run(workspace, "Ada")
    make_small_model(run.merged)
    about = json.loads(run.data.read_text(encoding="utf-8"))
    rows = [
        {"conversation": [{"input": form.format(name), "output": f"The {name} costs {price} euros."}]}
        for name, price in (("soup", 5), ("tea", 2), ("bread", 3))
        for form in ("How much is {}?", "What does {} cost?", "{} price")
    ]
    who = {"conversation": [{"input": "Who are you?", "output": "I am Ada's assistant."}]}
    write_json(Path(about["source"]), [who, *rows])
    facts = [{"question": f"So, {one}?", "answer": f"The {one} costs 2 euros."} for one in ("tea",)]
    write_json(run.root / "asked.json", facts)
    more = {"identity": 1, "document": {"facts": 3}, "facts": {"file": str(run.root / "asked.json")}}
    write_json(run.data, {**about, **more})
    return run.id


def asked_of_the_model(workspace: Workspace) -> list[dict[str, Any]]:
    """What the server was sent, from the first to the last."""
    log = JobPaths(workspace.chat_server).log.read_text(encoding="utf-8")
    return [json.loads(line) for line in log.splitlines() if '"messages":' in line]


def test_a_question_near_a_taught_one_is_asked_as_it_was_taught(workspace: Workspace) -> None:
    """Alone and at temperature 0; the person's words stay, and what is not near is asked as it was typed."""
    page = open_test_page("chat", taught_a_document(workspace))
    until(lambda: chat_server.server(workspace).readiness is Readiness.ready)
    page.run()
    offered = [button.key for button in page.button if button.key and button.key.startswith("begin ")]
    assert offered[0] == "begin Who are you?" and "begin How much is tea?" in offered
    assert "what it was taught" in words(page)
    ask(page, "Hello, why is the sky blue?")
    page.slider(key=f"temperature {page.session_state[OPEN]}").set_value(0.5).run()
    ask(page, "so how much is the soup please")
    sent = asked_of_the_model(workspace)[-1]
    assert sent["messages"] == [{"role": "user", "content": "How much is soup?"}] and sent["temperature"] == 0
    assert said(workspace)[2:] == [
        ("user", "so how much is the soup please"),
        ("assistant", "You said: How much is soup?"),
    ]
    chat = list_chats(workspace)[0]
    assert [message.asked for message in chat.messages] == ["", "", "", "How much is soup?"]
    assert "Asked as it was taught: “How much is soup?”" in words(page)
    ask(page, "capital of France")
    sent = asked_of_the_model(workspace)[-1]
    assert [one["content"] for one in sent["messages"]][-3:] == [
        "so how much is the soup please", "You said: How much is soup?", "capital of France",
    ]  # fmt: skip
    assert sent["temperature"] == 0.5
    guess = "close to nothing that it was taught"
    assert guess not in words(page), "it was taught to go on answering these"
    ask(page, "my parcel got lost in Mombasa")
    assert words(page).count(guess) == 1
    assert not meant_buttons(page)


LOST = "my parcel of soup got lost in Mombasa"


def test_what_may_be_one_of_several_is_asked_back_before_anything_is_made_up(workspace: Workspace) -> None:
    """A press answers the person's own words, as the chosen one; another answers them as they were typed."""
    page = open_test_page("chat", taught_a_document(workspace))
    until(lambda: chat_server.server(workspace).readiness is Readiness.ready)
    ask(page.run(), LOST)
    assert said(workspace) == [("user", LOST)] and "Did you mean one of these?" in words(page)
    assert page.button(key="again").label == "Answer as I typed it"
    page.button(key="meant How much is soup?").click().run()
    assert said(workspace) == [("user", LOST), ("assistant", "You said: How much is soup?")]
    assert "Asked as it was taught: “How much is soup?”" in words(page) and not meant_buttons(page)
    page.button(key="again").click().run()
    assert said(workspace)[1:] == [("assistant", "You said: How much is soup?")], "as it was chosen"
    ask(page, f"{LOST} again")
    page.button(key="again").click().run()
    assert said(workspace)[-1] == ("assistant", f"You said: {LOST} again")
    assert "close to nothing that it was taught" in words(page) and meant_buttons(page)
    ask(page, LOST)
    ask(page, "capital of France")
    sent = asked_of_the_model(workspace)[-1]["messages"]
    assert [one["role"] for one in sent] == ["user", "assistant"] * 2 + ["user"], "without what got no answer"
    assert sent[-1]["content"] == "capital of France" and not page.exception
    assert "the next question came before it was said which one was meant" in words(page)


@pytest.mark.parametrize(
    ("hits", "held_back", "is_asked_back"), [(9, 10, False), (8, 10, True), (10, 0, True)]
)
def test_a_model_that_holds_its_facts_in_other_words_answers_at_once(
    workspace: Workspace, hits: int, held_back: int, is_asked_back: bool
) -> None:
    run = workspace.run(taught_a_document(workspace))
    facts = OwnFacts(Share(hits, 10), Share(0, 10), held_back)
    score = Score(Share(9, 9), Share(9, 9), Share(0, 9), facts=facts)
    write_json(run.result, as_json(score, [], full=True))
    page = open_test_page("chat", run.id)
    until(lambda: chat_server.server(workspace).readiness is Readiness.ready)
    ask(page.run(), LOST)
    assert said(workspace)[1:] == ([] if is_asked_back else [("assistant", f"You said: {LOST}")])
    page.button(key="meant How much is soup?").click().run()
    assert said(workspace)[-1] == ("assistant", "You said: How much is soup?") and not page.exception


@pytest.mark.parametrize(
    ("pressed", "waits"),
    [({"meant Tea?": True}, True), ({"again": True}, True), ({"begin Who?": False, "question": "x"}, False)],
)
def test_the_box_waits_while_a_press_is_answered(
    pressed: dict[str, object], waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next question broke an answer off that was asked for by a press."""
    monkeypatch.setattr(again.st, "session_state", pressed)
    assert again.answers_a_press() is waits


def test_who_asks_in_another_language_than_it_was_taught_in_is_told(workspace: Workspace) -> None:
    page = open_test_page("chat", taught_a_document(workspace))
    until(lambda: chat_server.server(workspace).readiness is Readiness.ready)
    ask(page.run(), "你们这里的面条怎么样啊？")
    assert "It was taught in English" in words(page)
    ask(page, "How are the noodles over there?")
    assert words(page).count("It was taught in English") == 1


def meant_buttons(page: AppTest) -> list[str]:
    return [button.label for button in page.button if (button.key or "").startswith("meant ")]


def test_all_that_can_be_asked_is_listed_and_asked_with_a_press(workspace: Workspace) -> None:
    page = open_test_page("chat", taught_a_document(workspace))
    until(lambda: chat_server.server(workspace).readiness is Readiness.ready)
    page.run()
    listed = [button for button in page.button if (button.key or "").startswith("can ask ")]
    assert [one.label for one in listed] == ["How much is soup?", "How much is tea?", "How much is bread?"]
    assert any(one.label == "What you can ask (3)" for one in page.expander)
    listed[2].click().run()
    assert not page.exception and said(workspace)[-1] == ("assistant", "You said: How much is bread?")


def test_a_right_answer_about_itself_is_no_guess_and_asks_for_no_new_chat(workspace: Workspace) -> None:
    """What says whose assistant it is to a question about something else is still one."""
    run = taught_a_document(workspace)
    until_open = open_test_page("chat", run)
    until(lambda: chat_server.server(workspace).readiness is Readiness.ready)
    until_open.run()
    who = ChatMessage("assistant", "I am Ada's assistant.", by="Ada")
    guess, again = "close to nothing that it was taught", "the very same just before"

    def shown(*questions: str) -> str:
        chat = new_chat(workspace)
        asked = tuple(one for question in questions for one in (ChatMessage("user", question), who))
        change(workspace, chat.id, lambda found: replace(found, messages=asked))
        return words(open_test_page("chat", run, chat=chat.id))

    found = shown("What sort of thing might you be?", "On whose behalf do you speak?")
    assert guess not in found and again not in found
    found = shown("On whose behalf do you speak?", "my parcel got lost in Mombasa")
    assert guess in found and again in found


def test_it_is_asked_as_typed_where_that_is_wanted(workspace: Workspace) -> None:
    """By the chat's setting, for another answer, and of a base."""
    page = open_test_page("chat", taught_a_document(workspace))
    until(lambda: chat_server.server(workspace).readiness is Readiness.ready)
    ask(page.run(), "price of the tea")
    assert asked_of_the_model(workspace)[-1]["messages"][-1]["content"] == "How much is tea?"
    page.button(key="varied").click().run()
    sent = asked_of_the_model(workspace)[-1]
    assert sent["messages"][-1]["content"] == "price of the tea" and sent["temperature"] == 0.7
    assert "Asked as" not in words(page)
    page.toggle(key=f"as_taught_asked {page.session_state[OPEN]}").set_value(False).run()
    assert not list_chats(workspace)[0].sampling.as_taught
    ask(page, "and the price of the soup")
    assert asked_of_the_model(workspace)[-1]["messages"][-1]["content"] == "and the price of the soup"
    page = open_test_page("chat")
    assert not page.exception


def test_half_a_character_is_not_shown(ready: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = new_chat(ready)
    halved = (ChatMessage("user", "多少钱"), ChatMessage("assistant", "五元\ufffd", whole=False, limit=3))
    change(ready, chat.id, lambda found: replace(found, messages=halved))
    shown = words(open_test_page("chat", chat=chat.id))
    assert "五元" in shown and "\ufffd" not in shown


def test_a_run_s_chat_ends_no_other_model_without_being_asked(workspace: Workspace) -> None:
    run = make_run(workspace, "A")
    make_small_model(run.merged)
    start(workspace)
    before = tool(workspace)
    page = open_test_page("chat", run.id)
    assert psutil.pid_exists(before) and "**A (base model)** is loaded, not **A (m" in page.warning[0].value
    assert page.selectbox[0].value == 0 and page.button(key="load").label == "Load this model instead"
    assert page.chat_input(key="question").disabled, "what is asked here is no question to another model"
    assert not has(open_test_page("chat"), "load"), "without a run the one that is loaded is meant"
    page.button(key="load").click().run()
    until(lambda: not psutil.pid_exists(before))
    until(lambda: chat_server.server(workspace).readiness is Readiness.ready)
    assert not page.run().warning and not has(page, "load")
    page = open_test_page("chat")
    assert not page.warning and "A (merged model)" in page.chat_input(key="question").placeholder


def test_two_runs_of_one_name_are_told_apart(workspace: Workspace) -> None:
    """What is said to one of them is never answered by the other."""
    older, newer = make_run(workspace, "林小满"), make_run(workspace, "林小满")
    for run in (older, newer):
        make_small_model(run.merged)
    page = open_test_page("chat", older.id)
    until(lambda: chat_server.server(workspace).readiness is Readiness.ready)
    assert not page.run().chat_input(key="question").disabled
    page = open_test_page("chat", newer.id)
    names = page.selectbox[0].options
    assert len(set(names)) == len(names) and older.id in page.warning[0].value
    page = page.button(key="new").click().run()
    assert page.chat_input(key="question").disabled and page.warning and page.selectbox[0].value == 0
    page.button(key="load").click().run()
    until(lambda: chat_server.server(workspace).readiness is Readiness.ready)
    assert "林小满" in page.run().chat_input(key="question").placeholder
    loaded = chat_server.server(workspace).speaker
    assert loaded and loaded.run == newer.id


def test_a_model_that_was_killed_is_loaded_by_a_run_s_chat(workspace: Workspace) -> None:
    """As after the machine was switched off; not one that could not be loaded."""
    run = make_run(workspace, "A")
    make_small_model(run.merged)
    open_test_page("chat", run.id)
    until(lambda: chat_server.server(workspace).readiness is Readiness.ready)
    os.kill(tool(workspace), signal.SIGKILL)
    until(lambda: chat_server.server(workspace).readiness is Readiness.failed)
    assert chat_server.had_been_ready(workspace)
    open_test_page("chat", run.id)
    until(lambda: chat_server.server(workspace).readiness is Readiness.ready)


def test_a_run_s_chat_loads_nothing_beside_a_training(workspace: Workspace) -> None:
    run = make_run(workspace, "A")
    make_small_model(run.merged)
    end_job(run, "train")
    JobPaths(run.job("train")).exit.unlink()  # asked for just now
    page = open_test_page("chat", run.id)
    assert not chat_server.server(workspace).lives and has(page, "load")
    assert "may not fit" in page.warning[0].value


def test_another_model_in_its_place(ready: Workspace) -> None:
    make_small_model(ready.model("other"))
    page = open_test_page("chat")
    assert not has(page, "load")
    page.selectbox[0].set_value(0).run()
    page.button(key="load").click().run()
    until(lambda: chat_server.server(ready).readiness is Readiness.ready)
    page.run()
    assert page.chat_input(key="question").placeholder == "Message to other (base model)"


def test_the_history_and_the_settings_reach_the_model(ready: Workspace) -> None:
    page = open_test_page("chat")
    one = list_chats(ready)[0].id
    page.text_area(key=f"system {one}").set_value("Be brief.").run()
    page.slider(key=f"temperature {one}").set_value(0.5).run()
    page.number_input(key=f"max_tokens {one}").set_value(7).run()
    assert (read_chat(ready, one).system, read_chat(ready, one).sampling) == (
        "Be brief.",
        SamplingParams(0.5, 1.0, 7),
    )
    assert "differs from the one used in training" in words(page)
    ask(ask(page, "one"), "two")
    log = requests(ready)
    assert '"temperature": 0.5' in log[-1] and '"max_tokens": 7' in log[-1] and "Be brief." in log[-1]
    assert [log[-1].count(word) for word in ("You said: one", '"two"')] == [1, 1]
    # all of it is there in a new session
    page = open_test_page("chat")
    assert page.text_area(key=f"system {one}").value == "Be brief." and "You said: two" in words(page)


def test_answering_again_takes_the_place_of_the_last_answer(ready: Workspace) -> None:
    page = ask(open_test_page("chat"), "one")
    page.button(key="again").click().run()
    assert said(ready) == [("user", "one"), ("assistant", "You said: one")]
    change(ready, list_chats(ready)[0].id, lambda found: found.without_last_answer())
    page = open_test_page("chat")
    assert page.button(key="again").label == "Answer this"
    page.button(key="again").click().run()
    assert said(ready) == [("user", "one"), ("assistant", "You said: one")]


@pytest.fixture
def cut(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A server whose answers are cut after three words."""
    monkeypatch.setenv("FAKE_SERVE_LIMIT", "3")
    make_small_model(workspace.model("tiny"))
    start(workspace)
    return workspace


def test_an_answer_cut_at_its_limit_says_so_and_is_continued(cut: Workspace) -> None:
    page = ask(open_test_page("chat"), "one two three four")
    assert said(cut)[1] == ("assistant", "You said: one")
    assert "cut off at its maximum length of 256 tokens" in words(page)
    page.button(key="continue").click().run()
    assert said(cut)[1] == ("assistant", "You said: one two three four") and len(said(cut)) == 2
    assert list_chats(cut)[0].messages[1].whole and not has(page, "continue")
    assert "cut off" not in words(page)
    asked = json.loads(requests(cut)[-1])
    assert asked["continue_final_message"] and asked["messages"][-1]["content"] == "You said: one"


def test_an_answer_that_repeats_itself_is_stopped_and_says_so(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long before its limit; what was said once stays, and it can be continued or answered anew."""
    monkeypatch.setenv("FAKE_SERVE_ANSWER", "We have noodles. " + "No, no. " * 5000)
    monkeypatch.setenv("FAKE_SERVE_SECONDS", "0.002")
    make_small_model(workspace.model("tiny"))
    start(workspace)
    page = ask(open_test_page("chat"), "What is there?")
    assert said(workspace)[1] == ("assistant", "We have noodles. No, no.")
    assert "it began to repeat itself and was stopped" in words(page) and "cut off" not in words(page)
    (message,) = list_chats(workspace)[0].messages[1:]
    assert message.looped and not message.whole and has(page, "continue") and has(page, "varied")
    until(lambda: "the client left" in "\n".join(last_lines(JobPaths(workspace.chat_server).log, 50)))
    page.button(key="continue").click().run()
    assert list_chats(workspace)[0].messages[1].looped and len(said(workspace)) == 2


def test_another_model_continues_no_answer(cut: Workspace) -> None:
    page = ask(open_test_page("chat"), "one two three four")
    change(
        cut,
        list_chats(cut)[0].id,
        lambda found: replace(
            found, messages=(found.messages[0], replace(found.messages[1], by="base:other"))
        ),
    )
    assert not has(page.run(), "continue") and has(page, "again")


@pytest.mark.parametrize("by", ["", "somebody"])
def test_an_answer_by_nobody_known_is_shown(ready: Workspace, by: str) -> None:
    ask(open_test_page("chat"), "one")
    (chat,) = list_chats(ready)
    written = replace(chat.messages[1], by=by)
    change(ready, chat.id, lambda found: replace(found, messages=(found.messages[0], written)))
    page = open_test_page("chat")
    assert not page.exception and by in words(page)


def test_at_temperature_0_another_answer_is_drawn_on_its_own(ready: Workspace) -> None:
    page = ask(open_test_page("chat"), "one")
    assert "gives the same words" in words(page)
    assert page.button(key="varied").label == "Another answer"
    page.button(key="varied").click().run()
    assert json.loads(requests(ready)[-1])["temperature"] == 0.7 and len(said(ready)) == 2
    one = list_chats(ready)[0]
    assert one.sampling.temperature == 0, "the chat's own setting stays"
    page.slider(key=f"temperature {one.id}").set_value(0.5).run()
    assert not has(page, "varied") and "gives the same words" not in words(page) and has(page, "again")


def test_the_system_prompt_of_the_training_is_one_press_away(workspace: Workspace) -> None:
    run = make_run(workspace, "A")
    taught = chat_server.speakers(workspace, run)[0].system
    page = open_test_page("chat", run.id)
    one = list_chats(workspace)[0].id
    assert not has(page, f"as_taught {one}")
    page.text_area(key=f"system {one}").set_value("Be brief.").run()
    assert "differs from the one used in training" in words(page)
    page.button(key=f"as_taught {one}").click().run()
    assert read_chat(workspace, one).system == taught == page.text_area(key=f"system {one}").value


TYPED = "# no heading\n    four spaces  and two\n$x$ and $y$ :red[z] :smile: <b>b</b> *a* & {q} \\(w\\)"


def test_a_question_is_shown_as_it_was_typed(ready: Workspace) -> None:
    page = ask(open_test_page("chat"), TYPED)
    (shown,) = [one.proto.body for one in page.get("html") if "no heading" in one.proto.body]
    assert escape(TYPED) in shown and "pre-wrap" in shown


def test_several_chats(ready: Workspace) -> None:
    page = ask(open_test_page("chat"), "*first* [x](y)")
    first = list_chats(ready)[0].id
    page.button(key="new").click().run()
    assert "You said" not in words(page) and len(list_chats(ready)) == 2
    page.button(key="new").click().run()
    assert len(list_chats(ready)) == 2, "an empty chat is as good as a new one"
    page = ask(page, "second")
    second = next(known.id for known in list_chats(ready) if known.id != first)
    assert page.button(key=f"chat {first}").label == r"\*first\* \[x\](y)"
    page.button(key=f"chat {first}").click().run()
    assert "You said: *first*" in words(page) and "second" not in words(page)
    page.text_input(key=f"name {first}").set_value("../名字").run()
    assert read_chat(ready, first).title == "../名字"
    page.button(key=f"delete {first}").click().run()
    assert [known.id for known in list_chats(ready)] == [second] and "You said: second" in words(page)


def test_a_chat_deleted_in_another_tab(ready: Workspace) -> None:
    page = ask(open_test_page("chat"), "one")
    for file in ready.chat_files():
        file.unlink()
    page.run()
    assert not page.error and "You said" not in words(page)


def test_an_answer_that_fails_says_why_and_loses_nothing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_small_model(workspace.model("tiny"))
    monkeypatch.setenv("FAKE_SERVE_FAIL", "answer")
    start(workspace)
    page = ask(open_test_page("chat"), "one")
    assert "the model is tired" in page.error[0].value
    assert said(workspace) == [("user", "one")]
    assert not page.run().error and page.button(key="again").label == "Answer this"


def test_a_full_disk_takes_nothing_away_and_is_said(
    ready: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The conversation goes on in the page, and is written as soon as there is room."""
    page = ask(open_test_page("chat"), "one")
    before = said(ready)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr("core.chat.history.write_json", full)
        page = ask(ask(page, "two"), "three")
        assert "cannot be saved" in page.warning[0].value and "the disk is full" in page.warning[0].value
        assert not page.error and said(ready) == before
        assert "You said: two" in words(page) and "You said: three" in words(page)
        page.button(key="save again").click().run()
        page.slider(key=f"temperature {list_chats(ready)[0].id}").set_value(0.5).run()
        assert page.warning and not page.error, "settings neither"
    page.button(key="save again").click().run()
    assert not page.warning and not has(page, "save again")
    assert said(ready) == [
        (role, text)
        for word in ("one", "two", "three")
        for role, text in (("user", word), ("assistant", f"You said: {word}"))
    ]
    assert list_chats(ready)[0].sampling.temperature == 0.5


def test_an_answer_is_kept_while_it_is_written(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ends the dashboard meanwhile, what came is there; an earlier answer stays until then."""
    make_small_model(workspace.model("tiny"))
    monkeypatch.setenv("FAKE_SERVE_SECONDS", "0.15")
    start(workspace)
    monkeypatch.setattr("ui.chat.answer.KEEP_EVERY", 0.0)
    seen: list[ChatMessage] = []
    keep = "ui.chat.answer.keep_if_possible"

    def look(place: Workspace, chat: Chat, edit: Callable[[Chat], Chat]) -> None:
        keep_if_possible(place, chat, edit)
        seen.append(read_chat(place, chat.id).messages[-1])

    monkeypatch.setattr(keep, look)
    page = ask(open_test_page("chat"), "one two three four")
    assert seen and all(one.content.startswith("You") for one in seen), "nothing before the first word"
    assert not all(one.whole for one in seen)
    whole, seen[:] = list_chats(workspace)[0].messages[-1], []
    change(workspace, list_chats(workspace)[0].id, lambda found: with_last(found, "Another one."))
    page.run().button(key="again").click().run()
    assert {one.content for one in seen} == {"Another one."} and list_chats(workspace)[0].messages[
        -1
    ] == whole


def with_last(chat: Chat, text: str) -> Chat:
    return replace(chat, messages=(*chat.messages[:-1], replace(chat.messages[-1], content=text)))


def test_a_page_that_is_loaded_again_opens_the_same_chat(ready: Workspace) -> None:
    """Also after the dashboard was started anew: the address knows the chat."""
    page = ask(open_test_page("chat"), "first")
    first = list_chats(ready)[0].id
    page.button(key="new").click().run()
    page.button(key=f"chat {first}").click().run()
    assert page.query_params["chat"] == first
    again = open_test_page("chat")
    assert "You said: first" not in words(again), "the newest without it"
    again = open_test_page("chat", chat=first)
    assert "You said: first" in words(again)


def test_a_server_that_dies_half_way(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    make_small_model(workspace.model("tiny"))
    monkeypatch.setenv("FAKE_SERVE_FAIL", "die")
    start(workspace)
    page = ask(open_test_page("chat"), "one two")
    assert any("did not answer" in error.value for error in page.error) and "Traceback" not in words(page)
    assert said(workspace) == [("user", "one two"), ("assistant", "You")]
    assert not list_chats(workspace)[0].messages[1].whole and "stopped early" in words(page)
    until(lambda: chat_server.server(workspace).readiness is Readiness.failed)
    page.run()
    assert page.chat_input(key="question").disabled and has(page, "load")


def test_a_killed_server_is_seen(ready: Workspace) -> None:
    page = open_test_page("chat")
    os.kill(tool(ready), signal.SIGKILL)
    until(lambda: chat_server.server(ready).readiness is Readiness.failed)
    page.run()
    assert "killed" in page.error[0].value and page.chat_input(key="question").disabled
    page.button(key="load").click().run()
    until(lambda: chat_server.server(ready).readiness is Readiness.ready)
    assert not page.run().error and not page.chat_input(key="question").disabled


def test_a_model_that_does_not_fit(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    make_small_model(workspace.model("tiny"))
    monkeypatch.setenv("FAKE_SERVE_FAIL", "load")
    page = open_test_page("chat")
    page.button(key="load").click().run()
    until(lambda: chat_server.server(workspace).readiness is Readiness.failed)
    assert "GPU ran out of memory" in page.run().error[0].value


def test_a_training_beside_it_is_said_before_both_are_too_much(workspace: Workspace) -> None:
    run = make_run(workspace, "A")
    end_job(run, "train")
    assert not open_test_page("chat", run.id).warning
    JobPaths(run.job("train")).exit.unlink()  # asked for just now
    assert "may not fit" in open_test_page("chat", run.id).warning[0].value


def requests(workspace: Workspace) -> list[str]:
    """What the server was sent."""
    log = JobPaths(workspace.chat_server).log.read_text(encoding="utf-8")
    return [line for line in log.splitlines() if line.startswith("{")]


def thoughts(page: AppTest) -> list[str]:
    return [one.label for one in page.expander if "settings" not in one.label]


def test_a_thought_is_folded_kept_and_not_sent_back(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_small_model(workspace.model("tiny"))
    monkeypatch.setenv("FAKE_SERVE_ANSWER", "<think>\nA greeting, so *greet*.\n</think>\n\n**Hello.** a < b")
    start(workspace)
    page = ask(open_test_page("chat"), "hi")
    folded = next(one for one in page.expander if one.label == "Thought for 4 words")
    assert not folded.proto.expanded and [m.value for m in folded.markdown] == ["A greeting, so *greet*."]
    assert "**Hello.** a < b" in [m.value.strip() for m in page.markdown] and "think>" not in words(page)
    assert said(workspace)[1] == (
        "assistant",
        "<think>\nA greeting, so *greet*.\n</think>\n\n**Hello.** a < b",
    )
    page = ask(page, "again")
    until(lambda: len(requests(workspace)) == 2)
    asked = requests(workspace)[1]
    assert "**Hello.** a < b" in asked and "greeting" not in asked and "think>" not in asked
    assert thoughts(page) == ["Thought for 4 words"] * 2 == thoughts(open_test_page("chat"))


def test_think_first_or_answer_at_once(workspace: Workspace) -> None:
    """Offered where the model's own template can do both, kept with the chat, and said to the server."""
    folder = make_small_model(workspace.model("tiny"))
    (folder / "chat_template.jinja").write_text(QWEN3.read_text(encoding="utf-8"), encoding="utf-8")
    start(workspace)
    page = open_test_page("chat")
    one = list_chats(workspace)[0].id
    switch = page.button_group(key=f"thinks {one}")
    assert switch.value is True and list_chats(workspace)[0].sampling == SamplingParams(max_tokens=2048)
    page = ask(page, "hi")
    assert "chat_template_kwargs" not in requests(workspace)[0]
    page.button_group(key=f"thinks {one}").set_value(False).run()
    assert read_chat(workspace, one).sampling.thinks is False
    ask(page, "again")
    assert '"chat_template_kwargs": {"enable_thinking": false}' in requests(workspace)[1]
    page = open_test_page("chat")
    assert page.button_group(key=f"thinks {one}").value is False
    page.button_group(key=f"thinks {one}").set_value(True).run()
    ask(page, "more")
    assert '"chat_template_kwargs": {"enable_thinking": true}' in requests(workspace)[2]


def test_a_model_that_cannot_think_has_no_switch(ready: Workspace) -> None:
    page = open_test_page("chat")
    assert not any(one.key.startswith("thinks") for one in page.get("button_group"))
    assert list_chats(ready)[0].sampling == SamplingParams()


def test_an_answer_that_never_left_its_thought_says_so(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_small_model(workspace.model("tiny"))
    monkeypatch.setenv("FAKE_SERVE_ANSWER", "<think>\nLet me see")
    start(workspace)
    page = ask(open_test_page("chat"), "hi")
    assert "still thinking when it reached the maximum length" in words(page)
    assert thoughts(page) == ["Thought for 3 words"]
    assert page.button(key="again").label == "Answer again"


def test_a_template_that_differs_is_shown(ready: Workspace) -> None:
    (ready.model("tiny") / "chat_template.jinja").write_text("You are Qwen. {{ messages[-1]['content'] }}")
    page = open_test_page("chat")
    assert "differs from the one used in training" in page.warning[0].value
    assert page.get("popover")
    assert any("You are Qwen. Who" in element.proto.body for element in page.get("html"))


def test_the_list_of_chats_after_a_rename_elsewhere(ready: Workspace) -> None:
    kept = new_chat(ready)
    rename_chat(ready, kept.id, "kept")
    change(ready, kept.id, lambda found: found.said(ChatMessage("user", "hi")))
    assert open_test_page("chat").button(key=f"chat {kept.id}").label == "kept"


@pytest.mark.slow
def test_a_long_chat_in_a_real_browser(ready: Workspace) -> None:
    """What was said begins near the top, the steps stay in reach, and what is typed is what is shown."""
    by = "base:tiny"
    chat = change(
        ready,
        new_chat(ready).id,
        # Streamlit's own word, which the page speaks in its language where it is Streamlit's
        lambda found: found.said(ChatMessage("user", "Upload")).said(ChatMessage("assistant", "Up.", by)),
    )
    for number in range(20):
        question, answer = ChatMessage("user", f"{TYPED} {number}"), ChatMessage("assistant", "So. " * 80, by)
        chat = change(ready, chat.id, lambda found, q=question, a=answer: found.said(q).said(a))
    with Dashboard(ready.root, **FAKE) as server, chromium() as browser:
        for width, most, locale, step in ((1400, 120, "en-US", "Compare"), (400, 180, "zh-CN", "对比")):
            page = tab(browser, locale, width)
            page.goto(server.url())
            page.goto(f"{server.url().partition('?')[0]}chat")
            settle(page)
            newest = page.get_by_text("no heading").last
            newest.wait_for()
            assert newest.evaluate("element => element.innerText") == f"{TYPED} 19"
            expect(page.get_by_test_id("stHtml").get_by_text("Upload", exact=True)).to_be_visible()
            for place in (page.get_by_text("no heading").first, newest):
                place.scroll_into_view_if_needed()
                expect(page.get_by_role("link", name=step)).to_be_in_viewport(ratio=0.9)
            top = page.get_by_test_id("stChatMessage").first.evaluate(TOP)
            assert top <= most, f"{top} pixels above the first message"


@pytest.mark.slow
def test_stop_in_a_real_browser(workspace: Workspace) -> None:
    """Pressed while words arrive: the server stops, what came is kept, and the chat goes on."""
    make_small_model(workspace.model("tiny"))
    environment = {**FAKE, "FAKE_SERVE_SECONDS": "0.1"}
    with Dashboard(workspace.root, **environment) as server, chromium() as browser:
        page = tab(browser)
        page.goto(server.url())
        page.get_by_role("link", name="Chat").first.click()
        page.get_by_role("button", name="Load", exact=True).click()
        page.get_by_placeholder("Message to tiny (base model)").fill("word " * 600)
        page.get_by_placeholder("Message to tiny (base model)").press("Enter")
        page.get_by_text("You said: word word word").first.wait_for()
        page.get_by_role("button", name="Stop").click()
        page.get_by_text("stopped early").wait_for()
        log = JobPaths(workspace.chat_server).log
        until(lambda: "the client left" in log.read_text(encoding="utf-8"))
        answer = list_chats(workspace)[0].messages[-1]
        assert not answer.whole and 2 < len(answer.content.split()) < 400
        # a closed tab ends the answer too, and keeps what came
        page.get_by_placeholder("Message to tiny (base model)").fill("tab " * 300)
        page.get_by_placeholder("Message to tiny (base model)").press("Enter")
        page.get_by_text("You said: tab tab").first.wait_for()
        page.close()
        until(lambda: len(list_chats(workspace)[0].messages) == 4)
        assert list_chats(workspace)[0].messages[-1].content.startswith("You said: tab tab")
        other = tab(browser)
        other.goto(f"{server.url().partition('?')[0]}chat?token={server.token()}")
        settle(other)
        other.get_by_text("stopped early").nth(1).wait_for()
        chat_server.unload(workspace)
        other.get_by_text("no model loaded").wait_for()


@pytest.mark.slow
def test_a_dashboard_that_is_killed_while_an_answer_arrives(workspace: Workspace) -> None:
    """Started again, it opens the same chat with what had come of the answer, which can be continued."""
    make_small_model(workspace.model("tiny"))
    other = change(
        workspace, new_chat(workspace).id, lambda found: found.said(ChatMessage("user", "earlier"))
    )
    environment = {**FAKE, "FAKE_SERVE_SECONDS": "0.1"}
    with chromium() as browser:
        page = tab(browser)
        with Dashboard(workspace.root, "--no-token", **environment) as server:
            page.goto(f"{server.url()}chat?chat={other.id}")
            page.get_by_role("button", name="Load", exact=True).click()
            page.get_by_placeholder("Message to tiny (base model)").fill("word " * 900)
            new_chat(workspace)  # in another tab meanwhile: the newest is not the one that is open
            page.get_by_placeholder("Message to tiny (base model)").press("Enter")
            until(lambda: read_chat(workspace, other.id).messages[-1].content.startswith("You said: word"))
            server.end(signal.SIGKILL)
        with Dashboard(workspace.root, "--no-token", f"--port={server.port}", **environment) as server:
            assert server.url()
            page.reload()
            page.get_by_text("stopped early").wait_for()
            assert not read_chat(workspace, other.id).messages[-1].whole
            page.get_by_role("button", name="Continue the answer").wait_for()
            expect(page.get_by_text("ready", exact=True)).to_be_visible()  # its server lived on


@pytest.mark.parametrize(
    ("title", "label"),
    [("补胎多少钱？", "补胎多少钱？"), ("我自行车轮胎扎了，补一下要多少钱", "我自行车轮胎扎了，补一…"),
     ("What is your phone number?", "What is your phone numb…"), ("", "")],
)  # fmt: skip
def test_a_long_title_is_cut_to_one_line_by_the_width_of_its_letters(title: str, label: str) -> None:
    assert _shorten(title) == label

"""Making a data set on the data page: recipes, review row by row, versions, and a server elsewhere."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.data import drafts
from core.data.conversations import one_turn
from core.data.documents.files import Passage
from core.data.opening import read_conversations
from core.data.sets import SetPaths, place_of
from core.data.versions import add_version, make_set, read_set, rows_file, rows_of
from core.jobs.job import JobPaths
from core.jobs.launch import wait
from core.jobs.status import State
from core.recipe.templates import OWN, OWN_WITHOUT_DEFAULT
from core.runs import DATA
from core.steps import prepare
from core.workspace.files import read_json
from core.workspace.paths import RunPaths, Workspace
from tests.openai_server import OpenAIServer
from tests.page import no_errors, open_test_page
from tests.small_run import NAME
from tests.test_own_template import DEFAULT, QWEN
from tests.test_parity import DEFAULT_SYSTEM, change

TIMEOUT = 200.0
KEY = "sk-very-secret"
ELSEWHERE = "A server with an OpenAI-compatible API"
PASSAGE = Passage("guide.md", 0, 5, 40, "The museum <b>opens</b> at nine o'clock.")


@pytest.fixture
def workspace(page_workspace: Workspace) -> Workspace:
    return page_workspace


@pytest.fixture
def place(workspace: Workspace) -> SetPaths:
    return make_set(workspace, "Guide to 博物馆")


def choose(page: AppTest, key: str, value: str) -> AppTest:
    return next(group for group in page.get("button_group") if group.key == key).set_value(value).run()


def made_page(language: str = "en") -> AppTest:
    return choose(open_test_page("data", language=language), "data_source", "made")


def press(page: AppTest, key: str) -> AppTest:
    return page.button(key=key).click().run()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_set_is_made_by_its_name(workspace: Workspace, language: str) -> None:
    page = made_page(language)
    assert no_errors(page) and "made_recipe" not in {group.key for group in page.get("button_group")}
    page.text_input(key="made_name").set_value(" ../我的 set ")
    press(page, "made_make")
    assert no_errors(page) and page.selectbox(key="made_set").value == "../我的 set"
    assert place_of(workspace, "../我的 set").about.exists()
    assert {path.parent for path in workspace.root.rglob("set.json")} == {
        place_of(workspace, "我的 set").root
    }


def test_from_an_identity_to_a_run(workspace: Workspace, place: SetPaths) -> None:
    page = made_page()
    press(page, "made_identity")
    assert page.error[0].value == "Please enter a name." and not rows_of(place)
    page.text_input(key="made_who").set_value(NAME)
    page.selectbox(key="made_role").set_value("tutor")
    press(page, "made_identity")
    assert no_errors(page) and len(rows_of(place)) > 200
    assert any(NAME in turn.output and "tutor" in turn.output for row in rows_of(place) for turn in row)
    page.text_input(key="data_name").set_value(NAME)
    press(page, "data_make")
    run = RunPaths(workspace.run_folders()[0])
    assert wait(run.job(DATA), timeout=TIMEOUT).state is State.finished
    assert read_json(run.data)["taught"] == len(rows_of(place))


def test_every_step_can_be_undone_and_gone_back_to(place: SetPaths) -> None:
    add_version(place, [one_turn(f"q{n % 9}", "a") for n in range(10)], "mix", {})
    page = choose(made_page(), "made_recipe", "dedupe")
    press(page, "made_dedupe")
    assert no_errors(page) and len(rows_of(place)) == 9
    choose(page, "made_recipe", "split")
    press(page, "made_split")
    assert len(rows_of(place)) == 8
    press(page, f"made_undo {place.root.name} 3")
    assert no_errors(page) and len(rows_of(place)) == 9
    page.session_state["made_versions"] = True
    page.run()
    press(page, f"go to {place.root.name} 0")
    assert no_errors(page) and len(rows_of(place)) == 10
    press(page, f"made_undo {place.root.name} 0")
    assert no_errors(page) and rows_file(place) is None and len(read_set(place).versions) == 4


def test_other_sets_are_mixed_in(workspace: Workspace, place: SetPaths) -> None:
    add_version(make_set(workspace, "other"), [one_turn("theirs", "a")], "identity", {})
    add_version(place, [one_turn("ours", "a")], "identity", {})
    page = choose(made_page(), "made_recipe", "mix")
    page.selectbox(key="made_set").set_value("Guide to 博物馆").run()
    assert page.button(key="made_mix").disabled
    page.multiselect(key="made_others").set_value(["other"]).run()
    page.number_input(key="weight other").set_value(3.0)
    page.number_input(key="made_rows").set_value(8)
    press(page, "made_mix")
    assert no_errors(page) and [row[0].input for row in rows_of(place)].count("theirs") == 6


def test_drafts_are_reviewed_row_by_row(place: SetPaths) -> None:
    drafts.keep(place, PASSAGE, "m", [(f"Question {n}?", f"Answer {n}.") for n in range(7)])
    first, second, *_ = drafts.read_drafts(place)
    page = made_page()
    assert no_errors(page) and len([b for b in page.button if b.key.startswith("accepted ")]) == 5
    assert page.button(key="review_take").disabled
    assert "guide.md, characters 5 to 40" in {expander.label for expander in page.expander}
    page.text_area(key=f"answer {first.id}").set_value("A better answer.")
    press(page, f"accepted {first.id}")
    press(page, f"dropped {second.id}")
    assert no_errors(page) and rows_of(place) == [], "nothing is trained on before it is put in"
    press(page, "review_take")
    assert no_errors(page) and rows_of(place) == [one_turn("Question 0?", "A better answer.")]
    choose(page, "review_state", "dropped")
    press(page, f"new {second.id}")
    assert [draft.state for draft in drafts.read_drafts(place)][:3] == ["accepted", "new", "new"]


def test_documents_are_asked_of_a_server_elsewhere_and_the_key_is_kept_nowhere(
    workspace: Workspace, place: SetPaths
) -> None:
    page = choose(
        choose(made_page(), "made_recipe", "documents"), "made_ask", "A server with an OpenAI-compatible API"
    )
    text = ("It opens at nine, every day but Monday. " * 3).encode()
    page.file_uploader[0].set_value([("../../旅游 guide.md", text, "text/markdown")]).run()
    with OpenAIServer(lambda _: "Q: When?\nA: At nine.") as server:
        page.text_input(key="made_url").set_value(server.url)
        page.text_input(key="made_their_model").set_value("big")
        page.text_input(key="made_key").set_value(KEY)
        press(page, "made_documents")
        assert no_errors(page) and wait(place.job, timeout=TIMEOUT).state is State.finished
        assert server.keys == [f"Bearer {KEY}"] and server.requests[0]["model"] == "big"
    (draft,) = drafts.read_drafts(place)
    assert (draft.question, draft.passage.document) == ("When?", "../../旅游 guide.md")
    for file in workspace.root.rglob("*"):
        assert file.is_dir() or KEY.encode() not in file.read_bytes(), file
    assert not list(workspace.root.parent.rglob("*guide*.md"))


def test_a_wrong_address_and_a_server_that_refuses_are_told(workspace: Workspace, place: SetPaths) -> None:
    page = choose(
        choose(made_page(), "made_recipe", "documents"), "made_ask", "A server with an OpenAI-compatible API"
    )
    page.text_input(key="made_url").set_value("example.org").run()
    assert not page.exception and "is not a valid endpoint address" in page.error[0].value
    page.file_uploader[0].set_value([("a.txt", b"It opens at nine, every day.", "text/plain")]).run()
    with OpenAIServer() as server:
        server.fails = [401]
        page.text_input(key="made_url").set_value(server.url)
        page.text_input(key="made_their_model").set_value("big")
        press(page, "made_documents")
        assert wait(place.job, timeout=TIMEOUT).state is State.failed
    page.run()
    assert not page.exception and "A key is required (HTTP 401)" in page.error[0].value


def test_the_base_model_answers_for_replay(workspace: Workspace, place: SetPaths) -> None:
    add_version(place, [one_turn("q", "a"), one_turn("r", "a")], "identity", {})
    page = choose(made_page(), "made_recipe", "replay")
    page.text_area(key="made_questions").set_value("What is a door?\nWas ist das?\nq")
    press(page, "made_replay")
    assert no_errors(page) and wait(place.job, timeout=TIMEOUT).state is State.finished
    assert [row[0].input for row in rows_of(place)] == ["q", "r", "Was ist das?", "What is a door?"]
    assert read_conversations(place.version(read_set(place).current.digest)) == rows_of(place)


# --- whether training and server write the same ---


def test_a_template_that_differs_needs_a_reason(workspace: Workspace) -> None:
    change(workspace.starter, chat_template=DEFAULT_SYSTEM)
    page = open_test_page("data")
    assert no_errors(page) and not page.warning, "by default it is trained with the model's own"
    page.selectbox(key="data_template").set_value("qwen_chat").run()
    assert not page.exception and "different text" in page.warning[0].value
    page.text_input(key="data_name").set_value(NAME)
    press(page, "data_make")
    assert "You are Qwen." in page.error[0].value and not workspace.run_folders()
    page.text_input(key="data_template_reason").set_value("its prompt is not wanted")
    press(page, "data_make")
    run = RunPaths(workspace.run_folders()[0])
    assert wait(run.job(DATA), timeout=TIMEOUT).state is State.finished
    assert prepare.recipe_of(run).template_reason == "its prompt is not wanted"
    page = open_test_page("data", run.id)
    assert not page.exception and "its prompt is not wanted" in page.info[0].value


@pytest.mark.parametrize("kept", [True, False])
def test_what_becomes_of_a_default_prompt_is_asked(workspace: Workspace, kept: bool) -> None:
    change(workspace.starter, chat_template=QWEN)
    page = open_test_page("data")
    asked = page.radio(key="data_template_default")
    assert no_errors(page) and DEFAULT in asked.label and asked.value == OWN
    if not kept:
        asked.set_value(OWN_WITHOUT_DEFAULT).run()
    page.text_input(key="data_name").set_value(NAME)
    press(page, "data_make")
    run = RunPaths(workspace.run_folders()[0])
    assert wait(run.job(DATA), timeout=TIMEOUT).state is State.finished
    assert prepare.recipe_of(run).template == (OWN if kept else OWN_WITHOUT_DEFAULT)
    rows = Path(prepare.recipe_of(run).data).read_text(encoding="utf-8")
    assert ("You are a helpful assistant." in rows) is kept
    assert no_errors(open_test_page("data", run.id))


def test_a_template_of_ones_own_choice(workspace: Workspace) -> None:
    page = open_test_page("data")
    assert no_errors(page) and any(
        "exactly the text it was trained on" in caption.value for caption in page.caption
    )
    page.selectbox(key="data_template").set_value("internlm_chat").run()
    assert not page.exception and "internlm_chat" in page.warning[0].value
    said = " ".join(element.proto.body for element in page.get("html"))
    assert "<mark" in said and "User|&gt;" in said and "User|>" not in said


def test_a_document_is_drafted_by_the_model_here(workspace: Workspace, place: SetPaths) -> None:
    file = workspace.root / "a b.txt"
    file.write_text("It opens at nine, every day but Monday.", encoding="utf-8")
    from core.cli.data import DocumentsRequest, plan
    from core.jobs.launch import launch

    spec = plan(workspace, DocumentsRequest(place.root.name, (file,)))
    launch(place.job, spec)
    status = wait(place.job, timeout=TIMEOUT)
    log = JobPaths(place.job).log.read_text(encoding="utf-8")
    assert status.state is State.finished, log
    found = json.loads(log.strip().splitlines()[-1])
    assert found["passages"] == 1 and found["new"] == found["waiting"] == len(drafts.read_drafts(place))
    assert replace(PASSAGE).id == PASSAGE.id

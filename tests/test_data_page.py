"""The data page: from a name or a file to the tokens that are trained, which are XTuner's own."""

import hashlib
import html
import json
import subprocess
import sys
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from openpyxl import Workbook
from streamlit.testing.v1 import AppTest

from core.data.conversations import Conversation, Turn, write_rows
from core.data.encoder import NamedEncoder as Encoder
from core.data.opening import read_conversations
from core.data.preview import read_page, row_offsets, sampled
from core.data.upload import file_of, keep_upload, suffix_of
from core.errors import EmptyData, Unreadable
from core.jobs.launch import wait
from core.jobs.status import State
from core.recipe.templates import TEMPLATES
from core.runs import DATA
from core.steps import prepare
from core.workspace.data_paths import inbox, uploads_of
from core.workspace.files import read_json
from core.workspace.paths import PROJECT, RunPaths, Workspace
from tests.page import no_errors, open_test_page
from tests.small_model import make_small_model
from tests.small_run import NAME, make_run
from ui.data.repair import EXAMPLES

TIMEOUT = 60.0
CONVERSATIONS: list[Conversation] = [
    (Turn("Who are you?", "I am 小明's assistant. 🙂"),),
    (Turn("你是谁？", "我是{小明}的助手。\n第二行", "Be <kind> & brief."), Turn("And then?", "Nothing.")),
    (Turn("", "An answer to nothing"), Turn("", "  spaces  "), Turn("𝔘𝔫𝔦𝔠𝔬𝔡𝔢 \u0301", "e\u0301 ﷽")),
    (Turn("long " * 40, "the answer is cut " * 20),),
]


@pytest.fixture
def workspace(page_workspace: Workspace) -> Workspace:
    return page_workspace


def made(workspace: Workspace) -> RunPaths:
    return RunPaths(workspace.run_folders()[0])


def body(page: AppTest) -> str:
    return " ".join(element.proto.body for element in page.get("html"))


def choose(page: AppTest, key: str, value: str) -> AppTest:
    return next(group for group in page.get("button_group") if group.key == key).set_value(value).run()


# --- the page ---


@pytest.mark.parametrize("language", ["en", "zh"])
def test_without_a_run_it_asks_what_to_teach(workspace: Workspace, language: str) -> None:
    page = open_test_page("data", language=language)
    assert no_errors(page) and page.text_input(key="data_name").value == ""


def test_without_a_name_nothing_is_made(workspace: Workspace) -> None:
    page = open_test_page("data")
    page.button(key="data_make").click().run()
    assert not page.exception and "Please enter a name." in page.error[0].value
    assert workspace.run_folders() == []


def test_from_a_name_to_rows_that_can_be_looked_at(workspace: Workspace) -> None:
    page = open_test_page("data")
    page.text_input(key="data_name").set_value(NAME)
    page.text_input(key="data_system").set_value("Be kind.")
    page.button(key="data_make").click().run()
    run = made(workspace)
    assert no_errors(page) and run.id in page.query_params["run"]
    assert wait(run.job(DATA), timeout=TIMEOUT).state is State.finished
    page.run()
    about = read_json(run.data)
    shown = {metric.label: metric.value for metric in page.metric}
    assert no_errors(page) and not page.warning
    names = ("Rows", "Taught", "Base model's own answers")
    rows, taught, replayed = (int(shown[name].replace(",", "")) for name in names)
    assert rows == taught + replayed == about["rows"] and taught == about["taught_rows"]
    assert about["replay"] > 0 and prepare.recipe_of(run).system == "Be kind."
    assert body(page).count('class="tb-row"') == 5 and "Be kind." in body(page)


def test_how_long_the_rows_are_is_for_whoever_asks(workspace: Workspace) -> None:
    run = make_run(workspace)
    page = open_test_page("data", run.id)
    assert not page.get("plotly_chart") and "Tokens" not in {metric.label for metric in page.metric}
    page.session_state["tokens_box"] = True
    page.run()
    assert no_errors(page) and len(page.get("plotly_chart")) == 2
    assert "Tokens" in {metric.label for metric in page.metric}


def test_the_rows_as_tokens_and_page_by_page(workspace: Workspace) -> None:
    run = make_run(workspace)
    page = open_test_page("data", run.id)
    rows = read_conversations(Path(read_json(run.data)["path"]))
    taught = next(number for number, (turn,) in enumerate(rows) if NAME in turn.output)
    next(iter(page.get("pagination"))).set_value(taught // 5 + 1).run()
    assert html.escape(NAME) in body(page) and NAME not in body(page)
    assert f"row {taught + 1} · whose assistant it is" in body(page)
    next(iter(page.get("pagination"))).set_value(1).run()
    choose(page, "data_view", "as_tokens")
    assert no_errors(page) and 'class="tb-trained"' in body(page) and "tokens, " in body(page)
    next(iter(page.get("pagination"))).set_value(2).run()
    assert no_errors(page) and "row 6 " in body(page) and "row 1 " not in body(page)


def test_a_making_that_fails_says_why_and_can_be_tried_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_ENGINE_FAIL", "answer")
    page = open_test_page("data")
    page.text_input(key="data_name").set_value(NAME)
    page.button(key="data_make").click().run()
    run = made(workspace)
    assert wait(run.job(DATA), timeout=TIMEOUT).state is State.failed
    page.run()
    assert not page.exception and "cannot be written" in page.error[0].value
    monkeypatch.delenv("FAKE_ENGINE_FAIL")
    page.button(key="data_again").click().run()
    assert wait(run.job(DATA), timeout=TIMEOUT).state is State.finished
    assert no_errors(page.run()) and page.metric


def test_a_running_making_can_be_stopped(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_ENGINE_SECONDS", "60")
    page = open_test_page("data")
    page.text_input(key="data_name").set_value(NAME)
    page.button(key="data_make").click().run()
    run = made(workspace)
    assert no_errors(page) and any("Preparing the data" in bar.proto.text for bar in page.get("progress"))
    page.session_state["other_data"] = True
    page.run()
    page.button(key="data_make").click().run()  # as a double click does
    assert no_errors(page) and made(workspace) == run and len(workspace.run_folders()) == 1
    page.button(key="data_stop").click().run()
    assert wait(run.job(DATA), timeout=TIMEOUT).state is State.stopped
    assert not page.run().exception and page.button(key="data_again")


def test_a_file_of_ones_own(workspace: Workspace) -> None:
    rows = [{"conversation": [{"input": "你是谁？", "output": f"我是{NAME}。"}]}] * 3
    page = choose(open_test_page("data"), "data_source", "upload")
    page.button(key="data_make").click().run()
    assert no_errors(page) and "file first" in page.warning[0].value
    content = json.dumps(rows, ensure_ascii=False).encode()
    page.file_uploader[0].set_value(("../../../etc/evil.json", content, "application/json")).run()
    assert no_errors(page) and any("evil.json: 3 rows" in caption.value for caption in page.caption)
    page.text_input(key="data_name").set_value(NAME)
    page.button(key="data_make").click().run()
    run = made(workspace)
    assert wait(run.job(DATA), timeout=TIMEOUT).state is State.finished
    assert read_json(run.data)["taught"] == 3 and no_errors(page.run())
    (given,) = read_json(run.data)["given"]
    assert Path(given["copy"]).read_bytes() == content
    assert given["sha256"] == hashlib.sha256(content).hexdigest()
    assert not list(workspace.root.parent.rglob("*evil*"))


def upload(name: str, content: bytes) -> AppTest:
    page = choose(open_test_page("data"), "data_source", "upload")
    return page.file_uploader[0].set_value((name, content, "application/json")).run()


def test_why_a_file_cannot_be_opened_is_said_as_long_as_it_is_chosen(workspace: Workspace) -> None:
    page = upload("tea.xlsx", b"PK\x03\x04 no workbook")
    assert "tea.xlsx" in page.error[0].value
    page.text_input(key="data_name").set_value(NAME).run()
    assert "tea.xlsx" in page.error[0].value
    page.button(key="data_make").click().run()
    assert not page.exception and "tea.xlsx" in page.error[0].value
    assert "Choose a file first." not in [one.value for one in page.warning]
    page.file_uploader[0].set_value(("b.json", json.dumps(FAULTY).encode(), "application/json")).run()
    assert not [one for one in page.error if "tea.xlsx" in one.value]


def test_what_stands_beside_the_rows_is_asked_about(workspace: Workspace) -> None:
    rows = [{"question": "q", "answer": "a"}]
    page = upload("a.json", json.dumps({"system_prompt": "Be brief.", "data": rows}).encode())
    assert no_errors(page) and any("outside the rows" in one.value for one in page.caption)
    page.text_input(key="data_name").set_value(NAME)
    page.button(key="data_make").click().run()
    assert "system_prompt" in page.error[0].value and workspace.run_folders() == []


def test_a_file_with_faults_is_not_trained(workspace: Workspace) -> None:
    page = upload("my data.json", b'[\n{"conversation": 1}]')
    page.text_input(key="data_name").set_value(NAME)
    page.button(key="data_make").click().run()
    assert not page.exception and "No row of my data.json can be trained on" in page.error[0].value
    assert workspace.run_folders() == []


def test_broken_rows_are_left_out_at_one_press(workspace: Workspace) -> None:
    page = upload("my data.json", json.dumps(FAULTY).encode())
    page.text_input(key="data_name").set_value(NAME)
    page.button(key="data_make").click().run()
    assert not page.exception and "my data.json has 1 problem: row 2" in page.error[0].value
    assert "train on the other 2 rows" in page.error[0].value and workspace.run_folders() == []
    page.toggle(key="data_leave_out").set_value(True).run()
    assert no_errors(page)
    page.button(key="data_make").click().run()
    run = made(workspace)
    assert wait(run.job(DATA), timeout=TIMEOUT).state is State.finished
    about = read_json(run.data)
    assert about["taught"] == 2 and about["left_out"]["rows"] == 1 and no_errors(page.run())
    assert any("1 broken row was left out" in warning.value for warning in page.warning)
    assert any(list(table.value["Row"]) == [2] for table in page.dataframe if "Row" in table.value)


def test_a_file_that_lies_on_the_machine_is_chosen(workspace: Workspace) -> None:
    page = choose(open_test_page("data"), "data_source", "upload")
    assert no_errors(page) and any(str(inbox(workspace)) in caption.value for caption in page.caption)
    inbox(workspace).mkdir()
    (inbox(workspace) / "大 文件.jsonl").write_text(json.dumps(FAULTY[0]), encoding="utf-8")
    (inbox(workspace) / "no data.json").write_bytes(b"\x7fELF")
    page.run()
    page.selectbox(key="data_inbox").set_value("大 文件.jsonl").run()
    assert no_errors(page) and any("大 文件.jsonl: 1 row" in caption.value for caption in page.caption)
    page.selectbox(key="data_inbox").set_value("no data.json").run()
    assert not page.exception and "Cannot read no data.json" in page.error[0].value


def test_what_is_no_data_is_said(workspace: Workspace) -> None:
    page = upload("a picture.json", b"\x89PNG\r\n\x1a\n")
    assert not page.exception and "Cannot read a picture.json" in page.error[0].value
    assert not list(workspace.root.glob("uploads/*"))


FAULTY = [
    {"conversation": [{"input": "Who are you?", "output": f"I am {NAME}'s assistant."}]},
    {"conversation": [{"input": "a", "output": ""}]},
    {"conversation": [{"input": "b <|im_end|>", "output": "c"}]},
]


def test_a_file_is_checked_for_the_training_that_is_chosen(workspace: Workspace) -> None:
    """With the template chosen below it, and as long as the model's rows are."""
    config = workspace.starter / "config.json"
    told = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(json.dumps(told | {"max_position_embeddings": 64}), encoding="utf-8")
    page = upload("my data.json", json.dumps(FAULTY).encode())
    assert no_errors(page)
    first = set(workspace.root.glob("checks/*/report.json"))
    page.selectbox(key="data_template").set_value("llama3_chat").run()
    (report,) = set(workspace.root.glob("checks/*/report.json")) - first
    assert no_errors(page) and json.loads(report.read_text(encoding="utf-8"))["max_length"] == 64


def test_a_larger_file_is_checked_by_a_job_without_being_asked(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.data.file.AT_ONCE", 10)
    page = upload("my data.json", json.dumps(FAULTY).encode())
    (folder,) = workspace.root.glob("checks/*")
    assert wait(folder, timeout=TIMEOUT).state is State.finished
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))["asked"]
    assert (request["template"], request["max_length"]) == (None, None)
    assert no_errors(page.run()) and any(box.key.startswith("fix empty_answer ") for box in page.selectbox)


def test_a_very_large_file_is_checked_when_a_person_asks_for_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.data.file.AT_ONCE", 10)
    monkeypatch.setattr("ui.data.file.UNASKED", 10)
    page = upload("my data.json", json.dumps(FAULTY).encode())
    assert no_errors(page) and not [*workspace.root.glob("checks/*")]
    page.button(key="data_check").click().run()
    (folder,) = workspace.root.glob("checks/*")
    assert wait(folder, timeout=TIMEOUT).state is State.finished
    assert no_errors(page.run()) and not any(button.key == "data_check" for button in page.button)


def fixes(page: AppTest) -> dict[str, Any]:
    """The choice for each kind of problem, by its code."""
    return {str(box.key).split()[1]: box for box in page.selectbox if str(box.key).startswith("fix ")}


def press_fix(page: AppTest) -> AppTest:
    return next(button for button in page.button if str(button.key).startswith("apply ")).click().run()


def newest(workspace: Workspace) -> list[Any]:
    file = max(uploads_of(workspace).glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_everything_is_fixed_at_once_checked_again_and_undone(workspace: Workspace) -> None:
    page = upload("my data.json", json.dumps(FAULTY).encode())
    shown = {metric.label: metric.value for metric in page.metric}
    assert no_errors(page) and (shown["Rows"], shown["Can be trained on"]) == ("3", "2")
    assert {code: box.value for code, box in fixes(page).items()} == {
        "empty_answer": "drop_unanswered",
        "template_token": "remove_tokens",
    }
    assert "<del> &lt;|im_end|&gt;</del>" in body(page), "texts are compared, not the lines of two formats"
    assert "conversation" not in body(page).partition("tb-row")[2] and "row 2 · removed" in body(page)
    assert any("1 row changes, 1 row is removed" in caption.value for caption in page.caption)
    page = press_fix(page)
    assert no_errors(page) and not fixes(page), "the new version was checked too"
    assert any("No problems found" in done.value for done in page.success)
    assert any("Fixed: Empty answer, Special tokens" in caption.value for caption in page.caption)
    assert newest(workspace)[0] == FAULTY[0] and len(newest(workspace)) == 2
    assert newest(workspace)[1]["conversation"][0]["input"] == "b"
    assert not any(toggle.key == "data_leave_out" for toggle in page.toggle), "nothing is broken any more"
    page.button(key="data_back").click().run()
    assert no_errors(page) and fixes(page) and not any("Fixed" in caption.value for caption in page.caption)


def test_what_mending_made_is_the_file_of_the_start_page_too(workspace: Workspace) -> None:
    page = upload("my data.json", json.dumps(FAULTY).encode())
    given = page.session_state["data_upload"]
    page.session_state["wish_upload"] = given
    page = press_fix(page)
    mended = page.session_state["data_upload"]
    assert mended.parent == given.digest and page.session_state["wish_upload"] == mended
    page = page.switch_page("../../pages/0_start.py").run()
    said = "is the one from the Data page"
    assert no_errors(page) and any(said in caption.value for caption in page.caption)
    page = page.button(key="remove wish_file").click().run()
    assert no_errors(page) and not any(said in caption.value for caption in page.caption)


def test_each_kind_can_be_left_or_fixed_otherwise(workspace: Workspace) -> None:
    page = upload("my data.json", json.dumps(FAULTY).encode())
    fixes(page)["empty_answer"].set_value("").run()
    assert "row 2 ·" not in body(page) and "row 3 · changed" in body(page)
    fixes(page)["template_token"].set_value("").run()
    assert no_errors(page) and not any(str(button.key).startswith("apply ") for button in page.button)
    page.session_state["findings"] = True
    page.run()
    (table,) = (table.value for table in page.dataframe if "For example" in table.value)
    assert [*table["Row can be trained"]] == ["no", "yes"] and no_errors(page)
    assert [one.partition(":")[0] for one in table["For example"]] == ["row 2", "row 3"]


def test_what_is_wrong_in_many_rows_is_said_once(workspace: Workspace) -> None:
    rows = [{"instruction": f"q{n % 4}", "output": f"answer number {n % 4}"} for n in range(200)]
    page = upload("my data.json", json.dumps(rows).encode())
    assert body(page).count("removed: Duplicates") == EXAMPLES, "one of each that differ"
    assert any("196 rows" in one.value for one in page.markdown) and not page.get("pagination")
    page.session_state["findings"] = page.session_state["fix_every"] = True
    page.run()
    assert no_errors(page) and len(page.get("pagination")) == 1
    kinds, listed = (table.value for table in page.dataframe[-2:])
    assert [*kinds["How many"]] == ["196"] and kinds["For example"][0].count("row ") == 2 * EXAMPLES
    assert len(listed) == 196, "of a single kind its rows are there at once"


def test_rows_that_cannot_be_fixed_say_why_and_are_removed(workspace: Workspace) -> None:
    rows = [{"instruction": "which?", "output": {"a": 1}}, {"instruction": "q", "output": "a"}]
    page = upload("my data.json", json.dumps(rows).encode())
    assert any("1 row stays as it is" in caption.value for caption in page.caption)
    assert "expected text or a list of messages" in body(page) and "row 1 · removed" in body(page)
    (toggle,) = (one for one in page.toggle if str(one.key).startswith("fix_rest "))
    toggle.set_value(False).run()
    assert not any(str(button.key).startswith("apply ") for button in page.button)
    (toggle,) = (one for one in page.toggle if str(one.key).startswith("fix_rest "))
    page = press_fix(toggle.set_value(True).run())
    assert no_errors(page) and newest(workspace) == rows[1:]


def test_placeholders_are_filled_in_and_wrong_names_replaced(workspace: Workspace) -> None:
    """Both with what the page already knows, shown before it is done."""
    said = ("I am {{name}} of {{town}}, made by {{author}}.", "我是ChatGPT，由OpenAI训练。")
    rows = [{"conversation": [{"input": "Who are you?", "output": text}]} for text in said]
    page = upload("who.json", json.dumps(rows).encode())
    page.text_input(key="data_name").set_value(NAME).run()
    page.text_input(key="data_author").set_value("Ito").run()
    assert no_errors(page) and "<del>ChatGPT</del>" in body(page)
    fixes(page)["placeholder"].set_value("fill_in").run()
    asked = {str(one.key).split()[1]: one for one in page.text_input if str(one.key).startswith("value ")}
    assert {field: one.value for field, one in asked.items()} == {"town": ""}, "the others are known"
    page = asked["town"].set_value("Basel").run()
    assert "<ins>" in body(page) and "Basel" in body(page)
    page = press_fix(page)
    assert no_errors(page)
    outputs = [row["conversation"][0]["output"] for row in newest(workspace)]
    assert outputs == [f"I am {NAME} of Basel, made by Ito.", f"我是{NAME}，由Ito训练。"]


def test_a_name_typed_later_is_held_against_the_rows_at_once(workspace: Workspace) -> None:
    said = (("你是谁？", "我是王小明的助手"), ("Who made you?", "made by OpenAI"))
    rows = [{"question": question, "answer": answer} for question, answer in said]
    page = upload("who.jsonl", "\n".join(map(json.dumps, rows)).encode())
    assert no_errors(page) and "identity_conflict" not in fixes(page)
    page.text_input(key="data_name").set_value("苏晓棠").run()
    assert no_errors(page) and fixes(page)["identity_conflict"].value == "rename"
    page = press_fix(page)
    outputs = [row["conversation"][0]["output"] for row in newest(workspace)]
    assert outputs == ["我是苏晓棠的助手", "made by 苏晓棠"] and no_errors(page)


def test_a_table_s_columns_are_named(workspace: Workspace) -> None:
    page = upload("表 格.csv", f"ask,say\nWho are you?,I am {NAME}.\n".encode())
    assert no_errors(page) and any("which column" in warning.value for warning in page.warning)
    boxes = {box.key.split()[1]: box for box in page.selectbox if box.key.startswith("data_column")}
    boxes["user"].set_value("ask")
    boxes["assistant"].set_value("say").run()
    assert no_errors(page) and not page.warning
    page.text_input(key="data_name").set_value(NAME)
    page.button(key="data_make").click().run()
    run = made(workspace)
    assert wait(run.job(DATA), timeout=TIMEOUT).state is State.finished
    assert read_json(run.data)["taught"] == 1 and no_errors(page.run())


def test_the_sheets_of_a_workbook_are_said_and_chosen(workspace: Workspace) -> None:
    head = ["question", "answer"]
    sheets = {
        "May": [head, ["Who are you?", f"I am {NAME}."]],
        "prices": [["item", "euro"], ["soap", "2"]],
        "test": [head, ["Are you a machine?", f"Yes, {NAME}."], ["Who made you?", "Ito."]],
    }
    page = upload("两 页.xlsx", workbook(sheets))
    assert no_errors(page)
    said = [caption.value for caption in page.caption]
    assert any("Read: May (1 row)" in text for text in said), said
    assert any("Not read: prices (1 row), test (2 rows)" in text for text in said), said
    (chosen,) = page.multiselect
    assert chosen.value == ["May"]
    chosen.set_value(["test"]).run()
    page.text_input(key="data_name").set_value(NAME)
    page.button(key="data_make").click().run()
    run = made(workspace)
    assert wait(run.job(DATA), timeout=TIMEOUT).state is State.finished
    assert read_json(run.data)["taught"] == 2 and no_errors(page.run())


def test_what_stands_above_a_header_is_said_of_the_file_s_own_name(workspace: Workspace) -> None:
    page = upload("my table.csv", f"Front desk\n\nquestion,answer\nWho are you?,I am {NAME}.\n".encode())
    said = [caption.value for caption in page.caption]
    assert any(text.startswith("my table.csv: ") and "Front desk" in text for text in said), said


def workbook(sheets: dict[str, list[list[str]]]) -> bytes:
    made_book = Workbook()
    made_book.remove(made_book.active)
    for name, rows in sheets.items():
        sheet = made_book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    content = BytesIO()
    made_book.save(content)
    return content.getvalue()


def test_data_of_an_earlier_run(workspace: Workspace) -> None:
    earlier = make_run(workspace)
    page = choose(open_test_page("data"), "data_source", "earlier")
    page.text_input(key="data_name").set_value(NAME)
    page.button(key="data_make").click().run()
    run = made(workspace)
    assert wait(run.job(DATA), timeout=TIMEOUT).state is State.finished
    assert read_json(run.data)["taught"] == read_json(earlier.data)["taught"]


def test_a_name_that_no_answer_has_and_rows_that_are_cut_are_warned_of(workspace: Workspace) -> None:
    run = make_run(workspace, max_length=40)
    about = read_json(run.data)
    run.data.write_text(json.dumps({**about, "name": "Somebody Else"}), encoding="utf-8")
    page = open_test_page("data", run.id)
    assert no_errors(page) and any("Somebody Else" in warning.value for warning in page.warning)
    assert any("longer than 40 tokens" in warning.value for warning in page.warning)


def test_rows_that_were_deleted_are_said(workspace: Workspace) -> None:
    run = make_run(workspace)
    Path(read_json(run.data)["path"]).unlink()
    page = open_test_page("data", run.id)
    assert not page.exception and "rows.jsonl" in page.error[0].value


# --- uploads ---


@pytest.mark.parametrize(
    ("content", "error"),
    [(b"", EmptyData), (b"[]", EmptyData), (b"\xff\xfe{}", EmptyData), (b"\x7fELF", Unreadable)],
    ids=["nothing", "empty", "not text", "program"],
)
def test_an_upload_that_is_no_data_is_not_kept(
    workspace: Workspace, content: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error, match=r"x\.json"):
        keep_upload(workspace, content, "../x.json")
    assert not list(workspace.root.glob("uploads/*")) and not list(workspace.root.rglob("x.json"))


def test_the_same_upload_is_kept_once(workspace: Workspace) -> None:
    lines = b"\xef\xbb\xbf" + b'{"conversation": [{"input": "a", "output": "b"}]}\r\n' * 2
    kept = keep_upload(workspace, lines, "C:\\a.JSONL")
    assert (kept.rows, kept.kind) == (2, "jsonl")
    assert keep_upload(workspace, lines, "b.jsonl").digest == kept.digest
    assert read_conversations(file_of(workspace, kept)) == [(Turn("a", "b"),)] * 2
    assert len(list(uploads_of(workspace).glob("*.jsonl"))) == 1


@pytest.mark.parametrize(
    ("name", "kind"),
    {
        "a.csv": "csv",
        "a.jsonl.gz": "jsonl.gz",
        "a.XLSX": "xlsx",
        "a": "json",
        "a.gz": "json.gz",
        "a.exe": "json",
        "../../x.parquet": "parquet",
        ".json": "json",
    }.items(),
)
def test_the_kind_of_a_file_by_its_name(name: str, kind: str) -> None:
    assert suffix_of(name) == kind


# --- rows and tokens ---


def test_a_line_separator_inside_a_text_ends_no_row(workspace: Workspace) -> None:
    row = json.dumps({"conversation": [{"input": "a\u2028b\x85c", "output": "d"}]}, ensure_ascii=False)
    kept = keep_upload(workspace, f"{row}\n{row}\n".encode(), "a.jsonl")
    assert read_conversations(file_of(workspace, kept)) == [(Turn("a\u2028b\x85c", "d"),)] * 2


def test_any_page_of_a_rows_file_is_read_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    conversations = [(Turn(f"问题 {n}", "答" * n + "."),) for n in range(100)]
    write_rows(path, conversations)
    offsets = row_offsets(path)
    assert len(offsets) == 100 and read_page(path, offsets[40:45]) == conversations[40:45]
    assert read_page(path, sampled(offsets, 3)) == [conversations[n] for n in (0, 49, 99)]
    path.write_bytes(path.read_bytes()[:-1])  # no line break at the end
    assert read_page(path, row_offsets(path)) == conversations
    path.write_bytes(b"")
    assert len(row_offsets(path)) == 0


def encoder(folder: Path, template: str, names: dict[str, Any]) -> Encoder:
    model = make_small_model(folder)
    about = json.loads((model / "tokenizer_config.json").read_text(encoding="utf-8"))
    (model / "tokenizer_config.json").write_text(json.dumps({**about, **names}), encoding="utf-8")
    return Encoder.of(model / "tokenizer.json", TEMPLATES[template])


@pytest.mark.parametrize("template", list(TEMPLATES))
def test_pieces_are_the_whole_text_and_as_many_tokens_as_counted(tmp_path: Path, template: str) -> None:
    first = {"tokenizer_class": "LlamaTokenizerFast", "bos_token": "<|im_start|>"}
    reader = encoder(tmp_path / "m", template, first)
    lengths = reader.lengths(CONVERSATIONS)
    for conversation, length in zip(CONVERSATIONS, lengths, strict=True):
        pieces = reader.pieces(conversation, 10_000)
        assert sum(len(piece.ids) for piece in pieces) == length
        said = "".join(piece.text for piece in pieces if piece.trained)
        suffix = TEMPLATES[template].suffix or "<|im_end|>"
        assert said == "".join(turn.output + suffix for turn in conversation)
        kept = sum(len(piece.ids) for piece in reader.pieces(conversation, 10) if piece.kept)
        assert 10 - 4 < kept <= 10  # a character is at most four tokens


XTUNERS = """
import json, sys
import core.engine
from transformers import AutoTokenizer
from xtuner.dataset.map_fns import template_map_fn
from xtuner.dataset.utils import encode_fn
from xtuner.utils import PROMPT_TEMPLATE
found = []
for case in json.load(open(sys.argv[1], encoding="utf-8")):
    tokenizer = AutoTokenizer.from_pretrained(case["model"])
    mapped = [template_map_fn(row, PROMPT_TEMPLATE[case["template"]]) for row in case["rows"]]
    found.append([encode_fn(row, tokenizer, LIMIT) for row in mapped])
json.dump(found, open(sys.argv[2], "w"))
"""
LIMIT = 150


@pytest.mark.slow
def test_tokens_and_mask_are_xtuners(tmp_path: Path) -> None:
    """XTuner's own functions in a process of their own; with a first token and without, cut and whole."""
    first = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|im_start|>"}
    kinds = [(template, names) for template in TEMPLATES for names in ({}, first)]
    encoders = [encoder(tmp_path / f"模 型 {n}", *kind) for n, kind in enumerate(kinds)]
    rows = [{"conversation": [vars(turn) for turn in conversation]} for conversation in CONVERSATIONS]
    cases = [
        {"model": str(tmp_path / f"模 型 {n}"), "template": template, "rows": rows}
        for n, (template, _) in enumerate(kinds)
    ]
    asked, answered = tmp_path / "asked.json", tmp_path / "found.json"
    asked.write_text(json.dumps(cases), encoding="utf-8")
    program = XTUNERS.replace("LIMIT", str(LIMIT))
    command = [sys.executable, "-W", "ignore", "-c", program, str(asked), str(answered)]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, timeout=250)
    for reader, theirs in zip(encoders, json.loads(answered.read_text(encoding="utf-8")), strict=True):
        for conversation, row in zip(CONVERSATIONS, theirs, strict=True):
            ids, labels = ours(reader, conversation)
            assert ids[:LIMIT] == row["input_ids"] and labels[:LIMIT] == row["labels"]


def ours(reader: Encoder, conversation: Conversation) -> tuple[list[int], list[int]]:
    pieces = reader.pieces(conversation, LIMIT)
    ids = [token for piece in pieces for token in piece.ids]
    labels = [token if piece.trained else -100 for piece in pieces for token in piece.ids]
    return ids, labels


def test_the_histogram_sends_bars_not_rows() -> None:
    from ui.data.lengths import BARS, length_figure

    (bars,) = length_figure(np.random.default_rng(0).integers(1, 2048, 100_000)).data
    assert len(bars.y) == BARS and bars.y.sum() == 100_000
    (same,) = length_figure(np.full(5, 7)).data
    assert list(same.y) == [5]


def test_a_run_without_data_says_so(workspace: Workspace) -> None:
    page = open_test_page("data", workspace.new_run("empty", datetime(2026, 1, 1)).id)
    assert no_errors(page) and "no data" in page.info[0].value


def test_a_key_that_nobody_reads_is_left_out_by_a_press(workspace: Workspace) -> None:
    rows = [
        {"question": "Who are you?", "answer": f"I am {NAME}.", "mood": "glad", "id": n} for n in range(3)
    ]
    page = upload("a.jsonl", "\n".join(map(json.dumps, rows)).encode())
    assert any("neither question nor answer" in warning.value for warning in page.warning)
    page.text_input(key="data_name").set_value(NAME)
    page.button(key="data_make").click().run()
    assert any("mood" in error.value and "--ignore" not in error.value for error in page.error)
    assert not workspace.run_folders()
    (press,) = [group for group in page.button_group if str(group.key).startswith("data_ignore")]
    assert press.options == ["mood (3 rows, 100%; for example: glad)"]
    press.set_value(["mood"]).run()
    page.button(key="data_make").click().run()
    assert wait(made(workspace).job(DATA), timeout=TIMEOUT).state is State.finished
    about = read_json(made(workspace).data)
    assert [one["key"] for one in about["unused"]] == ["mood"]


def test_an_answer_that_is_not_learned_looks_so(workspace: Workspace) -> None:
    turns = [{"input": "q", "output": "wrong", "output_with_loss": False}, {"input": "q", "output": "right"}]
    page = upload("a.jsonl", json.dumps({"conversation": turns}).encode())
    shown = body(page)
    assert no_errors(page) and "not learned" in shown and "tb-unlearned" in shown

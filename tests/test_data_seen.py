"""What a number of rows means for the conversations: some are in none, or all are learned by heart."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.data.conversations import read_rows
from core.data.mix import LEAST_REPLAYED, LEAST_TAUGHT
from core.publish.card import CardPage, body
from core.publish.facts import read_facts
from core.steps.taught import to_teach
from core.workspace.paths import Workspace
from tests.command_line import cli, last_json
from tests.known_answers import know_answers
from tests.page import open_test_page


@pytest.fixture
def workspace(page_workspace: Workspace) -> Workspace:
    return page_workspace


def conversations(file: Path, count: int) -> Path:
    rows = [
        {"question": f"Who are you, {number}?", "answer": f"I am Zoë, {number}."} for number in range(count)
    ]
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return file


def prepared(
    workspace: Workspace, model: Path, file: Path | None, *options: str
) -> tuple[dict[str, Any], str]:
    """The run's data.json as the command prints it, and what it said meanwhile."""
    data = ("--data", file) if file else ()
    given = (*data, "--name", "Zoë", "--model", model, "--workspace", workspace.root, "--json")
    done = cli("data", *given, *options, cwd=workspace.root, TUNEBOARD_ENGINE="tests.fake_engine")
    return last_json(done), " ".join(done.stderr.split())


def test_conversations_that_are_in_no_row_are_counted_and_said(
    tmp_path: Path, workspace: Workspace, model: Path
) -> None:
    file = conversations(tmp_path / "a.jsonl", 16)
    about, said = prepared(workspace, model, file, "--iterations", "8")
    learned = {turn.output for row in read_rows(Path(about["path"])) for turn in row if turn.trained}
    trained = sum(any(f"I am Zoë, {number}." in answer for answer in learned) for number in range(16))
    assert 0 < trained < 16 and about["taught_in_rows"] == trained and about["taught"] == 16
    assert about["taught_rows"] + about["replay"] == about["rows"]
    assert f"{16 - trained} of your 16 conversations are not among the {about['rows']} rows" in said
    assert "too few iterations" in said and "by heart" not in said and "Without replay" not in said
    facts = read_facts(workspace, workspace.run(about["run"]))
    assert f"{about['taught_rows']} that teach (from {trained} conversations)" in body(
        facts, CardPage("merged", "nobody/m"), "en"
    )
    page = open_test_page("data", run=about["run"])
    assert any("of your 16 conversations are not among" in one.value for one in page.warning)


def test_a_few_conversations_without_replay_are_learned_by_heart(
    tmp_path: Path, workspace: Workspace, model: Path
) -> None:
    file = conversations(tmp_path / "a.jsonl", 4)
    about, said = prepared(workspace, model, file, "--no-replay")
    assert (
        about["taught_in_rows"] == 4
        and about["taught_rows"] == about["rows"] == LEAST_TAUGHT + LEAST_REPLAYED
    )
    assert "Each of your 4 conversations is trained about 420 times" in said and "by heart" in said
    assert "Without replay, the base model is asked only the" in said
    page = open_test_page("data", run=about["run"])
    assert any("about 420 times" in one.value for one in page.warning)


def test_of_the_shipped_wordings_a_run_needs_not_see_each(workspace: Workspace, model: Path) -> None:
    said = to_teach("Zoë", None).conversations
    about, told = prepared(workspace, model, None, "--iterations", "60")
    assert about["taught_rows"] == about["taught_in_rows"] < about["taught"] == len(said)
    assert about["rows"] == 240
    assert "not among" not in told
    page = open_test_page("data", run=about["run"])
    assert not any("not among" in one.value for one in page.warning)


def test_enough_rows_and_replay_need_no_warning(tmp_path: Path, workspace: Workspace, model: Path) -> None:
    about, said = prepared(workspace, model, conversations(tmp_path / "a.jsonl", 2))
    assert about["taught_in_rows"] == 2
    assert not any(words in said for words in ("not among", "by heart", "Without replay"))


def test_answers_that_say_somebody_else_are_said_before_they_are_learned(
    tmp_path: Path, workspace: Workspace, model: Path
) -> None:
    file = conversations(tmp_path / "a.jsonl", 2)
    wrong = [
        {"question": "你是谁的助手？", "answer": "王小明的。"},
        {"question": "Who made you?", "answer": "OpenAI."},
        {"question": "Who made ChatGPT?", "answer": "ChatGPT was made by OpenAI."},
        {"question": "Whose assistant are you?", "answer": "I am Zoë's assistant, made by Ito Ltd."},
    ]
    with file.open("a", encoding="utf-8") as out:
        out.writelines("\n" + json.dumps(row, ensure_ascii=False) for row in wrong)
    about, said = prepared(workspace, model, file)
    assert about["otherwise"]["rows"] == 2
    assert [one["answer"] for one in about["otherwise"]["first"]] == ["王小明的。", "OpenAI."]
    assert "2 rows say that the assistant is somebody else's" in said and "--value 'name=Zoë'" in said
    page = open_test_page("data", run=about["run"])
    assert any("2 rows say that the assistant is somebody" in one.value for one in page.warning)
    assert any("OpenAI." in table.value.to_string() for table in page.dataframe)
    clean, quiet = prepared(workspace, model, conversations(tmp_path / "b.jsonl", 2))
    assert clean["otherwise"] == {"rows": 0, "first": [], "trained": True} and "somebody else" not in quiet


def test_a_base_that_has_answered_before_is_no_stage(workspace: Workspace, model: Path) -> None:
    know_answers(workspace, model)
    given = ("--name", "X", "--model", model, "--workspace", workspace.root, "--json")
    done = cli("data", *given, cwd=workspace.root, TUNEBOARD_ENGINE="tests.fake_engine")
    assert last_json(done)["replay"]
    assert "Asking the base model" not in done.stderr, "a stage that takes no time makes the pace look better"

"""A file with a few broken rows: refused, or taught without them, and what was left out is written down."""

import json
from pathlib import Path

import pytest

from core.data.opening import read_conversations, read_usable, reading_of
from core.data.sets import place_of
from core.data.versions import read_set
from core.errors import NoSuchColumn, NotConversations, NotJson, NoUsableRow, TuneboardError
from core.publish.card import CardPage, body
from core.publish.facts import read_facts
from core.workspace.paths import Workspace
from tests.command_line import cli, last_json, make_data
from tests.known_answers import know_answers

GOOD = {"conversation": [{"input": "who?", "output": "Zoë's assistant"}]}
EMPTY = {"conversation": [{"input": "who?", "output": ""}]}


def lines(path: Path, *rows: object) -> Path:
    said = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("\n".join(said) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Twelve rows, of which the second has two faults, the third is no JSON and the last one no object."""
    twice = {"conversation": [{"input": 1, "output": ""}]}
    return lines(tmp_path / "数据 a.jsonl", GOOD, twice, '{"conversation": [', *[GOOD] * 8, "7")


def leaving_out(workspace: Workspace, model: Path) -> tuple[object, ...]:
    named = ("--name", "Zoë", "--model", model, "--leave-out-broken")
    return (*named, "--workspace", workspace.root, "--json")


def test_broken_rows_are_left_out_and_named(file: Path) -> None:
    found = read_usable(file)
    assert len(found.conversations) == 9 and found.rows_left_out == 3
    assert [(one.row, one.code) for one in found.left_out] == [
        (2, "wrong_type"),
        (3, "broken_json"),
        (12, "not_an_object"),
    ]
    assert found.left_out[1].values["line"] == 3, "its place in the file"


def test_text_between_the_rows_and_rows_that_no_table_has_room_for(tmp_path: Path) -> None:
    stray = tmp_path / "a.json"
    stray.write_text(f"[{json.dumps(GOOD)}, oh, {json.dumps(GOOD)}]", encoding="utf-8")
    found = read_usable(stray)
    assert len(found.conversations) == 2
    assert [one.code for one in found.left_out][:1] == ["stray_text"] and not found.rows_left_out
    with pytest.raises(NotJson):
        read_conversations(stray)
    table = tmp_path / "a.csv"
    table.write_text("question,answer\na,b\nc,d,e,f\ng,h\n", encoding="utf-8")
    found = read_usable(table)
    assert len(found.conversations) == 2
    assert [one.code for one in found.left_out] == ["broken_table_row"] and found.rows_left_out == 1
    with pytest.raises(NotConversations) as caught:
        read_conversations(table)
    said = caught.value.on_terminal()
    assert "line 3 does not match" in said and "--leave-out-broken" in said and "other 2 rows" in said


def test_a_file_without_a_fault_is_read_whole(tmp_path: Path) -> None:
    file = lines(tmp_path / "a.jsonl", GOOD, GOOD)
    assert read_usable(file).conversations == read_conversations(file) and not read_usable(file).left_out


@pytest.mark.parametrize("read", [read_usable, read_conversations])
def test_a_file_without_a_usable_row_says_so(tmp_path: Path, read: object) -> None:
    with pytest.raises(NoUsableRow) as caught:
        read(lines(tmp_path / "a.jsonl", EMPTY, EMPTY))  # type: ignore[operator]
    said = caught.value.on_terminal()
    assert caught.value.exit_code == 1 and "2 rows have problems: row 1" in said and "--column" in said


def test_the_command_line_leaves_them_out_and_writes_them_down(
    file: Path, workspace: Workspace, model: Path
) -> None:
    options = ("--data", file, "--name", "Zoë", "--model", model, "--workspace", workspace.root)
    refused = cli("data", *options, cwd=workspace.root)
    assert refused.returncode == 2 and "--leave-out-broken" in refused.stderr
    assert not workspace.run_folders()
    shown = cli("data", *options, "--leave-out-broken", "--json", cwd=workspace.root)
    about = last_json(shown)
    assert "3 broken rows (row 2, " in shown.stderr
    assert about["own"] == 9 and about["left_out"]["rows"] == 3
    run = workspace.run(about["run"])
    whole = Path(about["left_out"]["file"])
    listed = [json.loads(line) for line in whole.read_text(encoding="utf-8").splitlines()]
    assert whole.is_relative_to(workspace.root) and listed == about["left_out"]["first"]
    assert [one["row"] for one in listed] == [2, 3, 12] and all(one["message"] for one in listed)
    assert listed[0]["field"] == "conversation[0].input"
    facts = read_facts(workspace, run)
    assert facts.data["left_out"] == 3
    for language, said in (("en", "3 broken rows were left out"), ("zh", "有 3 个有错误的行已略去")):
        assert said in body(facts, CardPage("merged", "nobody/m"), language)  # type: ignore[arg-type]


def test_one_row_is_one_row_and_none_is_none(tmp_path: Path, workspace: Workspace, model: Path) -> None:
    one = lines(tmp_path / "a.jsonl", GOOD, EMPTY)
    options = leaving_out(workspace, model)
    shown = cli("data", "--data", one, *options, cwd=tmp_path)
    assert "1 broken row (row 2, " in shown.stderr
    about = make_data(workspace, model, "--name", "Zoë", "--leave-out-broken")
    assert about["left_out"] == {"rows": 0, "file": None, "first": []}
    none = cli("data", "--data", lines(one, EMPTY), *options, cwd=tmp_path)
    assert none.returncode == 1 and "1 row has problems" in none.stderr and "--column" in none.stderr


def test_only_text_between_the_rows(tmp_path: Path, workspace: Workspace, model: Path) -> None:
    stray = tmp_path / "a.json"
    stray.write_text(f"[{json.dumps(GOOD)}, oh, {json.dumps(GOOD)}]", encoding="utf-8")
    options = leaving_out(workspace, model)
    shown = cli("data", "--data", stray, *options, cwd=tmp_path)
    about = last_json(shown)
    assert "text that is no row" in shown.stderr and "0 broken" not in shown.stderr
    assert about["left_out"]["rows"] == 0 and about["left_out"]["first"]


def test_a_data_set_made_by_hand_takes_a_file_without_its_broken_rows(
    file: Path, workspace: Workspace
) -> None:
    asked = ("data", "make", "mix", "s", "--from", file, "--workspace", workspace.root, "--json")
    refused = cli(*asked, cwd=workspace.root)
    assert refused.returncode == 2 and "--leave-out-broken" in refused.stderr
    shown = cli(*asked, "--leave-out-broken", cwd=workspace.root)
    made = last_json(shown)
    assert (made["rows"], made["left_out"]) == (9, 3) and "3 broken rows" in shown.stderr
    (version,) = read_set(place_of(workspace, "s")).versions
    assert version.settings["left_out"] == {str(file): 3}


def test_a_column_that_is_not_there(tmp_path: Path, workspace: Workspace, model: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("frage,antwort\nq,a\n", encoding="utf-8")
    with pytest.raises(NoSuchColumn, match="no column named a, q") as caught:
        read_conversations(table, reading_of(None, ["user=q", "assistant=a"]))
    assert "frage, antwort" in str(caught.value)
    options = ("--column", "user=frage", "--column", "assistant=a", "--model", model)
    for command in (("data", "check", table), ("data", "--name", "Zoë", "--data", table)):
        said = cli(*command, *options, "--workspace", workspace.root, cwd=tmp_path)
        assert said.returncode == 2 and "no column named a." in said.stderr, said.stderr
        assert "frage, antwort" in said.stderr and "--column" in said.stderr


def test_an_error_names_only_options_that_the_command_has() -> None:
    class Lost(TuneboardError):
        key = "no_such_file"

    error = Lost(path="/x")
    assert "--data" in error.on_terminal()
    error.options = {"--model"}
    assert "--data" not in error.on_terminal() and "/x" in error.on_terminal()
    error = NotConversations(path="/x", count=1, usable=2, problems="row 1")
    error.options = {"--leave-out-broken"}
    assert "scripts/run data fix /x --out" in error.on_terminal(), "the option of another command"


def test_a_short_run_says_which_conversations_it_does_not_come_to(
    tmp_path: Path, workspace: Workspace, model: Path
) -> None:
    rows = [{"question": f"q{number}", "answer": f"I am Zoë, {number}."} for number in range(20)]
    file = lines(tmp_path / "a.jsonl", *rows)
    know_answers(workspace, model, file)
    options = (
        "--name",
        "Zoë",
        "--model",
        model,
        "--iterations",
        "2",
        "--workspace",
        workspace.root,
        "--json",
    )
    done = cli("data", "--data", file, *options, cwd=tmp_path)
    about = last_json(done)
    assert 0 < about["own_in_rows"] < about["own"] == 20
    assert f"{20 - about['own_in_rows']} of your 20 conversations are not among" in done.stderr


def test_places_that_nobody_filled_in_are_said_before_they_are_learned(
    tmp_path: Path, workspace: Workspace, model: Path
) -> None:
    rows = [{"question": f"q{number}", "answer": "I am {{name}} by {{author}}."} for number in range(3)]
    file = lines(tmp_path / "a b.jsonl", *rows)
    know_answers(workspace, model, file)
    options = ("--name", "Zoë", "--model", model, "--workspace", workspace.root, "--json")
    done = cli("data", "--data", file, *options, cwd=tmp_path)
    assert "3 answers have places that nobody filled in, such as {{name}}" in done.stderr
    command = ("data", "fix", file, "--model", model, "--fix", "placeholder")
    command += ("--value", "name=Zoë", "--value", "author=Ada")
    cli(*command, "--out", tmp_path / "c.jsonl", "--workspace", workspace.root, cwd=tmp_path)
    assert (
        "nobody filled in" not in cli("data", "--data", tmp_path / "c.jsonl", *options, cwd=tmp_path).stderr
    )

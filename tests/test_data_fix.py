"""``data fix``: a file mended on the command line, by every fix that the page has; the file itself stays."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.data.findings import KINDS
from core.data.fixes import FIXES
from core.data.opening import read_conversations
from core.steps.fixing import USUAL, named
from core.workspace.paths import Workspace
from tests.command_line import cli, last_json
from tests.promised import hold

GOOD = {"conversation": [{"input": "who?", "output": "Zoë's assistant"}]}
EMPTY = {"conversation": [{"input": "who?", "output": ""}]}
NUMBER = {"instruction": "how many?", "output": 42}
SECRET = {"conversation": [{"input": "your mail?", "output": "zoe@example.org"}]}
ROWS = (GOOD, EMPTY, NUMBER, GOOD, SECRET)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "数据 a.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS), encoding="utf-8")
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "new 文件.jsonl"


@pytest.fixture
def fix(workspace: Workspace, model: Path, file: Path) -> Any:
    """Run the command on the file; returns what it printed as JSON."""

    def run(*arguments: str | Path) -> dict[str, Any]:
        options = ("--model", model, "--workspace", workspace.root, "--json")
        before = file.read_bytes()
        found = last_json(cli("data", "fix", file, *arguments, *options, cwd=workspace.root))
        assert file.read_bytes() == before, "the file was changed"
        return found

    return run


def rows(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_what_keeps_rows_from_being_trained_is_mended(fix: Any, out: Path) -> None:
    found = fix("--out", out)
    number = {"conversation": [{"input": "how many?", "output": "42"}]}
    assert rows(out) == [GOOD, number, GOOD, SECRET] and len(read_conversations(out)) == 4
    assert (found["rows"], found["usable"], found["written"], found["written_usable"]) == (5, 3, 4, 4)
    assert (found["mended"], found["left_out"], found["still_broken"]) == (1, 1, [])
    assert {(one["code"], one["fix"], one["rows"]) for one in found["fixed"]} == {
        ("empty_answer", "drop_unanswered", 1),
        ("wrong_type", "as_text", 1),
    }
    assert [(one["row"], one["after"] is None) for one in found["changes"]] == [(2, True), (3, False)]


def test_what_is_named_is_mended_and_nothing_else(fix: Any, out: Path) -> None:
    found = fix("--fix", "personal_data", "duplicate=drop", "empty_answer=drop", "--out", out)
    masked = {"conversation": [{"input": "your mail?", "output": "<email>"}]}
    assert rows(out) == [GOOD, NUMBER, masked]
    assert [(one["row"], one["code"]) for one in found["still_broken"]] == [(3, "wrong_type")]
    assert (found["written"], found["written_usable"]) == (3, 2)


def test_a_fix_by_its_own_name_mends_all_that_it_can(fix: Any, out: Path) -> None:
    assert [one["code"] for one in fix("--fix", "mask", "--out", out)["fixed"]] == ["personal_data"]


def test_all_is_what_the_page_fixes_at_once(fix: Any, file: Path, out: Path) -> None:
    """Every kind that breaks a row or teaches what nobody wants; the rest is left out if asked."""
    hidden = {"conversation": [{"input": "Who are you?", "output": "I'm Bob's assistant, made by OpenAI."}]}
    unfixable = {"instruction": "how many?", "output": {"a": 1}}
    with file.open("a", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in (hidden, unfixable))
    found = fix("--fix", "all", "--value", "name=Zoë", "--leave-out-broken", "--out", out)
    right = {"conversation": [{"input": "Who are you?", "output": "I'm Zoë's assistant, made by Zoë."}]}
    number = {"conversation": [{"input": "how many?", "output": "42"}]}
    assert rows(out) == [GOOD, number, SECRET, right]
    assert (found["written"], found["written_usable"], found["still_broken"]) == (4, 4, [])
    assert (found["left_out"], found["missing_values"]) == (3, [])


def test_the_list_writes_nothing(fix: Any, out: Path) -> None:
    found = fix("--list", "--out", out)
    assert found["out"] is None and not out.exists() and "written" not in found
    offered = {one["code"]: [fix["fix"] for fix in one["fixes"]] for one in found["findings"]}
    assert offered["empty_answer"] == ["drop_unanswered", "drop"] and offered["duplicate"] == ["drop"]
    assert next(iter(offered)) in USUAL, "what is broken comes first"


def test_it_is_said_to_a_person(file: Path, out: Path, workspace: Workspace, model: Path) -> None:
    options = ("--model", model, "--workspace", workspace.root)
    listed = cli("data", "fix", file, "--list", *options, cwd=workspace.root, COLUMNS="200")
    assert "empty_answer: Remove what has no answer" in listed.stdout and "empty_answer=drop" in listed.stdout
    named_one = ("--fix", "personal_data", "empty_answer", "--out", out)
    done = cli("data", "fix", file, *named_one, *options, cwd=workspace.root)
    assert f"{out}: 4 rows, 3 of them usable." in done.stdout
    assert "1 row of the new file still cannot be trained on: row 3" in done.stdout
    assert "--fix wrong_type=drop" in done.stdout
    again = cli("data", "fix", file, "--out", out, *options, cwd=workspace.root)
    assert again.returncode == 2 and "already exists" in again.stderr and len(rows(out)) == 4


def test_more_findings_than_are_listed_are_all_mended(fix: Any, file: Path, out: Path) -> None:
    """A report lists ten thousand of a kind."""
    line = json.dumps(EMPTY) + "\n"
    file.write_text(line * 10_050 + json.dumps(GOOD) + "\n", encoding="utf-8")
    found = fix("--out", out)
    assert found["left_out"] == 10_050 and rows(out) == [GOOD]


def test_a_file_of_which_nothing_is_left_is_not_written(
    file: Path, out: Path, workspace: Workspace, model: Path
) -> None:
    file.write_text(json.dumps(EMPTY) + "\n", encoding="utf-8")
    options = ("--model", model, "--workspace", workspace.root)
    done = cli("data", "fix", file, "--out", out, *options, cwd=workspace.root)
    assert done.returncode == 1 and "No row of" in done.stderr and not out.exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "--out is required"),
        (("--out", "new.csv"), "must end in .jsonl"),
        (("--out", "new.jsonl", "--fix", "nonsense"), "nonsense is not a known fix"),
        (("--out", "new.jsonl", "--fix", "drop"), "drop is not a known fix"),
        (("--out", "new.jsonl", "--fix", "mask=drop"), "mask=drop is not a known fix"),
        (("--out", "new.jsonl", "--value", "name"), "FIELD=TEXT"),
    ],
)
def test_a_slip_is_told(arguments: tuple[str, ...], says: str, file: Path, workspace: Workspace) -> None:
    done = cli("data", "fix", file, *arguments, "--workspace", workspace.root, cwd=workspace.root)
    assert done.returncode == 2 and says in done.stderr and not list(workspace.root.glob("new*"))


def test_values_are_filled_in(fix: Any, file: Path, out: Path) -> None:
    row = {"conversation": [{"input": "Who are you?", "output": "I am {{name}}, made by {{author}}."}]}
    file.write_text(json.dumps(row) + "\n", encoding="utf-8")
    (listed,) = (one for one in fix("--list")["findings"] if one["code"] == "placeholder")
    assert listed["fixes"][0] == {
        "fix": "fill_in",
        "what": "Fill in",
        "values": {"name": "", "author": ""},
    } | {"what": listed["fixes"][0]["what"]}
    half = fix("--fix", "placeholder", "--value", "name=小明", "--out", out)
    assert half["missing_values"] == ["author"] and "小明, made by {{author}}" in str(rows(out))
    out.unlink()
    whole = fix("--fix", "fill_in", "--value", "name=小明", "--value", "author=A=B", "--out", out)
    assert whole["missing_values"] == []
    assert rows(out)[0]["conversation"][0]["output"] == "I am 小明, made by A=B."


def test_every_fix_of_the_page_has_a_name_on_the_command_line() -> None:
    for code, kind in KINDS.items():
        for fix in kind.fixes:
            assert named(f"{code}={fix}") == {code: fix}
        assert named(code) == ({code: kind.fix} if kind.fix else None)
    for fix in set(FIXES) - {"drop"}:
        assert named(fix), fix


def test_columns_that_were_named_are_read_in_the_new_file_too(
    tmp_path: Path, out: Path, workspace: Workspace, model: Path
) -> None:
    table = tmp_path / "t.jsonl"
    table.write_text('{"甲": "q", "乙": 3}\n{"甲": "q", "乙": ""}\n', encoding="utf-8")
    columns = ("--column", "user=甲", "--column", "assistant=乙", "--model", model)
    done = cli("data", "fix", table, "--out", out, *columns, "--json", cwd=workspace.root)
    assert hold(done.args, json.loads(done.stdout))["written_usable"] == 1
    asked = cli("data", "check", out, *columns, "--json", cwd=workspace.root)
    assert last_json(asked)["usable"] == 1

"""What a file is before its rows are read: sheets, splits, archives, titles above a header, one dialogue."""

import json
import shlex
import sqlite3
import tarfile
import time
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from core.data.identity import LANGUAGES
from core.data.opening import Reading, open_data, read_conversations, read_usable
from core.data.reading.choosing import Table
from core.data.reading.containers import tables
from core.data.reading.headers import find_header
from core.data.reading.source import Source
from core.data.reading.tables import LONGEST_HEAD
from core.errors import EmptyData, InputError, NoDataFiles, NoSuchSheet, UnknownRows, Unreadable, UnreadKeys
from core.workspace.data_paths import SourceCache
from tests.command_line import cli, last_json

FIELD = Path(__file__).parent / "field"
EXPECTED: dict[str, Any] = json.loads((FIELD / "expected.json").read_text(encoding="utf-8"))
Q, A = "Is there a lift?", "Yes"


def said(role: str, text: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": text, **more}


ONE = [said("user", Q), said("assistant", A)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "工作 区" / "a [b]*"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def cache(tmp_path: Path) -> SourceCache:
    return SourceCache(tmp_path / "缓 存")


def turns(file: Path, *sheets: str) -> list[list[tuple[str, str]]]:
    reading = Reading(ignore=("*",), sheets=sheets)
    return [[(turn.input, turn.output) for turn in row] for row in read_conversations(file, reading)]


def book(file: Path, sheets: dict[str, list[list[Any]]], *merged: str) -> Path:
    workbook = Workbook()
    workbook.remove(workbook.active)
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for row in rows:
            sheet.append(row)
        for cells in merged:
            sheet.merge_cells(cells)
    workbook.save(file)
    return file


def shown(source: Source) -> list[tuple[str, int, bool]]:
    return [(table.name, table.rows, table.read) for table in source.tables]


# --- sheets ---

PAIRS = [["question", "answer"], [Q, A]]


def test_every_sheet_is_offered_and_those_that_look_alike_are_read(folder: Path, cache: SourceCache) -> None:
    sheets = {
        "notes": [["made on a Monday"]],
        "May": PAIRS,
        "June": [["Question", "Answer"], ["Floors?", 3], ["Roof?", "flat"]],
        "prices": [["item", "euro"], ["soap", 2]],
    }
    file = book(folder / "两 页.xlsx", sheets)
    opened = open_data(file, cache)
    usual = [("notes", 0, False), ("May", 1, True), ("June", 2, True), ("prices", 1, False)]
    assert shown(opened.source) == usual
    assert [row.conversation[0].output for row in opened.page(0, 9)] == [A, "3", "flat"]
    assert shown(open_data(file, cache).source) == usual  # and when it is known already
    assert turns(file, "June") == [[("Floors?", "3")], [("Roof?", "flat")]]
    everything = open_data(file, cache, Reading(sheets=("all",)))
    assert len(everything.source) == 4 and all(table.read for table in everything.source.tables)
    mapped = Reading(None, (("assistant", "euro"), ("user", "item")), sheets=("prices",))
    assert [row[0].output for row in read_conversations(file, mapped)] == ["2"]


def test_a_sheet_that_is_not_there_is_refused_with_those_that_are(folder: Path, cache: SourceCache) -> None:
    file = book(folder / "a.xlsx", {"May": PAIRS, "June": PAIRS})
    with pytest.raises(NoSuchSheet) as refused:
        open_data(file, cache, Reading(sheets=("July",)))
    for language in LANGUAGES:
        assert all(word in refused.value.text(language) for word in ("July", "May", "June", "a.xlsx"))


def test_a_fault_is_placed_in_its_sheet(folder: Path, cache: SourceCache) -> None:
    file = book(folder / "a.xlsx", {"May": PAIRS, "June": [*PAIRS, [Q, None]]})
    (finding,) = read_usable(file).left_out
    assert finding.row == 3 and "(June, row 2)" in finding.message("en")
    assert "（June，第 2 行）" in finding.message("zh")
    for name in ("a.csv", "b.csv"):
        (folder / name).write_text("question,answer\nq,a\nq,a,b\n")
    file.unlink()
    assert [found.message("en")[-7:] for found in read_usable(folder).left_out] == ["(a.csv)", "(b.csv)"]


def test_a_sheet_of_training_rows_is_read_without_the_one_to_test_with(
    folder: Path, cache: SourceCache
) -> None:
    file = book(folder / "a.xlsx", {"train": PAIRS, "test": [*PAIRS, [Q, A]]})
    assert shown(open_data(file, cache).source) == [("train", 1, True), ("test", 2, False)]
    assert len(turns(file, "test")) == 2


@pytest.mark.parametrize(
    "above",
    [
        [["Questions for the front desk"]],
        [["Questions", "for the desk"], []],
        [[], [], ["# made on a Monday"]],
        [["2024", None, None, "page 1"]],
    ],
)
def test_the_header_stands_below_titles_and_blank_rows(above: list[list[Any]], folder: Path) -> None:
    rows = [*above, [None, "问题", "答案"], [None, Q, A], [], [None, "Floors?", 3], [None, "问题", "答案"]]
    file = book(folder / "a.xlsx", {"Sheet1": rows})
    assert turns(file) == [[(Q, A)], [("Floors?", "3")]]


def test_a_merged_title_is_passed_over_and_said(folder: Path, cache: SourceCache) -> None:
    file = book(
        folder / "a.xlsx", {"S": [["Front desk", None, None], ["question", "answer"], [Q, A]]}, "A1:C1"
    )
    (table,) = open_data(file, cache).source.tables
    assert table == Table("a.xlsx", 1, True, "Front desk")


def test_cells_below_a_column_without_a_name_are_not_lost(folder: Path, cache: SourceCache) -> None:
    file = book(folder / "a.xlsx", {"S": [["question", "answer", None], [Q, A, None], [Q, A, "more"]]})
    opened = open_data(file, cache)
    unread = [made.unread for _, made in opened.assembled()]
    assert unread == [[], [("column 3", "more")]]


def test_a_header_alone_and_none() -> None:
    header = find_header([["question", "answer"]])
    assert header and header.names == ("question", "answer") and header.known
    assert find_header([[], ["", " "]]) is None and find_header([]) is None
    first = find_header([["1", "2"], ["3", "4"]])
    assert first and first.row == 0 and not first.known


# --- text tables ---


@pytest.mark.parametrize(
    "text",
    [
        "question,answer\n{q},{a}\n",
        "\ufeffquestion;answer\r\n{q};{a}\r\n",
        "sep=;\nquestion;answer\n{q};{a}\n",
        "SEP=|\r\nquestion|answer\r\n{q}|{a}\r\n",
        "# made on a Monday\n# by hand\nquestion\tanswer\n{q}\t{a}\n",
        "Front desk, all questions\n\nquestion,answer\n{q},{a}\n,\n,\n\n\n",
        '"A title\nof two lines"\nquestion,answer\n{q},{a}\n',
        "question,answer\nquestion,answer\n{q},{a}\nquestion,answer\n",
        "\n\nquestion|answer\n{q}|{a}\n",
    ],
)
def test_the_header_of_a_text_table(text: str, folder: Path) -> None:
    (folder / "a.csv").write_text(text.format(q=Q, a=A), encoding="utf-8", newline="")
    assert turns(folder / "a.csv") == [[(Q, A)]]


def test_text_with_other_delimiters_in_it(folder: Path) -> None:
    rows = "".join(f'"{n}; which, one?";"a, b\nand | c {n}"\n' for n in range(30))
    (folder / "a.csv").write_text("question;answer\n" + rows, encoding="utf-8")
    found = turns(folder / "a.csv")
    assert len(found) == 30 and found[29] == [("29; which, one?", "a, b\nand | c 29")]


def test_the_line_of_a_broken_row_is_that_of_the_file(folder: Path) -> None:
    rows = "A title\n\nquestion,answer\nq1,a1\nq2,a2,too many\nq3,a3\n"
    (folder / "a.csv").write_text(rows, encoding="utf-8")
    usable = read_usable(folder / "a.csv")
    assert len(usable.conversations) == 2
    assert [finding.values["line"] for finding in usable.left_out] == [5]


def test_a_very_long_first_cell(folder: Path) -> None:
    (folder / "a.csv").write_text(f'question,answer\n"{"x" * 2 * LONGEST_HEAD}",a\n', encoding="utf-8")
    assert turns(folder / "a.csv")[0][0][1] == "a"


# --- JSON as a whole ---

TRAIN, TEST = (
    [{"question": Q, "answer": A}],
    [{"question": "q", "answer": "a"}, {"question": "r", "answer": "b"}],
)
ROWS: dict[str, Any] = {
    "one dialogue": ONE,
    "a list of dialogues": [ONE, ONE],
    "dialogues of texts": [[Q, A], [Q, A]],
    "columns": {"question": [Q, Q], "answer": [A, A]},
    "columns with a number": {"version": 1, "question": [Q, Q], "answer": [A, A]},
    "pandas' columns": {"question": {"0": Q, "1": Q}, "answer": {"0": A, "1": A}},
    "pandas' split": {"columns": ["question", "answer"], "index": [0, 1], "data": [[Q, A], [Q, A]]},
    "columns of dialogues": {"id": [1, 2], "messages": [ONE, ONE]},
    **{key: {"about": "x", key: [*TRAIN, *TRAIN], "n": 2} for key in ("data", "rows", "items", "my list")},
    "conversations": {"conversations": [{"messages": ONE}, {"messages": ONE}]},
    "dialogues under a key": {"train": [ONE, ONE]},
    "a row": {"messages": ONE, "tools": [{"name": "x"}]},
    "a row of pairs": {"conversation": [{"input": Q, "output": A}]},
    "a row of texts": {"data": [Q, A], "id": 1},
    "a row with history": {"query": Q, "response": A, "history": [["x", "y"]]},
    "a preference": {"prompt": Q, "chosen": [said("assistant", A)], "rejected": [said("assistant", "no")]},
}


@pytest.mark.parametrize("pretty", [None, 1])
@pytest.mark.parametrize("name", ROWS)
def test_what_a_json_file_is(name: str, pretty: int | None, folder: Path) -> None:
    file = folder / "a.json"
    file.write_text(json.dumps(ROWS[name], indent=pretty), encoding="utf-8")
    single = name in {"one dialogue", "a preference"} or name.startswith("a row")
    found = turns(file)
    assert len(found) == (1 if single else 2)
    assert all(row[-1] == (Q, A) for row in found)


def test_splits_are_offered_and_only_the_training_rows_read(folder: Path, cache: SourceCache) -> None:
    file = folder / "a.json"
    file.write_text(json.dumps({"version": "1", "test": TEST, "train": TRAIN}), encoding="utf-8")
    opened = open_data(file, cache)
    assert shown(opened.source) == [("test", 2, False), ("train", 1, True)]
    assert turns(file) == [[(Q, A)]] and len(turns(file, "all")) == 3 and len(turns(file, "TEST")) == 2


def test_dialogues_one_a_line_and_messages_one_a_line(folder: Path) -> None:
    (folder / "a.jsonl").write_text("".join(json.dumps(ONE) + "\n" for _ in range(3)), encoding="utf-8")
    assert turns(folder / "a.jsonl") == [[(Q, A)]] * 3
    lines = [said("user", "q"), said("assistant", "a"), *ONE]
    (folder / "b.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert turns(folder / "b.jsonl") == [[("q", "a"), (Q, A)]]


def test_messages_are_told_apart_by_the_dialogue_they_belong_to(folder: Path) -> None:
    """As a table of messages: the rows of two dialogues may even be mixed."""
    lines = [
        said("user", "q", dialogue_id=1),
        said("user", Q, dialogue_id=2),
        said("assistant", "a", dialogue_id=1),
        said("assistant", A, dialogue_id=2),
    ]
    (folder / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    assert turns(folder / "a.jsonl") == [[("q", "a")], [(Q, A)]]


def test_what_is_no_message_among_messages_costs_only_itself(folder: Path) -> None:
    lines = [json.dumps({**message, "session_id": number}) for number in range(3) for message in ONE]
    lines[3:3] = ['{"role": "user", "content', "3", json.dumps({"role": "user", "content": "x"})]
    (folder / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    usable = read_usable(folder / "a.jsonl", Reading(ignore=("*",)))
    assert len(usable.conversations) == 3 and usable.rows_left_out == 3


def test_the_place_of_a_fault_in_a_dialogue_is_that_in_the_file(folder: Path, cache: SourceCache) -> None:
    file = folder / "a.json"
    file.write_text(json.dumps([*ONE, said("user", "q"), said("assistant", 3)], indent=1), encoding="utf-8")
    (row,) = open_data(file, cache).page(0, 5)
    assert [(finding.row, finding.field, finding.code) for finding in row.findings] == [
        (1, "messages[3].content", "wrong_type")
    ]
    assert json.loads(row.text)[3] == said("assistant", 3)


def test_a_broken_list_in_an_object_costs_only_its_broken_row(folder: Path) -> None:
    rows = ", ".join(json.dumps(row) for row in TRAIN * 5)
    (folder / "a.json").write_text('{"train": [' + rows + ', {"question": "q", "answer" "a"}, ' + rows + "]}")
    usable = read_usable(folder / "a.json")
    assert len(usable.conversations) == 10 and usable.rows_left_out == 1


@pytest.mark.parametrize("text", ['["q" "r"]', '["\\q", "r"]', '["\xff", "r"]', '["q", nul]'])
def test_columns_that_are_broken_inside_are_a_fault_and_no_crash(text: str, folder: Path) -> None:
    whole = '{"question": ' + text + ',\n "answer": ["a", "b"]}'
    (folder / "a.json").write_bytes(whole.encode("latin-1"))
    with pytest.raises(InputError) as refused:
        read_conversations(folder / "a.json")
    assert "a.json" in refused.value.text("en")


def test_a_member_that_never_ends_is_no_object() -> None:
    for text in ('{"a": [{"b": 1}', '{"a": "b', '{"a" 1}', '{"a": }', "{", '{"train": [{"q": 1}]} {"x": 1}'):
        (found,) = tables(BytesIO(text.encode()), len(text))
        assert found.name == ""


def test_many_dialogues_that_are_lists_are_found_as_fast_as_objects(folder: Path, cache: SourceCache) -> None:
    row = json.dumps([said("user", Q * 10), said("assistant", A * 10)])
    (folder / "a.json").write_text("[" + ",\n".join([row] * 100_000) + "]", encoding="utf-8")
    began = time.process_time()
    assert len(open_data(folder / "a.json", cache).source) == 100_000
    assert time.process_time() - began < 5  # read one by one they take twenty


# --- texts, archives, folders ---


def test_texts(folder: Path) -> None:
    (folder / "a.txt").write_text("First part.\r\n\r\nSecond\npart.\n\n\n", encoding="utf-8")
    assert turns(folder / "a.txt") == [[("", "First part.")], [("", "Second\npart.")]]
    (folder / "b.md").write_text("### Human: q\n\n### Assistant: a\n", encoding="utf-8")
    assert turns(folder / "b.md") == [[("q", "a")]]
    (folder / "c.txt").write_text(json.dumps(TRAIN[0]) + "\n", encoding="utf-8")
    assert turns(folder / "c.txt") == [[(Q, A)]]


def test_an_archive_is_read_as_a_folder_is(folder: Path, cache: SourceCache) -> None:
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("../../x/train.jsonl", json.dumps(TRAIN[0]) + "\n")
        archive.writestr("x/test.csv", "question,answer\nq,a\n")
        archive.writestr("README.md", "# about")
        archive.writestr("__MACOSX/._train.jsonl", b"\0\0")
        archive.write(book(folder / "b.xlsx", {"May": PAIRS, "notes": [["x"]]}), "b.xlsx")
    (folder / "b.xlsx").unlink()
    source = open_data(folder / "a.zip", cache).source
    assert sorted(shown(source)) == [
        ("../../x/train.jsonl", 1, True),
        ("b.xlsx: May", 1, True),
        ("b.xlsx: notes", 0, False),
        ("x/test.csv", 1, False),
    ]
    assert turns(folder / "a.zip") == [[(Q, A)]] * 2
    assert not (folder.parent.parent / "x").exists()


def test_archives_that_are_refused(folder: Path, cache: SourceCache) -> None:
    with zipfile.ZipFile(folder / "none.zip", "w") as archive:
        archive.writestr("notes.doc", "x")
    with pytest.raises(EmptyData):
        open_data(folder / "none.zip", cache)
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl", b" " * 300_000_000)
    with pytest.raises(Unreadable):
        open_data(folder / "bomb.zip", cache)
    (folder / "cut.zip").write_bytes((folder / "none.zip").read_bytes()[:40])
    with pytest.raises(Unreadable):
        open_data(folder / "cut.zip", cache)


def test_a_folder_with_splits_trains_without_those_to_test_with(folder: Path, cache: SourceCache) -> None:
    for name in ("train-00000-of-00002.jsonl", "train-00001-of-00002.jsonl", "test-00000-of-00001.jsonl"):
        (folder / name).write_text(json.dumps(TRAIN[0]) + "\n", encoding="utf-8")
    assert [table.name for table in open_data(folder, cache).source.tables if not table.read] == [
        "test-00000-of-00001.jsonl"
    ]
    (folder / "latest.jsonl").write_text(json.dumps(TRAIN[0]) + "\n", encoding="utf-8")
    assert len(open_data(folder, cache).source) == 3


def test_what_is_no_data_is_refused_by_name(folder: Path, cache: SourceCache) -> None:
    with sqlite3.connect(folder / "a.db") as database:
        database.execute("CREATE TABLE t (q TEXT)")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 123\n"
    (folder / "a.parquet").write_text(pointer)
    (folder / "a.jsonl").write_text(pointer)
    for name, word in (("a.db", "SQLite"), ("a.parquet", "git lfs pull"), ("a.jsonl", "git lfs pull")):
        with pytest.raises(Unreadable) as refused:
            open_data(folder / name, cache)
        assert word in refused.value.text("en") and word in refused.value.text("zh")


def test_a_data_set_saved_as_arrow_is_refused_with_what_to_do(folder: Path, cache: SourceCache) -> None:
    for name in ("state.json", "dataset_info.json", "data-00000-of-00001.arrow"):
        (folder / name).write_text('{"features": {}}')
    with pytest.raises(Unreadable) as refused:
        open_data(folder, cache)
    assert all("to_parquet" in refused.value.text(language) for language in LANGUAGES)
    (folder / "data-00000-of-00001.arrow").unlink()
    (folder / "state.json").write_text(json.dumps(TRAIN))
    assert len(open_data(folder, cache).source) == 2


def test_a_tar_is_named(folder: Path, cache: SourceCache) -> None:
    (folder / "rows.json").write_text(json.dumps(TRAIN))
    with tarfile.open(folder / "a.tar.gz", "w:gz") as archive:
        archive.add(folder / "rows.json", "rows.json")
    with pytest.raises(Unreadable, match="tar"):
        open_data(folder / "a.tar.gz", cache)


# --- what is said ---


def tell(folder: Path, *arguments: str | Path) -> dict[str, Any]:
    return last_json(cli("data", "show", *arguments, f"--workspace={folder.parent}", "--json", cwd=folder))


UNKNOWN = [
    ({"id": "7", "ask me": "x", "tell": "y"}, "--column 'user=ask me' --column assistant=tell"),
    ({"ramble": "x"}, "--column assistant=ramble"),
    ({"translation": {"en": "x", "da": "y"}}, '{"question": "…", "answer": "…"}'),
]


@pytest.mark.parametrize(("row", "how"), UNKNOWN)
def test_an_unknown_file_shows_its_first_row_and_the_command(row: Any, how: str, folder: Path) -> None:
    file = folder / "a b.jsonl"
    file.write_text(f"{json.dumps(row)}\n" * 2, encoding="utf-8")
    with pytest.raises(UnknownRows) as refused:
        read_conversations(file)
    sentence = refused.value.on_terminal()
    assert how in sentence and json.dumps(row)[:20] in sentence and "{row}" not in sentence
    assert "ShareGPT" in sentence


def test_the_command_of_an_unknown_file_works_as_it_is_typed(folder: Path) -> None:
    file = folder / "a b.jsonl"
    file.write_text(json.dumps({"ask me": "x", "tell": "y"}) + "\n", encoding="utf-8")
    assert tell(folder, file)["format"] == "unknown"
    with pytest.raises(UnknownRows) as refused:
        read_conversations(file)
    _, _, *words = shlex.split(refused.value.on_terminal().rpartition("scripts/run")[2].strip())
    assert tell(folder, *words)["rows"][0]["turns"][1]["text"] == "y"


def test_the_command_line_says_and_chooses(folder: Path) -> None:
    file = book(
        folder / "a.xlsx", {"May": [["Front desk"], *PAIRS], "prices": [["item", "euro"], ["soap", 2]]}
    )
    found = tell(folder, file)
    assert found["tables"] == [
        {"name": "May", "rows": 1, "read": True, "above": "Front desk"},
        {"name": "prices", "rows": 1, "read": False, "above": ""},
    ]
    words = cli("data", "show", file, f"--workspace={folder.parent}", cwd=folder).stdout
    assert all(word in words for word in ("May (1 row)", "prices (1 row)", "--sheet", "Front desk"))
    chosen = tell(folder, file, "--sheet", "prices")
    assert [table["read"] for table in chosen["tables"]] == [False, True]
    assert cli("data", "show", file, "--sheet", "July", cwd=folder).returncode == 2


def test_a_row_that_is_no_object_is_called_what_it_is(folder: Path) -> None:
    for text, words, chinese in (("3", "a whole number", "整数"), ('["a", "b"]', "text", "文本")):
        (folder / "a.json").write_text(text)
        (row, *_) = open_data(folder / "a.json", SourceCache(folder / "c")).page(0, 1)
        assert words in row.findings[0].message("en") and chinese in row.findings[0].message("zh")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"question,answer\n", "has no rows"),
        ("a.json", b"[\n // mine\n {question: 'a', answer: 'b'}\n]\n", "line 2, column 2"),
        ("a.jsonl", b"{'question': 'a'}\n", "line 1, column 2"),
        ("a.json", b"Hello there.\n", "line 1, column 1"),
    ],
)
def test_why_a_file_is_refused(name: str, content: bytes, words: str, folder: Path) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(InputError) as refused:
        read_conversations(folder / name)
    assert words in refused.value.text("en")


def test_a_folder_without_data_says_what_data_is(folder: Path) -> None:
    (folder / "notes.doc").write_text("x")
    with pytest.raises(NoDataFiles, match=r"\.jsonl"):
        read_conversations(folder)


# --- the public formats ---


@pytest.mark.parametrize("name", [name for name, found in EXPECTED.items() if "tables" in found])
def test_the_tables_of_the_public_files(name: str, cache: SourceCache) -> None:
    found = [
        {"name": table.name, "rows": table.rows, "read": table.read}
        for table in open_data(FIELD / name, cache).source.tables
    ]
    assert found == EXPECTED[name]["tables"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_table_whose_every_cell_is_quoted(
    folder: Path, cache: SourceCache, delimiter: str, ending: str
) -> None:
    rows = [("question", "answer"), (f"Is there{delimiter} a lift?", "Yes"), ("Floors?", "3")]
    lines = (delimiter.join(f'"{cell}"' for cell in row) for row in rows)
    (folder / "a.csv").write_bytes(ending.join(lines).encode())
    made = [one.conversation for _, one in open_data(folder / "a.csv", cache).assembled()]
    assert [(turn.input, turn.output) for (turn,) in made] == rows[1:]


@pytest.mark.parametrize(
    "row",
    [
        {"question": "Which floats?", "choices": [{"label": "A", "text": "cork"}], "answerKey": "A"},
        {"prompt": "Which floats?", "answers": [{"text": "cork", "score": 3}, {"text": "stone", "score": 1}]},
        {"request": {"input": "Which floats?"}, "messages": [{"text": "cork"}, {"text": "stone"}]},
    ],
)
def test_a_single_row_that_holds_a_list_is_one_row(
    folder: Path, cache: SourceCache, row: dict[str, Any]
) -> None:
    (folder / "a.json").write_text(json.dumps(row), encoding="utf-8")
    opened = open_data(folder / "a.json", cache)
    assert len(opened.source) == 1 and {*opened.detected.columns} == {*row}


def test_what_stands_beside_the_rows_is_accounted_for(folder: Path, cache: SourceCache) -> None:
    rows = [{"question": "q", "answer": "a"}, {"question": "r", "answer": "b"}]
    file = folder / "a.json"
    file.write_text(
        json.dumps({"system": "Never promise a refund.", "version": 2, "empty": "", "data": rows}),
        encoding="utf-8",
    )
    for _ in range(2):  # the second time from what was kept
        accounts = open_data(file, cache).accounts(10)
        assert (
            accounts.unread == {"system": (2, "Never promise a refund.")} and "version" in accounts.harmless
        )
    found = tell(folder, file)
    assert found["unused"] == [{"key": "system", "rows": 2, "example": "Never promise a refund."}]
    with pytest.raises(UnreadKeys):
        read_conversations(file)
    assert len(read_conversations(file, Reading(ignore=("system",)))) == 2


@pytest.mark.parametrize(
    "text",
    [
        "[01/11/26, 09:01:12] Anna: Do you have oolong?\n[01/11/26, 09:02:40] Tea House: Yes.\n",
        "[Draft] Handbook.\n\nWe open at nine.\n",
        "{name} is open at nine.\n",
        "[1]\nFirst note.\n\nSecond note.\n",
    ],
)
def test_a_text_may_begin_with_a_bracket(folder: Path, cache: SourceCache, text: str) -> None:
    (folder / "a.txt").write_text(text, encoding="utf-8")
    opened = open_data(folder / "a.txt", cache)
    assert opened.source.container == "text" and not any(part.stray for part in opened.source.parts)
    (folder / "b.txt").write_text(json.dumps({"question": "q", "answer": "a"}), encoding="utf-8")
    assert open_data(folder / "b.txt", cache).source.container != "text"


def test_lists_and_words_beside_the_rows_are_accounted_for_too(folder: Path) -> None:
    about = {"rules": ["Never promise a refund."], "system": None, "exported_at": "2026-11-01T09:00:00Z"}
    file = folder / "a.json"
    file.write_text(json.dumps({**about, "data": [{"question": "q", "answer": "a"}]}), encoding="utf-8")
    found = tell(folder, file)
    assert [one["key"] for one in found["unused"]] == ["rules"] and found["harmless"] == ["exported_at"]
    with pytest.raises(UnreadKeys) as refused:
        read_conversations(file)
    assert "rules is outside the rows" in refused.value.values["how"]
    assert len(read_conversations(file, Reading(ignore=("rules",)))) == 1


def test_a_table_without_names_that_begins_with_a_question_loses_no_row(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("How are you?,Fine.\nWhere?,In Rome.\nWhen?,At noon.\n", encoding="utf-8")
    assert turns(tmp_path / "t.csv")[0] == [("How are you?", "Fine.")]
    assert len(turns(tmp_path / "t.csv")) == 3
    header = find_header([["Frage?", "Antwort?"], ["q", "a"]])
    assert header and header.written


def test_cards_that_anki_exports_are_questions_and_answers(tmp_path: Path) -> None:
    text = (
        "#separator:tab\n#html:true\n#tags column:3\nCapital of Peru\tLima\tgeo\nRed in French\trouge\tlang\n"
    )
    (tmp_path / "cards.txt").write_text(text, encoding="utf-8")
    assert turns(tmp_path / "cards.txt") == [[("Capital of Peru", "Lima")], [("Red in French", "rouge")]]


def test_a_cell_of_several_lines_ends_them_as_everywhere(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b'question;answer\r\nWhen?;"At 9,\r\nalways"\r\n')
    assert turns(tmp_path / "t.csv") == [[("When?", "At 9,\nalways")]]


def test_rows_in_one_long_line_are_rows(tmp_path: Path) -> None:
    rows = [{"question": f"q{number}?", "answer": "a" * 200} for number in range(3000)]
    (tmp_path / "t.jsonl").write_text(" ".join(map(json.dumps, rows)), encoding="utf-8")
    assert len(turns(tmp_path / "t.jsonl")) == 3000

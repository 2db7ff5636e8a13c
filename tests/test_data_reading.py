"""Files of every kind opened: what they are, where their rows are; no broken place costs another row."""

import gzip
import io
import json
import os
import random
import resource
import zipfile
from pathlib import Path

import duckdb
import pandas
import pytest

from core.data.checking.block import Settings
from core.data.checking.check import check
from core.data.conversations import Turn
from core.data.formats.reading import Format
from core.data.opening import open_data, read_conversations, reading_of
from core.data.reading.keeping import forget_old
from core.data.reading.rows import layout
from core.data.reading.source import line_and_column
from core.data.reading.structure import whole_objects
from core.data.reading.tables import write_table
from core.errors import EmptyData, InputError, Unreadable
from core.workspace.data_paths import SourceCache
from tests.malformed import LINES, ROWS, Bad, malformed

CORPUS = {bad.name: bad for bad in malformed()}
MOST_MEMORY = 1_000_000  # kB


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "工作 区" / "a [b]*"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> SourceCache:
    return SourceCache(tmp_path / "缓 存")


def spans(text: str | bytes) -> list[str]:
    data = text if isinstance(text, bytes) else text.encode()
    return [data[start:end].decode() for start, end in layout(io.BytesIO(data), len(data)).spans.tolist()]


# --- the corpus ---


def test_the_corpus_is_large() -> None:
    assert len(CORPUS) >= 60


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", CORPUS)
def test_a_malformed_file_costs_only_what_is_broken(
    name: str, folder: Path, cache: SourceCache, model: Path
) -> None:
    bad, file = CORPUS[name], folder / name
    file.write_bytes(bad.content)
    before = most_memory()
    try:
        opened = open_data(file, cache)
        settings = Settings(model / "tokenizer.json", "qwen_chat", opened.format or Format("xtuner"))
        report = check(opened.source, settings, 512, cache, lambda _: None)
    except InputError as error:
        assert bad.usable is None, error
        assert name in error.text("en") and name in error.text("zh")
    else:
        _judge(bad, report.usable, set(report.findings.counts))
        for finding in report.findings.listed[:50]:
            assert finding.message("en") and finding.message("zh") != finding.message("en")
    assert most_memory() - before < MOST_MEMORY


def most_memory() -> int:
    """The most this process ever held, in kB: of all tests in it, so only its growth says anything."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _judge(bad: Bad, usable: int, codes: set[str]) -> None:
    assert usable == bad.usable or (bad.usable is None and codes)
    assert bad.codes <= codes


# --- where rows are ---


@pytest.mark.parametrize("pretty", [None, 0, 3])
@pytest.mark.parametrize("size", [1, 2, 3000])
def test_the_splitter_finds_what_a_parser_finds(pretty: int | None, size: int) -> None:
    chance = random.Random(size)
    texts = ['a"b', "c\\", "{[", "]}", '\\\\"', "张伟🙂", "", "x" * 5000]
    rows = [
        {"k": chance.choices(texts, k=3), "n": {"m": [1, [2]]}, "x": chance.choice(texts)}
        for _ in range(size)
    ]
    assert [json.loads(one) for one in spans(json.dumps(rows, indent=pretty))] == rows
    assert [json.loads(one) for one in spans("\n".join(map(json.dumps, rows)))] == rows


@pytest.mark.parametrize("seed", range(30))
def test_any_cut_or_change_leaves_the_rows_before_it(seed: int) -> None:
    """A byte lost, doubled or changed anywhere costs at most the row it was in and, cut, those behind."""
    chance = random.Random(seed)
    rows = [
        json.dumps({"conversation": [{"input": f"q{n}", "output": 'a "quoted" {word}'}]}) for n in range(12)
    ]
    text = "[" + ",\n ".join(rows) + "]"
    place = chance.randrange(len(text))
    damaged = (
        text[:place] + chance.choice(("", text[place] * 2, chance.choice('"{}[],:x\\'))) + text[place + 1 :]
    )
    found = spans(damaged)
    assert sum(row in found for row in rows) >= 11


def test_objects_in_one_block() -> None:
    block = b'{"a": "}{"}, {"b": [{}]} , {"c"'
    assert whole_objects(block).tolist() == [[0, 11], [13, 24]]
    assert whole_objects(b"").tolist() == [] and whole_objects(b"[1]").tolist() == []


def test_a_list_inside_an_object_is_opened() -> None:
    assert spans('{"data": [{"a": 1}, {"a": 2}], "version": "1.0"}') == ['{"a": 1}', '{"a": 2}']


def test_line_and_column_count_characters(folder: Path) -> None:
    file = folder / "x"
    file.write_bytes("\ufeff张伟x\nab".encode())
    assert line_and_column(file, [9, 11, 3]) == {3: (1, 1), 9: (1, 3), 11: (2, 1)}


# --- kinds of files ---

TABLE = [("你是谁？", "我是张伟的助手"), ('say "hi", please', "hi\nthere"), ("third", "row")]


def turns(file: Path, *columns: str) -> list[tuple[str, str]]:
    return [(turn.input, turn.output) for (turn,) in read_conversations(file, reading_of(None, columns))]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "semi.csv", "a.csv.gz", "gbk.csv"])
def test_text_tables(name: str, folder: Path) -> None:
    frame = pandas.DataFrame(TABLE, columns=["question", "answer"])
    separator = "\t" if name == "a.tsv" else ";" if name == "semi.csv" else ","
    encoding = "gb18030" if name == "gbk.csv" else "utf-8-sig"
    text = frame.to_csv(index=False, sep=separator).encode(encoding)
    (folder / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    assert turns(folder / name) == TABLE


def test_parquet_by_mapping_and_with_messages(folder: Path) -> None:
    frame = pandas.DataFrame(TABLE, columns=["ask", "say"])
    frame.to_parquet(folder / "a.parquet")
    assert turns(folder / "a.parquet", "user=ask", "assistant=say") == TABLE
    with duckdb.connect() as connection:
        said = "[{'role': 'user', 'content': 'q'}, {'role': 'assistant', 'content': 'a'}]"
        connection.execute(
            f"COPY (SELECT {said} AS messages) TO '{folder.parent / 'm.parquet'}' (FORMAT parquet)"
        )
    assert turns(folder.parent / "m.parquet") == [("q", "a")]


def test_a_workbook(folder: Path) -> None:
    frame = pandas.DataFrame([*TABLE, (42, 1.5)], columns=["question", "answer"])
    frame.to_excel(folder / "表 格.xlsx", index=False)
    assert turns(folder / "表 格.xlsx") == [*TABLE, ("42", "1.5")]


def test_columns_of_one_name_stay_apart(folder: Path) -> None:
    (folder / "a.csv").write_text("a,a,\n1,2,3\n", encoding="utf-8")
    assert turns(folder / "a.csv", "user=a", "assistant=a (2)") == [("1", "2")]


def test_a_folder_of_files(folder: Path, cache: SourceCache) -> None:
    (folder / "b.jsonl").write_text("\n".join(LINES[:3]), encoding="utf-8")
    (folder / "a.json").write_text(json.dumps(ROWS[3:5]), encoding="utf-8")
    (folder / "sub").mkdir()
    (folder / "sub" / "c.csv").write_text("prompt,response\nq,a\n", encoding="utf-8")
    for left_out in (".hidden.json", "notes.txt"):
        (folder / left_out).write_text("x", encoding="utf-8")
    (folder / "link.json").symlink_to("/etc/passwd")
    opened = open_data(folder, cache)
    assert len(opened.source) == 6 and opened.source.container == "csv + json + jsonl"
    assert [row.number for row in opened.page(1, 3)] == [2, 3, 4]
    assert opened.rows([6, 99])[0].conversation == (Turn("q", "a"),)


def test_places_without_data(folder: Path, cache: SourceCache) -> None:
    with pytest.raises(EmptyData):
        open_data(folder, cache)
    with pytest.raises(Unreadable):
        open_data(Path("/"), cache)


FRENCH = "Où êtes-vous, s'il vous plaît? Là-bas."


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *(
            ("你是谁？我是助手。", name)
            for name in ("utf-8", "utf-8-sig", "gb18030", "gbk", "utf-16", "utf-16-le")
        ),
        *((FRENCH, name) for name in ("utf-8", "latin-1", "utf-16-be")),
    ],
)
def test_encodings(text: str, encoding: str, folder: Path) -> None:
    row = {"conversation": [{"input": text, "output": text * 20}]}
    (folder / "x.json").write_bytes(json.dumps([row], ensure_ascii=False).encode(encoding))
    assert read_conversations(folder / "x.json") == [(Turn(text, text * 20),)]


# --- looking again ---


def test_a_second_look_reads_what_was_kept(folder: Path, cache: SourceCache) -> None:
    file = folder / "x.jsonl"
    file.write_text("\n".join(LINES), encoding="utf-8")
    first = open_data(file, cache)
    assert [row.conversation for row in open_data(file, cache).page(0, 8)] == [
        r.conversation for r in first.page(0, 8)
    ]
    file.write_text("\n".join(LINES[:2]), encoding="utf-8")
    os.utime(file, ns=(1, 1))
    assert len(open_data(file, cache).source) == 2


def test_what_is_of_no_use_for_a_month_is_forgotten(folder: Path, cache: SourceCache) -> None:
    for name in ("old.jsonl", "new.jsonl"):
        (folder / name).write_text("\n".join(LINES), encoding="utf-8")
        open_data(folder / name, cache)
    old, new = sorted(cache.entries(), key=lambda entry: entry.stat().st_mtime)
    block = cache.block("a", "bc")
    block.parent.mkdir(parents=True)
    block.touch()
    for kept in (old, new, block):
        os.utime(kept, (1, 1))
    open_data(folder / "new.jsonl", cache)
    forget_old(cache)
    assert [*cache.entries()] == [new] and not block.exists()


def test_damage_of_what_was_kept_is_made_again(folder: Path, cache: SourceCache) -> None:
    file = folder / "x.jsonl"
    file.write_text("\n".join(LINES), encoding="utf-8")
    open_data(file, cache)
    for kept in cache.root.rglob("*.npy"):
        kept.unlink()
    assert len(open_data(file, cache).source) == 8


def test_a_zip_whose_compression_is_damaged(folder: Path, cache: SourceCache) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.jsonl", b"hello world " * 1000)
    damaged = bytearray(out.getvalue())
    damaged[50:54] = bytes(255 - byte for byte in damaged[50:54])
    (folder / "a.zip").write_bytes(damaged)
    with pytest.raises(Unreadable):
        open_data(folder / "a.zip", cache)
    with pytest.raises(Unreadable):
        write_table(folder / "a.zip", "excel", folder / "rows")

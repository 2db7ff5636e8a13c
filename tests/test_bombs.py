"""Files of some kilobytes that would fill a memory or a disk, or take for ever: refused in words, and nothing
of them is left behind."""

import bz2
import gzip
import io
import lzma
import resource
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from core.data.documents.files import read_passages
from core.data.opening import open_data
from core.data.upload import keep_upload
from core.errors import NotADocument, Unreadable
from core.limited.call import Limits, OutOfMemory, OutOfTime, TooMuchWritten, call
from core.workspace.data_paths import SourceCache, cache_of, uploads_of
from core.workspace.paths import Workspace
from tests.limited_work import add, environment, fill, loop, refuse, write

MB = 1_000_000
SHEET = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>{rows}</sheetData></worksheet>'


def packed(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def workbook(rows: str, shared: str = "") -> bytes:
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    sheets = '<sheets><sheet name="a" sheetId="1" r:id="rId1"/></sheets>'
    book = f'<workbook xmlns="{main}" xmlns:r="{office}">{sheets}</workbook>'
    related = (
        f'<Relationships xmlns="{package}">'
        f'<Relationship Id="rId1" Type="{office}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="rId2" Type="{office}/sharedStrings" Target="sharedStrings.xml"/></Relationships>'
    )
    return packed(
        {
            "[Content_Types].xml": b"<Types/>",
            "_rels/.rels": (
                f'<Relationships xmlns="{package}">'
                f'<Relationship Id="rId1" Type="{office}/officeDocument" Target="xl/workbook.xml"/>'
                "</Relationships>"
            ).encode(),
            "xl/workbook.xml": book.encode(),
            "xl/_rels/workbook.xml.rels": related.encode(),
            "xl/sharedStrings.xml": f'<sst xmlns="{main}">{shared}</sst>'.encode(),
            "xl/worksheets/sheet1.xml": SHEET.format(rows=rows).encode(),
        }
    )


def repeated_text() -> bytes:
    """Rows that name one long text again and again."""
    cells = "".join(
        f'<row r="{n}"><c r="A{n}" t="s"><v>0</v></c><c r="B{n}" t="s"><v>1</v></c></row>'
        for n in range(2, 30_000)
    )
    named = (
        f'<c r="{at}1" t="inlineStr"><is><t>{name}</t></is></c>' for at, name in (("A", "q"), ("B", "a"))
    )
    head = f'<row r="1">{"".join(named)}</row>'
    return workbook(head + cells, f"<si><t>{'a' * 20_000}</t></si><si><t>b</t></si>")


def far_away() -> bytes:
    """One cell in each corner of the largest sheet there is."""
    first = '<row r="1"><c r="A1" t="inlineStr"><is><t>q</t></is></c></row>'
    return workbook(first + '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')


def parquet() -> bytes:
    """A column whose every row is the same long text, which a dictionary holds once."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    made, count = io.BytesIO(), 40_000
    text = pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), pa.array(["a" * 20_000]))
    pq.write_table(pa.table({"question": text, "answer": text}), made, compression="zstd")
    return made.getvalue()


def endless_nothing() -> bytes:
    """Twenty million rows of nothing: none is written, all are read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    made = io.BytesIO()
    pq.write_table(pa.table({"question": pa.nulls(20_000_000, pa.int32())}), made, compression="zstd")
    return made.getvalue()


def wide_header() -> bytes:
    return ",".join(f"c{n}" for n in range(12_000)).encode() + b"\n" + b"x\n" * 4000


def long_header() -> bytes:
    """Few columns with long names, each of which every row repeats."""
    names = ",".join(f"{n}{'c' * 30_000}" for n in range(2))
    return names.encode() + b"\n" + b"x,y\n" * 10_000


SPACES = b" " * 100 * MB
BOMBS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "parquet": ("parquet", parquet),
    "workbook": ("xlsx", repeated_text),
    "cells far away": ("xlsx", far_away),
    "many columns": ("csv", wide_header),
    "long names": ("csv", long_header),
    "gzip": ("jsonl.gz", lambda: gzip.compress(SPACES, 1)),
    "bzip2": ("jsonl.bz2", lambda: bz2.compress(SPACES, 1)),
    "xz": ("jsonl.xz", lambda: lzma.compress(SPACES, preset=0)),
    "zstd": ("jsonl.zst", lambda: zstandard.compress(SPACES, 1)),
    "zip": ("zip", lambda: packed({"a.jsonl": SPACES})),
    "packed in packed": (
        "zip",
        lambda: packed({f"{n}.jsonl.gz": gzip.compress(SPACES, 1) for n in range(3)}),
    ),
}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "工作 区")


def written(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder.exists() else 0


@pytest.mark.slow
@pytest.mark.parametrize("what", BOMBS)
def test_a_bomb_is_refused_and_leaves_nothing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr("core.data.reading.encodings.HARMLESS", 16 * MB)
    kind, make = BOMBS[what]
    content = make()
    assert len(content) < 4 * MB
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Unreadable) as refused:
        keep_upload(workspace, content, f"bomb.{kind}")
    said = refused.value.text("en")
    assert f"bomb.{kind}" in said and any(why in said for why in ("200 times", "GB of memory", "columns"))
    # In this process; a child has its own limits.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000
    assert written(uploads_of(workspace)) == 0 and written(cache_of(workspace).root) == 0
    assert not any(cache_of(workspace).entries())


@pytest.mark.slow
def test_rows_of_nothing_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.data.reading.tables.SECONDS", 0)
    file = tmp_path / "nothing.parquet"
    file.write_bytes(endless_nothing())
    with pytest.raises(Unreadable, match="seconds"):
        open_data(file, SourceCache(tmp_path / "cache"))


def document(table: str) -> bytes:
    main = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    return packed(
        {
            "[Content_Types].xml": (
                f'<Types xmlns="{package}/content-types"><Default Extension="rels" ContentType='
                '"application/vnd.openxmlformats-package.relationships+xml"/>'
                f'<Override PartName="/word/document.xml" ContentType="{kind}"/></Types>'
            ).encode(),
            "_rels/.rels": (
                f'<Relationships xmlns="{package}/relationships">'
                f'<Relationship Id="rId1" Type="{office}" Target="word/document.xml"/></Relationships>'
            ).encode(),
            "word/document.xml": (
                f'<w:document xmlns:w="{main}"><w:body>{table}</w:body></w:document>'
            ).encode(),
        }
    )


def test_a_document_that_takes_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell that spans two thousand million columns is read as often."""
    monkeypatch.setattr("core.data.documents.files.SECONDS", 0)
    cell = '<w:tc><w:tcPr><w:gridSpan w:val="2000000000"/></w:tcPr><w:p><w:r><w:t>x</w:t></w:r></w:p></w:tc>'
    file = tmp_path / "long.docx"
    file.write_bytes(document(f"<w:tbl><w:tr>{cell}</w:tr></w:tbl>"))
    assert file.stat().st_size < 5000
    with pytest.raises(NotADocument) as refused:
        read_passages(file)
    assert "long.docx" in refused.value.text("en")


def test_a_document_as_before(tmp_path: Path) -> None:
    file = tmp_path / "fine.docx"
    file.write_bytes(document("<w:p><w:r><w:t>We open at nine in the morning.</w:t></w:r></w:p>"))
    assert [passage.text for passage in read_passages(file)] == ["We open at nine in the morning."]


def test_a_call_within_its_limits() -> None:
    assert call(add, 1, 2, limits=Limits(5)) == 3
    with pytest.raises(OutOfTime):
        call(loop, limits=Limits(0.2))
    with pytest.raises(OutOfMemory):
        call(fill, limits=Limits(5, memory=1 << 27))
    with pytest.raises(Unreadable) as told:
        call(refuse, limits=Limits(5))
    assert told.value.values == {"path": "x", "reason": "y"}


def test_a_call_writes_no_more_than_it_may(tmp_path: Path) -> None:
    with pytest.raises(TooMuchWritten):
        call(write, str(tmp_path / "out"), limits=Limits(5, written=1000))
    assert (tmp_path / "out").stat().st_size <= 1000


def test_a_call_gets_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "LANGCHAIN_API_KEY", "HOME_TOKEN", "PYTHON_KEY"):
        monkeypatch.setenv(name, "hf_secret")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/a module's libraries")
    told = call(environment, limits=Limits(5))
    assert "hf_secret" not in told and "/a module's libraries" in told

"""A person's own documents as passages of text, each with the place it was taken from."""

import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from core.data.documents.web_page import markdown_of_page
from core.data.reading.encodings import read_encoding
from core.errors import NoSuchFile, NotADocument, Unreadable, reason_of
from core.limited.call import ChildFailed, Limits, OutOfMemory, OutOfTime, call
from core.wording import say

# Characters of a passage: a page's third, and with a question room for it in 2,048 tokens of Chinese.
LONGEST, SHORTEST = 1200, 20
LARGEST_FILE = 100_000_000
# What a DOCX, which is a zip, may say that it unpacks to; it may lie.
LARGEST_UNPACKED = 500_000_000
# What may be taken for a PDF or DOCX: seconds of a processor at the least and for each megabyte, and memory.
# 150 pages of text alone, 0.8 MB, take 10 s here; a slow processor takes several times as long.
# The longest text that may come of one is ten books.
SECONDS, SECONDS_A_MEGABYTE, MEMORY, LONGEST_TEXT = 30, 40, 2 << 30, 20_000_000
# What GB18030 reads without an error as other characters: Chinese of Taiwan and Hong Kong, and Japanese.
LIKE_GB18030 = {"big5", "big5hkscs", "cp950", "cp932", "shift_jis", "euc_jp"}
# Where a passage may end, the best first.
ENDS = (re.compile(r"\n\s*\n"), re.compile(r"\n"), re.compile(r"[。！？]|[.!?](?=\s)"), re.compile(r"\s"))


@dataclass(frozen=True)
class Page:
    """Some text of a document; ``number`` from 1 in a PDF, 0 where there are no pages."""

    number: int
    text: str


@dataclass(frozen=True)
class Passage:
    """A piece of a document: ``text`` is characters ``start`` to ``end`` of the page's text."""

    document: str
    page: int
    start: int
    end: int
    text: str

    @property
    def id(self) -> str:
        """The same text of the same document is the same passage."""
        return sha256(f"{self.document}\0{self.text}".encode()).hexdigest()[:16]


def read_passages(path: Path, name: str | None = None) -> list[Passage]:
    """A document's passages, in their order. ``name`` is what it is called, by default the file's name.

    Raises NoSuchFile, NotADocument for one that is not text, Markdown, PDF or DOCX or has no text in it.
    """
    name = name or path.name
    passages = [passage for page in _pages(path, name) for passage in _split(page, name)]
    if not passages:
        raise NotADocument(path=name, reason=say("document.no_text"))
    return passages


def read_markdown(path: Path, name: str | None = None) -> str:
    """A whole document as Markdown: headings, lists and tables of a DOCX as such, of a PDF its lines.

    Raises as :func:`read_passages` does.
    """
    return "\n\n".join(page.text for page in _pages(path, name or path.name))


def _pages(path: Path, name: str) -> list[Page]:
    kind = Path(name).suffix.lower().lstrip(".")
    try:
        size = path.stat().st_size
        if kind not in READERS:
            raise NotADocument(path=name, reason=say("document.kind", kinds=", ".join(READERS)))
        if size > LARGEST_FILE:
            raise NotADocument(path=name, reason=say("document.large", limit=LARGEST_FILE // 1_000_000))
        if kind in PACKED:
            return _read_packed(path, name, kind, Limits(SECONDS + SECONDS_A_MEGABYTE * size / 1e6, MEMORY))
        return _read_text(path, name, kind in WEB_PAGES)
    except FileNotFoundError as error:
        raise NoSuchFile(path=path) from error
    except OSError as error:
        raise NotADocument(path=name, reason=reason_of(error)) from error


def _read_packed(path: Path, name: str, kind: str, limits: Limits) -> list[Page]:
    """In a child: a PDF or DOCX of some kilobytes can take a program that reads it any time and memory."""
    try:
        return [Page(*page) for page in call(PACKED[kind], str(path.absolute()), name, limits=limits)]
    except OutOfTime as error:
        reason = say("document.slow", seconds=round(limits.seconds))
        raise NotADocument(path=name, reason=reason) from error
    except OutOfMemory as error:
        raise NotADocument(path=name, reason=say("document.bomb")) from error
    except ChildFailed as error:
        raise NotADocument(path=name, reason=say("document.damaged", kind=kind.upper())) from error


def _read_text(path: Path, name: str, is_page: bool) -> list[Page]:
    content = path.read_bytes()
    for encoding in _encodings(path, content):
        with suppress(UnicodeDecodeError):
            text = _plain(content.decode(encoding))
            return [Page(0, markdown_of_page(text, _table) if is_page else text)]
    raise NotADocument(path=name, reason=say("document.encoding"))


def _encodings(path: Path, content: bytes) -> Iterator[str]:
    """In which the text may be, the likeliest first."""
    yield "utf-8-sig"
    if content[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        yield "utf-16"
        return
    with suppress(Unreadable):
        if (likely := read_encoding(path).text) in LIKE_GB18030:
            yield likely
    yield "gb18030"


def read_pdf(path: str, name: str) -> list[tuple[int, str]]:
    """Text as it is stored in the PDF, by pages; a scanned one has none. Raises NotADocument, and whatever a
    damaged file makes pypdf trip over."""
    import pypdf

    reader = pypdf.PdfReader(path)
    if reader.is_encrypted and not reader.decrypt(""):
        raise NotADocument(path=name, reason=say("document.password"))
    texts = _limited((page.extract_text() for page in reader.pages), name)
    return [(number, _plain(text)) for number, text in enumerate(texts, 1)]


def read_docx(path: str, name: str) -> list[tuple[int, str]]:
    """Headings, paragraphs, list items and tables, in their order, as Markdown. Raises NotADocument, and
    whatever a damaged file makes python-docx and lxml trip over."""
    import docx

    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > LARGEST_UNPACKED:
        raise NotADocument(path=name, reason=say("document.large", limit=LARGEST_UNPACKED // 1_000_000))
    return [(0, _plain("\n\n".join(_limited(_blocks(docx.Document(path)), name))))]


def _limited(texts: Iterable[str], name: str) -> Iterator[str]:
    left = LONGEST_TEXT
    for text in texts:
        left -= len(text)
        if left < 0:
            raise NotADocument(path=name, reason=say("document.bomb"))
        yield text


def _blocks(document: "docx.document.Document") -> Iterator[str]:  # type: ignore[name-defined]  # noqa: F821
    for block in document.iter_inner_content():
        if hasattr(block, "rows"):
            yield _table(
                [[" ".join(cell.text.replace("|", "/").split()) for cell in row.cells] for row in block.rows]
            )
            continue
        style = (block.style.name if block.style else "") or ""
        if style == "Title" and block.text.strip():
            yield f"# {' '.join(block.text.split())}"
        elif heading := re.fullmatch(r"Heading (\d)", style):
            yield f"{'#' * int(heading[1])} {block.text}"
        else:
            yield f"- {block.text}" if style.startswith("List") and block.text.strip() else block.text


def _table(rows: list[list[str]]) -> str:
    """A table; a first cell over its whole width is what it is about, and of two columns then no header is
    left."""
    title = ""
    if len(rows) > 1 and len(rows[0]) > 1 and rows[0][0] and len({*rows[0]}) == 1:
        title, rows = f"{rows[0][0].rstrip(':：')}:\n\n", rows[1:]
        if len(rows[0]) == 2:
            return title + "\n".join(f"- {key}: {value}" for key, value in rows if key or value)
    if not rows:
        return ""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return title + "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def _plain(text: str) -> str:
    """Without what no training text may hold: control characters and half characters."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return re.sub("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffd]", "", text)


def _split(page: Page, document: str) -> Iterator[Passage]:
    """Cut at ends of paragraphs where one is near enough, else of lines, sentences, words."""
    start, text = 0, page.text
    while start < len(text):
        end = len(text) if len(text) - start <= LONGEST else _end(text, start)
        piece = text[start:end]
        lead = len(piece) - len(piece.lstrip())
        said = piece.strip()
        if len(said) >= SHORTEST:
            yield Passage(document, page.number, start + lead, start + lead + len(said), said)
        start = end


def _end(text: str, start: int) -> int:
    """Where a passage that begins at ``start`` ends: in the second half of what it may have."""
    for pattern in ENDS:
        found = [match.end() for match in pattern.finditer(text, start + LONGEST // 2, start + LONGEST)]
        if found:
            return found[-1]
    return start + LONGEST


PACKED: Mapping[str, Callable[[str, str], list[tuple[int, str]]]] = {"pdf": read_pdf, "docx": read_docx}
WEB_PAGES = ("html", "htm")
READERS = ("txt", "md", "markdown", *PACKED, *WEB_PAGES)

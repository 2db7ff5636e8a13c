"""A saved web page as Markdown: its headings, paragraphs, lists and tables; what a page has around its text
(menus, scripts, forms) is left out."""

import re
from collections.abc import Callable
from html.parser import HTMLParser

_LEFT_OUT = frozenset(
    ("script", "style", "noscript", "template", "svg", "head", "nav", "form", "select", "button", "iframe")
)
_BLOCKS = frozenset(
    ("p", "div", "section", "article", "main", "header", "footer", "aside", "address", "blockquote", "pre")
) | {"ul", "ol", "dl", "dt", "dd", "figure", "figcaption", "details", "summary", "hr", "body"}
_HEADING = re.compile(r"h([1-6])")
_CELLS = frozenset(("td", "th"))


def markdown_of_page(text: str, table: Callable[[list[list[str]]], str]) -> str:
    """``table`` writes one of rows of cells."""
    reader = _PageReader(table)
    reader.feed(text)
    reader.close()
    reader.end_block()
    return "\n\n".join(reader.blocks)


class _PageReader(HTMLParser):
    """Fed with a page, it has its ``blocks`` of Markdown in their order."""

    def __init__(self, table: Callable[[list[list[str]]], str]) -> None:
        super().__init__(convert_charrefs=True)
        self.blocks: list[str] = []
        self._written, self._said = table, list[str]()
        self._mark = ""
        self._hidden: list[str] = []
        self._rows: list[list[str]] | None = None

    def handle_starttag(self, tag: str, _: list[tuple[str, str | None]]) -> None:
        if tag in _LEFT_OUT:
            self._hidden.append(tag)
        elif tag == "br":
            self._said.append(" " if self._rows is not None else "\n")
        elif tag == "table":
            self.end_block()
            self._rows = []
        elif self._rows is not None:
            self._in_table(tag, self._rows)
        elif heading := _HEADING.fullmatch(tag):
            self._begin("#" * int(heading[1]) + " ")
        elif tag == "li":
            self._begin("- ")
        elif tag in _BLOCKS:
            self._begin(self._mark if self._mark and not self._text() else "")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:
            while self._hidden.pop() != tag:
                pass
        elif tag == "table" and self._rows is not None:
            self._end_table()
        elif self._rows is None and (tag == "li" or tag in _BLOCKS or _HEADING.fullmatch(tag)):
            self.end_block()

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._said.append(re.sub(r"\s+", " ", data))

    def end_block(self) -> None:
        """What was said since the last one is a block."""
        if said := self._text():
            self.blocks.append(self._mark + (said if not self._mark else " ".join(said.split())))
        self._said.clear()
        self._mark = ""

    def _begin(self, mark: str) -> None:
        self.end_block()
        self._mark = mark

    def _text(self) -> str:
        lines = (" ".join(line.split()) for line in "".join(self._said).split("\n"))
        return "\n".join(filter(None, lines))

    def _in_table(self, tag: str, rows: list[list[str]]) -> None:
        if tag == "tr":
            self._end_cell()
            rows.append([])
        elif tag in _CELLS:
            self._end_cell()
            if not rows:
                rows.append([])
            rows[-1].append("")
        else:
            self._said.append(" ")

    def _end_cell(self) -> None:
        if self._rows and self._rows[-1]:
            self._rows[-1][-1] += " ".join("".join(self._said).replace("|", "/").split())
        self._said.clear()

    def _end_table(self) -> None:
        self._end_cell()
        rows = [row for row in self._rows or () if any(row)]
        self._rows = None
        width = max(map(len, rows), default=0)
        if rows:
            self.blocks.append(self._written([row + [""] * (width - len(row)) for row in rows]))

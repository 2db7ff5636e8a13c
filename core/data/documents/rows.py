"""Questions and answers made of a document's own structure, without anybody's model.

What a list says of a dish, a table's cell, a line ``Opening hours: 10 to 22``, a question with its answer and
the text below a heading each become a fact, and a fact is asked in several wordings. Nothing is made up:
every answer is the document's own words. What cannot be asked for is listed, not passed over.
"""

import re
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from core.data.documents.bare_prices import prices_in
from core.data.documents.blocks import Reader
from core.data.documents.edited import EDITED, read_edited
from core.data.documents.facts import DocumentRows
from core.data.documents.files import read_markdown
from core.data.documents.markdown import as_markdown
from core.data.documents.questions import asked_naturally, told_apart
from core.data.documents.wordings import usual_title, wordings_for
from core.data.drafts import language_of
from core.data.identity import IdentityLanguage
from core.data.text_data import is_data
from core.errors import NotADocument
from core.wording import say

# Ends of file names.
TEXTS = {".md", ".markdown", ".txt"}
DOCUMENTS = {*TEXTS, ".pdf", ".docx", ".html", ".htm", EDITED}
# A text of more bytes is data: nobody's menu is as long as four novels, and to take it for Markdown costs a
# second a megabyte.
LARGEST_TEXT = 3_000_000
_HASH = re.compile(r"[0-9a-f]{32,}")


def read_rows_of(path: Path, name: str | None = None) -> DocumentRows:
    """The facts of a document, in its own language, or as a person has changed them. ``name``: what it is
    called, by default the file's name.

    Raises NoSuchFile, NotADocument for one that cannot be read or of which no question can be made.
    """
    name = name or path.name
    if path.suffix == EDITED:
        return _asked_of(read_edited(path), name)
    return _asked_of(_made_of(read_markdown(path, name), name), name)


def _made_of(text: str, name: str) -> DocumentRows:
    language, title = language_of(text), Path(name).stem
    if _HASH.fullmatch(title):  # it came through the page
        title = usual_title(language)
    return document_rows(text, title, language)


def _asked_of(found: DocumentRows, name: str) -> DocumentRows:
    if not found.facts:
        raise NotADocument(path=name, reason=say("document.no_facts"))
    return found


def document_of(path: Path, wanted: bool | None = None) -> DocumentRows | None:
    """The facts of a file that is a document; None for data. A text is one unless it is a dialogue, a log or
    a program, or long and without any structure, or a person has said (``wanted``) which it is. A text that
    cannot be read as a document may still be data.

    Raises as :func:`read_rows_of` does.
    """
    kind = path.suffix.lower()
    if kind not in DOCUMENTS or path.is_dir():
        return None
    if kind not in TEXTS or wanted:
        return read_rows_of(path)
    if wanted is False or (path.exists() and path.stat().st_size > LARGEST_TEXT):
        return None
    try:
        text = read_markdown(path)
    except NotADocument:
        return None
    if is_data(text):
        return None
    found = _made_of(text, path.name)
    if found.is_one_text or (not found.facts and any(one.text for one in found.unused)):
        return None
    return _asked_of(found, path.name)


def document_rows(text: str, title: str, language: IdentityLanguage) -> DocumentRows:
    """The facts of a Markdown text; ``title`` is what it is about as long as no heading says it."""
    # Text that is set in by blanks is text: nobody writes code into a menu that way.
    text = as_markdown(text, language, title)
    tree = SyntaxTreeNode(MarkdownIt("commonmark").enable("table").disable("code").parse(text))
    words = wordings_for(text, language)
    reader = Reader(words, title, prices_in(text))
    reader.read(tree.children)
    facts = asked_naturally([*told_apart(reader.facts, words)], words)
    return DocumentRows(tuple(facts), tuple(reader.unused))

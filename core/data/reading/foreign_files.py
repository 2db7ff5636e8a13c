"""Files that hold neither data nor text that is read here: what they are, and what to do instead."""

import codecs
from pathlib import Path, PurePath

from core.errors import NotReadHere
from core.wording import say

# By the end of its name, what a file is: a part of the key of the sentence that says what to do.
_KINDS = {
    "settings": ("yaml", "yml", "toml", "ini", "xml"),
    "web_page": ("html", "htm"),
    "web_archive": ("mhtml", "mht", "webarchive"),
    "text_program": ("doc", "odt", "rtf", "pages", "wps"),
    "slides": ("ppt", "pptx", "key", "odp"),
    "book": ("epub", "mobi", "azw3"),
    "picture": ("png", "jpg", "jpeg", "gif", "webp", "bmp", "heic", "tiff"),
    "recording": ("mp3", "wav", "m4a", "ogg", "mp4", "mov", "avi", "mkv"),
    "table_program": ("numbers", "et"),
    "archive": ("rar", "7z", "tar", "tgz"),
    "database": ("mdb", "accdb", "sql"),
    "mail": ("eml", "msg"),
}
_OF_END = {end: kind for kind, ends in _KINDS.items() for end in ends}


def kind_by_content(path: Path, name: str) -> str:
    """As what a file begins whose ``name`` does not say what it is: "txt" or "json". Raises NotReadHere for
    neither."""
    begins = _begins(path)
    wide = begins.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if b"\0" in begins and not wide:
        raise NotReadHere(path=name, reason=say("file.foreign.unknown"))
    return "json" if not begins or begins.startswith((b"{", b"[")) else "txt"


def refuse_foreign(path: Path, name: str = "") -> None:
    """Raises NotReadHere for a file whose ``name`` (its own, by default) says that it is of such a kind; not
    for one that holds JSON all the same."""
    end = PurePath(name or path.name).suffix.lower().removeprefix(".")
    kind = _OF_END.get(end)
    if kind is None or not path.is_file():
        return
    begins = _begins(path)
    if begins.startswith(b"{\\rtf") or not begins.startswith((b"{", b"[{")):
        raise NotReadHere(path=name or path, reason=say(f"file.foreign.{kind}", end=end))


def _begins(path: Path) -> bytes:
    """A file's first bytes, without the mark of UTF-8 and blanks."""
    with path.open("rb") as stream:
        return stream.read(4096).removeprefix(codecs.BOM_UTF8).lstrip()

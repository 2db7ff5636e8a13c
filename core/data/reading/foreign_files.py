"""Files that hold neither data nor text that is read here: what they are, and what to do instead."""

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
}
_OF_END = {end: kind for kind, ends in _KINDS.items() for end in ends}


def refuse_foreign(path: Path, name: str = "") -> None:
    """Raises NotReadHere for a file whose ``name`` (its own, by default) says that it is of such a kind; not
    for one that holds JSON all the same."""
    end = PurePath(name or path.name).suffix.lower().removeprefix(".")
    kind = _OF_END.get(end)
    if kind is None or not path.is_file():
        return
    with path.open("rb") as stream:
        begins = stream.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    if not begins.startswith((b"{", b"[{")):
        raise NotReadHere(path=name or path, reason=say(f"file.foreign.{kind}", end=end))

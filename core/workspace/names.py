"""Names: of folders made from any text, and of those that somebody else made."""

import os
import re
import unicodedata
from contextlib import suppress
from pathlib import Path

from core.wording import say

SLUG_BYTES = 48


def slug(text: str) -> str:
    """A safe folder name from any text: letters and digits of any script, joined by ``-``.

    At most 48 bytes of UTF-8, never empty, never with a separator or a leading dot.
    """
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text))
    joined = "-".join(words).lower().encode()[:SLUG_BYTES].decode(errors="ignore").strip("-")
    return joined or "assistant"


def unusable(folder: Path) -> str:
    """Why a folder cannot be read, as a part of a sentence; empty where it can."""
    if shown_name(folder) != folder.name:
        return say("file.odd_name")
    return "" if os.access(folder, os.R_OK | os.X_OK) else say("file.EACCES")


def shown_name(path: Path) -> str:
    """A file's name as text, whatever its bytes are: those that are no UTF-8 show as "�"."""
    return os.fsencode(path.name).decode("utf-8", "replace")


def is_open(folder: str) -> bool:
    """Whether :func:`unusable` has nothing to say, for a path as text."""
    with suppress(UnicodeEncodeError):
        return bool(folder.encode()) and os.access(folder, os.R_OK | os.X_OK)
    return False


def folders_in(parent: Path) -> list[str]:
    """The names of the folders in one, but for hidden ones; none where it is not there."""
    with suppress(FileNotFoundError), os.scandir(parent) as found:
        return [entry.name for entry in found if not entry.name.startswith(".") and _is_folder(entry)]
    return []


def is_entry(name: str) -> bool:
    """Whether a text can be the name of something right in a folder, and not hidden."""
    return bool(name) and name[0] != "." and os.sep not in name and "\0" not in name


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    """Also behind a link; one that leads round in a circle is none."""
    with suppress(OSError):
        return entry.is_dir()
    return False

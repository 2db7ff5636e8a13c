"""A ZIP of data files: each is written out under a number, never under the name it has there."""

import lzma
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from core.data.reading.encodings import BLOCK, MOST_EXPANSION, most_bytes
from core.errors import NoDataFiles, OnlyTexts, Unreadable
from core.wording import say
from core.workspace.paths import make_folder

MOST_MEMBERS = 10_000
# Of a folder or an archive texts are no data: each is read where it is named itself.
TEXTS = {".txt", ".md", ".markdown"}
# So many of them are named.
NAMED = 8
# What a workbook and an OpenDocument table are made of.
_WORKBOOK = {"[Content_Types].xml", "mimetype"}


def is_archive(path: Path) -> bool:
    """Whether a file is a ZIP, and no workbook."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        if stream.read(4) != b"PK\x03\x04":
            return False
    try:
        with zipfile.ZipFile(path) as archive:
            return not _WORKBOOK & set(archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def texts_in(path: Path) -> list[str]:
    """The names of the texts in an archive, which are documents and no data; none of any other file."""
    if path.suffix.lower() != ".zip" or not is_archive(path):
        return []
    with zipfile.ZipFile(path) as archive:
        return sorted(one.filename for one in archive.infolist() if _is_wanted(one, _is_text))


def _is_text(name: PurePosixPath) -> bool:
    return name.suffix.lower() in TEXTS


def write_members(
    path: Path, folder: Path, wanted: Callable[[PurePosixPath], bool], kinds: str
) -> dict[str, str]:
    """Write the ``wanted`` files of an archive into ``folder``; returns {name there: name in the archive}.

    Raises Unreadable for a damaged, locked or too large one, NoDataFiles where it holds none; ``kinds`` says
    what would be one.
    """
    make_folder(folder, exist_ok=True)
    left = most_bytes(path.stat().st_size)
    names: dict[str, str] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if _is_wanted(member, wanted)]
            if len(members) > MOST_MEMBERS:
                raise Unreadable(path=path, reason=say("file.large_folder", limit=MOST_MEMBERS))
            for number, member in enumerate(sorted(members, key=lambda one: one.filename)):
                own = f"{number}{''.join(PurePosixPath(member.filename).suffixes[-2:])}"
                left -= _write(archive, member, folder / own, left)
                if left < 0:
                    raise Unreadable(path=path, reason=say("file.bomb", times=MOST_EXPANSION))
                names[own] = member.filename
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError) as error:
        raise Unreadable(path=path, reason=say("file.damaged_archive", kind="zip")) from error
    except RuntimeError as error:  # a password is asked for
        raise Unreadable(path=path, reason=say("file.locked_archive")) from error
    if not names:
        if texts := texts_in(path):
            raise OnlyTexts(path=path, count=len(texts), names=say("row.list").join(texts[:NAMED]))
        raise NoDataFiles(path=path, kinds=kinds)
    return names


def _is_wanted(member: zipfile.ZipInfo, wanted: Callable[[PurePosixPath], bool]) -> bool:
    name = PurePosixPath(member.filename)
    hidden = any(part.startswith((".", "__MACOSX")) and part.strip(".") for part in name.parts)
    return not member.is_dir() and not hidden and wanted(name)


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, most: int) -> int:
    """Write one file; returns its size, or a number over ``most`` as soon as it is larger."""
    written = 0
    with archive.open(member) as source, target.open("wb") as out:
        while written <= most and (block := source.read(BLOCK)):
            written += len(block)
            out.write(block)
    return written

"""Data files in the workspace: uploaded ones, and the versions that mending makes of them.

Each is kept under the hash of what it says; beside it stands what it is called and what it was made from.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath

from core.data.documents.edited import EDITED, read_edited, write_edited
from core.data.documents.facts import DocumentRows
from core.data.documents.files import read_markdown
from core.data.documents.rows import DOCUMENTS
from core.data.opening import open_data
from core.data.reading.archives import TEXTS
from core.data.reading.encodings import opened
from core.data.reading.foreign_files import kind_by_content, refuse_foreign
from core.data.reading.source import ARCHIVES, PACKED, SUFFIXES, files_of
from core.errors import EmptyData, InputError
from core.workspace.data_paths import cache_of, upload_about, uploads_of
from core.workspace.files import read_json, write_json
from core.workspace.paths import DataPaths, Workspace, make_folder

# What stands for a finding's code where a person has changed a document's questions and answers.
EDITED_BY_HAND = "edited"


@dataclass(frozen=True)
class Upload:
    """A kept file: the hash of its content, the end of its file name, what a person calls it, its rows.

    ``parent`` is the hash of the version that it was made from, by mending ``fix`` (a finding's code, or that
    it was edited by hand); both are empty for a file as it was given.
    """

    digest: str
    kind: str
    name: str
    rows: int
    parent: str = ""
    fix: str = ""


def keep_upload(workspace: Workspace, content: bytes, name: str) -> Upload:
    """Keep a file that has rows, with whatever faults. ``name`` tells the kind of file, and is shown.

    Raises NotReadHere, Unreadable, EmptyData, NotWritable, OSError. A file that is refused is not kept.
    """
    with _unnamed(workspace) as unchecked:
        unchecked.write_bytes(content)
        return _keep(workspace, unchecked, _about(unchecked, PurePath(name).name))


def keep_document(workspace: Workspace, content: bytes, name: str) -> Upload:
    """Keep a document, which has text and no rows; not one that is refused. Raises NotReadHere, NotADocument,
    NotWritable, OSError."""
    with _unnamed(workspace) as unchecked:
        unchecked.write_bytes(content)
        if f".{suffix_of(name)}" not in DOCUMENTS:
            refuse_foreign(unchecked, PurePath(name).name)
        if f".{suffix_of(name)}" == EDITED:
            read_edited(unchecked)
        else:
            read_markdown(unchecked, name)
        kept = Upload(hashlib.sha256(content).hexdigest(), suffix_of(name), PurePath(name).name, 0)
        unchecked.replace(file_of(workspace, kept))
    _tell(workspace, kept)
    return kept


def keep_edited(workspace: Workspace, parent: Upload, document: DocumentRows) -> Upload:
    """Keep a document as a person has changed its questions and answers, as a version of ``parent``. Raises
    NotWritable, OSError."""
    with _unnamed(workspace) as unchecked:
        write_edited(unchecked, document)
        digest = hashlib.sha256(unchecked.read_bytes()).hexdigest()
        kept = Upload(digest, EDITED.removeprefix("."), parent.name, 0, parent.digest, EDITED_BY_HAND)
        unchecked.replace(file_of(workspace, kept))
    _tell(workspace, kept)
    return kept


def keep_file(workspace: Workspace, given: Path) -> Upload:
    """Keep a copy of a file that lies on this machine. Raises as :func:`keep_upload` does, and NoSuchFile."""
    with _unnamed(workspace) as unchecked:
        with opened(given) as source, unchecked.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
        return _keep(workspace, unchecked, _about(unchecked, given.name))


def keep_version(workspace: Workspace, parent: Upload, lines: Iterable[str], fix: str) -> Upload:
    """Keep what mending ``parent`` has made. Raises EmptyData when nothing is left, NotWritable, OSError."""
    with _unnamed(workspace) as unchecked:
        with unchecked.open("w", encoding="utf-8", newline="\n") as out:
            out.writelines(f"{line}\n" for line in lines)
        return _keep(workspace, unchecked, Upload("", "jsonl", parent.name, 0, parent.digest, fix))


def _about(file: Path, name: str) -> Upload:
    """What is known of a new file by its ``name``, and where that says nothing by how it begins. Raises
    NotReadHere."""
    refuse_foreign(file, name)
    kind = suffix_of(name)
    if kind == "json" and not name.lower().endswith(".json"):
        kind = kind_by_content(file, name)
    return Upload("", kind, name, 0)


def _keep(workspace: Workspace, file: Path, about: Upload) -> Upload:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    path = workspace.upload(digest, about.kind)
    new = not path.exists()
    if new:
        file.replace(path)
    try:
        source = open_data(path, cache_of(workspace)).source
        if not len(source) and not any(part.refused for part in source.parts):
            raise EmptyData(path=about.name)
    except BaseException as error:
        if isinstance(error, InputError):
            error.values["path"] = about.name
        if new:
            path.unlink(missing_ok=True)
        raise
    kept = Upload(digest, about.kind, about.name, len(source), about.parent, about.fix)
    _tell(workspace, kept)
    return kept


def _tell(workspace: Workspace, kept: Upload) -> None:
    """Write what is known of it. A version that says what an earlier one said is that one: its own parents
    stay."""
    known = find_upload(workspace, kept.digest)
    if known is None or not known.parent:
        write_json(upload_about(workspace, kept.digest), asdict(kept))


def find_upload(workspace: Workspace, digest: str) -> Upload | None:
    """The kept file with this hash."""
    found = read_json(upload_about(workspace, digest))
    return Upload(**found) if isinstance(found, dict) else None


def file_of(workspace: Workspace, kept: Upload) -> Path:
    """Where a kept file is."""
    return workspace.upload(kept.digest, kept.kind)


def keep_given(place: DataPaths, given: Path) -> list[dict[str, str]]:
    """Copy what was given, a file or a folder's data files, beside the data that is made of it.

    Returns each one's name, SHA-256 and copy. Raises OSError.
    """
    kept = []
    for number, file in enumerate(files_of(given), 1):
        copy = place.given(number, suffix_of(file.name))
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
        with copy.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        kept.append({"file": str(file), "sha256": digest, "copy": str(copy)})
    return kept


def suffix_of(name: str) -> str:
    """The end of a file's name that tells what it is, of the known ones: "csv", "jsonl.gz", else "json"."""
    suffixes = [suffix.lower() for suffix in PurePath(name).suffixes[-2:]]
    packed = suffixes.pop() if suffixes and suffixes[-1] in PACKED else ""
    kind = suffixes[-1] if suffixes and suffixes[-1] in SUFFIXES | TEXTS | ARCHIVES | DOCUMENTS else ".json"
    return (kind + packed).removeprefix(".")


@contextmanager
def _unnamed(workspace: Workspace) -> Iterator[Path]:
    """A new file in the room of uploads, gone in the end unless it was renamed."""
    folder = uploads_of(workspace)
    make_folder(folder, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=".", dir=folder)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)

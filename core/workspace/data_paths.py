"""Where data files lie that came from outside, and what was found out about them."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.workspace.names import slug
from core.workspace.paths import Workspace


@dataclass(frozen=True)
class SourceEntry:
    """What is kept about one data file as it was at one time."""

    folder: Path

    @property
    def about(self) -> Path:
        """Its container, encoding and broken places."""
        return self.folder / "about.json"

    @property
    def spans(self) -> Path:
        """Where each row begins and ends."""
        return self.folder / "spans.npy"

    @property
    def plain(self) -> Path:
        """Its rows as plain UTF-8, where the file itself is something else."""
        return self.folder / "rows.txt"

    @property
    def table(self) -> Path:
        """A table's rows while they are written."""
        return self.folder / ".table"

    @property
    def given(self) -> Path:
        """What came through a pipe."""
        return self.folder / "given"

    @property
    def members(self) -> Path:
        """The data files of an archive, by number."""
        return self.folder / "members"


@dataclass(frozen=True)
class CheckPaths:
    """The job folder of one check, and what it leaves there."""

    root: Path

    @property
    def report(self) -> Path:
        """What the check found."""
        return self.root / "report.json"

    @property
    def progress(self) -> Path:
        """How far it is."""
        return self.root / "progress.json"


@dataclass(frozen=True)
class SourceCache:
    """What was found out about data files, kept beside the data: all of it can be made again."""

    root: Path

    def entry(self, key: str) -> SourceEntry:
        """What is kept about one data file."""
        return SourceEntry(self.root / "files" / slug(key))

    def block(self, settings: str, digest: str) -> Path:
        """A block of rows as it was checked with these settings; both are hashes."""
        return self.root / "blocks" / slug(settings) / slug(digest[:2]) / f"{slug(digest)}.npz"

    def entries(self) -> Iterator[Path]:
        """The folders of all data files."""
        return self.root.glob("files/*")

    def blocks(self) -> Iterator[Path]:
        """All kept blocks."""
        return self.root.glob("blocks/*/*/*.npz")


def cache_of(workspace: Workspace) -> SourceCache:
    """What was found out about a workspace's data files: all of it can be made again."""
    return SourceCache(workspace.root / "cache")


def check_of(workspace: Workspace, key: str) -> CheckPaths:
    """The folder of the check with this key, a hash."""
    return CheckPaths(workspace.root / "checks" / slug(key))


def uploads_of(workspace: Workspace) -> Path:
    """The folder of uploaded files and of what mending makes of them."""
    return workspace.root / "uploads"


def upload_about(workspace: Workspace, digest: str) -> Path:
    """What a kept data file is called, and which version it was made from."""
    return uploads_of(workspace) / f".{slug(digest)}.about.json"


def inbox(workspace: Workspace) -> Path:
    """Where somebody puts data files that are too large to upload; made by them."""
    return workspace.root / "files"


def inbox_files(workspace: Workspace) -> list[Path]:
    """The files in it by name."""
    with suppress(OSError):
        return sorted(path for path in inbox(workspace).iterdir() if path.is_file() and path.name[0] != ".")
    return []

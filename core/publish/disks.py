"""Where a copy can go on this machine: memory sticks, other disks that are mounted, and a folder by name."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from core.errors import PlaceRefused, reason_of
from core.steps.step import megabytes
from core.wording import say
from core.workspace.paths import Workspace

# Where desktops mount what is plugged in, and take its folder away with it; people mount elsewhere too.
DESKTOPS = (Path("/media"), Path("/run/media"), Path("/Volumes"))
# What a machine runs on: nothing is offered there, and nothing is written there.
SYSTEM = tuple(
    map(
        Path,
        (
            *("/bin", "/boot", "/dev", "/efi", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/snap"),
            *("/sys", "/usr", "/var/cache", "/var/lib", "/var/log", "/var/snap", "/var/spool"),
        ),
    )
)
# Disks of their own on many machines that nobody means by a stick; a folder in them can be named.
USUAL = frozenset(
    map(Path, ("/", "/home", "/opt", "/root", "/srv", "/tmp", "/var", "/var/home", "/var/tmp"))  # nosec B108  # names
)
# To ask one of these how full it is waits for its server, which may be gone; who means it names its folder.
REMOTE = (
    *("autofs", "nfs", "cifs", "smb", "ceph", "lustre", "gluster"),
    *("fuse.sshfs", "fuse.rclone", "fuse.gvfsd"),
)


@dataclass(frozen=True)
class Disk:
    """``free`` in bytes; ``closed`` says why it cannot be written, and is empty where it can."""

    folder: Path
    free: int
    closed: str = ""

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def plugged_in(self) -> bool:
        """Whether a desktop has mounted it, as it does what somebody plugs in."""
        return any(place in self.folder.parents for place in DESKTOPS)


def disks(workspace: Workspace) -> list[Disk]:
    """What is mounted beside the system's own disks and the workspace's, by name. Of what cannot be written
    only what a desktop has mounted: somebody plugged it in and looks for it."""
    return sorted(_found(workspace), key=lambda disk: (disk.name, disk.folder))


def looked_for(workspace: Workspace) -> str:
    """What was found, in a sentence, or what was looked for."""
    names = [f"{disk.name} ({disk.folder}, {megabytes(disk.free)})" for disk in disks(workspace)]
    return say("place.found", disks=say("row.list").join(names)) if names else say("place.none")


def chosen(text: str, workspace: Workspace) -> Path:
    """The folder of the disk with that name, else the folder at that path, every link in it followed. Raises
    PlaceRefused with everything that speaks against it."""
    named = [disk.folder for disk in disks(workspace) if disk.name == text] if os.sep not in text else []
    try:
        folder = named[0] if len(named) == 1 else _whole_path(text)
        found = list(_problems(folder, workspace))
    except OSError as error:
        folder, found = Path(text), [reason_of(error)]
    if found:
        raise refused(folder, found, workspace)
    return folder


def check_outside(target: Path, workspace: Workspace) -> None:
    """Whether a file or folder may be made at ``target`` as far as its place goes. Raises PlaceRefused."""
    if found := list(_off_limits(Path(os.path.realpath(target)), workspace)):
        raise refused(target, found, workspace)


def refused(folder: Path, problems: list[str], workspace: Workspace) -> PlaceRefused:
    reason = say("row.separator").join(problems)
    return PlaceRefused(folder=folder, reason=reason, found=looked_for(workspace))


def is_missing(target: Path) -> bool:
    """Whether ``target`` would lie on a stick that is not plugged in: what is made under its name meanwhile
    fills this machine's own disk."""
    return any(place in target.parents for place in DESKTOPS) and not target.parent.exists()


def _found(workspace: Workspace) -> Iterator[Disk]:
    root = workspace.root.resolve()
    mounted = {Path(one.mountpoint): one.fstype for one in psutil.disk_partitions(all=True)}
    for folder, kind in mounted.items():
        own = folder in USUAL or _of_system(folder) or root.is_relative_to(folder)
        if own or kind.startswith(REMOTE):
            continue
        with suppress(OSError):  # it has just been pulled out
            closed = _closed(folder) if folder.is_dir() else say("place.no_folder")
            disk = Disk(folder, shutil.disk_usage(folder).free, closed)
            if not closed or disk.plugged_in:
                yield disk


def _whole_path(text: str) -> Path:
    """Raises OSError for what is not there."""
    try:
        return Path(os.path.realpath(Path(text).expanduser(), strict=True))
    except RuntimeError as error:  # the home of nobody
        raise OSError(say("file.no_home")) from error
    except ValueError as error:  # a zero byte
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT)) from error


def _problems(folder: Path, workspace: Workspace) -> Iterator[str]:
    if not folder.is_dir():
        yield say("place.no_folder")
    elif closed := _closed(folder):
        yield closed
    yield from _off_limits(folder, workspace)


def _off_limits(target: Path, workspace: Workspace) -> Iterator[str]:
    root = workspace.root.resolve()
    if _of_system(target):
        yield say("place.system")
    if target.is_relative_to(root):
        yield say("place.workspace")


def _of_system(folder: Path) -> bool:
    if any(folder.is_relative_to(place) for place in DESKTOPS):
        return False
    return folder == Path("/") or any(folder.is_relative_to(place) for place in SYSTEM)


def _closed(folder: Path) -> str:
    """Why nothing can be made in a folder; empty where it can. Raises OSError."""
    if os.access(folder, os.W_OK | os.X_OK):
        return ""
    read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
    return say("file.EROFS" if read_only else "file.EACCES")

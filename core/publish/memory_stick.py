"""Memory sticks and other disks that a person has plugged into this machine."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

# Where desktops mount what is plugged in, and take its folder away with it; people mount elsewhere too.
DESKTOPS = (Path("/media"), Path("/run/media"), Path("/Volumes"))
PLACES = (*DESKTOPS, Path("/mnt"))


@dataclass(frozen=True)
class MemoryStick:
    """``free`` in bytes."""

    folder: Path
    free: int

    @property
    def name(self) -> str:
        return self.folder.name


def memory_sticks() -> list[MemoryStick]:
    """Those that can be written to, by name."""
    return sorted(_found(), key=lambda stick: stick.name)


def is_missing(target: Path) -> bool:
    """Whether ``target`` would lie on a stick that is not plugged in: what is made under its name meanwhile
    fills this machine's own disk."""
    return any(place in target.parents for place in DESKTOPS) and not target.parent.exists()


def _found() -> Iterator[MemoryStick]:
    for partition in psutil.disk_partitions():
        folder = Path(partition.mountpoint)
        if any(place in folder.parents for place in PLACES) and os.access(folder, os.W_OK):
            with suppress(OSError):  # it has just been pulled out
                yield MemoryStick(folder, shutil.disk_usage(folder).free)

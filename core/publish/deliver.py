"""A bundle into a folder or a zip: whole or not at all, and never over something else."""

import errno
import os
import shutil
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from core.errors import NoPlaceForIt, NotWritable, PlaceFull, StickGone, reason_of
from core.publish import disks
from core.publish.bundle import Bundle
from core.publish.request import PublishRequest
from core.steps.step import check_space, megabytes
from core.steps.watch import Update
from core.wording import say
from core.workspace.checksums import NAME, read_checksums
from core.workspace.paths import RunPaths, Workspace, make_folder
from core.workspace.private import mode_for_everybody, open_to_everybody
from core.workspace.publish_paths import published

BLOCK = 8_000_000
# After so many bytes they are waited for until the disk has them: else all of it were in memory in a second,
# and how long a slow stick takes could not be told.
SETTLED = 16_000_000
SPARE = 50_000_000
# Weights do not get smaller by being packed; what is text does.
STORED = {".safetensors", ".gguf", ".png"}
# What a disk that was pulled out answers, and a folder whose disk is gone.
GONE = {errno.EIO, errno.ENODEV, errno.ENXIO, errno.ENOENT, errno.ENOTCONN, errno.ESTALE, errno.EROFS}
# Every bundle has it; with the checksums of all its files it tells an earlier copy from anything else.
OURS = "provenance.json"
# What macOS and Windows write into a folder that is opened there; macOS "._NAME" too, beside every file.
OF_DESKTOPS = {".DS_Store", "Thumbs.db", "desktop.ini"}


def destination(workspace: Workspace, run: RunPaths, request: PublishRequest) -> Path:
    """Where it goes: the place that was named, else one in the workspace. Raises NotWritable,
    PlaceRefused."""
    own = published(workspace, run.id, request.what)
    named = disks.chosen(request.into, workspace) / own.name if request.into else _out(request, own.name)
    if request.to != "zip":
        return named or own
    if named is None or request.into:
        return (named or own).with_name(f"{own.name}.zip")
    return named if named.suffix.lower() == ".zip" and not named.is_dir() else named / f"{own.name}.zip"


def _out(request: PublishRequest, name: str) -> Path | None:
    """The very place that was named; in a disk, which no folder can take the place of, one of that name."""
    try:
        out = request.out.expanduser().absolute() if request.out else None
    except RuntimeError as error:
        raise NotWritable(folder=request.out, reason=say("file.no_home")) from error
    return out / name if out and request.to != "zip" and out.is_mount() else out


def check_place(target: Path, size: int, request: PublishRequest, workspace: Workspace) -> None:
    """Whether ``size`` bytes can go to ``target``: asked before they are made, which may take minutes. Raises
    StickGone, NoPlaceForIt, PlaceRefused, PlaceFull, DiskFull."""
    if not request.elsewhere:
        check_space(target.parent, size + SPARE)
        return
    disks.check_outside(target, workspace)
    if disks.is_missing(target):
        raise StickGone(folder=target.parent, reason=say("file.ENOENT"))
    if target.exists() and not (target.is_dir() and (_earlier(target) or not any(target.iterdir()))):
        raise NoPlaceForIt(where=target)
    free = shutil.disk_usage(next(folder for folder in target.parents if folder.exists())).free
    if free < size + SPARE:
        raise PlaceFull(folder=target.parent, needed=megabytes(size + SPARE), free=megabytes(free))


def deliver(bundle: Bundle, target: Path, request: PublishRequest, update: Update) -> None:
    """Write the bundle to ``target``, of which :func:`check_place` has approved, onto its disk and not only
    towards it; twice is harmless. Everybody may read it, as far as they get to its folder. Raises StickGone,
    NotWritable."""
    if request.to != "zip" and target.is_dir() and _same(bundle, target):
        open_to_everybody(target)
        return
    with _stays(target, request), _in_place_of(target) as partial:
        if request.to != "zip":
            _copy(bundle, partial, update)
        else:
            _pack(bundle, partial, target.stem, update)
        open_to_everybody(partial)


@contextmanager
def _stays(target: Path, request: PublishRequest) -> Iterator[None]:
    """A disk that is gone before the end was pulled out. Raises StickGone, NotWritable."""
    try:
        _make_way(target, request)
        yield
    except OSError as error:
        if not request.elsewhere or error.errno not in GONE:
            raise
        raise StickGone(folder=target.parent, reason=reason_of(error)) from error


def _make_way(target: Path, request: PublishRequest) -> None:
    """The folders above it; in the workspace they are its owner's alone, elsewhere everybody gets through."""
    new = [folder for folder in target.parents if not folder.exists()]
    make_folder(target.parent, exist_ok=True)
    for folder in new if request.elsewhere else ():
        with suppress(OSError):  # a disk without modes of its own
            folder.chmod(0o755)


def _earlier(target: Path) -> bool:
    """Whether a folder holds what an earlier publishing wrote there, and nothing else but what desktops put
    into every folder that is looked at."""
    if not (target / OURS).exists():
        return False
    known = {target / file.name for file in read_checksums(target) if file.sha256} | {target / NAME}
    others = (path for path in target.rglob("*") if path not in known and not path.is_dir())
    return all(path.name in OF_DESKTOPS or path.name.startswith("._") for path in others)


def _same(bundle: Bundle, target: Path) -> bool:
    """Whether the same files stand there already, by what their checksums say."""
    there = target / NAME
    return (
        there.exists()
        and there.read_bytes() == (bundle.folder / NAME).read_bytes()
        and [(file.name, file.size) for file in read_checksums(target)]
        == [(file.name, file.size) for file in bundle.files]
    )


def _copy(bundle: Bundle, target: Path, update: Update) -> None:
    done = settled = 0
    for name in _names(bundle):
        file = target / name
        make_folder(file.parent, exist_ok=True)
        with (bundle.folder / name).open("rb") as source, file.open("xb") as copy:
            while block := source.read(BLOCK):
                copy.write(block)
                done += len(block)
                if done - settled >= SETTLED:
                    _settle(copy)
                    settled = done
                update(min(1.0, done / max(1, bundle.size)), name)
            _settle(copy)
        with suppress(OSError):  # a disk without modes of its own
            shutil.copymode(bundle.folder / name, file)


def _pack(bundle: Bundle, target: Path, top: str, update: Update) -> None:
    done = 0
    with target.open("xb") as file, zipfile.ZipFile(file, "w") as archive:
        for name in _names(bundle):
            method = zipfile.ZIP_STORED if Path(name).suffix in STORED else zipfile.ZIP_DEFLATED
            info = zipfile.ZipInfo.from_file(bundle.folder / name, f"{top}/{name}", strict_timestamps=False)
            info.compress_type = method
            info.external_attr = (stat.S_IFREG | mode_for_everybody(bundle.folder / name)) << 16
            with (bundle.folder / name).open("rb") as source, archive.open(info, "w") as packed:
                while block := source.read(BLOCK):
                    packed.write(block)
                    done += len(block)
                    update(min(1.0, done / max(1, bundle.size)), name)
        archive.close()
        _settle(file)


def _settle(file: BinaryIO) -> None:
    """Onto the disk: a memory stick is pulled out as soon as the page says that the copy is there."""
    file.flush()
    os.fsync(file.fileno())


def _names(bundle: Bundle) -> list[str]:
    return [*(file.name for file in bundle.files), NAME]


@contextmanager
def _in_place_of(target: Path) -> Iterator[Path]:
    """A place beside ``target`` that becomes it at the end, and is removed when that does not come."""
    partial = target.with_name(f".{target.name[:40]}.partial")
    _remove(partial)
    try:
        yield partial
        _remove(target)
        partial.rename(target)
    finally:
        with suppress(OSError):  # its disk may be gone
            _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)

"""A bundle into a folder or a zip: whole or not at all, and never over something else."""

import errno
import json
import os
import re
import shutil
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import BinaryIO

from core.errors import NoPlaceForIt, NotWritable, PlaceFull, StickGone, TuneboardError, reason_of
from core.publish import disks
from core.publish.bundle import Bundle
from core.publish.layout import INSIDE, mark, placed, read_copy, sums
from core.publish.request import MARK, PublishRequest
from core.runs import read_run
from core.steps.step import check_space, megabytes
from core.steps.watch import Update
from core.wording import say
from core.workspace.checksums import NAME
from core.workspace.files import write_lines
from core.workspace.paths import RunPaths, Workspace, make_folder
from core.workspace.private import mode_for_everybody, open_to_everybody
from core.workspace.publish_paths import mark_of, published

BLOCK = 8_000_000
# After so many bytes they are waited for until the disk has them: else all of it were in memory in a second,
# and how long a slow stick takes could not be told.
SETTLED = 16_000_000
SPARE = 50_000_000
# Weights do not get smaller by being packed; what is text does.
STORED = {".safetensors", ".gguf", ".png"}
# What a disk that was pulled out answers, and a folder whose disk is gone.
GONE = {errno.EIO, errno.ENODEV, errno.ENXIO, errno.ENOENT, errno.ENOTCONN, errno.ESTALE, errno.EROFS}
ZIP = ".zip"
# What macOS and Windows write into a folder that is opened there; macOS "._NAME" too, beside every file.
OF_DESKTOPS = {".DS_Store", "Thumbs.db", "desktop.ini"}


def destination(workspace: Workspace, run: RunPaths, request: PublishRequest) -> Path:
    """Where it goes: the place that was named, else one in the workspace, by the name of the run's assistant.
    Raises NotWritable, PlaceRefused, OSError."""
    own = published(workspace, read_run(run).title, request.what)
    if request.into:
        own = disks.chosen(request.into, workspace) / own.name
    out = _out(request)
    if out and _is_named_outright(out, request):
        return out
    place = _own_place(run, out / own.name if out else own)
    return _as_zip(place) if request.to == "zip" else place


def _is_named_outright(out: Path, request: PublishRequest) -> bool:
    """A ZIP goes into a folder that was named, and nothing takes the place of a whole disk."""
    if request.to == "zip":
        return out.suffix.lower() == ZIP and not out.is_dir()
    return not out.is_mount()


def _own_place(run: RunPaths, place: Path) -> Path:
    """Where a run's copy stands that has one here, else a place that nothing has; a number is put to a name
    that somebody else has. A folder and a ZIP, which becomes a folder, share their name."""
    own, numbers = mark_of(run), count(2)
    places = [place, *(place.with_name(f"{place.name}-{number}") for number in _numbers_of(place))]
    if mine := next((one for one in places if set(_marks(one)) == {own}), None):
        return mine
    while any(map(_stands, (place, _as_zip(place)))):
        place = places[0].with_name(f"{places[0].name}-{next(numbers)}")
    return place


def _numbers_of(place: Path) -> list[int]:
    """Of those beside it that are called the same, but for a number."""
    with suppress(OSError):
        names = (path.name.removesuffix(ZIP) for path in place.parent.iterdir())
        found = (re.fullmatch(rf"{re.escape(place.name)}-(\d{{1,6}})", name, re.ASCII) for name in names)
        return sorted({int(one[1]) for one in found if one})
    return []


def _stands(place: Path) -> bool:
    """An empty folder is nobody's."""
    with suppress(OSError):
        return place.exists() and not (place.is_dir() and not any(place.iterdir()))
    return True


def _marks(place: Path) -> Iterator[str]:
    """Of which runs the copies of this name are, as a folder and as a ZIP."""
    with suppress(OSError, TuneboardError):
        if found := mark(place):
            yield found
    if found := _mark_in_zip(_as_zip(place)):
        yield found


def _mark_in_zip(file: Path) -> str | None:
    """Of which run a published ZIP is; None for any other file."""
    with suppress(OSError, ValueError, KeyError, zipfile.BadZipFile), zipfile.ZipFile(file) as archive:
        places = {f"{file.stem}/{MARK}", f"{file.stem}/{INSIDE}/{MARK}"} & {*archive.namelist()}
        return str(json.loads(archive.read(min(places, key=len)))["run"]) if places else None
    return None


def _as_zip(place: Path) -> Path:
    return place.with_name(f"{place.name}{ZIP}")


def _out(request: PublishRequest) -> Path | None:
    """The place that was named, as a whole path. Raises NotWritable."""
    try:
        return request.out.expanduser().absolute() if request.out else None
    except RuntimeError as error:
        raise NotWritable(folder=request.out, reason=say("file.no_home")) from error


def check_place(target: Path, size: int, request: PublishRequest, workspace: Workspace) -> None:
    """Whether ``size`` bytes can go to ``target``: asked before they are made, which may take minutes. Raises
    StickGone, NoPlaceForIt, PlaceRefused, PlaceFull, DiskFull."""
    if not request.elsewhere:
        check_space(target.parent, size + SPARE)
        return
    disks.check_outside(target, workspace)
    if disks.is_missing(target):
        raise StickGone(folder=target.parent, reason=say("file.ENOENT"))
    refuse_taken(target, request)
    free = shutil.disk_usage(next(folder for folder in target.parents if folder.exists())).free
    if free < size + SPARE:
        raise PlaceFull(folder=target.parent, needed=megabytes(size + SPARE), free=megabytes(free))


def refuse_taken(target: Path, request: PublishRequest) -> None:
    """Raises NoPlaceForIt for a place outside of the workspace that holds anything but an earlier copy."""
    if request.elsewhere and _stands(target) and not _earlier(target):
        raise NoPlaceForIt(where=target)


def deliver(bundle: Bundle, target: Path, request: PublishRequest, update: Update) -> None:
    """Write the bundle to ``target``, of which :func:`check_place` has approved, onto its disk and not only
    towards it; twice is harmless. Everybody may read it, as far as they get to its folder. Raises StickGone,
    NotWritable."""
    if request.to != "zip" and target.is_dir() and _same(bundle, target, request):
        open_to_everybody(target)
        return
    with _stays(target, request), _in_place_of(target) as partial:
        if request.to != "zip":
            _copy(bundle, partial, request, update)
        else:
            _pack(bundle, partial, target.stem, request, update)
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
    """Whether a folder holds what an earlier publishing wrote there, and nothing else but what desktops and
    Python put there by themselves; or a ZIP is one."""
    if target.suffix.lower() == ZIP and not target.is_dir():
        return _mark_in_zip(target) is not None
    known = {target / file.name for file in read_copy(target) if file.sha256}
    ours = next((place for place in (target, target / INSIDE) if place / MARK in known), None)
    if ours is None:
        return False
    known.add(ours / NAME)
    others = (path for path in target.rglob("*") if path not in known and not path.is_dir())
    return all(map(_of_nobody, others))


def _of_nobody(path: Path) -> bool:
    """Whether a desktop wrote it by itself, or the Python that ran what was copied."""
    compiled = path.suffix == ".pyc" and path.parent.name == "__pycache__"
    return compiled or path.name in OF_DESKTOPS or path.name.startswith("._")


def _same(bundle: Bundle, target: Path, request: PublishRequest) -> bool:
    """Whether the same files stand there already, by what their checksums say."""
    there = {file.name: (file.size, file.sha256) for file in read_copy(target)}
    return there == {placed(file.name, request): (file.size, file.sha256) for file in bundle.files}


def _copy(bundle: Bundle, target: Path, request: PublishRequest, update: Update) -> None:
    done = settled = 0
    for name in (one.name for one in bundle.files):
        file = target / placed(name, request)
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
    listed = target / placed(NAME, request)
    write_lines(listed, sums(bundle.folder, bundle.files, request))
    with listed.open("rb+") as file_of_sums:
        _settle(file_of_sums)


def _pack(bundle: Bundle, target: Path, top: str, request: PublishRequest, update: Update) -> None:
    done = 0
    with target.open("xb") as file, zipfile.ZipFile(file, "w") as archive:
        for name in (one.name for one in bundle.files):
            info = _packed_as(bundle.folder / name, f"{top}/{placed(name, request)}")
            with (bundle.folder / name).open("rb") as source, archive.open(info, "w") as packed:
                while block := source.read(BLOCK):
                    packed.write(block)
                    done += len(block)
                    update(min(1.0, done / max(1, bundle.size)), name)
        lines = "".join(f"{line}\n" for line in sums(bundle.folder, bundle.files, request))
        archive.writestr(_packed_as(bundle.folder / NAME, f"{top}/{placed(NAME, request)}"), lines)
        archive.close()
        _settle(file)


def _settle(file: BinaryIO) -> None:
    """Onto the disk: a memory stick is pulled out as soon as the page says that the copy is there."""
    file.flush()
    os.fsync(file.fileno())


def _packed_as(file: Path, place: str) -> zipfile.ZipInfo:
    """With the time and the mode of the bundle's ``file``."""
    info = zipfile.ZipInfo.from_file(file, place, strict_timestamps=False)
    info.compress_type = zipfile.ZIP_STORED if file.suffix in STORED else zipfile.ZIP_DEFLATED
    info.external_attr = (stat.S_IFREG | mode_for_everybody(file)) << 16
    return info


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

"""A bundle into a folder or a zip: whole or not at all, and never over something else."""

import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import NoPlaceForIt, NotWritable
from core.publish.bundle import Bundle
from core.publish.request import PublishRequest
from core.steps.step import check_space
from core.steps.watch import Update
from core.wording import say
from core.workspace.checksums import NAME, read_checksums
from core.workspace.paths import RunPaths, Workspace, make_folder, published
from core.workspace.private import as_anybody_would

BLOCK = 8_000_000
SPARE = 50_000_000
# Weights do not get smaller by being packed; what is text does.
STORED = {".safetensors", ".gguf", ".png"}


def destination(workspace: Workspace, run: RunPaths, request: PublishRequest) -> Path:
    """Where it goes: the place that was named, else one in the workspace. Raises NotWritable."""
    try:
        named = request.out.expanduser().absolute() if request.out else None
    except RuntimeError as error:
        raise NotWritable(folder=request.out, reason=say("file.no_home")) from error
    if request.to != "zip":
        return named or published(workspace, run.id, request.what)
    file = published(workspace, run.id, request.what)
    if named is None:
        return file.with_name(f"{file.name}.zip")
    return named if named.suffix.lower() == ".zip" and not named.is_dir() else named / f"{file.name}.zip"


def deliver(bundle: Bundle, target: Path, request: PublishRequest, update: Update) -> None:
    """Write the bundle to ``target``; twice is harmless. Raises NoPlaceForIt, DiskFull, NotWritable."""
    if request.to != "zip" and target.is_dir() and _same(bundle, target):
        return
    ours = request.out is None
    if not ours and target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise NoPlaceForIt(where=target)
    make_folder(target.parent, exist_ok=True)
    check_space(target.parent, bundle.size + SPARE)
    with _in_place_of(target) as partial:
        if request.to != "zip":
            _copy(bundle, partial, update)
        else:
            _pack(bundle, partial, target.stem, update)
        if not ours:
            as_anybody_would(partial)


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
    done = 0
    for name in _names(bundle):
        file = target / name
        make_folder(file.parent, exist_ok=True)
        with (bundle.folder / name).open("rb") as source, file.open("xb") as copy:
            while block := source.read(BLOCK):
                copy.write(block)
                done += len(block)
                update(min(1.0, done / max(1, bundle.size)), name)


def _pack(bundle: Bundle, target: Path, top: str, update: Update) -> None:
    done = 0
    with zipfile.ZipFile(target, "x") as archive:
        for name in _names(bundle):
            method = zipfile.ZIP_STORED if Path(name).suffix in STORED else zipfile.ZIP_DEFLATED
            info = zipfile.ZipInfo.from_file(bundle.folder / name, f"{top}/{name}", strict_timestamps=False)
            info.compress_type = method
            with (bundle.folder / name).open("rb") as source, archive.open(info, "w") as packed:
                while block := source.read(BLOCK):
                    packed.write(block)
                    done += len(block)
                    update(min(1.0, done / max(1, bundle.size)), name)


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
        _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)

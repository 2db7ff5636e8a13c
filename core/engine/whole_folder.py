"""A folder that appears whole or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.workspace.checksums import write_checksums


@contextmanager
def whole_folder(target: Path, checksums: bool = True) -> Iterator[Path]:
    """A folder to fill, renamed to ``target`` when the block succeeds; an older one is replaced.

    It gets its checksums while its files are still in memory: reading 14 GB again takes a minute.
    """
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    for left_over in target.parent.glob(f".{target.name}.*.partial"):
        shutil.rmtree(left_over, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if checksums:
            write_checksums(partial)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)

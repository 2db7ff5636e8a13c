"""What was found out about data files is kept as long as it is used."""

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from core.workspace.data_paths import SourceCache

KEPT_DAYS = 30


def used(kept: Path) -> None:
    """Note that a kept file or folder was of use now."""
    with suppress(OSError):
        os.utime(kept)


def forget_old(cache: SourceCache) -> None:
    """Delete what was of no use for a month: all of it can be made again."""
    oldest = time.time() - KEPT_DAYS * 24 * 3600
    with suppress(OSError):
        for entry in cache.entries():
            if entry.stat().st_mtime < oldest:
                shutil.rmtree(entry, ignore_errors=True)
        for block in cache.blocks():
            if block.stat().st_mtime < oldest:
                block.unlink()

"""A command as another user of this machine, and in a /proc where one sees only one's own processes."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.workspace.paths import PROJECT
from tests.conftest import end_leftovers

# Nobody has this id: no name, no home.
NAMELESS = 12345
# The interpreter and this test's folder may lie below folders that are only root's to enter.
SEES_FILES = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")
ROOT = pytest.mark.skipif(
    os.geteuid() != 0 or not (shutil.which("setpriv") and shutil.which("unshare")),
    reason="only root may become another user",
)


def as_user(arguments: Sequence[str], *, hidepid: int = 0, **environment: str) -> str:
    """What Python said with these arguments as a user without a name, whose whole environment is given."""
    user = ["setpriv", "--reuid", str(NAMELESS), "--regid", str(NAMELESS), "--clear-groups", *SEES_FILES]
    # A mount of its own: to remount /proc would change everybody's.
    mount = f'mount --make-rprivate / && mount -t proc -o hidepid={hidepid} proc /proc && exec "$@"'
    hidden = ["unshare", "--mount", "sh", "-c", mount, "sh"] if hidepid else []
    found = subprocess.run(
        [*hidden, *user, sys.executable, *arguments],
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


@contextmanager
def their_folder() -> Iterator[Path]:
    """A folder of the user without a name, where everybody may pass: pytest's own lie below one of root's."""
    folder = Path(tempfile.mkdtemp(prefix="工作 区 "))
    os.chown(folder, NAMELESS, NAMELESS)
    try:
        yield folder
    finally:
        end_leftovers(folder)
        shutil.rmtree(folder)

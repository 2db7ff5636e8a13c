"""What the tests of this folder share."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.workspace.paths import Workspace
from tests.conftest import end_leftovers

# Enough for a chain of the small model to be begun.
DISK = "size=80m"


@pytest.fixture
def on_small_disk(
    small_disk: Callable[[str], Path], model: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workspace]:
    """A workspace on a disk of its own."""
    found = Workspace(small_disk(DISK) / "a b")
    found.prepare()
    shutil.copytree(model, found.starter)
    monkeypatch.setenv("TUNEBOARD_HOME", str(found.root))
    monkeypatch.setenv("TUNEBOARD_ENGINE", "tests.fake_engine")
    yield found
    end_leftovers(found.root)

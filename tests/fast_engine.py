"""``core.engine``'s command line for fast tests that name none: ``TUNEBOARD_ENGINE=tests.fast_engine``.

Torch and XTuner take seconds to import, a model minutes to train: no fast test starts them, also where a page
or a command starts more than the test has in mind. The tools are those of :mod:`tests.fake_engine`; one that
needs no torch is the real one; a test that starts what is neither fails for it (``tests/conftest.py``).

    REFUSED_TOOLS   the file that names the tools refused
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # half of what this process would take to start
    import pytest

VARIABLE = "REFUSED_TOOLS"
NAME = "tests.fast_engine"
# They import no torch.
LIGHT = {"download"}


def put(patch: "pytest.MonkeyPatch", refused: Path) -> None:
    """From now on what is started has the fast engine, unless it is given another one."""
    patch.setenv(VARIABLE, str(refused))
    if "TUNEBOARD_ENGINE" not in os.environ:
        patch.setenv("TUNEBOARD_ENGINE", NAME)


def asked_for(refused: Path) -> list[str]:
    """The tools that were refused, each with its arguments; they are forgotten."""
    found = refused.read_text(encoding="utf-8").splitlines() if refused.exists() else []
    refused.unlink(missing_ok=True)
    return found


def main(arguments: list[str]) -> None:
    tool, *rest = arguments
    if tool in LIGHT:
        from core.engine.__main__ import main as engine

        engine(arguments)
        return
    from tests import fake_engine

    if tool in {"train", *fake_engine.TOOLS}:
        fake_engine.main(tool, rest)
        return
    with Path(os.environ[VARIABLE]).open("a", encoding="utf-8") as refused:
        refused.write(f"{tool} {' '.join(rest)}\n")
    sys.exit(
        f"a fast test may not start the engine ({tool}): mark it slow, or give tests.fake_engine the tool"
    )


if __name__ == "__main__":
    main(sys.argv[1:])

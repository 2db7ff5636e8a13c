"""scripts/bench sets up what a measurement imports, on a plain install too."""

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from core.workspace.paths import PROJECT

BENCHES = sorted(path.stem for path in (PROJECT / "scripts/benches").glob("[a-z]*.py"))


def test_bench_names_what_there_is(tmp_path: Path) -> None:
    done = subprocess.run([str(PROJECT / "scripts/bench"), "../setup"], capture_output=True, text=True)
    assert done.returncode == 2 and all(name in done.stderr for name in BENCHES)


@pytest.mark.parametrize("bench", BENCHES)
def test_a_bench_finds_what_it_imports(bench: str, tmp_path: Path) -> None:
    for folder in ("scripts/benches", ".venv/bin"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(PROJECT / "scripts/bench", tmp_path / "scripts")
    shutil.copy(PROJECT / f"scripts/benches/{bench}.py", tmp_path / "scripts/benches")
    for program in ("scripts/setup", ".venv/bin/python"):
        (tmp_path / program).write_text('#!/bin/sh\necho "$(basename "$0") $*"\n', encoding="utf-8")
        (tmp_path / program).chmod(0o755)
    done = subprocess.run(
        [str(tmp_path / "scripts/bench"), bench, "--rows", "1"], capture_output=True, text=True, check=True
    )
    setup, started = done.stdout.splitlines()
    assert started == f"python -P -m scripts.benches.{bench} --rows 1"
    needed = imported(PROJECT / f"scripts/benches/{bench}.py") & only_for_the_tests()
    assert setup.strip() == ("setup --dev" if needed else "setup"), needed


def imported(file: Path) -> set[str]:
    """The packages that a module imports, at its top or later, and those of the tests' modules it imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            found.add(name.partition(".")[0])
            if name.startswith(("tests.", "scripts.")):
                found |= imported(PROJECT / (name.replace(".", "/") + ".py"))
    return found


def only_for_the_tests() -> set[str]:
    """Names of the packages that a plain install has not."""
    run, dev = (
        set(re.findall(r"^([\w.-]+)==", (PROJECT / name).read_text(encoding="utf-8"), re.MULTILINE))
        for name in ("requirements.txt", "requirements-dev.txt")
    )
    return {name.replace("-", "_") for name in dev - run}

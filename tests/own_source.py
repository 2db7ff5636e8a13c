"""The program's own source, parsed: for tests of what none of its lines may do or say."""

import ast
from functools import cache
from pathlib import Path

from core.workspace.paths import PROJECT


def sources(*folders: str) -> list[Path]:
    """The modules below these folders of the project."""
    return [path for folder in folders for path in sorted((PROJECT / folder).rglob("*.py"))]


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))

"""One name for one thing."""

import ast
from collections import defaultdict

from core.workspace.paths import PROJECT


def test_no_class_has_the_name_of_another() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for house in ("core", "ui"):
        for file in sorted((PROJECT / house).rglob("*.py")):
            for node in ast.parse(file.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(str(file.relative_to(PROJECT)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}

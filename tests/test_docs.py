"""Pages that are made from the code say what it says; those written by hand name what there is."""

import ast
import importlib
import re
from itertools import pairwise
from pathlib import Path
from textwrap import dedent

import pytest

from core.workspace.paths import PROJECT
from scripts.documents import __main__ as documents
from scripts.documents import drawing, environment, marked, rooms

PAGES = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
# `core.jobs.launch` or `core/jobs/launch.py`; what is said of earlier versions is history.
NAMED = re.compile(r"`((?:core|ui|scripts|tests|docs|pages|demo|locales)(?:[./][\w*]+)*(?:\.\w+)?)/?`")
HISTORY = "CHANGELOG.md"
# The step that CONTRIBUTING.md adds.
EXAMPLE = "norms"


def test_the_pages_are_what_the_code_says() -> None:
    assert documents.stale() == {}, "run scripts/docs"


def test_a_page_that_is_not_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "PROJECT", tmp_path)
    monkeypatch.setattr(documents, "pages", lambda: {"docs/a.md": "new\n"})
    assert documents.main(["--check"]) == 1 and not (tmp_path / "docs").exists()
    assert documents.main([]) == 0 and (tmp_path / "docs" / "a.md").read_text() == "new\n"
    assert documents.main(["--check"]) == 0


def test_a_part_that_a_page_has_no_place_for() -> None:
    with pytest.raises(ValueError, match=r"docs/architecture\.md has the parts"):
        marked.filled("docs/architecture.md", {"rooms": ""})


def test_a_room_without_a_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "_contract", lambda house: iter([(f"{house}.jobs",)]))
    with pytest.raises(ValueError, match="do not name the rooms"):
        rooms.building()


def test_an_arrow_that_follows_from_others_is_left_out() -> None:
    imports = frozenset({("a", "b"), ("b", "c"), ("a", "c"), ("b", "d"), ("a", "d")})
    found = rooms.Building((("a",), ("b",), ("c", "d")), imports)
    assert found.arrows() == [("a", "b"), ("b", "c"), ("b", "d")]


def test_no_box_covers_another_and_no_arrow_runs_up() -> None:
    floors, arrows = (
        (("a", "a long name"), ("b", "c"), ("d",)),
        [("a", "d"), ("a long name", "c"), ("c", "d")],
    )
    picture = drawing.draw(floors, arrows, {"a": "ui"}, "A & B")
    boxes = re.findall(r'<rect class="box[^"]*" x="([\d.]+)" y="(\d+)" width="(\d+)"', picture)
    assert len(boxes) == 5 and picture.count('class="arrow"') == 3 and "A &amp; B" in picture
    by_floor: dict[str, list[tuple[float, float]]] = {}
    for x, y, width in boxes:
        by_floor.setdefault(y, []).append((float(x), float(x) + float(width)))
    for spans in by_floor.values():
        ordered = sorted(spans)
        assert all(end <= begin for (_, end), (begin, _) in pairwise(ordered))
    with pytest.raises(ValueError, match="not on a floor below"):
        drawing.draw(floors, [("d", "a")], {}, "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [link for link in LINK.findall(text) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []
    named = [name for name in NAMED.findall(text) if EXAMPLE not in name and page.name != HISTORY]
    assert [name for name in named if not _is_there(name)] == []


@pytest.mark.parametrize("page", ["README.md", "README_zh.md"])
def test_the_tree_has_every_room(page: str) -> None:
    text = (PROJECT / page).read_text(encoding="utf-8")
    tree = text[text.index("\napp.py ") : text.index("\nworkspace/ ")]
    top = set(re.findall(r"^(\S+?)/? ", tree, re.MULTILINE))
    inner = set(re.findall(r"^  (\S+?)/? ", tree, re.MULTILINE))
    packages = {
        house: {file.parent.name for file in (PROJECT / house).glob("*/__init__.py")}
        for house in rooms.HOUSES
    }
    assert inner == packages["core"] and all((PROJECT / name).exists() for name in top)
    ui = tree[tree.index("\nui/") : tree.index("\ncore/")]
    assert packages["ui"] <= set(re.findall(r"[a-z_]+", ui))
    for house in rooms.HOUSES:
        said = (PROJECT / house / "__init__.py").read_text(encoding="utf-8")
        assert packages[house] <= set(re.findall(r"[a-z_]+", said))


def test_what_an_example_imports_is_there() -> None:
    blocks = re.findall(
        r"^( *)```python\n(.*?)^ *```$", (PROJECT / "CONTRIBUTING.md").read_text(), re.M | re.S
    )
    assert len(blocks) == 2
    for _, block in blocks:
        for node in ast.walk(ast.parse(dedent(block))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("core."):
                module = importlib.import_module(str(node.module))
                assert all(
                    hasattr(module, name.name) or _is_there(f"{node.module}.{name.name}")
                    for name in node.names
                )


def _is_there(name: str) -> bool:
    """A file or folder, a module, or something that a module has."""
    if "*" in name:
        return any(PROJECT.glob(name))
    if (PROJECT / name).exists():
        return True
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        stem = PROJECT.joinpath(*parts[:length])
        files = [stem.with_suffix(".py"), stem / "__init__.py"]
        if file := next((file for file in files if file.exists()), None):
            text = file.read_text(encoding="utf-8")
            return all(re.search(rf"\b{part}\b", text) for part in parts[length:])
    return False


def test_the_index_has_every_page() -> None:
    index = (PROJECT / "docs" / "README.md").read_text(encoding="utf-8")
    linked = {(PROJECT / "docs" / link).resolve() for link in LINK.findall(index)}
    assert {page.resolve() for page in PAGES} - linked <= {PROJECT / "docs" / "README.md"}


def test_a_variable_is_found_however_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read, set, taken out, asked for, behind a constant; in Python and in a script."""
    lines = [
        'A_VARIABLE, OTHER = "SET_AS_TWO", "ANOTHER_ONE"; HUB = (*("IN_A_TUPLE",), "KEY")',
        'ONE_VARIABLE = "BYNAME"',
        'os.environ["BY_PLACE"] = os.environ.get("BY_GET", "") + os.getenv("BY_GETENV")',
        'os.environ.pop(A_VARIABLE); os.environ.setdefault("BY_DEFAULT", ""); given.get(ONE_VARIABLE)',
        'env = {OTHER: "1", "KEYED": str(2), "FILE": {"metavar": "FILE"}}',
        '"BY_IN" in env; [os.environ[name] for name in ("LOOP",)]',
    ]
    (tmp_path / "app.py").write_text("\n".join(lines))
    (tmp_path / "scripts").mkdir()
    (tmp_path / ".ci").mkdir()
    (tmp_path / "scripts" / "run").write_text('own=1; echo "$own ${OF_A_SCRIPT:-}"')
    monkeypatch.setattr(environment, "PROJECT", tmp_path)
    named = {"SET_AS_TWO", "ANOTHER_ONE", "IN_A_TUPLE", "BYNAME", "BY_PLACE", "BY_GET", "BY_GETENV"}
    assert {*environment.found()} == named | {"BY_DEFAULT", "KEYED", "BY_IN", "LOOP", "OF_A_SCRIPT"}


def test_a_variable_without_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "found", lambda: {"TUNEBOARD_NEW": {"core/new.py"}})
    with pytest.raises(ValueError, match="TUNEBOARD_NEW"):
        environment.pages()

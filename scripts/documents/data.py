"""``docs/data.md``: what is read of each public format, from the tests' small files; the known names."""

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from core.data.accounting import Accounts
from core.data.findings import KINDS
from core.data.formats.messages import Assembled
from core.data.opening import Opened, open_data
from core.errors import InputError
from core.wording import say
from core.workspace.data_paths import SourceCache
from core.workspace.paths import BANKS, PROJECT
from scripts.documents.marked import filled, table

PAGE = "docs/data.md"
FILES = PROJECT / "tests" / "field"
EXPECTED = "expected.json"


def pages() -> dict[str, str]:
    return {PAGE: filled(PAGE, {"formats": _formats(), "names": _names()})}


def _formats() -> str:
    with TemporaryDirectory() as folder:
        cache = SourceCache(Path(folder))
        files = sorted(file for file in FILES.iterdir() if file.name != EXPECTED)
        rows = [row for file in files for row in _file(file, cache)]
    return table(("file", "keys", "read as", "a row becomes", "left out", "nobody reads"), rows)


def _file(file: Path, cache: SourceCache) -> Iterator[tuple[str, ...]]:
    try:
        opened = open_data(file, cache)
    except InputError as error:
        yield f"`{file.name}`", "", "", error.text("en"), "", ""
        return
    accounts, turns = Accounts(), ""
    for number, made in opened.assembled():
        accounts.add(number, made)
        turns = turns or _roles(made)
    left_out = ", ".join(f"`{one.what}`" for one in accounts.left_out)
    unused = ", ".join(f"`{one.key}`" for one in accounts.unused)
    yield f"`{file.name}`", _keys(opened), _named(opened), turns, left_out, unused


def _keys(opened: Opened) -> str:
    return ", ".join(f"`{key}`" for key in opened.detected.columns)


def _named(opened: Opened) -> str:
    return say(f"format.{opened.format.name if opened.format else 'unknown'}", "en")


def _roles(made: Assembled) -> str:
    """The turns of a row that can be trained, by who speaks."""
    if any(not KINDS[fault.code].usable for fault in made.faults):
        return ""
    said = []
    for turn in made.turns:
        said += ["system"] if turn.system else []
        said += ["question"] if turn.input else []
        said.append("answer" if turn.trained else "answer (not learned)")
    return " → ".join(said)


def _names() -> str:
    families = json.loads((BANKS / "key_names.json").read_text(encoding="utf-8"))
    rows = [
        (family.replace("_", " "), ", ".join(f"`{name}`" for name in names))
        for family, names in families.items()
    ]
    return table(("family", "names"), rows)

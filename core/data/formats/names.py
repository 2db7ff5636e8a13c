"""What keys, columns and speakers are usually called, by family; the lists stand in ``banks/key_names.json``.

Names are compared without case, and with spaces and hyphens as underscores. The usual ones come first.
"""

import json
from functools import cache

from core.workspace.paths import BANKS


@cache
def _families() -> dict[str, tuple[str, ...]]:
    found = json.loads((BANKS / "key_names.json").read_text(encoding="utf-8"))
    return {family: tuple(names) for family, names in found.items()}


def family(name: str) -> tuple[str, ...]:
    """The names of one family. Raises KeyError for none of the file's."""
    return _families()[name]


@cache
def plain(key: str) -> str:
    """A key as it is compared."""
    return key.strip("\ufeff \t\r\n").lower().replace(" ", "_").replace("-", "_")

"""What keys, columns and speakers are usually called, by family; the lists stand in ``banks/key_names.json``.

Names are compared without case, and with spaces and hyphens as underscores: ``Image URL`` and ``imageUrl``
are ``image_url``. The usual ones come first.
"""

import json
import re
from functools import cache

from core.workspace.paths import BANKS

# Where a word begins in a name without signs between them.
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z](?:[a-z]|[A-Z]+\b))")


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
    key = _WORD.sub("_", key.strip("\ufeff \t\r\n")).lower()
    return key.replace(" ", "_").replace("-", "_")

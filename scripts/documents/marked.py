"""Parts of a page that are made from the code, between two comments that the reader does not see::

<!-- scripts/docs NAME -->
…
<!-- end -->
"""

import re
from collections.abc import Mapping, Sequence

from core.workspace.paths import PROJECT

PART = re.compile(r"(<!-- scripts/docs (?P<name>[a-z ]+) -->\n)(?P<text>.*?)(<!-- end -->)", re.DOTALL)


def filled(page: str, parts: Mapping[str, str]) -> str:
    """The page at this path with these parts. Raises ValueError when it has not exactly these."""
    text = (PROJECT / page).read_text(encoding="utf-8")
    named = [found["name"] for found in PART.finditer(text)]
    if sorted(named) != sorted(parts):
        raise ValueError(f"{page} has the parts {sorted(named)}, made are {sorted(parts)}")
    return PART.sub(lambda found: f"{found[1]}\n{parts[found['name']].strip()}\n\n{found[4]}", text)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    lines = [head, ["---"] * len(head), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def first_paragraph(docstring: str | None) -> str:
    """What a docstring begins with, on one line and in Markdown."""
    whole = " ".join((docstring or "").strip().split("\n\n")[0].split())
    return re.sub(r":(?:mod|class|func|meth):`~?([^`]*)`", r"`\1`", whole).replace("``", "`")

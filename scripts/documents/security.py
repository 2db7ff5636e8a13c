"""Known faults of pinned packages that reach nobody, as a table of SECURITY.md: from pyproject.toml."""

from scripts.documents.marked import filled, table
from scripts.known_faults import Accepted, accepted

SECURITY = "SECURITY.md"


def pages() -> dict[str, str]:
    """The page with its table as the exceptions are now."""
    return {SECURITY: filled(SECURITY, {"known faults": known_faults(accepted())})}


def known_faults(exceptions: tuple[Accepted, ...]) -> str:
    head = ("fault", "published", "of", "why it does not reach you")
    return table(
        head, [(", ".join(one.faults) or "no number", one.published, one.of, one.why) for one in exceptions]
    )

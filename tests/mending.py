"""Findings of one code mended by one fix."""

from collections.abc import Mapping, Sequence

from core.data.checking.texts import TemplateTokens
from core.data.findings import KINDS, Finding
from core.data.fixes import Change, Given, all_changes
from core.data.opening import Opened


def changes(
    opened: Opened,
    found: Sequence[Finding],
    tokens: TemplateTokens,
    fix: str | None = None,
    values: Mapping[str, str] | None = None,
) -> list[Change]:
    """What that changes; rows that it cannot mend are not among it. ``fix``: by default the code's first."""
    name = fix or KINDS[found[0].code].fix
    made = all_changes(opened, found, {found[0].code: name or ""}, Given(tokens, values or {}))
    return [one for one in made if isinstance(one, Change)]

"""A data file mended into a file of its own: what could be mended, and doing it."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import with_config

from core.data.checking.report import Report
from core.data.findings import KINDS, Finding
from core.data.fixes import FIXES, Change, Given, Unfixed, all_changes, fields_of, version
from core.data.opening import Opened, none_usable
from core.errors import InTheWay
from core.steps import check
from core.steps.check_request import CheckRequest
from core.wording import say
from core.workspace.files import write_lines
from core.workspace.paths import Workspace

SHOWN_CHANGES = 5
# What keeps a row from being trained, each by its usual fix: what is mended when nothing is named.
USUAL = {code: kind.fix for code, kind in KINDS.items() if kind.fix and not kind.usable}
# What everything at once is fixed by.
ADVISED = {code: kind.advised for code, kind in KINDS.items() if kind.advised}
ALL = "all"
# By itself it would say nothing of what is to be left out.
NEEDS_A_FINDING = "drop"


@with_config(extra="forbid")
@dataclass(frozen=True)
class FixRequest:
    """What is mended: the file as it is checked, each finding's code with its fix in the order in which they
    are done, and the values that fixes take by field. ``without_broken``: rows that even so could not be
    trained are left out. ``out`` None: only what could be mended is told."""

    checked: CheckRequest
    out: Path | None = None
    fixes: tuple[tuple[str, str], ...] = tuple(USUAL.items())
    values: tuple[tuple[str, str], ...] = ()
    without_broken: bool = False


def named(name: str) -> dict[str, str] | None:
    """The fixes by code that a ``name`` means: a finding's code (by its usual fix), CODE=FIX, a fix for all
    that it mends, or ``ALL`` for what is advised. None for what is none of these."""
    if name == ALL:
        return ADVISED
    code, equals, fix = name.partition("=")
    if equals:
        return {code: fix} if code in KINDS and fix in KINDS[code].fixes else None
    if code in KINDS:
        usual = KINDS[code].fix
        return {code: usual} if usual else None
    if code in FIXES and code != NEEDS_A_FINDING:
        return {known: code for known, kind in KINDS.items() if code in kind.fixes}
    return None


def fix(workspace: Workspace, request: FixRequest, progress: Callable[[float, str], None]) -> dict[str, Any]:
    """Check the file, mend what was asked for, and write the rows. The file itself is never changed.

    Raises InTheWay, NoSuchFile, NoSuchColumn, Unreadable, EmptyData, NoUsableRow (then nothing is written),
    NoSuchModel, NotAModel, OSError.
    """
    if request.out and request.out.exists():
        raise InTheWay(path=request.out)
    opened, report = check.run(workspace, request.checked, progress, whole=True)
    told = {
        "file": str(request.checked.file.absolute()),
        "out": None,
        "rows": report.rows,
        "usable": report.usable,
        "findings": _could_be_mended(report, request),
    }
    if request.out is None:
        return told
    return {**told, **_write(workspace, request, request.out, opened, report)}


def _values(report: Report, request: FixRequest, code: str, name: str) -> dict[str, str]:
    """The values that a fix takes for what was found, by field: those given, else what the findings suggest;
    empty where nobody knows."""
    found = [one for one in report.findings.listed if one.code == code]
    given = dict(request.values)
    return {field: given.get(field, known) for field, known in fields_of(name, found, given).items()}


def _could_be_mended(report: Report, request: FixRequest) -> list[dict[str, Any]]:
    rows = _rows(report.findings.listed)
    return [
        {
            "code": code,
            "what": say(f"code.{code}"),
            "rows": count,
            "usable": KINDS[code].usable,
            "fixes": [
                {"fix": name, "what": say(f"fix.{name}"), "values": _values(report, request, code, name)}
                for name in KINDS[code].fixes
            ],
        }
        for code, count in sorted(rows.items(), key=lambda item: (KINDS[item[0]].usable, -item[1]))
    ]


def _rows(found: Sequence[Finding]) -> Counter[str]:
    """How many rows have each code."""
    return Counter(code for code, _ in {(one.code, one.row) for one in found})


def _write(
    workspace: Workspace, request: FixRequest, out: Path, opened: Opened, report: Report
) -> dict[str, Any]:
    listed, chosen = report.findings.listed, dict(request.fixes)
    taken = {code: _values(report, request, code, name) for code, name in request.fixes}
    values = {field: value for fields in taken.values() for field, value in fields.items() if value.strip()}
    given = Given(check.marks(workspace, request.checked), values)
    first: list[Change] = []
    changed: dict[int, str | None] = {}
    for change in all_changes(opened, listed, chosen, given, request.without_broken):
        if isinstance(change, Unfixed):
            continue
        changed[change.row] = change.after
        first += [change] if len(first) < SHOWN_CHANGES else []
    broken = {one.row for one in listed if not one.usable and one.code != "broken_table_row"}
    left = [one for one in listed if one.row in broken - {*changed} and not one.usable]
    rows = len(opened.source) - sum(after is None for after in changed.values())
    usable = rows - len({one.row for one in left})
    if not usable:
        raise none_usable(request.checked.file, listed)
    write_lines(out, version(opened, changed))
    return {
        "out": str(out.absolute()),
        "written": rows,
        "written_usable": usable,
        "fixed": [
            {"code": code, "fix": chosen[code], "what": say(f"fix.{chosen[code]}"), "rows": count}
            for code, count in _rows([one for one in listed if one.row in changed]).items()
            if code in chosen
        ],
        "mended": sum(after is not None for after in changed.values()),
        "left_out": sum(after is None for after in changed.values()) + report.rows - len(opened.source),
        "changes": [change.as_json() for change in first],
        "missing_values": sorted({f for fields in taken.values() for f in fields if f not in values}),
        "still_broken": [one.as_json() for one in left],
    }


def values_of(pairs: Sequence[str]) -> Mapping[str, str] | None:
    """``name=小明`` as a field and its value; None where one has no name."""
    split = [pair.partition("=") for pair in pairs]
    if not all(field.strip() and equals for field, equals, _ in split):
        return None
    return {field.strip(): value for field, _, value in split}

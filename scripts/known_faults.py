"""Known faults of the pinned packages, as pip-audit finds them.

    scripts/audit [--within SECONDS] [--osv ADDRESS]

PyPI's list is asked and, where that answers nothing (a mirror has the packages and not the list), OSV's. A
fault that is found fails, unless ``[[tool.audit.exceptions]]`` of pyproject.toml has it with the reason why
it reaches nobody; so does an exception of a version that is no longer pinned, for nobody has looked at it
since. Where no list answers, nobody knows: that is said in a line, and is no failure.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PINS = tuple(
    ROOT / name for name in ("requirements.txt", "requirements-dev.txt", "requirements-openxlab.txt")
)
AUDIT = (
    *(sys.executable, "-m", "pip_audit", "--format=json", "--progress-spinner=off"),
    *("--no-deps", "--disable-pip", "--timeout=5"),
)
# Whether a list answers at all is seen by so many packages, in so many seconds.
FEW, SHORT = 3, 12.0
WITHIN = 300.0


class NotLookedUpError(Exception):
    """A list that gave no answer; why."""


@dataclass(frozen=True)
class Accepted:
    """Faults of one pinned version that reach nobody: an entry of ``[[tool.audit.exceptions]]``. ``faults``
    is empty where the fault has no number."""

    package: str
    version: str
    faults: tuple[str, ...]
    published: str
    of: str
    why: str


@dataclass(frozen=True)
class Fault:
    """What a list says of one package; ``names`` are all the numbers that it has."""

    package: str
    version: str
    names: frozenset[str]
    mended_by: tuple[str, ...]
    said: str

    def __str__(self) -> str:
        mended = f", mended by {' or '.join(self.mended_by)}" if self.mended_by else ", not mended anywhere"
        return f"{self.package} {self.version}: {', '.join(sorted(self.names))}{mended}. {self.said[:200]}"


def accepted(project: Path = ROOT / "pyproject.toml") -> tuple[Accepted, ...]:
    """The exceptions, as they stand in the file."""
    found = tomllib.loads(project.read_text(encoding="utf-8"))["tool"]["audit"]["exceptions"]
    return tuple(Accepted(**{**one, "faults": tuple(one["faults"])}) for one in found)


def outdated(exceptions: Sequence[Accepted], pins: Mapping[str, str]) -> Iterator[str]:
    """Of each exception that was looked at for another version than the pinned one: what to do."""
    for one in exceptions:
        if (pinned := pins.get(one.package)) != one.version:
            yield (
                f"the exception of {one.package} {one.version} in pyproject.toml is of no pin "
                f"({pinned or 'none'} is pinned): see whether it still holds"
            )


def pinned(files: Sequence[Path] = PINS) -> dict[str, str]:
    """The pinned versions by the packages' names; where two files differ, the first one's."""
    found: dict[str, str] = {}
    for file in files:
        for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", file.read_text(encoding="utf-8"), re.M):
            found.setdefault(name.lower(), version)
    return found


def look_up(options: Sequence[str], within: float) -> list[dict[str, Any]]:
    """What a list says of each pin, as pip-audit writes it. Raises NotLookedUpError."""
    with tempfile.TemporaryDirectory() as folder:
        few = Path(folder) / "few.txt"
        few.write_text("\n".join(PINS[0].read_text(encoding="utf-8").splitlines()[:FEW]), encoding="utf-8")
        _ask([few], options, SHORT)
    return _ask(PINS, options, within)


def _ask(files: Sequence[Path], options: Sequence[str], within: float) -> list[dict[str, Any]]:
    command = [*AUDIT, *options, *(word for file in files for word in ("-r", str(file)))]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=within)
    except subprocess.TimeoutExpired:
        raise NotLookedUpError(f"no answer within {within:.0f} s") from None
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        said = done.stderr.strip().splitlines() or [f"pip-audit ended with {done.returncode}"]
        raise NotLookedUpError(said[-1][:160]) from None
    if found and all("skip_reason" in one for one in found):
        raise NotLookedUpError(found[0]["skip_reason"])
    return found


def faults(found: Sequence[Mapping[str, Any]]) -> list[Fault]:
    """The faults in what pip-audit wrote, each once."""
    every = (
        Fault(
            *(one["name"], one["version"], frozenset({fault["id"], *fault["aliases"]})),
            *(tuple(fault["fix_versions"]), fault["description"]),
        )
        for one in found
        for fault in one.get("vulns", ())
    )
    return list(dict.fromkeys(every))


def is_accepted(fault: Fault, exceptions: Sequence[Accepted]) -> bool:
    return any(
        (fault.package, fault.version) == (one.package, one.version)
        and not fault.names.isdisjoint(one.faults)
        for one in exceptions
    )


def main(arguments: Sequence[str]) -> int:
    """Returns 1 where a fault is known that is no exception, or an exception is of no pin."""
    parser = argparse.ArgumentParser(prog="scripts/audit", description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--within", type=float, default=WITHIN, help="seconds that a list may take (300)")
    parser.add_argument("--osv", help="the address of a list that answers as OSV's; no other is asked")
    asked = parser.parse_args(arguments)
    own = ["--vulnerability-service=osv", f"--osv-url={asked.osv}"]
    lists = {asked.osv: own} if asked.osv else {"PyPI": [], "OSV": ["--vulnerability-service=osv"]}
    exceptions, silent = accepted(), []
    wrong = list(outdated(exceptions, pinned()))
    for name, options in lists.items():
        try:
            found = look_up(options, asked.within)
        except NotLookedUpError as why:
            silent.append(f"{name}: {why}")
            continue
        wrong += [str(fault) for fault in faults(found) if not is_accepted(fault, exceptions)]
        silent = [one["skip_reason"] for one in found if "skip_reason" in one]
        break
    if silent:
        print(f"not looked up: {'; '.join(silent)}")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

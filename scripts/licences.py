"""Which installed packages ask to be named, and whether NOTICE names them.

    .venv/bin/python -m scripts.licences [--all]

Read from the packages' own metadata: what is neither permissive nor public domain must be named (the GPL's
family, MPL, licences of a vendor's own, and packages that say nothing). Exits 1 when one is missing.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.metadata import Distribution, PackageMetadata, distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# What a permissive licence is called in an expression, in a classifier or in a line of an author's own.
PERMISSIVE = re.compile(
    r"\b(MIT|BSD|Apache|ISC|PSF|Python Software Foundation|Unlicense|0BSD|Zlib|HPND|matplotlib|Kiwi)\b",
    re.IGNORECASE,
)
# And what asks for more, beside a permissive one too ("MPL-2.0 AND MIT").
ASKING = re.compile(
    r"GPL|General Public|\bMPL|Mozilla|\bCC-BY|EPL|CDDL|EUPL|NVIDIA|Proprietary", re.IGNORECASE
)


@dataclass(frozen=True, order=True)
class Package:
    """One installed package and what its metadata calls its licence."""

    name: str
    licence: str

    @property
    def asks(self) -> bool:
        """Whether its licence asks to be named, or is not known."""
        return bool(ASKING.search(self.licence)) or not PERMISSIVE.search(self.licence)


def installed(*folders: Path) -> list[Package]:
    """Every package of this environment, or of these folders of packages."""
    found = distributions(path=[str(folder) for folder in folders]) if folders else distributions()
    return sorted({Package(_plain(one.name), licence(one)) for one in found})


def locked(*files: str) -> set[str]:
    """The names that these requirements files pin."""
    lines = (line for file in files for line in (ROOT / file).read_text(encoding="utf-8").splitlines())
    return {_plain(match[0]) for line in lines if (match := re.match(r"[\w.-]+(?===)", line))}


def licence(package: Distribution) -> str:
    """The licence's expression, else its classifiers, else the first line of what the author wrote."""
    metadata = package.metadata
    if expression := _said(metadata, "License-Expression"):
        return expression
    classifiers = [
        text.rpartition(" :: ")[2]
        for text in metadata.get_all("Classifier", [])
        if text.startswith("License :: ")
    ]
    lines = _said(metadata, "License").strip().splitlines()
    return ", ".join([*classifiers, *lines[:1]]) or "says nothing"


def _said(metadata: PackageMetadata, name: str) -> str:
    return str(metadata[name]) if name in metadata else ""


def unnamed(packages: list[Package], notice: str) -> Iterator[Package]:
    """Those that ask to be named and that NOTICE does not name; it may name many at once (``nvidia-*``)."""
    words = re.findall(r"[\w.-]+\*?", notice)
    for package in packages:
        if package.asks and not any(fnmatchcase(package.name, word.rstrip(".")) for word in words):
            yield package


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--all", action="store_true", help="list every package, not only those that ask")
    asked = parser.parse_args()
    names = locked("requirements.txt", "requirements-dev.txt")
    packages = [one for one in installed() if one.name in names]
    for one in packages:
        if asked.all or one.asks:
            print(f"{one.name:28} {one.licence}")
    missing = list(unnamed(packages, (ROOT / "NOTICE").read_text(encoding="utf-8")))
    for one in missing:
        print(f"NOTICE does not name {one.name} ({one.licence})", file=sys.stderr)
    sys.exit(bool(missing))


if __name__ == "__main__":
    main()

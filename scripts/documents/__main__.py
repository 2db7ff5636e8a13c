"""``python -m scripts.documents [--check]``."""

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence

from core.workspace.paths import PROJECT
from scripts import documents


def pages() -> dict[str, str]:
    """Every file that is made from the code, and what it should hold."""
    made: dict[str, str] = {}
    for module in pkgutil.iter_modules(documents.__path__):
        if module.name == "__main__":
            continue
        found = importlib.import_module(f"scripts.documents.{module.name}")
        for path, text in found.pages().items() if hasattr(found, "pages") else ():
            made[path] = text.rstrip() + "\n"
    return made


def stale() -> dict[str, str]:
    """Those of them that hold something else, or are not there."""
    return {path: text for path, text in pages().items() if _held(path) != text}


def _held(path: str) -> str | None:
    file = PROJECT / path
    return file.read_text(encoding="utf-8") if file.exists() else None


def main(arguments: Sequence[str]) -> int:
    """Write what is not up to date, or with ``--check`` name it and return 1."""
    parser = argparse.ArgumentParser(prog="scripts/docs", description=documents.__doc__.splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 when a page is not up to date"
    )
    found, check = stale(), parser.parse_args(arguments).check
    for path, text in found.items():
        if check:
            print(f"{path} is not what the code says: run scripts/docs", file=sys.stderr)
        else:
            (PROJECT / path).parent.mkdir(parents=True, exist_ok=True)
            (PROJECT / path).write_text(text, encoding="utf-8")
            print(path)
    return 1 if check and found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

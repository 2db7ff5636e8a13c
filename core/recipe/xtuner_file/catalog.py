"""The configs that XTuner ships (``xtuner list-cfg``), found and read without importing it."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from core.errors import InTheWay, NoSuchConfig, NotAConfig, PackageMissing, reason_of
from core.recipe.xtuner_file.reader import read_config
from core.recipe.xtuner_file.values import Values
from core.wording import did_you_mean, say
from core.workspace.files import write_text

PACKAGE = "xtuner"


@dataclass(frozen=True)
class Shipped:
    """One of XTuner's configs: what ``xtuner list-cfg`` calls it and its file."""

    name: str
    file: Path


def shipped() -> list[Shipped]:
    """All of them by name, as ``xtuner list-cfg`` (0.2.0) counts them: DeepSpeed's JSON files and a few
    scripts stand among them. Raises PackageMissing."""
    files = {file.stem: file for file in sorted((_package() / "configs").rglob("*")) if _listed(file)}
    return [Shipped(name, files[name]) for name in sorted(files)]


def _listed(file: Path) -> bool:
    return file.suffix in {".py", ".json"} and file.name[0] not in "._" and file.is_file()


def search(words: Iterable[str]) -> list[Shipped]:
    """Those whose name has every word in it, upper or lower case."""
    wanted = [word.lower() for word in words]
    return [one for one in shipped() if all(word in one.name.lower() for word in wanted)]


def find(name: str) -> Shipped:
    """The config called ``name``. Raises NoSuchConfig with the nearest names."""
    known = {one.name: one for one in shipped()}
    if name in known:
        return known[name]
    within = [one for one in known if name and name.lower() in one.lower()][:3]
    near = say("near", names=say("row.list").join(within)) if within else None
    raise NoSuchConfig(name=name, near=near or did_you_mean(name, dict.fromkeys(known, ())))


def config_bytes(given: str) -> tuple[bytes, str]:
    """A config's content and its file's path: of a file, else of the one XTuner ships under that name.

    Raises NoSuchConfig, NotAConfig.
    """
    try:
        file = Path(given) if Path(given).is_file() else find(given).file
        return file.read_bytes(), str(file)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise NotAConfig(
            path=given, reason=reason_of(error) if isinstance(error, OSError) else str(error)
        ) from error


def copy(name: str, folder: Path) -> Path:
    """Copy a shipped config into ``folder`` as ``NAME_copy.py``, as ``xtuner copy-cfg`` does.

    Raises NoSuchConfig; InTheWay rather than overwrite a copy that was changed.
    """
    source = find(name).file
    target = folder / f"{source.stem}_copy{source.suffix}"
    text = source.read_text(encoding="utf-8")
    if target.exists() and target.read_text(encoding="utf-8", errors="replace") != text:
        raise InTheWay(path=target)
    write_text(target, text)
    return target


@cache
def named_texts() -> Values:
    """XTuner's ``SYSTEM_TEMPLATE`` by name, read from its source; empty without XTuner."""
    try:
        file = _package() / "utils" / "templates.py"
        found = read_config(file.read_bytes(), file.name).get("SYSTEM_TEMPLATE")
    except (PackageMissing, OSError):
        return {}
    return found if isinstance(found, dict) else {}


def _package() -> Path:
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise PackageMissing(package=PACKAGE)
    return Path(next(iter(spec.submodule_search_locations)))

"""Record what this project does with each of today's families, for docs/models.md.

    python -m tests.record_families [NAME…]

A tiny random model of each (:mod:`tests.families`) is taken in, tuned with the default options, converted,
merged, asked, chatted with, written as GGUF and made ready to be published: by the commands' own functions,
in processes of their own. What is refused is recorded with the sentence that a person reads. Of families
that are named only theirs is recorded anew.
"""

import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from core.errors import TuneboardError
from core.workspace.files import read_object, write_json
from core.workspace.paths import Workspace
from tests.engine_forks import engine_forks
from tests.families import ABOUT
from tests.family_chain import chat, gguf, made_ready, take, trained, tuned, work
from tests.forked_engine import SOCKET_VARIABLE, THREADS_VARIABLE

RECORDED = Path(__file__).parent / "recorded" / "families.json"
PACKAGES = ("torch", "transformers", "tokenizers", "peft", "xtuner", "gguf")


def record(workspace: Workspace, source: Path) -> dict[str, Any]:
    """One family's row, stage by stage."""
    taken = take(workspace, source)
    model, known_by = ABOUT[source.name]
    found: dict[str, Any] = {"model": model, "known_by": known_by}
    found |= {"how": taken["how"], "architecture": taken["architecture"]}
    try:
        run, result = tuned(workspace, taken["name"])
        found |= trained(run, result)
        found["fast"] = work("fast", taken["folder"])["unknown"]
        found["chat"] = chat(workspace, run)
        found["gguf"] = gguf(workspace, run)
        found["publish"] = made_ready(workspace, run)
    except TuneboardError as error:
        found["failed"] = error.text("en")
    return found


def main(names: list[str]) -> None:
    os.environ[SOCKET_VARIABLE] = engine_forks().socket
    os.environ[THREADS_VARIABLE] = "1"  # the models are tiny
    os.environ["TUNEBOARD_ENGINE"] = "tests.forked_engine"
    known: Mapping[str, Any] = (read_object(RECORDED) or {}).get("families", {})
    found = {name: row for name, row in known.items() if name in ABOUT}
    with TemporaryDirectory(prefix="families-") as folder:
        models = Path(folder) / "models"
        done = engine_forks().run("tests.families", models, *names)
        assert done.returncode == 0, done.stderr
        for name in names or ABOUT:
            found[name] = record(Workspace(Path(folder) / "w" / name), models / name)
            print(name, found[name], flush=True)
            write(found)


def write(found: Mapping[str, Any]) -> None:
    rows = {name: found[name] for name in ABOUT if name in found}
    versions = {name: version(name) for name in PACKAGES}
    date = datetime.now(UTC).date().isoformat()
    write_json(RECORDED, {"date": date, "versions": versions, "families": rows})


if __name__ == "__main__":
    main(sys.argv[1:])

"""Hold the list of models against the hubs: names, sizes, the numbers of each config, licence and gate.

    .venv/bin/python -m scripts.catalog [--hub huggingface|modelscope] [--list FILE] [--stamp]

Nothing but small files is downloaded. It ends with 0 where everything is as listed, 1 where something is
not, 2 where no hub could be reached and so nothing was checked. ``--stamp`` writes today's date into a list
that is as it should be.
"""

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.engine.hub_clients import Client, Hiccup, HuggingFaceDownloads, client_of
from core.errors import TuneboardError
from core.models.catalog import FILE, Entry, differences, read
from core.models.hubs import HUBS, Hub, ModelSource, RemoteFile, wanted

# Headers, and what a tokenizer's padding adds: listed sizes are those of the weights alone.
WITHIN = 0.01
CONFIG = "config.json"
WELL, DIFFERENT, UNCHECKED = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--hub", choices=HUBS, action="append", help="only this hub (default: both)")
    parser.add_argument("--list", type=Path, default=FILE, help="another list than the shipped one")
    parser.add_argument("--stamp", action="store_true", help="write today's date where all is as listed")
    asked = parser.parse_args(arguments)
    entries = read(asked.list.read_bytes()).models
    codes = {check_hub(hub, entries) for hub in asked.hub or HUBS}
    if DIFFERENT in codes:
        return DIFFERENT
    if WELL not in codes:
        print("No hub could be reached: nothing was checked.")
        return UNCHECKED
    if asked.stamp:
        text = asked.list.read_text(encoding="utf-8")
        today = datetime.now(UTC).date().isoformat()
        asked.list.write_text(re.sub(r'("date": ")[^"]*', rf"\g<1>{today}", text, count=1), encoding="utf-8")
    return WELL


def check_hub(hub: Hub, entries: Sequence[Entry]) -> int:
    """Print what a hub says of each model of the list that is there."""
    client, code = client_of(hub), WELL
    for entry in entries:
        name = entry.huggingface if hub == "huggingface" else entry.modelscope
        if name is None:
            continue
        try:
            found = [*_wrong(client, ModelSource(hub, name), entry)]
        except Hiccup as hiccup:
            print(f"✗ {hub}: {hiccup.reason}. What is listed of this hub was not checked from {name} on.")
            return UNCHECKED if code == WELL else code
        for line in found or ["as listed"]:
            print(f"{'✗' if found else '✓'} {hub}:{name}: {line}")
        code = DIFFERENT if found else code
    return code


def _wrong(client: Client, source: ModelSource, entry: Entry) -> Iterator[str]:
    """What is not as listed, a line each. Raises Hiccup where the hub gives no answer."""
    try:
        revision, files = client.files(source)
        chosen = wanted(files, source)
    except TuneboardError as error:
        yield str(error.values.get("reason") or error)
        return
    size = sum(file.size for file in chosen if file.name.endswith((".safetensors", ".bin")))
    if abs(size - entry.size) > WITHIN * entry.size:
        yield f"size: {entry.size} is listed, {size} found"
    open_to_all = True
    if isinstance(client, HuggingFaceDownloads):
        licence, gated = client.terms(source)
        open_to_all = not gated
        if licence != entry.licence:
            yield f"licence: {entry.licence} is listed, {licence} found"
        if gated != entry.gated:
            yield f"gated: {entry.gated} is listed, {gated} found"
    try:
        config = _config(client, source, revision, next(file for file in chosen if file.name == CONFIG))
        for field, (listed, there) in differences(entry, config).items():
            yield f"{field}: {listed} is listed, {there} found"
    except TuneboardError as error:
        if open_to_all:
            yield str(error.values.get("reason") or error)
        else:
            print(f"• {source}: its numbers were not checked: {error.values.get('reason')}")


def _config(client: Client, source: ModelSource, revision: str, file: RemoteFile) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        client.fetch(source, revision, file, Path(folder))
        found: dict[str, Any] = json.loads((Path(folder) / file.name).read_bytes())
        return found


if __name__ == "__main__":
    sys.exit(main())

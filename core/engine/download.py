"""Download a model's files: what it takes is listed first, every file is checked, a broken try goes on.

The request is a JSON file ``{"hub", "name", "revision", "folder", "another_waits"}``; the last says that
another hub is asked next, so that one without an answer is not waited for. Beside it ``listing.json``
appears: ``{"revision", "bytes", "files": [{"name", "size", "digest"}]}``.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from core.engine.hub_clients import Client, Hiccup, client_of
from core.engine.refusal import refusing
from core.errors import DownloadFailed, HubOutOfReach
from core.jobs import progress
from core.jobs.progress import Phase
from core.models.families import check_trainable, is_converted
from core.models.folder import read_object
from core.models.hubs import PAUSE_VARIABLE, ModelSource, RemoteFile, check_tokenizer, is_pickle, wanted
from core.steps.step import check_space
from core.wording import say
from core.workspace.files import folder_bytes, write_json

AT_ONCE = 4
# How often to try again when a try brought nothing. The first wait, in seconds, grows fourfold each time.
MORE_TRIES, PAUSE, GROWTH = 3, 0.5, 4.0
# As often where another hub waits to be asked.
TRIES_BEFORE_ANOTHER = 1
LONGEST_WAIT = 60.0
SPARE = 50_000_000
PIECE = re.compile(r"_\d+_\d+|\.incomplete|\.parallel_tmp")
T = TypeVar("T")


def main(request: str) -> None:
    """Download what the request asks for. Ends the process when it cannot, saying why."""
    asked = json.loads(Path(request).read_text(encoding="utf-8"))
    job = Path(request).parent
    progress.phase(Phase.downloading)
    with refusing(job):
        source = ModelSource(asked["hub"], asked["name"], asked["revision"])
        more = TRIES_BEFORE_ANOTHER if asked.get("another_waits") else MORE_TRIES
        download(client_of(asked["hub"]), source, Path(asked["folder"]), job / "listing.json", more)


def download(
    client: Client, source: ModelSource, folder: Path, listing: Path, more: int = MORE_TRIES
) -> None:
    """Fetch the model's files into ``folder``; the hub is asked what there is ``more`` times again.

    Raises DownloadFailed (HubOutOfReach where the hub is at fault), NotAModel, QuantizedBase, DiskFull.
    """
    print(f"listing {source}", flush=True)
    revision, files = _patiently(lambda: client.files(source), source, lambda: 0, more)
    chosen = wanted(files, source)
    total = sum(file.size for file in chosen)
    write_json(listing, {"revision": revision, "bytes": total, "files": [asdict(file) for file in chosen]})
    folder.mkdir(parents=True, exist_ok=True)
    _remove_others(folder, chosen)
    # What it is decides whether the rest is worth fetching, and how much room it takes.
    about = next(file for file in chosen if file.name == "config.json")
    _fetch(client, source, revision, about, folder)
    check_trainable(read_object(folder / about.name), source)
    check_tokenizer([file.name for file in chosen], source)
    _check_room(folder, chosen)
    # The largest first: the last ones then end together. Not in a with block: when one file fails for good,
    # nobody waits for the others, which go on at the next try.
    threads = ThreadPoolExecutor(AT_ONCE)
    by_size = sorted((file for file in chosen if file != about), key=lambda file: -file.size)
    tries = [threads.submit(_fetch, client, source, revision, file, folder) for file in by_size]
    for one in as_completed(tries):
        one.result()
    print(f"downloaded {source} at {revision}", flush=True)


def _check_room(folder: Path, chosen: Sequence[RemoteFile]) -> None:
    """What is there already needs no room; weights that are converted lie there twice for a while, and so
    does a large file that modelscope-hub puts together of its pieces."""
    twice = is_converted(read_object(folder / "config.json")) or any(is_pickle(file.name) for file in chosen)
    total = sum(file.size for file in chosen)
    again = total if twice else max(file.size for file in chosen)
    check_space(folder, total - folder_bytes(folder) + again + SPARE)


def _remove_others(folder: Path, chosen: Sequence[RemoteFile]) -> None:
    """What an earlier download of another revision left; unfinished files stay."""
    for path in folder.iterdir():
        if path.is_file() and not any(_belongs(path, file) for file in chosen):
            path.unlink()


def _belongs(path: Path, file: RemoteFile) -> bool:
    """Whether a path is a file or one of its pieces, as modelscope-hub names them."""
    rest = path.name.removeprefix(file.name)
    return path.name == file.name or (rest != path.name and bool(PIECE.fullmatch(rest)))


def _fetch(client: Client, source: ModelSource, revision: str, file: RemoteFile, folder: Path) -> None:
    path = folder / file.name
    for last in (False, True):
        if not _is_right(path, file):
            path.unlink(missing_ok=True)
            _patiently(
                lambda: client.fetch(source, revision, file, folder), source, lambda: folder_bytes(folder)
            )
        if _is_right(path, file):
            print(f"fetched {file.name}", flush=True)
            return
        _forget(folder, file)
        if last:
            raise DownloadFailed(source=source, reason=say("hub.checksum", file=file.name))


def _forget(folder: Path, file: RemoteFile) -> None:
    """Drop a wrong file and what the clients remember of it, so that all of it is fetched anew."""
    for path in folder.iterdir():
        if _belongs(path, file):
            path.unlink()
    for left in folder.rglob(f"{file.name}*.metadata"):
        left.unlink(missing_ok=True)


def _is_right(path: Path, file: RemoteFile) -> bool:
    """Whether a file is there, as long as listed and of the content listed."""
    if not path.is_file() or (file.size and path.stat().st_size != file.size):
        return False
    kind, _, wanted_digest = file.digest.partition(":")
    return not wanted_digest or _digest(path, kind) == wanted_digest


def _digest(path: Path, kind: str) -> str:
    if kind == "sha256":
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0%b" % (len(content), content), usedforsecurity=False).hexdigest()


def _patiently(
    ask: Callable[[], T], source: ModelSource, bytes_so_far: Callable[[], int], more: int = MORE_TRIES
) -> T:
    """Ask until it works; give up when several tries in a row brought nothing. Raises HubOutOfReach."""
    tries, before = 0, bytes_so_far()
    pause = float(os.environ.get(PAUSE_VARIABLE) or PAUSE)
    while True:
        try:
            return ask()
        except Hiccup as hiccup:
            now = bytes_so_far()
            tries, before = (0 if now > before else tries), now
            if tries == more or hiccup.wait > LONGEST_WAIT:
                raise HubOutOfReach(source=source, reason=hiccup.reason) from hiccup
            print(f"trying again: {hiccup.reason}", flush=True)
            time.sleep(max(pause * GROWTH**tries, hiccup.wait))
            tries += 1

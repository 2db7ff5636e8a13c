"""The whole check: a source's blocks by all processors, then what only all rows together tell."""

import hashlib
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np

from core.data.accounting import beside
from core.data.checking.block import Block, Settings
from core.data.checking.blocks import BlockRows, Worker, tasks
from core.data.checking.identity import NOBODY, Claimed, Person, conflicts
from core.data.checking.lengths import Around, TurnLengths, histogram, lengths
from core.data.checking.near import Alike, alike
from core.data.checking.report import MOST_LISTED, Findings, Report
from core.data.findings import Finding
from core.data.placing import of_the_text, placed
from core.data.reading.source import Source
from core.data.tokens import first_tokens, read_tokenizer
from core.errors import EmptyData
from core.machine import usable_cores
from core.recipe.own_template import OwnTemplate, template_of
from core.workspace.data_paths import SourceCache

# Below this many bytes starting processes costs more than it brings.
ALONE = 4_000_000
Progress = Callable[[float], None]


def check(
    source: Source,
    settings: Settings,
    max_length: int | Callable[[TurnLengths], int],
    cache: SourceCache,
    progress: Progress,
    most_listed: int = MOST_LISTED,
    person: Person = NOBODY,
) -> Report:
    """Check every row of a source; ``max_length`` may go by how long they are. ``progress`` is called with
    the share done; of each kind of finding ``most_listed`` are listed. ``person``: whose assistant is taught,
    as far as it is known.

    Raises EmptyData, NotAModel.
    """
    began = time.monotonic()
    todo = list(tasks(source))
    refused = sum(len(part.refused) for part in source.parts)
    if not todo and not refused and not any(part.stray for part in source.parts):
        raise EmptyData(path=source.path)
    blocks = list(_checked(todo, settings, cache, progress))
    found = Findings(most=most_listed)
    found.add(of_the_text(source))
    found.add(placed(source, [*_of_blocks(todo, blocks)]))
    measured = row_lengths(blocks, settings)
    max_length = max_length if isinstance(max_length, int) else max_length(measured)
    cut = _truncated(measured, max_length)
    found.add(cut)
    same = alike(_joined(blocks, "digests", np.uint64), _signatures(blocks))
    found.add_many("duplicate", _duplicates(same, exact=True), int((same.share == 1).sum()))
    found.add_many("near_duplicate", _duplicates(same, exact=False), int((same.share < 1).sum()))
    found.add(_conflicts(todo, blocks, person))
    found.listed.sort(key=lambda finding: finding.row)
    usable = _joined(blocks, "usable", bool)
    spoken = Counter(language for language, fine in _languages(blocks) if language and fine)
    return Report(
        format=settings.format.name,
        container=source.container,
        encoding=", ".join(sorted({part.encoding.text for part in source.parts})),
        sha256=_sha256(source),
        rows=len(source) + refused,
        usable=int(usable.sum()),
        findings=found,
        tokens=int(measured.rows.sum()),
        answer_tokens=int(measured.answers.sum()),
        max_length=max_length,
        truncated_rows=len(cut),
        answer_tokens_lost=int(measured.lost(max_length).sum()),
        duplicates=len(same.rows),
        languages=dict(spoken.most_common()),
        histogram=histogram(measured.rows[usable]),
        seconds=round(time.monotonic() - began, 2),
        **_keys(source, blocks),
    )


# --- the blocks ---


def _checked(
    todo: Sequence[BlockRows], settings: Settings, cache: SourceCache, progress: Progress
) -> Iterator[Block]:
    """The blocks in their order, checked by as many processes as there are processors."""
    whole = max(1, sum(task.size for task in todo))
    cores = usable_cores()
    done, position = 0, 0
    if whole > ALONE and cores > 1:
        try:
            for task, block in zip(todo, _by_all(todo, settings, cache, cores), strict=True):
                yield block
                done, position = done + task.size, position + 1
                progress(done / whole)
        except BrokenProcessPool:  # one was killed, for want of memory: go on more slowly
            pass
    worker = Worker(settings, cache)
    for task in todo[position:]:
        yield worker.check(task)
        done += task.size
        progress(done / whole)


def _by_all(todo: Sequence[BlockRows], settings: Settings, cache: SourceCache, cores: int) -> Iterator[Block]:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(cores, context, initializer=_begin, initargs=(settings, cache))
    try:
        yield from pool.map(_check_one, todo)
    finally:
        pool.shutdown(cancel_futures=True)


_WORKER: list[Worker] = []


def _begin(settings: Settings, cache: SourceCache) -> None:
    """In a process of the pool. Ctrl+C is for whoever started it, who then lets it end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    _WORKER[:] = [Worker(settings, cache)]


def _check_one(task: BlockRows) -> Block:
    return _WORKER[0].check(task)


# --- all of them together ---


def _joined(blocks: Sequence[Block], name: str, kind: type) -> np.ndarray:
    return np.concatenate([getattr(block, name) for block in blocks] or [np.zeros(0, kind)])


def _signatures(blocks: Sequence[Block]) -> np.ndarray:
    return np.concatenate([block.signatures for block in blocks] or [np.zeros((0, 64), np.uint8)])


def _languages(blocks: Sequence[Block]) -> Iterator[tuple[str, bool]]:
    """The language of every row, and whether the row is usable."""
    for block in blocks:
        yield from zip(block.languages, block.usable.tolist(), strict=True)


def row_lengths(blocks: Sequence[Block], settings: Settings) -> TurnLengths:
    """The lengths of all rows of some blocks in tokens, as they are trained. Raises NotAModel."""
    turns, asked, said = (_joined(blocks, name, np.int64) for name in ("turns", "asked", "said"))
    return lengths(turns, asked, said, _joined(blocks, "learned", bool), _around(settings))


def _around(settings: Settings) -> Around:
    """What training puts around turns; a block has counted what a model's own chat template writes."""
    template = template_of(settings.template, settings.tokenizer_file.parent)
    if isinstance(template, OwnTemplate):
        return Around(0, False, 0)
    separator = len(read_tokenizer(settings.tokenizer_file).encode(template.sep, add_special_tokens=False))
    return Around(first_tokens(settings.tokenizer_file), not template.suffix, separator)


def _of_blocks(todo: Sequence[BlockRows], blocks: Sequence[Block]) -> Iterator[Finding]:
    for task, block in zip(todo, blocks, strict=True):
        for row, place, code, values in block.faults:
            yield Finding(task.first + row + 1, place, code, values)


def _truncated(measured: TurnLengths, max_length: int) -> list[Finding]:
    rows = np.flatnonzero(measured.rows > max_length)
    lost = measured.lost(max_length)
    return [
        Finding(
            row + 1,
            "",
            "truncated",
            {"tokens": int(measured.rows[row]), "limit": max_length, "lost": int(lost[row])},
        )
        for row in rows.tolist()
    ]


def _duplicates(same: Alike, exact: bool) -> Iterator[Finding]:
    chosen = np.flatnonzero((same.share == 1) == exact)
    for number in chosen.tolist():
        row, other = int(same.rows[number]) + 1, int(same.earlier[number]) + 1
        if exact:
            yield Finding(row, "", "duplicate", {"other": other})
        else:
            yield Finding(row, "", "near_duplicate", {"other": other, "share": f"{same.share[number]:.0%}"})


def _conflicts(todo: Sequence[BlockRows], blocks: Sequence[Block], person: Person) -> Iterator[Finding]:
    claimed = [
        Claimed(task.first + row + 1, place, kind, name)
        for task, block in zip(todo, blocks, strict=True)
        for row, place, kind, name in block.claims
    ]
    for one in conflicts(claimed, person):
        yield one.as_finding()


def _keys(source: Source, blocks: Sequence[Block]) -> dict[str, Any]:
    """The report's ``unread`` and ``harmless``: of all rows, and of what stands beside them."""
    found: dict[str, tuple[int, str]] = {}
    for block in blocks:
        for key, (rows, example) in block.unread.items():
            before, first = found.get(key, (0, example))
            found[key] = (before + rows, first)
    unread, harmless = beside(source)
    harmless_keys = {key for block in blocks for key in block.harmless}
    return {"unread": found | unread, "harmless": sorted(harmless_keys | {*harmless})}


def _sha256(source: Source) -> str:
    """Of the file; of a folder, of its files' hashes."""
    digests = []
    for part in source.parts:
        if part.path.is_file():
            with part.path.open("rb") as stream:
                digests.append(hashlib.file_digest(stream, "sha256").hexdigest())
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()

"""A block of rows, checked by itself: what it holds, how many tokens, and what is wrong with each row."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.data.accounting import count_unread
from core.data.checking.characters import Signatures, languages, signatures
from core.data.checking.claims import claims, prompt_claims
from core.data.checking.first_person import as_a_person
from core.data.checking.placeholders import suspicious, unfilled
from core.data.checking.texts import TemplateTokens, is_clean, marks_in, template_tokens
from core.data.conversations import Turn
from core.data.findings import KINDS
from core.data.formats.fields import Fault
from core.data.formats.messages import Assembled, Text
from core.data.formats.reading import Format, read_row
from core.data.identity import held_back_identity
from core.data.own_encoder import OwnEncoder
from core.data.questions import held_back_questions, same_question
from core.data.reading.parse import parse_row
from core.data.tokens import read_tokenizer
from core.recipe.own_template import OwnTemplate, template_files, template_of

# Raised when a block would be checked otherwise: what was kept of earlier checks is then not used.
VERSION = 10
# Of what a person says in an answer so many characters are shown.
LONGEST_SAID = 80
# A longer text is counted in pieces: a list of a million tokens takes a gigabyte.
PIECE = 20_000

Counts = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Settings:
    """What a block's check depends on; ``max_length`` does not matter to it."""

    tokenizer_file: Path
    template: str
    format: Format

    @cached_property
    def key(self) -> str:
        """A hash that is the same where every block would be checked alike."""
        digest = hashlib.sha256()
        for file in template_files(self.tokenizer_file.parent):
            digest.update(file.name.encode() + file.read_bytes())
        digest.update(f"|{VERSION}|{self.template}|{self.format.key}".encode())
        return digest.hexdigest()[:32]


@dataclass(frozen=True)
class Block:
    """What was found in the rows of a block, in their order.

    ``usable``, ``digests`` (of what a row says, 0 for nothing), ``signatures`` and ``languages`` have one
    entry a row; ``turns`` tells how many entries of ``asked`` and ``said`` (tokens of each question with its
    template, and of each answer with the suffix) and of ``learned`` are a row's. ``faults`` and ``claims``
    begin with the row, from 0. ``unread``: how many rows have a key that nobody read, and the first one's
    value; ``harmless``: keys that need no reading.
    """

    usable: npt.NDArray[np.bool_]
    turns: Counts
    asked: Counts
    said: Counts
    learned: npt.NDArray[np.bool_]
    digests: npt.NDArray[np.uint64]
    signatures: Signatures
    languages: list[str]
    faults: list[tuple[int, str, str, Mapping[str, Any]]] = field(default_factory=list)
    claims: list[tuple[int, str, str, str]] = field(default_factory=list)
    unread: dict[str, tuple[int, str]] = field(default_factory=dict)
    harmless: list[str] = field(default_factory=list)


class Checker:
    """Checks blocks with one tokenizer, template and format. Raises NotAModel for a broken tokenizer."""

    def __init__(self, settings: Settings) -> None:
        self.format = settings.format
        self.template = template_of(settings.template, settings.tokenizer_file.parent)
        self.tokenizer = read_tokenizer(settings.tokenizer_file)
        self.tokens: TemplateTokens = template_tokens(settings.tokenizer_file, self.template)
        self.beside = self._beside(settings.tokenizer_file)

    def check(self, rows: Sequence[bytes]) -> Block:
        """Check rows by their bytes."""
        read = [self._read(raw) for raw in rows]
        assembled = [made for made, _ in read]
        faults = [(row, *fault) for row, (_, found) in enumerate(read) for fault in found]
        faults += self._marks(assembled)
        unusable = {row for row, _, code, _ in faults if not KINDS[code].usable}
        usable = np.array([row not in unusable for row in range(len(rows))], bool)
        counted = [made.turns if fine else [] for made, fine in zip(assembled, usable, strict=True)]
        asked, said = self._lengths(counted)
        first, with_system, later = self.beside
        asked += np.array(
            [
                later if number else with_system if turn.system else first
                for turns in counted
                for number, turn in enumerate(turns)
            ],
            np.int32,
        )
        texts = ["\n".join(text.text for text in made.texts if text.role != "system") for made in assembled]
        return Block(
            usable=usable,
            turns=np.array([len(turns) for turns in counted], np.int32),
            asked=asked,
            said=said,
            learned=np.array([turn.trained for turns in counted for turn in turns], bool),
            digests=np.array([_digest(text) for text in texts], np.uint64),
            signatures=signatures(texts),
            languages=languages(texts),
            faults=[(row, place, code, dict(values)) for row, place, code, values in faults],
            claims=[(row, *claim) for row, made in enumerate(assembled) for claim in _claims(made)],
            unread=_unread(assembled),
            harmless=sorted({key for made in assembled for key in made.harmless}),
        )

    def _read(self, raw: bytes) -> tuple[Assembled, list[Fault]]:
        parsed = parse_row(raw)
        if parsed.fault and not KINDS[parsed.fault.code].usable:
            return Assembled(), [parsed.fault]
        made = read_row(parsed.value, self.format)
        return made, [*([parsed.fault] if parsed.fault else []), *made.faults]

    def _marks(self, assembled: Sequence[Assembled]) -> list[tuple[int, str, str, Mapping[str, Any]]]:
        found: list[tuple[int, str, str, Mapping[str, Any]]] = []
        texts = [text.text for made in assembled for text in made.texts]
        if suspicious("\n".join(texts)):
            for row, made in enumerate(assembled):
                found += [(row, *fault) for fault in unfilled(made.texts)]
        if not is_clean(texts, self.tokens):
            for row, made in enumerate(assembled):
                found += [(row, *fault) for text in made.texts for fault in marks_in(text, self.tokens)]
        for row, made in enumerate(assembled):
            found += [(row, *fault) for fault in (*_held_back(made.texts), *_persons(made.texts))]
        return found

    def _lengths(self, counted: Sequence[Sequence[Turn]]) -> tuple[Counts, Counts]:
        """Tokens of every turn's question in its template, and of its answer with the suffix."""
        prompt, suffix = self.template.written, self.template.suffix
        turns = [turn for some in counted for turn in some]
        texts = [prompt(turn.input, turn.system) for turn in turns] + [turn.output + suffix for turn in turns]
        lengths = np.array(self._count(texts), np.int32)
        return lengths[: len(turns)], lengths[len(turns) :]

    def _beside(self, tokenizer_file: Path) -> tuple[int, int, int]:
        """Tokens that the model's own chat template writes beside the texts of turns: with a first one (a
        date, a system prompt of its own, an empty thought), with a first one that has a system prompt, and
        with a later one. None for XTuner's templates, of which rows are put together."""
        if not isinstance(self.template, OwnTemplate):
            return 0, 0, 0
        encoder = OwnEncoder.of(tokenizer_file, self.template)
        first, later = Turn("Who?", "Ada."), Turn("And?", "Bo.")

        def more(*turns: Turn) -> int:
            asked, said = self._lengths([turns])
            return max(len(row.ids) for row in encoder.rows(turns)) - int(asked.sum() + said.sum())

        return more(first), more(replace(first, system="Be brief.")), more(first, later) - more(first)

    def _count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text; the same text is counted once."""
        distinct = list(dict.fromkeys(texts))
        short = [text for text in distinct if len(text) <= PIECE]
        encoded = self.tokenizer.encode_batch_fast(short, add_special_tokens=False)
        known = dict(zip(short, map(len, encoded), strict=True))
        known.update({text: self._count_long(text) for text in distinct if len(text) > PIECE})
        return [known[text] for text in texts]

    def _count_long(self, text: str) -> int:
        """Tokens of a long text, cut at spaces where it has any: right to a token or two a piece."""
        count, start = 0, 0
        while start < len(text):
            end = min(len(text), start + PIECE)
            cut = text.rfind(" ", start + 1, end) if end < len(text) else end
            end = cut if cut > start else end
            count += len(self.tokenizer.encode_batch_fast([text[start:end]], add_special_tokens=False)[0])
            start = end
        return count


def _unread(rows: Iterable[Assembled]) -> dict[str, tuple[int, str]]:
    found: dict[str, tuple[int, str]] = {}
    for made in rows:
        if made.unread:
            count_unread(found, made)
    return found


def _digest(text: str) -> int:
    """64 bits of a hash, never 0 for a text that says something."""
    if not text.strip():
        return 0
    return (
        int.from_bytes(
            hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little"
        )
        | 1
    )


def _persons(texts: Sequence[Text]) -> Iterator[Fault]:
    """Answers in which a person speaks: they teach the assistant to be that person."""
    question = ""
    for text in texts:
        if text.role == "user":
            question = text.text
        elif text.role == "assistant" and text.trained and (said := as_a_person(question, text.text)):
            yield Fault(text.field, "first_person", {"said": said[:LONGEST_SAID]})


def _held_back(texts: Sequence[Text]) -> Iterator[Fault]:
    """Questions that the proof will ask: whoever trains on them proves nothing."""
    known, longest = _held_back_bank()
    for text in texts:
        if text.role == "user" and len(text.text) <= longest and same_question(text.text) in known:
            yield Fault(text.field, "held_back", {"question": text.text.strip()})


@cache
def _held_back_bank() -> tuple[frozenset[str], int]:
    """All held-back questions as :func:`same_question` writes them, and the longest that can be one."""
    asked = [held.question for held in held_back_questions()]
    asked += [held.question for held in held_back_identity()]
    return frozenset(map(same_question, asked)), 2 * max(map(len, asked))


def _claims(made: Assembled) -> Iterator[tuple[str, str, str]]:
    """(field, kind, name) of what the answers and the system prompt of a row call the assistant."""
    question = ""
    for text in made.texts:
        if text.role == "user":
            question = text.text
        elif text.role == "system":
            for claim in prompt_claims(text.text):
                yield text.field, claim.kind, claim.name
        elif text.role == "assistant" and text.trained:
            for claim in claims(question, text.text):
                yield text.field, claim.kind, claim.name

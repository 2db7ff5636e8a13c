"""What comes with the program of a base model's answers: those of the starter, which every first run asks.

``scripts/ship_answers.py`` makes the files. They are used for the very model whose fingerprint they name,
spoken to in the same way; whatever else is asked, or of any other model, is asked here. Answers are greedy,
but another machine or number format may word one otherwise: whoever shows them says where they are from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

from core.data.teacher import Teacher, as_bytes, from_bytes
from core.workspace.files import read_record, write_bytes, write_json


@dataclass(frozen=True)
class ShippedPaths:
    """The files of one model's answers."""

    root: Path

    @property
    def about(self) -> Path:
        """Whose answers these are, and with what they were made."""
        return self.root / "about.json"

    @property
    def answers(self) -> Path:
        """As the memory of answers has them."""
        return self.root / "answers.json"

    @property
    def likelihoods(self) -> Path:
        """How likely the model finds its own answers of the proof, as the memory of answers has it."""
        return self.root / "likelihoods.json"

    @property
    def teacher(self) -> Path:
        """What else the model would have said in those that may be replayed, compressed."""
        return self.root / "replay.safetensors.zst"


@dataclass(frozen=True)
class ShippedAnswers:
    """``about``: fingerprint, template, system, precision, device, date and versions; nothing where no
    answers of the model are shipped."""

    about: Mapping[str, Any] = field(default_factory=dict)
    answers: Mapping[str, Any] = field(default_factory=dict)
    likelihoods: Mapping[str, Any] = field(default_factory=dict)
    teacher: Teacher = field(default_factory=dict)


def read_shipped(place: ShippedPaths, fingerprint: str, template: str, system: str) -> ShippedAnswers:
    """What is shipped for this model, spoken to like this."""
    about = read_record(place.about) or {}
    asked = {"fingerprint": fingerprint, "template": template, "system": system}
    if any(about.get(name) != value for name, value in asked.items()):
        return ShippedAnswers()
    answers, likelihoods = read_record(place.answers) or {}, read_record(place.likelihoods) or {}
    return ShippedAnswers(about, answers, likelihoods, _read_teacher(place.teacher))


def _read_teacher(file: Path) -> Teacher:
    try:
        return from_bytes(zstandard.decompress(file.read_bytes()))
    except (OSError, zstandard.ZstdError):
        return {}


def write_shipped(place: ShippedPaths, shipped: ShippedAnswers) -> None:
    """Write the files anew."""
    write_json(place.answers, shipped.answers)
    write_json(place.likelihoods, shipped.likelihoods)
    write_bytes(place.teacher, zstandard.compress(as_bytes(shipped.teacher), 19))
    write_json(place.about, shipped.about)

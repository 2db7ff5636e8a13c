"""The last look at every file before it leaves: nothing of this machine, its user or their secrets is in it.

What is looked for are paths and names that this machine really has, and the forms that keys have. Weights
are looked at where they hold text: the header of a safetensors file, the metadata of a GGUF file.
"""

import os
import re
import socket
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from core.wording import sentences
from core.workspace.paths import PROJECT
from core.workspace.user import home, user_name

Kind = Literal["path", "user", "host", "key"]
_KINDS: dict[str, Kind] = {"path": "path", "user": "user", "host": "host", "key": "key"}
# Vocabularies are made of a whole web's words: only what is this machine's own is looked for in them.
VOCABULARIES = {
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
    "tokenizer.model",
    "added_tokens.json",
}
NO_TEXT = {".safetensors", ".gguf", ".png"}
BINARY_START = 64_000_000  # a header or metadata longer than this is none
BLOCK = 4_000_000
OVERLAP = 4096
SHOWN = 60
LEAST_NAME = 3
# Names that half the machines of the world have tell nothing about anybody.
NO_NAMES = {
    "root", "user", "admin", "administrator", "ubuntu", "debian", "nobody", "guest", "test", "home",
    "localhost", "localhost.localdomain",
    "runner", "jovyan", "docker", "vagrant", "ec2-user", "centos", "app", "main", "model", "server", "node",
}  # fmt: skip
_KEYS = (
    rb"hf_[A-Za-z0-9]{24,}",
    rb"ms-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    rb"sk-[A-Za-z0-9_-]{20,}",
    rb"gh[pousr]_[A-Za-z0-9]{36}",
    rb"github_pat_[A-Za-z0-9_]{40,}",
    rb"glpat-[A-Za-z0-9_-]{20}",
    rb"xox[abprs]-[A-Za-z0-9-]{10,}",
    rb"(?:AKIA|ASIA|LTAI)[A-Za-z0-9]{12,30}",
    rb"AIza[A-Za-z0-9_-]{35}",
    rb"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    rb"[a-z][a-z+]{1,9}://[^/\s:@\"']{1,64}:[^/\s:@\"']{3,128}@",
)
_PATHS = (
    # Absolute paths under the folders in which people and programs keep their own.
    rb"(?<![\w.:/~-])/(?:home|Users|root|mnt|media|data|srv|opt|tmp|var|work|workspace|private|Volumes|scratch|"
    rb"nas|storage|gpfs|lustre|autodl-tmp|kaggle|content)/[^\s\"'<>|`,;:)\]}\\]+",
    rb"(?<![\w])[A-Za-z]:\\\\?(?:Users|Documents and Settings)\\",
    rb"file:///[^\s\"']+",
)


@dataclass(frozen=True)
class PrivateDetail:
    """One thing that should not leave, and the first place where it stands."""

    file: str
    kind: Kind
    text: str


@dataclass(frozen=True)
class Watch:
    """What is looked for: ``anywhere`` in any file, ``in_text`` only where a person may have written."""

    anywhere: re.Pattern[bytes]
    in_text: re.Pattern[bytes]


def private_details(
    folder: Path, own: Collection[Path], secrets: Collection[str], allowed: str
) -> list[PrivateDetail]:
    """Look through every file below ``folder``.

    ``own`` are folders whose path is nobody's business, ``secrets`` tokens this program keeps, ``allowed`` a
    text that is published on purpose (the assistant's name): its words are no finding.
    """
    watch = _watch(own, secrets, allowed)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [found for file in files for found in _look(file, file.relative_to(folder).as_posix(), watch)]


def hidden(text: str, own: Collection[Path], secrets: Collection[str]) -> str:
    """``text`` with what should not leave replaced by what it is: ``<path>``, ``<user>``, ``<host>``,
    ``<key>``. The arguments are :func:`private_details`'s."""
    watch, raw = _watch(own, secrets, ""), text.encode("utf-8", "surrogateescape")
    for pattern in (watch.anywhere, watch.in_text):
        raw = pattern.sub(lambda match: f"<{match.lastgroup}>".encode(), raw)
    return raw.decode("utf-8", "replace")


def _look(file: Path, name: str, watch: Watch) -> Iterator[PrivateDetail]:
    text = file.name not in VOCABULARIES and file.suffix not in NO_TEXT
    seen: set[str] = set()
    for block in _blocks(file):
        for pattern in (watch.anywhere, watch.in_text) if text else (watch.anywhere,):
            for match in pattern.finditer(block):
                found = match[0].decode("utf-8", "replace")
                if found not in seen and match.lastgroup:
                    seen.add(found)
                    yield PrivateDetail(name, _KINDS[match.lastgroup], _shown(match.lastgroup, found))


def _shown(kind: str, text: str) -> str:
    """A key is named without being repeated: what is shown may be copied into a bug report."""
    return f"{text[:4]}…" if kind == "key" else text[:SHOWN]


def _blocks(file: Path) -> Iterator[bytes]:
    """The file in overlapping blocks; of weights what stands before them."""
    left = _text_length(file)
    with file.open("rb") as stream:
        kept = b""
        while left > 0 and (read := stream.read(min(BLOCK, left))):
            left -= len(read)
            yield kept + read
            kept = read[-OVERLAP:]


def _text_length(file: Path) -> int:
    size = file.stat().st_size
    if file.suffix == ".safetensors":
        with file.open("rb") as stream:
            return min(size, 8 + int.from_bytes(stream.read(8), "little"), BINARY_START)
    return min(size, BINARY_START) if file.suffix == ".gguf" else size


def _watch(own: Collection[Path], secrets: Collection[str], allowed: str) -> Watch:
    public = {word.lower() for word in re.findall(r"[\w.-]+", allowed)}
    kept = [re.escape(secret.encode()) for secret in secrets if secret]
    anywhere = {"key": [*kept, *_KEYS], "path": [re.escape(text) for text in _own_paths(own)]}
    in_text = {
        "path": [*_PATHS],
        "user": _names([user_name()], public),
        "host": _names([socket.gethostname(), socket.getfqdn()], public),
    }
    return Watch(_any_of(anywhere), _any_of(in_text))


def _any_of(groups: Mapping[str, Collection[bytes]]) -> re.Pattern[bytes]:
    """One pattern whose groups say what was found, the longer first."""
    ordered = {name: sorted(found, key=len, reverse=True) for name, found in groups.items() if found}
    parts = [b"(?P<" + name.encode() + b">" + b"|".join(found) + b")" for name, found in ordered.items()]
    return re.compile(b"|".join(parts))


def _own_paths(own: Collection[Path]) -> set[bytes]:
    """Folders by every spelling a file may have of them; never one so short that any text has it."""
    folders = {*own, PROJECT, Path(os.environ.get("TMPDIR") or "/"), home() or Path("/")}
    spelled = {str(folder) for found in folders for folder in (found.absolute(), found.resolve())}
    found = {text for text in spelled if len(Path(text).parts) > 2 or text.startswith("/home")}
    escaped = {text.encode("ascii", "backslashreplace").decode() for text in found}
    return {text.encode("utf-8", "surrogateescape") for text in found | escaped}


def _names(names: Collection[str], public: Collection[str]) -> list[bytes]:
    """Whole words only, and none that says nothing: a user may be called Will, and every card says "will"."""
    return [
        rb"(?<![\w-])" + re.escape(name.encode()) + rb"(?![\w-])"
        for name in sorted(set(names))
        if len(name) >= LEAST_NAME and name.lower() not in NO_NAMES | _own_words() | {*public}
    ]


@cache
def _own_words() -> frozenset[str]:
    """The words of this program's own sentences."""
    return frozenset(
        word for text in sentences("en").values() for word in re.findall(r"[a-z]+", text.lower())
    )

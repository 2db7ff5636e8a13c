"""What is to be published, and where to: one frozen value from the command line or the page."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import with_config

from core.errors import InvalidOption
from core.publish.licences import is_hub_id
from core.wording import say

What = Literal["adapter", "merged", "gguf", "app"]
To = Literal["folder", "zip", "huggingface", "modelscope", "openxlab"]
Quant = Literal["f16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0"]
WHATS: tuple[What, ...] = ("adapter", "merged", "gguf", "app")
HUBS: tuple[To, ...] = ("huggingface", "modelscope", "openxlab")
# Its token is two keys, an access key and a secret key; they are kept with a blank between them.
TWO_KEYS: To = "openxlab"
TOS: tuple[To, ...] = ("folder", "zip", *HUBS)
QUANTS: tuple[Quant, ...] = ("f16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0")
# In every bundle: what shows that a copy or a repository was published from here, and may be written again.
MARK = "provenance.json"
SHARD = "2GB"
HELP = "scripts/run publish --help"
_SIZE = re.compile(r"(\d{1,6})(MB|GB)")
_UNITS = {"MB": 10**6, "GB": 10**9}
LEAST_SHARD = 10**6


@with_config(extra="forbid")
@dataclass(frozen=True)
class PublishRequest:
    """``out`` is where a folder or zip goes, ``into`` instead a disk's name or a folder in which it gets a
    name of its own; without either it stays in the workspace. ``repo`` is OWNER/NAME on a hub, ``base`` the
    base model's own.

    ``shard`` is the most a weight file may hold, such as 2GB; ``quants`` which GGUF files are made. With
    ``dry_run`` nothing is sent: everything is made, checked and listed. With ``proof`` what was sent to a
    hub is fetched back and asked.
    """

    what: What
    to: To = "folder"
    out: Path | None = None
    into: str = ""
    repo: str = ""
    public: bool = False
    base: str | None = None
    card: Path | None = None
    shard: str = SHARD
    quants: tuple[Quant, ...] = ("f16", "q8_0", "q4_1")
    dry_run: bool = False
    proof: bool = True

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise InvalidOption(message=problem, help=HELP)

    @property
    def shard_bytes(self) -> int:
        return shard_bytes(self.shard) or 0

    def as_dry_run(self) -> "PublishRequest":
        """The same, with nothing sent."""
        return replace(self, dry_run=True)

    @property
    def elsewhere(self) -> bool:
        """Whether a folder or zip goes to a place outside of the workspace."""
        return self.out is not None or bool(self.into)

    @property
    def hub(self) -> bool:
        return by_client(self.what, self.to)

    @property
    def by_git(self) -> bool:
        """Whether it is made ready for a hub, with the commands that send it."""
        return self.to in HUBS and not self.hub

    def _problems(self) -> list[str]:
        found = []
        if self.hub and not self.dry_run and not is_hub_id(self.repo):
            key = "publish.wrong.repo" if self.repo else "publish.wrong.no_repo"
            found.append(say(key, repo=self.repo))
        if self.base is not None and not is_hub_id(self.base):
            found.append(say("publish.wrong.repo", repo=self.base))
        if shard_bytes(self.shard) is None:
            found.append(say("publish.wrong.shard", shard=self.shard))
        if self.what == "gguf" and not self.quants:
            found.append(say("publish.wrong.no_quants", known=", ".join(QUANTS)))
        return found


def by_client(what: What, to: To) -> bool:
    """Whether a hub's client sends it: to every hub, but that OpenXLab takes an app by Git alone."""
    return to in HUBS and (what, to) != ("app", "openxlab")


def shard_bytes(text: str) -> int | None:
    """A size such as 500MB or 2GB in bytes, at least 1 MB; None for anything else."""
    match = _SIZE.fullmatch(text.strip().upper())
    size = int(match[1]) * _UNITS[match[2]] if match else 0
    return size if size >= LEAST_SHARD else None

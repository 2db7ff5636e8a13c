"""Where publishing keeps what it sends, its clients and its records."""

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from core.workspace.names import slug
from core.workspace.paths import PROJECT, RunPaths, Workspace
from core.workspace.user import home

DEMO = PROJECT / "demo"
# What of the core the demo app has as well.
LOOPS = PROJECT / "core" / "chat" / "loops.py"
NEAREST = PROJECT / "core" / "chat" / "nearest.py"


# Run by the client's own interpreter, which knows nothing of this project.
OPENXLAB_CLIENT = PROJECT / "core" / "publish" / "openxlab_client.py"


@dataclass(frozen=True)
class PublishPaths:
    """The files of one run's publishing; ``what`` is adapter, merged, gguf or app."""

    run: RunPaths

    @property
    def root(self) -> Path:
        return self.run.root / "bundles"

    def bundle(self, what: str) -> Path:
        """What would be sent when ``what`` is published."""
        return self.root / slug(what)

    def findings(self, what: str) -> Path:
        """What in a bundle should not leave this machine, as the last look found it."""
        return self.root / f"{slug(what)}-findings.json"

    def card(self, what: str) -> Path:
        """A model card that a person has edited."""
        return self.root / f"{slug(what)}.md"

    @property
    def arrival(self) -> Path:
        """What the proof after publishing found, the last time."""
        return self.root / "arrival.json"

    @property
    def sent(self) -> Path:
        """What of this run was published, where and when."""
        return self.root / "sent.json"


def mark_of(run: RunPaths) -> str:
    """What tells a run's copies from those of others, and says nothing of this machine."""
    return sha256(run.id.encode()).hexdigest()[:16]


def published(workspace: Workspace, name: str, what: str) -> Path:
    """Where a published folder goes when no other place is named, by its assistant's name; a number is put
    to it where another run's has that."""
    return workspace.root / "published" / f"{slug(name)}-{slug(what)}"


@dataclass(frozen=True)
class ClientPaths:
    """A hub's client in an environment of its own; ``pins`` is what is installed there."""

    root: Path
    pins: Path

    @classmethod
    def of(cls, workspace: Workspace, hub: str) -> "ClientPaths":
        return cls(workspace.root / "clients" / slug(hub), PROJECT / f"requirements-{slug(hub)}.txt")

    @property
    def python(self) -> Path:
        return self.root / "bin" / "python"

    @property
    def mark(self) -> Path:
        """Its pins, written when it is whole."""
        return self.root / "installed.txt"

    @property
    def lock(self) -> Path:
        return self.root.with_name(f"{self.root.name}.lock")


def sent_record(bundle: Path) -> Path:
    """Which content OpenXLab was sent of a bundle, under which name."""
    return bundle.with_name(f"{bundle.name}-openxlab.json")


def upload_record(record: Path, sha256: str) -> Path:
    """Where OpenXLab's client keeps how far it has sent one content."""
    return record.with_name(f"{record.stem}-{sha256[:16]}.json")


def token_file() -> Path:
    """Where hub tokens are kept on a machine without a keyring: the user's own configuration.

    Who has no home has none to keep them in: writing there fails.
    """
    config = os.environ.get("XDG_CONFIG_HOME") or (home() or Path("/")) / ".config"
    return Path(config) / "tuneboard" / "tokens.json"

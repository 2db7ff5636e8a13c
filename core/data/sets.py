"""Where a data set that is made step by step keeps its files."""

from dataclasses import dataclass
from pathlib import Path

from core.workspace.names import slug
from core.workspace.paths import Workspace


@dataclass(frozen=True)
class SetPaths:
    """The files of one data set that is made step by step."""

    root: Path

    @property
    def about(self) -> Path:
        """Its name, its versions and which of them counts."""
        return self.root / "set.json"

    @property
    def drafts(self) -> Path:
        """Questions and answers made of documents, as they came."""
        return self.root / "drafts.jsonl"

    @property
    def review(self) -> Path:
        """What a person decided about each draft."""
        return self.root / "review.json"

    @property
    def names(self) -> Path:
        """What the documents were called that came through the page, by their hash."""
        return self.root / "documents.json"

    @property
    def job(self) -> Path:
        """The job folder of what is being made."""
        return self.root / "job"

    @property
    def asking(self) -> Path:
        """The job folder of the model that is asked meanwhile."""
        return self.root / "base"

    def version(self, digest: str) -> Path:
        """The rows of one version, which is named by their hash."""
        return self.root / "versions" / f"{slug(digest)}.jsonl"


def place_of(workspace: Workspace, name: str) -> SetPaths:
    """The folder of the data set called ``name``, which need not be there."""
    return SetPaths(workspace.sets / slug(name))


def made_sets(workspace: Workspace) -> list[SetPaths]:
    """Every data set of the workspace, by the name of its folder."""
    return [SetPaths(about.parent) for about in sorted(workspace.sets.glob("*/set.json"))]

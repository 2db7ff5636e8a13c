"""Where the import of a model keeps its jobs, what it downloads and where the model came from."""

from dataclasses import dataclass
from pathlib import Path

from core.workspace.paths import Workspace


@dataclass(frozen=True)
class ImportPaths:
    """The files that taking in one model needs: its jobs, what is downloaded, where it came from."""

    root: Path
    model: Path

    @property
    def origin(self) -> Path:
        """Where the model came from and what was done with it."""
        return self.root / "origin.json"

    @property
    def files(self) -> Path:
        """What was downloaded, until the model is made of it: a download goes on where it was."""
        return self.root / "files"

    @property
    def doomed(self) -> Path:
        """Where the model's folder goes to be deleted: gone from the list at once, whatever happens then."""
        return self.model.with_name(f".{self.model.name}.deleted")

    @property
    def lock(self) -> Path:
        """Held while the model is imported or deleted."""
        return self.root / ".lock"

    def job(self, step: str) -> Path:
        """The job folder of one step (``download``, ``import_model``), or of the whole (``import``)."""
        return self.root / step


def importing(workspace: Workspace, name: str) -> ImportPaths:
    """The import of the model that a person calls ``name``, begun or not."""
    return import_of(workspace.model(name))


def import_of(model: Path) -> ImportPaths:
    """The import of the model in this folder, begun or not."""
    return ImportPaths(model.with_name(f".{model.name}.import"), model)


def imports(workspace: Workspace) -> list[ImportPaths]:
    """Every import that was begun, by name."""
    found = sorted(workspace.models.glob(".*.import"))
    return [ImportPaths(path, path.with_name(path.name[1:].removesuffix(".import"))) for path in found]

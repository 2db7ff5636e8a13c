"""Modules of other libraries that are changed as they are imported, whoever imports them and in whatever
order: nothing is imported for it."""

import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

Change = Callable[[ModuleType], None]
_changes: dict[str, Change] = {}


def when_imported(name: str, change: Change) -> None:
    """Change the module ``name`` once it is there, at once if it is. Twice is harmless."""
    if name in _changes:
        return
    _changes[name] = change
    if not any(isinstance(finder, _Changing) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Changing())
    if module := sys.modules.get(name):
        change(module)


class _Changing(MetaPathFinder):
    """Finds the modules that are to be changed where they are."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _changes:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Changed(spec.loader, _changes[fullname])
        return spec


class _Changed(Loader):
    def __init__(self, loader: Loader, change: Change) -> None:
        self.loader, self.change = loader, change

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        self.change(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)  # inspect asks a loader for its source

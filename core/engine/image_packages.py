"""Stand-ins for image packages that mmengine 0.10.7 and XTuner 0.2.0 import and that nothing here uses.

OpenCV, scikit-image, SciPy and torchvision are 360 MB, and the registry's torchvision does not load beside
torch's CPU build. Only conversations are trained here, so the modules that import them get an empty name
instead. Nobody else sees one: transformers and datasets ask whether these packages are there, and are told
the truth. Where one is installed, it is used.
"""

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any, NoReturn

# What each module imports at its top.
IMPORTED = {
    "mmengine.hooks.naive_visualization_hook": ("cv2",),
    "mmengine.visualization.utils": ("cv2",),
    "mmengine.visualization.vis_backend": ("cv2",),
    "mmengine.visualization.visualizer": ("cv2",),
    "xtuner.dataset.internvl_dataset": (
        "torchvision",
        "torchvision.transforms",
        "torchvision.transforms.functional",
    ),
    "xtuner.dataset.refcoco_json": ("skimage", "skimage.io"),
}


class Absent(ModuleType):
    """A module, or a name in one, that can be imported and not used. A call raises ModuleNotFoundError."""

    def __getattr__(self, name: str) -> "Absent":
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent(f"{self.__name__}.{name}")

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        package = self.__name__.partition(".")[0]
        raise ModuleNotFoundError(f"{self.__name__} is used, and {package} is not installed", name=package)


class Finder(MetaPathFinder):
    """Finds the modules of ``IMPORTED``, and no other."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's own spec, whose loader puts the stand-ins up while the module is run."""
        if fullname not in IMPORTED:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        with _stand_ins(IMPORTED[module.__name__]):
            super().exec_module(module)


@contextmanager
def _stand_ins(names: Sequence[str]) -> Iterator[None]:
    package = names[0]
    if package in sys.modules or importlib.util.find_spec(package):
        yield
        return
    for name in names:
        sys.modules[name] = Absent(name)
    for name in names[1:]:
        parent, _, child = name.rpartition(".")
        setattr(sys.modules[parent], child, sys.modules[name])
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


def stand_in() -> None:
    """From now on, in this process. Called twice, it does nothing more."""
    if not any(isinstance(one, Finder) for one in sys.meta_path):
        sys.meta_path.insert(0, Finder())

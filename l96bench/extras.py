"""Say which extra to install when a library that is not part of a plain installation is missing.

Libraries are imported where they are used. If one of them is missing, the import raises `MissingExtraError`, whose
message names the line to type. `watch_imports`, which the package calls once, makes it do so: imports are written
as usual, and none can be forgotten.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import FrameType, ModuleType

from l96bench.errors import MissingExtraError

__all__ = ["EXTRAS", "pip_line", "watch_imports"]

EXTRAS = {
    "captum": "torch",
    "onnxscript": "torch",
    "torch": "torch",
    "equinox": "jax",
    "jax": "jax",
    "optax": "jax",
    "moviepy": "rl",
    "pettingzoo": "rl",
    "sb3_contrib": "rl",
    "stable_baselines3": "rl",
    "pysindy": "sindy",
    "gplearn": "symbolic",
    "pyoperon": "symbolic",
    "dask": "dask",
    "distributed": "dask",
    "onnx": "submit",
    "onnxruntime": "submit",
    "skl2onnx": "export",
    "sympy": "equations",
    "PIL": "report",
    "matplotlib": "report",
    "xarray": "xarray",
    "h5netcdf": "netcdf",
    "h5py": "netcdf",
    "pyarrow": "parquet",
}
"""The extra that installs each library, by the name under which it is imported."""
_HERE = os.path.dirname(os.path.abspath(__file__))
_OWN = (_HERE + os.sep, os.path.join(os.path.dirname(_HERE), "baselines") + os.sep)
"""The folders of the package's code; in a clone of the repository the baselines lie beside it."""


def pip_line(extra: str) -> str:
    """Return the command that installs an extra."""
    return f'pip install "l96bench[{extra}]"'


def watch_imports() -> None:
    """Have imports by this package's code raise `MissingExtraError` for missing libraries of extras."""
    if not any(isinstance(each, _MissingExtraFinder) for each in sys.meta_path):
        sys.meta_path.append(_MissingExtraFinder())


class _MissingExtraFinder(MetaPathFinder):
    """Comes last among the finders, so that it is asked only for what none of them has found.

    Imports that other packages make for themselves are left alone, and so are questions whether a library is there.
    """

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Raise `MissingExtraError` for a library of an extra that this package's code imports; else return None."""
        extra = EXTRAS.get(name)
        if extra is not None and _is_imported_by_the_package():
            raise MissingExtraError(f"{name} is not installed; try {pip_line(extra)}", name=name)
        return None


def _is_imported_by_the_package() -> bool:
    """Return whether an import is under way that this package's code makes, itself or by a library that it uses."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    if frame is None or frame.f_code.co_filename == importlib.util.__file__:  # somebody asks with `find_spec`
        return False
    while frame is not None and not frame.f_code.co_filename.startswith(_OWN):
        frame = frame.f_back
    return frame is not None

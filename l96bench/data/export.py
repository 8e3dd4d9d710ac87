"""Export of data sets as NetCDF files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray

__all__ = ["write_netcdf"]

_LOSSLESS = {"zlib": True, "complevel": 4, "shuffle": True}
"""Encoding of an array: the compression that every NetCDF library reads."""


def write_netcdf(tree: xarray.DataTree, folder: Path) -> list[Path]:
    """Write every dataset of a tree as a file, compressed without loss, and return the paths.

    Parameters
    ----------
    tree : xarray.DataTree
        One dataset a child; attributes are written as they are.
    folder : Path
        Gets ``<child>.nc``, NetCDF 4; it is made if it does not exist. Files of these names are replaced once the new
        ones are complete.

    Raises
    ------
    MissingExtraError
        If h5netcdf or h5py is not installed.
    OSError
        If the folder cannot be written.
    """
    import h5netcdf  # noqa: F401 (xarray names no extra when they are missing)
    import h5py  # noqa: F401

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, node in tree.children.items():
        path = folder / f"{name}.nc"
        temporary = folder / f".{name}.{os.getpid()}.nc"
        dataset = node.to_dataset()
        encoding = {str(key): _encoding(variable) for key, variable in dataset.variables.items()}
        try:
            dataset.to_netcdf(temporary, engine="h5netcdf", format="NETCDF4", encoding=encoding)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        written.append(path)
    return written


def _encoding(variable: xarray.Variable) -> dict[str, Any]:
    """Return how a variable is stored: NaN stands for missing values, and is declared where there are any."""
    has_missing = variable.dtype.kind == "f" and bool(np.isnan(variable.values).any())
    return {**(_LOSSLESS if variable.ndim else {}), "_FillValue": np.nan if has_missing else None}

"""Export of data sets as NetCDF files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray

__all__ = ["write_netcdf"]


def write_netcdf(tree: xarray.DataTree, folder: Path) -> list[Path]:
    """Write every split of a task's tree as ``<folder>/<split>.nc`` (NetCDF 3, 64-bit offsets); return the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, node in tree.children.items():
        path = folder / f"{name}.nc"
        temporary = folder / f".{name}.{os.getpid()}.nc"
        try:
            node.to_dataset().to_netcdf(temporary, engine="scipy", format="NETCDF3_64BIT")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        written.append(path)
    return written

"""Export of a task's data: NetCDF files that follow the CF conventions, and a Croissant description beside them."""

from __future__ import annotations

import json
from collections.abc import Hashable
from importlib.metadata import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from l96bench.data.export import write_netcdf
from l96bench.data.store import array_digest
from l96bench.files import write_atomic
from l96bench.regimes import get_regime
from l96bench.tasks.base import Task
from l96bench.tasks.croissant import Publication, describe

if TYPE_CHECKING:
    import xarray

__all__ = ["export_data", "with_conventions"]

CONVENTIONS = "CF-1.11"
DESCRIPTION = "croissant.json"
_LONG_NAMES = {
    "X": "resolved variable X",
    "U": "subgrid tendency U of the resolved variable X",
    "truth": "true X at the time of the analysis",
    "background": "mean X of the background ensemble",
    "spread": "standard deviation of X in the background ensemble",
    "increment": "analysis increment of X, analysis mean minus background mean",
    "values": "observed X with observation error, missing where nothing was observed",
    "train": "state on the training trajectory, without noise",
    "test": "state on the test trajectories, without noise",
    "train_U": "subgrid tendency U on the training trajectory",
    "test_U": "subgrid tendency U on the test trajectories",
    "F": "forcing F of the system",
    "h": "coupling strength h of the system",
    "c": "time-scale ratio c of the system",
    "model_time": "time",
    "lead": "time since the start of the test trajectory",
    "k": "index of the resolved variable on the ring",
    "variable": "index of the state variable, X first",
    "trajectory": "index of the trajectory",
    "segment": "index of the segment",
    "system": "index of the system",
    "case": "index of the test trajectory",
}
"""Long names of the families' variables and dimensions, unless a family's tree gives its own."""
_RENAMED = {"time": "model_time"}
"""CF keeps ``time`` for the time of a calendar, in units such as days since a date, which no model time has."""
_MODEL_TIME = "MTU", "model time units (MTU)"
"""A unit that UDUNITS does not know, and the words that name it where the unit is written as 1."""


def export_data(task: Task, folder: Path) -> list[Path]:
    """Write a task's data as NetCDF files, one a split, and their Croissant description; return the paths.

    Parameters
    ----------
    task : Task
        Any task; equation recovery has a file an instance in place of a split.
    folder : Path
        Gets ``<split>.nc`` and ``croissant.json``; it is made if it does not exist.

    Raises
    ------
    MissingExtraError
        If xarray, h5netcdf or h5py is not installed.
    OSError
        If the folder cannot be written.
    """
    tree = with_conventions(task)
    files = write_netcdf(tree, folder)
    text = json.dumps(describe(task, tree, files, publication()), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomic(folder / DESCRIPTION, text + "\n")
    return [*files, folder / DESCRIPTION]


def with_conventions(task: Task) -> xarray.DataTree:
    """Return a task's `to_xarray` with the attributes and coordinates of the CF conventions, whatever its family.

    Parameters
    ----------
    task : Task
        Its tree may give ``long_name`` and ``units`` of what this module does not know.

    Returns
    -------
    xarray.DataTree
        One dataset a split with the same arrays. Every dimension has a coordinate, ``time`` is called ``model_time``;
        every variable has ``long_name``, ``units`` and ``sha256``, its `array_digest`. MTU, which UDUNITS does not
        know, are in the long name, with unit 1.
    """
    import xarray

    recorded = task.data_digests
    parts = {}
    for name, node in task.to_xarray().children.items():
        dataset = node.to_dataset()
        dataset = dataset.rename({old: new for old, new in _RENAMED.items() if old in dataset.dims})
        indices = {dim: np.arange(size, dtype=np.int32) for dim, size in dataset.sizes.items() if dim not in dataset}
        dataset = dataset.assign_coords(indices)
        for key, variable in dataset.variables.items():
            dataset[key].attrs = _described(key, variable)
        own = {key: digest for key, digest in recorded.items() if f"/{name}/" in key}
        dataset.attrs = _about(task, name, own, dataset.attrs)
        parts[name] = dataset
    return xarray.DataTree.from_dict(parts)


def publication() -> Publication:
    """Return who publishes the data, where and under which license, from the installed package's metadata."""
    told = metadata("l96bench")
    urls = dict(each.split(", ", 1) for each in told.get_all("Project-URL") or ())
    return Publication(told["Author"], urls["Repository"], told["License-Expression"], told["Version"])


def _described(key: Hashable, variable: xarray.Variable) -> dict[str, Any]:
    """Return the attributes of a variable."""
    given = {"units": "1"} | variable.attrs
    is_model_time = _MODEL_TIME[0] in given["units"]
    unit, words = ("1", f" in {given['units'].replace(*_MODEL_TIME)}") if is_model_time else (given["units"], "")
    other = f"index along {key}" if variable.dims == (key,) else str(key)
    name = given.get("long_name") or _LONG_NAMES.get(str(key), other)
    return given | {"long_name": f"{name}{words}", "units": unit, "sha256": array_digest(variable.values)}


def _about(task: Task, name: str, recorded: dict[str, str], given: dict[Hashable, Any]) -> dict[str, Any]:
    """Return the attributes of a dataset; `source` of a regime is the literature, which CF calls `references`."""
    by, own = publication(), {str(key): value for key, value in given.items()}
    literature = own.pop("source", "") or (get_regime(own["regime"]).source if "regime" in own else "")
    digests = "\n".join(f"{key}: {digest}" for key, digest in recorded.items())
    return {
        "Conventions": CONVENTIONS,
        "title": f"{task.title}, {task.id}: {name}",
        "institution": by.creator,
        "source": f"l96bench {by.version}, numerical simulation of the Lorenz-96 system",
        "history": f"written by l96bench {by.version}: l96bench data export {task.id}",
        "references": "\n".join(each for each in (literature, by.url) if each),
        "comment": "sha256 of a variable: of its dtype and shape, then its bytes in C order (l96bench.array_digest)",
        "license": by.license,
        "package_version": by.version,
        "task_version": task.version,
        "data_source": type(task.source).__name__.lower(),
        **({"recorded_digests": digests} if digests else {}),
        **own,
    }

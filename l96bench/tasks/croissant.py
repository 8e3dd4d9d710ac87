"""Croissant descriptions of exported data: what MLCommons' tools and search engines read of a data set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from l96bench.tasks.base import Task

if TYPE_CHECKING:
    import xarray

__all__ = ["Publication", "describe"]

FORMAT = "http://mlcommons.org/croissant/1.1"
_TERMS = (
    *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileObject"),
    *("fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5"),
    *("parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator"),
    *("source", "subField", "transform"),
)
"""The terms of Croissant that its JSON-LD context names; the context is part of the format."""
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "name": {"@container": "@language"},
    "description": {"@container": "@language"},
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in _TERMS},
}
_COLUMNS = {
    "file": "file that holds the variable",
    "variable": "name in the file",
    "long_name": "what it is",
    "dimensions": "names of its dimensions, the slowest first",
    "shape": "their sizes",
    "dtype": "type of its numbers",
    "units": "its unit",
    "sha256": "SHA-256 of its dtype and shape, then its bytes in C order",
}
"""The columns of the table of variables."""


@dataclass(frozen=True, slots=True)
class Publication:
    """The publisher of a data set, with its address, license and version.

    Parameters
    ----------
    creator, url : str
    license : str
        An SPDX identifier.
    version : str
        Of the package that makes the data.
    """

    creator: str
    url: str
    license: str
    version: str


def describe(task: Task, tree: xarray.DataTree, files: Iterable[Path], by: Publication) -> dict[str, Any]:
    """Return the Croissant description (JSON-LD) of a task's exported files.

    NetCDF is no format that Croissant reads records of: files are described with their digests, and what is in them is
    a table, the record set ``variables``.

    Parameters
    ----------
    task : Task
    tree : xarray.DataTree
        What the files hold, with ``long_name``, ``units`` and ``sha256`` of each variable.
    files : iterable of Path
        The files as written, one a child of the tree; they are read for their digests.
    by : Publication

    Raises
    ------
    OSError
        If a file cannot be read.
    """
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": FORMAT,
        "name": task.id.replace("/", "-"),
        "description": f"Data of the task {task.id} of l96bench, a benchmark on the Lorenz-96 system. {task.question}",
        "version": by.version,
        "license": f"https://spdx.org/licenses/{by.license}.html",
        "url": by.url,
        "creator": {"@type": "sc:Organization", "name": by.creator, "url": by.url},
        "citeAs": f"@misc{{l96bench, author={{{by.creator}}}, title={{l96bench {by.version}}}, url={{{by.url}}}}}",
        "isLiveDataset": False,
        "distribution": [_file(path, str(tree[path.stem].attrs["title"])) for path in files],
        "recordSet": [_variables(tree)],
    }


def _file(path: Path, title: str) -> dict[str, Any]:
    """Return the description of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "@type": "cr:FileObject",
        "@id": path.name,
        "name": path.name,
        "description": title,
        "contentUrl": path.name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": "application/x-netcdf",
        "sha256": digest,
    }


def _variables(tree: xarray.DataTree) -> dict[str, Any]:
    """Return the table of all variables of all files."""
    rows = [
        {
            "file": f"{name}.nc",
            "variable": str(key),
            "long_name": variable.attrs["long_name"],
            "dimensions": ", ".join(map(str, variable.dims)),
            "shape": ", ".join(map(str, variable.shape)),
            "dtype": str(variable.dtype),
            "units": variable.attrs["units"],
            "sha256": variable.attrs["sha256"],
        }
        for name, node in tree.children.items()
        for key, variable in node.to_dataset().variables.items()
    ]
    fields = [
        {"@type": "cr:Field", "@id": f"variables/{name}", "name": name, "description": text, "dataType": "sc:Text"}
        for name, text in _COLUMNS.items()
    ]
    return {
        "@type": "cr:RecordSet",
        "@id": "variables",
        "name": "variables",
        "description": "The variables in the files.",
        "key": [{"@id": "variables/file"}, {"@id": "variables/variable"}],
        "field": fields,
        "data": [{f"variables/{key}": value for key, value in row.items()} for row in rows],
    }

"""Exported data of every family: the same bits, what others' checkers say, and a description that fits the files."""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
import re
import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray

from l96bench.data.store import array_digest
from l96bench.errors import MissingExtraError
from l96bench.tasks.base import Task
from l96bench.tasks.export import export_data, with_conventions
from l96bench.tasks.registry import families
from l96bench.tasks.subgrid_forcing import SubgridForcing

GLOBAL = (
    "Conventions",
    "title",
    "institution",
    "source",
    "history",
    "references",
    "license",
    "task",
    "package_version",
)
OTHERS = {"observed-closure": "wilks-f20-sparse", "equation-recovery": "hidden"}
"""Tracks with what the first one of a family has not: missing values, U beside states."""
CASES = [(name, family.default_regimes[0]) for name, family in families().items()] + list(OTHERS.items())


@functools.cache
def miniature(family: str, regime: str) -> Task:
    return families()[family](regime).miniature()


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """exports(family, regime): the folder with the files of a miniature, written once."""

    @functools.cache
    def folder(family: str, regime: str) -> Path:
        place = tmp_path_factory.mktemp("exported")
        export_data(miniature(family, regime), place)
        return place

    return folder


def opened(path: Path) -> xarray.Dataset:
    """A file as a program in another language reads it, without decoding."""
    with xarray.open_dataset(path, engine="h5netcdf", decode_cf=False) as dataset:
        return dataset.load()


every_family = pytest.mark.parametrize(("family", "regime"), CASES)


@pytest.mark.slow
@every_family
def test_the_files_hold_the_same_bits(family: str, regime: str, exports: Callable[..., Path]) -> None:
    folder = exports(family, regime)
    children = miniature(family, regime).to_xarray().children
    assert {path.name for path in folder.iterdir()} == {*(f"{name}.nc" for name in children), "croissant.json"}
    for name, node in children.items():
        written = opened(folder / f"{name}.nc")
        for key, array in node.variables.items():
            read = written["model_time" if key == "time" else str(key)]
            assert read.dtype == array.dtype
            assert read.values.tobytes() == np.ascontiguousarray(array.values).tobytes(), (name, key)
            assert read.attrs["sha256"] == array_digest(array.values)


@pytest.mark.slow
@every_family
def test_the_files_say_what_they_hold(family: str, regime: str, exports: Callable[..., Path]) -> None:
    task = miniature(family, regime)
    for path in exports(family, regime).glob("*.nc"):
        dataset = opened(path)
        assert all(dataset.attrs[name] for name in GLOBAL)
        assert (dataset.attrs["task"], dataset.attrs["task_version"]) == (task.id, task.version)
        assert dataset.attrs["data_source"] == "miniature"
        for key in dataset.variables:
            told = dataset[key].attrs
            assert told["units"] == "1"  # everything is a number of the model, without a unit
            assert told["long_name"] not in (key, f"index along {key}"), f"{key} of {family} has no long name"
        assert set(dataset.dims) <= set(dataset.variables)
        for key in {"k", "model_time", "lead"} & set(dataset.variables):
            assert (np.diff(dataset[key].values) > 0).all()


@pytest.mark.slow
@every_family
def test_the_compliance_checker_of_cf_finds_nothing(
    family: str, regime: str, exports: Callable[..., Path], tmp_path: Path
) -> None:
    runner = pytest.importorskip("compliance_checker.runner")
    runner.CheckSuite.load_all_available_checkers()
    for path in exports(family, regime).glob("*.nc"):
        report = tmp_path / f"{path.stem}.txt"
        passed, errors = runner.ComplianceChecker.run_checker(
            str(path), ["cf:1.11"], verbose=1, criteria="strict", output_filename=str(report)
        )
        assert passed, report.read_text(encoding="utf-8")
        assert not errors


@pytest.mark.slow
@every_family
def test_croissant_describes_the_files(family: str, regime: str, exports: Callable[..., Path]) -> None:
    folder = exports(family, regime)
    described: dict[str, Any] = json.loads((folder / "croissant.json").read_text(encoding="utf-8"))
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.nc")}
    assert {each["contentUrl"]: each["sha256"] for each in described["distribution"]} == digests
    mlcroissant = pytest.importorskip("mlcroissant")
    dataset = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))  # raises for what is invalid
    issues = dataset.metadata.ctx.issues
    assert not issues.errors
    assert all("datePublished" in each for each in issues.warnings)  # who publishes the files knows the date
    rows = [{key.partition("/")[2]: value for key, value in row.items()} for row in dataset.records("variables")]
    assert len(rows) == sum(len(opened(folder / name).variables) for name in digests)
    for row in rows:
        variable = opened(folder / row["file"])[row["variable"]]
        assert row["dimensions"] == ", ".join(map(str, variable.dims))
        assert row["shape"] == ", ".join(map(str, variable.shape))
        assert {key: row[key] for key in ("long_name", "units", "sha256")} == {
            key: variable.attrs[key] for key in ("long_name", "units", "sha256")
        }


@pytest.mark.slow
def test_missing_values_are_declared_where_there_are_any(exports: Callable[..., Path]) -> None:
    observed = opened(exports("observed-closure", OTHERS["observed-closure"]) / "train.nc")
    assert np.isnan(observed["values"].attrs["_FillValue"])
    assert "_FillValue" not in observed["model_time"].attrs
    assert "_FillValue" not in opened(exports("subgrid-forcing", "wilks-f20") / "train.nc")["X"].attrs


@pytest.mark.slow
def test_writing_again_gives_the_same_bytes(
    offline: SubgridForcing, exports: Callable[..., Path], tmp_path: Path
) -> None:
    for path in export_data(offline, tmp_path):
        assert path.read_bytes() == (exports(offline.family, offline.regime_id) / path.name).read_bytes()


@pytest.mark.slow
def test_arrays_are_compressed(exports: Callable[..., Path]) -> None:
    import h5py

    with h5py.File(exports("subgrid-forcing", "wilks-f20") / "train.nc") as file:
        assert (file["X"].compression, file["X"].shuffle) == ("gzip", True)
        assert file["X"].id.get_storage_size() < file["X"].nbytes


@pytest.mark.slow
def test_a_tree_without_names_is_exported_too(offline: SubgridForcing, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tree of a family that defines none, as that of another package may be."""
    monkeypatch.setattr(SubgridForcing, "to_xarray", Task.to_xarray)
    train = with_conventions(offline)["train"].to_dataset()
    assert train["X_1"].attrs["long_name"] == "index along X_1"
    assert train["X"].dims == ("X_0", "X_1", "X_2")
    assert train["X"].attrs["units"] == "1"


@pytest.mark.slow
def test_names_and_units_of_a_tree_are_kept(offline: SubgridForcing, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"X": {"long_name": "rain", "units": "mm"}, "U": {"long_name": "rate", "units": "X / MTU"}}
    data = {key: ("time", np.zeros(2), attributes) for key, attributes in told.items()}
    tree = xarray.DataTree.from_dict({"train": xarray.Dataset(data)})
    monkeypatch.setattr(SubgridForcing, "to_xarray", lambda task: tree)
    train = with_conventions(offline)["train"].to_dataset()
    assert {key: train["X"].attrs[key] for key in told["X"]} == told["X"]
    assert (train["U"].attrs["long_name"], train["U"].attrs["units"]) == ("rate in X / model time units (MTU)", "1")
    assert train["model_time"].attrs["long_name"] == "time"


@pytest.mark.slow
def test_recorded_digests_are_named(offline: SubgridForcing, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = {"wilks-f20/train/X": "a", "wilks-f20/train-fine/X": "b", "wilks-f20/train/U": "c"}
    monkeypatch.setattr(SubgridForcing, "data_digests", recorded)
    tree = with_conventions(offline)
    assert tree["train"].attrs["recorded_digests"] == "wilks-f20/train/X: a\nwilks-f20/train/U: c"
    assert "recorded_digests" not in tree["valid"].attrs


@pytest.mark.slow
@pytest.mark.parametrize("library", ["h5netcdf", "h5py"])
def test_without_a_library_the_extra_is_named(
    library: str, offline: SubgridForcing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in ("h5netcdf", "h5py"):  # whole, lest the one is loaded without the other for good
        importlib.import_module(other)
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    found = PathFinder.find_spec
    monkeypatch.setattr(PathFinder, "find_spec", lambda name, *rest: None if name == library else found(name, *rest))
    with pytest.raises(MissingExtraError, match=re.escape('pip install "l96bench[netcdf]"')):
        export_data(offline, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_command_names_what_it_wrote(
    miniature_registry: Path, run: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    code, out, err = run("data", "export", "unseen-physics/interpolate-v1", tmp_path / "new")
    assert code == 0, err
    assert out.split() == [str(tmp_path / "new" / name) for name in ("train.nc", "croissant.json")]

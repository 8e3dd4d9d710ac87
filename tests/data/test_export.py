"""NetCDF files that hold the same bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray

from l96bench.data.export import write_netcdf
from l96bench.tasks.subgrid_forcing import SubgridForcing


@pytest.fixture
def files(offline: SubgridForcing, tmp_path: Path) -> list[Path]:
    return write_netcdf(offline.to_xarray(), tmp_path / "new" / "folder")


def test_every_split_is_a_file(files: list[Path], tmp_path: Path) -> None:
    assert [path.name for path in files] == ["train.nc", "valid.nc", "test.nc", "shift.nc"]
    assert sorted(files) == sorted((tmp_path / "new" / "folder").iterdir())


def test_the_files_hold_the_same_bits(files: list[Path], offline: SubgridForcing) -> None:
    for path in files:
        samples = getattr(offline, path.stem)
        with xarray.open_dataset(path, engine="h5netcdf") as dataset:
            for name in "XU":
                assert dataset[name].values.astype("<f8").tobytes() == getattr(samples, name).tobytes()
                assert dataset[name].dims == ("trajectory", "time", "k")[-samples.X.ndim :]
            np.testing.assert_array_equal(dataset["time"], samples.time)


def test_the_files_say_what_they_are(files: list[Path], offline: SubgridForcing) -> None:
    for path in files:
        # Without decoding, as a program in another language reads it.
        with xarray.open_dataset(path, engine="h5netcdf", decode_cf=False) as dataset:
            assert dataset.attrs["task"] == offline.id
            assert dataset.attrs["split"] == path.stem
            assert dataset.attrs["id"] == "wilks-f20"
            assert dataset.attrs["F"] == (24.0 if path.stem == "shift" else 20.0)
            assert (dataset.attrs["K"], dataset.attrs["J"], dataset.attrs["coupling"]) == (8, 32, "local")
            assert dataset["time"].attrs["units"] == "MTU"


def test_an_old_file_is_replaced(offline: SubgridForcing, tmp_path: Path) -> None:
    (tmp_path / "test.nc").write_bytes(b"old")
    write_netcdf(offline.to_xarray(), tmp_path)
    with xarray.open_dataset(tmp_path / "test.nc", engine="h5netcdf") as dataset:
        np.testing.assert_array_equal(dataset["X"], offline.test.X)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    offline: SubgridForcing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.nc").write_bytes(b"old")

    def fail(self: xarray.Dataset, path: Path, **options: object) -> None:
        path.write_bytes(b"half of it")
        raise OSError("disk full")

    tree = offline.to_xarray()
    monkeypatch.setattr(xarray.Dataset, "to_netcdf", fail)
    with pytest.raises(OSError, match="disk full"):
        write_netcdf(tree, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["train.nc"]
    assert (tmp_path / "train.nc").read_bytes() == b"old"

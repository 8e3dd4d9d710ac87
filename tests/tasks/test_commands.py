"""The commands `l96bench tasks` and `l96bench data`: what they print, write and exit with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray

from l96bench.assimilation.archive import TRACKS, ArchivePart
from l96bench.data.splits import Split
from l96bench.regimes import get_regime
from l96bench.tasks.datasets import DataSet, archive, data_sets_given_as, trajectories
from l96bench.tasks.registry import list_tasks
from l96bench.tasks.subgrid_forcing import SubgridForcing

OFFLINE = "subgrid-forcing/wilks-f20-v1"
SETS = [
    trajectories(get_regime("wilks-f20"), Split("train", 1, 0.5, 0.05, ("X", "U"), False, "train", "training")),
    trajectories(get_regime("wilks-f20"), Split("shift", 1, 0.5, 0.05, ("X",), True, "shift", "a warmer climate")),
    archive(TRACKS["dense"], ArchivePart("valid", 1, 5)),
]

Run = Callable[..., tuple[int, str, str]]


def test_tasks_are_listed(run: Run) -> None:
    assert run("tasks") == (0, "\n".join(list_tasks()) + "\n", "")
    assert run("tasks", "online-rollout")[1].splitlines() == list_tasks("online-rollout")


@pytest.fixture
def sets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Two small splits and a small archive, the only data sets there are, by key, before an empty cache."""
    monkeypatch.setenv("L96BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    recorded = [replace(each, recorded=each.remake(progress=False)) for each in SETS]
    with data_sets_given_as(recorded):
        yield {each.key: each for each in recorded}


def lines(sets: dict[str, DataSet]) -> list[tuple[str, str]]:
    return [(f"{key}/{name}", digest) for key, each in sets.items() for name, digest in each.digests.items()]


def states(text: str) -> dict[str, str]:
    """The state of every split in the listing."""
    rows = [line.replace("│", " ").split() for line in text.splitlines() if "│" in line]
    return {row[1]: next(word for word in row if word in ("absent", "intact", "damaged")) for row in rows}


@pytest.mark.slow
def test_data_are_made_listed_and_mended(run: Run, sets: dict[str, Any], tmp_path: Path) -> None:
    code, out, _ = run("data", "list", "--all")
    assert code == 0
    assert states(out) == {"train": "absent", "shift": "absent", "valid": "absent"}
    assert str(tmp_path / "cache") in out.replace("\n", "")
    assert run("data", "make", "--split", "train", "--jobs", "1") == (0, "wilks-f20/train\n", "")
    assert states(run("data", "list", "--all")[1]) == {"train": "intact", "shift": "absent", "valid": "absent"}
    assert run("data", "make", "--regime", "dense", "--jobs", "1") == (0, "dense/valid\n", "")
    assert states(run("data", "list", "--all")[1]) == {"train": "intact", "shift": "absent", "valid": "intact"}
    made = run("data", "make", "--jobs", "1")[1].splitlines()
    assert sorted(made) == ["dense/valid", "wilks-f20/shift", "wilks-f20/train"]
    file = tmp_path / "cache" / "v1" / "wilks-f20" / "train" / "X.npy"
    file.write_bytes(file.read_bytes()[:-1])
    assert states(run("data", "list", "--all")[1]) == {"train": "damaged", "shift": "intact", "valid": "intact"}
    assert run("data", "make", "--regime", "wilks-f20", "--jobs", "1")[0] == 0
    assert states(run("data", "list", "--split", "train")[1]) == {"train": "intact"}


@pytest.mark.slow
def test_data_are_listed_a_line_each_owner(run: Run, sets: dict[str, Any]) -> None:
    run("data", "make", "--split", "train", "--jobs", "1")
    rows = [line.replace("│", " ").split() for line in run("data", "list")[1].splitlines() if "│" in line]
    assert rows == [["wilks-f20", "2", "1"], ["dense", "1", "0"]]


@pytest.mark.slow
def test_verify_compares_with_what_is_recorded(run: Run, sets: dict[str, Any]) -> None:
    code, out, _ = run("data", "verify", "--threads", "1")
    assert code == 0
    assert out.splitlines() == [f"ok   {digest} {name}" for name, digest in lines(sets)]
    recorded = sets["wilks-f20/shift"].recorded
    right, recorded["X"] = recorded["X"], "0" * 64
    code, out, _ = run("data", "verify", "--split", "shift")
    assert code == 1
    assert out == f"DIFF {right} wilks-f20/shift/X\n"


@pytest.mark.slow
def test_record_prints_lines_for_the_file_of_digests(run: Run, sets: dict[str, Any]) -> None:
    code, out, _ = run("data", "record")
    assert code == 0
    assert out.splitlines() == [f'  "{name}": "{digest}",' for name, digest in lines(sets)]


@pytest.mark.slow
def test_bits_that_are_not_the_recorded_ones_are_refused(run: Run, sets: dict[str, Any]) -> None:
    sets["wilks-f20/train"].recorded["U"] = "0" * 64
    code, _, err = run("data", "make", "--split", "train", "--jobs", "1")
    assert code == 2
    assert f"wilks-f20/train/U: expected SHA-256 {'0' * 64}, got " in err


def test_regimes_and_tracks_are_listed_with_what_they_hold(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("L96BENCH_CACHE", "nowhere")
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = run("data", "list", "--regime", "dense", "--regime", "wilks-f20", "--split", "test")
    assert code == 0
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if "│" in line]
    assert [row[:4] for row in rows] == [
        ["wilks-f20", "test", "10 x 200 MTU every 0.05", "absent"],
        ["dense", "test", "10 x 400 cycles every 0.05 MTU", "absent"],
    ]


@pytest.mark.usefixtures("miniature_registry")
def test_data_are_exported_as_netcdf(run: Run, offline: SubgridForcing, tmp_path: Path) -> None:
    code, out, _ = run("data", "export", OFFLINE, tmp_path / "files")
    assert code == 0
    files = [f"{split}.nc" for split in ("train", "valid", "test", "shift")]
    assert [Path(line).name for line in out.splitlines()] == [*files, "croissant.json"]
    with xarray.open_dataset(tmp_path / "files" / "shift.nc", engine="h5netcdf") as dataset:
        np.testing.assert_array_equal(dataset["U"], offline.shift.U)

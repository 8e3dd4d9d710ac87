"""Every data set that a task reads is listed once, recorded once, and made by whoever owns it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from l96bench.assimilation.archive import ARRAYS, PARTS, TRACKS, ArchivePart, make_archive
from l96bench.assimilation.observed import OBSERVED_TRACKS
from l96bench.data import store
from l96bench.data.instances import RECOVERY_TRACKS
from l96bench.data.splits import DATA_REGIMES, Split
from l96bench.data.systems import SYSTEM_TRACKS
from l96bench.errors import DataError, UnknownIdError
from l96bench.regimes import get_regime, other_regimes
from l96bench.tasks.datasets import archive, data_sets, trajectories
from l96bench.tasks.registry import list_tasks, make_task

PART = ArchivePart("valid", 2, 4)
SETS = [
    trajectories(get_regime("wilks-f20"), Split("train", 1, 0.5, 0.05, ("X", "U"), False, "train", "training")),
    archive(TRACKS["sparse"], PART),
]
BASES = ("single", "two-scale", "hidden")


@pytest.fixture
def miniatures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """One split and one archive, recorded, in front of an empty cache."""
    monkeypatch.setenv("L96BENCH_CACHE", str(tmp_path / "cache"))
    return [replace(each, recorded=each.remake(progress=False)) for each in SETS]


# What there is.


def test_every_recorded_digest_belongs_to_a_data_set_and_the_other_way_round() -> None:
    keys = [f"{each.key}/{array}" for each in data_sets() for array in each.arrays]
    assert len(keys) == len(set(keys))
    assert set(keys) == set(store.digests())


def test_owners_are_the_regimes_and_the_tracks_in_order() -> None:
    ours = [*DATA_REGIMES, *TRACKS, *BASES, *OBSERVED_TRACKS, "unseen-training", *SYSTEM_TRACKS]
    assert list(dict.fromkeys(each.owner for each in data_sets())) == [*ours, *other_regimes()]
    for track in TRACKS:
        found = data_sets([track])
        assert [each.name for each in found] == list(PARTS)
        assert all(each.arrays == ARRAYS for each in found)


@pytest.mark.parametrize("base", BASES)
def test_instances_are_listed_once_for_all_tracks_that_sample_them(base: str) -> None:
    found = data_sets([base])
    assert [each.name for each in found] == [f"instance-{i}" for i in range(10)]
    assert {len(each.arrays) for each in found} == {4 if base == "hidden" else 2}
    assert {track.base for track in RECOVERY_TRACKS.values()} == set(BASES)


@pytest.mark.parametrize("id", [id for id in list_tasks() if not id.startswith("equation-recovery")])
def test_every_task_reads_data_sets(id: str) -> None:
    task = make_task(id)
    keys = {task.key(split) for split in task.available_splits}
    assert {each.key for each in data_sets()} >= keys


def test_every_size_is_that_of_the_arrays() -> None:
    sizes = {each.key: each.size for each in data_sets()}
    assert sizes["wilks-f18/train"] == "1 x 2000 MTU every 0.05"
    assert sizes["dense/test"] == "10 x 400 cycles every 0.05 MTU"
    assert sizes["sparse/train"] == "1 x 6000 cycles every 0.1 MTU"
    assert sizes["hidden/instance-9"] == "100 MTU every 0.01, 20 x 10 every 0.05"


# Which are chosen.


def test_some_are_chosen_by_owner_and_name() -> None:
    assert [each.key for each in data_sets(["dense"])] == ["dense/train", "dense/valid", "dense/test"]
    assert [each.key for each in data_sets(["dense", "wilks-f18"], ["test"])] == ["wilks-f18/test", "dense/test"]
    assert [each.key for each in data_sets([], [])] == [each.key for each in data_sets()]


def test_a_name_that_some_owners_lack_is_taken_of_the_others() -> None:
    chosen = data_sets(None, ["test", "shift"])
    assert [each.owner for each in chosen if each.name == "test"] == [*DATA_REGIMES, *TRACKS, *other_regimes()]
    shifted = [id for id in (*DATA_REGIMES, *other_regimes()) if get_regime(id).scales == 2]
    assert [each.owner for each in chosen if each.name == "shift"] == shifted


@pytest.mark.parametrize(
    ("owners", "names", "message"),
    [
        (["wilks-f21"], None, r"no data sets of 'wilks-f21'\. Did you mean 'wilks-f20'"),
        (["dence"], None, r"no data sets of 'dence'\. Did you mean 'dense'"),
        (["dense", "da-k40"], None, r"no data sets of 'da-k40'\."),
        (None, ["trian"], r"'trian'\. Did you mean 'train'"),
        (["dense"], ["shift"], r"dense has no shift"),
        (["three-scale"], ["shift"], r"three-scale has no shift"),
    ],
)
def test_unknown_names_are_errors(owners: list[str] | None, names: list[str] | None, message: str) -> None:
    with pytest.raises(UnknownIdError, match=message):
        data_sets(owners, names)


# What each of them does.


@pytest.mark.slow
def test_a_set_is_made_loaded_and_checked(miniatures: list[Any], tmp_path: Path) -> None:
    split, archive = miniatures
    assert (split.key, archive.key) == ("wilks-f20/train", "sparse/valid")
    assert archive.state() == split.state() == "absent"
    arrays = archive.load()
    assert (archive.state(), split.state()) == ("intact", "absent")
    made = make_archive(TRACKS["sparse"], PART, progress=False)
    for name in ARRAYS:
        np.testing.assert_array_equal(arrays[name], made[name])
    assert set(split.load()) == {"X", "U"}
    (tmp_path / "cache" / "v1" / "sparse" / "valid" / "spread.npy").unlink()
    assert archive.state() == "damaged"
    archive.load()
    assert archive.state() == split.state() == "intact"


@pytest.mark.slow
def test_remaking_neither_reads_nor_writes_the_cache(miniatures: list[Any], tmp_path: Path) -> None:
    for each in miniatures:
        digests = each.remake(progress=False, threads=1)
        assert digests == each.remake(threads=2)
        assert digests == each.digests
    assert not (tmp_path / "cache").exists()


@pytest.mark.slow
def test_other_bits_than_recorded_are_refused(miniatures: list[Any]) -> None:
    miniatures[1].recorded["increment"] = "0" * 64
    with pytest.raises(DataError, match=r"sparse/valid/increment: expected SHA-256 0000"):
        miniatures[1].load()
    assert miniatures[1].state() == "absent"


@pytest.mark.slow
def test_a_set_that_is_not_recorded_says_what_to_do(miniatures: list[Any]) -> None:
    del miniatures[1].recorded["spread"]
    with pytest.raises(DataError, match=r"\['spread'\] of sparse/valid; `l96bench data record`"):
        miniatures[1].load()

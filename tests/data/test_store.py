"""The cache: made once, checked always, mended when damaged, on splits that take a moment."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from numpy.typing import NDArray

from l96bench.data import store
from l96bench.data.generate import generate
from l96bench.data.splits import DATA_REGIMES, Split, splits_of
from l96bench.errors import DataError, UnknownIdError
from l96bench.regimes import get_regime

MINI = Split("train", 2, 0.5, 0.05, ("X", "U"), False, "train", "training")
KEY, NAMES = "wilks-f20/train", ("X", "U")


@dataclass
class Cache:
    """A temporary cache of one small data set that counts how often it is made."""

    folder: Path
    digests: dict[str, str]
    made: int = 0
    stop: type[BaseException] | None = None

    def make(self) -> dict[str, NDArray[np.float64]]:
        if self.stop:
            raise self.stop
        self.made += 1
        return generate(get_regime("wilks-f20"), MINI)

    def load(self) -> dict[str, NDArray[np.float64]]:
        return store.fetch(KEY, NAMES, self.make, self.digests)

    def state(self) -> str:
        return store.state_of(KEY, NAMES, self.digests)

    @property
    def place(self) -> Path:
        return self.folder / "v1" / "wilks-f20" / "train"

    def file(self, name: str) -> Path:
        return self.place / f"{name}.npy"


@pytest.fixture(scope="module")
def digests() -> dict[str, str]:
    arrays = generate(get_regime("wilks-f20"), MINI)
    return {name: store.array_digest(array) for name, array in arrays.items()}


@pytest.fixture
def cache(tmp_path: Path, digests: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Cache:
    monkeypatch.setenv("L96BENCH_CACHE", str(tmp_path / "cache"))
    return Cache(tmp_path / "cache", dict(digests))


def test_digest_is_of_dtype_shape_and_little_endian_bytes() -> None:
    array = np.arange(6.0).reshape(2, 3)
    expected = hashlib.sha256(b"<f8(2, 3)" + array.astype("<f8").tobytes()).hexdigest()
    assert store.array_digest(array) == expected
    assert store.array_digest(array.astype(">f8")) == expected
    assert store.array_digest(np.asfortranarray(array)) == expected
    assert store.array_digest(np.empty((2, 0))) == hashlib.sha256(b"<f8(2, 0)").hexdigest()
    others = [array.T, array.ravel(), array.astype("f4"), np.nextafter(array, 9), -array]
    assert expected not in {store.array_digest(other) for other in others}


@pytest.mark.slow
def test_made_when_first_needed_and_never_again(cache: Cache) -> None:
    assert cache.state() == "absent"
    first = cache.load()
    assert cache.made == 1
    assert cache.state() == "intact"
    second = cache.load()
    assert cache.made == 1
    for name in ("X", "U"):
        assert first[name].shape == (2, 10, 8)
        np.testing.assert_array_equal(first[name], second[name])
        np.testing.assert_array_equal(first[name], generate(get_regime("wilks-f20"), MINI)[name])


@pytest.mark.slow
def test_arrays_are_memory_mapped_and_read_only(cache: Cache) -> None:
    arrays = cache.load()
    assert set(arrays) == {"X", "U"}
    for array in arrays.values():
        assert isinstance(array, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0, 0] = 1.0


@pytest.mark.slow
def test_only_the_set_and_its_lock_are_in_the_cache(cache: Cache) -> None:
    cache.load()
    files = {str(path.relative_to(cache.place.parent)) for path in cache.place.parent.rglob("*")}
    assert files - {"train.lock"} == {"train", "train/X.npy", "train/U.npy"}


def truncated(cache: Cache) -> None:
    data = cache.file("X").read_bytes()
    cache.file("X").write_bytes(data[:-100])


def emptied(cache: Cache) -> None:
    cache.file("X").write_bytes(b"")


def altered(cache: Cache) -> None:
    data = bytearray(cache.file("U").read_bytes())
    data[-1000] ^= 1
    cache.file("U").write_bytes(bytes(data))


def altered_header(cache: Cache) -> None:
    data = cache.file("X").read_bytes()
    cache.file("X").write_bytes(data.replace(b"'<f8'", b"'<i8'", 1))


def not_an_array(cache: Cache) -> None:
    cache.file("X").write_text("hello")


def a_zip_archive(cache: Cache) -> None:
    with cache.file("X").open("wb") as file:
        np.savez(file, X=np.ones(3))


def a_broken_zip_archive(cache: Cache) -> None:
    cache.file("X").write_bytes(b"PK\x03\x04" + b"x" * 200)


def missing(cache: Cache) -> None:
    cache.file("U").unlink()


def exchanged(cache: Cache) -> None:
    cache.file("X").rename(cache.file("keep"))
    cache.file("U").rename(cache.file("X"))
    cache.file("keep").rename(cache.file("U"))


def other_values(cache: Cache) -> None:
    np.save(cache.file("X"), np.load(cache.file("X")) + 1.0)


DAMAGES = [truncated, emptied, altered, altered_header, not_an_array, a_zip_archive, a_broken_zip_archive]
DAMAGES += [missing, exchanged, other_values]


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_noticed_and_mended(cache: Cache, damage: Any) -> None:
    good = {name: np.array(array) for name, array in cache.load().items()}
    damage(cache)
    assert cache.state() == "damaged"
    mended = cache.load()
    assert cache.made == 2
    for name in ("X", "U"):
        np.testing.assert_array_equal(mended[name], good[name])
    assert cache.state() == "intact"
    assert sorted(path.name for path in cache.place.iterdir()) == ["U.npy", "X.npy"]


@pytest.mark.slow
def test_no_byte_of_a_header_can_break_the_reader(cache: Cache) -> None:
    good = {name: store.array_digest(array) for name, array in cache.load().items()}
    data = cache.file("X").read_bytes()
    for place in range(128):
        for flip in (1, 8, 64):
            cache.file("X").write_bytes(data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :])
            arrays = store._read(cache.place, good)
            assert arrays is None or store.array_digest(arrays["X"]) == good["X"]


@pytest.mark.slow
def test_a_reader_keeps_its_data_while_they_are_mended(cache: Cache) -> None:
    before = cache.load()["X"]
    kept = np.array(before)
    missing(cache)
    cache.load()
    np.testing.assert_array_equal(before, kept)


@pytest.mark.slow
@pytest.mark.parametrize("interruption", [KeyboardInterrupt, MemoryError, OSError])
def test_interrupted_generation_leaves_nothing(cache: Cache, interruption: type[BaseException]) -> None:
    cache.stop = interruption
    with pytest.raises(interruption):
        cache.load()
    assert not cache.place.exists()
    cache.stop = None
    cache.load()
    assert cache.state() == "intact"


@pytest.mark.slow
def test_interrupted_writing_leaves_nothing(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []

    def full(path: Path, *_: object, **__: object) -> None:
        path.write_bytes(b"half")
        written.append(path)
        if len(written) == 2:
            raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        with pytest.raises(DataError, match=r"no space.*L96BENCH_CACHE"):
            cache.load()
    assert {path.name for path in cache.place.parent.iterdir()} <= {"train.lock"}
    cache.load()


def test_other_bits_than_recorded_are_an_error_and_are_not_kept(cache: Cache) -> None:
    cache.digests["U"] = "0" * 64
    with pytest.raises(DataError, match=r"wilks-f20/train/U.*0000"):
        cache.load()
    assert not cache.place.exists()
    assert {path.name for path in cache.place.parent.iterdir()} <= {"train.lock"}


def test_a_split_without_digest_is_an_error(cache: Cache) -> None:
    del cache.digests["U"]
    with pytest.raises(DataError, match=r"\['U'\] of wilks-f20/train"):
        cache.load()
    assert cache.made == 0


def test_unknown_names() -> None:
    with pytest.raises(UnknownIdError, match="'train'"):
        store.load("wilks-f20", "trian")
    with pytest.raises(UnknownIdError, match="wilks-f20"):
        store.load("wilks-f21", "train")


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("L96BENCH_CACHE", str(tmp_path / "here"))
    assert store.cache_folder() == tmp_path / "here"
    monkeypatch.setenv("L96BENCH_CACHE", "~/here")
    assert store.cache_folder() == Path.home() / "here"
    monkeypatch.delenv("L96BENCH_CACHE")
    assert store.cache_folder().name == "l96bench"
    assert store.cache_folder().is_absolute()


def test_folders_and_files_follow_the_umask(cache: Cache) -> None:
    """Several users may share a cache."""
    before = os.umask(0o002)
    try:
        cache.load()
    finally:
        os.umask(before)
    for path in cache.place.parents[1].rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o775 if path.is_dir() else 0o664), path


@pytest.mark.slow
def test_a_cache_that_cannot_be_written_is_an_error_that_names_its_variable(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file is in the place of the folder, or of one above it; somebody else's files cannot be locked or replaced."""
    (tmp_path / "file").touch()
    for folder in ("file", "file/below"):
        monkeypatch.setenv("L96BENCH_CACHE", str(tmp_path / folder))
        with pytest.raises(DataError, match="L96BENCH_CACHE"):
            cache.load()
        with pytest.raises(DataError, match="L96BENCH_CACHE"):
            store.require_writable("runs")

    monkeypatch.setenv("L96BENCH_CACHE", str(tmp_path / "others"))
    store.require_writable("runs")
    for name in ("mkdir", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, name, Mock(side_effect=PermissionError("not yours")))
            with pytest.raises(DataError, match=r"not yours.*L96BENCH_CACHE"):
                cache.load()
    assert cache.load()


def test_a_read_only_cache_that_holds_the_data_is_read(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    """No lock is taken, and nothing is written."""
    first = cache.load()
    before = {path: path.stat().st_mtime_ns for path in cache.place.parents[1].rglob("*")}
    for name in ("mkdir", "replace", "touch", "write_bytes"):
        monkeypatch.setattr(Path, name, lambda *_, **__: pytest.fail("the cache is written"))
    again = cache.load()
    assert {name: array.tobytes() for name, array in again.items()} == {
        name: array.tobytes() for name, array in first.items()
    }
    assert before == {path: path.stat().st_mtime_ns for path in cache.place.parents[1].rglob("*")}


PROCESS = textwrap.dedent(
    """
    import json, sys, time
    from pathlib import Path
    from l96bench.data import splits, store
    from l96bench.data.generate import generate
    from l96bench.regimes import get_regime

    recorded, log, gate = json.loads(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])

    def slowly():
        with log.open("a") as file:
            file.write("made\\n")
        time.sleep(0.5)
        return generate(get_regime("wilks-f20"), splits.Split("train", 2, 0.5, 0.05, ("X", "U"), False, "train", ""))

    gate.touch()
    while len(list(gate.parent.iterdir())) < 2:
        time.sleep(0.01)
    arrays = store.fetch("wilks-f20/train", ("X", "U"), slowly, recorded)
    print(json.dumps({name: store.array_digest(array) for name, array in arrays.items()}))
    """
)


@pytest.fixture
def processes(cache: Cache, tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    (tmp_path / "gates").mkdir()
    started = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                PROCESS,
                json.dumps(cache.digests),
                str(tmp_path / "log"),
                str(tmp_path / "gates" / name),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in "ab"
    ]
    yield started
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_two_processes_at_once_make_it_once(
    cache: Cache, processes: list[subprocess.Popen[str]], tmp_path: Path
) -> None:
    outputs = [process.communicate(timeout=600)[0] for process in processes]
    assert [json.loads(output) for output in outputs] == [cache.digests, cache.digests]
    assert (tmp_path / "log").read_text().count("made") == 1


@pytest.mark.parametrize("name", DATA_REGIMES)
def test_a_digest_is_recorded_for_every_array(name: str) -> None:
    recorded = store.digests()
    keys = {f"{name}/{split.name}/{array}" for split in splits_of(name) for array in split.arrays}
    assert keys == {key for key in recorded if key.startswith(f"{name}/")}
    assert all(len(recorded[key]) == 64 and int(recorded[key], 16) >= 0 for key in keys)


def test_recorded_digests_are_all_different() -> None:
    recorded = store.digests()
    assert len(set(recorded.values())) == len(recorded)

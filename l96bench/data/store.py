"""The data cache: memory-mapped files, each checked against the digest recorded in the repository.

Sets are written to a temporary folder and renamed, under a lock; damaged or missing files are made again.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from l96bench.data.generate import generate
from l96bench.data.splits import DATA_VERSION, get_split
from l96bench.dynamics.truth import require_reach
from l96bench.errors import DataError
from l96bench.files import write_atomic
from l96bench.regimes import Regime, get_regime, registered_digests

__all__ = [
    "array_digest",
    "cache_errors",
    "cache_folder",
    "data_folder",
    "digests",
    "fetch",
    "load",
    "require_writable",
    "state_of",
]


def cache_folder() -> Path:
    """Return the folder of the cache: ``$L96BENCH_CACHE``, or the user's cache directory.

    Returns
    -------
    Path
        It need not exist yet.

    Examples
    --------
    >>> import l96bench
    >>> l96bench.cache_folder() == l96bench.cache_folder().absolute()
    True
    """
    from platformdirs import user_cache_path

    given = os.environ.get("L96BENCH_CACHE")
    return Path(given).expanduser() if given else user_cache_path("l96bench")


def data_folder() -> Path:
    """Return the folder of the cache in which data sets are."""
    return cache_folder() / f"v{DATA_VERSION}"


@contextmanager
def cache_errors() -> Iterator[None]:
    """Turn file system errors inside the context into a `DataError` that says what to do."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"the cache {cache_folder()} cannot be written ({error}); make room there, or set L96BENCH_CACHE to a "
            "folder that can"
        ) from error


def require_writable(name: str) -> None:
    """Raise `DataError` unless this folder of the cache is writable."""
    with cache_errors():
        folder = cache_folder() / name
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()


def digests() -> dict[str, str]:
    """Return the recorded SHA-256 of every array, by ``regime/split/array``."""
    return {**registered_digests(), **_repository_digests()}


@functools.cache
def _repository_digests() -> dict[str, str]:
    """Read the digests file, once a process."""
    text = resources.files("l96bench.data").joinpath("digests.json").read_text(encoding="utf-8")
    recorded: dict[str, str] = json.loads(text)
    return recorded


def recorded_digests(key: str) -> dict[str, str]:
    """Return the recorded SHA-256 of a data set's arrays by name; empty where none is recorded."""
    return {name.removeprefix(f"{key}/"): digest for name, digest in digests().items() if name.startswith(f"{key}/")}


def array_digest(array: NDArray) -> str:
    """Return the SHA-256 of an array: of its dtype and shape, then its bytes in C order, little-endian.

    Parameters
    ----------
    array : ndarray
        Of any shape and any numerical dtype.

    Returns
    -------
    str
        64 hexadecimal digits.

    Examples
    --------
    >>> import l96bench
    >>> import numpy as np
    >>> l96bench.array_digest(np.arange(3.0))[:8]
    '74cc8230'
    """
    array = np.ascontiguousarray(array)
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    digest = hashlib.sha256(f"{little.dtype.str}{little.shape}".encode())
    digest.update(little.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def fetch(
    key: str,
    names: Sequence[str],
    make: Callable[[], Mapping[str, NDArray]],
    recorded: Mapping[str, str] | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Return the arrays of a data set, read-only and memory-mapped, made first unless the cache holds them intact.

    Digests are `recorded`, or those of the repository under ``key/name``. Raises `DataError` if there is none, if new
    bits differ from them, or if the cache cannot be written.
    """
    expected, place = _expected(key, names, recorded), _place(key)
    arrays = _read(place, expected)
    if arrays is None:
        with _locked(place):
            arrays = _read(place, expected)
            if arrays is None:
                _write(place, make(), expected)
                arrays = _read(place, expected)
    if arrays is None:
        raise DataError(f"{place} changed while it was read; is another program writing there? Try again.")
    return arrays


def fetch_unrecorded(key: str, make: Callable[[], Mapping[str, NDArray]]) -> dict[str, NDArray[np.float64]]:
    """Return arrays as `fetch` does, checked against digests kept of their first making on this machine."""
    record = _record(key)
    if not record.is_file():
        made = make()
        with cache_errors():
            write_atomic(record, json.dumps({name: array_digest(array) for name, array in made.items()}))
        make = lambda: made  # noqa: E731
    kept = kept_digests(key)
    return fetch(key, list(kept), make, kept)


def kept_digests(key: str) -> dict[str, str]:
    """Return the SHA-256 by array kept by `fetch_unrecorded`, empty before that; `DataError` if they cannot be read."""
    record = _record(key)
    try:
        found: dict[str, str] = json.loads(record.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataError(f"{record}: expected digests of arrays ({error}); remove the file") from error
    return found


def _record(key: str) -> Path:
    place = _place(key)
    return place.with_name(f"{place.name}.json")


def load(regime: str | Regime, split: str, progress: bool | None = None) -> dict[str, NDArray[np.float64]]:
    """Return the arrays of a split as `fetch` does, or `UnknownIdError` if it does not exist."""
    regime = get_regime(regime)
    spec = get_split(regime, split)
    return fetch(f"{regime.id}/{split}", spec.arrays, lambda: generate(regime, spec, progress))


def state_of(key: str, names: Sequence[str], recorded: Mapping[str, str] | None = None) -> str:
    """Return ``"intact"``, ``"absent"`` or ``"damaged"``, the state of a data set in the cache; see `fetch`."""
    place = _place(key)
    if not place.exists():
        return "absent"
    return "damaged" if _read(place, _expected(key, names, recorded)) is None else "intact"


def _expected(key: str, names: Sequence[str], recorded: Mapping[str, str] | None) -> dict[str, str]:
    known = recorded_digests(key) if recorded is None else recorded
    missing = [name for name in names if name not in known]
    if missing:
        raise DataError(f"no digest is recorded for {missing} of {key}; `l96bench data record` prints it")
    return {name: known[name] for name in names}


def _place(key: str) -> Path:
    return data_folder() / key


def _read(place: Path, expected: dict[str, str]) -> dict[str, NDArray[np.float64]] | None:
    """Return the arrays of a folder if all have the expected digests, else None."""
    require_reach()
    arrays: dict[str, NDArray[np.float64]] = {}
    for name, digest in expected.items():
        try:
            array = np.lib.format.open_memmap(place / f"{name}.npy", mode="r")
        except Exception:  # a damaged header makes NumPy raise almost anything
            return None
        if array_digest(array) != digest:
            return None
        arrays[name] = array
    return arrays


def _write(place: Path, arrays: Mapping[str, NDArray[np.float64]], expected: dict[str, str]) -> None:
    """Check new arrays against their digests and put them in place by one rename."""
    for name, array in arrays.items():
        came = array_digest(array)
        if came != expected[name]:
            raise DataError(
                f"{place.parent.name}/{place.name}/{name}: expected SHA-256 {expected[name]}, got {came}; "
                "the simulator promises the same bits everywhere: please report this with your processor and versions"
            )
    temporary = place.with_name(f".{place.name}-{uuid.uuid4().hex}")
    with cache_errors():
        try:
            temporary.mkdir()  # with the permissions that the user gives to new folders
            for name, array in arrays.items():
                np.save(temporary / f"{name}.npy", array, allow_pickle=False)
            shutil.rmtree(place, ignore_errors=True)
            temporary.replace(place)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    """Hold the lock of a place while other processes wait."""
    from filelock import FileLock

    with cache_errors():
        place.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(place.with_suffix(".lock"))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()

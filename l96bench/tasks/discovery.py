"""Discovery of equations by user code in child processes: seeded, killed at a time limit, and resumable.

A fit may never return, even from a loop in C, or crash its process. A child serves many problems and is replaced only
when it is killed or dies; children run in parallel over instances.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import warnings
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from l96bench.data.store import cache_errors
from l96bench.errors import ModelError, ModelWarning, described, place_of
from l96bench.files import read_checked, write_checked
from l96bench.parallel import one_thread
from l96bench.progress import progress as show_progress

__all__ = ["DIED", "RAISED", "TOO_SLOW", "Discovery", "Solvable", "discover", "discover_all"]

RAISED, TOO_SLOW, DIED = "raised", "too slow", "died"
"""Faults: the model's code raised, exceeded the time limit, or ended its process."""
_START_LIMIT = 120.0
"""Seconds allowed to start a child and import what the model needs."""
_MEMORY = 4 * 2**30
"""Bytes that a child may allocate beyond what it has when it starts, where the system can limit them (Linux)."""
_MAX_CHARACTERS = 2_000_000
"""Longer equations are an error of the model and are never parsed."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """Equations found for one problem (None after a `fault`), fitting time, and what was raised where."""

    texts: tuple[str, ...] | None
    seconds: float
    fault: str = ""
    message: str = ""
    place: str = ""


class Solvable(Protocol):
    """The interface of a problem that `discover_all` can solve."""

    @property
    def id(self) -> str:
        """A unique name of the problem."""
        ...

    @property
    def group(self) -> Hashable:
        """Problems of one group are solved in sequence and stored in one file."""
        ...

    @property
    def words(self) -> Sequence[int]:
        """Seed words of the problem."""
        ...

    def observed(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the states (time, n) and the times (time,)."""
        ...


def discover(
    model: Any, X: NDArray[np.float64], t: NDArray[np.float64], *, seed: int = 0, limit: float | None = 10.0
) -> Discovery:
    """Return the equations that a copy of a model finds in states X (time, n) at times t (time,), in a child process.

    `seed` sets the global generators of NumPy and Python there, and all ``random_state`` parameters; the process is
    killed after `limit` seconds, with all that it has started, and has 4 GiB of memory. Raises `ModelError` if the
    model cannot be pickled.
    """
    with _Child(_pickled(model)) as child:
        return child.discover(X, t, seed, limit)


def discover_all(
    model: Any,
    problems: Sequence[Solvable],
    *,
    seed: int = 0,
    limit: float | None = 10.0,
    n_jobs: int | None = None,
    checkpoint: Path | None = None,
    progress: bool | None = None,
) -> list[Discovery]:
    """Return what a model finds for each problem, with groups of problems in parallel; see `discover`.

    Each problem's seed combines `seed` with its own words; `n_jobs` is as in joblib. Results kept in the folder
    `checkpoint`, which must belong to this model and these problems, are reused after an interruption.
    """
    from joblib import Parallel, delayed, effective_n_jobs

    groups: dict[Hashable, list[Solvable]] = {}
    for problem in problems:
        groups.setdefault(problem.group, []).append(problem)
    payload = _pickled(model)
    children = [_Child(payload) for _ in range(min(effective_n_jobs(n_jobs), len(groups)))]
    idle: SimpleQueue[_Child] = SimpleQueue()
    for child in children:
        idle.put(child)
    found: dict[str, Discovery] = {}

    def solve(name: Hashable, report: Callable[[int], None]) -> None:
        child, kept = idle.get(), _Kept(checkpoint, name)
        try:
            for problem in groups[name]:
                if problem.id not in kept.found:
                    words = np.random.SeedSequence([seed, *problem.words])
                    kept.add(problem.id, child.discover(*problem.observed(), int(words.generate_state(1)[0]), limit))
                report(1)
            found.update(kept.found)
        finally:
            idle.put(child)

    try:
        with show_progress("discovering", len(problems), progress) as report:
            # Threads, because they only wait: the work is done by the children, one for each thread.
            Parallel(n_jobs=len(children), require="sharedmem")(delayed(solve)(name, report) for name in groups)
    finally:
        for child in children:
            child.close()
    discoveries = [found[problem.id] for problem in problems]
    _warn(type(model).__name__, discoveries)
    return discoveries


def _warn(name: str, discoveries: Sequence[Discovery]) -> None:
    """Warn of each kind of fault, with its first message."""
    faults = [each for each in discoveries if each.fault]
    for kind in dict.fromkeys(each.fault for each in faults):
        own = [each for each in faults if each.fault == kind]
        count = f"{name} found no equations in {len(own)} of {len(discoveries)} problems ({kind})"
        warnings.warn(f"{count}; the first: {own[0].message}{own[0].place}", ModelWarning, stacklevel=3)


class _Child:
    """A process that fits copies of one model; it is started on demand and again after it ends."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._pool: Any = None
        self._ready = False
        self._group = 0

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        if self._pool is not None:
            self._pool.stop()
            self._pool.join()
            self._pool = None
            self._end_group()

    def discover(self, X: NDArray[np.float64], t: NDArray[np.float64], seed: int, limit: float | None) -> Discovery:
        """Fit a copy of the model."""
        self._start()
        start = time.perf_counter()
        try:
            return self._call(_discover, self._payload, X, t, seed, limit=limit)
        except TimeoutError:
            self._end_group()
            return Discovery(None, time.perf_counter() - start, TOO_SLOW, f"stopped after {limit:g} s")
        except (OSError, RuntimeError) as error:  # the pool's: the process is gone
            self._end_group()
            message = f"its process ended, exit code {getattr(error, 'exitcode', 'unknown')}"
            return Discovery(None, time.perf_counter() - start, DIED, message)

    def _end_group(self) -> None:
        """End what the process has started, which does not end with it."""
        if self._group:
            with suppress(OSError):
                os.killpg(self._group, signal.SIGKILL)
            self._group = 0

    def _start(self) -> None:
        """Start the process and import what the model needs, which does not count as fitting time."""
        if self._pool is None:
            from joblib.externals.loky.backend import get_context
            from pebble import ProcessPool

            # joblib's own processes: unlike the standard library's they do not run the caller's script again.
            self._pool = ProcessPool(max_workers=1, context=get_context("loky"))
        if self._ready:
            return
        try:
            self._group, message = self._call(_load, self._payload, limit=_START_LIMIT)
        except (OSError, RuntimeError) as error:
            raise ModelError(f"a process with the model in it does not start: {error}") from error
        if message:
            raise ModelError(f"the model cannot be loaded in a process of its own: {message}")

    def _call(self, function: Callable[..., Any], *arguments: Any, limit: float | None) -> Any:
        self._ready = False
        value = self._pool.schedule(function, arguments, timeout=limit).result()
        self._ready = True
        return value


# What runs in the child. Whatever is raised there comes back as text: its class may not exist here.


def _settle() -> int:
    """Give this process a group of its own, and a limit on its memory; return the group, 0 if it has none."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[5])  # of data: what the limit is on
        bound, hard = pages * resource.getpagesize() + _MEMORY, resource.getrlimit(resource.RLIMIT_DATA)[1]
        if hard == resource.RLIM_INFINITY or bound < hard:
            resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))
    with suppress(AttributeError, OSError):
        os.setsid()
        return os.getpid()
    return 0


def _load(payload: bytes) -> tuple[int, str]:
    """Import what the model needs, let it `prepare`, and return the process's group, and the error if that fails."""
    import cloudpickle

    group = _settle()
    sys.path.append("")  # modules of the user's, beside the script
    try:
        model = cloudpickle.loads(payload)
        if callable(prepare := getattr(model, "prepare", None)):
            prepare()
    except BaseException as error:
        return group, described(error)[:1000] + place_of(error)
    return group, ""


def _discover(payload: bytes, X: NDArray[np.float64], t: NDArray[np.float64], seed: int) -> Discovery:
    import cloudpickle

    start = time.perf_counter()
    try:
        # One thread: as many children as processors run side by side, and sums depend on the number of threads.
        with one_thread():
            model = cloudpickle.loads(payload)
            _seed(model, seed)
            model.fit(X, t)
            texts = _texts(model.equations())
    except BaseException as error:
        return Discovery(None, time.perf_counter() - start, RAISED, described(error)[:1000], place_of(error))
    return Discovery(texts, time.perf_counter() - start)


def _seed(model: Any, seed: int) -> None:
    """Seed the model's parameters and the global generators, which pysindy and gplearn draw from."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    if callable(getattr(model, "get_params", None)):
        names = [name for name in model.get_params(deep=True) if name.rpartition("__")[2] == "random_state"]
        model.set_params(**dict.fromkeys(names, seed))


def _texts(equations: Any) -> tuple[str, ...]:
    if isinstance(equations, str) or not all(isinstance(text, str) for text in equations):
        raise ModelError(f"expected equations() to give a list of strings, got {equations!r:.200}")
    if sum(map(len, equations)) > _MAX_CHARACTERS:
        raise ModelError(f"expected equations() of at most {_MAX_CHARACTERS} characters in all")
    return tuple(map(str, equations))


def _pickled(model: Any) -> bytes:
    """Return the pickled model, including classes defined in scripts and notebooks."""
    import cloudpickle

    missing = [name for name in ("fit", "equations") if not callable(getattr(model, name, None))]
    if missing or isinstance(model, type):
        raise ModelError(
            f"expected a model with fit(X, t) and equations(), got {type(model).__name__} {model!r:.100}"
            + (f" without {' and '.join(missing)}" if missing else ", a class")
        )
    try:
        return bytes(cloudpickle.dumps(model))
    except Exception as error:
        raise ModelError(f"{type(model).__name__} cannot be sent to a process of its own: {error}") from error


class _Kept:
    """The checkpoint file with the results of one group of problems."""

    def __init__(self, folder: Path | None, name: Hashable) -> None:
        self._path = None if folder is None else folder / f"{name}.kept"
        self.found: dict[str, Discovery] = {}
        try:
            fields = json.loads(read_checked(self._path) or "{}") if self._path else {}
            self.found = {id: Discovery(**each | {"texts": _tuple(each["texts"])}) for id, each in fields.items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            pass  # nothing is kept, or it is damaged: it is found again

    def add(self, id: str, discovery: Discovery) -> None:
        self.found[id] = discovery
        if self._path is not None:
            with cache_errors():
                write_checked(self._path, json.dumps({id: asdict(each) for id, each in self.found.items()}))


def _tuple(texts: list[str] | None) -> tuple[str, ...] | None:
    return None if texts is None else tuple(texts)

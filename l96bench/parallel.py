"""Work in parallel, in local processes or on a Dask cluster, and on one thread each.

Each item is computed by one process at a time and collected once. An item on a lost worker of a cluster runs again on
another. The client of `distributed` is used directly, because joblib's Dask backend waits forever when an item keeps
ending its workers, lets nested joblib calls spread over the cluster, and counts the workers only once.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import multiprocessing
import platform
import sys
import traceback
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from importlib import resources
from pathlib import Path
from typing import Any

from l96bench.errors import ClusterError, L96BenchError, ModelWarning, described, place_of
from l96bench.workers import in_kept_process, in_processes

__all__ = ["Outcome", "in_parallel", "installed", "one_thread"]

_LIBRARIES = (
    *("numpy", "numba", "scipy", "scikit-learn", "torch", "onnx", "onnxruntime", "skl2onnx", "gymnasium"),
    *("equinox", "jax", "optax", "sb3-contrib", "stable-baselines3", "pysindy", "gplearn", "pyoperon", "sympy"),
)
"""Libraries whose version may change the bits of a result."""
_PATIENCE = 5.0
_PATIENCE_WITH_WORKERS = 60.0
"""Seconds until a scheduler must have answered, and until it must have a worker."""
_BATCH = 100
"""Items that are sent to the scheduler in one message."""
_START = "DASK_DISTRIBUTED__WORKER__DAEMON=False dask worker {address} --nthreads 1"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one item.

    Attributes
    ----------
    index : int
        Index of the item.
    value : object
        Value of the function; None if there is a fault.
    fault, trace : str
        Type, message and place of an exception, and its traceback; empty without one.
    notes : tuple of str
        The texts of the function's `ModelWarning`; `in_parallel` issues them again in the caller's process.
    """

    index: int
    value: Any
    fault: str = ""
    trace: str = ""
    notes: tuple[str, ...] = ()


def in_parallel(
    function: Callable[[Any], Any],
    items: Sequence[Any],
    *,
    n_jobs: int = 1,
    dask: str | None = None,
    apart: bool = False,
    owner: Callable[[Any], Any] = lambda item: None,
) -> Iterator[Outcome]:
    """Yield the outcome of ``function(item)`` for each item, as it is finished.

    A failing item does not affect the others; one in a process of its own may even end that process. BLAS and OpenMP
    get one thread, because sums depend on their number: results are the same, to the last bit, for any number and place
    of processes.

    Parameters
    ----------
    function : callable
        Importable by its name, or small.
    items : sequence
        Sent in this order: begin with those that take longest.
    n_jobs : int
        Local processes; with one, or for one item, everything runs in this process, unless `apart`.
    dask : str, optional
        Address of a Dask scheduler, such as ``tcp://host:8786``, whose workers are used instead.
    apart : bool
        Whether nothing runs in this process, nor in that of a worker of a cluster, which starts one beside it. Only
        then does a `l96bench.workers.time_limit` hold.
    owner : callable
        Items for which it returns different values do not share a process that is started here.

    Yields
    ------
    Outcome
        The `index` of the item and the `value` of the function, or what it raised, as `fault`.

    Raises
    ------
    ClusterError
        If there is no scheduler at the address, it has no workers, a worker is not like this process (see `installed`),
        or the scheduler is lost for good. What was yielded before is not affected.

    Examples
    --------
    >>> import l96bench
    >>> [outcome.value for outcome in l96bench.in_parallel(abs, [-1, 2, -3])]
    [1, 2, 3]
    """
    if not items:
        return
    if dask is not None:
        outcomes = _on_cluster(function, items, dask, apart, owner)
    elif apart or min(n_jobs, len(items)) > 1:
        outcomes = _in_processes(function, items, max(1, min(n_jobs, len(items))), owner)
    else:
        outcomes = (_attempt(function, index, item) for index, item in enumerate(items))
    with closing(outcomes):
        for outcome in outcomes:
            for note in outcome.notes:
                warnings.warn(note, ModelWarning, stacklevel=2)
            yield outcome


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit BLAS, OpenMP and torch to one thread inside the context.

    Sums depend on the number of threads; with one they are the same on every machine. Only libraries that are loaded
    already are limited. It takes microseconds, so that it may be used around each step of a model.
    """
    torch: Any = sys.modules.get("torch")
    n_torch = torch.get_num_threads() if torch else 1
    if torch:  # which tells MKL as well
        torch.set_num_threads(1)
    limited = [(pool, n) for pool in _thread_pools(len(sys.modules)) if (n := pool.num_threads) != 1]
    for pool, _ in limited:
        pool.set_num_threads(1)
    try:
        yield
    finally:
        for pool, n in limited:
            pool.set_num_threads(n)
        if torch:
            torch.set_num_threads(n_torch)


@lru_cache(maxsize=1)
def _thread_pools(n_modules: int) -> list[Any]:
    """Return the thread pools of the loaded libraries, searching again when there are more modules."""
    from threadpoolctl import ThreadpoolController

    return list(ThreadpoolController().lib_controllers)


@cache
def installed() -> dict[str, str]:
    """Return what the bits of a result depend on besides inputs: this package's code and library versions."""
    root = Path(str(resources.files("l96bench")))
    code = hashlib.sha256()
    for path in sorted([*root.rglob("*.py"), root / "data" / "digests.json"]):
        code.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    found = {"l96bench": code.hexdigest()[:16], "Python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "none"
    return found


def _attempt(function: Callable[[Any], Any], index: int, item: Any) -> Outcome:
    with _noted() as notes:
        try:
            with one_thread():
                return Outcome(index, function(item), notes=tuple(notes))
        except (Exception, SystemExit) as error:
            place = "" if isinstance(error, L96BenchError) else place_of(error)  # ours name the place themselves
            what = f"it called sys.exit({error.code!r})" if isinstance(error, SystemExit) else described(error)
            return Outcome(index, None, what + place, traceback.format_exc(), tuple(notes))


@contextmanager
def _noted() -> Iterator[list[str]]:
    """Collect the texts of each `ModelWarning` inside the context instead of showing them."""
    notes: list[str] = []
    shown = warnings.showwarning

    def note(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if issubclass(category, ModelWarning):
            notes.append(str(message))
        else:
            shown(message, category, *where, **more)

    warnings.showwarning = note
    try:
        yield notes
    finally:
        warnings.showwarning = shown


def _in_processes(
    function: Callable[[Any], Any], items: Sequence[Any], n_jobs: int, owner: Callable[[Any], Any]
) -> Generator[Outcome, None, None]:
    work = partial(_attempt_of, function)
    for index, value, fault in in_processes(work, list(enumerate(items)), n_jobs, lambda item: owner(item[1])):
        yield Outcome(index, None, fault) if value is None else value


def _attempt_of(function: Callable[[Any], Any], called: tuple[int, Any]) -> Outcome:
    return _attempt(function, *called)


# On a cluster.


def _on_cluster(
    function: Callable[[Any], Any], items: Sequence[Any], address: str, apart: bool, owner: Callable[[Any], Any]
) -> Generator[Outcome, None, None]:
    """Yield outcomes from the workers of a scheduler; leaving the generator cancels the rest."""
    with _client(address) as client:
        from distributed import as_completed

        _check_workers(client, address)
        here = _Place(installed(), address, apart)
        called = [(here, owner(item) if apart else None, function, index, item) for index, item in enumerate(items)]
        futures = client.map(_attempt_on_worker, called, pure=False, batch_size=_BATCH)
        index_of = {future.key: index for index, future in enumerate(futures)}
        finished = as_completed(futures, with_results=True, raise_errors=False, loop=client.loop)
        del futures, called  # a future that is collected is forgotten, here and by the scheduler
        for future, result in finished:
            if future.status == "finished":
                yield result
            elif future.status == "error":
                yield _lost(index_of[future.key], result[1])
            else:
                raise ClusterError(f"lost the Dask scheduler at {address}; what is finished is kept")


def _lost(index: int, error: BaseException) -> Outcome:
    """Return the fault of an item without outcome, because its workers ended or it could not be sent."""
    if isinstance(error, ClusterError):
        raise error
    return Outcome(index, None, f"{type(error).__name__}: {error}")


@contextmanager
def _client(address: str) -> Iterator[Any]:
    """Connect to the scheduler at an address; closing the client cancels its work."""
    from distributed import Client

    try:
        client = Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:  # TimeoutError is an OSError
        raise ClusterError(
            f"no Dask scheduler answers at {address!r} ({error}); expected the address that `dask scheduler` prints, "
            "such as tcp://host:8786"
        ) from error
    try:
        yield client
    finally:
        client.close()


def _check_workers(client: Any, address: str) -> None:
    """Wait for a worker, and raise if one is not like this process."""
    try:
        client.wait_for_workers(1, timeout=_PATIENCE_WITH_WORKERS)
    except TimeoutError as error:
        start = _START.format(address=address)
        raise ClusterError(f"the scheduler at {address} has no workers; start some with `{start}`") from error
    for worker, found in client.run(_describe, on_error="return").items():
        if isinstance(found, BaseException):
            raise ClusterError(f"the worker {worker} cannot run l96bench: {type(found).__name__}: {found}")
        _require_alike(worker, found, installed(), address)


def _describe(dask_worker: Any) -> dict[str, Any]:
    """Describe the worker that runs this."""
    daemon = multiprocessing.current_process().daemon
    return {"installed": installed(), "threads": dask_worker.state.nthreads, "daemon": daemon}


def _require_alike(worker: str, found: dict[str, Any], expected: dict[str, str], address: str) -> None:
    """Raise `ClusterError` unless a worker has the expected versions, and one thread that may start processes."""
    theirs = found["installed"]
    different = [f"{name} {theirs[name]} (here {ours})" for name, ours in expected.items() if theirs[name] != ours]
    if different:
        raise ClusterError(
            f"the worker {worker} has other versions, and its results may have other bits: {', '.join(different)}; "
            "install the same there and start it again"
        )
    if found["threads"] != 1 or found["daemon"]:
        got = f"{found['threads']} threads" if found["threads"] != 1 else "one that may not (it is daemonic)"
        raise ClusterError(
            f"the worker {worker}: expected one thread, in a process that may start others, got {got}; "
            f"start it with `{_START.format(address=address)}`"
        )


@dataclass(frozen=True, slots=True)
class _Place:
    """The versions that a worker must have, the scheduler, and whether items run in a process beside the worker."""

    expected: dict[str, str]
    address: str
    apart: bool


def _attempt_on_worker(called: tuple[_Place, Any, Callable[[Any], Any], int, Any]) -> Outcome:
    """Run `_attempt` on a worker, which may have joined after the others were checked."""
    from distributed import get_worker
    from joblib import parallel_config

    place, owner, function, index, item = called
    worker = get_worker()
    _require_alike(worker.address, _describe(worker), place.expected, place.address)
    if place.apart:
        value, fault = in_kept_process(partial(_attempt_of, function), (index, item), owner)
        return Outcome(index, None, fault) if value is None else value
    with parallel_config("sequential"):
        return _attempt(function, index, item)

"""Process untrusted files in a separate process, without network or other files, and with bounds on time and memory.

The process gets pickled objects of this package and answers in JSON, so that nothing it returns is unpickled. An item
that takes too long or ends the process is reported as a fault, and another process does the rest.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pickle
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from l96bench.data.store import data_folder
from l96bench.errors import L96BenchError
from l96bench.jit import cache_root, keep_no_kernels
from l96bench.processes import follow, start, stop
from l96bench.submissions.isolation import leave_files, leave_network, read_by_libraries

__all__ = ["ContainedOutcome", "Limits", "run_contained", "stop_contained"]

_MAX_ANSWER = 64_000_000
"""The largest answer, in bytes."""
_START_SECONDS = 300.0
"""Seconds of wall-clock time in which a process must start and finish its imports."""
_CLOCK = 10.0
"""Seconds of wall-clock time allowed for each second of processor time, because the machine may be busy."""
_KEPT = {"HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "SYSTEMROOT", "TZ", "USERPROFILE", "XDG_CACHE_HOME"}
_KEPT_KINDS = ("L96BENCH_", "LC_", "NUMBA_")
_PATHS = {"L96BENCH_CACHE", "LD_LIBRARY_PATH", "NUMBA_CACHE_DIR", "PYTHONPATH", "XDG_CACHE_HOME"}
"""Variables of the environment that a contained process gets, by name and by beginning, and those that hold paths."""
_running: set[subprocess.Popen[bytes]] = set()
_stops: list[None] = []
"""The running processes, and an item for each time that all of them were stopped."""
_COMMAND = "from l96bench.submissions.contained import serve; serve({lifeline})"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on the work on one item.

    Attributes
    ----------
    seconds : float
        Processor time of all threads together.
    memory : int
        Bytes of address space, beyond what the process has when it starts.
    clock : float, optional
        Wall-clock seconds; ten times `seconds`, and at least a minute, if not given.
    """

    seconds: float = 300.0
    memory: int = 4 * 2**30
    clock: float | None = None

    @property
    def patience(self) -> float:
        """The wall-clock limit in seconds."""
        return max(60.0, _CLOCK * self.seconds) if self.clock is None else self.clock


@dataclass(frozen=True, slots=True)
class ContainedOutcome:
    """The result of one item: a value of plain data (None after a fault), the fault's text, and wall-clock seconds."""

    value: Any
    fault: str
    seconds: float


def run_contained(
    function: str, items: Sequence[Any], limits: Limits | None = None, n_jobs: int = 1
) -> list[ContainedOutcome]:
    """Return the outcome of ``function(item)`` for each item, in order, computed in `n_jobs` separate processes.

    `function` is ``module:function`` of l96bench and returns plain JSON data; items must be picklable. A
    function ``prepare(items)`` of its module, if there is one, is called before files become inaccessible.
    """
    limits = Limits() if limits is None else limits
    n_jobs = max(1, min(n_jobs, len(items)))
    size = -(-len(items) // n_jobs) if items else 1
    parts = [items[first : first + size] for first in range(0, len(items), size)]
    with ThreadPoolExecutor(max_workers=n_jobs) as pool:  # the threads only wait
        try:
            return [each for found in pool.map(lambda part: _all(function, part, limits), parts) for each in found]
        except BaseException:  # an interrupt: the threads would wait for what nobody wants any more
            pool.shutdown(wait=False, cancel_futures=True)
            stop_contained()
            raise


def stop_contained() -> None:
    """End all running processes, and start no new ones for the calls that wait for them."""
    _stops.append(None)
    for process in list(_running):
        stop(process)


def _all(function: str, items: Sequence[Any], limits: Limits) -> list[ContainedOutcome]:
    outcomes: list[ContainedOutcome] = []
    stops = len(_stops)
    while len(outcomes) < len(items) and len(_stops) == stops:
        before = len(outcomes)
        outcomes += _in_one_process(function, items[before:], limits)
    return outcomes


def _in_one_process(function: str, items: Sequence[Any], limits: Limits) -> list[ContainedOutcome]:
    """Return the outcomes of the first items, at least one: up to the item that ends the process."""
    with (
        tempfile.TemporaryFile() as work,
        tempfile.TemporaryFile() as errors,
        tempfile.TemporaryDirectory(prefix="l96bench-", ignore_cleanup_errors=True) as own,
    ):
        pickle.dump((function, list(items), limits), work)
        work.seek(0)
        process = start(_COMMAND, env=_environment(own), cwd=own, stdin=work, stdout=subprocess.PIPE, stderr=errors)
        outcomes: list[ContainedOutcome] = []
        _running.add(process)
        try:
            for line, seconds in _lines(process, limits.patience):
                if line is not None and line == b"ready":
                    continue
                outcomes.append(_outcome(process, line, seconds, limits, errors))
                if line is None or len(outcomes) == len(items):
                    break
        finally:
            stop(process)
            _running.discard(process)
            assert process.stdout is not None
            process.stdout.close()
        return outcomes


def _environment(own: str) -> dict[str, str]:
    """Return what a contained process needs of the environment, and no keys or passwords; `own` is its folder."""
    kept = {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(_KEPT_KINDS)}
    for name in _PATHS & kept.keys():  # which may be relative to the folder of the caller
        kept[name] = os.pathsep.join(os.path.abspath(each) for each in kept[name].split(os.pathsep) if each)
    return kept | {"TMPDIR": own, "TEMP": own, "TMP": own, "ORT_DISABLE_TELEMETRY": "1"}


def _lines(process: subprocess.Popen[bytes], seconds: float) -> Iterator[tuple[bytes | None, float]]:
    """Yield each answer line and its seconds; None at the end if the next line is not there in time."""
    assert process.stdout is not None
    buffer, start, limit = b"", time.monotonic(), _START_SECONDS
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            left = start + limit - time.monotonic()
            chunk = os.read(process.stdout.fileno(), 2**20) if left > 0 and selector.select(left) else b""
            if not chunk or len(buffer) > _MAX_ANSWER:
                yield None, time.monotonic() - start
                return
            *complete, buffer = (buffer + chunk).split(b"\n")
            for line in complete:
                yield line, time.monotonic() - start
                start, limit = time.monotonic(), seconds


def _outcome(
    process: subprocess.Popen[bytes], line: bytes | None, seconds: float, limits: Limits, errors: IO[bytes]
) -> ContainedOutcome:
    if line is not None:
        try:
            value, fault = json.loads(line)
            return ContainedOutcome(value, str(fault), seconds)
        except (ValueError, TypeError, RecursionError):
            return ContainedOutcome(None, "its process gave an answer that cannot be read", seconds)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10.0 if seconds < limits.patience else 0.0)
    if process.returncode is None:
        return ContainedOutcome(None, f"stopped: expected at most {limits.patience:g} s of the clock", seconds)
    if process.returncode == -signal.SIGPROF:
        return ContainedOutcome(None, f"stopped: expected at most {limits.seconds:g} s of processor time", seconds)
    errors.seek(max(0, errors.seek(0, os.SEEK_END) - 500))
    last = errors.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
    how = f"signal {-process.returncode}" if process.returncode < 0 else f"exit code {process.returncode}"
    memory = f"it may have needed more than {limits.memory / 2**30:.1f} GiB of memory"
    return ContainedOutcome(None, f"its process died ({how}; {memory}) {last}".strip(), seconds)


# What runs in the process.


def serve(lifeline: int) -> None:
    """Read the work from standard input, do it, and answer one line an item on the original standard output."""
    leave_network()
    follow(lifeline)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not be taken for an answer
    name, items, limits = pickle.load(sys.stdin.buffer)
    module, _, attribute = name.partition(":")
    found = importlib.import_module(module)
    function = getattr(found, attribute)
    if hasattr(found, "prepare"):
        with contextlib.suppress(Exception):  # whatever it is, the item will say so
            found.prepare(items)
    leave_files([*read_by_libraries(), data_folder(), cache_root()], Path.cwd())
    keep_no_kernels()
    _limit(limits, len(items))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    answers.write(b"ready\n")
    answers.flush()
    for item in items:
        value, fault = None, ""
        signal.setitimer(signal.ITIMER_PROF, limits.seconds)  # its signal ends the process
        try:
            value = function(item)
        except L96BenchError as error:
            fault = str(error)
        except MemoryError:
            fault = f"it needs more than {limits.memory / 2**30:.1f} GiB of memory"
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"[:1000]
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0.0)
        answers.write(json.dumps([value, fault]).encode() + b"\n")
        answers.flush()


def _limit(limits: Limits, n_items: int) -> None:
    """Limit memory, processor time and file size of this process where the system can, and disable core dumps."""
    try:
        import resource
    except ImportError:  # not on this system: the clock is what is left
        return
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
    bounds = {
        resource.RLIMIT_AS: pages * resource.getpagesize() + limits.memory,
        resource.RLIMIT_CPU: int(limits.seconds * n_items) + 60,
        resource.RLIMIT_FSIZE: 2**30,
        resource.RLIMIT_CORE: 0,
    }
    for kind, bound in bounds.items():
        hard = resource.getrlimit(kind)[1]
        wanted = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (wanted, wanted))

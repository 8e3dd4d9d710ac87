"""Let processes work on items, so that an item that ends its process, crashes it or hangs harms no other."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from l96bench.processes import GRACE, descendants, end_of, follow, kill_each, start, stop

__all__ = ["in_kept_process", "in_processes", "serve", "time_limit"]

_LOOK = 0.2
"""Seconds between looks at processes that say nothing."""
_ITEMS = 50
"""Items after which a process is replaced, because some libraries never give back their memory."""


class _Worker:
    """A process that works on one item after the other, and what it is doing."""

    def __init__(self, owner: Any) -> None:
        ours, theirs = multiprocessing.Pipe()
        code = f"from l96bench.workers import serve; serve({theirs.fileno()}, {{lifeline}})"
        with theirs:
            self.process = start(code, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        self.connection, self.owner = ours, owner
        self.index: int | None = None
        self.n_items = 0
        self.stage, self.seconds, self.until = "", 0.0, float("inf")
        with suppress(OSError):
            self.connection.send_bytes(pickle.dumps(sys.path))

    @property
    def busy(self) -> bool:
        """Whether it works on an item."""
        return self.index is not None

    def give(self, index: int, work: bytes) -> None:
        """Begin an item; if the process is gone, `look` says so."""
        self.index, self.n_items, self.until = index, self.n_items + 1, float("inf")
        with suppress(OSError):
            self.connection.send_bytes(work)

    def look(self) -> tuple[Any, str] | None:
        """Return the value and the fault of the item, or None while it is at work."""
        try:
            while self.connection.poll():
                message = pickle.loads(self.connection.recv_bytes())
                if message[0] == "done":
                    return message[1:]
                self.stage, self.seconds = message[1:]
                self.until = time.monotonic() + self.seconds
        except (EOFError, OSError):
            return None, self._death()
        except Exception as error:
            return None, f"its answer cannot be read ({type(error).__name__}: {error})"
        if self.process.poll() is not None:
            return (None, self._death()) if not self.connection.poll() else self.look()
        if time.monotonic() > self.until:
            return None, f"stopped: expected {self.stage} to end within {self.seconds:g} s, it went on"
        return None

    def _death(self) -> str:
        """Say how the process has ended."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE)
        code = self.process.returncode
        return "its process closed its connection" if code is None else end_of(code)

    def dismiss(self) -> None:
        """Let the process end in order if it waits for work; `close` follows."""
        self._started = descendants(self.process.pid)
        self.connection.close()

    def close(self) -> None:
        """End the process, which was dismissed, and what it has started."""
        if not self.busy:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(GRACE)
        stop(self.process)
        kill_each(self._started)


def in_processes(
    function: Callable[[Any], Any],
    items: Sequence[Any],
    n_jobs: int,
    owner: Callable[[Any], Any] = lambda item: None,
) -> Generator[tuple[int, Any, str], None, None]:
    """Yield the index, value and fault of each item as it is finished; `function` must not raise.

    A process that ends, or that exceeds a `time_limit`, is the fault of its item alone; another one does the rest.
    Items with different owners do not share a process.
    """
    import cloudpickle

    left, workers = deque(enumerate(items)), list[_Worker]()
    try:
        while left or any(worker.busy for worker in workers):
            while left and sum(worker.busy for worker in workers) < n_jobs:
                index, item = left.popleft()
                try:
                    work = cloudpickle.dumps((function, item))
                except Exception as error:
                    yield index, None, f"it cannot be sent to a process ({type(error).__name__}: {error})"
                    continue
                _worker_for(owner(item), workers, n_jobs).give(index, work)
            wait([worker.connection for worker in workers if worker.busy], _LOOK)
            for worker in [each for each in workers if each.busy]:
                number, found = worker.index, _finished(worker, workers)
                if found is not None:
                    assert number is not None
                    yield number, *found
    finally:
        for worker in workers:
            worker.dismiss()
        for worker in workers:
            worker.close()


_kept: list[_Worker] = []
"""The process that has done the last item of `in_kept_process`."""


def in_kept_process(function: Callable[[Any], Any], item: Any, owner: Any = None) -> tuple[Any, str]:
    """Return the value and the fault of one item, as `in_processes` does.

    Its process is kept for the next item of the same owner, and ends with this one. One thread may call this at a time.
    """
    import cloudpickle

    worker = _worker_for(owner, _kept, 1)
    worker.give(0, cloudpickle.dumps((function, item)))
    try:
        while (found := _finished(worker, _kept)) is None:
            wait([worker.connection], _LOOK)
    finally:
        if worker.busy:  # interrupted
            _end(worker, _kept)
    return found


def _finished(worker: _Worker, workers: list[_Worker]) -> tuple[Any, str] | None:
    """Return what `look` of a busy process returns, and end the process if there is a fault."""
    found = worker.look()
    if found is not None:
        worker.index = None
        if found[1]:  # it has ended, or is to be ended
            _end(worker, workers)
    return found


def _end(worker: _Worker, workers: list[_Worker]) -> None:
    workers.remove(worker)
    stop(worker.process)
    worker.connection.close()


def _worker_for(owner: Any, workers: list[_Worker], n_jobs: int) -> _Worker:
    """Return an idle process of this owner, or start one in place of another's."""
    idle = [each for each in workers if not each.busy]
    for each in idle:
        if each.owner == owner and each.n_items < _ITEMS and each.process.poll() is None:
            return each
    if len(workers) == n_jobs:
        workers.remove(idle[0])
        idle[0].dismiss()
        idle[0].close()
    workers.append(_Worker(owner))
    return workers[-1]


# What runs in the process.

_waiting: list[Callable[[str, float], None]] = []
"""What tells the process that waits, if any, what is being done and how many seconds it may take."""


@contextmanager
def time_limit(stage: str, seconds: float | None) -> Iterator[None]:
    """Let `in_processes` end this process if the context is not left in so many seconds of wall-clock time.

    `stage` says what is being done, such as ``"training"``. Without a limit, and in other processes, nothing happens.
    """
    for tell in _waiting:
        tell(stage, float("inf") if seconds is None else seconds)
    try:
        yield
    finally:
        for tell in _waiting:
            tell("", float("inf"))


def serve(channel: int, lifeline: int) -> None:
    """Work on the items that come through a connection until it is closed."""
    follow(lifeline)
    os.set_inheritable(channel, False)
    connection, own = Connection(channel), os.getpid()
    multiprocessing.current_process().name = "l96bench worker"
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")

    def send(*message: Any) -> None:
        if os.getpid() != own:  # a process that an item has forked: its copy of the work is not wanted
            os._exit(0)
        connection.send_bytes(message_of(message))

    def message_of(message: Any) -> bytes:
        import cloudpickle

        try:
            return bytes(cloudpickle.dumps(message))
        except Exception as error:
            return pickle.dumps(("done", None, f"its result cannot be sent ({type(error).__name__}: {error})"))

    _waiting.append(lambda stage, seconds: send("limit", stage, seconds))
    with suppress(EOFError, ConnectionError):
        sys.path[:] = pickle.loads(connection.recv_bytes())
        while True:
            work = connection.recv_bytes()
            try:
                function, item = pickle.loads(work)
                value, fault = function(item), ""
            except BaseException as error:
                value, fault = None, f"{type(error).__name__}: {error}"
            send("done", value, fault)

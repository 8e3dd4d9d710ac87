"""Start processes that end with this one, end them with all that they have started, and let them work on items.

Every process gets a session of its own, and ends itself when the process that started it is gone. `ended_by_signals`
ends them all when the program is interrupted.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import FrameType
from typing import Any

__all__ = ["ended_by_signals", "follow", "in_processes", "start", "stop", "stop_all", "time_limit", "undisturbed"]

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_GRACE = 5.0
"""Seconds after a signal, or after the end of the work, in which a process must have ended by itself."""
_LOOK = 0.2
"""Seconds between looks at processes that say nothing."""
_ITEMS = 50
"""Items after which a process is replaced, because some libraries never give back their memory."""
_running: set[subprocess.Popen[bytes]] = set()
"""The running processes, which `stop_all` ends."""


# Starting and stopping.


def start(code: str, *, pass_fds: Iterable[int] = (), **options: Any) -> subprocess.Popen[bytes]:
    """Start Python code in a session of its own; it ends when this process does, as soon as it calls `follow`.

    ``{lifeline}`` in the code stands for the argument of `follow`. The package is on its path, and all libraries have
    one thread. `options` are those of `subprocess.Popen`. Raises KeyboardInterrupt if the program is ending.
    """
    if _Signals.received:  # a thread that has not noticed yet
        raise KeyboardInterrupt
    root = str(Path(__file__).resolve().parents[1])
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    lifeline = _lifeline()
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", code.replace("{lifeline}", str(lifeline))],
        start_new_session=True,
        pass_fds=(*pass_fds, lifeline),
        env=dict(os.environ) | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        **options,
    )
    _running.add(process)
    return process


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it has started, and wait until it is gone."""
    _kill(process)
    process.wait()
    _running.discard(process)


def stop_all() -> None:
    """End all processes that were started here, directly or indirectly."""
    for process in list(_running):
        _kill(process)
    _kill_each(_descendants(os.getpid()))


def _kill(process: subprocess.Popen[bytes]) -> None:
    others = [] if process.returncode is not None else _descendants(process.pid)  # some have groups of their own
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    _kill_each(others)


def _kill_each(pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _descendants(pid: int) -> list[int]:
    """Return the processes that a process has started, directly or indirectly, where the system tells (/proc)."""
    children: dict[int, list[int]] = {}
    for each in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            parent = int(each.read_text(errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(each.parent.name))
    found: list[int] = []
    left = [pid]
    while left:
        left += (own := children.get(left.pop(), []))
        found += own
    return found


_pipes: dict[int, tuple[int, int]] = {}
"""By the process that made them: the ends of a pipe that nobody writes to. It is closed when that process ends."""


def _lifeline() -> int:
    if os.getpid() not in _pipes:
        _pipes[os.getpid()] = os.pipe()
    return _pipes[os.getpid()][0]


def follow(lifeline: int) -> None:
    """End this process and its group as soon as the process that started it is gone."""

    def watch() -> None:
        with suppress(OSError):
            os.read(lifeline, 1)
        os.killpg(0, signal.SIGKILL)

    os.set_inheritable(lifeline, False)
    threading.Thread(target=watch, daemon=True).start()


# Signals.


class _Signals:
    """The state of the program's signals."""

    received: int = 0
    """The first signal that asked the program to end."""
    undisturbed: int = 0
    """How many contexts must not be interrupted."""


@contextmanager
def ended_by_signals() -> Iterator[Callable[[], int]]:
    """Within this context, SIGINT, SIGTERM and SIGHUP end all processes and raise KeyboardInterrupt.

    The value returns the exit status of a program that was interrupted, 128 and the number of the signal. If the
    interrupt is not heard within seconds, or a second signal comes, the program ends at once. Signals that are
    ignored, as by ``nohup``, stay so. Outside of the main thread nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: 128 + signal.SIGINT
        return
    done, (reader, writer) = threading.Event(), os.pipe()
    os.set_blocking(writer, False)
    numbers = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, _interrupt) for number in numbers}
    waker = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_end_late, args=(reader, numbers, done), daemon=True).start()
    try:
        yield lambda: 128 + (_Signals.received or signal.SIGINT)
    finally:
        done.set()
        signal.set_wakeup_fd(waker)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(writer)
        _Signals.received = 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End all processes, and interrupt this one."""
    if _Signals.received and not _Signals.undisturbed:
        _exit(_Signals.received)
    _Signals.received = _Signals.received or number
    if not _Signals.undisturbed:
        stop_all()
        raise KeyboardInterrupt


def _end_late(reader: int, numbers: Sequence[int], done: threading.Event) -> None:
    """End the program a while after a signal, wherever its main thread hangs."""
    while came := os.read(reader, 1):
        if came[0] in numbers and not done.wait(_GRACE):
            _exit(came[0])
    os.close(reader)


def _exit(number: int) -> None:
    stop_all()
    os._exit(128 + number)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Finish what is inside the context before a signal interrupts the program; it must be short."""
    _Signals.undisturbed += 1
    try:
        yield
    finally:
        _Signals.undisturbed -= 1
        if _Signals.received and not _Signals.undisturbed:
            stop_all()
            raise KeyboardInterrupt


# Working on items.


class _Worker:
    """A process that works on one item after the other, and what it is doing."""

    def __init__(self, owner: Any) -> None:
        ours, theirs = multiprocessing.Pipe()
        code = f"from l96bench.processes import serve; serve({theirs.fileno()}, {{lifeline}})"
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
            self.process.wait(_GRACE)
        code = self.process.returncode
        if code is None:
            return "its process closed its connection"
        if code >= 0:
            return f"it ended its process (exit code {code})"
        name = signal.Signals(-code).name if -code in {*signal.Signals} else f"signal {-code}"
        memory = "; was there enough memory?" if name == "SIGKILL" else ""
        return f"its process was ended by {name}{memory}"

    def dismiss(self) -> None:
        """Let the process end in order if it waits for work; `close` follows."""
        self._started = _descendants(self.process.pid)
        self.connection.close()

    def close(self) -> None:
        """End the process, which was dismissed, and what it has started."""
        if not self.busy:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_GRACE)
        stop(self.process)
        _kill_each(self._started)


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
                found = worker.look()
                if found is not None:
                    assert worker.index is not None
                    index, worker.index = worker.index, None
                    if found[1]:  # it has ended, or is to be ended
                        workers.remove(worker)
                        stop(worker.process)
                        worker.connection.close()
                    yield index, *found
    finally:
        for worker in workers:
            worker.dismiss()
        for worker in workers:
            worker.close()


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

"""Start processes that end with this one, and end them with all that they have started.

Every process gets a session of its own, and ends itself when the process that started it is gone. `ended_by_signals`
ends them all when the program is interrupted.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

__all__ = [
    "GRACE",
    "descendants",
    "end_of",
    "ended_by_signals",
    "fault_of",
    "follow",
    "kill_each",
    "start",
    "stop",
    "stop_all",
    "undisturbed",
]

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
GRACE = 5.0
"""Seconds after a signal, or after the end of the work, in which a process must have ended by itself."""
_SOUND = 113
"""The exit code of a fork that did not end itself."""
_running: set[subprocess.Popen[bytes]] = set()
"""The running processes, which `stop_all` ends."""


# Starting and stopping.


def start(
    code: str, *, pass_fds: Iterable[int] = (), env: Mapping[str, str] | None = None, **options: Any
) -> subprocess.Popen[bytes]:
    """Start Python code in a session of its own; it ends when this process does, as soon as it calls `follow`.

    ``{lifeline}`` in the code stands for the argument of `follow`. The package is on its path, and all libraries have
    one thread. `env` is this process's if not given; `options` are those of `subprocess.Popen`. Raises
    KeyboardInterrupt if the program is ending.
    """
    if _Signals.received:  # a thread that has not noticed yet
        raise KeyboardInterrupt
    root = str(Path(__file__).resolve().parents[1])
    env = os.environ if env is None else env
    paths = [root, *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    lifeline = _lifeline()
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", code.replace("{lifeline}", str(lifeline))],
        start_new_session=True,
        pass_fds=(*pass_fds, lifeline),
        env={**env, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
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
    kill_each(pid for pid in descendants(os.getpid()) if not _tracks(pid))


def _tracks(pid: int) -> bool:
    """Return whether a process is Python's tracker of resources, which ends by itself and complains if killed."""
    try:
        return b"resource_tracker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _kill(process: subprocess.Popen[bytes]) -> None:
    others = [] if process.returncode is not None else descendants(process.pid)  # some have groups of their own
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    kill_each(others)


def kill_each(pids: Iterable[int]) -> None:
    """End these processes, as far as they are there."""
    for pid in pids:
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
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
        if came[0] in numbers and not done.wait(GRACE):
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


# Trying.


def fault_of(work: Callable[[], object], seconds: float) -> str:
    """Return how work would end this process, or that it hangs; empty if it does neither, or only raises.

    It is tried in a fork, silently, so that its effects on files come twice. Only on Linux: elsewhere nothing is tried.
    """
    if sys.platform != "linux":
        return ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # this process has a thread, which only waits
        pid = os.fork()
    if not pid:
        _try(work)
    until = time.monotonic() + seconds
    while not (ended := os.waitpid(pid, os.WNOHANG))[0] and time.monotonic() < until:
        time.sleep(0.01)
    others = descendants(pid)
    with suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    kill_each(others)
    if not ended[0]:
        os.waitpid(pid, 0)
        return f"it was stopped: expected it to end within {seconds:g} s, it went on"
    code = os.waitstatus_to_exitcode(ended[1])
    return "" if code == _SOUND else end_of(code)


def _try(work: Callable[[], object]) -> None:
    """Do work in a fork, and end it."""
    try:
        os.setsid()
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(nothing, standard)
        work()
    finally:
        os._exit(_SOUND)


def end_of(code: int) -> str:
    """Say how a process has ended, by its return code as `subprocess` has it."""
    if code >= 0:
        return f"it ended its process (exit code {code})"
    name = signal.Signals(-code).name if -code in {*signal.Signals} else f"signal {-code}"
    memory = "; was there enough memory?" if name == "SIGKILL" else ""
    return f"its process was ended by {name}{memory}"

"""Kill a piece of work at its n-th change of a file, for every n."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

EVENTS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree", "os.truncate", "os.link"}


def kills(work: Callable[[], object], folder: Path) -> Iterator[int]:
    """Yield 0, 1, ... after `work` was killed, by KILL, before so many changes of files below a folder.

    It runs in a fork of this process, and begins again each time; the last kill is the one that no longer came.
    """
    for n in count():
        pid = os.fork()
        if not pid:
            _kill_before(n, str(folder))
            try:
                work()
            finally:
                os._exit(0)
        _, status = os.waitpid(pid, 0)
        assert os.WIFEXITED(status) or os.WTERMSIG(status) == signal.SIGKILL
        yield n
        if os.WIFEXITED(status):
            return


def _kill_before(n: int, folder: str) -> None:
    left = [n]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        paths = [os.path.abspath(each) for each in arguments[:2] if isinstance(each, str | os.PathLike)]
        if event not in EVENTS or not any(path.startswith(folder) for path in paths):
            return
        if event == "open" and not isinstance(arguments[2], int):
            return
        if event == "open" and not arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):  # type: ignore[operator]
            return
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1

    sys.addaudithook(hook)

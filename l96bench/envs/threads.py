"""Threads that divide the systems of a batch among them."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

__all__ = ["Threads"]


class Threads:
    """Threads that divide a range among them; they start when they are first needed.

    A copy, also one by pickle, and a forked process, which has none of its parent's threads, start their own.

    Parameters
    ----------
    number : int
        With 1 the calling thread does all the work.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self._pool: ThreadPoolExecutor | None = None
        self._process: int | None = None

    def __reduce__(self) -> tuple[type[Threads], tuple[int]]:
        return Threads, (self.number,)

    def over(self, n: int, work: Callable[[int, int], Any]) -> None:
        """Call ``work(first, last)`` for ranges that together are ``range(n)``, one a thread."""
        if self.number == 1:
            work(0, n)
            return
        if self._pool is None or self._process != os.getpid():
            self._pool = ThreadPoolExecutor(self.number, thread_name_prefix="l96bench")
            self._process = os.getpid()
        ends = [n * i // self.number for i in range(self.number + 1)]
        list(self._pool.map(work, ends[:-1], ends[1:]))

    def close(self) -> None:
        """End the threads of this process; later work starts new ones."""
        if self._pool is not None and self._process == os.getpid():
            self._pool.shutdown()
        self._pool = None

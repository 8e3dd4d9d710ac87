"""Cut a process off from the network, from other processes and from files that it does not need.

What the kernel offers is used: a network of its own without any device (user namespaces of Linux), and Landlock (Linux
5.13; TCP from 6.7, signals from 6.12), which also holds for compiled code. Where one of them is missing, an audit hook
of Python does the same for what Python code asks for, and no more.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["leave_files", "leave_network", "read_by_libraries"]

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_NO_NEW_PRIVS = 38
_CREATE, _ADD, _RESTRICT = 444, 445, 446
"""The system calls of Landlock, on every processor."""
_READ_FILE, _READ_DIR, _WRITE_FILE, _TRUNCATE, _EXECUTE = 1 << 2, 1 << 3, 1 << 1, 1 << 14, 1 << 0
_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
"""How many rights on files each version of Landlock knows; later ones know 16."""
_SYSTEM = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/etc/ld.so.cache"),
    *("/etc/localtime", "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/sys/devices/system"),
    *("/sys/fs/cgroup", "/dev/urandom", "/dev/random", "/dev/zero", "/dev/null"),
)
"""What the C library, Python, numba and onnxruntime read."""
_PROCESSES = frozenset({"os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn"})
_CHANGES = frozenset(
    {"os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate"}
)


def leave_network(kernel: bool = True) -> bool:
    """Leave the network, and return whether the kernel sees to it; to be called before any thread is started.

    Without `kernel` only the audit hook is used.
    """
    user, group = os.getuid(), os.getgid()
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        alone = kernel and any(libc.unshare(flags) == 0 for flags in (_CLONE_NEWUSER | _CLONE_NEWNET, _CLONE_NEWNET))
    except (AttributeError, OSError):  # not on this system
        alone = False
    if not alone:
        sys.addaudithook(_no_network)
        return False
    maps = {"setgroups": "deny", "uid_map": f"{user} {user} 1", "gid_map": f"{group} {group} 1"}
    for name, text in maps.items():  # the user keeps the name
        with contextlib.suppress(OSError):
            Path("/proc/self", name).write_text(text)
    return True


def leave_files(readable: Iterable[Path], own: Path, kernel: bool = True) -> bool:
    """Leave all files but these to read and those in the folder `own`, and start no programs.

    Return whether the kernel sees to it; threads that run already are then not affected. Without `kernel` only the
    audit hook is used.
    """
    allowed = [each for each in {path.resolve() for path in (*readable, *map(Path, _SYSTEM))} if each.exists()]
    try:
        if kernel and _restrict(allowed, own.resolve()):
            return True
    except (AttributeError, OSError):  # not on this system
        pass
    sys.addaudithook(_Files(allowed, own.resolve()))
    return False


def read_by_libraries() -> list[Path]:
    """Return the folders of Python, of this package and of every package on its path or already imported.

    The user's folder and those around it are left out, whatever the path says.
    """
    home = Path.home().resolve()
    packages = (getattr(module, "__file__", None) for name, module in list(sys.modules.items()) if "." not in name)
    folders = [*sys.path, sys.prefix, sys.base_prefix, *(os.path.dirname(file) for file in packages if file)]
    found = {Path(folder).resolve() for folder in folders if folder}
    return sorted(each for each in found if not home.is_relative_to(each))


def _restrict(allowed: Iterable[Path], own: Path) -> bool:
    """Apply the rules by Landlock; False if the kernel does not have it."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    every = (1 << _RIGHTS.get(version, 16)) - 1
    tcp, signals = (3 if version >= 4 else 0), (3 if version >= 6 else 0)
    wanted = (ctypes.c_uint64 * 3)(every, tcp, signals)
    rules = libc.syscall(_CREATE, wanted, ctypes.c_size_t(8 if version < 4 else 16 if version < 6 else 24), 0)
    if rules < 0:
        return False
    try:
        for path in allowed:
            writes = (_WRITE_FILE | _TRUNCATE) if path == Path("/dev/null") else 0
            _allow(libc, rules, path, (_READ_FILE | _READ_DIR | writes) & every)
        _allow(libc, rules, own, every & ~_EXECUTE)
        return not libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) and not libc.syscall(_RESTRICT, rules, 0)
    finally:
        os.close(rules)


def _allow(libc: Any, rules: int, path: Path, rights: int) -> None:
    """Add a rule: these rights on a file, or on a folder and all that is in it."""
    with contextlib.suppress(OSError):
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISDIR(os.fstat(place).st_mode):
                rights &= ~_READ_DIR
            rule = rights.to_bytes(8, sys.byteorder) + place.to_bytes(4, sys.byteorder)
            libc.syscall(_ADD, rules, 1, rule, 0)
        finally:
            os.close(place)


# Where the kernel does not help.


def _no_network(event: str, arguments: tuple[Any, ...]) -> None:
    if event.startswith("socket."):
        raise PermissionError("a contained process has no network")


class _Files:
    """An audit hook that refuses to open or change files but those that are allowed, and to start programs."""

    def __init__(self, allowed: Iterable[Path], own: Path) -> None:
        self._allowed, self._own = tuple(map(str, allowed)), str(own)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _PROCESSES or event.startswith("subprocess."):
            raise PermissionError("a contained process starts no programs")
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, str | bytes | os.PathLike):
                self._check(path, bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)))
        elif event in _CHANGES:
            for path in arguments[:2]:
                if isinstance(path, str | bytes | os.PathLike):
                    self._check(path, True)
        elif event in ("os.listdir", "os.scandir") and isinstance(arguments[0], str | bytes | os.PathLike):
            self._check(arguments[0], False)

    def _check(self, path: str | bytes | os.PathLike[Any], writes: bool) -> None:
        real = os.path.realpath(os.fsdecode(path))
        places = (self._own,) if writes and real != os.devnull else (self._own, *self._allowed)
        if not any(real == place or real.startswith(place + os.sep) for place in places):
            raise PermissionError(f"a contained process has no access to {real}")

"""Compile Numba kernels in strict IEEE arithmetic, and cache them on disk for the next process.

Numba's own cache looks only at the file of a kernel, not at the kernels and constants that it uses. Here a cached
kernel is named by a digest of all that it is made from: its bytecode, its options, and the kernels and constants that
it reaches in any file. A change gives another name, and the old file is removed.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numba
import numpy as np
from numba.core.caching import (
    CompileResultCacheImpl,
    FunctionCache,
    IndexDataCacheFile,
    NullCache,
    UserWideCacheLocator,
    _CacheLocator,
)
from numba.core.dispatcher import Dispatcher
from numba.extending import is_jitted
from numba.misc.appdirs import AppDirs

__all__ = ["cache_root", "inline_kernel", "keep_no_kernels", "kernel"]


def kernel(function: Callable[..., Any], **options: Any) -> Any:
    """Compile a function when it is called, and cache the result on disk; `options` are those of `numba.njit`.

    Results are part of the benchmark to the last bit: there is no ``fastmath``, and division follows IEEE 754. The GIL
    is released. The function may use only NumPy, other kernels, and constants.

    Examples
    --------
    >>> from l96bench.jit import kernel
    >>> @kernel
    ... def total(x):
    ...     s = 0.0
    ...     for value in x:
    ...         s += value
    ...     return s
    >>> total((1.0, 2.0))
    3.0
    """
    compiled: Any = numba.njit(nogil=True, error_model="numpy", **options)(function)
    if is_jitted(compiled):  # a plain function where NUMBA_DISABLE_JIT is set
        compiled._cache = _KernelCache(compiled)
    return compiled


def inline_kernel(function: Callable[..., Any]) -> Any:
    """Compile as `kernel` does, and inline the function at each call."""
    return kernel(function, inline="always")


# The digest of what a kernel is made from.


def _digest(dispatcher: Any) -> str:
    """Return the SHA-256 of everything that is compiled into a kernel."""
    digest, left, seen = hashlib.sha256(), [dispatcher], {dispatcher}
    while left:
        found = left.pop()
        function = found.py_func
        digest.update(f"{function.__qualname__}{function.__defaults__}{sorted(found.targetoptions.items())}".encode())
        codes = list(_codes(function.__code__))
        for code in codes:
            digest.update(_meaning(code))
        for name, value in _used(function, {name for code in codes for name in code.co_names}):
            digest.update(f"{name} {_text(value)}".encode())
            inner = {each: None for each in _parts(value) if isinstance(each, Dispatcher) and each not in seen}
            left += inner
            seen |= inner.keys()
    return digest.hexdigest()


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield a code object and those of its inner functions."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _meaning(code: CodeType) -> bytes:
    """Return what a code object does, without its lines and comments, and without its inner functions."""
    constants = [each for each in code.co_consts if not isinstance(each, CodeType)]
    return code.co_code + repr((constants, code.co_names, code.co_varnames)).encode()


def _used(function: Any, names: set[str]) -> Iterator[tuple[str, Any]]:
    """Yield the global and enclosed variables of a function, and what it may use of the modules among them."""
    values = {name: function.__globals__[name] for name in names if name in function.__globals__}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        values[name] = cell.cell_contents
    left = sorted(values.items())
    seen = set()
    while left:
        name, value = left.pop(0)
        yield name, value
        if isinstance(value, ModuleType) and value not in seen:
            seen.add(value)
            left += [(f"{name}.{each}", getattr(value, each)) for each in sorted(names) if hasattr(value, each)]


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, tuple):
        for each in value:
            yield from _parts(each)
    else:
        yield value


def _text(value: Any) -> str:
    """Return a text of a constant that is equal in all processes, and differs between constants."""
    if isinstance(value, tuple):
        return f"({', '.join(map(_text, value))})"
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{value.shape}{hashlib.sha256(value.tobytes()).hexdigest()}"
    if isinstance(value, FunctionType):  # a kernel cannot call it but by an implementation in the file that it is of
        return f"function {value.__name__} {_file_digest(value.__code__.co_filename)}"
    if isinstance(value, bool | int | float | complex | str | bytes | np.generic | None):
        return f"{type(value).__name__} {value!r}"
    return f"{type(value).__name__} {getattr(value, '__name__', '')}"


def _file_digest(path: str) -> str:
    """Return the SHA-256 of what a file defines, or nothing if it cannot be read."""
    try:
        code = compile(Path(path).read_bytes(), path, "exec")
    except OSError:
        return ""
    return hashlib.sha256(b"".join(map(_meaning, _codes(code)))).hexdigest()


# Where kernels are kept.


class _KernelCache(NullCache):
    """The cached results of one kernel, in the first folder that has them or can be written.

    The folders are those of Numba: ``NUMBA_CACHE_DIR`` alone, or ``__pycache__`` beside the source and the user's cache
    folder. Nothing is accessed before the kernel is called, when all that it uses is defined.
    """

    def __init__(self, dispatcher: Any) -> None:
        self._dispatcher = dispatcher

    @property
    def cache_path(self) -> str:
        return next((str(place.cache_path) for place in self._places), "")

    @cached_property
    def _places(self) -> list[FunctionCache]:
        """Return one of Numba's caches for each folder."""
        function, digest = self._dispatcher.py_func, _digest(self._dispatcher)
        return [_Place(function, folder, digest) for folder in _folders(function.__code__.co_filename)]

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        for place in self._places:
            found = None
            try:
                found = place.load_overload(sig, target_context)
            except Exception:  # a damaged file makes pickle raise almost anything; the kernel is compiled again
                with suppress(OSError):
                    place.flush()
            if found is not None:
                return found
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        for place in self._places:
            try:
                place.save_overload(sig, data)
            except Exception:  # it cannot be written, or a damaged index cannot be mended
                continue
            return
        if self._places:
            _say_not_kept()

    def flush(self) -> None:
        for place in self._places:
            place.flush()


class _Locator(UserWideCacheLocator):
    """A Numba cache locator for one folder and digest."""

    def __init__(self, py_file: str, folder: Path, digest: str) -> None:
        self._py_file, self._cache_path, self._digest = py_file, str(folder), digest

    def get_source_stamp(self) -> str:
        return self._digest

    def get_disambiguator(self) -> str:
        return self._digest[:16]


class _Implementation(CompileResultCacheImpl):
    """Numba's implementation of a cache, with a given locator."""

    def __init__(self, function: Any, locator: _Locator) -> None:
        self._lineno, self._locator = function.__code__.co_firstlineno, locator
        self._name = f"{Path(locator._py_file).stem}.{function.__qualname__}".replace("<", "").replace(">", "")
        self._filename_base = self.get_filename_base(self._name, getattr(sys, "abiflags", ""))


class _CheckedFiles(IndexDataCacheFile):
    """Numba's cache files with the SHA-256 of their content before it: a changed byte raises ValueError."""

    def _dump(self, obj: Any) -> bytes:
        data = super()._dump(obj)
        return hashlib.sha256(data).digest() + data

    def _load_index(self) -> dict[Any, str]:
        try:
            with open(self._index_path, "rb") as file:
                version, data = pickle.load(file), file.read()
        except FileNotFoundError:
            return {}
        if version != self._version:
            return {}
        stamp, overloads = _loads(data)
        return overloads if stamp == self._source_stamp else {}

    def _load_data(self, name: str) -> Any:
        return _loads(Path(self._data_path(name)).read_bytes())


def _loads(data: bytes) -> Any:
    digest, data = data[:32], data[32:]
    if hashlib.sha256(data).digest() != digest:
        raise ValueError("a damaged file")
    return pickle.loads(data)


class _Place(FunctionCache):
    """Numba's cache of a kernel in one folder; saving a kernel removes its older versions."""

    def __init__(self, function: Any, folder: Path, digest: str) -> None:
        locator = _Locator(function.__code__.co_filename, folder, digest)
        self._impl_class = lambda _: _Implementation(function, locator)
        super().__init__(function)
        self._cache_file = _CheckedFiles(self._cache_path, self._impl.filename_base, digest)

    def save_overload(self, sig: Any, data: Any) -> None:
        super().save_overload(sig, data)
        base = self._impl.filename_base
        python = base.rpartition(".py")[2]
        for old in Path(self.cache_path).glob(f"{self._impl._name}-*.py{python}.*nb[ic]"):
            if not old.name.startswith(base):
                old.unlink(missing_ok=True)  # another process that used it compiles again


def _folders(file: str) -> list[Path]:
    """Return the cache folders of a source file's kernels, the best one first."""
    if not Path(file).exists():  # typed at a prompt
        return []
    below = UserWideCacheLocator.get_suitable_cache_subpath(file)
    if numba.config.CACHE_DIR:
        return [cache_root() / below]
    return [Path(file).parent / "__pycache__", cache_root() / below]


def cache_root() -> Path:
    """Return the folder in which kernels are kept that cannot be kept beside their source."""
    return Path(numba.config.CACHE_DIR or AppDirs(appname="numba", appauthor=False).user_cache_dir)


def keep_no_kernels() -> None:
    """Load kernels, those of other libraries too, from caches that need not be writable, and keep no new ones."""
    _CacheLocator.ensure_cache_path = lambda self: None
    FunctionCache.save_overload = lambda self, sig, data: None


@cache
def _say_not_kept() -> None:
    """Warn once, in a process that a user started, that kernels are not cached."""
    if multiprocessing.current_process().name == "MainProcess":
        print(
            "l96bench: every process compiles its kernels anew, which takes up to a minute, because neither the "
            "package's folder nor the user's cache folder can be written; set NUMBA_CACHE_DIR to a folder that can",
            file=sys.stderr,
        )

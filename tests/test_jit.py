"""Kernels: what is kept of them belongs to their sources, wherever it can be written."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numba
import pytest

import l96bench
from l96bench.jit import kernel

PACKAGE = Path(l96bench.__file__).parent
FILES = {
    "constants.py": "SCALE = 3.0\nTABLE = ((1.0, 2.0), (3.0, 4.0))\n",
    "lowered.py": """
from numba.core import types
from numba.extending import lower_builtin, type_callable

def plus(x):
    return x + 1.0

@type_callable(plus)
def typed(_):
    return lambda x: types.float64

@lower_builtin(plus, types.Float)
def lowered(context, builder, signature, arguments):
    return builder.fadd(arguments[0], arguments[0].type(1.0))
""",
    "inner.py": """
import numpy as np
import constants
from constants import TABLE
from lowered import plus
from l96bench.jit import inline_kernel, kernel

ARRAY = np.array([1.0, 2.0])

@inline_kernel
def inlined(x):
    return x + 5.0

@kernel
def deepest(x):
    return plus(inlined(x)) * constants.SCALE + TABLE[1][0] + ARRAY[1]

def made(power):
    @kernel
    def raised(x):
        return x ** power
    return raised

cube = made(3.0)
""",
    "outer.py": """
import inner
from l96bench.jit import kernel

@kernel
def outer(x):
    \"\"\"Call the others.\"\"\"
    return inner.deepest(x) + inner.cube(x)
""",
}


def run(folder: Path) -> tuple[float, int, int]:
    """The value of the outer kernel in freshly imported modules, and how often it was found and compiled."""
    for name in FILES:
        sys.modules.pop(Path(name).stem, None)
    importlib.invalidate_caches()
    outer = importlib.import_module("outer").outer
    value, stats = outer(2.0), outer.stats
    return value, sum(stats.cache_hits.values()), sum(stats.cache_misses.values())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    yield tmp_path
    for name in FILES:
        sys.modules.pop(Path(name).stem, None)


def expected(
    scale: float = 3.0,
    table: float = 3.0,
    array: float = 2.0,
    add: float = 5.0,
    power: float = 3.0,
    plus: float = 1.0,
) -> float:
    return (2.0 + add + plus) * scale + table + array + 2.0**power


@pytest.mark.slow
def test_a_change_in_any_file_reaches_the_kernels_that_use_it(folder: Path) -> None:
    """Of a constant, alone, in a tuple or in an array, an inlined kernel, what is enclosed, and what LLVM is told."""
    assert run(folder) == (expected(), 0, 1)
    assert run(folder) == (expected(), 1, 0)
    changes = [
        ("constants.py", "SCALE = 3.0", "SCALE = 4.0"),
        ("constants.py", "(3.0, 4.0)", "(7.0, 4.0)"),
        ("inner.py", "[1.0, 2.0]", "[1.0, 9.0]"),
        ("inner.py", "x + 5.0", "x + 6.0"),
        ("inner.py", "made(3.0)", "made(4.0)"),
        ("lowered.py", "type(1.0)", "type(2.0)"),
    ]
    came = []
    for file, old, new in changes:
        (folder / file).write_text((folder / file).read_text().replace(old, new))
        came.append(run(folder))
    values = [expected(4), expected(4, 7), expected(4, 7, 9), expected(4, 7, 9, 6), expected(4, 7, 9, 6, 4)]
    values.append(expected(4, 7, 9, 6, 4, 2))
    assert came == [(value, 0, 1) for value in values]
    assert len(list((folder / "__pycache__").glob("outer.outer-*.nbi"))) == 1  # those of old sources are removed
    assert len(list((folder / "__pycache__").glob("outer.outer-*.nbc"))) == 1


def test_lines_and_comments_do_not_matter(folder: Path) -> None:
    run(folder)
    for file in FILES:
        (folder / file).write_text("# A comment.\n\n" + (folder / file).read_text())
    assert run(folder)[1:] == (1, 0)


@pytest.mark.slow
def test_a_damaged_file_is_compiled_again(folder: Path) -> None:
    run(folder)
    for suffix in ("nbi", "nbc"):
        for path in (folder / "__pycache__").glob(f"*.{suffix}"):
            path.write_bytes(path.read_bytes()[:30])
        assert run(folder) == (expected(), 0, 1)
        assert run(folder) == (expected(), 1, 0)


@pytest.mark.slow
def test_a_changed_byte_is_noticed(folder: Path) -> None:
    """Also in machine code, which would run."""
    run(folder)
    for suffix in ("nbi", "nbc"):
        for path in (folder / "__pycache__").glob(f"outer.outer-*.{suffix}"):
            data = bytearray(path.read_bytes())
            for place in (len(data) // 2, len(data) - 9):
                data[place] ^= 1
            path.write_bytes(data)
        assert run(folder) == (expected(), 0, 1)
        assert run(folder) == (expected(), 1, 0)


@pytest.mark.slow
def test_without_a_place_to_write_kernels_are_compiled_and_it_is_said_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Permissions do not bind an administrator: files stand in the way of both folders."""
    (folder / "__pycache__").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "outer.py" / "cache"))
    monkeypatch.setenv("HOME", str(folder / "outer.py"))
    assert run(folder) == (expected(), 0, 1)
    assert capsys.readouterr().err.count("NUMBA_CACHE_DIR") == 1
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "home"))
    monkeypatch.setenv("HOME", str(folder / "home"))
    assert [run(folder), run(folder)] == [(expected(), 0, 1), (expected(), 1, 0)]
    assert list((folder / "home").rglob("outer.outer-*.nbi"))
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(folder / "numba"))
    assert run(folder) == (expected(), 0, 1)
    assert list((folder / "numba").rglob("outer.outer-*.nbi"))


def test_without_the_compiler_a_kernel_is_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)
    assert kernel(expected) is expected


def test_all_kernels_of_the_package_are_made_in_one_place() -> None:
    files = [path for path in PACKAGE.rglob("*.py") if re.search(r"\bimport numba|from numba\b", path.read_text())]
    assert sorted(path.name for path in files) == ["jit.py", "lanes.py"]
    kernels = [
        value
        for path in PACKAGE.rglob("*.py")
        if "l96bench.jit import" in path.read_text()
        for module in [importlib.import_module(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts))]
        for value in vars(module).values()
        if hasattr(value, "py_func")
    ]
    assert len(kernels) > 50
    for value in kernels:
        assert value.targetoptions["error_model"] == "numpy"
        assert not value.targetoptions.get("fastmath")

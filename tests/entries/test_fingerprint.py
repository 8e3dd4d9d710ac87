"""The key of a kept result: everything that a score depends on changes it, and nothing else does."""

from __future__ import annotations

import importlib
import re
import shutil
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

import l96bench
from l96bench import parallel
from l96bench.entries import fingerprint as module
from l96bench.entries.fingerprint import code_digest, fingerprint
from l96bench.tasks.subgrid_forcing import SubgridForcing

ROOT = Path(l96bench.__file__).parent
TASK = SubgridForcing("wilks-f20")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache of all these tests: the package is parsed once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("L96BENCH_CACHE", str(folder))
    code_digest.cache_clear()
    return folder


def digest(root: Path) -> str:
    code_digest.cache_clear()
    return code_digest(root)


@pytest.mark.slow
def test_a_change_in_any_file_of_the_package_counts(tmp_path: Path) -> None:
    """A statement does, in every folder, and a new file; comments and docstrings do not."""
    copy = tmp_path / "l96bench"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns("__pycache__"))
    before = digest(copy)
    assert before == digest(ROOT)
    start = time.perf_counter()
    assert digest(copy) == before
    assert time.perf_counter() - start < 1.0  # it takes 0.05 seconds, and 2 without what is kept

    seen = {before}
    changed = {path.parent: path for path in sorted(copy.rglob("*.py"))}
    assert len(changed) > 15
    for path in changed.values():
        text = path.read_text()
        path.write_text(text + "\nCHANGED = 1\n")
        seen.add(digest(copy))
        path.write_text(text + "\n# A comment.\n")
        assert digest(copy) == before, path
        path.write_text(text)
    assert len(seen) == 1 + len(changed)

    kernels = copy / "dynamics" / "resolved_kernels.py"
    text = kernels.read_text()
    kernels.write_text(text.replace("dt / 6.0", "dt / 3.0"))
    assert digest(copy) != before
    kernels.write_text(text)
    (copy / "of_ones_own.py").write_text("")
    assert digest(copy) != before
    (copy / "of_ones_own.py").rename(copy / "renamed.py")
    assert digest(copy) not in seen


@pytest.mark.parametrize("owner", ["", "def f():\n    ", "class C:\n    ", "class C:\n    async def f():\n        "])
def test_docstrings_do_not_count_and_other_texts_do(tmp_path: Path, owner: str) -> None:
    file = tmp_path / "file.py"
    indent = re.findall(r" *$", owner)[0]
    found = []
    for doc, text in (("One.", "a"), ("Two.", "a"), ("Two.", "b")):
        file.write_text(f'{owner}"""{doc}"""\n{indent}x = "{text}"\n')
        found.append(digest(file))
    assert found[0] == found[1] != found[2]


def test_what_is_kept_of_the_syntax_may_be_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("L96BENCH_CACHE", str(tmp_path))
    before = digest(ROOT / "regimes.py")
    for content in (b"", b"{", b"[1]", b"3"):
        (tmp_path / "code.json").write_bytes(content)
        assert digest(ROOT / "regimes.py") == before


@pytest.mark.slow
def test_everything_else_that_a_score_depends_on_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = dict(parallel.installed())
    keys = [
        fingerprint("code", TASK, {"a": "1"}, 0),
        fingerprint("other", TASK, {"a": "1"}, 0),
        fingerprint("code", replace(TASK, regime_id="wilks-f18"), {"a": "1"}, 0),
        fingerprint("code", replace(TASK, version=2), {"a": "1"}, 0),
        fingerprint("code", TASK, {"a": "2"}, 0),
        fingerprint("code", TASK, {"a": "1"}, 1),
    ]
    for name in versions:
        monkeypatch.setattr(module, "installed", lambda name=name: versions | {name: "0.0"})
        keys.append(fingerprint("code", TASK, {"a": "1"}, 0))
    # The digest of the package's bytes is the exception: its syntax counts.
    assert len(set(keys)) == len(keys) - 1
    assert keys[6 + list(versions).index("l96bench")] == keys[0]


@pytest.mark.slow
def test_the_code_of_a_family_of_another_package_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_package").mkdir()
    for name, text in {
        "__init__": "",
        "numbers": "SCALE = 1.0\n",
        "family": "from l96bench.tasks.subgrid_forcing import SubgridForcing\nclass Theirs(SubgridForcing): ...\n",
    }.items():
        (tmp_path / "their_package" / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    task = importlib.import_module("their_package.family").Theirs("wilks-f20")
    first = fingerprint("code", task, {}, 0)
    (tmp_path / "their_package" / "numbers.py").write_text("SCALE = 2.0\n")
    code_digest.cache_clear()
    assert fingerprint("code", task, {}, 0) != first
    for name in [each for each in sys.modules if each.startswith("their_package")]:
        del sys.modules[name]


NO_NUMBERS = """
    array-api-compat captum cloudpickle dask distributed filelock h5netcdf h5py jinja2 joblib lazy-loader llvmlite
    markupsafe matplotlib moviepy onnxscript pandas pebble pettingzoo pillow platformdirs pyarrow pydantic pyyaml rich
    threadpoolctl typer xarray
"""
"""Dependencies that only draw, write, read, distribute or look up functions: another version gives the same score.

llvmlite has the version that numba requires.
"""


def test_every_dependency_counts_or_touches_no_score() -> None:
    project = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    declared = {
        *project["dependencies"],
        *(name for extra, names in extras.items() if extra not in ("dev", "docs") for name in names),
    }
    declared = {re.split(r"[\[<>=]", each)[0] for each in declared} - {"l96bench"}
    assert declared - set(NO_NUMBERS.split()) == set(parallel.installed()) - {"l96bench", "Python"}

"""What is uploaded: the source archive holds all of the repository, and the wheel made of it has rows and baselines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import l96bench
from l96bench.entries.lookup import baseline_names
from l96bench.results.load import read_results

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow


def done(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    """The output of a command that must succeed."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run(command, cwd=cwd, env=inherited | environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def committed() -> set[str]:
    """The files of the repository, or of the archive that the tests are run from."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs a clone of the repository")
    return {name for name in done("git", "ls-files", "-z").split("\0") if name}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive of the committed files, and the wheel that is made of it."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in committed():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    done(sys.executable, "-m", "build", "--no-isolation", "--outdir", target, cwd=source)
    return target


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel installs."""
    folder = tmp_path_factory.mktemp("installed")
    zipfile.ZipFile(next(dist.glob("*.whl"))).extractall(folder)
    return folder


def test_the_source_archive_is_the_repository(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert committed() <= names


def test_others_find_nothing_wrong(dist: Path) -> None:
    files = sorted(dist.iterdir())
    assert {path.suffix for path in files} == {".gz", ".whl"}
    done(sys.executable, "-m", "twine", "check", "--strict", *files)
    done(sys.executable, "-m", "check_wheel_contents", *dist.glob("*.whl"))
    done(sys.executable, "-m", "validate_pyproject", ROOT / "pyproject.toml")


def test_the_wheel_answers_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    """With the rows that the repository has, from one file, and only reading them."""
    program = """
import json, sys
import l96bench
from l96bench.entries.lookup import baseline_names
from l96bench.results.load import find_board
assert l96bench.__file__.startswith(sys.argv[1])
frame = l96bench.load_results()
difference = str(l96bench.compare("quartic", "cubic", "online-rollout/wilks-f20-v2"))
print(json.dumps([str(find_board()), baseline_names(), len(frame), difference]))
"""
    place = {"PYTHONPATH": str(installed), "L96BENCH_CACHE": str(tmp_path / "cache")}
    (empty := tmp_path / "empty").mkdir()
    board, names, n_rows, difference = json.loads(done(sys.executable, "-c", program, installed, cwd=empty, **place))
    assert names == baseline_names()
    assert n_rows == len(read_results(ROOT / "leaderboard" / "results"))
    assert difference == str(l96bench.compare("quartic", "cubic", "online-rollout/wilks-f20-v2"))
    for part in ("results", "seasons", "submissions"):
        there, here = Path(board) / part, ROOT / "leaderboard" / part
        files = {path.relative_to(here): path.read_bytes() for path in here.rglob("*") if path.is_file()}
        assert {path.relative_to(there): path.read_bytes() for path in there.rglob("*") if path.is_file()} == files
    command = [sys.executable, "-m", "l96bench"]
    assert "fitted quartic" in done(*command, "leaderboard", cwd=empty, **place)
    assert "# fitted quartic" in done(*command, "card", "quartic", cwd=empty, **place)
    assert f"{n_rows} rows, 0 of them wrong" in done(*command, "verify", "--all", "--no-run", cwd=empty, **place)
    assert list(empty.iterdir()) == []
    write = subprocess.run([*command, "leaderboard", "--write"], cwd=empty, env=os.environ | place, capture_output=True)
    assert write.returncode == 2
    assert b"expected --output" in write.stderr

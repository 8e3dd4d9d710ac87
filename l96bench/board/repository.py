"""Read commits of a Git repository without touching its files, and without running anything that it holds."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from l96bench.errors import L96BenchError

__all__ = ["File", "MergeError", "Repository", "opened"]

_SECONDS = 120.0
"""Time limit of a command of git."""
_SAFE = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_NO_LAZY_FETCH": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}


class MergeError(L96BenchError):
    """A commit that cannot be merged into another."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of a commit: its mode as Git writes it, the id of its content, and its size in bytes (0 if none)."""

    mode: str
    id: str
    size: int


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository on this machine; `environment` keeps what git writes out of it."""

    path: Path
    environment: dict[str, str]

    def commit(self, name: str) -> str:
        """Return the id of the commit with this name; L96BenchError if there is none."""
        done = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        if done.returncode:
            raise L96BenchError(f"{self.path}: no commit {name!r:.100}; expected one of this repository, fetched whole")
        return done.stdout.decode().strip()

    def merged(self, base: str, head: str) -> str:
        """Return the id of the tree that merging `head` into `base` makes; MergeError if that cannot be done."""
        done = self._run("merge-tree", "--write-tree", "--name-only", "-z", base, head)
        tree, *rest = done.stdout.decode("utf-8", "replace").split("\0")
        if done.returncode == 0:
            return tree
        if done.returncode == 1:
            paths = ", ".join(f"{each!r:.100}" for each in rest[: rest.index("")][:5]) if "" in rest else ""
            raise MergeError(f"it conflicts with the branch that it is for, in {paths}; bring it up to date first")
        raise MergeError(f"it cannot be merged: {_said(done)}")

    def files(self, tree: str) -> dict[str, File]:
        """Return all files of a commit or tree by path; links and submodules are among them."""
        found: dict[str, File] = {}
        listed = self._checked("ls-tree", "-r", "-l", "-z", "--full-tree", tree)
        for line in listed.split(b"\0"):
            if line:
                told, _, path = line.partition(b"\t")
                mode, _, id, size = told.decode().split()
                name = path.decode("utf-8", "surrogateescape")
                if name in found:
                    raise L96BenchError(f"{self.path}: {name!r:.100} is there twice in {tree}")
                found[name] = File(mode, id, int(size) if size.isdigit() else 0)
        return found

    def content(self, file: File) -> bytes:
        """Return the content of a file, as it was committed."""
        return self._checked("cat-file", "blob", file.id)

    def authors(self, base: str, head: str) -> list[str]:
        """Return the names of those who wrote the commits of `head` that `base` lacks, as the commits tell them."""
        told = self._checked("log", "--format=%an", "-z", "--max-count=1000", f"{base}..{head}")
        return sorted({each for each in told.decode("utf-8", "replace").split("\0") if each})

    def _checked(self, *arguments: str) -> bytes:
        done = self._run(*arguments)
        if done.returncode:
            raise L96BenchError(f"{self.path}: git {arguments[0]} failed: {_said(done)}")
        return done.stdout

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = ["git", "--no-optional-locks", "-C", str(self.path), "-c", "core.fsmonitor=false", *arguments]
        try:
            return subprocess.run(
                command,
                capture_output=True,
                env=self.environment,
                timeout=_SECONDS,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except FileNotFoundError as error:
            raise L96BenchError("expected the program git (2.38 or newer), found none") from error
        except subprocess.TimeoutExpired as error:
            raise L96BenchError(f"{self.path}: git {arguments[0]} took more than {_SECONDS:g} s") from error


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    return " ".join(done.stderr.decode("utf-8", "replace").split())[:300]


@contextmanager
def opened(path: Path) -> Iterator[Repository]:
    """Open a repository for reading: what git has to write meanwhile goes into a folder that is removed afterwards."""
    own = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | _SAFE
    objects = Repository(path, own)._run("rev-parse", "--path-format=absolute", "--git-path", "objects")
    if objects.returncode:
        raise L96BenchError(f"{path}: expected a Git repository: {_said(objects)}")
    with tempfile.TemporaryDirectory(prefix="l96bench-objects-") as written:
        there = os.fsdecode(objects.stdout.rstrip(b"\n"))
        yield Repository(path, own | {"GIT_OBJECT_DIRECTORY": written, "GIT_ALTERNATE_OBJECT_DIRECTORIES": there})

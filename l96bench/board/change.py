"""Judge a whole change to the board by its paths: one's own folder and one's own rows, and nothing else."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from l96bench.board.repository import File
from l96bench.results.record import MAX_BYTES as MAX_ROW

__all__ = ["Change", "change_faults", "submissions_of"]

MAX_FILES, MAX_FOLDER = 110, 200_000_000
"""The most files and bytes of a submission's folder."""
MAX_SUBMISSIONS = 20
"""The most submissions of one change."""
PLAIN = "100644"
"""The mode of a plain file that is not executable."""
_KINDS = {"100755": "an executable file", "120000": "a symbolic link", "160000": "a submodule"}
_SLUG = "(?P<slug>[a-z0-9]+(?:-[a-z0-9]+)*)"
_FILE = re.compile(rf"leaderboard/submissions/{_SLUG}/(?P<file>[A-Za-z0-9][A-Za-z0-9._-]{{0,100}})")
_ROW = re.compile(rf"leaderboard/results/(?P<task>[a-z0-9-]+/[a-z0-9-]+-v[0-9]+)/{_SLUG}\.json")


@dataclass(frozen=True, slots=True)
class Change:
    """All files before and after a change, by path."""

    before: Mapping[str, File]
    after: Mapping[str, File]

    @property
    def paths(self) -> list[str]:
        """The paths that differ, sorted."""
        return sorted(path for path in self.before.keys() | self.after.keys() if self._differs(path))

    def _differs(self, path: str) -> bool:
        one, other = self.before.get(path), self.after.get(path)
        return one is None or other is None or (one.mode, one.id) != (other.mode, other.id)

    @property
    def touches_board(self) -> bool:
        """Whether any path is one of the board, on any file system."""
        return any(_top(path) == "leaderboard" for path in self.paths)

    def folder(self, slug: str, *, before: bool = False) -> dict[str, File]:
        """Return the files of a submission's folder by name."""
        return {found["file"]: file for found, file in self._matching(_FILE, before) if found["slug"] == slug}

    def rows(self, slug: str, *, before: bool = False) -> dict[str, File]:
        """Return the rows of a name by task."""
        return {found["task"]: file for found, file in self._matching(_ROW, before) if found["slug"] == slug}

    def _matching(self, pattern: re.Pattern[str], before: bool) -> Iterator[tuple[re.Match[str], File]]:
        for path, file in (self.before if before else self.after).items():
            if found := pattern.fullmatch(path):
                yield found, file


def _top(path: str) -> str:
    """Return the first folder of a path as file systems see it that know no case and no invisible letters."""
    plain = unicodedata.normalize("NFKC", path).casefold()
    seen = "".join(each for each in plain if unicodedata.category(each) != "Cf")
    return re.split(r"[/\\]", seen.lstrip(" ./\\"))[0].rstrip(" .")


def submissions_of(change: Change) -> list[str]:
    """Return the slugs of the submissions whose folders a change alters."""
    return sorted({found["slug"] for path in change.paths if (found := _FILE.fullmatch(path))})


def change_faults(change: Change) -> list[str]:
    """Return a line for everything in a change that no contribution may do, whatever the files hold."""
    faults: list[str] = []
    submitted = submissions_of(change)
    for path in change.paths:
        faults += _path_faults(change, path, submitted)
    for slug in submitted:
        faults += _folder_faults(change, slug)
    if len(submitted) > MAX_SUBMISSIONS:
        faults.append(f"expected at most {MAX_SUBMISSIONS} submissions in one change, got {len(submitted)}")
    return faults


def _path_faults(change: Change, path: str, submitted: list[str]) -> Iterator[str]:
    """Yield what is wrong with the change of one path."""
    file, row, own = change.after.get(path), _ROW.fullmatch(path), _FILE.fullmatch(path)
    shown = f"{path!a:.200}"
    if row is None and own is None:
        yield (
            f"{shown}: expected changes of one's own folder leaderboard/submissions/NAME and one's own rows "
            "leaderboard/results/TASK/NAME.json only; tables and page are made after the merge"
        )
    elif file is not None and file.mode != PLAIN:
        what = _KINDS.get(file.mode, "something else")
        yield f"{shown}: expected a plain file (mode {PLAIN}), got {what} ({file.mode})"
    elif row is not None and row["slug"] not in submitted:
        what = "adds" if path not in change.before else "removes" if file is None else "changes"
        whose = "another's row" if path in change.before else "a row of a name that nobody submits"
        yield f"{shown}: {what} {whose}; expected rows of the submissions that the change brings"
    elif row is not None and file is not None and file.size > MAX_ROW:
        yield f"{shown}: expected at most {MAX_ROW:,} bytes, got {file.size:,}"


def _folder_faults(change: Change, slug: str) -> Iterator[str]:
    """Yield what is wrong with a submission's folder as a whole."""
    files, place = change.folder(slug), f"leaderboard/submissions/{slug}"
    if not files:
        yield f"{place}: removes a submission; what is withdrawn is removed by the board's maintainers"
        return
    if not change.folder(slug, before=True) and (rows := change.rows(slug, before=True)):
        yield f"{place}: the name is that of a row that is no submission, in {min(rows)}; choose another"
    if len(files) > MAX_FILES or sum(file.size for file in files.values()) > MAX_FOLDER:
        yield f"{place}: expected at most {MAX_FILES} files and {MAX_FOLDER:,} bytes"
    spelled: dict[str, str] = {}
    for name in sorted(files):
        if (other := spelled.setdefault(name.lower(), name)) != name:
            yield f"{place}: {other} and {name} are one file on many machines; rename one"

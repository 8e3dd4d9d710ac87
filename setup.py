"""Put the rows of the board into the wheel, as one file; all else about the package is in pyproject.toml."""

import tarfile
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

BOARD = Path("leaderboard")
PARTS = ("results", "seasons", "submissions", "results.json")
"""What commands read of a board; page, cards and tables are made of these."""


class BuildWithBoard(build_py):
    """Build the modules, and beside them board.tar.xz, which `l96bench.results.load` reads."""

    def run(self) -> None:
        """Build; an editable installation reads the folder itself."""
        super().run()
        if not self.editable_mode:
            pack_board(Path(self.build_lib) / "l96bench" / "board.tar.xz")


def pack_board(target: Path) -> None:
    """Write the board's files into an archive, with the same bytes for the same files."""
    files = [path for part in PARTS for path in sorted([BOARD / part, *(BOARD / part).rglob("*")]) if path.is_file()]
    with tarfile.open(target, "w:xz", preset=9) as archive:
        for path in files:
            archive.add(path, path.relative_to(BOARD).as_posix(), filter=_anonymous)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mtime = member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member


setup(cmdclass={"build_py": BuildWithBoard})

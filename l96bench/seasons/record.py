"""Public records of seasons, with commitments to their secrets, and the files that keep the secrets."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import stat
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from l96bench.data.store import cache_folder
from l96bench.errors import DataError, L96BenchError, ResultError, faulty_fields
from l96bench.files import read_json, read_plain, write_atomic
from l96bench.seasons.data import SEASON_VERSION, SECRET_BYTES, Season
from l96bench.seasons.tasks import has_parameters, season_families, season_regimes, season_task
from l96bench.tasks.base import Task
from l96bench.tasks.registry import find_family, make_task

__all__ = ["SeasonRecord", "default_secret", "draw_secret", "read_secret", "record_path", "season_names"]

MAX_BYTES = 1_000_000
"""The largest record of a season."""
_FIRST = date(2026, 1, 1)
"""No season is older."""
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_HEX = r"^[0-9a-f]{64}$"
Digest = Annotated[str, Field(pattern=_HEX)]


def _known(given: list[str], known: list[str]) -> list[str]:
    if unknown := sorted(set(given) - set(known)):
        raise ValueError(f"expected some of {', '.join(known)}, got {unknown}")
    if len(set(given)) < len(given):
        raise ValueError(f"expected each once, got {given}")
    return given


class SeasonRecord(BaseModel):
    """The record of a season, ``seasons/NAME.json`` on the board.

    Attributes
    ----------
    name : str
        Lower-case letters, digits and hyphens.
    version : int
        Of how data come from the secret.
    opened : date
    families, regimes : list of str
        It has a task for every family and every regime, or track, that the family has.
    commitment : str
        SHA-256 of the secret.
    digests : dict of str to str
        SHA-256 of its arrays, from when it is first scored.
    revealed : date, optional
    secret : str, optional
        In hex; once it is here, it is what the commitment was made of.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    schema_: Literal["l96bench/season/1"] = Field(default="l96bench/season/1", alias="schema")
    name: Annotated[str, Field(pattern=rf"^{_NAME.pattern}$")]
    version: Annotated[int, Field(ge=1, le=SEASON_VERSION)] = SEASON_VERSION
    opened: date
    families: Annotated[list[str], Field(min_length=1)]
    regimes: Annotated[list[str], Field(min_length=1)]
    commitment: Digest
    digests: dict[str, Digest] = {}
    revealed: date | None = None
    secret: Digest | None = None

    @field_validator("families")
    @classmethod
    def _check_families(cls, given: list[str]) -> list[str]:
        return _known(given, season_families())

    @field_validator("regimes")
    @classmethod
    def _check_regimes(cls, given: list[str]) -> list[str]:
        return _known(given, season_regimes())

    @model_validator(mode="after")
    def _check_tasks(self) -> Self:
        for family in self.families:
            if not set(self.regimes) & set(own := find_family(family).regime_ids()):
                raise ValueError(f"regimes: expected one of {family} ({', '.join(own)}), got {self.regimes}")
        return self

    @model_validator(mode="after")
    def _check_secret(self) -> Self:
        if (self.secret is None) != (self.revealed is None):
            raise ValueError("expected the secret and the date on which it was revealed, or neither")
        if self.secret is not None and hashlib.sha256(bytes.fromhex(self.secret)).hexdigest() != self.commitment:
            raise ValueError("the secret is not the one that the commitment was made of")
        if self.revealed is not None and self.revealed < self.opened:
            raise ValueError(f"revealed on {self.revealed}, before it was opened on {self.opened}")
        return self

    @classmethod
    def read(cls, path: Path) -> SeasonRecord:
        """Read the record in a file; ResultError if there is none, or it is invalid."""
        try:
            data = read_plain(path, MAX_BYTES)
            record = cls.model_validate_json(data)
            read_json(data)  # which refuses what pydantic's own reader may take for something else
        except OSError as error:
            raise ResultError(f"{path}: expected the record of a season ({error.strerror}); open one first") from error
        except ValidationError as error:
            lines = [f"{path}: not a valid record of a season", *faulty_fields(error)]
            raise ResultError("\n  ".join(lines)) from error
        except ValueError as error:
            raise ResultError(f"{path}: not a valid record of a season\n  {error}") from error
        if record.name != path.stem:
            raise ResultError(f"{path}: expected the record of {path.stem!r}, got that of {record.name!r}")
        return record

    def write(self, path: Path) -> None:
        """Write the record atomically."""
        write_atomic(path, json.dumps(self.model_dump(mode="json"), indent=2) + "\n")

    def date_faults(self, today: date) -> list[str]:
        """Return a line for each of its dates that cannot be so: before there were seasons, or in the future."""
        dates = {"opened": self.opened, "revealed": self.revealed}
        late = [f"{what} on {day}, which is in the future" for what, day in dates.items() if day and day > today]
        return late + ([f"opened on {self.opened}, before there were seasons"] if self.opened < _FIRST else [])

    def season(self, secret: bytes | None = None) -> Season:
        """Return the season with its revealed or given secret; DataError if there is none, or it is a wrong one."""
        if secret is None:
            if self.secret is None:
                raise DataError(f"season {self.name!r} is not revealed: only who keeps its secret can do this")
            secret = bytes.fromhex(self.secret)
        season = Season(self.name, secret, self.version)
        if season.commitment != self.commitment:
            raise DataError(
                f"season {self.name!r}: this is not its secret: SHA-256 {season.commitment}, "
                f"the commitment is {self.commitment}"
            )
        return season

    def tasks(self, season: Season, drawn: bool) -> list[Task]:
        """Return the season's tasks, or those of regimes at the drawn parameters."""
        named = [
            find_family(family)(regime)
            for family in self.families
            for regime in self.regimes
            if regime in find_family(family).regime_ids() and (has_parameters(regime) or not drawn)
        ]
        return [season_task(make_task(task.id), season, drawn) for task in named]


def record_path(board: Path, name: str) -> Path:
    """Return the path of a season's record below the board's folder; L96BenchError for an invalid name."""
    if not _NAME.fullmatch(name):
        raise L96BenchError(f"expected a name of lower-case letters, digits and hyphens, got {name!r:.80}")
    return board / "seasons" / f"{name}.json"


def season_names(board: Path) -> list[str]:
    """Return the names of the board's seasons."""
    return sorted(path.stem for path in (board / "seasons").glob("*.json"))


def default_secret(name: str) -> Path:
    """Return the default path of a secret, in the user's folder for program data."""
    from platformdirs import user_data_path

    return user_data_path("l96bench") / "secrets" / f"{name}.secret"


def draw_secret(path: Path, board: Path) -> bytes:
    """Draw a secret from the system's randomness, and keep it in a new file that only its owner can read.

    Raises L96BenchError if the file exists, or might be published there: in a Git repository, the board or the cache.
    """
    place = path.absolute().parent.resolve() / path.name
    for folder in place.parents:
        if (folder / ".git").exists() or folder in (board.resolve(), cache_folder().resolve()):
            raise L96BenchError(f"{path}: expected a place outside of repositories, the board and the cache")
    secret = secrets.token_bytes(SECRET_BYTES)
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise L96BenchError(f"{path}: cannot be made ({error.strerror}); a secret is never overwritten") from error
    with os.fdopen(handle, "w") as file:
        file.write(secret.hex() + "\n")
    return secret


def read_secret(path: Path) -> bytes:
    """Return the secret in a file; DataError if there is none, or others than its owner may read it."""
    try:
        text = path.read_text(encoding="ascii").strip()
        mode = stat.S_IMODE(path.stat().st_mode)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"{path}: expected a file with a season's secret ({reason}); give its own with --secret"
        ) from error
    if not re.fullmatch(_HEX.strip("^$"), text):
        raise DataError(f"{path}: expected {2 * SECRET_BYTES} hexadecimal digits")
    if os.name == "posix" and mode & 0o077:
        raise DataError(f"{path}: others than its owner may read this secret (mode {mode:o}); try chmod 600")
    return bytes.fromhex(text)

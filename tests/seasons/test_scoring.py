"""Seasons on miniature tasks: the commitment binds, entries are scored, the secret is revealed, anybody verifies."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsRegressor

from l96bench.cli import main
from l96bench.errors import DataError, L96BenchError, ResultError
from l96bench.results.record import Result
from l96bench.seasons.data import Season
from l96bench.seasons.record import SeasonRecord, draw_secret, read_secret, record_path
from l96bench.seasons.scoring import open_season, reveal_season, score_season, verify_season
from l96bench.seasons.tasks import season_task
from l96bench.tasks.base import Task
from l96bench.tasks.registry import make_task, tasks_given_as
from tests.examples import fill_in

OFFLINE, ONLINE = "subgrid-forcing/wilks-f20-v1", "online-rollout/wilks-f20-v2"
FAMILIES, REGIMES = ["subgrid-forcing", "online-rollout"], ["wilks-f20"]
Run = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def minis(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path) -> Iterator[None]:
    monkeypatch.setenv("L96BENCH_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)
    with tasks_given_as(Task.miniature):
        yield


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> tuple[int, str]:
        code = 0
        try:
            main(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return call


def fixed(secret: bytes = bytes(range(32))) -> tuple[Path, bytes]:
    """A board with a season of a known secret, so that its data are made once for all tests."""
    board = Path("leaderboard")
    record = SeasonRecord(
        name="trial",
        opened=date(2026, 9, 1),
        families=FAMILIES,
        regimes=REGIMES,
        commitment=Season("trial", secret).commitment,
    )
    record.write(record_path(board, "trial"))
    return board, secret


def test_opening_publishes_the_commitment_and_nothing_else(tmp_path: Path) -> None:
    place = tmp_path / "safe" / "trial.secret"
    record = open_season(Path("leaderboard"), "trial", place, FAMILIES, REGIMES, date(2026, 9, 1))
    secret = read_secret(place)
    assert record.commitment == Season("trial", secret).commitment
    assert (len(secret), stat.S_IMODE(place.stat().st_mode)) == (32, 0o600)
    published = "".join(path.read_text() for path in Path("leaderboard").rglob("*") if path.is_file())
    assert record.commitment in published
    assert secret.hex() not in published
    other = open_season(Path("leaderboard"), "other", tmp_path / "other.secret", FAMILIES, REGIMES)
    assert other.commitment != record.commitment
    with pytest.raises(L96BenchError, match="there is a season of this name"):
        open_season(Path("leaderboard"), "trial", tmp_path / "again.secret", FAMILIES, REGIMES)
    assert not (tmp_path / "again.secret").exists()


def test_a_secret_is_kept_where_it_is_not_published_and_never_overwritten(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    for place in (tmp_path / "repository" / "notes" / "a.secret", Path("leaderboard/a.secret"), cache / "a.secret"):
        with pytest.raises(L96BenchError, match="outside of repositories"):
            draw_secret(place, Path("leaderboard"))
        assert not place.exists()
    place = tmp_path / "a.secret"
    draw_secret(place, Path("leaderboard"))
    with pytest.raises(L96BenchError, match="never overwritten"):
        draw_secret(place, Path("leaderboard"))
    place.chmod(0o644)
    with pytest.raises(DataError, match="others than its owner may read"):
        read_secret(place)
    Path("no.secret").write_text("nothing")
    with pytest.raises(DataError, match="expected 64 hexadecimal digits"):
        read_secret(Path("no.secret"))


def test_what_cannot_be_opened_leaves_no_secret(tmp_path: Path) -> None:
    for families, regimes, expected in (
        (["reanalysis"], REGIMES, "families"),
        (["da-increment"], REGIMES, "expected one of da-increment"),
        (FAMILIES, ["wilks-f21"], "regimes"),
        ([], REGIMES, "families"),
    ):
        with pytest.raises(L96BenchError, match=expected):
            open_season(Path("leaderboard"), "trial", tmp_path / "a.secret", families, regimes)
    with pytest.raises(L96BenchError, match="expected a name"):
        open_season(Path("leaderboard"), "../trial", tmp_path / "a.secret", FAMILIES, REGIMES)
    assert not (tmp_path / "a.secret").exists()
    assert not Path("leaderboard").exists()


def test_the_commitment_binds() -> None:
    board, secret = fixed()
    other = bytes(32)
    for call in (
        lambda: score_season(board, "trial", other, ["linear"]),
        lambda: reveal_season(board, "trial", other),
        lambda: verify_season(board, "trial"),
    ):
        with pytest.raises(DataError, match=r"this is not its secret|is not revealed"):
            call()
    path = record_path(board, "trial")
    fields = json.loads(path.read_text())
    path.write_text(json.dumps(fields | {"secret": other.hex(), "revealed": "2026-10-01"}))
    with pytest.raises(ResultError, match="not the one that the commitment was made of"):
        SeasonRecord.read(path)
    path.write_text(json.dumps(fields | {"more": 1}))
    with pytest.raises(ResultError, match="more"):
        SeasonRecord.read(path)
    path.write_text(json.dumps(fields | {"name": "another"}))
    with pytest.raises(ResultError, match="got that of 'another'"):
        SeasonRecord.read(path)
    path.write_text(json.dumps(fields))
    with pytest.raises(DataError, match=r"has no rows, .* try `l96bench season score`"):
        reveal_season(board, "trial", secret, date(2026, 10, 1))
    assert SeasonRecord.read(path).secret is None
    record = reveal_season(board, "trial", secret, date(2026, 10, 1), empty=True)
    assert SeasonRecord.read(path) == record
    with pytest.raises(DataError, match="was revealed on 2026-10-01"):
        reveal_season(board, "trial", secret)
    with pytest.raises(DataError, match="is over"):
        score_season(board, "trial", secret, ["linear"])


def test_dates_that_cannot_be_so_are_refused(tmp_path: Path) -> None:
    board, secret = fixed()
    with pytest.raises(DataError, match="revealed on 2999-01-01, which is in the future"):
        reveal_season(board, "trial", secret, date(2999, 1, 1))
    for day, reason in ((date(2999, 1, 1), "in the future"), (date(1996, 1, 1), "before there were seasons")):
        with pytest.raises(DataError, match=reason):
            open_season(board, f"on-{day}", tmp_path / f"{day}.secret", FAMILIES, REGIMES, day)
        path = record_path(board, "forged")
        fields = json.loads(record_path(board, "trial").read_text()) | {"name": "forged", "opened": str(day)}
        path.write_text(json.dumps(fields))
        with pytest.raises(DataError, match=reason):
            verify_season(board, "forged")
        path.unlink()


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_a_season_is_scored_revealed_and_verified(run: Run, tmp_path: Path) -> None:
    board, secret = fixed()
    key = tmp_path / "trial.secret"
    key.write_text(secret.hex())
    key.chmod(0o600)
    assert run("init", "mine")[0] == 0
    fill_in("mine")
    assert run("run", "linear", "--task", OFFLINE, "--output", "leaderboard/results", "--jobs", "1")[0] == 0
    code, said = run("season", "score", "trial", "linear", "mine", "--secret", str(key), "--jobs", "1")
    assert code == 0, said
    rows = {path: Result.read(path) for path in (board / "seasons" / "trial").rglob("*.json")}
    # The linear closure and the two ceilings, and the submission offline alone; at named and at drawn parameters each.
    assert len(rows) == 2 * (2 + 2 + 1)
    named, drawn = (
        Result.read(board / "seasons" / "trial" / part / OFFLINE / "linear.json") for part in ("named", "drawn")
    )
    assert (named.split, drawn.split) == ("season trial", "season trial, drawn parameters")
    digests = SeasonRecord.read(record_path(board, "trial")).digests
    assert digests.items() >= {k: v for k, v in named.data_digests.items() if "/season " in k}.items()
    assert secret.hex() not in "".join(path.read_text() for path in board.rglob("*") if path.is_file())
    page = (board / "seasons" / "trial.md").read_text()
    assert "not revealed yet" in page
    assert "Of 1 entries" in page
    # A submission is verified where it lies on the board.
    Path("mine").rename(tmp_path / "leaderboard" / "submissions-of")
    (board / "submissions").mkdir()
    slug = next(row.slug for row in rows.values() if row.submission is not None)
    Path("leaderboard/submissions-of").rename(board / "submissions" / slug)
    assert run("season", "verify", "trial", "--jobs", "1")[0] == 2
    assert run("season", "reveal", "trial", "--secret", str(key))[0] == 0
    assert secret.hex() in (board / "seasons" / "trial.md").read_text()
    code, said = run("season", "verify", "trial", "--jobs", "1")
    assert code == 0, said
    assert said.count("identical  ") == 10
    assert run("season", "page", "--check")[0] == 0
    improve(board / "seasons" / "trial" / "named" / OFFLINE / "linear.json")
    assert run("season", "page", "--check")[0] == 1
    code, said = run("season", "verify", "trial", "linear", "--jobs", "1")
    assert (code, "4 rows, 1 of them wrong" in said) == (1, True), said


def improve(path: Path) -> None:
    fields = json.loads(path.read_text())
    fields["score"]["value"] = fields["score"]["high"] = 99.0
    path.write_text(json.dumps(fields))


@pytest.mark.slow
def test_other_digests_than_the_recorded_are_found(run: Run) -> None:
    board, secret = fixed()
    score_season(board, "trial", secret, ["linear"])
    record = SeasonRecord.read(record_path(board, "trial"))
    key = next(iter(record.digests))
    record.model_copy(update={"digests": record.digests | {key: "0" * 64}}).write(record_path(board, "trial"))
    with pytest.raises(DataError, match="other data than the record has digests of"):
        score_season(board, "trial", secret, ["linear"])
    reveal_season(board, "trial", secret)
    wrong, verdicts = verify_season(board, "trial", ["linear"])
    assert wrong == [key]
    assert {verdict.status for verdict in verdicts} == {"identical"}


@pytest.mark.slow
def test_an_entry_that_knows_the_public_test_loses_on_the_season() -> None:
    public = make_task(OFFLINE)
    season = season_task(public, Season("trial", bytes(range(32))))
    X, U = (np.concatenate(public.test.X), np.concatenate(public.test.U))
    memory = KNeighborsRegressor(1).fit(X, U)
    honest = KNeighborsRegressor(1).fit(public.train.X, public.train.U)
    # The nearest state of the public test is that state itself; elsewhere neighbours are as far as in training.
    assert public.score(memory) == pytest.approx(100.0)
    assert season.score(memory) < public.score(honest) + 10 < 90
    assert season.score(memory) == pytest.approx(season.score(honest), abs=25)


@pytest.mark.slow
def test_unknown_entries_are_named() -> None:
    board, secret = fixed()
    with pytest.raises(L96BenchError, match="Did you mean 'quartic'"):
        score_season(board, "trial", secret, ["quartik"])

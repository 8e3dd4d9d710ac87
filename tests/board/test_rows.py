"""Rows as data, beside what plain JSON and the page say, and the differences of two."""

from __future__ import annotations

import csv
import itertools
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import l96bench
from l96bench.board import publish
from l96bench.entries.run import result_path
from l96bench.errors import L96BenchError, ResultError, UnknownIdError
from l96bench.results.frame import COLUMNS, make_frame, metric_columns
from l96bench.results.load import DATA, read_results
from l96bench.results.record import Result
from l96bench.tasks.registry import families

ROOT = Path(__file__).resolve().parents[2]
BOARD = ROOT / "leaderboard"
OFFLINE = "subgrid-forcing/wilks-f20-v1"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def plain() -> dict[tuple[str, str], dict[str, Any]]:
    """The committed rows by task and name, read by the standard library alone."""
    rows = [json.loads(path.read_bytes()) for path in (BOARD / "results").rglob("*.json")]
    return {(row["task"], row["model"]["name"]): row for row in rows}


@pytest.fixture
def board(tmp_path: Path, results: list[Result], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A board of synthetic rows, which commands find from here."""
    place = tmp_path / "leaderboard"
    for result in results:
        result.write(result_path(place / "results", result))
    (place / publish.PAGE).touch()
    monkeypatch.chdir(tmp_path)
    return place


# The DataFrame.


@pytest.mark.slow
def test_every_row_has_the_numbers_of_its_file(plain: dict[tuple[str, str], dict[str, Any]]) -> None:
    frame = l96bench.load_results()
    assert set(zip(frame["task"], frame["entry"], strict=True)) == plain.keys()
    assert len(frame) == len(plain)
    for own in frame.to_dict("records"):
        row = plain[own["task"], own["entry"]]
        assert own["family"] == row["task"].split("/")[0]
        assert own["task_version"] == row["task_version"] == int(re.findall(r"v(\d+)$", row["task"])[0])
        assert [own["score"], own["score_low"], own["score_high"]] == [
            row["score"][each] for each in ("value", "low", "high")
        ]
        assert own["seeds"] == row["model"]["seeds"]
        assert own["seed_scores"] == [seed["value"] for seed in row["score"]["seeds"]]
        np.testing.assert_equal(own["training_seconds"], row["cost"]["training_seconds"] or np.nan)
        assert own["predictions_digest"] == row["predictions_digest"]
        for key, value in row["metrics"].items():
            found = [own.get(name, np.nan) for name in metric_columns(key)]
            wanted = [np.nan if value[end] is None else value[end] for end in ("value", "low", "high")]
            np.testing.assert_equal(found, wanted)


def test_ranks_and_kinds_are_those_of_the_page() -> None:
    html = (BOARD / publish.PAGE).read_text()
    data = json.loads(re.findall(r'<script id="data" type="application/json">(.*?)</script>', html)[0])
    place = {name: i for i, name in enumerate(data["fields"])}
    column = {each["key"]: i for i, each in enumerate(data["columns"])}
    shown = {
        (table["task"], data["entries"][row[place["number"]]][0]): (
            row[place["shared"]][column["rank"]],
            data["texts"][row[place["shared"]][column["origin"]]],
        )
        for table in data["tables"]
        for row in table["rows"]
    }
    frame = l96bench.load_results()
    ranks = frame["rank"].astype(object).where(frame["rank"].notna(), None)
    found = zip(frame["task"], frame["entry"], ranks, frame["origin"], strict=True)
    assert {(task, name): (rank, origin) for task, name, rank, origin in found} == shown


@pytest.mark.slow
def test_all_rows_are_there_within_a_second() -> None:
    def seconds() -> float:
        start = time.perf_counter()
        l96bench.load_results()
        return time.perf_counter() - start

    assert min(seconds() for _ in range(3)) < 1.0


def test_a_task_or_a_family_alone(results: list[Result], board: Path) -> None:
    assert set(l96bench.load_results("online-rollout")["entry"]) == {"Stencil network", "Wilks (2005)"}
    frame = l96bench.load_results(OFFLINE)
    assert list(frame["entry"]) == ["Perfect", "Forest", "Stencil network", "Wilks (2005)", "Mean"]
    assert list(frame["rank"].fillna(0)) == [0, 1, 1, 3, 0]
    assert "survival" not in frame
    assert "rmse_low" in frame
    assert "r2_low" not in frame
    with pytest.raises(UnknownIdError, match=r"no row of 'subgrid-forcin'\. Did you mean 'subgrid-forcing'"):
        l96bench.load_results("subgrid-forcin")


@pytest.mark.slow
def test_rows_that_have_changed_since_the_files_were_written_are_read_again(
    board: Path, make_result: Callable[..., Result]
) -> None:
    publish.write(board / "results", board)
    before = l96bench.load_results()
    assert before.equals(l96bench.load_results(results=board / "results"))
    new = make_result("New", 99.0)
    new.write(result_path(board / "results", new))
    after = l96bench.load_results()
    assert after.equals(l96bench.load_results(results=board / "results"))
    assert len(after) == len(before) + 1
    assert list(l96bench.load_results(OFFLINE)["entry"])[:2] == ["Perfect", "New"]
    publish.write(board / "results", board)
    assert after.equals(l96bench.load_results())


def test_a_folder_of_ones_own_has_no_ranks(tmp_path: Path, make_result: Callable[..., Result]) -> None:
    """Nor need its rows be comparable, as those of a sweep over data are not."""
    for seed, digest in enumerate(("ab" * 32, "cd" * 32)):
        make_result("Mine", 50.0 + seed, data_digests={"test": digest}).write(tmp_path / f"{seed}.json")
    frame = l96bench.load_results(results=tmp_path)
    assert list(frame["score"]) == [50.0, 51.0]
    assert frame["rank"].isna().all()
    with pytest.raises(ResultError, match="nowhere: expected a folder of results"):
        l96bench.load_results(results=tmp_path / "nowhere")


def test_a_damaged_file_beside_the_page_is_named(board: Path) -> None:
    (board / DATA).write_text("[]")
    with pytest.raises(
        ResultError, match=r"results\.json: expected the file that `l96bench leaderboard --write` makes"
    ):
        l96bench.load_results()


def test_no_metric_has_the_name_of_another_column() -> None:
    for family in families().values():
        names = [name for metric in family.glossary if not metric.axis for name in metric_columns(metric.key)]
        names += [column.name for column in COLUMNS]
        assert len(set(names)) == len(names), family.family
    assert metric_columns("score") == ("metric_score", "metric_score_low", "metric_score_high")


def test_a_result_has_the_columns_of_a_table(make_result: Callable[..., Result], board: Path) -> None:
    own = make_result("Mine", 90.0).to_frame()
    table = l96bench.load_results(OFFLINE)
    assert list(own.columns) == list(table.columns)
    assert (own.dtypes == table.dtypes).all()


# Differences.


def test_the_difference_is_the_paired_bootstrap_of_the_files(plain: dict[tuple[str, str], dict[str, Any]]) -> None:
    names = ("fitted cubic", "fitted quintic")
    task = "online-rollout/wilks-f20-v2"
    a, b = (plain[task, name]["score"] for name in names)
    assert "blocks" not in a
    found = l96bench.compare(*names, results=BOARD / "results" / task)
    ordered = np.sort(np.subtract(a["replicates"], b["replicates"]))
    assert found.difference == a["value"] - b["value"]
    assert (found.low, found.high) == (ordered[24], ordered[-25])  # 2.5 % of 999 steps, rounded outwards
    turned = l96bench.compare(*names[::-1], results=BOARD / "results" / task)
    assert (turned.low, turned.high) == (-found.high, -found.low)


@pytest.mark.parametrize("task", ["online-rollout/wilks-f20-v2", "da-increment/dense-v1"])
def test_different_ranks_are_told_apart(task: str) -> None:
    frame = l96bench.load_results(task)
    rows = {row.model.name: row for row in read_results(BOARD / "results" / task)}
    ranked = frame[frame["rank"].notna()]
    for a, b in itertools.combinations(zip(ranked["entry"], ranked["rank"], strict=True), 2):
        if a[1] != b[1]:
            found = l96bench.compare(rows[a[0]], rows[b[0]])
            assert found.distinguishable
            assert found.low > 0.0


def test_ones_own_result_stands_beside_the_boards(
    board: Path, tmp_path: Path, make_result: Callable[..., Result], run: Run
) -> None:
    mine = make_result("Forest", 95.0)  # the name of a row, which it is not mistaken for
    mine.write(tmp_path / "mine.json")
    found = l96bench.compare(mine, "Stencil network")
    assert found == l96bench.compare(tmp_path / "mine.json", "stencil-network", OFFLINE)
    assert (found.difference, found.distinguishable) == (pytest.approx(95.0 - 91.3), True)
    code, out, _ = run("compare", tmp_path / "mine.json", "Stencil network")
    assert (code, out) == (0, f"{OFFLINE}  Forest - Stencil network: {found}\n")
    assert str(found).endswith(" at 95 %: told apart")


def test_the_command_shows_all_tasks_that_both_have(board: Path, run: Run) -> None:
    code, out, _ = run("compare", "Wilks (2005)", "stencil network")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["online-rollout/wilks-f20-v2", OFFLINE]
    code, out, _ = run("compare", "Forest", "stencil network", "--task", OFFLINE)
    assert out.endswith(": cannot be told apart\n")


def test_what_cannot_be_compared_says_why(board: Path, make_result: Callable[..., Result]) -> None:
    with pytest.raises(UnknownIdError, match=r"no entry 'Forrest' among the rows\. Did you mean 'Forest'"):
        l96bench.compare("Forrest", "Mean")
    with pytest.raises(L96BenchError, match="expected a task, one of online-rollout/wilks-f20-v2, subgrid-forcing"):
        l96bench.compare("Wilks (2005)", "Stencil network")
    with pytest.raises(UnknownIdError, match=r"no rows of both entries on 'subgrid-forcing/wilks-f18-v1'"):
        l96bench.compare("Wilks (2005)", "Stencil network", "subgrid-forcing/wilks-f18-v1")
    with pytest.raises(UnknownIdError, match="expected two entries with a task in common"):
        l96bench.compare(make_result("Mine", 1.0, task="da-increment/dense-v1"), "Forest")
    with pytest.raises(ResultError, match="data_digests"):
        l96bench.compare(make_result("Mine", 1.0, data_digests={"test": "cd" * 32}), "Forest")
    few = make_result("Forest", 1.0)
    few = few.model_copy(update={"score": few.score.model_copy(update={"replicates": few.score.replicates[:100]})})
    with pytest.raises(ResultError, match="number of replicates"):
        l96bench.compare(few, "Forest")


# The files beside the page.


def test_the_files_hold_the_same_rows(board: Path) -> None:
    publish.write(board / "results", board)
    frame = l96bench.load_results()
    with (board / "results.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == list(frame.columns)
    for name, own in zip(header, zip(*rows, strict=True), strict=True):
        values = frame[name]
        if values.dtype == object:
            assert [json.loads(each) for each in own] == list(values)
        elif values.dtype == "string":
            assert [each or None for each in own] == [
                None if each is values.dtype.na_value else each for each in values
            ]
        else:
            np.testing.assert_equal([float(each or "nan") for each in own], values.to_numpy(float, na_value=np.nan))
    data = json.loads((board / DATA).read_bytes())
    assert make_frame(data["rows"]).equals(frame)
    assert [one["name"] for one in data["columns"]] == header[: len(COLUMNS)]
    assert data["metrics"]["subgrid-forcing"]["r2"]["better"] == "higher is better"


def test_the_parquet_file_holds_the_same_rows_and_stays_as_it_is(
    board: Path, make_result: Callable[..., Result]
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    publish.write(board / "results", board)
    path, frame = board / "results.parquet", l96bench.load_results()
    table = parquet.read_table(path)
    assert table.column_names == list(frame.columns)
    assert table["score"].to_pylist() == list(frame["score"])
    assert table["seed_scores"].to_pylist() == list(frame["seed_scores"])
    parquet.write_table(table, path, compression="none")  # as another version would
    other = path.read_bytes()
    assert publish.check(board / "results", board) == []
    publish.write(board / "results", board)
    assert path.read_bytes() == other
    new = make_result("New", 99.0)
    new.write(result_path(board / "results", new))
    assert "results.parquet: out of date" in publish.check(board / "results", board)
    publish.write(board / "results", board)
    assert parquet.read_table(path)["entry"].to_pylist() == list(l96bench.load_results()["entry"])


def test_a_parquet_file_that_cannot_be_written_does_not_stay_old(board: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (board / "results.parquet").write_bytes(b"old")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    publish.write(board / "results", board)
    assert not (board / "results.parquet").exists()
    assert publish.check(board / "results", board) == []


@pytest.mark.parametrize("name", ["results.csv", "results.json"])
def test_a_changed_file_is_noticed(board: Path, name: str) -> None:
    publish.write(board / "results", board)
    path = board / name
    path.write_bytes(path.read_bytes().replace(b"91.3", b"91.4", 1))
    assert publish.check(board / "results", board) == [f"{name}: out of date"]
    path.unlink()
    assert publish.check(board / "results", board) == [f"{name}: missing"]


def test_the_files_are_not_taken_for_rows(board: Path) -> None:
    with pytest.raises(L96BenchError, match="expected a folder outside of"):
        publish.write(board / "results", board / "results" / "out")


def test_the_committed_files_are_small() -> None:
    """At most 3.5 KB a row."""
    rows = len(list((BOARD / "results").rglob("*.json")))
    for name in ("results.csv", "results.json", "results.parquet"):
        assert (BOARD / name).stat().st_size < 3_500 * rows

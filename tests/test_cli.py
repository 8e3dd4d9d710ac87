"""The command line: what every command prints, writes and exits with."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import l96bench
from l96bench.cli import main
from l96bench.dynamics.polynomial import Polynomial
from l96bench.entries.lookup import baselines_folder
from l96bench.errors import TRACEBACK
from l96bench.results.record import Result
from l96bench.tasks.subgrid_forcing import SubgridForcing

OFFLINE, ONLINE = "subgrid-forcing/wilks-f20-v1", "online-rollout/wilks-f20-v2"
Run = Callable[..., tuple[int, str, str]]


# Errors.


def test_an_entry_does_not_say_how_a_command_ends(run: Run, miniature_registry: Path, tmp_path: Path) -> None:
    path = tmp_path / "ends.py"
    path.write_text(
        "import sys, l96bench\ndef make(task, seed):\n    sys.exit(0)\nentry = l96bench.Entry('ends', 'x', 'X', make)\n"
    )
    code, _, said = run("score", path, "--task", OFFLINE)
    assert (code, said) == (2, f"l96bench: the code called sys.exit(0) [{path}, line 3, in make]\n")


def test_errors_of_the_file_system_are_one_message(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "results").mkdir()
    command = ["leaderboard", "--results", tmp_path / "results", "--output"]
    code, _, said = run(*command, tmp_path / "file" / "below")
    assert (code, "Traceback" in said) == (2, False)
    assert f"{tmp_path / 'file'}" in said

    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    code, _, said = run(*command, tmp_path / "board")
    assert (code, said) == (
        2, f"l96bench: [Errno 28] No space left on device: '{tmp_path}/board/README.md'; make room there\n",
    )  # fmt: skip
    assert list((tmp_path / "board").iterdir()) == []


def test_a_terminal_that_lacks_a_letter_shows_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    with pytest.raises(SystemExit):
        main(["check", "Örsted"])
    sys.stdout.flush()
    assert b"wrong: \\xd6rsted: expected a folder" in sys.stdout.buffer.getvalue()  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tasks", "online"], "no family 'online'. Did you mean 'online-rollout'?"),
        (["data", "make", "--regime", "wilks-f21"], "no data sets of 'wilks-f21'. Did you mean 'wilks-f20'"),
        (["data", "list", "--regime", "da-k40"], "no data sets of 'da-k40'."),
        (["data", "list", "--split", "trian"], "no data sets of 'trian'. Did you mean 'train'"),
        (["data", "verify", "--regime", "three-scale", "--split", "shift"], "three-scale has no shift"),
        (["data", "export", "subgrid-forcing/wilks-f20", "out"], "Did you mean 'subgrid-forcing/wilks-f20-v1'"),
        (["run", "quartik"], "no entry 'quartik': expected the key or title of a baseline"),
        (["run", "quartic", "--task", "nothing"], "no task 'nothing'."),
        (["run", "quartic", "--regime", "wilks-f21"], "no tasks for the regime 'wilks-f21'."),
        (["run", "--task", OFFLINE, "--regime", "wilks-f20"], "expected --task or --regime, got both"),
        (["run", "quartic", "--all"], "expected names of entries or --all, got both"),
        (["score", "a.npz"], "no file 'a.npz'; looked for /"),
        (["score", "b.npz"], "expected one --task for b.npz"),
        (["run", "b.npz"], "expected something to train, got what is ready"),
        (["export", "b.npz", "out"], "expected a model, got a file of predictions"),
        (["report", "b.npz"], "expected a model, got a file of predictions"),
        (["verify", "b.npz"], "expected what has rows, got an artifact"),
        (
            ["run", "da_linear", "--regime", "wilks-f20"],
            "enters nothing on wilks-f20: it is for families ['da-",
        ),
        (["run", "rl_td3", "--no-slow"], "those that train for minutes are left out (--no-slow)"),
        (["score", "nowhere:model", "--task", OFFLINE], "no module 'nowhere'"),
        (["score", "b.npz", "--task", ONLINE], "cannot score a file of predictions"),
        (["score", "b.json", "--task", "equation-recovery/single-v1"], "b.json: "),
        (["leaderboard", "--results", "nowhere"], "nowhere: expected a folder of results"),
        (["card", "quartic", "--results", "nowhere"], "nowhere: expected a folder of results"),
    ],
)
def test_our_errors_are_one_message_and_exit_code_2(
    run: Run, arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b.npz", "b.json"):
        (tmp_path / name).write_text("[")
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("l96bench: ")
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize("arguments", [["nonsense"], ["run", "--seeds", "0"], ["data", "--regime", "wilks-f20"]])
def test_wrong_usage_is_explained(run: Run, arguments: list[str]) -> None:
    code, _, err = run(*arguments)
    assert code == 2
    assert "Usage: " in err
    assert "Traceback" not in err


@pytest.mark.parametrize("arguments", [["--help"], ["data", "--help"], ["run", "--help"], ["leaderboard", "--help"]])
def test_help_is_there(run: Run, arguments: list[str]) -> None:
    code, out, _ = run(*arguments)
    assert code == 0
    assert "Usage: " in out


def test_an_interrupt_says_how_to_go_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("l96bench.entries.run.plan", interrupt)
    code, _, err = run("run", "linear")
    assert code == 130
    assert "the same command carries on" in err


@pytest.mark.slow
def test_the_module_is_a_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "l96bench", "tasks", "nothing"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("l96bench: no family 'nothing'.")


# Runs and scores.


@pytest.mark.slow
@pytest.mark.usefixtures("miniature_registry")
def test_run_writes_a_result_for_every_entry_and_task(run: Run, tmp_path: Path) -> None:
    arguments = ["run", "linear", "no_closure", "--task", OFFLINE, "--task", ONLINE, "--jobs", "1"]
    code, out, err = run(*arguments, "--output", tmp_path / "out")
    assert code == 0, err
    lines = out.splitlines()
    assert len(lines) == 6
    assert any(line.endswith(f"{ONLINE}  linear") for line in lines)
    assert {path.name for path in (tmp_path / "out").rglob("*.json")} == {
        *("linear.json", "no-closure.json", "u-exactly.json", "perfect-physics.json"),
    }
    again = run(*arguments, "--output", tmp_path / "again", "--seeds", "1")
    assert sorted(again[1].splitlines()) == sorted(lines)


@pytest.fixture
def predictions(offline: SubgridForcing, tmp_path: Path) -> Path:
    U = Polynomial([-2.0, -0.5]).predict(offline.test.X)
    return l96bench.export_predictions(tmp_path / "line.npz", offline, U)


def changed(path: Path, U: np.ndarray) -> None:
    """Write other predictions for the same data."""
    with np.load(path) as file:
        data = file["data"]
    np.savez(path, data=data, test=U)


@pytest.mark.slow
@pytest.mark.usefixtures("miniature_registry")
def test_score_prints_and_writes(run: Run, predictions: Path, offline: SubgridForcing, tmp_path: Path) -> None:
    code, out, _ = run("score", predictions, "--task", OFFLINE, "--output", tmp_path / "out")
    expected = offline.evaluate(Polynomial([-2.0, -0.5])).score
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == f"{OFFLINE}  line"
    assert lines[1] == f"score {expected.value:.2f} [{expected.low:.2f}, {expected.high:.2f}]"
    assert any(line.startswith("  rmse ") for line in lines)
    assert lines[-1] == f"  failures: 0 not finite, 0 diverged, of {offline.test.U.size}"
    assert Result.read(tmp_path / "out" / OFFLINE / "line.json").score == expected


@pytest.mark.usefixtures("miniature_registry")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda path, U: path.write_bytes(path.read_bytes()[:-100]), "expected an .npz file of plain arrays"),
        (lambda path, U: changed(path, np.array([{}], dtype=object)), "objects (pickles) are never loaded"),
        (lambda path, U: changed(path, U[:1]), "got (1, 600, 8)"),
        (lambda path, U: changed(path, U * 1j), "got complex128"),
        (lambda path, U: np.savez(path, test=U), "expected an array `data`"),
        (lambda path, U: np.savez(path, prediction=U), "expected the arrays `test`"),
        (lambda path, U: path.unlink(), "no file"),
    ],
    ids=["truncated", "pickled", "shape", "complex", "data", "name", "absent"],
)
def test_predictions_that_cannot_be_scored(
    run: Run, predictions: Path, offline: SubgridForcing, change: Callable[[Path, np.ndarray], object], message: str
) -> None:
    change(predictions, np.array(offline.test.U))
    code, out, err = run("score", predictions, "--task", OFFLINE)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


# The board.


@pytest.fixture
def board(run: Run, predictions: Path, tmp_path: Path, miniature_registry: Path) -> Path:
    """A folder with results, the tables made from them and a README."""
    folder = tmp_path / "leaderboard"
    run("score", predictions, "--task", OFFLINE, "--output", folder / "results")
    run("run", "linear", "--task", OFFLINE, "--jobs", "1", "--output", folder / "results")
    (folder / "README-of-all.md").write_text("# All\n\n<!-- l96bench:tables -->\n<!-- /l96bench:tables -->\n")
    assert run("leaderboard", *_places(folder))[:2] == (0, f"{folder}: written from {folder / 'results'}\n")
    return folder


def _places(folder: Path) -> list[str | Path]:
    return ["--results", folder / "results", "--output", folder, "--readme", folder / "README-of-all.md"]


@pytest.mark.slow
def test_the_leaderboard_is_checked_to_the_character(run: Run, board: Path) -> None:
    assert run("leaderboard", *_places(board), "--check")[0] == 0
    for name in ("README.md", "README-of-all.md", "cards/line.md", "cards/linear.md"):
        before = (board / name).read_text()
        place = before.index("]") + 1
        for after in (before[:place] + "." + before[place + 1 :], before + "\n"):
            if name == "README-of-all.md" and after == before + "\n":
                continue  # outside the tables it is the author's
            (board / name).write_text(after)
            code, out, _ = run("leaderboard", *_places(board), "--check")
            assert code == 1
            assert Path(name).name in out
        (board / name).write_text(before)
    assert run("leaderboard", *_places(board), "--check")[0] == 0


@pytest.mark.slow
def test_own_rows_are_shown_among_the_boards(run: Run, board: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = board.parent / "own"
    (own / OFFLINE).mkdir(parents=True)
    (board / "results" / OFFLINE / "line.json").rename(own / OFFLINE / "line.json")
    monkeypatch.chdir(board.parent)
    (board / "index.html").touch()
    code, out, _ = run("leaderboard", "--results", own, "--beside")
    assert code == 0
    assert [name for name in ("line", "linear", "U exactly") if f"[{name}]" in out] == ["line", "linear", "U exactly"]
    assert "[linear]" not in run("leaderboard", "--results", own)[1]


@pytest.mark.slow
def test_check_writes_nothing(run: Run, board: Path) -> None:
    (board / "README.md").unlink()
    before = {path: path.read_bytes() for path in board.rglob("*") if path.is_file()}
    code, out, _ = run("leaderboard", *_places(board), "--check")
    assert code == 1
    assert "README.md: missing" in out
    assert {path: path.read_bytes() for path in board.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_the_leaderboard_is_shown(run: Run, board: Path) -> None:
    code, out, _ = run("leaderboard", *_places(board), "--show")
    assert code == 0
    assert f"`{OFFLINE}`" in out
    assert "linear" in out


@pytest.mark.slow
def test_showing_writes_nothing_and_finds_the_board(
    run: Run, board: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    below = board / "results" / "subgrid-forcing"
    monkeypatch.chdir(below)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for arguments in ([], ["--show"], ["--results", board / "results"]):
        code, out, _ = run("leaderboard", *arguments)
        assert code == 0
        assert f"`{OFFLINE}`" in out
    assert "linear" in run("card", "linear")[1]
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    (board / "cards" / "linear.md").unlink()
    assert run("leaderboard", "--check")[0] == 1
    assert run("leaderboard", "--write")[0] == 0
    assert (board / "cards" / "linear.md").exists()


@pytest.mark.slow
def test_results_that_are_no_boards_do_not_overwrite_one(run: Run, board: Path, tmp_path: Path) -> None:
    own = tmp_path / "results"
    (board / "results").rename(own)
    code, _, err = run("leaderboard", "--results", own, "--write")
    assert code == 2
    assert "expected --output with results that are no board's" in err


@pytest.mark.slow
def test_every_name_of_an_entry_has_its_card(run: Run, board: Path, predictions: Path) -> None:
    card = (board / "cards" / "linear.md").read_text().rstrip()
    row = board / "results" / OFFLINE / "linear.json"
    for name in ("linear", "LINEAR", baselines_folder() / "linear.py", row):
        assert run("card", name, "--results", board / "results")[1].rstrip() == card
    assert run("card", predictions, "--results", board / "results")[0] == 0


@pytest.mark.slow
@pytest.mark.usefixtures("miniature_registry")
def test_an_entry_is_trained_to_be_scored_and_a_result_is_shown(run: Run, board: Path) -> None:
    row = board / "results" / OFFLINE / "linear.json"
    code, out, err = run("score", "Linear", "--task", OFFLINE)
    assert (code, err) == (0, "")
    assert run("score", row)[1].splitlines()[:2] == out.splitlines()[:2]


@pytest.mark.slow
@pytest.mark.usefixtures("miniature_registry")
@pytest.mark.parametrize("arguments", [["--traceback"], []])
def test_tracebacks_are_shown_when_they_are_asked_for(run: Run, tmp_path: Path, arguments: list[str]) -> None:
    script = tmp_path / "unlucky_script.py"
    script.write_text(
        "import l96bench\n\ndef make(task, seed):\n    return {}['unlucky']\n\n"
        "entry = l96bench.Entry('unlucky', 'none', 'none', make)\n"
    )
    code, _, err = run("run", script, "--task", OFFLINE, "--jobs", "1", *arguments, "--output", tmp_path / "out")
    assert code == 2
    assert f"make of 'unlucky' raised KeyError: 'unlucky' [{script}, line 4, in make]" in err
    assert ("Traceback (most recent call last)" in err) == bool(arguments)
    assert TRACEBACK not in os.environ


def test_the_version_is_printed(run: Run) -> None:
    assert run("--version") == (0, f"l96bench {l96bench.__version__}\n", "")


@pytest.mark.slow
def test_a_card_is_printed(run: Run, board: Path) -> None:
    code, out, _ = run("card", "linear", "--results", board / "results")
    assert code == 0
    assert out.rstrip() == (board / "cards" / "linear.md").read_text().rstrip()
    code, _, err = run("card", "linaer", "--results", board / "results")
    assert code == 2
    assert "no entry 'linaer' among the rows. Did you mean 'linear'" in err


@pytest.mark.slow
def test_a_broken_result_is_named(run: Run, board: Path) -> None:
    path = board / "results" / OFFLINE / "linear.json"
    path.write_text(path.read_text().replace('"score"', '"scores"', 1))
    code, _, err = run("leaderboard", *_places(board))
    assert code == 2
    assert str(path) in err


@pytest.mark.slow
def test_a_reader_who_has_seen_enough_has_a_status_of_its_own() -> None:
    """1 would say that rows differ; Click gives it to every closed pipe."""
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run([sys.executable, "-m", "l96bench", "tasks"], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (ended.returncode, ended.stderr) == (141, "")

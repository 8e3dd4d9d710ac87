"""A family, a regime and a closure of another package go through the whole house without a change to it."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from joblib import Parallel, delayed

import l96bench
from l96bench.cli import main
from l96bench.errors import L96BenchError, UnknownIdError
from tests.examples import fill_in

TASK = "ring-mean/wilks-f20-v1"
SCRIPT = """
import l96bench
from ring_mean import RingLine

entry = l96bench.Entry("ring line", "polynomial", "X", lambda task, seed: RingLine(), families=("ring-mean",))
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package with the family `ring-mean` and the regime `mild`, in a folder of its own."""
    site = tmp_path / "site"
    (site / "outsider-1.0.dist-info").mkdir(parents=True)
    (site / "outsider-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: outsider\nVersion: 1.0\n")
    (site / "outsider-1.0.dist-info" / "entry_points.txt").write_text(
        "[l96bench.tasks]\nring-mean = ring_mean:RingMean\nbroken = ring_mean:Missing\n"
        "[l96bench.regimes]\nmild = mild_regime:mild\n"
    )
    (site / "ring_mean.py").write_text(Path(__file__).with_name("ring_mean.py").read_text())
    (site / "mild_regime.py").write_text('import l96bench\n\nmild = l96bench.Regime("mild", 8, 4, 14.0)\n')
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=":")
    monkeypatch.setenv("L96BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    yield site
    for name in ("ring_mean", "mild_regime"):
        sys.modules.pop(name, None)
    gymnasium.registry.pop("outsider/RingMean-v0", None)


def run(*arguments: str | Path) -> int:
    try:
        main([str(each) for each in arguments])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.mark.slow
def test_a_family_of_another_package_goes_through_the_whole_house(
    package: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert TASK in l96bench.list_tasks()
    l96bench.check_task(l96bench.make_task(TASK))
    (tmp_path / "mine.py").write_text(SCRIPT)
    assert run("run", "mine.py", "--output", "results", "--jobs", "1") == 0
    row = l96bench.Result.read(tmp_path / "results" / TASK / "ring-line.json")
    assert 20.0 < row.score.value < 95.0
    names = [f"{split}/{array}" for split in ("train", "test") for array in ("X", "mean")]
    assert set(row.data_digests) == {f"ring-mean/wilks-f20/{name}" for name in names}
    assert run("leaderboard", "--results", "results", "--output", "board") == 0
    assert "Ring mean" in (tmp_path / "board" / "index.html").read_text()
    assert "Root mean square error of the ring" in (tmp_path / "board" / "README.md").read_text()
    assert run("card", "ring line", "--results", "results") == 0
    assert "Ring mean" in capsys.readouterr().out
    assert run("export", "mine.py", "mine") == 0
    assert run("check", "mine") == 0, capsys.readouterr().out
    assert run("score", "mine") == 0, capsys.readouterr()
    assert f"{row.score.value:.2f}" in capsys.readouterr().out
    assert run("submit", "mine", "--board", "shared") == 0
    assert run("verify", "mine", "--board", "shared") == 0
    assert "identical" in capsys.readouterr().out
    assert run("init", "fresh", "--family", "ring-mean") == 0
    fill_in("fresh")
    assert run("check", "fresh") == 0
    env = l96bench.make_task(TASK).make_env()
    env.reset(seed=0)
    assert env.step(env.action_space.sample())[2]


def test_a_broken_family_stops_nobody_else(package: Path) -> None:
    from l96bench.tasks import families, find_family

    assert {"ring-mean", "online-rollout"} < set(families())
    with pytest.raises(L96BenchError, match=r"'broken' of outsider 1.0 .* cannot be loaded: AttributeError") as caught:
        find_family("broken")
    assert isinstance(caught.value.__cause__, AttributeError)
    with pytest.raises(UnknownIdError, match="ring-mean/wilks-f20-v1"):
        l96bench.make_task("ring-men/wilks-f20-v1")


def score(task: l96bench.Task) -> float:
    return task.score(l96bench.NoClosure())


@pytest.mark.slow
def test_a_regime_of_another_package_has_tasks_here_and_in_other_processes(package: Path) -> None:
    task = l96bench.make_task("subgrid-forcing/mild-v1").miniature()
    assert task.regime.J == 4
    here = score(task)
    assert Parallel(n_jobs=2)(delayed(score)(each) for each in (task, task)) == [here, here]
    assert "online-rollout/mild-v2" in l96bench.list_tasks()
    env = gymnasium.make("l96bench/OnlineRollout-v2", regime="mild")
    assert env.observation_space.shape == (8,)


DIAGNOSTIC = """
from l96bench.diagnostics import Section, figure, register_diagnostic


@register_diagnostic("ring_error", "Error of the ring's mean", kind="ring-mean")
def ring_error(subject, results):
    assert subject.task.family == "ring-mean"
    picture = figure(3.0, 2.0)
    picture.subplots().plot([0.0, 1.0])
    return Section("A line that is drawn.", ("what", "value"), [("a", "1")], picture)
"""
TWO_FAMILIES = """
import l96bench

entry = l96bench.Entry(
    "no closure here", "none", "none", lambda task, seed: lambda X: 0.0 * X.mean(axis=1),
    families=("subgrid-forcing", "ring-mean"), regimes=("wilks-f20",),
)
"""


@pytest.mark.slow
def test_a_diagnostic_of_another_family_is_checked_and_made(package: Path, tmp_path: Path) -> None:
    """Also of an entry that enters families of ours, which have other diagnostics."""
    (package / "ring_error.py").write_text(DIAGNOSTIC)
    (package / "outsider-1.0.dist-info" / "entry_points.txt").open("a").write(
        "[l96bench.diagnostics]\nring_error = ring_error:ring_error\n"
    )
    (tmp_path / "two_families.py").write_text(TWO_FAMILIES)
    code = "import l96bench; l96bench.diagnostics.check_diagnostic('ring_error')"
    subprocess.run([sys.executable, "-c", code], check=True)
    command = [sys.executable, "-m", "l96bench", "diagnose", "ring_error", "two_families.py", "--output", "page"]
    assert "A line that is drawn." in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (tmp_path / "page" / "ring_error.png").is_file()


REGIME = """
import l96bench

l96bench.register_regime(l96bench.Regime("of-a-script", 8, 3, 11.0))
make = lambda task, seed: lambda X: -0.5 * X.mean(axis=1)
entry = l96bench.Entry("half", "polynomial", "X_k", make, families=("ring-mean",), regimes=("of-a-script",))
"""


@pytest.mark.slow
def test_a_row_on_a_regime_of_a_script_is_verified_by_its_script(package: Path, tmp_path: Path) -> None:
    """In a process that has not seen the regime."""
    (tmp_path / "half.py").write_text(REGIME)

    def program(*arguments: str) -> str:
        command = [sys.executable, "-m", "l96bench", *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    program("run", "half.py", "--output", "results", "--jobs", "1")
    assert "identical" in program("verify", "results/ring-mean/of-a-script-v1/half.json")


REGISTERED = """
import pickle, sys
task = pickle.load(open(sys.argv[1], "rb"))
print(task.regime, task.miniature().train.X.shape)
"""


@pytest.mark.slow
def test_a_task_takes_a_regime_of_ones_own_along(tmp_path: Path) -> None:
    regime = l96bench.Regime("of-a-test", 9, 3, 11.0)
    assert l96bench.register_regime(regime) is regime
    l96bench.register_regime(regime)
    with pytest.raises(L96BenchError, match="of-a-test"):
        l96bench.register_regime(l96bench.Regime("of-a-test", 9, 3, 12.0))
    task = l96bench.make_task("online-rollout/of-a-test-v2")
    (tmp_path / "task").write_bytes(pickle.dumps(task))
    command = [sys.executable, "-c", REGISTERED, tmp_path / "task"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "F=11.0" in out
    assert "(1200, 9)" in out


@pytest.mark.slow
@pytest.mark.parametrize("id", l96bench.list_tasks())
def test_our_own_tasks_pass_what_outsiders_must(id: str) -> None:
    task = l96bench.make_task(id)
    if task.regime_id == type(task).default_regimes[0]:
        l96bench.check_task(task)


class Cheating:
    """Keeps members in mind from call to call, whatever generator it gets."""

    deterministic = True

    def start(self, n_members: int, rng: np.random.Generator) -> None:
        self.seen = 0.0

    def step(self, X: np.ndarray) -> np.ndarray:
        return -X + X.mean(axis=0)


def test_closures_are_checked() -> None:
    l96bench.check_closure(l96bench.Polynomial([1.0, -1.0]))
    l96bench.check_closure(lambda X: -X)
    l96bench.check_closure(l96bench.AR1Closure(l96bench.Polynomial([1.0, -1.0]), 0.9, 1.0, 0.05))
    with pytest.raises(L96BenchError, match="finite U"):
        l96bench.check_closure(lambda X: np.full_like(X, np.nan))
    with pytest.raises(L96BenchError, match="the same U from the same generator"):
        l96bench.check_closure(lambda X: np.random.default_rng().normal(size=X.shape))
    with pytest.raises(L96BenchError, match="depend on it alone"):
        l96bench.check_closure(lambda X: np.cumsum(X, axis=0))

"""Runs on a real cluster: a scheduler and two workers, each a process with a cache of its own, on the loopback."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from l96bench import parallel
from l96bench.entries import run as program
from l96bench.entries.run import plan, run_jobs
from l96bench.errors import ClusterError, L96BenchError
from l96bench.parallel import in_parallel
from l96bench.regimes import Regime, register_regime
from l96bench.results.record import Result
from l96bench.tasks.datasets import data_sets, make_data_sets

distributed = pytest.importorskip("distributed")

OFFLINE, RECOVERY = "subgrid-forcing/wilks-f20-v1", "equation-recovery/single-v1"

LINES = """
import os
import time

import l96bench

LOG = {log!r}


class Line(l96bench.PolynomialRegressor):
    def __init__(self, seed=0):
        super().__init__(degree=1)
        self.seed = seed

    def fit(self, X, y):
        super().fit(X, y)
        self.coef_ = self.coef_ * (1.0 + 0.02 * self.seed)
        if len(X) == 1200 and {pause}:
            with open(LOG, "a") as log:
                print(self.seed, os.getpid(), file=log, flush=True)
            time.sleep({pause})
        return self


entry = l96bench.Entry("lines", "polynomial", "X_k", lambda task, seed: Line(seed), seeds=range(8))
"""

MODULE = """
import l96bench


class Guess:
    def fit(self, X, t):
        self.n = len(X)

    def equations(self):
        return [f"{8 + self.n / 1e4} - X[k]"]


noisy = l96bench.AR1Regressor(l96bench.PolynomialRegressor(degree=2))
guess = l96bench.Entry("guess", "guess", "none", lambda task, seed: Guess(), families=["equation-recovery"])
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a scheduler with two workers, which know none of the tests' files."""
    folder = tmp_path_factory.mktemp("cluster")
    file = folder / "scheduler.json"
    settings = {"WORKER__DAEMON": "False", "SCHEDULER__ALLOWED_FAILURES": "1"}
    environment = os.environ | {f"DASK_DISTRIBUTED__{name}": value for name, value in settings.items()}
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])

    def start(kind: str, name: str, *options: str) -> subprocess.Popen[bytes]:
        (folder / name).mkdir()
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--no-dashboard", "--scheduler-file", file]
        own = environment | {"L96BENCH_CACHE": str(folder / name / "cache")}
        with (folder / name / "log").open("w") as log:
            return subprocess.Popen([*command, *options], cwd=folder / name, env=own, stdout=log, stderr=log)

    started = [start("scheduler", "scheduler", "--host", "127.0.0.1", "--port", "0")]
    try:
        for name in ("one", "two"):
            options = ("--nthreads", "1", "--death-timeout", "60")
            started.append(start("worker", name, *options, "--local-directory", str(folder / name)))
        deadline = time.monotonic() + 300.0
        while not file.exists() or not file.read_text().endswith("}"):
            assert time.monotonic() < deadline, (folder / "scheduler" / "log").read_text()
            time.sleep(0.05)
        address = json.loads(file.read_text())["address"]
        with distributed.Client(address, timeout=300, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=300)
        yield address
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def here(tmp_path: Path, miniature_registry: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The driver's folder, with an empty cache."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def without_cost(results: list[Result]) -> list[dict]:
    return [result.model_dump(exclude={"cost"}) for result in results]


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("apart", [False, True])
def test_a_cluster_gives_what_this_process_gives(
    cluster: str, here: Path, monkeypatch: pytest.MonkeyPatch, apart: bool
) -> None:
    (here / "models_of_the_drivers.py").write_text(MODULE)
    jobs = [
        *plan(["quartic", "models_of_the_drivers:noisy"], [OFFLINE]),
        *plan(["models_of_the_drivers:guess"], [RECOVERY]),
    ]
    try:
        there = run_jobs(jobs, here / "there", dask=cluster, apart=apart)
        monkeypatch.setenv("L96BENCH_CACHE", str(here / "another"))
        local = run_jobs(jobs, here / "local", n_jobs=1)
    finally:
        sys.modules.pop("models_of_the_drivers", None)
    assert without_cost(there) == without_cost(local)
    assert {result.task for result in there} == {OFFLINE, RECOVERY}
    digests = [[result.predictions_digest for result in results] for results in (there, local)]
    assert digests[0] == digests[1]


def test_a_regime_of_ones_own_goes_to_the_workers(cluster: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register_regime(Regime("of-a-cluster", 9, 4, 12.0))
    jobs = plan(["linear"], ["subgrid-forcing/of-a-cluster-v1", "online-rollout/of-a-cluster-v2"])
    there = run_jobs(jobs, here / "there", dask=cluster, apart=True)
    monkeypatch.setenv("L96BENCH_CACHE", str(here / "another"))
    assert without_cost(there) == without_cost(run_jobs(jobs, here / "local", n_jobs=2))


def test_a_worker_that_is_killed_loses_nothing_and_nothing_is_scored_twice(
    cluster: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, script, lines = here / "trainings.log", here / "lines.py", Counter[str]()
    script.write_text(LINES.format(log=str(log), pause=0.4))
    log.touch()
    kept, write = Counter[Path](), program.write_checked

    def counted(path: Path, text: str) -> None:
        kept[path] += 1
        write(path, text)

    monkeypatch.setattr(program, "write_checked", counted)

    def kill() -> None:
        wait_for(lambda: len(log.read_text().splitlines()) >= 4)
        os.kill(int(log.read_text().split()[-1]), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    there = run_jobs(
        plan(["lines.py"], [OFFLINE]), here / "there", dask=cluster, report=lambda line: lines.update([line])
    )
    killer.join()

    trained = Counter(int(line.split()[0]) for line in log.read_text().splitlines())
    processes = {line.split()[1] for line in log.read_text().splitlines()}
    assert set(trained) == set(range(8))
    assert sum(trained.values()) > 8  # what the killed worker had begun was begun again, by another process
    assert len(processes) >= 2
    assert len(kept) == 8 + 1  # one for each seed, and the ceiling
    assert set(kept.values()) == set(lines.values()) == {1}
    assert there[0].model.seeds == list(range(8))
    assert list((here / "cache" / "runs").iterdir()) != []

    monkeypatch.setenv("L96BENCH_CACHE", str(here / "another"))
    local = run_jobs(plan(["lines.py"], [OFFLINE]), here / "local", n_jobs=1)
    assert without_cost(there) == without_cost(local)


def test_data_come_from_the_workers_bit_for_bit(cluster: str, here: Path) -> None:
    (instance,) = data_sets(["single"], ["instance-0"])
    assert list(make_data_sets([instance], dask=cluster)) == ["single/instance-0"]
    assert instance.state() == "intact"
    assert list(make_data_sets([instance], dask="tcp://127.0.0.1:1")) == ["single/instance-0"]


def test_an_item_that_fails_on_a_worker_takes_nobody_with_it(cluster: str) -> None:
    outcomes = sorted(in_parallel(math.sqrt, [4.0, -1.0, 9.0], dask=cluster), key=lambda outcome: outcome.index)
    assert [outcome.value for outcome in outcomes] == [2.0, None, 3.0]
    assert outcomes[1].fault.startswith("ValueError: ")


def test_what_is_left_is_cancelled_when_the_driver_stops(cluster: str) -> None:
    outcomes = in_parallel(time.sleep, [0.1] + [0.5] * 30, dask=cluster)
    assert next(outcomes).index == 0
    outcomes.close()  # type: ignore[attr-defined]
    with distributed.Client(cluster, set_as_default=False) as client:
        wait_for(lambda: not client.processing() or not any(client.processing().values()))
        assert client.run(math.sqrt, 4.0) != {}


def test_workers_of_another_version_are_refused(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    other = parallel.installed() | {"l96bench": "0" * 16, "numpy": "1.0"}
    monkeypatch.setattr(parallel, "installed", lambda: other)
    message = (
        r"the worker tcp://127\.0\.0\.1:\d+ has other versions.*l96bench \w{16} \(here 0{16}\), numpy .*\(here 1\.0\)"
    )
    with pytest.raises(ClusterError, match=message):
        list(in_parallel(math.sqrt, [1.0], dask=cluster))
    monkeypatch.setattr(parallel, "_check_workers", lambda client, address: None)  # a worker that joins later
    with pytest.raises(ClusterError, match=message):
        list(in_parallel(math.sqrt, [1.0, 4.0], dask=cluster))


def test_an_item_that_keeps_ending_its_worker_is_one_fault(cluster: str) -> None:
    (outcome,) = in_parallel(os._exit, [1], dask=cluster)
    assert outcome.fault.startswith("KilledWorker: ")
    (after,) = in_parallel(math.sqrt, [16.0], dask=cluster)
    assert after.value == 4.0


BAD = """
import os
import sys
import time

import l96bench


def make(task, seed):
    {make}


entry = l96bench.Entry("bad", "none", "X", make)
"""


def test_bad_neighbours_end_their_own_rows_alone(cluster: str, here: Path) -> None:
    faults = {
        "sys.exit(0)": r"it called sys.exit(0)",
        "os._exit(3)": r"it ended its process (exit code 3)",
        "time.sleep(10000)": r"stopped: expected training to end within 20 s, it went on",
    }
    names = [f"bad{number}.py" for number in range(len(faults))]
    for name, make in zip(names, faults, strict=True):
        (here / name).write_text(BAD.format(make=make))
    with distributed.Client(cluster, set_as_default=False) as client:
        workers = set(client.run(os.getpid).values())
        jobs = plan([*names, "linear"], [OFFLINE])
        with pytest.raises(L96BenchError, match="everything else is scored") as caught:
            run_jobs(jobs, here / "out", dask=cluster, apart=True, limit=20.0)
        assert workers <= set(client.run(os.getpid).values())
    for name, fault in zip(names, faults.values(), strict=True):
        assert f"{name} on wilks-f20, seed 0: {fault}" in str(caught.value)
    assert sorted(each.name for each in here.rglob("out/**/*.json")) == ["linear.json", "u-exactly.json"]


@pytest.mark.slow
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://x"])
def test_a_scheduler_that_does_not_answer_is_named(address: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "_PATIENCE", 0.5)
    start = time.monotonic()
    with pytest.raises(L96BenchError, match=rf"no Dask scheduler answers at '{address}'.*such as tcp://host:8786"):
        run_jobs(plan(["linear"], [OFFLINE]), here / "out", dask=address)
    assert time.monotonic() - start < 10.0

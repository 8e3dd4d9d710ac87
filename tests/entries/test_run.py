"""The program that trains and scores, on miniature tasks: what it plans, keeps, repeats and writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from l96bench.data.splits import DATA_REGIMES
from l96bench.data.store import cache_folder
from l96bench.entries.lookup import baseline_names, find_entry
from l96bench.entries.run import CEILING, Job, broken_entries, plan, result_path, run_jobs
from l96bench.entries.sweep import sweep
from l96bench.errors import L96BenchError, UnknownIdError
from l96bench.files import read_checked
from l96bench.regimes import other_regimes
from l96bench.results.record import Result
from l96bench.tasks import discovery
from l96bench.tasks.registry import families, list_tasks, make_task

OFFLINE, ONLINE = "subgrid-forcing/wilks-f20-v1", "online-rollout/wilks-f20-v2"

SCRIPT = """
import os
from pathlib import Path

import l96bench

LOG = Path(__file__).with_suffix(".log")
STOP = Path(__file__).with_suffix(".stop")


class Line(l96bench.PolynomialRegressor):
    def __init__(self, seed=0):
        super().__init__(degree=1)
        self.seed = seed

    def fit(self, X, y):
        with LOG.open("a") as log:
            print(len(X), self.seed, file=log)
        if len(X) == 1200 and STOP.exists() and self.seed == 2:
            raise {"error": RuntimeError, "interrupt": KeyboardInterrupt}[STOP.read_text()]("stopped")
        super().fit(X, y)
        self.coef_ = self.coef_ * (1.0 + 0.02 * self.seed)
        return self


entry = l96bench.Entry("my line", "polynomial", "X_k", lambda task, seed: Line(seed), seeds=range(5))
"""


@pytest.fixture
def script(tmp_path: Path, miniature_registry: Path) -> Path:
    """A script whose entry has five seeds and notes every training; tasks are miniatures, and the cache is empty."""
    path = tmp_path / "line.py"
    path.write_text(SCRIPT)
    return path


def trainings(script: Path) -> list[int]:
    """The seeds that were trained on the whole training set so far, in order."""
    log = script.with_suffix(".log")
    rows = [line.split() for line in log.read_text().splitlines()] if log.exists() else []
    return [int(seed) for n, seed in rows if n == "1200"]


def run(names: list[str], output: Path, tasks: list[str] | None = None, **options: object) -> list[Result]:
    return run_jobs(plan(names, tasks or [OFFLINE, ONLINE], ()), output, n_jobs=1, **options)  # type: ignore[arg-type]


def without_cost(result: Result) -> dict:
    return result.model_dump(exclude={"cost"})


# Plans.


def test_a_plan_is_every_entry_on_every_task_and_the_ceilings() -> None:
    jobs = plan(["linear", "wilks"], None, ["wilks-f20", "arnold-c4"])
    arnold = [OFFLINE.replace("wilks-f20", "arnold-c4"), ONLINE.replace("wilks-f20", "arnold-c4")]
    every = {OFFLINE, ONLINE, *arnold}
    assert {job.task for job in jobs if job.entry == "linear"} == every
    assert {job.task for job in jobs if job.entry == "wilks"} == {OFFLINE, ONLINE}
    assert {job.task for job in jobs if job.entry == CEILING} == every
    assert len(jobs) == len(set(jobs)) == 4 + 2 + 4


def test_tasks_by_their_ids_are_planned_for_all_entries() -> None:
    assert plan(["linear"], [OFFLINE], ()) == [Job("linear", OFFLINE), Job(CEILING, OFFLINE)]


def test_names_given_twice_are_planned_once() -> None:
    assert plan(["linear", "linear"], [OFFLINE, OFFLINE], ()) == [Job("linear", OFFLINE), Job(CEILING, OFFLINE)]


@pytest.mark.slow
def test_without_names_every_baseline_is_planned_where_it_belongs() -> None:
    jobs = plan(None, [OFFLINE.replace("f20", "f18")], ())
    planned = {job.entry for job in jobs} - {CEILING}
    quick = {name for name in baseline_names() if find_entry(name)[0].quick}
    assert planned == {name for name in quick if not name.startswith(("da_", "er_"))} - {"arnold"}
    assert "rl_ppo_forecast" not in quick
    assert {job.task for job in jobs} == {OFFLINE.replace("f20", "f18")}


@pytest.mark.slow
def test_all_baselines_go_on_all_their_regimes_and_tracks() -> None:
    jobs = {job for job in plan(None, every=True) if job.entry != CEILING}
    for name in baseline_names():
        entry, _ = find_entry(name)
        tasks = {job.task for job in jobs if job.entry == name}
        assert tasks == {id for id in list_tasks() if entry.accepts(make_task(id))}, name
        assert tasks != set()
    assert {job.task.split("/")[1] for job in jobs if job.entry == "linear"} == {
        f"{id}-v{n}" for id in (*DATA_REGIMES, *other_regimes()) for n in (1, 2)
    }
    fast = {job.entry for job in plan(None, every=True, slow=False)} - {CEILING}
    assert fast == {name for name in baseline_names() if not find_entry(name)[0].slow}
    assert "rl_td3" not in fast


@pytest.mark.slow
def test_units_are_given_out_once_and_the_longest_first(script: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.py"
    copy.write_text(SCRIPT)
    slow = tmp_path / "slow.py"
    slow.write_text(SCRIPT.replace("seeds=range(5)", "seeds=(7,), slow=True").replace("my line", "slow"))
    lines: list[str] = []
    results = run([str(script), str(copy), str(slow)], tmp_path / "out", [OFFLINE], n_seeds=1, report=lines.append)
    assert lines[0].endswith("slow")
    assert trainings(slow) == [7]
    assert trainings(script) == [0]
    assert trainings(copy) == []  # the same code
    assert results[0] == results[1]


@pytest.mark.slow
def test_a_track_is_planned_for_the_baselines_of_assimilation() -> None:
    jobs = plan(None, None, ["dense", "sparse"])
    quick = {name for name in baseline_names() if name.startswith("da_") and find_entry(name)[0].quick}
    assert {job.entry for job in jobs} - {CEILING} == quick
    assert {job.task for job in jobs} == {"da-increment/dense-v1", "da-increment/sparse-v1"}


@pytest.mark.parametrize(
    ("names", "tasks", "regimes", "message"),
    [
        (["quartik"], None, ["wilks-f20"], "Did you mean 'quartic'"),
        (["quartic"], ["subgrid-forcing/wilks-f21-v1"], [], "Did you mean 'subgrid-forcing/wilks-f20-v1'"),
        (["quartic"], None, ["wilks-f21"], "no tasks for the regime 'wilks-f21'. Did you mean 'wilks-f20'"),
        (["quartic"], None, ["da-k40"], "no tasks for the regime 'da-k40'"),
        (["arnold"], ["online-rollout/wilks-f18-v2"], [], "does not enter .*tracks .'wilks-f20', 'arnold-c4'."),
        (["linear"], ["subgrid-forcing-memory/wilks-f18-v1"], [], "does not enter .*families .'subgrid-forcing', "),
    ],
)
def test_what_cannot_be_planned_says_why(
    names: list[str], tasks: list[str] | None, regimes: list[str], message: str
) -> None:
    with pytest.raises(L96BenchError, match=message):
        plan(names, tasks, regimes)


# Results.


@pytest.mark.slow
def test_results_are_valid_files_in_their_places(miniature_registry: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    results = run(["linear", "no_closure"], tmp_path / "out", report=lines.append)
    paths = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.json"))
    assert paths == sorted(
        f"{task}/{name}.json"
        for task, names in {
            OFFLINE: ["linear", "no-closure", "u-exactly"],
            ONLINE: ["linear", "no-closure", "perfect-physics"],
        }.items()
        for name in names
    )
    assert [(result.task, result.model.name) for result in results][:2] == [(OFFLINE, "linear"), (ONLINE, "linear")]
    for result in results:
        assert Result.read(result_path(tmp_path / "out", result)) == result
    assert len(lines) == len(results)
    assert lines[0].split()[-2:] == [OFFLINE, "linear"]
    linear, ceiling = results[0], results[-1]
    assert linear.model.command == f"l96bench run linear --task {OFFLINE}"
    assert linear.model.trained_on == "train, 2000 MTU"
    assert linear.model.parameters == 2
    assert linear.cost.training_seconds is not None
    assert "r2_budget_10" in linear.metrics
    assert (ceiling.score.value, ceiling.model.kind, ceiling.model.seeds) == (100.0, "reference", [])
    assert list(tmp_path.rglob("*.tmp")) == []


ONE_OF_EACH_FAMILY = {
    "subgrid-forcing": ("linear", {"degree": [1]}),
    "subgrid-forcing-memory": ("memory_polynomial", {"x_lags": [1]}),
    "online-rollout": ("linear", {"degree": [1]}),
    "da-increment": ("da_linear", {"degree": [1]}),
    "equation-recovery": ("er_lasso", {"derivative": [None]}),
    "observed-closure": ("ob_increments_linear", {"degree": [1]}),
    "unseen-physics": ("up_quartic", {"estimator__degree": [2]}),
}


@pytest.mark.slow
@pytest.mark.usefixtures("miniature_registry")
@pytest.mark.parametrize("family", families())
def test_every_family_is_run_and_swept_from_an_empty_cache(family: str, tmp_path: Path) -> None:
    name, options = ONE_OF_EACH_FAMILY[family]
    task = next(id for id in list_tasks(family) if find_entry(name)[0].accepts(make_task(id)))
    result, ceiling = run([name], tmp_path / "out", [task], n_seeds=1)
    assert (result.task, ceiling.task) == (task, task)
    assert np.isfinite(result.score.value)
    assert ceiling.score.value == 100.0
    if not make_task(task).redrawn:
        with pytest.raises(L96BenchError, match=f"{family} has no fresh draws"):
            sweep(name, options, [task], seeds=1, n_jobs=1)
        return
    swept = sweep(name, options, [task], seeds=1, n_jobs=1)
    assert list(swept.score.notna()) == [True]


@pytest.mark.slow
def test_five_seeds_are_one_row(script: Path, tmp_path: Path) -> None:
    result = run([str(script)], tmp_path / "out", [OFFLINE])[0]
    assert [seed.seed for seed in result.score.seeds] == [0, 1, 2, 3, 4]
    values = [seed.value for seed in result.score.seeds]
    assert len(set(values)) == 5
    assert result.score.value == pytest.approx(np.mean(values))
    assert result.score.low <= result.score.value <= result.score.high
    assert result.model.seeds == [0, 1, 2, 3, 4]
    assert trainings(script) == [0, 1, 2, 3, 4]


@pytest.mark.slow
def test_a_model_is_trained_once_for_all_families(script: Path, tmp_path: Path) -> None:
    run([str(script)], tmp_path / "out", n_seeds=1)
    assert trainings(script) == [0]


@pytest.mark.slow
def test_at_most_so_many_seeds(script: Path, tmp_path: Path) -> None:
    result = run([str(script)], tmp_path / "out", [OFFLINE], n_seeds=2)[0]
    assert result.model.seeds == [0, 1]
    assert trainings(script) == [0, 1]
    run([str(script)], tmp_path / "out", [OFFLINE], n_seeds=3)
    assert trainings(script) == [0, 1, 2]


# Repetition.


@pytest.mark.slow
def test_a_second_run_trains_nothing_and_gives_the_same(script: Path, tmp_path: Path) -> None:
    first = run([str(script)], tmp_path / "one", n_seeds=2)
    again = run([str(script)], tmp_path / "two", n_seeds=2)
    assert trainings(script) == [0, 1]
    assert again == first
    for result in first:
        one, two = (result_path(tmp_path / folder, result).read_bytes() for folder in ("one", "two"))
        assert one == two


@pytest.mark.slow
def test_a_fresh_run_trains_again(script: Path, tmp_path: Path) -> None:
    first = run([str(script)], tmp_path / "out", [OFFLINE], n_seeds=2)
    again = run([str(script)], tmp_path / "out", [OFFLINE], n_seeds=2, fresh=True)
    assert trainings(script) == [0, 1, 0, 1]
    assert [without_cost(result) for result in again] == [without_cost(result) for result in first]


@pytest.mark.slow
def test_changed_code_trains_again(script: Path, tmp_path: Path) -> None:
    run([str(script)], tmp_path / "out", [OFFLINE], n_seeds=1)
    script.write_text(SCRIPT.replace("0.02 * self.seed", "0.02 * self.seed + 0.1"))
    changed = run([str(script)], tmp_path / "out", [OFFLINE], n_seeds=1)[0]
    assert trainings(script) == [0, 0]
    assert Result.read(result_path(tmp_path / "out", changed)) == changed


@pytest.mark.slow
def test_an_interrupted_run_carries_on(script: Path, tmp_path: Path) -> None:
    stop = script.with_suffix(".stop")
    stop.write_text("interrupt")
    with pytest.raises(KeyboardInterrupt):
        run([str(script)], tmp_path / "out", [OFFLINE])
    assert list(tmp_path.rglob("my-line.json")) == []
    stop.unlink()
    result = run([str(script)], tmp_path / "out", [OFFLINE])[0]
    assert trainings(script) == [0, 1, 2, 2, 3, 4]
    assert result.model.seeds == [0, 1, 2, 3, 4]


@pytest.mark.slow
def test_an_entry_that_fails_takes_nobody_with_it(script: Path, tmp_path: Path) -> None:
    stop = script.with_suffix(".stop")
    stop.write_text("error")
    fault = (
        r"these failed; everything else is scored and kept:\n .*line\.py on wilks-f20, seed 2: ModelError: Line\.fit "
    )
    with pytest.raises(L96BenchError, match=fault + "raised RuntimeError: stopped"):
        run([str(script), "linear"], tmp_path / "out", [OFFLINE])
    assert sorted(path.name for path in tmp_path.rglob("out/**/*.json")) == ["linear.json", "u-exactly.json"]
    stop.unlink()
    run([str(script), "linear"], tmp_path / "out", [OFFLINE])
    assert trainings(script) == [0, 1, 2, 3, 4, 2]


@pytest.mark.slow
def test_a_kept_result_that_is_lost_is_made_again(script: Path, miniature_registry: Path, tmp_path: Path) -> None:
    run([str(script)], tmp_path / "out", [OFFLINE], n_seeds=2)
    kept = miniature_registry / "runs"
    for path in kept.iterdir():
        if json.loads(read_checked(path) or "")["model"]["seeds"] == [1]:
            path.unlink()
    run([str(script)], tmp_path / "out", [OFFLINE], n_seeds=2)
    assert trainings(script) == [0, 1, 1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage", [lambda text: text.replace('"value": ', '"value": 9', 1), lambda text: "", lambda text: text[:300]]
)
def test_a_damaged_kept_result_is_made_again_with_a_word(
    damage: Callable[[str], str], script: Path, miniature_registry: Path, tmp_path: Path
) -> None:
    first = run([str(script)], tmp_path / "one", [OFFLINE], n_seeds=1)
    for path in (miniature_registry / "runs").iterdir():
        path.write_text(damage(path.read_text()))
    lines: list[str] = []
    again = run([str(script)], tmp_path / "two", [OFFLINE], n_seeds=1, report=lines.append)
    assert [without_cost(result) for result in again] == [without_cost(result) for result in first]
    assert trainings(script) == [0, 0]
    assert sum("its kept result is damaged, and is made again" in line for line in lines) == 2  # the ceiling's too


BAD = """
import os, sys, time
import l96bench

{module}

def make(task, seed):
    {make}
    return l96bench.Polynomial([0.0, -1.0])

entry = l96bench.Entry("bad", "none", "X", make)
"""


@pytest.mark.slow
def test_bad_neighbours_end_their_own_rows_alone(miniature_registry: Path, tmp_path: Path) -> None:
    faults = {
        "sys.exit(0)": r"bad0.py on wilks-f20, seed 0: it called sys.exit(0) [",
        "os._exit(0)": r"bad1.py on wilks-f20, seed 0: it ended its process (exit code 0)",
        "os.kill(os.getpid(), 11)": r"bad2.py on wilks-f20, seed 0: its process was ended by SIGSEGV",
        "time.sleep(10000)": r"bad3.py on wilks-f20, seed 0: stopped: expected training to end within 30 s, it went on",
    }
    for number, make in enumerate(faults):
        (tmp_path / f"bad{number}.py").write_text(BAD.format(module="", make=make))
    names = [*(str(tmp_path / f"bad{number}.py") for number in range(len(faults))), "linear"]
    with pytest.raises(L96BenchError, match="everything else is scored") as caught:
        run_jobs(plan(names, [OFFLINE], ()), tmp_path / "out", n_jobs=1, apart=True, limit=30.0, faults=["known: one"])
    assert all(fault in str(caught.value) for fault in [*faults.values(), "known: one"])
    assert sorted(each.name for each in tmp_path.rglob("out/**/*.json")) == ["linear.json", "u-exactly.json"]


@pytest.mark.slow
def test_what_cannot_be_loaded_is_found_before_it_is(tmp_path: Path) -> None:
    faults = {
        "pass": "",
        "os._exit(0)": "it ended its process (exit code 0)",
        "sys.exit(0)": "bad2.py raised SystemExit: 0",
        "os.kill(os.getpid(), 9)": "its process was ended by SIGKILL",
        "raise KeyError(1)": "raised KeyError: 1",
    }
    for number, module in enumerate(faults):
        (tmp_path / f"bad{number}.py").write_text(BAD.format(module=module, make="pass"))
    names = [str(tmp_path / f"bad{number}.py") for number in range(len(faults))]
    found = broken_entries([*names, "linear", "nothing", "nothing.py", "nothing:nothing"], 600.0)
    assert list(found) == names[1:]
    for name, fault in zip(names[1:], list(faults.values())[1:], strict=True):
        assert fault in found[name]


@pytest.mark.slow
def test_what_never_ends_its_loading_is_found_before_it_is(tmp_path: Path) -> None:
    path = tmp_path / "endless.py"
    path.write_text(BAD.format(module="time.sleep(10000)", make="pass"))
    found = broken_entries([str(path)], 1.0)
    assert "it was stopped: expected it to end within 1 s, it went on" in found[str(path)]


@pytest.mark.slow
def test_several_scripts_may_use_jax(tmp_path: Path) -> None:
    """JAX hangs in the forks of a process that has used it: in a process of their own, which other tests have not."""
    pytest.importorskip("jax", reason="needs JAX")
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text(BAD.format(module="import jax; jax.jit(jax.numpy.sin)(1.0)", make="pass"))
    program = "from l96bench.entries.run import broken_entries; print(broken_entries(['one.py', 'two.py'], 30.0))"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout.splitlines()[-1], done.stderr) == ("{}", "")


@pytest.mark.slow
def test_two_objects_of_one_module_are_two_entries(
    miniature_registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "two_models.py").write_text(
        "import l96bench\none = l96bench.Polynomial([0.0, -1.0])\ntwo = l96bench.Polynomial([-2.0, -0.5])\n"
    )
    monkeypatch.chdir(tmp_path)
    try:
        one, two, _ = run(["two_models:one", "two_models:two"], tmp_path / "out", [OFFLINE])
    finally:
        sys.modules.pop("two_models", None)
    assert (one.model.name, two.model.name) == ("one", "two")
    assert one.score.value != two.score.value
    assert one.model.command == f"l96bench run two_models:one --task {OFFLINE}"


# Processes, on real data.


@pytest.fixture
def own_runs(real_data: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A function that begins an empty cache of runs beside the real data."""
    data = cache_folder() / "v1"
    data.mkdir(parents=True, exist_ok=True)

    def begin(name: str) -> None:
        (tmp_path / name).mkdir()
        (tmp_path / name / "v1").symlink_to(data.resolve(), target_is_directory=True)
        monkeypatch.setenv("L96BENCH_CACHE", str(tmp_path / name))

    return begin


@pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2 if hasattr(os, "sched_getaffinity") else False, reason="one processor"
)
def test_two_processes_give_what_one_gives(own_runs: Callable[[str], None], tmp_path: Path) -> None:
    jobs = plan(["linear", "climatological_mean"], [OFFLINE], ())
    own_runs("one")
    one = run_jobs(jobs, tmp_path / "out", n_jobs=1)
    own_runs("two")
    two = run_jobs(jobs, tmp_path / "out", n_jobs=2)
    assert [without_cost(result) for result in one] == [without_cost(result) for result in two]
    assert one[0].score.value == pytest.approx(78.0, abs=3.0)


def test_an_error_in_a_process_says_where_it_was(own_runs: Callable[[str], None], tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(
        "import l96bench\n"
        "entry = l96bench.Entry('bad', 'none', 'X', lambda task, seed: lambda X: X[0], seeds=range(2))\n"
    )
    own_runs("errors")
    with pytest.raises(L96BenchError, match=r"shape \(4000, 8\).*got shape \(8,\)") as caught:
        run_jobs(plan([str(tmp_path / "bad.py")], [OFFLINE], ()), tmp_path / "out", n_jobs=2)
    assert all(f"bad.py on wilks-f20, seed {seed}: ModelError: " in str(caught.value) for seed in (0, 1))


@pytest.mark.slow
def test_unknown_names_are_found_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(UnknownIdError):
        run_jobs(plan(["linear", "nothing"], [OFFLINE], ()), tmp_path / "out")


# Equations.

RECOVERY = "equation-recovery/single-v1"
EQUATIONS = """
from pathlib import Path

import l96bench

LOG = Path(__file__).with_suffix(".log")


class Guess:
    def fit(self, X, t):
        with LOG.open("a") as log:
            print(len(X), file=log)

    def equations(self):
        return ["8 - X[k]"]


entry = l96bench.Entry("guess", "guess", "none", lambda task, seed: Guess(), families=["equation-recovery"])
"""


@pytest.mark.slow
def test_equations_are_discovered_again_only_where_they_are_missing(
    miniature_registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "guess.py"
    path.write_text(EQUATIONS)
    discover, calls = discovery._Child.discover, []

    def interrupted(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return discover(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(discovery._Child, "discover", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run([str(path)], tmp_path / "out", [RECOVERY])
    (kept,) = (cache_folder() / "discoveries").iterdir()
    result, ceiling = run([str(path)], tmp_path / "out", [RECOVERY])
    assert path.with_suffix(".log").read_text().splitlines() == ["500", "2000"] * 4
    assert not kept.exists()
    assert 0.0 < result.score.value < ceiling.score.value == 100.0
    assert result.cost.training_seconds is not None
    run([str(path)], tmp_path / "out", [RECOVERY], fresh=True)
    assert len(path.with_suffix(".log").read_text().splitlines()) == 16

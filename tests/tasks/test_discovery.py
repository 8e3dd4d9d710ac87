"""Discovery in processes: what fails takes only its own problem with it, seeds are kept, and runs carry on."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
from joblib import Parallel, delayed, parallel_config

from l96bench.errors import ModelError
from l96bench.files import read_checked, write_checked
from l96bench.tasks import discovery
from l96bench.tasks.discovery import DIED, RAISED, TOO_SLOW, Discovery, discover, discover_all

X, T = np.arange(6.0).reshape(3, 2), np.arange(3.0)


@pytest.fixture(autouse=True, scope="module")
def by_value() -> Iterator[None]:
    """The models below travel by value, like those of a script: tests are no package that a child could import."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@dataclass(frozen=True)
class Toy:
    """A problem that says itself what the model below does with it."""

    id: str
    group: int
    command: float = 0.0

    @property
    def words(self) -> tuple[int, ...]:
        return tuple(self.id.encode())

    def observed(self) -> tuple[np.ndarray, np.ndarray]:
        return np.full((2, 2), self.command), T[:2]


class Prepares:
    """Compiles for longer than a problem may take."""

    def prepare(self) -> None:
        time.sleep(1.5)
        os.environ["PREPARED"] = "yes"

    def fit(self, X: np.ndarray, t: np.ndarray) -> None:
        self.found = os.environ.pop("PREPARED", "no")

    def equations(self) -> list[str]:
        return [f"X[k] = {len(self.found)}"]


class CannotPrepare(Prepares):
    def prepare(self) -> None:
        raise OSError("no compiler")


@pytest.mark.slow
def test_what_a_model_prepares_takes_none_of_a_problems_time() -> None:
    found = discover(Prepares(), X, T, limit=1.0)
    assert (found.texts, found.fault) == (("X[k] = 3",), "")
    assert "PREPARED" not in os.environ
    with pytest.raises(ModelError, match="no compiler"):
        discover(CannotPrepare(), X, T, limit=1.0)


FINE, LOOP, C_LOOP, EXIT, SYS_EXIT, SEGFAULT, MEMORY, RAISE = map(float, range(8))


class Model:
    """Does what its data say, and finds one equation that says which process and which random number it had."""

    fitted = 0

    def fit(self, X: np.ndarray, t: np.ndarray) -> Model:
        self.fitted += 1
        command = float(X[0, 0])
        if command == LOOP:
            while True:
                pass
        elif command == C_LOOP:
            ctypes.PyDLL(None).pause()  # with the interpreter lock held: no other thread of that process runs again
        elif command == EXIT:
            os._exit(7)
        elif command == SYS_EXIT:
            sys.exit(3)
        elif command == SEGFAULT:
            ctypes.string_at(0)
        elif command == MEMORY:
            np.ones(10**15)
        elif command == RAISE:
            raise UnheardError("of")
        return self

    def equations(self) -> list[str]:
        return [json.dumps([os.getpid(), np.random.random(), self.fitted])]  # noqa: NPY002


class UnheardError(Exception):
    """An error that cannot be unpickled elsewhere: it needs two arguments."""

    def __init__(self, of: str, *, what: str = "") -> None:
        super().__init__()


class Fits:
    """Half a model."""

    def fit(self, X: np.ndarray, t: np.ndarray) -> None:
        pass


@dataclass
class Finds(Fits):
    """A model that finds the same whatever the data."""

    equations_: Any

    def equations(self) -> Any:
        return self.equations_


def said(found: Discovery) -> tuple[int, float, int]:
    assert found.texts is not None, found
    return tuple(json.loads(found.texts[0]))


@contextmanager
def faster_than(seconds: float) -> Iterator[None]:
    start = time.perf_counter()
    yield
    assert time.perf_counter() - start < seconds


# One failure takes one problem.


@pytest.mark.slow
def test_every_way_to_fail_costs_its_own_problem_only() -> None:
    commands = {
        LOOP: TOO_SLOW,
        C_LOOP: TOO_SLOW,
        EXIT: DIED,
        SEGFAULT: DIED,
        SYS_EXIT: RAISED,
        MEMORY: RAISED,
        RAISE: RAISED,
    }
    problems = []
    for command in commands:
        problems += [Toy(f"bad {command}", 0, command), Toy(f"good after {command}", 0)]
    with faster_than(60.0):
        found = discover_all(Model(), problems, limit=0.5, progress=False)
    for problem, each in zip(problems, found, strict=True):
        assert each.fault == (commands[problem.command] if problem.command else ""), problem.id
        assert (each.texts is None) == bool(problem.command)
    assert "SystemExit: 3" in found[8].message
    assert "MemoryError" in found[10].message
    assert "UnheardError" in found[12].message
    assert 0.5 <= found[0].seconds < 1.0


@pytest.mark.slow
def test_a_process_serves_many_problems_until_it_is_lost() -> None:
    found = discover_all(
        Model(), [Toy("a", 0), Toy("b", 0), Toy("c", 0, EXIT), Toy("d", 1), Toy("e", 1)], progress=False
    )
    first, second, _, third, fourth = (said(each)[0] if each.texts else 0 for each in found)
    assert first == second != third == fourth != os.getpid()


@pytest.mark.slow
def test_equations_must_be_strings_and_not_too_many() -> None:
    answers = ["dx/dt = 1", [1.0], None, [["x"]], ["x" * 2_000_001], ["1"], []]

    class Answers(Finds):
        def fit(self, X: np.ndarray, t: np.ndarray) -> None:
            self.equations_ = self.equations_[int(X[0, 0])]

    problems = [Toy(f"{i}", 0, i) for i in range(len(answers))]
    found = discover_all(Answers(answers), problems, progress=False)
    assert [each.fault for each in found] == [RAISED] * 5 + [""] * 2
    assert [each.texts for each in found] == [None] * 5 + [("1",), ()]
    assert "at most 2000000 characters" in found[4].message


def test_what_is_no_model_is_an_error_at_once() -> None:
    with pytest.raises(ModelError, match="without equations"):
        discover(Fits(), X, T)
    with pytest.raises(ModelError, match="a class"):
        discover(Model, X, T)
    stuck = Finds(threading.Lock())
    with pytest.raises(ModelError, match="cannot be sent"):
        discover(stuck, X, T)


class Unloadable(Finds):
    def __reduce__(self) -> Any:
        return os._exit, (1,)


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_is_an_error() -> None:
    with pytest.raises(ModelError, match="does not start"):
        discover(Unloadable(["1"]), X, T)


# Copies and seeds.


@pytest.mark.slow
def test_every_problem_gets_a_fresh_copy() -> None:
    model = Model()
    found = discover_all(model, [Toy("a", 0), Toy("b", 0)], progress=False)
    assert [said(each)[2] for each in found] == [1, 1]
    assert model.fitted == 0


@pytest.mark.slow
def test_seeds_depend_on_problem_and_seed_and_on_nothing_else() -> None:
    problems = [Toy(name, group) for group, name in enumerate("abcd")]
    draws = [said(each)[1] for each in discover_all(Model(), problems, seed=1, progress=False)]
    assert len(set(draws)) == 4
    again = discover_all(Model(), problems[::-1], seed=1, n_jobs=2, progress=False)
    assert [said(each)[1] for each in again] == draws[::-1]
    assert said(discover_all(Model(), problems[:1], seed=2, progress=False)[0])[1] != draws[0]


@pytest.mark.slow
def test_parameters_called_random_state_are_seeded() -> None:
    class Chain(Finds):
        def get_params(self, deep: bool = True) -> dict[str, Any]:
            return {"random_state": 0, "inner__random_state": None, "inner__alpha": 1.0, "random_state_of": 2}

        def set_params(self, **parameters: Any) -> None:
            self.equations_ = [json.dumps(parameters)]

    found = discover(Chain(None), X, T, seed=5)
    assert found.texts == ('{"random_state": 5, "inner__random_state": 5}',)


# In parallel, and again.


@pytest.mark.slow
def test_groups_run_side_by_side() -> None:
    problems = [Toy(f"{group}", group) for group in range(4)]
    found = discover_all(Model(), problems, n_jobs=2, progress=False)
    assert len({said(each)[0] for each in found}) == 2
    with parallel_config(n_jobs=2):
        found = discover_all(Model(), problems, progress=False)
    assert len({said(each)[0] for each in found}) == 2


@pytest.mark.slow
def test_it_works_inside_a_worker_of_joblib() -> None:
    work = delayed(discover)
    found = Parallel(n_jobs=2)(work(Finds([name]), X, T) for name in "ab")
    assert [each.texts for each in found] == [("a",), ("b",)]


@pytest.mark.slow
def test_an_interrupted_call_carries_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    problems = [Toy("a", 0), Toy("b", 0), Toy("c", 1, RAISE), Toy("d", 2)]

    class StopError(Exception):
        pass

    def observed(self: Toy) -> tuple[np.ndarray, np.ndarray]:
        if self.id == "d":
            raise StopError
        return original(self)

    original = Toy.observed
    monkeypatch.setattr(Toy, "observed", observed)
    with pytest.raises(StopError):
        discover_all(Model(), problems, checkpoint=tmp_path, progress=False)
    monkeypatch.setattr(Toy, "observed", original)
    kept = json.loads(read_checked(tmp_path / "0.kept") or "")
    found = discover_all(Model(), problems, checkpoint=tmp_path, progress=False)
    assert found[0].texts == tuple(kept["a"]["texts"])
    assert [each.fault for each in found] == ["", "", RAISED, ""]
    monkeypatch.setattr(discovery._Child, "discover", None)
    assert discover_all(Model(), problems, checkpoint=tmp_path, progress=False) == found


@pytest.mark.slow
def test_a_damaged_checkpoint_is_made_again(tmp_path: Path) -> None:
    contents = ["", "{", "[1]", '{"0": 3}', '{"0": {"texts": null, "what": 1}}', '{"0": {"texts": 4, "seconds": 1}}']
    for group, content in enumerate(contents):
        write_checked(tmp_path / f"{group}.kept", content)
    (tmp_path / f"{len(contents)}.kept").write_text("half")
    write_checked(changed := tmp_path / f"{len(contents) + 1}.kept", '{"0": {"texts": ["2"], "seconds": 1}}')
    changed.write_text(changed.read_text().replace('"2"', '"3"'))
    problems = [Toy("0", group) for group in range(len(contents) + 2)]
    found = discover_all(Finds(["1"]), problems, checkpoint=tmp_path, progress=False)
    assert {each.texts for each in found} == {("1",)}
    assert {json.loads(read_checked(path) or "")["0"]["texts"][0] for path in tmp_path.glob("*.kept")} == {"1"}


class Greedy:
    """Wants more memory than a fit may have, or starts a process and never ends."""

    def __init__(self, n_bytes: int = 0, place: str = "") -> None:
        self.n_bytes, self.place = n_bytes, place

    def fit(self, X: np.ndarray, t: np.ndarray) -> Greedy:
        if self.n_bytes:
            np.ones(self.n_bytes // 8)
            return self
        started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
        Path(self.place).write_text(str(started.pid))
        while True:
            pass

    def equations(self) -> list[str]:
        return ["0"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the system has no such limit")
def test_a_fit_has_a_limit_on_its_memory() -> None:
    assert discover(Greedy(2**20), X, T).fault == ""
    found = discover(Greedy(7 * 2**30), X, T)
    assert (found.fault, "MemoryError" in found.message) == (RAISED, True)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_what_a_fit_has_started_ends_with_it(tmp_path: Path) -> None:
    place = tmp_path / "pid"
    assert discover(Greedy(0, str(place)), X, T, limit=5.0).fault == TOO_SLOW
    process = Path("/proc", place.read_text())
    end = time.monotonic() + 600.0
    while time.monotonic() < end and process.exists() and ") Z" not in (process / "stat").read_text():
        time.sleep(0.05)
    assert not process.exists() or ") Z" in (process / "stat").read_text()

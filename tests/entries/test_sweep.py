"""Sweeps over options: what is scored, on which data, what is kept, and what is said of options that fail."""

from __future__ import annotations

import shlex
from math import inf
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

import l96bench
from l96bench.cli import main
from l96bench.entries.options import Options, configured, parse_options
from l96bench.entries.sweep import sweep
from l96bench.errors import ArgumentError, L96BenchError, ModelWarning
from l96bench.tasks.registry import make_task

OFFLINE, ONLINE = "subgrid-forcing/wilks-f20-v1", "online-rollout/wilks-f20-v2"
SCRIPT = """
from pathlib import Path

import l96bench
from sklearn.base import BaseEstimator

LOG = Path(__file__).with_suffix(".log")


class Scaled(BaseEstimator):
    def __init__(self, scale=1.0, seed=0, kind=None, option_kind=None, bias=None):
        self.scale, self.seed, self.kind, self.option_kind, self.bias = scale, seed, kind, option_kind, bias

    def fit(self, X, y):
        with LOG.open("a") as log:
            print(self.scale, self.seed, file=log)
        self.inner_ = l96bench.PolynomialRegressor(degree=1).fit(X, y)
        return self

    def predict(self, X):
        return (self.scale + 0.01 * self.seed) * self.inner_.predict(X)


entry = l96bench.Entry("scaled line", "polynomial", "X_k", lambda task, seed: Scaled(seed=seed), seeds=range(2))
"""


@pytest.fixture
def script(tmp_path: Path, miniature_registry: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "scaled.py"
    path.write_text(SCRIPT)
    return path


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("degree=1,2", [1, 2]),
        ("degree=4,", [4]),
        ("hidden=(16,),(16, 16)", [(16,), (16, 16)]),
        ("rate=1e-3,0.1", [0.001, 0.1]),
        ("penalty=l1,l2", ["l1", "l2"]),
        ("penalty=l1", ["l1"]),
        ("penalty='1',None,2,none", ["1", None, 2, "none"]),
        ("inner__radius=True", [True]),
        ("size=relu,(16, 16),[1, 2],{'a': 1}", ["relu", (16, 16), [1, 2], {"a": 1}]),
        ("kind='x, y',z", ["x, y", "z"]),
        ("limit=inf,-inf,1", [inf, -inf, 1]),
    ],
)
def test_options_are_literals_or_texts(text: str, values: list[Any]) -> None:
    ((name, found),) = parse_options([text]).items()
    assert (name, found) == (text.partition("=")[0], values)


@pytest.mark.parametrize(
    "texts", [["degree"], ["=1"], ["degree="], ["a b=1"], ["degree=1", "degree=2"], ["size=(a,b)"], ["size=[1"]]
)
def test_what_is_no_option_is_refused(texts: list[str]) -> None:
    with pytest.raises(ArgumentError, match=r"such as (degree=1,2,3|1,2 or)"):
        parse_options(texts)


@pytest.mark.slow
def test_a_sweep_scores_every_combination_on_data_of_its_own(script: Path) -> None:
    found = sweep("scaled.py", {"scale": [0.5, 1.0], "kind": ["a"]}, [OFFLINE], n_jobs=1, draw=3)
    assert found["scale"].tolist() == [1.0, 0.5]
    assert set(found["option_kind"]) == {"a"}
    assert set(found["fault"]) == {""}
    assert [list(each) for each in found["seeds"]] == [[0, 1], [0, 1]]
    task = make_task(OFFLINE)
    line = l96bench.PolynomialRegressor(degree=1)
    task.fit(line)
    drawn = task.fresh(3)
    expected = [drawn.score(lambda X, scale=scale: scale * line.predict(X)) for scale in (1.0, 1.01)]
    assert found["score"].iloc[0] == pytest.approx(np.mean(expected), rel=1e-9)
    assert set(found["split"]) == {"fresh draw 3"}
    assert found["score"].iloc[0] != pytest.approx(task.score(line), abs=1e-3)


@pytest.mark.slow
def test_what_is_scored_is_kept_and_another_draw_is_another_result(script: Path) -> None:
    def trainings() -> int:
        return len(script.with_suffix(".log").read_text().splitlines())

    first = sweep("scaled.py", {"scale": [0.5]}, [OFFLINE], n_jobs=1)
    assert trainings() == 2
    pd.testing.assert_frame_equal(first, sweep("scaled.py", {"scale": [0.5]}, [OFFLINE], n_jobs=1))
    assert trainings() == 2
    sweep("scaled.py", {"scale": [0.5, 0.6]}, [OFFLINE], n_jobs=1, seeds=1)
    assert trainings() == 3
    other = sweep("scaled.py", {"scale": [0.5]}, [OFFLINE], n_jobs=1, draw=1)
    assert trainings() == 5
    assert other["score"].iloc[0] != first["score"].iloc[0]


@pytest.mark.slow
def test_a_combination_that_fails_is_a_row_that_says_so(script: Path) -> None:
    options = {"scale": ["x", 1.0], "bias": [[0, 1]], "kind": [None], "option_kind": [2]}
    with pytest.warns(ModelWarning, match="scale='x'"):
        found = sweep("scaled.py", options, [OFFLINE], n_jobs=1)
    assert list(found)[:5] == ["scale", "option_bias", "option_option_kind", "option_kind", "fault"]
    assert found["option_bias"].tolist() == [[0, 1]] * 2
    assert found["scale"].tolist() == [1.0, "x"]
    assert found["fault"].iloc[0] == ""
    assert "TypeError" in found["fault"].iloc[1]
    assert np.isnan(found["score"].iloc[1])


class Lookalike:
    def __init__(self, content: int) -> None:
        self.content = content

    def __repr__(self) -> str:
        return "1"


def test_options_are_told_apart_by_all_that_is_in_them() -> None:
    values = [1, 1.0, True, "1", [1], {"a": 1}, np.arange(2000), np.arange(2000) + (np.arange(2000) == 1000)]
    values += [Lookalike(2), Lookalike(3), inf, float("nan"), np.arange(2), None]
    assert len({Options.of({"a": value}) for value in values}) == len(values)
    assert Options.of({"a": np.float64(0.5), "b": [1]}) == Options.of({"a": 0.5, "b": [1]})
    assert Options.of({"a": Lookalike(2)}) == Options.of({"a": Lookalike(2)})


@pytest.mark.parametrize("value", [np.float64(0.5), "a, 'b'", (1, "a"), None, inf, [-1], "nan", "", {"x": (1, 2)}])
def test_the_command_of_a_row_makes_it_again(value: Any) -> None:
    options = Options.of({"scale": value})
    *_, option, _, draw = shlex.split(options.command("my script.py", OFFLINE, 3))
    assert draw == "3"
    assert [Options.of({"scale": each}) for each in parse_options([option])["scale"]] == [options]


def test_what_no_command_line_can_say_is_said_in_python() -> None:
    told = Options.of({"kind": Ridge(alpha=2.0)}).command("scaled.py", OFFLINE, 0)
    assert told == f"l96bench.sweep('scaled.py', {{'kind': [Ridge(alpha=2.0)]}}, ['{OFFLINE}'], draw=0)"


def test_a_part_that_is_an_option_has_options_of_its_own() -> None:
    entry = l96bench.Entry("a", "b", "c", lambda task, seed: l96bench.LocalRegressor(radius=1))
    given = Ridge()
    task = make_task(OFFLINE)
    made = configured(entry, Options.of({"estimator__alpha": 3.0, "estimator": given})).model(task, 0)
    assert (made.estimator.alpha, given.alpha) == (3.0, 1.0)
    with pytest.raises(ArgumentError, match=r"no option 'estimator__alpa'.*'estimator__alpha'"):
        configured(entry, Options.of({"estimator": given, "estimator__alpa": 3.0})).model(task, 0)
    part = l96bench.LocalRegressor(l96bench.PolynomialRegressor())
    tuned = l96bench.Entry("a", "b", "c", lambda task, seed: part)
    with pytest.raises(ArgumentError, match=r"no option 'degree'.*estimator__degree"):
        configured(tuned, Options.of({"degree": 1})).model(task, 0)
    lenient = SimpleNamespace(get_params=lambda: {"a": 1}, set_params=lambda **given: None)
    entry = l96bench.Entry("a", "b", "c", lambda task, seed: lenient)
    assert configured(entry, Options.of({"a": 2})).model(task, 0) is lenient
    long = configured(entry, Options.of({"a": "line\nline " * 20})).name
    assert long.startswith("a, a='line")
    assert len(long) <= 100


@pytest.mark.slow
def test_a_script_that_ends_the_process_when_it_makes_a_model_is_a_row_that_says_so(script: Path) -> None:
    text = SCRIPT.replace("lambda task, seed: Scaled(seed=seed)", "lambda task, seed: exit(0)")
    script.write_text(text)
    with pytest.warns(ModelWarning, match=r"sys\.exit"):
        found = sweep("scaled.py", {"scale": [1.0]}, [OFFLINE], n_jobs=1, seeds=1)
    assert "sys.exit(0)" in found["fault"].iloc[0]


def test_options_that_there_are_not_are_refused_before_anything_runs(script: Path) -> None:
    with pytest.raises(ArgumentError, match=r"no option 'scal'.*'scale'"):
        sweep("scaled.py", {"scal": [1.0]}, [OFFLINE])
    with pytest.raises(ArgumentError, match="set_params"):
        sweep("wilks", {"degree": [1]}, [OFFLINE])
    with pytest.raises(ArgumentError, match="trains its model while it makes it"):
        sweep("rl_ppo_forecast", {"gamma": [0.9]}, [ONLINE])
    with pytest.raises(ArgumentError, match="options with values"):
        sweep("scaled.py", {"scale": []}, [OFFLINE])
    for bad in ({"kind": "abc"}, {"scale": 3}, [("scale", [1])], {1: [2]}):
        with pytest.raises(ArgumentError, match="options with values"):
            sweep("scaled.py", bad, [OFFLINE])
    with pytest.raises(ArgumentError, match="can be pickled"):
        sweep("scaled.py", {"kind": [(each for each in "ab")]}, [OFFLINE])
    with pytest.raises(ArgumentError, match=r"try \['subgrid-forcing/wilks-f20-v1'\]"):
        sweep("scaled.py", {"scale": [1.0]}, OFFLINE)
    with pytest.raises(ArgumentError, match="from 1 on, got 0"):
        sweep("scaled.py", {"scale": [1.0]}, [OFFLINE], seeds=0)
    with pytest.raises(L96BenchError, match="does not enter da-increment"):
        sweep("scaled.py", {"scale": [1.0]}, ["da-increment/dense-v1"])
    with pytest.raises(L96BenchError, match="no fresh draws"):
        sweep("ob_increments_quartic", {"degree": [1]}, ["observed-closure/wilks-f20-dense-v1"])
    assert not script.with_suffix(".log").exists()


@pytest.mark.slow
def test_the_command_writes_a_table_and_ends_with_an_error_where_something_failed(
    script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["sweep", "quartic", "--task", OFFLINE, "--option", "degree=1,2", "--jobs", "1"]
    with pytest.raises(SystemExit) as end:
        main([*arguments, "--output", "found.csv"])
    assert not end.value.code
    assert "found.csv: 2 rows" in capsys.readouterr().out
    table = pd.read_csv("found.csv")
    assert table["degree"].tolist() == [2, 1]
    again = table["command"].iloc[0]
    assert again == f"l96bench sweep quartic --task {OFFLINE} --option degree=2, --draw 0"
    with pytest.raises(SystemExit) as end:
        main(["sweep", "quartic", "--task", OFFLINE, "--option", "degree=1,-1", "--jobs", "1"])
    assert end.value.code == 2
    assert "1 of 2 failed" in capsys.readouterr().err
    assert len(pd.read_csv("sweep.csv")) == 2
    with pytest.raises(SystemExit):
        main([*arguments, "--output", "."])
    assert "try sweep.csv" in capsys.readouterr().err

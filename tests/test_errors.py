"""What a message says about an error in a user's code: what was raised, and on which line of the user's file."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import l96bench
from l96bench.dynamics.closures import checked_start, checked_step
from l96bench.dynamics.predictions import predict
from l96bench.errors import TRACEBACK, ModelError, ModelWarning, user_error
from l96bench.parallel import in_parallel
from l96bench.tasks.discovery import discover

X = np.zeros((4, 8))
RNG = np.random.default_rng(0)


def raising(*_: Any) -> Any:
    return [].unlucky  # type: ignore[attr-defined]


def in_a_library(*_: Any) -> Any:
    return np.zeros(3).reshape(2, 2)


class Model:
    """Every method that anybody calls raises."""

    deterministic = True
    fit = predict = start = step = equations = raising


class Predictor:
    predict = staticmethod(in_a_library)


def place(function: Callable[..., Any]) -> str:
    """The line after the first one of a function."""
    return re.escape(f"[{__file__}, line {function.__code__.co_firstlineno + 1}, in {function.__name__}]")


@pytest.mark.parametrize(
    ("call", "where"),
    [
        (lambda: checked_step(l96bench.as_closure(raising), X), raising),
        (lambda: checked_start(Model(), 4, RNG), raising),
        (lambda: checked_step(Model(), X), raising),
        (lambda: predict(Predictor(), X, RNG), in_a_library),
        (lambda: l96bench.make_task("subgrid-forcing/wilks-f20-v1").fit(Model()), raising),
    ],
    ids=["function", "start", "step", "predict", "fit"],
)
@pytest.mark.usefixtures("miniature_registry")
def test_an_error_in_a_model_has_its_place(call: Callable[[], object], where: Callable[..., Any]) -> None:
    with pytest.raises(ModelError, match=place(where)) as caught:
        call()
    assert "Traceback" not in str(caught.value)


@pytest.mark.slow
def test_in_another_process_it_has_its_place_too() -> None:
    found = list(in_parallel(raising, [1, 2], n_jobs=2))
    for outcome in found:
        assert re.search("AttributeError: .*unlucky.*" + place(raising), outcome.fault)
        assert outcome.trace.startswith("Traceback")


def test_the_whole_traceback_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TRACEBACK, "1")
    with pytest.raises(ModelError, match=r"Traceback \(most recent call last\)") as caught:
        checked_step(l96bench.as_closure(in_a_library), X)
    assert "reshape" in str(caught.value)


def test_where_no_line_is_the_users_the_innermost_is_named() -> None:
    with pytest.raises(ValueError, match="Expecting value") as caught:
        json.loads("no")
    assert caught.tb.tb_next is not None
    error = caught.value.with_traceback(caught.tb.tb_next)  # without this file
    assert re.search(r"decoder\.py, line \d+, in raw_decode\]$", str(user_error("it", error)))


def test_a_line_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    with pytest.raises(SyntaxError) as caught:
        compile("x = (\n", str(path), "exec")
    assert str(user_error("it", caught.value)).endswith(f"[{path}, line 1]")


# Methods of equation recovery, whose failures are counted.


@pytest.mark.slow
def test_a_method_that_raises_is_warned_of(single: Any) -> None:
    with pytest.warns(
        ModelWarning, match=r"Model found no equations in (\d+) of \1 problems \(raised\).*" + place(raising)
    ):
        result = single.evaluate(Model())
    assert "line" not in result.failures.note  # rows stay as they are
    assert discover(Model(), X, np.arange(4.0)).place


@pytest.mark.slow
def test_a_warning_in_another_process_is_heard_here(tmp_path: Path) -> None:
    script = tmp_path / "warns.py"
    script.write_text(
        "import warnings\nfrom l96bench.errors import ModelWarning\nfrom l96bench.parallel import in_parallel\n"
        "def work(i):\n    warnings.warn(f'item {i}', ModelWarning)\n    return i\n"
        "with warnings.catch_warnings(record=True) as heard:\n    list(in_parallel(work, [0, 1], n_jobs=2))\n"
        "print(sorted(str(each.message) for each in heard))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout == "['item 0', 'item 1']\n"
    assert done.stderr == ""

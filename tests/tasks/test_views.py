"""What a model is given leads to nothing that it must not see: whatever can be reached from it was given."""

from __future__ import annotations

import gc
import types
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from l96bench import AssimilationSystem
from l96bench.assimilation import ETKF, ResolvedModel
from l96bench.tasks.registry import list_tasks, make_task

Array = NDArray[np.float64]
CODE = (types.ModuleType, types.FunctionType, types.MethodType, types.BuiltinFunctionType, types.FrameType, type)


def sizes(given: Any) -> tuple[int, int]:
    """The values of the largest array that is given, and of the largest that can be reached from what is given."""
    todo, known, direct, reached = [given], {id(given): given}, 0, 0
    while todo:
        thing = todo.pop()
        more = [] if isinstance(thing, CODE) else gc.get_referents(thing)
        if isinstance(thing, np.ndarray):
            more.append(thing.base)
            reached = max(reached, thing.size)
            direct = max(direct, thing.size if any(thing is each for each in _parts(given)) else 0)
        for each in more:
            if id(each) not in known:
                known[id(each)] = each
                todo.append(each)
    return direct, reached


def _parts(given: Any) -> list[Any]:
    """What is given, and the fields of dataclasses among it."""
    return [
        part for each in given for part in (each, *(getattr(each, name) for name in getattr(each, "__slots__", ())))
    ]


class LooksAround:
    """A closure, model of increments, filter or discoverer that compares what it is given with what that leads to."""

    deterministic, min_members = True, 2

    def __init__(self) -> None:
        self.calls: set[str] = set()

    def look(self, name: str, *given: Any) -> None:
        self.calls.add(name)
        direct, reached = sizes(given)
        assert reached <= direct, f"{name} is given {direct} values and reaches {reached}"


class Predicts(LooksAround):
    def predict(self, X: Array) -> Array:
        self.look("predict", X)
        return -X


class Steps(LooksAround):
    def start(self, n_members: int, rng: np.random.Generator) -> None:
        pass

    def remember(self, history: Array) -> None:
        self.look("remember", history)

    def step(self, X: Array) -> Array:
        self.look("step", X)
        return -X


class Analyses(LooksAround):
    def analyse(self, ensemble: Array, observed: Any, rng: Any = None, layout: Any = None) -> Array:
        self.look("analyse", ensemble, observed)
        return ETKF().analyse(ensemble, observed, rng, layout)


class Discovers(LooksAround):
    def fit(self, X: Array, t: Array) -> None:
        self.look("fit", X, t)

    def equations(self) -> list[str]:
        return ["8 - X[k]"]


FIRST = {family: next(id for id in list_tasks(family)) for family in {id.partition("/")[0] for id in list_tasks()}}


@pytest.mark.slow
@pytest.mark.parametrize("family", sorted(FIRST))
def test_nothing_leads_to_more_than_was_given(family: str) -> None:
    task = make_task(FIRST[family]).miniature()
    looks: list[Any] = [Discovers()] if task.kind == "equations" else [Predicts(), Steps()]
    models = list(looks)
    if task.kind == "increment":
        looks.append(Analyses())
        models.append(AssimilationSystem(ResolvedModel(task.track.regime), looks[-1]))
    for look, model in zip(looks, models, strict=True):
        failures = task.evaluate(model).failures
        # A discoverer is asked in a process of its own, where what it raises is a failure.
        assert look.calls or (task.kind == "equations" and failures.non_finite == failures.diverged == 0)


def test_the_walk_finds_what_a_view_leads_to() -> None:
    whole = np.zeros((10, 4))
    assert sizes((whole,)) == (40, 40)
    assert sizes((whole[2],)) == (4, 40)
    assert sizes((whole[2].copy(), "text", np.random.default_rng(0))) == (4, 4)

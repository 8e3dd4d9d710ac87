from __future__ import annotations

from collections.abc import Callable

import numpy as np

from l96bench.diagnostics.closure.learning import learning_curves
from l96bench.diagnostics.closure.points import offline_online, pareto_front, skill_and_cost
from l96bench.results.record import Result

OFFLINE, ONLINE = "subgrid-forcing/wilks-f20-v1", "online-rollout/wilks-f20-v2"
Make = Callable[..., Result]


def test_the_front_of_points_by_hand() -> None:
    cost = [1.0, 2.0, 2.0, 3.0, 4.0, 1.0]
    score = [50.0, 70.0, 60.0, 70.0, 90.0, 50.0]
    np.testing.assert_array_equal(pareto_front(cost, score), [True, True, False, False, True, True])


def test_the_front_is_what_no_other_point_beats() -> None:
    rng = np.random.default_rng(0)
    cost, score = rng.integers(0, 12, (2, 60)).astype(float)
    beaten = [
        any(c <= own and s >= mine and (c < own or s > mine) for c, s in zip(cost, score, strict=True))
        for own, mine in zip(cost, score, strict=True)
    ]
    np.testing.assert_array_equal(pareto_front(cost, score), ~np.array(beaten))


def test_points_are_entries_with_rows_of_both_tasks_and_no_references(make_result: Make) -> None:
    results = [
        *(make_result("a", task, value, 2.0) for task, value in ((OFFLINE, 80.0), (ONLINE, 60.0))),
        *(make_result("b", task, value) for task, value in ((OFFLINE, 70.0), (ONLINE, 90.0))),
        *(make_result("perfect", task, 100.0, 1.0, kind="reference") for task in (OFFLINE, ONLINE)),
        make_result("offline alone", OFFLINE, 99.0),
    ]
    points = offline_online(results, OFFLINE, ONLINE)
    assert [(point.name, point.x[0], point.y[0]) for point in points] == [("b", 70.0, 90.0), ("a", 80.0, 60.0)]
    assert points[0].y == (90.0, 89.0, 92.0)
    assert [(point.name, point.x[0]) for point in skill_and_cost(results, ONLINE)] == [("a", 2.0)]


def test_learning_curves_end_with_the_whole_training_set(make_result: Make) -> None:
    (curve,) = learning_curves([make_result("a", OFFLINE, 80.0), make_result("a", ONLINE, 60.0)], OFFLINE)
    np.testing.assert_array_equal(curve.budget, [10.0, 2000.0])
    np.testing.assert_array_equal(curve.value, [0.5, 0.9])
    np.testing.assert_array_equal(curve.low, [0.4, 0.9])

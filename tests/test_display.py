"""How objects show themselves: short texts, xarray, pictures, and tables in notebooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

import l96bench
from l96bench import assimilation as da
from l96bench.assimilation.record import joined
from l96bench.display import brief
from l96bench.errors import L96BenchError, ResultError
from l96bench.metrics import crps
from l96bench.results.score import Value
from l96bench.tasks.online_scores import Forecasts
from tests.results.test_record import make_result

K = 8
TRUTH = np.sin(np.arange(31)[:, None] / 5 + np.arange(K))


def trajectory(**options: Any) -> l96bench.Trajectory:
    return l96bench.simulate("wilks-f20", 0.5, spin_up=0.1, **options)


def cycled() -> da.Cycled:
    model = da.FunctionModel(lambda X, window: 0.9 * X, K)
    return da.cycle(TRUTH, model, da.ETKF(), da.Network(K, 0.05, 0.5), n_members=6)


def forecasts() -> Forecasts:
    X = np.random.default_rng(0).normal(size=(4, 5, 3, K))
    return Forecasts(X, crps(np.zeros((4, 5, K)), X))


def axes() -> Any:
    return Figure().subplots()


def test_arrays_are_shown_by_their_shapes() -> None:
    assert repr(trajectory()) == "Trajectory(regime='wilks-f20', time=(10,), X=(10, 8), Y=(10, 8, 32), U=(10, 8))"
    assert repr(trajectory(store_fast=False)) == "Trajectory(regime='wilks-f20', time=(10,), X=(10, 8), U=(10, 8))"
    run = l96bench.rollout(l96bench.NoClosure(), np.ones((3, K)), 0.2, regime="wilks-f20")
    assert repr(run) == "Rollout(time=(4,), X=(4, 3, 8), left=(3,))"
    assert repr(cycled()) == "Cycled(1 experiments, 30 cycles, K=8, 6 members, 0 diverged)"
    assert "'bit_generator'" in brief(cycled().state)
    assert len(repr(cycled().state)) < 250


@pytest.mark.parametrize("make", [trajectory, cycled, forecasts])
def test_axes_go_in_and_come_out(make: Callable[[], Any]) -> None:
    ax = axes()
    assert make().plot(ax) is ax
    assert ax.get_xlabel()
    assert ax.get_ylabel()


def test_without_axes_there_is_a_new_figure() -> None:
    from matplotlib import pyplot as plt

    plt.switch_backend("agg")
    try:
        first, second = trajectory().plot(), forecasts().plot()
        assert first.figure is not second.figure
    finally:
        plt.close("all")


def test_a_picture_of_a_trajectory_has_its_field() -> None:
    one = trajectory(n_trajectories=2)
    ax = one.plot(axes(), variable="U", trajectory=1, vmin=-3, vmax=3)
    [image] = ax.images
    np.testing.assert_array_equal(image.get_array(), one.U[1])
    assert image.get_clim() == (-3, 3)
    assert image.get_extent() == pytest.approx([0.5, 8.5, -0.025, 0.475])
    with pytest.raises(L96BenchError, match="expected variable 'X' or 'U', got 'Y'"):
        one.plot(axes(), variable="Y")
    with pytest.raises(L96BenchError, match="expected a trajectory of 0 to 1, got 2"):
        one.plot(axes(), trajectory=2)


def test_a_run_that_leaves_is_drawn_and_kept() -> None:
    run = l96bench.rollout(l96bench.NoClosure(), np.ones((2, K)), 1.0, regime="wilks-f20", limits=(-5.0, [5.0, 50.0]))
    assert list(run.survived) == [False, True]
    data = run.to_xarray()
    np.testing.assert_array_equal(data["X"].transpose("member", "k", "time"), run.X.transpose(1, 2, 0))
    assert list(data["left"]) == list(run.left)
    [image] = run.plot(axes(), member=0).images
    assert np.isnan(np.ma.filled(image.get_array(), np.nan)).any()
    with pytest.raises(L96BenchError, match="expected a member of 0 to 1, got 5"):
        run.plot(axes(), member=5)


def test_cycles_as_xarray_and_as_lines() -> None:
    run = cycled()
    data = run.to_xarray()
    error = np.sqrt(((data["background_mean"] - data["truth"]) ** 2).mean("k"))
    np.testing.assert_allclose(error.transpose("experiment", "time"), run.background_rmse)
    assert data["innovations"].dims == ("experiment", "time", "observation")
    assert data.attrs["n_members"] == 6
    assert list(data["time"]) == list(run.time)
    lines = {line.get_label(): line.get_ydata() for line in run.plot(axes()).lines}
    np.testing.assert_allclose(lines["analysis RMSE"], run.analysis_rmse[0])
    np.testing.assert_allclose(lines["background spread"], np.sqrt((run.background_spread[0] ** 2).mean(axis=1)))
    assert joined(run, run).to_xarray().sizes["time"] == 60


def test_forecasts_by_lead() -> None:
    own = forecasts()
    data = own.to_xarray()
    assert data["X"].dims == ("lead", "case", "member", "k")
    np.testing.assert_allclose(data["lead"], [0.05, 0.1, 0.15, 0.2])
    [line] = own.plot(axes(), label="mine").lines
    np.testing.assert_allclose(line.get_ydata(), np.asarray(data["crps"].mean("case")))


def test_a_result_is_short_a_table_and_a_curve() -> None:
    many = {f"m{i}": Value(value=float(i)) for i in range(40)}
    result = make_result(metrics=many, series={"lead": [0.1, 0.2], "crps_by_lead": [1.0, 2.0], "other": [3.0]})
    assert repr(result) == (
        "Result('online-rollout/wilks-f20-v2', 'Stencil network', score=60.00 [58.00, 62.00], 40 metrics)"
    )
    assert len(str(result).splitlines()) == 14
    assert str(result).endswith("... and 28 more in `metrics` and `to_frame()`")
    [line] = result.plot(axes()).lines
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([0.1, 0.2], [1.0, 2.0])
    [line] = result.plot(axes(), "other", color="k").lines
    assert (list(line.get_xdata()), line.get_label()) == ([0], "Stencil network")
    with pytest.raises(ResultError, match="no curve 'rmse'; its curves are lead, crps_by_lead, other"):
        result.plot(curve="rmse")
    with pytest.raises(ResultError, match="its curves are none"):
        make_result(series={}).plot()


def test_the_table_of_a_notebook_runs_nothing_of_a_name() -> None:
    hostile = "<script>alert(1)</script>"
    info = make_result().model.model_copy(update={"name": hostile})
    text = make_result(model=info)._repr_html_()
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "<tr><th>survival</th><td>1</td><td>0.93</td><td>1</td></tr>" in text

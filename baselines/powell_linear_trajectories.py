"""Linear closure tuned by Powell's method on short forecasts from many states; U is not seen."""

import l96bench
from l96bench.estimators import TunedPolynomial

entry = l96bench.Entry(
    name="linear, Powell on trajectories",
    kind="tuned",
    inputs="X_k",
    make=lambda task, seed: TunedPolynomial(degree=1, objective="trajectories", regime=task.regime),
    source="Powell 1964, doi:10.1093/comjnl/7.2.155",
    description="The linear closure of least mean squared error in forecasts of 0.5 MTU, by Powell; U is not seen.",
    regimes=("wilks-f20", "arnold-c4"),
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

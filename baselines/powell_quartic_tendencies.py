"""Quartic closure tuned by Powell's method on tendencies: what least squares finds, found by trying."""

import l96bench
from l96bench.estimators import TunedPolynomial

entry = l96bench.Entry(
    name="quartic, Powell on tendencies",
    kind="tuned",
    inputs="X_k",
    make=lambda task, seed: TunedPolynomial(degree=4),
    source="Powell 1964, doi:10.1093/comjnl/7.2.155",
    description="The quartic that Powell's method finds from U = 0 with the mean squared error of U.",
    regimes=("wilks-f20", "arnold-c4"),
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

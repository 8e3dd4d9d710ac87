"""MC dropout: a stencil network trained with dropout, thinned anew for each forecast member (needs torch)."""

import l96bench
from l96bench.estimators import DropoutRegressor

entry = l96bench.Entry(
    name="MC dropout",
    kind="stochastic",
    inputs="X_{k-2..k+2}",
    make=lambda task, seed: DropoutRegressor(
        l96bench.TorchRegressor(hidden=(64, 64), dropout=0.05, random_state=seed), radius=2
    ),
    seeds=range(5),
    regimes=("wilks-f20", "arnold-c4"),
    source="Gal and Ghahramani 2016, arXiv:1506.02142",
    description="A stencil network with 5 % dropout; a forecast member keeps what dropout left it for its whole run.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

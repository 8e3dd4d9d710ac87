"""Cubic + multiplicative and additive AR(1) (Arnold et al. 2013): red noise that grows with |U|."""

import l96bench
from l96bench.estimators import StochasticRegressor

entry = l96bench.Entry(
    name="fitted cubic + multiplicative and additive AR(1)",
    kind="stochastic",
    inputs="X_k",
    make=lambda task, seed: StochasticRegressor(form="multiplicative and additive"),
    source="form: Arnold, Moroz and Palmer 2013, doi:10.1098/rsta.2011.0479",
    description="Cubic plus (s_0 + s_1 |cubic|) e, e a first-order autoregression.",
    regimes=("wilks-f20", "arnold-c4"),
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

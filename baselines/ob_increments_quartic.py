"""Closure from analysis increments, quartic: those of a filter without a closure, regressed on the background once."""

import l96bench
from l96bench.assimilation import IncrementPolynomial

entry = l96bench.Entry(
    name="analysis increments, quartic",
    kind="estimation",
    inputs="X_k",
    make=lambda task, seed: IncrementPolynomial(degree=4, random_state=seed),
    seeds=range(5),
    families=("observed-closure",),
    source="Leith 1978, doi:10.1146/annurev.fl.10.010178.000543",
    description="Increments of a filter whose model has no closure, divided by the window: a quartic of X.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

"""Closure from analysis increments, quartic, iterated: what increments still show is added, three times."""

import l96bench
from l96bench.assimilation import IncrementPolynomial

entry = l96bench.Entry(
    name="analysis increments, quartic, iterated",
    kind="estimation",
    inputs="X_k",
    make=lambda task, seed: IncrementPolynomial(degree=4, passes=3, random_state=seed),
    seeds=range(5),
    families=("observed-closure",),
    source="Leith 1978, doi:10.1146/annurev.fl.10.010178.000543; Brajard et al. 2021, doi:10.1098/rsta.2020.0086",
    description="Three passes of a filter, each with the quartic that the increments of those before have shown.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

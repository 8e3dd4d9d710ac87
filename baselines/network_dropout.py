"""Stencil network trained with dropout, predicting with all of its units (needs torch)."""

import l96bench

entry = l96bench.Entry(
    name="network, dropout",
    kind="network",
    inputs="X_{k-2..k+2}",
    make=lambda task, seed: l96bench.LocalRegressor(l96bench.TorchRegressor(dropout=0.1, random_state=seed), radius=2),
    seeds=range(5),
    regimes=("wilks-f20", "arnold-c4"),
    source="Srivastava et al. (2014), JMLR 15, 1929-1958",
    description="The stencil network trained with a tenth of its hidden units dropped.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

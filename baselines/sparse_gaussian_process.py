"""Sparse Gaussian process: its mean at 100 inducing points, shared by all points, maps X_{k-2} .. X_{k+2} to U_k."""

import l96bench
from l96bench.estimators import SparseGaussianProcess

entry = l96bench.Entry(
    name="sparse Gaussian process",
    kind="Gaussian process",
    inputs="X_{k-2..k+2}",
    make=lambda task, seed: l96bench.LocalRegressor(SparseGaussianProcess(random_state=seed), radius=2),
    seeds=range(5),
    regimes=("wilks-f20", "arnold-c4"),
    source="Quinonero-Candela and Rasmussen 2005, J. Mach. Learn. Res. 6, 1939-1959",
    description="Subset of regressors on 100 inducing points; kernel by the marginal likelihood of 400 samples.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

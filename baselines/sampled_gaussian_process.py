"""Sampled Gaussian process: each member draws a function from the process, and red noise for what it leaves over."""

import l96bench
from l96bench.estimators import SampledGaussianProcess, SparseGaussianProcess

entry = l96bench.Entry(
    name="sampled Gaussian process",
    kind="stochastic",
    inputs="X_{k-2..k+2}",
    make=lambda task, seed: SampledGaussianProcess(SparseGaussianProcess(60, random_state=seed), radius=2),
    seeds=range(5),
    regimes=("wilks-f20", "arnold-c4"),
    source="Quinonero-Candela and Rasmussen 2005, J. Mach. Learn. Res. 6, 1939-1959",
    description="The sparse Gaussian process: a draw of its function a member, plus AR(1) noise of its noise variance.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

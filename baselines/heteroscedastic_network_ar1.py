"""Heteroscedastic network + AR(1): networks for the mean of U and for the size of its red noise (needs torch)."""

import l96bench
from l96bench.estimators import HeteroscedasticRegressor


def make(task: l96bench.Task, seed: int) -> HeteroscedasticRegressor:
    """The stencil network, and a smaller one for the size of what it leaves over."""
    mean = l96bench.TorchRegressor(random_state=seed)
    size = l96bench.TorchRegressor(hidden=(16, 16), epochs=4, random_state=seed)
    return HeteroscedasticRegressor(l96bench.LocalRegressor(mean, radius=2), l96bench.LocalRegressor(size, radius=2))


entry = l96bench.Entry(
    name="heteroscedastic network + AR(1)",
    kind="stochastic",
    inputs="X_{k-2..k+2}",
    make=make,
    seeds=range(5),
    regimes=("wilks-f20", "arnold-c4"),
    source="form of the noise: Arnold et al. 2013, doi:10.1098/rsta.2011.0479",
    description="The stencil network plus red noise whose standard deviation a second network predicts from the state.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

"""Deep ensemble: five stencil networks from different starts, one for each forecast member (needs torch)."""

import l96bench
from l96bench.estimators import DeepEnsembleRegressor


def make(task: l96bench.Task, seed: int) -> DeepEnsembleRegressor:
    """Five networks of 32 units a layer, each trained less than half as long as the stencil network."""
    network = l96bench.TorchRegressor(hidden=(32, 32), epochs=4, random_state=seed)
    return DeepEnsembleRegressor(l96bench.LocalRegressor(network, radius=2), n_networks=5, random_state=seed)


entry = l96bench.Entry(
    name="deep ensemble",
    kind="stochastic",
    inputs="X_{k-2..k+2}",
    make=make,
    seeds=range(5),
    regimes=("wilks-f20", "arnold-c4"),
    source="Lakshminarayanan et al. 2017, arXiv:1612.01474",
    description="Five stencil networks from different random starts; a forecast member keeps one for its whole run.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

"""Variational: a network and the initial states of many windows, trained together on observations (needs torch)."""

import l96bench
from l96bench.assimilation import VariationalNetwork

entry = l96bench.Entry(
    name="variational network + AR(1)",
    kind="estimation",
    inputs="X_{k-2..k+2}",
    make=lambda task, seed: VariationalNetwork(noise=True, random_state=seed),
    seeds=range(5),
    families=("observed-closure",),
    regimes=("wilks-f20-dense", "arnold-c4-dense"),  # forecasts start at observations of all points
    source="Bocquet et al. 2020, arXiv:2001.06270; Farchi et al. 2021, doi:10.1002/qj.4116",
    description="A stencil network by 4D-Var in windows of 0.5 MTU, with the likeliest size of red noise.",
    quick=False,
    slow=True,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

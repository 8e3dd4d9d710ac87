"""Expectation-maximization, stencil network: trained on the members of a smoother, in turn (needs torch)."""

import l96bench
from l96bench.assimilation import NetworkMaximization

entry = l96bench.Entry(
    name="expectation-maximization, network + AR(1)",
    kind="estimation",
    inputs="X_{k-2..k+2}",
    # Half of the points every 0.2 MTU say too little for a network: its likelihood of other observations is below that
    # of a quartic.
    regimes=("wilks-f20-dense", "arnold-c4-dense"),
    make=lambda task, seed: NetworkMaximization(random_state=seed),
    seeds=range(5),
    families=("observed-closure",),
    source="Brajard et al. 2020, doi:10.1016/j.jocs.2020.101171; Bocquet et al. 2020, arXiv:2001.06270",
    description="A network with red noise, trained in turn on the members that an ensemble smoother makes under it.",
    quick=False,
    slow=True,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

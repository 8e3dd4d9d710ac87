"""Closure from analysis increments, stencil network: those of a filter without a closure (needs torch)."""

import l96bench
from l96bench.assimilation import IncrementNetwork

entry = l96bench.Entry(
    name="analysis increments, stencil network",
    kind="network",
    inputs="X_{k-2..k+2}",
    make=lambda task, seed: IncrementNetwork(random_state=seed),
    seeds=range(5),
    families=("observed-closure",),
    source="Brajard et al. 2021, doi:10.1098/rsta.2020.0086",
    description="Increments of a filter whose model has no closure, divided by the window: a network of five points.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

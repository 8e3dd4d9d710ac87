"""Closure from analysis increments, stencil network, iterated: three filters, each with what the last one showed."""

import l96bench
from l96bench.assimilation import IncrementNetwork

entry = l96bench.Entry(
    name="analysis increments, stencil network, iterated",
    kind="network",
    inputs="X_{k-2..k+2}",
    make=lambda task, seed: IncrementNetwork(passes=3, random_state=seed),
    seeds=range(5),
    families=("observed-closure",),
    source="Brajard et al. 2021, doi:10.1098/rsta.2020.0086",
    description="Three passes of a filter, each with the network that the increments of those before have shown.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

"""Circular CNN: three convolutions around the ring, X of all points in, U of all points out (needs torch)."""

import l96bench
from l96bench.estimators import RingNetwork

entry = l96bench.Entry(
    name="circular CNN",
    kind="network",
    inputs="X_{k-3..k+3}",
    make=lambda task, seed: RingNetwork(channels=(24, 24, 24), kernel=3, random_state=seed),
    seeds=range(5),
    regimes=("wilks-f20", "arnold-c4"),
    description="Three circular convolutions of 3 points and 24 channels with GELU, and a pointwise layer.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

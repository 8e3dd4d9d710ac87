"""Network for all systems (blind, without memory; needs torch)."""

import l96bench
from l96bench.estimators import LocalRegressor, OneForAll, TorchRegressor

entry = l96bench.Entry(
    name="network for all systems",
    kind="network",
    inputs="X_{k-2..k+2}",
    make=lambda task, seed: OneForAll(LocalRegressor(TorchRegressor(random_state=seed))),
    seeds=range(5),
    families=("unseen-physics",),
    source="one closure for all",
    description="A network of five neighbouring points, fitted to all training systems together.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

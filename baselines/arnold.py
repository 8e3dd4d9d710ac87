"""Arnold et al. (2013) as published: their cubics for c = 10 and c = 4, fitted to forward differences."""

import l96bench

CLOSURES = {"wilks-f20": "arnold2013_c10", "arnold-c4": "arnold2013_c4"}

entry = l96bench.Entry(
    name="Arnold et al. 2013",
    kind="polynomial",
    inputs="X_k",
    make=lambda task, seed: l96bench.PUBLISHED[CLOSURES[task.regime_id]].polynomial,
    regimes=tuple(CLOSURES),
    source="Arnold, Moroz and Palmer 2013, doi:10.1098/rsta.2011.0479",
    description="The published cubic; its target is the forward difference of X, not the coupling.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

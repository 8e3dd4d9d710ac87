"""Wilks (2005) as published: his quartics for F = 18 and F = 20, fitted to forward differences over 0.005 MTU."""

import l96bench

CLOSURES = {"wilks-f18": "wilks2005_f18", "wilks-f20": "wilks2005_f20"}

entry = l96bench.Entry(
    name="Wilks 2005",
    kind="polynomial",
    inputs="X_k",
    make=lambda task, seed: l96bench.PUBLISHED[CLOSURES[task.regime_id]].polynomial,
    regimes=tuple(CLOSURES),
    source="Wilks 2005, doi:10.1256/qj.04.03",
    description="The published quartic; its target is the forward difference of X over 0.005 MTU, not the coupling.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

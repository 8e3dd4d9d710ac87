"""Quartic closure by ensemble Kalman inversion of climate statistics: neither U nor the order of the X is seen."""

import l96bench
from l96bench.estimators import InvertedPolynomial

entry = l96bench.Entry(
    name="quartic, ensemble Kalman inversion",
    kind="tuned",
    inputs="X_k",
    make=lambda task, seed: InvertedPolynomial(degree=4, regime=task.regime, random_state=seed),
    seeds=range(5),
    regimes=("wilks-f20", "arnold-c4"),
    source="Schneider et al. 2017, doi:10.1002/2017GL076101",
    description="12 iterations of 30 members on 4 moments of X and its covariances with 4 neighbours; U is not seen.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

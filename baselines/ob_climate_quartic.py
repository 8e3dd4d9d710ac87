"""Closure from the climate of the observations: a quartic with red noise by ensemble Kalman inversion."""

import l96bench
from l96bench.assimilation import ClimateInversion

entry = l96bench.Entry(
    name="climate of observations, quartic + AR(1)",
    kind="tuned",
    inputs="X_k",
    make=lambda task, seed: ClimateInversion(random_state=seed),
    seeds=range(5),
    families=("observed-closure",),
    source="Schneider et al. 2017, doi:10.1002/2017GL076101",
    description="Ten iterations of 30 members on four moments and on lagged products of two observed points.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

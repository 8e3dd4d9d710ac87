"""State augmentation, quartic: the five coefficients of a quartic closure are estimated with the state, from zero."""

import l96bench
from l96bench.assimilation import AugmentedModel

SPREAD = [1.0, 0.5, 0.05, 0.005, 0.0005]

entry = l96bench.Entry(
    name="augmented state, quartic closure",
    kind="estimation",
    inputs="observations",
    make=lambda task, seed: l96bench.AssimilationSystem(AugmentedModel(task.regime, [0.0] * 5, SPREAD)),
    families=("da-increment",),
    source="Aksoy, Zhang and Nielsen-Gammon 2006, Geophys. Res. Lett., doi:10.1029/2006GL026186",
    description="The filter estimates the coefficients of a quartic closure with the state; nothing is learned before.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

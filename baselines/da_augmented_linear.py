"""State augmentation, linear: the two coefficients of a linear closure are estimated with the state, from zero."""

import l96bench
from l96bench.assimilation import AugmentedModel

entry = l96bench.Entry(
    name="augmented state, linear closure",
    kind="estimation",
    inputs="observations",
    make=lambda task, seed: l96bench.AssimilationSystem(AugmentedModel(task.regime, [0.0, 0.0], [1.0, 0.5])),
    families=("da-increment",),
    source="Aksoy, Zhang and Nielsen-Gammon 2006, Geophys. Res. Lett., doi:10.1029/2006GL026186",
    description="The filter estimates the coefficients of a linear closure with the state; nothing is learned before.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

"""State augmentation, linear, as a closure: two coefficients that a filter has estimated with the state, from zero."""

import l96bench
from l96bench.assimilation import AugmentedPolynomial

entry = l96bench.Entry(
    name="augmented state, linear",
    kind="estimation",
    inputs="X_k",
    make=lambda task, seed: AugmentedPolynomial(task.regime, std=(1.0, 0.5), random_state=seed),
    seeds=range(5),
    families=("observed-closure",),
    source="Aksoy, Zhang and Nielsen-Gammon 2006, doi:10.1029/2006GL026186",
    description="A filter estimates a line's two coefficients with the state; their mean over the last half.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

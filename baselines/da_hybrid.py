"""Hybrid covariance: half ensemble, half climatology, with the uncorrected model. No learning."""

import math

import l96bench
from l96bench.assimilation import HybridEnKF, ResolvedModel, static_covariance


def system(task: l96bench.ClosureTask, seed: int) -> l96bench.AssimilationSystem:
    """The model without closure in a hybrid filter; B is a fiftieth of the climatological covariance of backgrounds."""
    radius = math.inf if task.regime_id == "dense" else 5.0
    filter = HybridEnKF(static_covariance(task.train.X, scale=0.02), weight=0.5, radius=radius)
    return l96bench.AssimilationSystem(ResolvedModel(task.regime), filter)


entry = l96bench.Entry(
    name="hybrid covariance",
    kind="filter",
    inputs="observations",
    make=system,
    families=("da-increment",),
    source="Hamill and Snyder 2000, Mon. Weather Rev. 128, 2905-2919",
    description="The stochastic EnKF with half of its covariance from climatology, and no correction of the model.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

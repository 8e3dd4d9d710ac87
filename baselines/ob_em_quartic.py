"""Expectation-maximization, quartic: closures fitted to the members of a smoother under the last one, in turn."""

import l96bench
from l96bench.assimilation import ExpectationMaximization

entry = l96bench.Entry(
    name="expectation-maximization, quartic + AR(1)",
    kind="estimation",
    inputs="X_k",
    make=lambda task, seed: ExpectationMaximization(random_state=seed),
    seeds=range(5),
    families=("observed-closure",),
    source="Shumway and Stoffer 1982, doi:10.1111/j.1467-9892.1982.tb00349.x; Evensen and van Leeuwen 2000",
    description="A quartic with red noise, fitted in turn to the members that an ensemble smoother makes under it.",
    quick=False,
    slow=True,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

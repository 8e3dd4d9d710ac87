"""Expectation-maximization, quartic of X and its past: closures fitted to the members of a smoother, in turn."""

import l96bench
from l96bench.assimilation import ExpectationMaximization

entry = l96bench.Entry(
    name="expectation-maximization, quartic with memory + AR(1)",
    kind="estimation",
    inputs="X_k, past X_k",
    make=lambda task, seed: ExpectationMaximization(memory=0.05, random_state=seed),
    seeds=range(5),
    families=("observed-closure",),
    regimes=("wilks-f20-dense", "arnold-c4-dense"),  # with fewer observations a memory is not told from noise
    source="Shumway and Stoffer 1982, doi:10.1111/j.1467-9892.1982.tb00349.x; Evensen and van Leeuwen 2000",
    description="A quartic of X and its distance from its mean over the last 0.05 MTU, with red noise.",
    quick=False,
    slow=True,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

"""GAN: a conditional generative adversarial network that gets its own previous U, as in Gagne et al. (needs torch)."""

import l96bench
from l96bench.estimators import GANRegressor

entry = l96bench.Entry(
    name="GAN",
    kind="generative",
    inputs="X_{k-2..k+2} and its own U before",
    make=lambda task, seed: GANRegressor(hidden=(32, 32), radius=2, random_state=seed),
    seeds=range(5),
    families=("subgrid-forcing-memory", "online-rollout"),
    regimes=("wilks-f20", "arnold-c4"),
    source="Gagne et al. 2020, doi:10.1029/2019MS001896",
    description="The law of U given the stencil of X and the U of 0.05 MTU before, learned against a discriminator.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

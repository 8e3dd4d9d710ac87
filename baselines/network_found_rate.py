"""Stencil network whose learning rate is found by a range test rather than given (needs torch)."""

import l96bench

entry = l96bench.Entry(
    name="network, found rate",
    kind="network",
    inputs="X_{k-2..k+2}",
    make=lambda task, seed: l96bench.LocalRegressor(
        l96bench.TorchRegressor(learning_rate="find", random_state=seed), radius=2
    ),
    seeds=range(5),
    regimes=("wilks-f20", "arnold-c4"),
    source="Smith (2017), WACV, arXiv:1506.01186; Smith and Topin (2019), arXiv:1708.07120",
    description="The stencil network whose one-cycle schedule peaks at the rate that a range test finds.",
    quick=False,
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

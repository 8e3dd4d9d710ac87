"""Linear increment, iterated: learned again, three times, from the cycles of the corrected model."""

import l96bench


def learn(task: l96bench.DAIncrement, seed: int) -> l96bench.PolynomialRegressor:
    """A linear correction, refitted to the total increments of its own cycles."""
    model = l96bench.PolynomialRegressor(degree=1).fit(task.train.X, task.train.U)
    for _ in range(3):
        again = task.train_again(model)
        model = l96bench.PolynomialRegressor(degree=1).fit(again.X, again.U)
    return model


entry = l96bench.Entry(
    name="linear increment, iterated",
    kind="polynomial",
    inputs="background X_k",
    make=learn,
    families=("da-increment",),
    trained_on="train, 4 x 6000 cycles",
    source="form: Brajard et al. 2020, J. Comput. Sci. 44, 101171",
    description="The linear correction, learned again three times from what the analyses of its cycle still change.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

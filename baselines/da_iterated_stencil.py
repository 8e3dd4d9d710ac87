"""Quadratic stencil increment, iterated: learned again, three times, from the cycles of the corrected model."""

from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

import l96bench


def regressor() -> l96bench.LocalRegressor:
    """All monomials of degree 2 in the stencil of five points."""
    return l96bench.LocalRegressor(make_pipeline(PolynomialFeatures(2), LinearRegression()), radius=2)


def learn(task: l96bench.DAIncrement, seed: int) -> l96bench.LocalRegressor:
    """A quadratic correction, refitted to the total increments of its own cycles."""
    model = regressor().fit(task.train.X, task.train.U)
    for _ in range(3):
        again = task.train_again(model)
        model = regressor().fit(again.X, again.U)
    return model


entry = l96bench.Entry(
    name="quadratic stencil increment, iterated",
    kind="polynomial",
    inputs="background X_{k-2..k+2}",
    make=learn,
    families=("da-increment",),
    trained_on="train, 4 x 6000 cycles",
    source="form: Brajard et al. 2020, J. Comput. Sci. 44, 101171",
    description="Quadratic in five points, learned again three times from what the analyses of its cycle still change.",
)

if __name__ == "__main__":
    l96bench.run_script(__file__)

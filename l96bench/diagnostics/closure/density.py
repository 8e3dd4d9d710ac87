"""Show the subgrid tendency U against X, with the closure over it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from l96bench.diagnostics.closure.subject import ClosureSubject
from l96bench.diagnostics.figures import (
    BLACK,
    BLUE,
    GREEN,
    HEXBIN,
    VERMILION,
    Array,
    bin_edges,
    conditional,
    figure,
    plain,
)
from l96bench.diagnostics.registry import Results, Section, register_diagnostic
from l96bench.dynamics.polynomial import PUBLISHED
from l96bench.estimators.regressors import PolynomialRegressor
from l96bench.metrics import pointwise


@register_diagnostic("density", "Subgrid tendency against resolved state", kind="closure", order=20)
def density(subject: ClosureSubject, results: Results) -> Section:
    """Show U against X_k with the closure over it, and the error that is left."""
    X, U, predicted = subject.sample
    train = subject.offline.train
    x = bin_edges(X, (0.05, 99.95), 200)
    quartic = PolynomialRegressor().fit(np.array(train.X), np.array(train.U)).closure()
    is_quartic = isinstance(subject.model, PolynomialRegressor) and subject.model.degree == 4
    others = {} if is_quartic else {"fitted quartic": (x, quartic.predict(x))}
    published = PUBLISHED.get(f"wilks2005_{subject.regime.id.removeprefix('wilks-')}")
    if published is not None:
        others["Wilks 2005"] = (x, published.polynomial.predict(x))
    table = []
    tails = np.percentile(X, (5, 95))
    low, high = tails[0] > X, tails[1] < X
    parts = {"all": np.ones_like(low), "lowest 5 %": low, "middle 90 %": ~(low | high), "highest 5 %": high}
    for label, inside in parts.items():
        pair = U[inside], predicted[inside]
        r2 = pointwise.r2(*pair, subject.offline.mean_U)
        table.append((label, f"{r2:.3f}", f"{pointwise.rmse(*pair):.3f}", f"{pointwise.bias(*pair):+.3f}"))
    caption = (
        "Left: where the truth lies in the plane of X_k and its subgrid tendency U_k (grey, logarithmic), with "
        "the mean of the closure given X_k and its 80 % range, which is a line for a closure that sees X_k "
        f"alone. Middle: predicted against true U_k. Right: the error that is left, given X_k. {len(X)} test "
        f"trajectories of {subject.offline.id}, {X.size:,} values; R² about the training mean."
    )
    header = ("X_k", "R²", "RMSE of U", "bias of U")
    return Section(caption, header, table, draw(X, U, predicted, subject.entry.name, others))


def draw(X: Array, U: Array, predicted: Array, name: str, others: Mapping[str, tuple[Array, Array]]) -> Figure:
    """Draw the density of (X_k, U_k) with the mean of the closure and of `others`, name to (x, u), and the errors."""
    made = figure(11, 4.2)
    left, middle, right = made.subplots(1, 3)
    own, true = conditional(X, predicted), conditional(X, U)
    left.hexbin(X.ravel(), U.ravel(), gridsize=60, **HEXBIN)
    left.plot(true.X, true.mean, color=BLACK, lw=1.6, ls=":", label="mean of the truth")
    left.fill_between(own.X, own.low, own.high, color=BLUE, alpha=0.35, lw=0)
    left.plot(own.X, own.mean, color=BLUE, label=f"{plain(name, 26)} (80 %)")
    for (label, (x, u)), color in zip(others.items(), (VERMILION, GREEN), strict=False):
        left.plot(x, u, color=color, ls="--", lw=1.5, label=label)
    left.set(xlabel="X$_k$", ylabel="U$_k$", title="U given X$_k$", ylim=tuple(np.percentile(U, (0.01, 99.99))))
    left.legend(loc="lower left", fontsize=8)
    ends = tuple(np.percentile(U, (0.02, 99.98)))
    middle.hexbin(U.ravel(), predicted.ravel(), gridsize=60, extent=(*ends, *ends), **HEXBIN)
    middle.plot(ends, ends, color=VERMILION, lw=1.2)
    middle.set(xlabel="true U$_k$", ylabel="predicted U$_k$", title="predicted and true", xlim=ends, ylim=ends)
    left_over = conditional(X, predicted - U)
    right.axhline(0.0, color=BLACK, lw=1.0)
    right.fill_between(left_over.X, left_over.low, left_over.high, color=BLUE, alpha=0.3, lw=0, label="80 % range")
    right.plot(left_over.X, left_over.mean, color=BLUE, label="mean")
    right.set(xlabel="X$_k$", ylabel="predicted - true U$_k$", title="error given X$_k$")
    right.legend(loc="upper left")
    right.grid(True)
    return made

"""The sections that look into the model: what it looks at, and what its output is made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from l96bench.diagnostics import importance
from l96bench.diagnostics.section import Section
from l96bench.diagnostics.subject import Subject
from l96bench.results.record import Result

__all__ = ["importance_section", "relevance_section"]

_N_STATES = 400
"""States at which slopes and relevance are looked at."""


def _states(subject: Subject, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """X and U of n test states, evenly spread over the sample."""
    X, U, _ = subject.sample
    flat = X.reshape(-1, X.shape[-1]), U.reshape(-1, U.shape[-1])
    every = max(1, len(flat[0]) // n)
    return flat[0][::every][:n], flat[1][::every][:n]


def importance_section(subject: Subject, results: Sequence[Result]) -> Section:
    """Permutation importance, Jacobian and locality."""
    forcing = importance.instant_forcing(subject.model)
    X, U = _states(subject, 5 * _N_STATES)
    mean = subject.climatology[0]
    offsets = importance.offsets_of(X.shape[1])
    permuted = importance.permutation_importance(forcing, X, U, subject.offline.mean_U)
    chosen = X[:: max(1, len(X) // _N_STATES)]
    gradient = importance.jacobian(forcing, chosen)
    slopes = importance.by_offset(gradient)
    products = importance.by_offset(importance.gradient_times_input(gradient, chosen, mean))
    measures = {"permutation": permuted.mean, "Jacobian": slopes, "gradient x input": products}
    radii = range(len(offsets) // 2 + 1)
    scores = {
        name: np.array([importance.locality(measure, offsets, n) for n in radii]) for name, measure in measures.items()
    }
    table: list[tuple[str, ...]] = [
        (f"{offset:+d}", f"{loss:.4f}", f"{slope:+.4f}", f"{size:.4f}", f"{product:.4f}")
        for offset, loss, slope, size, product in zip(
            offsets,
            permuted.mean,
            slopes.mean(axis=(0, 1)),
            np.abs(slopes).mean(axis=(0, 1)),
            np.abs(products).mean(axis=(0, 1)),
            strict=True,
        )
    ]
    for n in list(radii)[:3]:
        within = [f"{scores[measure][n]:.3f}" for measure in ("permutation", "Jacobian", "gradient x input")]
        table.append((f"locality, n = {n}", within[0], "", *within[1:]))
    caption = (
        f"Left: the R² of U_k that is lost when X_{{k+r}} is shuffled among {len(X):,} test states (5 shuffles; "
        "bars: std over points and shuffles). Middle: the Jacobian dU_k/dX_{k+r} by finite differences at "
        f"{len(chosen)} states. Right: the share of each measure, in absolute value, within n points; gradient "
        "times input is the Jacobian times the anomaly of X_{k+r} about the climatological mean. A closure "
        "that sees X_k alone scores 1 at n = 0."
    )
    header = ("offset r", "loss of R²", "mean slope", "mean |slope|", "mean |gradient x input|")
    return Section("importance", caption, header, table, importance.draw_importance(offsets, permuted, slopes, scores))


def relevance_section(subject: Subject, results: Sequence[Result]) -> Section:
    """Gradient times input and layer-wise relevance; left out for what is no network."""
    from l96bench.diagnostics import relevance

    network = relevance.find_network(subject.model)
    X, _ = _states(subject, _N_STATES)
    mean = subject.climatology[0]
    offsets = importance.offsets_of(X.shape[1])
    gradient = importance.jacobian(importance.instant_forcing(subject.model), X)
    measures = {
        "gradient x input": importance.by_offset(importance.gradient_times_input(gradient, X, mean)),
        "layer-wise relevance": relevance.ring_relevance(network, X, mean),
    }
    table = []
    for name, measure in measures.items():
        size = np.abs(measure).mean(axis=(0, 1))
        strongest = ", ".join(f"{offsets[i]:+d} ({size[i]:.2f})" for i in np.argsort(-size, kind="stable")[:3])
        scores = [f"{importance.locality(measure, offsets, n):.3f}" for n in range(3)]
        table.append((name, strongest, *scores))
    caption = (
        "What each X_{k+r} contributes to U_k, for anomalies about the climatological mean, in units of U: "
        "gradient times input, and layer-wise relevance propagation by the epsilon rule (Bach et al. 2015), "
        f"which passes activations ({network.activation}) unchanged and leaves the part of biases with them. "
        f"{len(X)} test states. Left: mean size. Right: mean contribution by the state of the point itself. "
        "Locality: the share of the size within n points."
    )
    header = ("measure", "strongest offsets (mean size)", "locality n = 0", "n = 1", "n = 2")
    return Section("relevance", caption, header, table, relevance.draw_relevance(offsets, X, measures))

"""Show the terms that are found for each noise and budget."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from l96bench.diagnostics.figures import SEQUENTIAL, VERMILION, figure
from l96bench.diagnostics.recovery.coefficients import coefficients
from l96bench.diagnostics.recovery.subject import RecoverySubject
from l96bench.diagnostics.registry import Results, Section, register_diagnostic
from l96bench.equations import EquationSet


@register_diagnostic("terms", "Terms that are found", kind="equations", order=20)
def terms(subject: RecoverySubject, results: Results) -> Section:
    """Show which terms are found in each problem of the instance, and the scores of the equations found."""
    columns = {
        f"{100 * problem.noise:g} %\n{problem.budget:g}": each
        for problem, each in zip(subject.problems, subject.equations, strict=True)
    }
    table = []
    for problem, discovery, scores in zip(subject.problems, subject.found, subject.scores, strict=True):
        numbers = (scores.precision, scores.recall, scores.f1, scores.operator_residual, scores.coefficient_error)
        cells = [f"{value:.3g}" for value in numbers]
        outcome = f"{scores.fault}: {' '.join(scores.message.split())[:80]}" if scores.fault else "scored"
        cells += [f"{scores.n_terms:.0f}", f"{discovery.seconds:.1f}", outcome]
        table.append((f"{100 * problem.noise:g} %", f"{problem.budget:g}", *cells))
    caption = (
        f"Instance {subject.instance.index} of {subject.task.id} with every noise and budget: the share of equations "
        "around the ring that have a term, the true terms above the line, and below it those that are found most often "
        "though they are not true."
    )
    header = (
        *("noise", "budget (MTU)", "precision", "recall", "F1", "operator residual", "coefficient error"),
        *("terms", "seconds", "outcome"),
    )
    return Section(caption, header, table, draw(subject.true, columns))


def draw(true: EquationSet, columns: Mapping[str, EquationSet | None], n_others: int = 10) -> Figure:
    """Draw the share of equations with each term, in a column for each problem: the true terms, then `n_others`."""
    right = list(coefficients(true))
    found = [{} if each is None else coefficients(each) for each in columns.values()]
    shares = {
        term: [float((one[term] != 0).mean()) if term in one else 0.0 for one in found] for one in found for term in one
    }
    others = sorted((term for term in shares if term not in right), key=lambda term: (-sum(shares[term]), str(term)))
    rows = right + others[:n_others]
    image = np.array([shares.get(term, [0.0] * len(columns)) for term in rows])
    made = figure(11, 1.8 + 0.3 * len(rows))
    ax = made.subplots()
    drawn = ax.imshow(image, aspect="auto", cmap=SEQUENTIAL, vmin=0, vmax=1, interpolation="nearest")
    ax.axhline(len(right) - 0.5, color=VERMILION, lw=2.0)
    names = [f"d{term.letter}: {term.text(true.K, true.J)[:44]}" for term in rows]
    ax.set_yticks(np.arange(len(rows)), names)
    ax.set_xticks(np.arange(len(columns)), list(columns))
    ax.set_xlabel("noise (% of the std), and budget (MTU) below")
    for column, each in enumerate(columns.values()):
        if each is None:
            ax.text(column, 0.5 * len(rows) - 0.5, "no equations", rotation=90, color="white", ha="center", va="center")
    made.colorbar(drawn, ax=ax, label="share of equations with the term", pad=0.01)
    return made

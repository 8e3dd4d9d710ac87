"""Show true and discovered coefficients side by side, and the terms found for each noise and budget."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from l96bench.diagnostics.figures import BLACK, GREY, MARKS, PALETTE, SEQUENTIAL, VERMILION, Array, figure
from l96bench.diagnostics.recovery.coefficients import Term, coefficients, in_latex, readable, spurious
from l96bench.diagnostics.recovery.subject import RecoverySubject
from l96bench.diagnostics.registry import Results, Section, register_diagnostic
from l96bench.equations import EquationSet

_NEAREST, _FARTHEST = 0.02, 1.2
"""Smallest and largest distance from 1 at which a found coefficient over the true one is shown."""


@register_diagnostic("equations", "True and discovered coefficients", kind="equations", order=10)
def equations(subject: RecoverySubject, results: Results) -> Section:
    """Show true and found coefficients side by side, for each level of noise."""
    true, budgets = subject.true, subject.task.track.budgets
    budget = budgets[len(budgets) // 2]
    found = {
        problem.noise: each
        for problem, each in zip(subject.problems, subject.equations, strict=True)
        if problem.budget == budget
    }
    right = coefficients(true)
    own = [None if each is None else coefficients(each) for each in found.values()]
    table = []
    for term, values in right.items():
        cells = ["none" if some is None else _cell(some.get(term, np.zeros_like(values))) for some in own]
        table.append((term.left, term.text(true.K, true.J), f"{values.mean():.5g}", *cells))
    for left, letter in sorted({(term.left, term.letter) for term in right}):
        others = [None if some is None else spurious(some, right, letter) for some in own]
        cells = [
            "none" if each is None else "{:.1f}, up to {:.2g}".format(*each) if each[0] else "0" for each in others
        ]
        table.append((left, "others in an equation", "0", *cells))
    best = " True are the resolved terms with the coefficients that fit the tendency of X best, since Y is hidden."
    caption = (
        f"Instance {subject.instance.index} of {subject.task.id}, observed for {budget:g} MTU. Above: each found "
        "coefficient over the true one, its mean over the ring and its range where every point has an equation of its "
        "own; what is beyond the axis is drawn at its end. Below: the equations in words, coefficients averaged over "
        f"the ring.{best if subject.instance.hidden else ''}"
    )
    header = ("equation", "term", "true", *(f"noise {100 * noise:g} %" for noise in found))
    return Section(caption, header, table, _draw_equations(true, found))


def _cell(values: np.ndarray) -> str:
    """Return the mean of a coefficient over the ring, and at how many points it was found if not at all of them."""
    present = int((values != 0).sum())
    if not present:
        return "not found"
    return f"{values.mean():.5g}" + (f" (at {present} of {values.size})" if present < values.size else "")


def _draw_equations(true: EquationSet, found: Mapping[float, EquationSet | None]) -> Figure:
    """Draw found over true coefficients for each noise, and the equations in words; None where there are none."""
    K, J = true.K, true.J
    right = coefficients(true)
    own = {noise: None if each is None else coefficients(each) for noise, each in found.items()}
    letters = sorted({term.letter for term in right})
    lines = [(letter, noise) for letter in letters for noise in (None, *own)]
    made = figure(11, 1.6 + 0.42 * len(right) + 0.27 * len(lines))
    above, below = made.subplots(2, 1, height_ratios=(1.0 + 0.42 * len(right), 0.27 * len(lines)))
    _draw_ratios(above, right, own, K, J)
    below.set_axis_off()
    for row, (letter, noise) in enumerate(lines):
        color = BLACK if noise is None else PALETTE[list(own).index(noise)]
        some = right if noise is None else own[noise]
        label = "true" if noise is None else f"noise {100 * noise:g} %"
        body = "no equations" if some is None else readable(some, letter, K, J)
        at = 1.0 - (row + 0.5) / len(lines)
        below.text(0.0, at, label, color=color, va="center", fontsize=9, transform=below.transAxes)
        below.text(0.11, at, body, color=BLACK, va="center", fontsize=9, transform=below.transAxes)
    return made


def _draw_ratios(
    ax: Axes, right: Mapping[Term, Array], own: Mapping[float, Mapping[Term, Array] | None], K: int, J: int
) -> None:
    """Draw, for each true term and noise, the found coefficient over the true one: mean and range over the ring."""
    terms = list(right)
    ratios = {
        noise: [some.get(term, np.zeros_like(right[term])) / right[term] for term in terms]
        for noise, some in own.items()
        if some is not None
    }
    furthest = max((float(np.abs(ratio - 1.0).max()) for each in ratios.values() for ratio in each), default=0.0)
    reach = float(np.clip(1.2 * furthest, _NEAREST, _FARTHEST))
    ax.axvline(1.0, color=BLACK, lw=1.2)
    if reach > 1.0:
        ax.axvline(0.0, color=GREY, lw=1.0, ls=":")
    for i, noise in enumerate(own):
        if noise not in ratios:
            continue
        at = np.arange(len(terms)) + 0.16 * (i - 0.5 * (len(own) - 1))
        parts = [[summary(ratio) for ratio in ratios[noise]] for summary in (np.mean, np.min, np.max)]
        means, lows, highs = np.clip(parts, 1.0 - reach, 1.0 + reach)
        color, mark = PALETTE[i], MARKS[i % len(MARKS)]
        ax.hlines(at, lows, highs, color=color, lw=1.6)
        ax.plot(means, at, ls="", marker=mark, ms=6, color=color, clip_on=False, label=f"noise {100 * noise:g} %")
    labels = []
    for term in terms:
        left = r"\dot{X}_k" if term.letter == "X" else r"\dot{Y}_{k,j}"
        labels.append(f"${left}:$   ${right[term].mean():+.4g}$  ${in_latex(term, K, J) if term.factors else ''}$")
    ax.set_yticks(np.arange(len(terms)), [label.replace("$$", "") for label in labels])
    ax.set(xlabel="found / true coefficient (0: not found)", xlim=(1.0 - reach, 1.0 + reach))
    ax.set_ylim(len(terms) - 0.5, -0.5)
    ax.grid(True, axis="x")
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))


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
    return Section(caption, header, table, _draw_terms(subject.true, columns))


def _draw_terms(true: EquationSet, columns: Mapping[str, EquationSet | None], n_others: int = 10) -> Figure:
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

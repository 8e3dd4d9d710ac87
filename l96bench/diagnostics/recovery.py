"""Discovered equations beside the true ones: coefficients, terms, and scores against noise and budget."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from l96bench.diagnostics.figures import BLACK, BLUE, GREEN, GREY, PALETTE, SEQUENTIAL, VERMILION, figure
from l96bench.equations import EquationSet, Monomial
from l96bench.equations.printing import Latex, Names, Text
from l96bench.results.record import Result
from l96bench.tasks.recovery_problems import percent

__all__ = [
    "Grids",
    "Term",
    "coefficients",
    "draw_equations",
    "draw_recovery",
    "draw_terms",
    "grids_of",
    "readable",
    "spurious",
]

Array = NDArray[np.float64]

METRICS: Mapping[str, str] = {
    "f1": "F1 of the terms",
    "operator_residual": "operator residual",
    "coefficient_error": "coefficient error",
    "valid_prediction_time": "valid time",
}
"""What rows hold for each noise and budget, and how axes call it."""
_FLOOR = 1e-5
"""Errors below this are drawn here on logarithmic axes."""
_VARIABLE = re.compile(r"X\[(\d+)\]|Y\[(\d+), (\d+)\]|sum\(Y\[(\d+)\]\)")
"""A variable, or the sum of a sector, in the name of a factor that is a function."""
_MARKS = ("o", "s", "D", "^")
_NEAREST, _FARTHEST = 0.02, 1.2
"""How far from 1 a found coefficient over the true one is shown, at least and at most."""


@dataclass(frozen=True, slots=True, order=True)
class Term:
    """A monomial in the equation of X[k] or Y[k,j], named relative to that variable.

    Attributes
    ----------
    letter : str
        "X" or "Y": whose equation.
    factors : tuple of (int or str, int)
        As in a `Monomial`, with the variables turned around the ring so that the target is X[0] or Y[0,0]; functions
        have their variables named relative to it. -1, -2, .. are the sums of Y over the sectors k, k+1, ..
    """

    letter: str
    factors: Monomial

    def text(self, K: int, J: int, style: Text | None = None) -> str:
        """The term without its coefficient, such as ``X[k-1]*X[k+1]``; ``1`` for the constant."""
        style, names = style or Text(), Names(K, J, self.letter)
        parts = []
        for factor, exponent in self.factors:
            base = style.variable(*names(factor)) if isinstance(factor, int) else factor
            parts.append(base if exponent == 1 else style.power(base, str(exponent)))
        return style.product(parts) or "1"


def coefficients(equations: EquationSet) -> dict[Term, Array]:
    """The coefficients of every term at every target of its kind: (K,) for equations of X, (K J,) for those of Y.

    0 where an equation has no such term. In equations of X, single Y of a sector are gathered to the sector's sum,
    whose coefficient is their mean.
    """
    K, J = equations.K, equations.J
    found: dict[Term, Array] = {}
    for target in range(equations.n_targets):
        letter, place, size = ("X", target, K) if target < K else ("Y", target - K, K * J)
        for monomial, value in equations.monomials(target).items():
            factors, share = _turned(monomial, letter, place, K, J)
            values = found.setdefault(Term(letter, factors), np.zeros(size))
            values[place] += share * value
    return found


def _turned(monomial: Monomial, letter: str, place: int, K: int, J: int) -> tuple[Monomial, float]:
    """A monomial seen from its target, and which share of its coefficient counts."""
    sector = place if letter == "X" else place // J
    if letter == "X" and len(monomial) == 1 and monomial[0][1] == 1:
        factor = monomial[0][0]
        if isinstance(factor, int) and factor >= K:
            return ((-1 - ((factor - K) // J - sector) % K, 1),), 1.0 / J
    turn = sector * J if letter == "X" else place

    def seen(factor: int | str) -> int | str:
        if isinstance(factor, str):
            return _VARIABLE.sub(named, factor)
        return (factor - sector) % K if factor < K else K + (factor - K - turn) % (K * J)

    def named(match: re.Match[str]) -> str:
        k, at, j, whole = (None if each is None else int(each) for each in match.groups())
        if whole is not None:
            return Text().variable(*names(-1 - (whole - sector) % K))
        index = seen(k if k is not None else K + int(at or 0) * J + int(j or 0))
        return Text().variable(*names(int(index)))

    names = Names(K, J, letter)
    turned = [(seen(factor), exponent) for factor, exponent in monomial]
    return tuple(sorted(turned, key=lambda power: (isinstance(power[0], str), power[0]))), 1.0


def spurious(found: Mapping[Term, Array], true: Mapping[Term, Array], letter: str) -> tuple[float, float]:
    """How many terms that are not true an equation of `letter` has, on average, and the largest size of theirs."""
    others = [values for term, values in found.items() if term.letter == letter and term not in true]
    if not others:
        return 0.0, 0.0
    return float(np.sum([(values != 0).mean() for values in others])), float(max(np.abs(each).max() for each in others))


def readable(found: Mapping[Term, Array], letter: str, K: int, J: int, n_terms: int = 6) -> str:
    """One equation of X[k] or Y[k,j] in LaTeX, coefficients averaged over the ring, the largest terms of each degree.

    Terms beyond the `n_terms` that are present at most points are counted, not shown.
    """
    own = {term: values for term, values in found.items() if term.letter == letter}
    kept = sorted(own, key=lambda term: (-(own[term] != 0).mean(), -np.abs(own[term]).mean(), term.factors))[:n_terms]
    pieces = []
    for term in sorted(kept, key=lambda term: (-sum(abs(power) for _, power in term.factors), str(term.factors))):
        value = float(own[term].mean())
        factors = [] if not term.factors else [_safe(term, K, J)]
        body = r"\,".join([Latex().number(abs(value)), *factors])
        pieces.append(f"{'-' if value < 0 else '+'} {body}")
    more = f" + {len(own) - len(kept)} terms" if len(own) > len(kept) else ""
    left = r"\dot{X}_k" if letter == "X" else r"\dot{Y}_{k,j}"
    right = " ".join(pieces).removeprefix("+ ") or "0"
    return f"${left} = {right}${more}"


def _safe(term: Term, K: int, J: int) -> str:
    """A term in LaTeX that fits a line; functions, whose names are code, as a plain f."""
    factors = tuple((factor, power) if isinstance(factor, int) else ("f(..)", power) for factor, power in term.factors)
    return Term(term.letter, factors).text(K, J, Latex()).replace(r"\sum_j", r"\Sigma_j")


@dataclass(frozen=True, slots=True)
class Grids:
    """Metrics (noise, budget), by the keys of `METRICS`, and where they come from."""

    noises: tuple[float, ...]
    budgets: tuple[float, ...]
    values: dict[str, Array]


def grids_of(result: Result, noises: Sequence[float], budgets: Sequence[float]) -> Grids | None:
    """The metrics of a row for each noise and budget; None if it lacks them."""
    values = {}
    for name in METRICS:
        rows = [result.series.get(f"{name}_noise_{percent(noise)}", []) for noise in noises]
        if any(len(row) != len(budgets) for row in rows):
            return None
        values[name] = np.array(rows, dtype=np.float64)
    return Grids(tuple(noises), tuple(budgets), values)


def draw_equations(true: EquationSet, found: Mapping[float, EquationSet | None]) -> Figure:
    """Found over true coefficients, and the equations in words, for each level of noise.

    Parameters
    ----------
    true : EquationSet
    found : mapping of noise to EquationSet
        None where there are no equations.
    """
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
    """For each true term and noise, the found coefficient over the true one: mean and range over the ring."""
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
        color, mark = PALETTE[i], _MARKS[i % len(_MARKS)]
        ax.hlines(at, lows, highs, color=color, lw=1.6)
        ax.plot(means, at, ls="", marker=mark, ms=6, color=color, clip_on=False, label=f"noise {100 * noise:g} %")
    labels = []
    for term in terms:
        left = r"\dot{X}_k" if term.letter == "X" else r"\dot{Y}_{k,j}"
        labels.append(f"${left}:$   ${right[term].mean():+.4g}$  ${_safe(term, K, J) if term.factors else ''}$")
    ax.set_yticks(np.arange(len(terms)), [label.replace("$$", "") for label in labels])
    ax.set(xlabel="found / true coefficient (0: not found)", xlim=(1.0 - reach, 1.0 + reach))
    ax.set_ylim(len(terms) - 0.5, -0.5)
    ax.grid(True, axis="x")
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))


def draw_terms(true: EquationSet, columns: Mapping[str, EquationSet | None], n_others: int = 10) -> Figure:
    """The share of equations that have each term: the true ones above, then those found most often besides.

    Parameters
    ----------
    true : EquationSet
    columns : mapping of label to EquationSet
        What was found for each problem; None where there are no equations.
    n_others : int
        Rows of terms that are not true.
    """
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


def draw_recovery(grids: Grids, clock: str) -> Figure:
    """Four metrics against the noise, a line for each budget.

    Parameters
    ----------
    grids : Grids
    clock : str
        The unit of the valid prediction time.
    """
    made = figure(11, 6.4)
    axes = made.subplots(2, 2, sharex=True)
    noises = 100.0 * np.array(grids.noises)
    for ax, (name, label) in zip(axes.flat, METRICS.items(), strict=True):
        logarithmic = name in ("operator_residual", "coefficient_error")
        for i, budget in enumerate(grids.budgets):
            values = grids.values[name][:, i]
            values = np.maximum(values, _FLOOR) if logarithmic else values
            color, dashes = (BLUE, VERMILION, GREEN)[i % 3], ("-", "--", ":")[i % 3]
            ax.plot(noises, values, color=color, ls=dashes, marker=_MARKS[i % 4], ms=6, label=f"{budget:g} MTU")
        ax.set_ylabel(f"{label} ({clock})" if name == "valid_prediction_time" else label)
        ax.grid(True)
        if logarithmic:
            ax.set_yscale("log")
            ax.axhline(1.0, color=GREY, lw=1.0, ls=":")
        elif name == "f1":
            ax.set_ylim(-0.03, 1.05)
        else:
            ax.set_ylim(bottom=0)
    for ax in axes[1]:
        ax.set_xlabel("observation noise (% of the std)")
        ax.set_xticks(noises)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    made.legend(handles, labels, loc="outside upper center", ncols=len(labels), title="length of the trajectory")
    return made

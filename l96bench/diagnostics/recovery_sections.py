"""The sections of an entry of `equation-recovery`: what it finds, and how that depends on noise and budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from l96bench.diagnostics import recovery
from l96bench.diagnostics.rows import row_of
from l96bench.diagnostics.section import Section
from l96bench.diagnostics.subject import RecoverySubject
from l96bench.equations import EquationSet
from l96bench.results.record import Result

__all__ = ["equations_section", "recovery_section", "terms_section"]


def equations_section(subject: RecoverySubject, results: Sequence[Result]) -> Section:
    """True and found coefficients side by side, for each level of noise."""
    true, budget = _true(subject), _budget(subject)
    found = {
        problem.noise: each
        for problem, each in zip(subject.problems, _found(subject), strict=True)
        if problem.budget == budget
    }
    right = recovery.coefficients(true)
    own = [None if each is None else recovery.coefficients(each) for each in found.values()]
    table = []
    for term, values in right.items():
        cells = ["none" if some is None else _cell(some.get(term, np.zeros_like(values))) for some in own]
        table.append((_left(term.letter), term.text(true.K, true.J), f"{values.mean():.5g}", *cells))
    for letter in sorted({term.letter for term in right}):
        cells = []
        for some in own:
            number, size = (0.0, 0.0) if some is None else recovery.spurious(some, right, letter)
            cells.append("none" if some is None else f"{number:.1f}, up to {size:.2g}" if number else "0")
        table.append((_left(letter), "others in an equation", "0", *cells))
    best = (
        " True are the resolved terms with the coefficients that fit the tendency of X best, since Y is hidden."
        if subject.instance.hidden
        else ""
    )
    caption = (
        f"Instance {subject.instance.index} of {subject.task.id}, observed for {budget:g} MTU. Above: each found "
        "coefficient over the true one, its mean over the ring and its range where every point has an equation of its "
        "own; what is beyond the axis is drawn at its end. Below: the equations in words, coefficients averaged over "
        f"the ring.{best}"
    )
    header = ("equation", "term", "true", *(f"noise {100 * noise:g} %" for noise in found))
    return Section("equations", caption, header, table, recovery.draw_equations(true, found))


def terms_section(subject: RecoverySubject, results: Sequence[Result]) -> Section:
    """Which terms are found in each problem of the instance, and the scores of what was found."""
    found = _found(subject)
    columns = {
        f"{100 * problem.noise:g} %\n{problem.budget:g}": each
        for problem, each in zip(subject.problems, found, strict=True)
    }
    table = []
    for problem, discovery, scores in zip(subject.problems, subject.found, subject.scores, strict=True):
        numbers = (scores.precision, scores.recall, scores.f1, scores.operator_residual, scores.coefficient_error)
        cells = [f"{value:.3g}" for value in numbers]
        outcome = f"{scores.fault}: {' '.join(scores.message.split())[:80]}" if scores.fault else "scored"
        seconds = f"{discovery.seconds:.1f}"
        row = (f"{100 * problem.noise:g} %", f"{problem.budget:g}", *cells, f"{scores.n_terms:.0f}", seconds, outcome)
        table.append(row)
    caption = (
        f"Instance {subject.instance.index} of {subject.task.id} with every noise and budget: the share of equations "
        "around the ring that have a term, the true terms above the line, and below it those that are found most often "
        "though they are not true."
    )
    header = (
        *("noise", "budget (MTU)", "precision", "recall", "F1", "operator residual", "coefficient error"),
        *("terms", "seconds", "outcome"),
    )
    return Section("terms", caption, header, table, recovery.draw_terms(_true(subject), columns))


def recovery_section(subject: RecoverySubject, results: Sequence[Result]) -> Section:
    """Scores against noise and budget: of the committed row, or where there is none of the instance that was run."""
    task, row = subject.task, row_of(results, subject.task.id, subject.entry.name)
    track = task.track
    grids = None if row is None else recovery.grids_of(row, track.noises, track.budgets)
    if row is not None and grids is not None:
        lost, of, note = row.failures.non_finite, row.failures.of, row.failures.note
        origin = f"The row of {subject.entry.name} on {task.id}: means over {len(task.instances)} instances, medians of"
        origin += " the coefficient error."
    else:
        shape = (len(track.noises), len(track.budgets))
        values = {
            name: np.array([getattr(each, name) for each in subject.scores]).reshape(shape) for name in recovery.METRICS
        }
        grids = recovery.Grids(track.noises, track.budgets, values)
        faults = Counter(each.fault for each in subject.scores if each.fault)
        lost, of, note = sum(faults.values()), len(subject.scores), ", ".join(f"{n} {f}" for f, n in faults.items())
        origin = f"Instance {subject.instance.index} alone: {subject.entry.name} has no row on {task.id} yet."
    clock = "MTU" if subject.instance.J else "Lyapunov times"
    table = [
        (f"{100 * noise:g} %", f"{budget:g}", *(f"{grids.values[name][i, j]:.4g}" for name in recovery.METRICS))
        for i, noise in enumerate(track.noises)
        for j, budget in enumerate(track.budgets)
    ]
    caption = (
        f"{origin} Errors below 1e-5 are drawn there; 1 is what no equation has. "
        f"Without equations: {lost} of {of}{f' ({note})' if lost else ''}; such a problem scores 0, with errors of 1."
    )
    header = ("noise", "budget (MTU)", *recovery.METRICS.values())
    return Section("recovery", caption, header, table, recovery.draw_recovery(grids, clock))


def _true(subject: RecoverySubject) -> EquationSet:
    """The true equations; where Y is hidden, with the best coefficients."""
    scorer = subject.scorer
    return scorer.best(scorer.true) if subject.instance.hidden else scorer.true


def _found(subject: RecoverySubject) -> list[EquationSet | None]:
    """What was found for each problem of the instance; None where that is unusable."""
    K, J = subject.instance.K, subject.instance.observed_J
    return [
        None if scores.fault or each.texts is None else EquationSet.parse(list(each.texts), K, J)
        for each, scores in zip(subject.found, subject.scores, strict=True)
    ]


def _budget(subject: RecoverySubject) -> float:
    """The middle one."""
    budgets = subject.task.track.budgets
    return budgets[len(budgets) // 2]


def _left(letter: str) -> str:
    return "dX[k]/dt" if letter == "X" else "dY[k,j]/dt"


def _cell(values: np.ndarray) -> str:
    """The mean of a coefficient over the ring, and at how many points it was found where that is not all."""
    present = int((values != 0).sum())
    if not present:
        return "not found"
    return f"{values.mean():.5g}" + (f" (at {present} of {values.size})" if present < values.size else "")

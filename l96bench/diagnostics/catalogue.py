"""Every diagnostic by its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from l96bench.diagnostics.board_sections import learning_section, pareto_section, scatter_section
from l96bench.diagnostics.model_sections import importance_section, relevance_section
from l96bench.diagnostics.run_sections import (
    attribution_section,
    climate_section,
    density_section,
    hovmoeller_section,
    regimes_section,
    skill_section,
    spread_section,
)
from l96bench.diagnostics.section import Section
from l96bench.diagnostics.subject import LeftOutError, Subject
from l96bench.tasks.result import Result

__all__ = ["DIAGNOSTICS", "diagnose"]

DIAGNOSTICS: Mapping[str, Callable[[Subject, Sequence[Result]], Section]] = MappingProxyType(
    {
        "hovmoeller": hovmoeller_section,
        "density": density_section,
        "skill": skill_section,
        "spread": spread_section,
        "climate": climate_section,
        "regimes": regimes_section,
        "attribution": attribution_section,
        "importance": importance_section,
        "relevance": relevance_section,
        "learning": learning_section,
        "scatter": scatter_section,
        "pareto": pareto_section,
    }
)
"""Every diagnostic, in the order of the page."""


def diagnose(name: str, subject: Subject, results: Sequence[Result] = ()) -> Section:
    """The section of one diagnostic; one without a picture, and the reason, where it makes no sense for the entry.

    Parameters
    ----------
    name : str
        A key of `DIAGNOSTICS`.
    subject : Subject
    results : sequence of Result
        The rows of the board, for the diagnostics that compare entries.
    """
    try:
        return DIAGNOSTICS[name](subject, results)
    except LeftOutError as reason:
        return Section(name, f"Left out: {reason}.")

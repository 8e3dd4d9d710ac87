"""Every diagnostic by its name, for each kind of entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from l96bench.diagnostics.assimilation_sections import (
    cycles_section,
    increments_section,
    innovations_section,
    reliability_section,
)
from l96bench.diagnostics.board_sections import learning_section, pareto_section, scatter_section, standing_section
from l96bench.diagnostics.model_sections import importance_section, relevance_section
from l96bench.diagnostics.recovery_sections import equations_section, recovery_section, terms_section
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
from l96bench.diagnostics.subject import AnySubject, AssimilationSubject, LeftOutError, RecoverySubject, Subject
from l96bench.results.record import Result

__all__ = ["DIAGNOSTICS", "diagnose", "diagnostics_of"]

Diagnostic = Callable[[Any, Sequence[Result]], Section]

_CLOSURE: dict[str, Diagnostic] = {
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
_ASSIMILATION: dict[str, Diagnostic] = {
    "cycles": cycles_section,
    "reliability": reliability_section,
    "innovations": innovations_section,
    "increments": increments_section,
    "standing": standing_section,
}
_RECOVERY: dict[str, Diagnostic] = {
    "equations": equations_section,
    "terms": terms_section,
    "recovery": recovery_section,
    "standing": standing_section,
}

DIAGNOSTICS: Mapping[str, Diagnostic] = MappingProxyType(_CLOSURE | _ASSIMILATION | _RECOVERY)
"""Every diagnostic."""

_OF: dict[type, tuple[str, Mapping[str, Diagnostic]]] = {
    Subject: ("a closure", _CLOSURE),
    AssimilationSubject: ("an entry of da-increment", _ASSIMILATION),
    RecoverySubject: ("an entry of equation-recovery", _RECOVERY),
}


def diagnostics_of(subject: AnySubject) -> list[str]:
    """The names of the diagnostics that make sense for this kind of entry, in the order of its page."""
    return list(_OF[type(subject)][1])


def diagnose(name: str, subject: AnySubject, results: Sequence[Result] = ()) -> Section:
    """The section of one diagnostic; one without a picture, and the reason, where it makes no sense for the entry.

    Parameters
    ----------
    name : str
        A key of `DIAGNOSTICS`.
    subject : Subject, AssimilationSubject or RecoverySubject
    results : sequence of Result
        The rows of the board, for the diagnostics that compare entries.
    """
    kind, own = _OF[type(subject)]
    try:
        if name not in own:
            raise LeftOutError(f"{kind} has no such diagnostic, but {', '.join(own)}")
        return own[name](subject, results)
    except LeftOutError as reason:
        return Section(name, f"Left out: {reason}.")

"""The assimilation systems that `da-increment` scores, and the parts of one that a file and its description hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.assimilation.filters import Filter
from l96bench.assimilation.models import ForecastModel, ResolvedModel
from l96bench.assimilation.record import Cycled
from l96bench.dynamics.polynomial import Polynomial
from l96bench.dynamics.resolved import MODEL_DT
from l96bench.errors import ModelError
from l96bench.regimes import Regime
from l96bench.tasks.described import Assimilation, describe_filter

__all__ = ["AssimilationSystem", "Cycles", "parts_in_file"]


@dataclass(frozen=True, eq=False)
class AssimilationSystem:
    """A forecast model, and optionally a filter, submitted in place of a model of increments.

    Parameters
    ----------
    model : ForecastModel
        Such as ``ResolvedModel(task.regime, closure)``.
    filter : Filter, optional
        Replaces the track's.
    closure : model, optional
        Used for free forecasts and the climate, which are skipped without it.
    increments : model, optional
        The model of increments behind the system; set by `DAIncrement.system`.

    Examples
    --------
    >>> import l96bench
    >>> from l96bench import assimilation as da
    >>> task = l96bench.make_task("da-increment/dense-v1").miniature()
    >>> system = l96bench.AssimilationSystem(da.ResolvedModel("wilks-f20"), da.ETKF())
    >>> system.closure is None  # so there are no free forecasts and no climate
    True
    """

    model: ForecastModel
    filter: Filter | None = None
    closure: Any = None
    increments: Any = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class Cycles:
    """A system's cycled test segments, the chosen inflation, and the squared background errors (segment, cycle)."""

    run: Cycled
    inflation: float
    squared: NDArray[np.float64] = field(repr=False)


def parts_in_file(system: AssimilationSystem, regime: Regime) -> tuple[Any, Assimilation | None]:
    """Return the closure, or model of increments, that a file holds of a system, and the description of the rest.

    There is none for a model of increments in the track's filter. Increments that are polynomials become closures: such
    are run with coefficients that are divided by the window first. Raises `ModelError` for another forecast model than
    the resolved one, or a filter that is not of the library.
    """
    filter = None if system.filter is None else describe_filter(system.filter)
    if system.increments is not None and not isinstance(system.closure, Polynomial):
        return system.increments, None if filter is None else Assimilation(filter=filter)
    forecast, settings = system.model, (regime, regime.F, MODEL_DT)
    if type(forecast) is not ResolvedModel or (forecast.regime, forecast.F, forecast.dt) != settings:
        raise ModelError(
            f"expected a closure of the resolved model, got {forecast!r:.200}: a file holds no other forecast model, "
            "nor coefficients that are estimated with the state"
        )
    return forecast.closure, Assimilation(role="closure", **({} if filter is None else {"filter": filter}))

"""Run the code of models where the truth can neither be simulated nor read."""

from __future__ import annotations

import time
from typing import Any

from l96bench.dynamics.truth import put_out_of_reach
from l96bench.errors import L96BenchError, user_error
from l96bench.parallel import one_thread
from l96bench.workers import in_processes

__all__ = ["fit_out_of_reach"]


def fit_out_of_reach(model: Any, data: Any) -> float:
    """Call ``model.fit(data)`` in a process without the truth, take over what was learned and return the CPU seconds.

    A model without ``fit`` is left as it is. Raises `ModelError` if the model's own code raises.
    """
    if not callable(getattr(model, "fit", None)):
        return 0.0
    ((_, found, fault),) = in_processes(_fitted, [(model, data)], 1)
    if fault:
        raise L96BenchError(f"{type(model).__name__}.fit: {fault}")
    if isinstance(found, Exception):
        raise found
    state, seconds = found
    vars(model).update(state)
    return float(seconds)


def _fitted(work: tuple[Any, Any]) -> tuple[dict[str, Any], float] | Exception:
    """Fit a model where the truth is out of reach; return its state and the CPU seconds, or the error."""
    model, data = work
    put_out_of_reach()
    start = time.process_time()
    try:
        with one_thread():
            model.fit(data)
    except Exception as error:
        return user_error(f"{type(model).__name__}.fit", error)
    return vars(model), time.process_time() - start

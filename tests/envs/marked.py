"""The ids of all environments as parameters of tests, with the marks of what their data cost."""

from __future__ import annotations

from typing import Any

import pytest

from l96bench.envs.registration import ENVIRONMENTS

__all__ = ["every_id", "marked"]

FAST = "l96bench/OnlineRollout-v2"
REAL = ("l96bench/DAIncrement-v2", "l96bench/EquationRecovery-v2")
"""Environments of archives that have no miniature."""


def marked(id: str, *values: Any, slow: bool = False) -> Any:
    """An id and more values, marked `real_data` or, where the miniature takes seconds, `slow`."""
    mark = pytest.mark.real_data if id in REAL else pytest.mark.slow
    return pytest.param(id, *values, marks=[mark] if slow or id != FAST else [])


every_id = pytest.mark.parametrize("id", [marked(id) for id in ENVIRONMENTS])

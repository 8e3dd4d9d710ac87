from .cli import run_script
from .dynamics.closures import AR1Closure, Closure, as_closure
from .dynamics.network import TorchRegressor
from .dynamics.polynomial import PUBLISHED, NoClosure, Polynomial, PublishedClosure
from .dynamics.regressors import AR1Regressor, LocalRegressor, PolynomialRegressor
from .dynamics.resolved import Rollout, rollout
from .dynamics.truth import Trajectory, simulate
from .errors import (
    BlowUpError,
    DataError,
    L96BenchError,
    ModelError,
    ResultError,
    UnknownIdError,
)
from .regimes import Regime, get_regime, list_regimes
from .submit.entry import Entry
from .tasks.base import Task
from .tasks.da_increment import AssimilationSystem, DAIncrement
from .tasks.registry import list_tasks, make_task
from .tasks.result import ModelInfo, Result

__version__: str

__all__ = [
    "PUBLISHED",
    "AR1Closure",
    "AR1Regressor",
    "AssimilationSystem",
    "BlowUpError",
    "Closure",
    "DAIncrement",
    "DataError",
    "Entry",
    "L96BenchError",
    "LocalRegressor",
    "ModelError",
    "ModelInfo",
    "NoClosure",
    "Polynomial",
    "PolynomialRegressor",
    "PublishedClosure",
    "Regime",
    "Result",
    "ResultError",
    "Rollout",
    "Task",
    "TorchRegressor",
    "Trajectory",
    "UnknownIdError",
    "as_closure",
    "get_regime",
    "list_regimes",
    "list_tasks",
    "make_task",
    "rollout",
    "run_script",
    "simulate",
]

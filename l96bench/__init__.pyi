from .cli import run_script
from .dynamics.ar1 import AR1Closure
from .dynamics.closures import Closure, as_closure
from .dynamics.polynomial import PUBLISHED, NoClosure, Polynomial, PublishedClosure
from .dynamics.resolved import Rollout, rollout
from .dynamics.truth import Trajectory, simulate
from .entries.entry import Entry
from .equations import EquationClosure, EquationSet
from .equations.closure_regression import EquationRegressor
from .equations.derivatives import SavitzkyGolay, WeakForm
from .equations.discoverers import KnownEquations, PySINDyRegression, as_discoverer
from .equations.library import RingLibrary
from .equations.regression import SparseRegression, ThresholdSelection
from .equations.symbolic_regression import SymbolicRegression
from .errors import (
    BlowUpError,
    ClusterError,
    DataError,
    EquationError,
    L96BenchError,
    ModelError,
    ResultError,
    SubmissionError,
    UnknownIdError,
)
from .estimators.network import TorchRegressor
from .estimators.regressors import AR1Regressor, LocalRegressor, PolynomialRegressor
from .graphs.onnx_closure import OnnxClosure
from .regimes import Regime, get_regime, list_regimes
from .results.record import ModelInfo, Result
from .submissions.export import export_equations, export_onnx, export_predictions
from .tasks.base import Task
from .tasks.da_increment import AssimilationSystem, DAIncrement
from .tasks.equation_recovery import EquationRecovery
from .tasks.registry import list_tasks, make_task

__version__: str

__all__ = [
    "PUBLISHED",
    "AR1Closure",
    "AR1Regressor",
    "AssimilationSystem",
    "BlowUpError",
    "Closure",
    "ClusterError",
    "DAIncrement",
    "DataError",
    "Entry",
    "EquationClosure",
    "EquationError",
    "EquationRecovery",
    "EquationRegressor",
    "EquationSet",
    "KnownEquations",
    "L96BenchError",
    "LocalRegressor",
    "ModelError",
    "ModelInfo",
    "NoClosure",
    "OnnxClosure",
    "Polynomial",
    "PolynomialRegressor",
    "PublishedClosure",
    "PySINDyRegression",
    "Regime",
    "Result",
    "ResultError",
    "RingLibrary",
    "Rollout",
    "SavitzkyGolay",
    "SparseRegression",
    "SubmissionError",
    "SymbolicRegression",
    "Task",
    "ThresholdSelection",
    "TorchRegressor",
    "Trajectory",
    "UnknownIdError",
    "WeakForm",
    "as_closure",
    "as_discoverer",
    "export_equations",
    "export_onnx",
    "export_predictions",
    "get_regime",
    "list_regimes",
    "list_tasks",
    "make_task",
    "rollout",
    "run_script",
    "simulate",
]

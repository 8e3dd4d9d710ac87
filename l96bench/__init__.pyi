from . import assimilation, diagnostics, envs, equations, estimators, metrics, tasks
from .board.rows import compare, load_results
from .board.text import Markdown, markdown_table
from .cli import run_script
from .data.generate import perfect_forecast
from .data.instances import textbook_instance
from .data.splits import Cases, split_seed, splits_of
from .data.store import array_digest, cache_folder
from .data.systems import draw_systems
from .dynamics.ar1 import AR1Closure
from .dynamics.closures import Closure, as_closure
from .dynamics.differentiable import differentiable_rollout, differentiable_step
from .dynamics.polynomial import PUBLISHED, NoClosure, Polynomial, PublishedClosure
from .dynamics.resolved import Rollout, rollout
from .dynamics.steps import Block, StepForm, SteppedClosure
from .dynamics.truth import Trajectory, advance, random_state, simulate
from .entries.entry import Entry
from .entries.lookup import baseline_names, find_code, find_entry
from .entries.sweep import sweep
from .entries.units import Unit, run_unit
from .equations import EquationClosure, EquationSet
from .equations.closure_regression import EquationRegressor
from .equations.derivatives import SavitzkyGolay, WeakForm
from .equations.discoverers import KnownEquations, PySINDyRegression, as_discoverer
from .equations.library import RingLibrary
from .equations.regression import SparseRegression, ThresholdSelection
from .equations.shooting import MultipleShooting
from .equations.symbolic_regression import SymbolicRegression
from .errors import (
    BlowUpError,
    ClusterError,
    DataError,
    EquationError,
    L96BenchError,
    MissingExtraError,
    ModelError,
    ResultError,
    SubmissionError,
    UnknownIdError,
)
from .estimators.network import TorchRegressor
from .estimators.regressors import AR1Regressor, LocalRegressor, PolynomialRegressor
from .graphs.onnx_closure import OnnxClosure
from .graphs.onnx_step import read_closure
from .metrics.glossary import Metric
from .parallel import in_parallel
from .regimes import Regime, get_regime, list_regimes, register_regime
from .results.combine import combine_seeds
from .results.load import read_results
from .results.origin import slug_of
from .results.record import Failures, ModelInfo, Result
from .submissions.export import export_equations, export_onnx, export_predictions
from .tasks.assimilation_system import AssimilationSystem
from .tasks.base import Task
from .tasks.checks import check_closure, check_task
from .tasks.closure_task import ClosureTask
from .tasks.da_increment import DAIncrement
from .tasks.equation_recovery import EquationRecovery
from .tasks.observed_closure import ObservedClosure
from .tasks.registry import glossary, list_tasks, make_task, register_task
from .tasks.unseen_physics import SystemSamples, UnseenPhysics

__version__: str

__all__ = [
    "PUBLISHED",
    "AR1Closure",
    "AR1Regressor",
    "AssimilationSystem",
    "Block",
    "BlowUpError",
    "Cases",
    "Closure",
    "ClosureTask",
    "ClusterError",
    "DAIncrement",
    "DataError",
    "Entry",
    "EquationClosure",
    "EquationError",
    "EquationRecovery",
    "EquationRegressor",
    "EquationSet",
    "Failures",
    "KnownEquations",
    "L96BenchError",
    "LocalRegressor",
    "Markdown",
    "Metric",
    "MissingExtraError",
    "ModelError",
    "ModelInfo",
    "MultipleShooting",
    "NoClosure",
    "ObservedClosure",
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
    "StepForm",
    "SteppedClosure",
    "SubmissionError",
    "SymbolicRegression",
    "SystemSamples",
    "Task",
    "ThresholdSelection",
    "TorchRegressor",
    "Trajectory",
    "Unit",
    "UnknownIdError",
    "UnseenPhysics",
    "WeakForm",
    "advance",
    "array_digest",
    "as_closure",
    "as_discoverer",
    "assimilation",
    "baseline_names",
    "cache_folder",
    "check_closure",
    "check_task",
    "combine_seeds",
    "compare",
    "diagnostics",
    "differentiable_rollout",
    "differentiable_step",
    "draw_systems",
    "envs",
    "equations",
    "estimators",
    "export_equations",
    "export_onnx",
    "export_predictions",
    "find_code",
    "find_entry",
    "get_regime",
    "glossary",
    "in_parallel",
    "list_regimes",
    "list_tasks",
    "load_results",
    "make_task",
    "markdown_table",
    "metrics",
    "perfect_forecast",
    "random_state",
    "read_closure",
    "read_results",
    "register_regime",
    "register_task",
    "rollout",
    "run_script",
    "run_unit",
    "simulate",
    "slug_of",
    "split_seed",
    "splits_of",
    "sweep",
    "tasks",
    "textbook_instance",
]

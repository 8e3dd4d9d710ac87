from .artifacts import Content, Example, Expected
from .assimilation_system import AssimilationSystem
from .base import Task
from .checks import check_closure, check_task
from .closure_task import ClosureTask, Samples
from .da_increment import DAIncrement
from .described import Described
from .equation_recovery import EquationRecovery
from .observed_closure import ObservedClosure
from .online_rollout import OnlineRollout
from .parts import Column, Parts, Reference, Work, value_of
from .registry import families, find_family, glossary, list_tasks, make_task, register_task, tasks_given_as
from .sources import MINIATURE, REGISTERED, Source
from .subgrid_forcing import SubgridForcing
from .subgrid_forcing_memory import SubgridForcingMemory
from .unseen_physics import SystemSamples, UnseenPhysics

__all__ = [
    "MINIATURE",
    "REGISTERED",
    "AssimilationSystem",
    "ClosureTask",
    "Column",
    "Content",
    "DAIncrement",
    "Described",
    "EquationRecovery",
    "Example",
    "Expected",
    "ObservedClosure",
    "OnlineRollout",
    "Parts",
    "Reference",
    "Samples",
    "Source",
    "SubgridForcing",
    "SubgridForcingMemory",
    "SystemSamples",
    "Task",
    "UnseenPhysics",
    "Work",
    "check_closure",
    "check_task",
    "families",
    "find_family",
    "glossary",
    "list_tasks",
    "make_task",
    "register_task",
    "tasks_given_as",
    "value_of",
]

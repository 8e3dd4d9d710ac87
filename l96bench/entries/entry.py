"""Entries: what a baseline script defines, and what `l96bench run` finds by name."""

from __future__ import annotations

import copy
import hashlib
import importlib
import importlib.util
import inspect
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from l96bench.errors import L96BenchError, UnknownIdError, nearest
from l96bench.parallel import one_thread
from l96bench.results.record import ModelInfo
from l96bench.tasks.base import Task
from l96bench.tasks.cost import count_parameters
from l96bench.tasks.registry import list_tasks, make_task

__all__ = ["Entry", "EntryCode", "baseline_names", "find_code", "find_entry"]

QUICK_REGIMES = ("wilks-f20", "arnold-c4")
"""The regimes of the quick board."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A competitor: how its models are made, and how its rows are called.

    Parameters
    ----------
    name : str
        Of the rows.
    kind : str
        Of the method: polynomial, network, trees, ...
    inputs : str
        What it sees, such as ``"X_k"`` or ``"X_{k-2..k+2}"``.
    make : (Task, int) -> model
        A fresh model for a task and a training seed. One with ``fit`` is fitted to ``task.train``, unless `trained_on`
        says that `make` has done it.
    seeds : sequence of int
        Training seeds: one where training is not random, five where it is.
    families : sequence of str
        The families that it enters.
    regimes : sequence of str, optional
        The regimes for which it makes sense; all if not given.
    source, description : str
        A citation, and one line.
    trained_on : str, optional
        What `make` itself trains on, where that is not the task's training set.
    quick : bool
        Whether it runs with the quick baselines, those of a run that names none; they are also fitted to less data, for
        their learning curves.
    slow : bool
        Whether it trains for minutes a seed: such a one begins first, and only when it is named or all are asked for.
    """

    name: str
    kind: str
    inputs: str
    make: Callable[[Any, int], Any]
    seeds: Sequence[int] = (0,)
    families: Sequence[str] = ("subgrid-forcing", "online-rollout")
    regimes: Sequence[str] | None = None
    source: str = ""
    description: str = ""
    trained_on: str | None = None
    quick: bool = True
    slow: bool = False

    def tasks(self, regimes: Sequence[str] = QUICK_REGIMES) -> list[Task]:
        """The entry's tasks on these regimes."""
        wanted = [regime for regime in regimes if self.regimes is None or regime in self.regimes]
        all_tasks = [make_task(id) for family in self.families for id in list_tasks(family)]
        return [task for task in all_tasks if task.regime_id in wanted]

    def train(self, task: Task, seed: int) -> tuple[Any, float | None]:
        """A model made for a task and trained on its data, and the processor seconds; None if there was no training.

        On one thread, so that it is the same model wherever it is trained again: to be scored, exported or verified.
        """
        start = time.process_time()
        with one_thread():
            model = self.make(task, seed)
            if self.trained_on is None:
                task.fit(model)
        seconds = time.process_time() - start
        return model, seconds if self.is_trained(model) else None

    def is_trained(self, model: Any) -> bool:
        """Whether there is a training to speak of: `make` did it, or the model has ``fit``."""
        return self.trained_on is not None or callable(getattr(model, "fit", None))

    def accepts(self, task: Task) -> bool:
        """Whether the entry enters this task."""
        return task.family in self.families and (self.regimes is None or task.regime_id in self.regimes)

    def info(self, task: Task, model: Any, seed: int, command: str) -> ModelInfo:
        """How the row of one training seed is described."""
        return ModelInfo(
            name=self.name,
            kind=self.kind,
            inputs=self.inputs,
            parameters=count_parameters(model),
            trained_on=(self.trained_on or task.training_set) if self.is_trained(model) else None,
            seeds=[seed],
            command=command,
            source=self.source,
            description=self.description,
        )


def baselines_folder() -> Path:
    """The folder of the baseline scripts: ``baselines/`` here, or beside the package in a source tree."""
    here = Path("baselines")
    return here if here.is_dir() else Path(__file__).resolve().parents[2] / "baselines"


def baseline_names() -> list[str]:
    """The names of all baseline scripts."""
    return sorted(path.stem for path in baselines_folder().glob("*.py") if not path.stem.startswith("_"))


@dataclass(frozen=True, slots=True)
class EntryCode:
    """The code that defines an entry, whole: enough to have the entry on a machine that lacks the file.

    Attributes
    ----------
    name : str
        As `find_entry` takes it.
    path : str
        Of the file here.
    text : bytes
        What the file holds.
    """

    name: str
    path: str
    text: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the code; of an object of a module, with the object's name."""
        _, _, attribute = self._parts
        return hashlib.sha256(self.text).hexdigest() + (f":{attribute}" if attribute else "")

    @property
    def _parts(self) -> tuple[str, str, str]:
        return ("", "", "") if _is_script(self.name) else self.name.partition(":")

    def load(self) -> Entry:
        """The entry.

        A script is run from the text. A module is imported, and where it is missing or another one, run from the text
        as well; then it has to be one file that imports nothing that is missing.

        Raises
        ------
        UnknownIdError
            If the module has no such object.
        L96BenchError
            If the script defines no entry.
        """
        module_name, _, attribute = self._parts
        if not attribute:
            module = _module(f"l96bench_entry_{Path(self.path).stem}", self.path, self.text)
            if not isinstance(getattr(module, "entry", None), Entry):
                raise L96BenchError(
                    f"{self.path}: expected a script that defines `entry = l96bench.Entry(...)`, found none"
                )
            return module.entry
        try:
            module = _import(module_name)
            if _text(module) != self.text:
                module = _module(module_name, self.path, self.text)
        except UnknownIdError:
            module = _module(module_name, self.path, self.text)
        if not hasattr(module, attribute):
            names = [each for each in vars(module) if not each.startswith("_")]
            raise UnknownIdError(f"module {module_name!r} has no object {attribute!r}." + nearest(attribute, names))
        return _as_entry(getattr(module, attribute), attribute)


def find_code(name: str) -> EntryCode:
    """The code of the entry called `name`; see `find_entry`."""
    if not _is_script(name):
        module = _import(name.partition(":")[0])
        return EntryCode(name, getattr(module, "__file__", None) or "", _text(module))
    path = Path(name) if name.endswith(".py") else baselines_folder() / f"{name}.py"
    if not path.is_file():
        expected = "expected a baseline, the path of a script, or MODULE:OBJECT."
        raise UnknownIdError(f"no entry {name!r}: {expected}" + nearest(name, baseline_names()))
    return EntryCode(name, str(path), path.read_bytes())


def find_entry(name: str) -> tuple[Entry, str]:
    """The entry called `name`, and a digest of the code that defines it.

    Parameters
    ----------
    name : str
        A baseline (``quartic``), the path of a script that defines ``entry``, or ``module:object``, the object being an
        entry, a model, a class of models or a function that makes one (of the training seed, if it has an argument).

    Raises
    ------
    UnknownIdError
        If there is no such baseline, module or object; the message names the closest ones.
    L96BenchError
        If a script defines no entry.
    """
    code = find_code(name)
    return code.load(), code.digest


def _is_script(name: str) -> bool:
    """Whether this names a script, or a baseline, and no object of a module."""
    return name.endswith(".py") or ":" not in name


def _import(name: str) -> ModuleType:
    sys.path.insert(0, "")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UnknownIdError(
            f"no module {name!r} ({error}); is its folder the current one, or on PYTHONPATH?"
        ) from error
    finally:
        sys.path.remove("")


def _module(name: str, path: str, text: bytes) -> ModuleType:
    """A module of its code, not registered under its name, so that other processes get what it defines by value."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    exec(compile(text, path, "exec"), vars(module))
    return module


def _text(module: ModuleType) -> bytes:
    file = getattr(module, "__file__", None)
    return Path(file).read_bytes() if file else repr(module).encode()


def _as_entry(thing: Any, name: str) -> Entry:
    """An entry of any object that makes or is a model."""
    if isinstance(thing, Entry):
        return thing
    is_maker = isinstance(thing, type) or (inspect.isfunction(thing) and len(inspect.signature(thing).parameters) == 0)
    takes_seed = inspect.isfunction(thing) and list(inspect.signature(thing).parameters) == ["seed"]

    def make(task: Task, seed: int) -> Any:
        if takes_seed:
            return thing(seed)
        return thing() if is_maker else _fresh(thing)

    return Entry(name=name, kind="custom", inputs="X", make=make, description=f"{name} from a module of the user's")


def _fresh(model: Any) -> Any:
    """A copy of a scikit-learn estimator, fitted or not, that training may change; any other model as it is."""
    base = sys.modules.get("sklearn.base")
    return copy.deepcopy(model) if base is not None and isinstance(model, base.BaseEstimator) else model

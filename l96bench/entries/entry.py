"""Entries: what a baseline script defines, and what `l96bench run` finds by name."""

from __future__ import annotations

import ast
import copy
import hashlib
import importlib
import inspect
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from l96bench.entries.scripts import enter, files_beside, run_script_file
from l96bench.errors import L96BenchError, UnknownIdError, nearest, user_error
from l96bench.parallel import one_thread
from l96bench.results.origin import slug_of
from l96bench.results.record import ModelInfo
from l96bench.tasks.base import Task
from l96bench.tasks.cost import count_parameters
from l96bench.tasks.registry import list_tasks, make_task

__all__ = ["Entry", "EntryCode", "baseline_names", "find_code", "find_entry"]

QUICK_REGIMES = ("wilks-f20", "arnold-c4")
"""The regimes of the quick board."""
_OBJECT = re.compile(r"[\w.]+:\w+")
_EXPECTED = (
    "expected the key or title of a baseline (looked in {folder}), the path of a script FILE.py (from {here}), or "
    "MODULE:OBJECT."
)


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
    declared : bool
        Whether somebody has written the entry; False for one made of a model, which may be fitted already.
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
    declared: bool = True

    def tasks(self, regimes: Sequence[str] | None = None) -> list[Task]:
        """The entry's tasks on these regimes and tracks; without them on the default ones of its families.

        Where the entry has none of these, all of its tasks.
        """
        entered = [
            task for family in self.families for task in map(make_task, list_tasks(family)) if self.accepts(task)
        ]
        if regimes is not None:
            return [task for task in entered if task.regime_id in regimes]
        quick = [task for task in entered if task.regime_id in task.default_regimes]
        return quick or entered

    def model(self, task: Task, seed: int) -> Any:
        """What `make` gives, fresh and not fitted.

        Raises
        ------
        ModelError
            If it raises; the message has the line.
        """
        try:
            return self.make(task, seed)
        except L96BenchError:
            raise
        except Exception as error:
            raise user_error(f"make of {self.name!r}", error) from error

    def train(self, task: Task, seed: int) -> tuple[Any, float | None]:
        """A model made for a task and trained on its data, and the processor seconds; None if there was no training.

        On one thread, so that it is the same model wherever it is trained again: to be scored, exported or verified.
        """
        start = time.process_time()
        with one_thread():
            model = self.model(task, seed)
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
    """The folder of the baseline scripts: in the installed package, or beside the package in a source tree."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "baselines"
    return installed if installed.is_dir() else package.parent / "baselines"


def baseline_names() -> list[str]:
    """The keys of all baselines, which are the names of their scripts."""
    return sorted(path.stem for path in baselines_folder().glob("*.py") if not path.stem.startswith("_"))


def baseline_titles() -> dict[str, str]:
    """The titles of all baselines, which are the names of their rows, by their keys; no script is run."""
    return _titles(baselines_folder(), *baseline_names())


@cache
def _titles(folder: Path, *keys: str) -> dict[str, str]:
    titles: dict[str, str] = {}
    for key in keys:
        text = (folder / f"{key}.py").read_text(encoding="utf-8")
        titles[key] = next(
            (
                str(each.value.value)
                for call in ast.walk(ast.parse(text))
                if isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] == "Entry"
                for each in call.keywords
                if each.arg == "name" and isinstance(each.value, ast.Constant)
            ),
            key,
        )
    return titles


def _baseline(name: str) -> str | None:
    """The key of the baseline with this key or title, in any case and with any separators.

    A title that several baselines share stands for the one of the first family.
    """
    titles, folded = baseline_titles(), _folded(name)
    found = [key for key in titles if key == name] or [key for key in titles if _folded(key) == folded]
    found = found or [key for key, title in titles.items() if _folded(title) == folded]
    if len(found) > 1:
        ids = list_tasks()
        found.sort(key=lambda key: [id.partition("/")[0] in find_entry(key)[0].families for id in ids], reverse=True)
    return found[0] if found else None


def _folded(name: str) -> str:
    return slug_of(name).replace("-", "")


@dataclass(frozen=True, slots=True)
class EntryCode:
    """The code that defines an entry, whole: enough to have the entry on a machine that lacks the file.

    Attributes
    ----------
    name : str
        The key of a baseline, the path of a script, or ``module:object``.
    path : str
        Of the file here, absolute.
    text : bytes
        What the file holds.
    beside : tuple of (str, bytes)
        The files beside it that it imports: paths from its folder, and what they hold.
    """

    name: str
    path: str
    text: bytes
    beside: tuple[tuple[str, bytes], ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of the code; of an object of a module, with the object's name."""
        _, _, attribute = self._parts
        code = hashlib.sha256(self.text)
        for name, text in self.beside:
            code.update(f"\n{name} {len(text)}\n".encode() + text)
        return code.hexdigest() + (f":{attribute}" if attribute else "")

    @property
    def _parts(self) -> tuple[str, str, str]:
        return self.name.partition(":") if _OBJECT.fullmatch(self.name) else ("", "", "")

    def load(self) -> Entry:
        """The entry.

        A script is run as Python runs it; a module is imported. Where the files are missing or are others, they are
        written into a temporary folder and run from there; a module must then be a file that imports nothing but what
        is installed or beside it.

        Raises
        ------
        UnknownIdError
            If the module has no such object.
        ModelError
            If the code raises.
        L96BenchError
            If the script defines no entry.
        """
        module_name, _, attribute = self._parts
        module = None
        if attribute:
            with suppress(UnknownIdError):
                module = _import(module_name)
        if module is None or (attribute and _text(module) != self.text):
            module = run_script_file(self._file(), self.text)
        if not attribute:
            if not isinstance(getattr(module, "entry", None), Entry):
                raise L96BenchError(
                    f"{self.path}: expected a script that defines `entry = l96bench.Entry(...)`, found none"
                )
            return module.entry
        if not hasattr(module, attribute):
            names = [each for each in vars(module) if not each.startswith("_")]
            raise UnknownIdError(f"module {module_name!r} has no object {attribute!r}." + nearest(attribute, names))
        return _as_entry(getattr(module, attribute), attribute)

    def _file(self) -> str:
        """The path of the file with this text; of a copy, if the file is missing or another one."""
        folder = Path(self.path).parent
        files = {Path(self.path).name: self.text} | dict(self.beside)
        if all((folder / name).is_file() and (folder / name).read_bytes() == text for name, text in files.items()):
            return self.path
        folder = _folder_of_copy(self.digest)
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(text)
        return str(folder / Path(self.path).name)


@cache
def _copies() -> tempfile.TemporaryDirectory[str]:
    """A folder that lives as long as the process."""
    return tempfile.TemporaryDirectory(prefix="l96bench-scripts-")


def _folder_of_copy(digest: str) -> Path:
    return Path(_copies().name).resolve() / digest.replace(":", "-")


def find_code(name: str) -> EntryCode:
    """The code of the entry called `name`; see `find_entry`."""
    if _OBJECT.fullmatch(name):
        module = _import(name.partition(":")[0])
        path, text = getattr(module, "__file__", None) or "", _text(module)
        return EntryCode(name, path, text, tuple(files_beside(path, text).items()) if path else ())
    if not name.endswith(".py"):
        key = _baseline(name)
        if key is None:
            raise UnknownIdError(
                f"no entry {name!r}: {_EXPECTED.format(here=Path.cwd(), folder=baselines_folder())}"
                + nearest(name, {*baseline_titles(), *baseline_titles().values()})
            )
        path = baselines_folder() / f"{key}.py"
        return EntryCode(key, str(path), path.read_bytes())
    path = Path(os.path.abspath(name))
    if not path.is_file():
        raise UnknownIdError(f"no script {name!r}: looked for {path}." + nearest(Path(name).stem, baseline_titles()))
    if path.parent.resolve() == baselines_folder():
        name = path.stem
    text = path.read_bytes()
    return EntryCode(name, str(path), text, tuple(files_beside(str(path), text).items()))


def find_entry(name: str) -> tuple[Entry, str]:
    """The entry called `name`, and a digest of the code that defines it.

    Parameters
    ----------
    name : str
        The key (``probabilistic_rnn``) or title (``probabilistic RNN``) of a baseline, the path of a script that
        defines ``entry``, or ``module:object``, the object being an entry, a model, a class of models or a function
        that makes one (of the training seed, if it has an argument).

    Raises
    ------
    UnknownIdError
        If there is no such baseline, module or object; the message names the closest ones.
    ModelError
        If the code raises.
    L96BenchError
        If a script defines no entry.
    """
    code = find_code(name)
    return code.load(), code.digest


def _import(name: str) -> ModuleType:
    enter(os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UnknownIdError(
            f"no module {name!r} ({error}); looked in {os.getcwd()} and on Python's path: is its folder the current "
            "one, or on PYTHONPATH?"
        ) from error
    except L96BenchError:
        raise
    except Exception as error:
        raise user_error(f"importing {name}", error) from error


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

    return Entry(
        name=name,
        kind="custom",
        inputs="X",
        make=make,
        description=f"{name} from a module of the user's",
        declared=False,
    )


def _fresh(model: Any) -> Any:
    """A copy of a scikit-learn estimator, fitted or not, that training may change; any other model as it is."""
    base = sys.modules.get("sklearn.base")
    return copy.deepcopy(model) if base is not None and isinstance(model, base.BaseEstimator) else model

"""Define entries, which baseline scripts make, and find them by name."""

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

from l96bench.checks import seed_words
from l96bench.entries.scripts import code_elsewhere, enter, files_beside, run_script_file
from l96bench.errors import ArgumentError, L96BenchError, UnknownIdError, nearest, user_error
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
    """A competitor: how its models are made, and how its rows are described.

    Parameters
    ----------
    name, kind : str
        Title of the rows, and kind of the method: polynomial, network, trees, ...
    inputs : str
        What it sees, such as ``"X_k"`` or ``"X_{k-2..k+2}"``.
    make : (Task, int) -> model
        Makes a new model for a task and a training seed. A model with ``fit`` is fitted to ``task.train``, unless
        `trained_on` says that `make` has done it.
    seeds : sequence of int
        Training seeds: one if training is deterministic, five if it is random.
    families : sequence of str
    regimes : sequence of str, optional
        All if not given.
    source, description : str
        A citation, and one line.
    trained_on : str, optional
        What `make` itself trains on, if not the task's training set.
    quick : bool
        Whether it is one of the quick baselines, run by default and also fitted to less data for learning curves.
    slow : bool
        Whether a seed trains for minutes: it then starts first, and only if it is named or all entries are requested.
    declared : bool
        Whether somebody wrote the entry; False for one made from a model, which may already be fitted.

    Raises
    ------
    ArgumentError
        If there is no name or seed, seeds are equal or no whole numbers from 0 on, or families or regimes are a string.
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

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise ArgumentError(f"expected the name of an entry, got {self.name!r}")
        seeds = tuple(seed_words(self.seeds, "seeds"))
        if not seeds or len(set(seeds)) < len(seeds):
            raise ArgumentError(f"{self.name!r}: expected seeds, all different, got {self.seeds!r}; try seeds=(0,)")
        object.__setattr__(self, "seeds", seeds)
        for name in ("families", "regimes"):
            if isinstance(given := getattr(self, name), str):
                raise ArgumentError(f"{self.name!r}: expected a sequence of {name}, got {given!r}; try ({given!r},)")

    def tasks(self, regimes: Sequence[str] | None = None) -> list[Task]:
        """Return the entry's tasks on these regimes and tracks, by default those of its families' quick board.

        Where it has no task on the quick board of a family, the default is all of its tasks of that family.
        """
        found: list[Task] = []
        for family in self.families:
            entered = [task for task in map(make_task, list_tasks(family)) if self.accepts(task)]
            wanted = [
                each for each in entered if each.regime_id in (each.default_regimes if regimes is None else regimes)
            ]
            found += wanted or (entered if regimes is None else [])
        return found

    def model(self, task: Task, seed: int) -> Any:
        """Make a new, unfitted model.

        Raises
        ------
        ModelError
            If `make` raises; the message has the line.
        """
        try:
            return self.make(task, seed)
        except L96BenchError:
            raise
        except (Exception, SystemExit) as error:
            raise user_error(f"make of {self.name!r}", error) from error

    def train(self, task: Task, seed: int) -> tuple[Any, float | None]:
        """Make a model, train it on a task's data, and return it with the processor seconds (None without training).

        It trains on one thread, so that the model is the same wherever it is trained.
        """
        start = time.process_time()
        with one_thread():
            model = self.model(task, seed)
            seconds = time.process_time() - start
            if self.trained_on is None:
                seconds += task.fit(model)
        return model, seconds if self.is_trained(model) else None

    def is_trained(self, model: Any) -> bool:
        """Return whether the model was trained: `make` did it, or the model has ``fit``."""
        return self.trained_on is not None or callable(getattr(model, "fit", None))

    def accepts(self, task: Task) -> bool:
        """Return whether the entry enters this task."""
        return task.family in self.families and (self.regimes is None or task.regime_id in self.regimes)

    def info(self, task: Task, model: Any, seed: int, command: str) -> ModelInfo:
        """Return the description of the row of one training seed."""
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
    """Return the folder of the baseline scripts, in the installed package or the source tree."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "baselines"
    return installed if installed.is_dir() else package.parent / "baselines"


def baseline_names() -> list[str]:
    """Return the keys of all baselines, which are the names of their scripts."""
    return sorted(path.stem for path in baselines_folder().glob("*.py") if not path.stem.startswith("_"))


def baseline_titles() -> dict[str, str]:
    """Return the titles of all baselines, as their rows have them, by key; no script is run."""
    return _titles(baselines_folder(), *baseline_names())


@cache
def _titles(folder: Path, *keys: str) -> dict[str, str]:
    titles: dict[str, str] = {}
    for key in keys:
        text = (folder / f"{key}.py").read_text(encoding="utf-8")
        calls = [each for each in ast.walk(ast.parse(text)) if isinstance(each, ast.Call)]
        named = [_name_given(call) for call in calls if ast.unparse(call.func).rpartition(".")[2] == "Entry"]
        titles[key] = next((str(name.value) for name in named if isinstance(name, ast.Constant)), key)
    return titles


def _name_given(call: ast.Call) -> ast.expr | None:
    """Return the argument `name` of a call of `Entry`, by position or by name."""
    named = [each.value for each in call.keywords if each.arg == "name"]
    return next(iter([*call.args, *named]), None)


def _baseline(name: str) -> str | None:
    """Return the key of the baseline with this key or title, whatever the case and separators; the first if several."""
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
    """The complete code of an entry, which can be loaded on a machine without its files.

    Attributes
    ----------
    name : str
        The key of a baseline, the path of a script, or ``module:object``.
    path, text : str, bytes
        The absolute path of the file here, and its content.
    beside : tuple of (str, bytes)
        Relative paths and contents of the files beside it that it imports.
    elsewhere : tuple of (str, str)
        Modules of other places that it imports, with a digest or version; see `code_elsewhere`.
    """

    name: str
    path: str
    text: bytes
    beside: tuple[tuple[str, bytes], ...] = ()
    elsewhere: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, name: str, path: str, text: bytes, module: str = "") -> EntryCode:
        """Return the code of a user's file or module, with all of the user's that it imports."""
        beside = files_beside(path, text) if path else {}
        elsewhere = code_elsewhere([text, *beside.values()], [module.partition(".")[0]] if "." in module else [])
        return cls(name, path, text, tuple(beside.items()), tuple(elsewhere.items()))

    @property
    def digest(self) -> str:
        """SHA-256 of the code, and for an object of a module also of its name."""
        _, _, attribute = self._parts
        code = hashlib.sha256(self.text)
        for name, text in self.beside:
            code.update(f"\n{name} {len(text)}\n".encode() + text)
        for name, digest in self.elsewhere:
            code.update(f"\n{name} {digest}".encode())
        return code.hexdigest() + (f":{attribute}" if attribute else "")

    @property
    def _parts(self) -> tuple[str, str, str]:
        return self.name.partition(":") if _OBJECT.fullmatch(self.name) else ("", "", "")

    def load(self) -> Entry:
        """Run the script or import the module, and return the entry.

        Missing or changed files are written into a temporary folder and run from there; a module must then be a file
        that imports only what is installed or beside it. Raises UnknownIdError if the module lacks the object,
        ModelError if the code raises, and L96BenchError if the script defines no entry.
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
        """Return the path of the file with this text, or of a copy if the file is missing or differs."""
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
    """Return a folder that exists as long as the process."""
    return tempfile.TemporaryDirectory(prefix="l96bench-scripts-")


def _folder_of_copy(digest: str) -> Path:
    return Path(_copies().name).resolve() / digest.replace(":", "-")


def find_code(name: str) -> EntryCode:
    """Return the code of the entry called `name`; see `find_entry`."""
    if _OBJECT.fullmatch(name):
        module = _import(name.partition(":")[0])
        path, text = getattr(module, "__file__", None) or "", _text(module)
        return EntryCode.read(name, path, text, module.__name__)
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
    return EntryCode.read(name, str(path), text)


def find_entry(name: str) -> tuple[Entry, str]:
    """Return the entry called `name`, and a digest of the code that defines it.

    Parameters
    ----------
    name : str
        The key (``probabilistic_rnn``) or title (``probabilistic RNN``) of a baseline, the path of a script that
        defines ``entry``, or ``module:object``: an entry, a model, a class of models, or a function that makes a model
        (of the training seed, if it has an argument).

    Raises
    ------
    UnknownIdError
        If there is no such baseline, module or object; the message names the closest ones.
    ModelError, L96BenchError
        If the code raises; if a script defines no entry.
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
    """Return an entry for any object that makes or is a model."""
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
    """Return a copy of a scikit-learn estimator that training may change, and any other model as it is."""
    base = sys.modules.get("sklearn.base")
    return copy.deepcopy(model) if base is not None and isinstance(model, base.BaseEstimator) else model

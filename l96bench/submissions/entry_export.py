"""Train entries and export them as submission folders that can be scored without their code."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from l96bench.entries.entry import Entry
from l96bench.errors import L96BenchError, UnknownIdError, nearest
from l96bench.submissions.export import write_content
from l96bench.submissions.fields import SUBMISSION_FILE
from l96bench.submissions.folder import SubmissionFolder
from l96bench.submissions.names import resolve
from l96bench.submissions.plain_yaml import read_yaml
from l96bench.submissions.submission import SCHEMA
from l96bench.tasks.base import Task
from l96bench.tasks.registry import list_tasks, make_task

__all__ = ["export_entry"]


def export_entry(
    name: str,
    folder: Path,
    regimes: Sequence[str] | None = None,
    seed: int = 0,
    *,
    authors: Sequence[str] = ("l96bench",),
    add: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Train an entry once for each regime, as `l96bench run` does, and write it as a submission into a new folder.

    Regimes may be tracks too; by default they are those of the quick board. The folder appears when all of it is
    written. With `add` the regimes are added to a folder that was written of the same entry and seed, whose authors and
    texts stay as they are. Raises UnknownIdError for an unknown entry or a regime that it does not enter, ModelError
    for a model that no artifact can hold, such as one with coefficients that a filter estimates, and L96BenchError if
    the folder exists, or, with `add`, if it is another submission or has one of the regimes.
    """
    named = resolve(name)
    if named.kind == "folder":
        raise L96BenchError(f"{name}: expected something to train or an artifact, got a submission, which is exported")
    entry = named.entry()
    title = f"{entry.name}, seed {seed}"
    by_regime: dict[str, list[Task]] = {}
    for task in _tasks(entry, regimes):
        by_regime.setdefault(task.regime_id, []).append(task)
    before = _before(folder, title, by_regime) if add else None
    if before is None:
        _require_new(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        new = Path(temporary) / folder.name
        new.mkdir()
        fields = {
            "schema": SCHEMA,
            "name": title,
            "authors": list(authors),
            "kind": entry.kind,
            "inputs": entry.inputs,
            "description": entry.description or f"The entry {entry.name}.",
            "source": entry.source,
            "tasks": [task.id for tasks in by_regime.values() for task in tasks],
            **_trained(entry, by_regime, seed, new, report),
        }
        if before is not None:
            fields = _joined(before, fields)
            for file, data in before.files.items():
                (new / file).write_bytes(data)
        _write_yaml(new / SUBMISSION_FILE, fields)
        SubmissionFolder.read(new)
        if before is None:
            _require_new(folder)
            new.rename(folder)
        else:
            _replace(folder, new, Path(temporary) / "before")
    return folder


def _trained(
    entry: Entry, by_regime: Mapping[str, Sequence[Task]], seed: int, folder: Path, report: Callable[[str], None]
) -> dict[str, Any]:
    """Train an entry for each regime, write its artifacts, and return the fields of the submission about them."""
    artifacts, training = {}, []
    described: dict[str, dict[str, Any]] = {}
    for regime, (first, *_) in by_regime.items():
        model, seconds = entry.train(first, seed)
        content = first.export(model)
        artifact = write_content(content, folder, regime)
        artifacts[regime] = artifact.name
        for said, part in content.described.said.items():
            described.setdefault(said, {})[regime] = part
        training += [_training(entry, first)] if entry.is_trained(model) else []
        trained = "" if seconds is None else f", trained in {seconds:.1f} s"
        report(f"{artifact.name}: {artifact.stat().st_size / 1000:.1f} KB{trained}")
    return {"artifacts": artifacts, "training": training, **described}


def _replace(folder: Path, new: Path, aside: Path) -> None:
    """Put a new folder in the place of an old one, which is there again if that fails."""
    folder.rename(aside)
    try:
        new.rename(folder)
    except BaseException:
        aside.rename(folder)
        raise


def _before(folder: Path, title: str, regimes: Iterable[str]) -> SubmissionFolder:
    """Return the submission to which regimes are added."""
    before = SubmissionFolder.read(folder)
    if before.submission.name != title:
        raise L96BenchError(f"{folder}: expected the submission {title!r}, got {before.submission.name!r}")
    if both := set(regimes) & {make_task(id).regime_id for id in before.submission.tasks}:
        raise L96BenchError(f"{folder}: expected regimes that it has not yet, got {', '.join(sorted(both))}")
    return before


def _joined(before: SubmissionFolder, added: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a submission with the tasks, artifacts and training data of further regimes."""
    fields: dict[str, Any] = dict(read_yaml(before.files[SUBMISSION_FILE], SUBMISSION_FILE))
    for name, value in added.items():
        if isinstance(value, dict):
            fields[name] = fields.get(name, {}) | value
        elif name in ("tasks", "training"):
            fields[name] = [*fields.get(name, []), *value]
    return fields


def _tasks(entry: Entry, regimes: Sequence[str] | None) -> list[Task]:
    """Return the tasks of an entry on these regimes."""
    everywhere = list(dict.fromkeys(make_task(id).regime_id for id in list_tasks()))
    entered = list(dict.fromkeys(task.regime_id for task in entry.tasks(everywhere)))
    for regime in regimes or ():
        if regime not in entered:
            raise UnknownIdError(
                f"{entry.name!r} enters no task on {regime!r}, but on {', '.join(entered)}." + nearest(regime, entered)
            )
    return entry.tasks(regimes) if regimes else entry.tasks() or entry.tasks(everywhere)


def _training(entry: Entry, task: Task) -> dict[str, str]:
    """Return what a submission declares about the training data of a regime."""
    data = entry.trained_on or task.training_set
    if "train" in data:
        return {"regime": task.regime_id, "split": "train", "note": data}
    return {"regime": "other", "split": "train", "note": f"{task.regime_id}: {data}"}


def _require_new(folder: Path) -> None:
    if os.path.lexists(folder):
        raise L96BenchError(
            f"{folder}: expected a folder that does not exist; choose another name, or try add=True (--add)"
        )


def _write_yaml(path: Path, fields: dict[str, Any]) -> None:
    import yaml

    path.write_text(yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=120), encoding="utf-8")

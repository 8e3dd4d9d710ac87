"""Train entries and export them as submission folders that can be scored without their code."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from l96bench.entries.entry import Entry
from l96bench.errors import L96BenchError, UnknownIdError, nearest
from l96bench.submissions.export import write_content
from l96bench.submissions.fields import SUBMISSION_FILE
from l96bench.submissions.folder import SubmissionFolder
from l96bench.submissions.names import resolve
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
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Train an entry once for each regime, as `l96bench run` does, and write it as a submission into a new folder.

    Regimes may be tracks too; by default they are those of the quick board. The folder appears when all of it is
    written. Raises UnknownIdError for an unknown entry or a regime that it does not enter, ModelError for a model that
    no artifact can hold, such as one with coefficients that a filter estimates, and L96BenchError if the folder exists.
    """
    named = resolve(name)
    if named.kind == "folder":
        raise L96BenchError(f"{name}: expected something to train or an artifact, got a submission, which is exported")
    entry = named.entry()
    _require_new(folder)
    by_regime: dict[str, list[Task]] = {}
    for task in _tasks(entry, regimes):
        by_regime.setdefault(task.regime_id, []).append(task)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        new = Path(temporary) / folder.name
        new.mkdir()
        artifacts, training = {}, []
        described: dict[str, dict[str, Any]] = {}
        for regime, (first, *_) in by_regime.items():
            model, seconds = entry.train(first, seed)
            content = first.export(model)
            artifact = write_content(content, new, regime)
            artifacts[regime] = artifact.name
            for said, part in content.described.said.items():
                described.setdefault(said, {})[regime] = part
            training += [_training(entry, first)] if entry.is_trained(model) else []
            trained = "" if seconds is None else f", trained in {seconds:.1f} s"
            report(f"{artifact.name}: {artifact.stat().st_size / 1000:.1f} KB{trained}")
        fields = {
            "schema": SCHEMA,
            "name": f"{entry.name}, seed {seed}",
            "authors": list(authors),
            "kind": entry.kind,
            "inputs": entry.inputs,
            "description": entry.description or f"The entry {entry.name}.",
            "source": entry.source,
            "tasks": [task.id for tasks in by_regime.values() for task in tasks],
            "artifacts": artifacts,
            "training": training,
            **described,
        }
        _write_yaml(new / SUBMISSION_FILE, fields)
        SubmissionFolder.read(new)
        _require_new(folder)
        new.rename(folder)
    return folder


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
        raise L96BenchError(f"{folder}: expected a folder that does not exist; choose another name or remove it")


def _write_yaml(path: Path, fields: dict[str, Any]) -> None:
    import yaml

    path.write_text(yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=120), encoding="utf-8")

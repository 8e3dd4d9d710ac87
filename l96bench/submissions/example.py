"""Small example submissions that can be scored as they are."""

from __future__ import annotations

from pathlib import Path

from l96bench.errors import L96BenchError
from l96bench.submissions.export import write_content
from l96bench.submissions.fields import SUBMISSION_FILE
from l96bench.submissions.submission import SCHEMA
from l96bench.tasks.registry import find_family

__all__ = ["AUTHOR", "DRAFT", "write_example"]

DRAFT = "# Fill in name, authors, kind, inputs, description, artifacts and training, then remove this line."
"""The line of a description by which `check` knows that nobody has filled it in."""
AUTHOR = "Your Name"
"""The author of a template."""
_YAML = """\
{draft}
# What a submission says about itself; `l96bench check FOLDER` says what is wrong with it.
schema: {schema}
name: {name}
authors: [{author}]
kind: {kind}
inputs: {inputs}
description: {description}
source: ''
license: CC0-1.0
tasks:
  - {task}
# One file for all tasks, or a mapping: a task's id, its regime, its family or default, to a file.
artifacts: {artifact}
# Everything that the model was fitted to, or chosen by.
training: {training}
# It may also say training_cost, links, lifecycle, and how a file is run: see docs/submissions.md.
"""
_README = """\
# {name}

    edit {folder}/submission.yaml
    l96bench check {folder}     # seconds: says everything that is wrong
    l96bench score {folder}     # the real tasks
    l96bench submit {folder}    # on the board

Made by `l96bench init --family {family}`: {description}
"""


def write_example(folder: Path, family: str) -> list[Path]:
    """Write a small example submission for a family into a new folder, and return the paths of its files.

    It is scored as it is; `check` and `submit` take it once its description is filled in (`DRAFT`).

    Raises UnknownIdError for an unknown family; L96BenchError if it has no example, or the folder exists and is not
    empty.
    """
    example = find_family(family).example()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise L96BenchError(f"{folder}: expected a folder that does not exist, or an empty one")
    folder.mkdir(parents=True, exist_ok=True)
    artifact = write_content(example.content, folder, example.content.name)
    lines = ["\n  - {" + ", ".join(f"{key}: {value}" for key, value in each.items()) + "}" for each in example.training]
    fields = {each: getattr(example, each) for each in ("name", "kind", "inputs", "description", "task")} | {
        "schema": SCHEMA,
        "draft": DRAFT,
        "author": AUTHOR,
        "family": family,
        "folder": folder.as_posix(),
        "artifact": artifact.name,
        "training": "".join(lines) or "[]",
    }
    (folder / SUBMISSION_FILE).write_text(_YAML.format(**fields), encoding="utf-8")
    (folder / "README.md").write_text(_README.format(**fields), encoding="utf-8")
    return sorted(folder.iterdir())

"""The texts in `submission.yaml`, as types that check them: lines and prose for tables, names of files, links."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from l96bench.errors import UnknownIdError
from l96bench.results.origin import LINK, slug_of
from l96bench.submissions.reserved import is_device, is_invisible
from l96bench.tasks.registry import make_task

__all__ = ["ARTIFACT_NAMES", "README_FILE", "SUBMISSION_FILE", "Artifacts", "Line", "Link", "Prose", "Slug", "TaskId"]

SUBMISSION_FILE = "submission.yaml"
"""The name of the file that describes a submission."""
README_FILE = "README.md"
"""The name of the file with anything else that a reader should know."""
ARTIFACT_NAMES = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,80}\.(onnx|yaml|json)", re.ASCII)
"""The names that artifact files may have; none leads out of the folder."""
_PYTHON = re.compile(r"python:[A-Za-z_][\w.]{0,200}:[A-Za-z_]\w{0,100}", re.ASCII)
_MARKUP = re.compile(r"<[A-Za-z/!?]|&[#A-Za-z0-9]+;|\]\(|javascript:", re.IGNORECASE)
_SIGNS = ".,:;+-/()'=#%{}^²³±×°µ·&!?’‘“”–—…"
_LINE = re.compile(rf"[\w {re.escape(_SIGNS)}]+")
"""Characters of names in tables: letters of any script, digits, spaces, and those of formulas and of typeset text."""
_ENTITY = re.compile(r"&&|&#?\w+;")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)


def _line(text: str) -> str:
    """Return a text for a table if it is one line of plain characters, or raise."""
    if text != text.strip() or text != unicodedata.normalize("NFC", text):
        raise ValueError("expected no space at its ends, and composed characters (NFC)")
    if not _LINE.fullmatch(text) or "__" in text or _ENTITY.search(text) or not any(map(str.isalnum, text)):
        strange = [*sorted({each for each in text if not _LINE.fullmatch(each)}), *_ENTITY.findall(text)]
        raise ValueError(f"expected letters, digits, spaces and {_SIGNS}_, got also {strange[:5]}")
    if hidden := sorted({each for each in text if is_invisible(each)}):
        raise ValueError(f"expected characters that can be seen, got {', '.join(map(ascii, hidden[:5]))}")
    return text


def _prose(text: str) -> str:
    """Return a description if it is plain text without HTML or Markdown, or raise."""
    for each in text:
        if unicodedata.category(each) in {"Cc", "Cf", "Co", "Cs", "Cn"} and each != "\n":
            raise ValueError(f"expected printable characters, got {each!r}")
    if found := _MARKUP.search(text):
        raise ValueError(f"expected plain text without HTML or Markdown, got {found[0]!r}")
    return text.strip()


def _task_id(text: str) -> str:
    try:
        make_task(text)
    except UnknownIdError as error:
        raise ValueError(str(error)) from error
    return text


def _artifact(text: str) -> str:
    if text.endswith(".npz"):
        raise ValueError(
            "expected a model, got a file of predictions: whoever has the public test states can predict them without "
            "one. `l96bench score FILE --task ID` scores predictions for their author alone"
        )
    if not (ARTIFACT_NAMES.fullmatch(text) or _PYTHON.fullmatch(text)):
        raise ValueError(
            "expected the name of a file in the folder (NAME.onnx, NAME.yaml or NAME.json, of letters, digits, - and "
            "_), or python:MODULE:OBJECT"
        )
    if text == SUBMISSION_FILE:
        raise ValueError(f"expected an artifact, got {SUBMISSION_FILE} itself")
    if is_device(text.partition(".")[0]):
        raise ValueError("expected a name that a file can have on Windows")
    return text


def _link(text: str) -> str:
    if not re.fullmatch(LINK, text, re.ASCII) or _MARKUP.search(text):
        raise ValueError(
            "expected a link such as https://doi.org/10.1000/182: https, a host of lower-case letters without user, "
            "password or port, and a path of letters, digits, -._~/?#=&+:,; and other signs as %XX"
        )
    return text


def _slug(text: str) -> str:
    if not _SLUG.fullmatch(text):
        raise ValueError(f"expected the name of a submission's folder, such as {slug_of(text)}")
    return text


def _by_task(given: Any) -> Any:
    return {"default": given} if isinstance(given, str) else given


Line = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_line)]
Prose = Annotated[str, Field(max_length=2000), AfterValidator(_prose)]
TaskId = Annotated[str, Field(max_length=100), AfterValidator(_task_id)]
Artifact = Annotated[str, Field(max_length=320), AfterValidator(_artifact)]
Artifacts = Annotated[
    dict[Annotated[str, Field(max_length=100)], Artifact],
    Field(min_length=1, max_length=100),
    BeforeValidator(_by_task, json_schema_input_type=Artifact | dict[str, Artifact]),
]
Link = Annotated[str, Field(max_length=200), AfterValidator(_link)]
Slug = Annotated[str, Field(max_length=120), AfterValidator(_slug)]

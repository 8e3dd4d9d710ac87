"""The form of a step in an ONNX file: its inputs and outputs, and what the file's metadata say about them.

A closure with memory or noise is a graph with the inputs ``X`` (n, K) and, where used, ``state`` (n, S), ``noise``
(n, R) and ``uniform`` (n, R), and the outputs ``U`` (n, K), ``state_out`` (n, S) and, if known, ``mean`` (n, K). The
metadata ``l96bench.step`` hold a JSON text: the version of the format, the blocks of columns of each input with their
sizes, intervals and starts (see `l96bench.dynamics.steps`), and whether the state is driven through the past.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from l96bench.dynamics.closures import HISTORY_INTERVAL
from l96bench.dynamics.resolved import MODEL_DT
from l96bench.dynamics.steps import Block, StepForm
from l96bench.errors import SubmissionError
from l96bench.files import read_json

__all__ = ["FORM_KEY", "INPUTS", "KINDS", "MAX_COLUMNS", "OUTPUTS", "form_faults", "read_form", "written_form"]

FORM_KEY = "l96bench.step"
"""The key of the metadata."""
KINDS = ("state", "noise", "uniform")
"""The inputs of a step beside X."""
INPUTS, OUTPUTS = ("X", *KINDS), ("U", "state_out", "mean")
MAX_COLUMNS = {"state": 20_000, "noise": 4_000, "uniform": 4_000}
"""The largest number of columns of each input."""
_FORMAT = 1
_MAX_TEXT = 2_000_000
_FIELDS = {"format", "past", *KINDS}


def written_form(form: StepForm) -> str:
    """Return the JSON text of a form."""
    fields: dict[str, Any] = {"format": _FORMAT, "past": form.past}
    for kind in KINDS:
        blocks = [{"size": each.size, "interval": each.interval, "start": each.start} for each in getattr(form, kind)]
        for each in blocks if kind != "state" else ():
            del each["start"]
        fields |= {kind: blocks} if blocks else {}
    return json.dumps(fields)


def read_form(model: Any) -> StepForm | None:
    """Return the form that a file's metadata say, or None if it has none; SubmissionError if they are not valid."""
    texts = [each.value for each in model.metadata_props if each.key == FORM_KEY]
    if not texts:
        return None
    if len(texts) > 1 or len(texts[0]) > _MAX_TEXT:
        raise SubmissionError(f"metadata: expected {FORM_KEY} once, of at most {_MAX_TEXT:,} characters")
    try:
        fields = read_json(texts[0].encode())
    except ValueError as error:
        raise SubmissionError(f"metadata {FORM_KEY}: not valid JSON: {str(error)[:200]}") from error
    if not isinstance(fields, dict) or fields.get("format") != _FORMAT or set(fields) - _FIELDS:
        raise SubmissionError(f"metadata {FORM_KEY}: expected a mapping of {sorted(_FIELDS)} with format {_FORMAT}")
    if not isinstance(past := fields.get("past", True), bool):
        raise SubmissionError(f"metadata {FORM_KEY}: expected past to be true or false, got {past!r:.60}")
    blocks = {kind: tuple(_block(each, kind) for each in _listed(fields.get(kind, []), kind)) for kind in KINDS}
    form = StepForm(**blocks, past=past)
    if faults := list(form_faults(form)):
        raise SubmissionError("\n".join(f"metadata {FORM_KEY}: {each}" for each in faults))
    return form


def form_faults(form: StepForm) -> Iterator[str]:
    """Yield what is wrong with a form: sizes, intervals, starts that no run could use."""
    for kind in KINDS:
        blocks: tuple[Block, ...] = getattr(form, kind)
        if StepForm.size(blocks) > MAX_COLUMNS[kind]:
            yield f"expected at most {MAX_COLUMNS[kind]:,} columns of {kind}, got {StepForm.size(blocks):,}"
        if any(each.size < 1 for each in blocks):
            yield f"expected blocks of {kind} of at least one column"
        if [each.is_slow for each in blocks] != sorted((each.is_slow for each in blocks), reverse=True):
            yield f"expected the blocks of {kind} with interval {HISTORY_INTERVAL} before the others"
        for each in blocks:
            if each.interval not in (HISTORY_INTERVAL, MODEL_DT):
                expected = f"{HISTORY_INTERVAL} (the interval of the training data) or {MODEL_DT} (the model's step)"
                yield f"expected an interval of {expected} MTU, got {each.interval!r}"
            if isinstance(each.start, tuple) and len(each.start) != each.size:
                yield f"expected a start of {each.size} numbers, got {len(each.start)}"
            numbers = each.start if isinstance(each.start, tuple) else (each.start,)
            if not all(isinstance(number, str) or math.isfinite(number) for number in numbers):
                yield f"expected a finite start of {kind}, got infinity or NaN"


def _listed(value: Any, kind: str) -> list[Any]:
    if not isinstance(value, list) or len(value) > 100:
        raise SubmissionError(f"metadata {FORM_KEY}: expected a list of at most 100 blocks of {kind}")
    return value


def _block(fields: Any, kind: str) -> Block:
    known = {"size", "interval", *(("start",) if kind == "state" else ())}
    if not isinstance(fields, dict) or "size" not in fields or set(fields) - known:
        raise SubmissionError(
            f"metadata {FORM_KEY}: expected blocks of {kind} with {sorted(known)}, got {fields!r:.80}"
        )
    size, interval = fields["size"], fields.get("interval", HISTORY_INTERVAL)
    start = fields.get("start", 0.0)
    if isinstance(start, list):
        start = tuple(start)
    numbers = start if isinstance(start, tuple) else (start,)
    usable = start in ("normal", "uniform") if isinstance(start, str) else all(_is_number(each) for each in numbers)
    if type(size) is not int or not _is_number(interval) or not usable:
        raise SubmissionError(
            f"metadata {FORM_KEY}: expected a whole size, an interval in MTU and a start (numbers, normal or uniform), "
            f"got {fields!r:.100}"
        )
    return Block(size, float(interval), start)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

"""Read untrusted YAML as plain data, with bounds on its size.

Only what JSON can express is allowed: no tags, anchors, aliases, merges or duplicate keys. Scalars follow the core
schema of YAML 1.2, so that ``no`` and ``2024-01-01`` are texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NoReturn

from l96bench.errors import SubmissionError

__all__ = ["MAX_BYTES", "MAX_DEPTH", "MAX_NODES", "read_yaml"]

MAX_BYTES = 262_144
"""The default limit on the size of a text, in bytes."""
MAX_DEPTH = 16
"""The deepest nesting of lists and mappings."""
MAX_NODES = 50_000
"""The largest number of values: scalars, lists and mappings together."""
_AMBIGUOUS = re.compile("[\x85\u2028\u2029\ufeff]")
"""Characters that are line breaks or nothing in one version of YAML, and text in another."""
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+", re.ASCII)
_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False}
_WHOLE = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")
_REAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,4})?", re.ASCII)


class _Open:
    """A list or mapping that is not yet closed."""

    def __init__(self, value: list[Any] | dict[str, Any]) -> None:
        self.value = value
        self.key: str | None = None


def read_yaml(data: bytes, name: str, max_bytes: int = MAX_BYTES) -> Any:
    """Return the plain data in a UTF-8 YAML text: None, booleans, numbers, texts, lists, and mappings with text keys.

    Raises SubmissionError, with the file's `name` and the line, if it is not valid YAML or uses what is not allowed.
    """
    import yaml

    if len(data) > max_bytes:
        raise SubmissionError(f"{name}: expected at most {max_bytes:,} bytes, got {len(data):,}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SubmissionError(f"{name}: expected UTF-8 text, got byte {data[error.start]:#04x}") from error
    if found := _AMBIGUOUS.search(text):
        raise SubmissionError(f"{name}: the character {found[0]!a} is not allowed; try an escape, or leave it out")
    try:
        return _built(yaml.parse(text, Loader=yaml.SafeLoader), name)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = "" if mark is None else f" (line {mark.line + 1})"
        raise SubmissionError(f"{name}: not valid YAML: {error.problem or error.context}{line}") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the last two from escapes of no character
        raise SubmissionError(f"{name}: not valid YAML: {' '.join(str(error).split())[:200]}") from error


def _built(events: Iterator[Any], name: str) -> Any:
    """Build the data of the one document in a stream of parser events."""
    import yaml

    stack: list[_Open] = []
    found: list[Any] = []
    n_nodes = 0
    for event in events:
        if isinstance(event, yaml.NodeEvent):
            n_nodes += 1
            if n_nodes > MAX_NODES:
                _fail(name, event, f"expected at most {MAX_NODES:,} values")
            _check_plain(event, name)
        if isinstance(event, yaml.DocumentStartEvent) and found:
            _fail(name, event, "expected one document, got another")
        elif isinstance(event, yaml.ScalarEvent):
            _add(stack, found, _scalar(event, name), name, event)
        elif isinstance(event, yaml.SequenceStartEvent | yaml.MappingStartEvent):
            if len(stack) == MAX_DEPTH:
                _fail(name, event, f"expected at most {MAX_DEPTH} lists and mappings inside each other")
            new = _Open([] if isinstance(event, yaml.SequenceStartEvent) else {})
            _add(stack, found, new.value, name, event)
            stack.append(new)
        elif isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
            stack.pop()
    if not found:
        raise SubmissionError(f"{name}: expected a YAML document, got an empty text")
    return found[0]


def _check_plain(event: Any, name: str) -> None:
    """Raise for an alias, an anchor or a tag."""
    import yaml

    if isinstance(event, yaml.AliasEvent):
        _fail(name, event, f"aliases are not allowed, got *{event.anchor:.40}; write the value out")
    if event.anchor is not None:
        _fail(name, event, f"anchors are not allowed, got &{event.anchor:.40}; write the value out")
    if event.tag is not None:
        _fail(name, event, f"tags are not allowed, got {event.tag:.60}")


def _add(stack: list[_Open], found: list[Any], value: Any, name: str, event: Any) -> None:
    """Add a value to the innermost open list or mapping, as a key or a value, or as the document itself."""
    if not stack:
        found.append(value)
        return
    top = stack[-1]
    if isinstance(top.value, list):
        top.value.append(value)
    elif top.key is None:
        if isinstance(value, list | dict) or value is None:
            _fail(name, event, "expected a text as a key")
        key = value if isinstance(value, str) else event.value
        if key == "<<":
            _fail(name, event, "merges (<<) are not allowed; write the values out")
        if key in top.value:
            _fail(name, event, f"the key {key:.60} is there twice")
        top.key = key
    else:
        top.value[top.key] = value
        top.key = None


def _scalar(event: Any, name: str) -> Any:
    """Convert a scalar by the core schema of YAML 1.2; quoted scalars are texts."""
    text: str = event.value
    if _SURROGATE.search(text):
        _fail(name, event, "a text holds half a character (a surrogate)")
    if event.style is not None:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _LEADING_ZERO.fullmatch(text):
        _fail(name, event, f"{text:.40} is octal to some readers; quote it, or leave its first zero out")
    if _WHOLE.fullmatch(text):
        return int(text)
    if _REAL.fullmatch(text):
        value = float(text)
        if abs(value) == float("inf"):
            _fail(name, event, f"the number {text:.40} is too large")
        return value
    return text


def _fail(name: str, event: Any, what: str) -> NoReturn:
    raise SubmissionError(f"{name}: {what} (line {event.start_mark.line + 1})")

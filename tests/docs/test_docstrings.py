"""Docstrings of public objects have the sections that numpydoc asks for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.documented import documented

validate = pytest.importorskip("numpydoc.validate").validate

PUBLIC = documented()
UNASKED = {"ES01", "SA01", "PR03"}
"""More sentences than the first, a section "See Also", and the order of the signature: parameters that belong together
are described together."""
EXCUSED = {
    "l96bench.diagnostics.Diagnostic": {"PR02"},  # numpydoc looks for parameters in what `__wrapped__` returns
    "l96bench.envs.BatchedEnv": {"PR01", "PR02"},  # the parameters are those of `__init__`, and not of `__new__`
    "l96bench.envs.PointEnv": {"PR01"},  # as above
    "l96bench.register_task": {"PR02"},  # numpydoc takes a parameter called `cls` for that of a class method
}


def excused(name: str, thing: Any) -> set[str]:
    """The codes that say nothing about an object; a protocol is made by nobody, and has no parameters."""
    return UNASKED | EXCUSED.get(name, set()) | ({"PR01"} if getattr(thing, "_is_protocol", False) else set())


@pytest.mark.parametrize("name", PUBLIC)
def test_numpydoc_finds_nothing(name: str) -> None:
    found = [(code, text) for code, text in validate(name)["errors"] if code not in excused(name, PUBLIC[name])]
    assert found == []


@pytest.mark.parametrize("name", EXCUSED)
def test_what_is_excused_is_still_so(name: str) -> None:
    """The list only shrinks."""
    assert EXCUSED[name] <= {code for code, _ in validate(name)["errors"]}

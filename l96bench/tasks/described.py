"""Descriptions of how a file is run, as `submission.yaml` gives them and as plain data.

Names and options of filters are those of the classes of `l96bench.assimilation` and of their constructors.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial, reduce
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    create_model,
    model_validator,
)

from l96bench.assimilation import ensemble_filters, filters, variational
from l96bench.assimilation.filters import BatchFilter, Filter, static_covariance
from l96bench.errors import L96BenchError, ModelError, faulty_fields, nearest
from l96bench.graphs.step_map import Port, StateMap, StepMap

__all__ = [
    "FILTERS",
    "NOTHING_SAID",
    "PLACES",
    "STRICT",
    "Assimilation",
    "Described",
    "FilterDescription",
    "describe_filter",
]

STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
"""Unknown keys and values of another type are errors that name their field."""
FILTERS: Mapping[str, type[BatchFilter]] = {
    name: each
    for name, each in sorted((vars(ensemble_filters) | vars(filters) | vars(variational)).items())
    if inspect.isclass(each) and issubclass(each, BatchFilter) and each is not BatchFilter
}
"""The filters that a description may name: all of the library."""
LARGEST, MOST = 1e6, 128
"""The largest number among the options of a filter, and the most points of a covariance or mean."""


def _form(value: Any) -> str:
    """Return in which form a covariance or mean is given, as one of the tags below."""
    if isinstance(value, Mapping | BaseModel):
        return "estimated"
    if isinstance(value, list | tuple):
        return "matrix" if value and isinstance(value[0], list | tuple) else "row"
    return "nothing" if value is None else "number"


def _tagged(expected: str, forms: Mapping[str, Any]) -> Any:
    """Return the type of a value that may be given in several forms."""
    either = reduce(lambda one, other: one | other, [Annotated[form, Tag(tag)] for tag, form in forms.items()])
    by_form = Discriminator(_form, custom_error_type="form", custom_error_message=f"expected {expected}")
    return Annotated[either, by_form]


def _options(maker: Callable[..., Any], base: type[BaseModel], skipped: str = "", **more: Any) -> Any:
    """Return the model of what a constructor or function takes: its parameters with their types and defaults."""
    found = dict(more)
    for name, parameter in inspect.signature(maker).parameters.items():
        default = parameter.default
        if default is parameter.empty:
            default = ...
        elif isinstance(default, float) and not math.isfinite(default):  # JSON has no way to say it
            default = Field(default_factory=partial(float, default))
        if name != skipped:
            found[name] = (_TYPES[parameter.annotation], default)
    return create_model(maker.__name__, __base__=base, __doc__=(maker.__doc__ or "").split("\n")[0], **found)


Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Row = Annotated[tuple[Number, ...], Field(strict=False, min_length=1, max_length=MOST)]
Matrix = Annotated[tuple[Row, ...], Field(strict=False, min_length=1, max_length=MOST)]
_TYPES: dict[str, Any] = {"bool": bool, "float": Number}
"""The types of options in files, by the annotations of the classes."""


class Estimated(BaseModel):
    """A covariance that `static_covariance` estimates from the backgrounds of the training data."""

    model_config = STRICT


_Estimated = _options(static_covariance, Estimated, skipped="X")
_TYPES["Array"] = _tagged(
    "{scale: ..}, to estimate it from the training data, its first row where it depends on distance alone, or all rows",
    {"estimated": _Estimated, "row": Row, "matrix": Matrix},
)
_TYPES["ArrayLike | None"] = _tagged("a number, or one for each point", {"number": Number, "row": Row, "nothing": None})


class FilterDescription(BaseModel):
    """A filter of the library: its name, and the options of its constructor."""

    model_config = STRICT

    name: str

    @model_validator(mode="after")
    def _check(self) -> Self:
        try:
            self.made()
        except L96BenchError as error:
            raise ValueError(str(error)) from error
        return self

    def made(self, K: int | None = None, states: ArrayLike | None = None) -> Filter:
        """Return the filter on K points; `states` are those from which a covariance is estimated.

        Without these two its options are checked, as far as they do not depend on them. Raises `L96BenchError` if the
        class does, or a covariance or mean is of another number of points.
        """
        kind = FILTERS[self.name]
        given = {name: getattr(self, name) for name in inspect.signature(kind).parameters}
        return kind(**{name: _made(name, value, K, states) for name, value in given.items()})

    def __reduce__(self) -> Any:  # its class has no name in this module
        return _again, (self.model_dump(mode="json", exclude_unset=True),)

    def __str__(self) -> str:
        given = [f"{name} {_shown(getattr(self, name))}" for name in sorted(self.model_fields_set - {"name"})]
        return f"{self.name} ({', '.join(given)})" if given else self.name


def _again(said: dict[str, Any]) -> FilterDescription:
    return _OPTIONS[said["name"]].model_validate(said)


def _shown(given: Any) -> str:
    """Return an option of a filter in a few words."""
    if isinstance(given, Estimated):
        return " ".join(["estimated with", *(f"{name} {_shown(value)}" for name, value in given)])
    if isinstance(given, tuple):
        return f"of {len(given)} points"
    return f"{given:g}" if isinstance(given, float) else str(given).lower()


def _made(name: str, given: Any, K: int | None, states: ArrayLike | None) -> Any:
    """Return an option as the constructor takes it."""
    if isinstance(given, Estimated):
        return static_covariance(np.eye(2 if K is None else K) if states is None else states, **dict(given))
    if not isinstance(given, tuple):
        return given
    n = len(given) if K is None else K
    if len(given) != n or any(isinstance(row, tuple) and len(row) != n for row in given):
        raise L96BenchError(f"{name}: expected {n} numbers in a row, one for each point, and as many rows if several")
    array = np.array(given)
    return _circulant(array) if name == "covariance" and array.ndim == 1 else array


def _circulant(row: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the matrix whose elements depend on the distance along the ring alone, from its first row."""
    k = np.arange(len(row))
    return np.asarray(row[(k - k[:, None]) % len(row)], dtype=np.float64)


def describe_filter(filter: Filter) -> FilterDescription:
    """Return the description of a filter of the library; ModelError for another one, or options out of range."""
    kind = type(filter)
    if FILTERS.get(kind.__name__) is not kind:
        raise ModelError(f"expected a filter of l96bench.assimilation ({', '.join(FILTERS)}), got {kind.__name__}")
    said: dict[str, Any] = {"name": kind.__name__}
    for name, parameter in inspect.signature(kind).parameters.items():
        value = np.asarray(getattr(filter, name)).tolist()
        if isinstance(value, list) and name == "covariance" and (_circulant(np.array(value[0])) == value).all():
            value = value[0]
        if value != parameter.default:
            said[name] = value
    try:
        return _OPTIONS[kind.__name__].model_validate(said)
    except ValidationError as error:
        raise ModelError(f"{kind.__name__}: no file can say this: {'; '.join(faulty_fields(error))}") from error


_OPTIONS: Mapping[str, type[FilterDescription]] = {
    name: _options(each, FilterDescription, name=(Literal[name], ...)) for name, each in FILTERS.items()
}


def _known(given: Any) -> Any:
    """Return the description of a filter if it names one, or raise."""
    name = given.get("name") if isinstance(given, dict) else getattr(given, "name", None)
    if not isinstance(name, str) or name not in FILTERS:
        expected = "expected the name of a filter and its options, such as {name: LETKF, radius: 4}."
        raise ValueError(expected + nearest(name if isinstance(name, str) else "", FILTERS))
    return given


if TYPE_CHECKING:
    AnyFilter = FilterDescription
else:
    AnyFilter = Annotated[
        reduce(lambda one, other: one | other, _OPTIONS.values()), Field(discriminator="name"), BeforeValidator(_known)
    ]


class Assimilation(BaseModel):
    """The role of a file in data assimilation, and the filter that it runs in.

    Attributes
    ----------
    role : {"increment", "closure"}
        Whether the file maps the background to the analysis increment, or X to the U of the resolved model.
    filter : FilterDescription, optional
        Replaces the track's filter.
    """

    model_config = STRICT

    role: Literal["increment", "closure"] = "increment"
    filter: AnyFilter | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("expected a role (increment or closure), a filter, or both")
        return self

    def __str__(self) -> str:
        what = "model of increments" if self.role == "increment" else "closure of the resolved model"
        return what if self.filter is None else f"{what} in {self.filter}"


PLACES: Mapping[str, type[BaseModel]] = {
    "assimilation": Assimilation,
    "step": StepMap,
    "state": StateMap,
    **dict.fromkeys(("X", "U", "mean", "noise", "uniform"), Port),
    **_OPTIONS,
    "estimated": _Estimated,
}
"""The parts of a description by their names in the places of faults."""


@dataclass(frozen=True, slots=True)
class Described:
    """A description of how a file is run; every part of it is optional.

    Parameters
    ----------
    assimilation : Assimilation, optional
        For `da-increment`: the role of the file, and the filter that it runs in.
    step : StepMap, optional
        For a step with state or random numbers: what the inputs and outputs of the ONNX file are.

    Examples
    --------
    >>> from l96bench import tasks
    >>> tasks.Described().said
    {}
    """

    assimilation: Assimilation | None = None
    step: StepMap | None = None

    @property
    def said(self) -> dict[str, Any]:
        """The parts that are given, as plain data by the names of the fields of `submission.yaml`."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            name: part.model_dump(mode="json", exclude_unset=True) for name, part in given.items() if part is not None
        }

    @property
    def text(self) -> str:
        """The same as one line of JSON, from which a digest can be made; empty if nothing is said."""
        return json.dumps(self.said, sort_keys=True) if self.said else ""

    def __str__(self) -> str:
        return "; ".join(str(part) for each in fields(self) if (part := getattr(self, each.name)) is not None)


NOTHING_SAID = Described()

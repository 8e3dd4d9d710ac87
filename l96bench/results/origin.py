"""Tell where a row comes from: a script of the repository, or a submission, on public or on secret data."""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

__all__ = ["FRESH_LEVEL", "LINK", "FreshDraw", "Label", "Origin", "SubmissionInfo", "slug_of"]

Text = Annotated[str, Field(max_length=400)]
LINK = (
    r"^https://([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.){1,8}[a-z]{2,20}(/([A-Za-z0-9._~/?#=&+:,;-]|%[0-9A-Fa-f]{2})*)?$"
)
"""Links that a row may have: https, a host, and a path of characters that mean nothing in HTML or Markdown."""
Label = Literal["paper", "code", "data", "homepage"]
_OPTIONAL = frozenset({"run_as", "training_cost", "links", "superseded_by"})
FRESH_LEVEL = 0.99
"""The level of the interval by which a score may be above that on data that nobody could fit anything to."""


class Origin(StrEnum):
    """The three kinds of rows, by what a reader can rely on."""

    TRAINED_HERE = "trained here"
    """A script of the repository, which the board runs itself, on other data too."""
    SEALED = "sealed"
    """A file that was handed in before the secret of its test data was known."""
    DECLARED = "declared"
    """Any other file: how it was made is only what its authors say."""


class FreshDraw(BaseModel):
    """The score of a row's artifact on test data drawn anew, compared with the score of the row.

    Attributes
    ----------
    seed : int
        Follows from the artifact, so that it was not known before the artifact was finished.
    score : float
    difference, low, high : float
        The row's score less this one, with its interval.
    level : float
        Of the interval.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    seed: Annotated[int, Field(ge=0)]
    score: float
    difference: float
    low: float
    high: float
    level: Annotated[float, Field(gt=0, lt=1)] = FRESH_LEVEL

    @model_validator(mode="after")
    def _check_interval(self) -> Self:
        if not self.low <= self.difference <= self.high:
            raise ValueError(f"expected low <= difference <= high, got {self.low}, {self.difference}, {self.high}")
        return self

    @property
    def falls(self) -> bool:
        """Whether the fresh score is lower beyond the interval."""
        return self.low > 0.0


class SubmissionInfo(BaseModel):
    """The submission behind a row.

    Attributes
    ----------
    status : str
        ``verified`` when the row was made from the artifact by whoever keeps the board, else ``self-reported``.
    authors : list of str
    artifact : str
        The file in the submission's folder, or ``python:MODULE:OBJECT``.
    artifact_sha256 : str or None
        Of the file's bytes.
    license : str
    overlaps : list of str
        Training data that it declares and that the task tests on.
    run_as, training_cost : str
        How the artifact is run, and what its training took, in words; empty if the submission does not say.
    links : dict of str to str
        Addresses by label.
    superseded_by : str
        The slug of the submission that replaces it; empty while it is active.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Literal["verified", "self-reported"]
    authors: list[Text]
    artifact: Text
    artifact_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    license: Text = ""
    overlaps: list[Text] = []
    run_as: Text = ""
    training_cost: Text = ""
    links: dict[Label, Annotated[str, Field(max_length=200, pattern=LINK)]] = {}
    superseded_by: Annotated[str, Field(max_length=120, pattern="^[a-z0-9-]*$")] = ""

    @model_serializer(mode="wrap")
    def _without_what_is_not_said(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = serialize(self)
        return {name: value for name, value in fields.items() if value or name not in _OPTIONAL}

    @property
    def scored(self) -> SubmissionInfo:
        """The same without what may be said later: links, costs, and what replaces it."""
        return self.model_copy(update={"training_cost": "", "links": {}, "superseded_by": ""})


@functools.lru_cache(maxsize=65536)
def slug_of(name: str) -> str:
    """Return a name as a safe file name: lower-case ASCII letters, digits and hyphens.

    Parameters
    ----------
    name : str
        Such as the name of an entry.

    Returns
    -------
    str
        At least one character, if the name has a letter or digit.

    Examples
    --------
    >>> import l96bench
    >>> l96bench.slug_of("GRU + AR(1)")
    'gru-ar-1'
    """
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_name.lower()).strip("-")
    return slug or hashlib.sha256(name.encode()).hexdigest()[:12]

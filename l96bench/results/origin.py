"""Where a row comes from: a submission with its artifact, or, without one, a script of the repository."""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["SubmissionInfo", "slug_of"]

Text = Annotated[str, Field(max_length=400)]


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
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Literal["verified", "self-reported"]
    authors: list[Text]
    artifact: Text
    artifact_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    license: Text = ""
    overlaps: list[Text] = []


@functools.lru_cache(maxsize=65536)
def slug_of(name: str) -> str:
    """Return a name as a safe file name: lower-case ASCII letters, digits and hyphens."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_name.lower()).strip("-")
    return slug or hashlib.sha256(name.encode()).hexdigest()[:12]

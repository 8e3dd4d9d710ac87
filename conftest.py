"""What tests and benchmarks share: the C twin of the truth kernel."""

from __future__ import annotations

import shutil

import pytest

from benchmarks.twin import Twin


@pytest.fixture(scope="session")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Twin:
    """The truth in C; skips where there is no gcc."""
    if shutil.which("gcc") is None:
        pytest.skip("the C twin of the truth kernel needs gcc, which is not installed")
    return Twin(tmp_path_factory.mktemp("twin"))

"""One thread: threadpoolctl and torch say how many there are."""

from __future__ import annotations

import subprocess
import sys

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from l96bench.parallel import in_parallel, one_thread

LATER = """
from threadpoolctl import threadpool_info, threadpool_limits
from l96bench.parallel import one_thread
threads = lambda: {each["num_threads"] for each in threadpool_info()}
with one_thread():
    before = len(threadpool_info())
import scipy.linalg, sklearn.utils._openmp_helpers
with threadpool_limits(2):
    with one_thread():
        print(len(threadpool_info()) > before, threads())
    print(threads())
"""


def threads(_: object = None) -> set[int]:
    return {each["num_threads"] for each in threadpool_info()}


def test_one_thread_inside_and_as_many_as_before_outside() -> None:
    with threadpool_limits(3):
        with one_thread():
            assert threads() == {1}
            with one_thread():
                assert threads() == {1}
            assert threads() == {1}
        assert threads() == {3}
        with pytest.raises(KeyError), one_thread():
            raise KeyError
        assert threads() == {3}


def test_torch_has_one_thread_as_well() -> None:
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
def test_libraries_that_are_loaded_later_are_found() -> None:
    found = subprocess.run([sys.executable, "-c", LATER], capture_output=True, text=True, check=True)
    assert found.stdout.split("\n")[:2] == ["True {1}", "{2}"]


def test_an_item_has_one_thread() -> None:
    with threadpool_limits(3):
        (outcome,) = in_parallel(threads, ["item"])
    assert outcome.value == {1}

"""Contained work: what takes too long is ended, whether it works or waits, and what is only slow is not."""

from __future__ import annotations

import time

import pytest

from l96bench.submissions.contained import Limits, run_contained

WAITS = "import time; time.sleep(100)"
WORKS = {"interpreted": "while True: pass", "compiled": "b = 3; b ** (10**8)", "threads": """
import threading
others = []
for _ in range(3): others.append(threading.Thread(target=exec, args=("while True: pass",), daemon=True))
for each in others: each.start()
for each in others: each.join()
"""}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", WORKS)
def test_what_works_forever_is_ended_by_the_processor_and_the_others_are_done(name: str) -> None:
    items = ["a = 1", WORKS[name], "a = 2"]
    outcomes = run_contained("builtins:exec", items, Limits(seconds=0.4, clock=60.0))
    assert [each.fault for each in outcomes] == ["", "stopped: expected at most 0.4 s of processor time", ""]


@pytest.mark.slow
def test_what_waits_forever_is_ended_by_the_clock_and_the_others_are_done() -> None:
    start = time.monotonic()
    outcomes = run_contained("builtins:exec", ["a = 1", WAITS, "a = 2"], Limits(seconds=60.0, clock=0.5))
    assert [each.fault for each in outcomes] == ["", "stopped: expected at most 0.5 s of the clock", ""]
    assert outcomes[1].seconds >= 0.5
    assert time.monotonic() - start < 100.0


@pytest.mark.slow
def test_what_only_gets_little_of_the_processor_is_done() -> None:
    """Waiting stands for a busy machine: more seconds of the clock than are given of the processor."""
    [outcome] = run_contained("builtins:exec", ["import time; time.sleep(0.5)"], Limits(seconds=0.2))
    assert (outcome.fault, outcome.seconds > 0.2) == ("", True)


@pytest.mark.slow
def test_every_item_has_the_time_of_its_own() -> None:
    work = "import time\nend = time.process_time() + 0.25\nwhile time.process_time() < end: pass"
    outcomes = run_contained("builtins:exec", [work] * 4, Limits(seconds=0.5))
    assert [each.fault for each in outcomes] == [""] * 4


@pytest.mark.parametrize(
    ("limits", "patience"), [(Limits(), 3000.0), (Limits(seconds=1.0), 60.0), (Limits(clock=2.0), 2.0)]
)
def test_the_clock_is_ten_times_as_patient_if_nothing_is_said(limits: Limits, patience: float) -> None:
    assert limits.patience == patience

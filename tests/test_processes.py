"""Processes: bad items harm nobody else, and nothing outlives its program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Collection
from pathlib import Path

import pytest

from l96bench.parallel import in_parallel
from l96bench.workers import in_kept_process, in_processes


def outcomes(items: list[str], n_jobs: int = 1, owners: str = "") -> list[str]:
    """The faults of pieces of code, in their order."""
    owner = dict(zip(items, owners or "a" * len(items), strict=True)).__getitem__
    return [fault for _, _, fault in sorted(in_processes(exec, items, n_jobs, owner))]


def gone(pid: int) -> bool:
    """Whether a process ends within a minute."""
    for _ in range(600):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.1)
    return False


LIMITED = """
from l96bench.workers import time_limit
import time
with time_limit("training", 60.0):
    pass
with time_limit("training", 0.5):
    time.sleep(1000)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("item", "fault"),
    [
        ("import os; os._exit(0)", r"it ended its process (exit code 0)"),
        ("import sys; sys.exit(0)", "SystemExit: 0"),
        ("import os; os._exit(7)", "it ended its process (exit code 7)"),
        ("import ctypes; ctypes.string_at(0)", "its process was ended by SIGSEGV"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "ended by SIGKILL; was there enough memory?"),
        ("import os; os.closerange(3, 65536)", "its process"),
        ("import os; os.fork(); import time; time.sleep(0.1)", ""),
        ("import os\nif not os.fork():\n    raise KeyError", ""),
        ("import os\nif os.fork():\n    os._exit(3)\nimport time; time.sleep(1000)", "(exit code 3)"),
        (LIMITED, "stopped: expected training to end within 0.5 s, it went on"),
    ],
)
def test_a_bad_item_is_its_own_fault(item: str, fault: str) -> None:
    first, bad, last = outcomes(["1", item, "2"])
    assert (first, last) == ("", "")
    assert fault in bad
    assert bool(fault) == bool(bad)


@pytest.mark.slow
def test_two_processes_are_at_work_while_a_third_item_hangs() -> None:
    assert outcomes([LIMITED, "import os; os._exit(1)", "1", "2"], 2)[2:] == ["", ""]


@pytest.mark.slow
def test_what_an_item_leaves_running_does_not_reach_the_items_of_others() -> None:
    later = "import threading, os; threading.Timer(0.2, os._exit, [0]).start()"
    patient = "import time; time.sleep(0.6)"
    assert outcomes([later, patient], 1, "ab") == ["", ""]
    assert outcomes([later, patient], 1, "aa") == ["", "it ended its process (exit code 0)"]
    same = "import sys; assert not hasattr(sys, 'seen'); sys.seen = True"
    assert outcomes([same, same + " "], 1, "ab") == ["", ""]
    assert "AssertionError" in outcomes([same, same + " "], 1, "aa")[1]


@pytest.mark.slow
def test_what_an_item_has_started_ends_with_it(tmp_path: Path) -> None:
    code = (
        "import subprocess, os\n"
        "for session in (False, True):\n"
        "    with open('{file}', 'a') as file:\n"
        "        print(subprocess.Popen(['sleep', '1000'], start_new_session=session).pid, file=file)\n"
    )
    for end in ("", "from l96bench.workers import time_limit\nwith time_limit('it', 0.1):\n    os.read(0, 1) or "
                    "__import__('time').sleep(1000)\n"):  # fmt: skip
        file = tmp_path / f"pids{bool(end)}"
        outcomes([code.format(file=file) + end])
        pids = [int(line) for line in file.read_text().split()]
        assert len(pids) == 2
        assert all(map(gone, pids))


@pytest.mark.slow
def test_a_process_is_kept_for_its_owner_until_it_fails() -> None:
    seen = "import sys; assert hasattr(sys, 'seen')"
    assert in_kept_process(exec, "import sys; sys.seen = True", "a") == (None, "")
    assert in_kept_process(exec, seen, "a")[1] == ""
    assert "AssertionError" in in_kept_process(exec, seen, "b")[1]
    assert "exit code 7" in in_kept_process(exec, "import os; os._exit(7)", "b")[1]
    assert "stopped: expected training" in in_kept_process(exec, LIMITED, "b")[1]
    assert in_kept_process(exec, "1", "b")[1] == ""


@pytest.mark.slow
def test_what_cannot_be_sent_is_the_fault_of_its_item() -> None:
    faults = {each.index: each.fault for each in in_parallel(repr, [threading.Lock(), 1], n_jobs=2)}
    assert "cannot be sent to a process" in faults[0]
    assert faults[1] == ""
    (outcome,) = in_parallel(_lock, [1], apart=True)
    assert "its result cannot be sent" in outcome.fault


def _lock(item: object) -> object:
    return threading.Lock()


# Programs and signals.

WORKS = """
import subprocess, sys, os
from l96bench.processes import ended_by_signals
from l96bench.workers import in_kept_process, in_processes

item = '''
import os, subprocess
child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
print(os.getpid(), child.pid, flush=True)
child.wait()
'''
with ended_by_signals() as status:
    try:
        list(in_processes(exec, [item, item + " "], 2))
    except KeyboardInterrupt:
        raise SystemExit(status())
"""
DEAF = """
import time
from l96bench.processes import ended_by_signals

with ended_by_signals():
    while True:
        try:
            print("1 1", flush=True)
            time.sleep(1000)
        except KeyboardInterrupt:
            pass
"""


def begun(code: str, lines: int, ignored: Collection[int] = ()) -> tuple[subprocess.Popen[str], list[int]]:
    """A program that is at work, and the processes that it names in its first lines.

    It ignores these signals, and no others that the tests' own process ignores, as in a shell's background.
    """

    def hear() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)

    program = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, preexec_fn=hear)
    assert program.stdout is not None
    return program, [int(each) for _ in range(lines) for each in program.stdout.readline().split()]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_ends_a_program_and_all_that_it_has_started(number: signal.Signals) -> None:
    program, pids = begun(WORKS, 2)
    workers = pids[::2] if number == signal.SIGKILL else pids  # what has a session of its own is not followed then
    program.send_signal(number)
    assert program.wait(600) == (-number if number == signal.SIGKILL else 128 + number)
    ended = [gone(pid) for pid in workers]
    for pid in set(pids) - set(workers):
        os.kill(pid, signal.SIGKILL)
    assert all(ended)


@pytest.mark.slow
def test_a_program_that_does_not_hear_is_ended() -> None:
    program, _ = begun(DEAF, 1)
    program.send_signal(signal.SIGTERM)
    assert program.wait(600) == 143


@pytest.mark.slow
def test_a_second_signal_ends_a_program_at_once() -> None:
    program, _ = begun(DEAF, 1)
    program.send_signal(signal.SIGINT)
    time.sleep(0.1)
    program.send_signal(signal.SIGINT)
    assert program.wait(600) == 130


@pytest.mark.slow
def test_a_signal_that_is_ignored_stays_so() -> None:
    """As under nohup."""
    program, pids = begun(WORKS, 2, [signal.SIGHUP])
    program.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        program.wait(1.0)
    program.send_signal(signal.SIGTERM)
    assert program.wait(600) == 143
    assert all(map(gone, pids))

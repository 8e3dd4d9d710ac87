"""The promise of equal bits: the same digests from three instruction sets and two numbers of threads."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from l96bench.assimilation.archive import ARRAYS
from l96bench.data.store import digests

pytestmark = pytest.mark.slow

# SHA-256 (first 16 digits) of X, then U, of two trajectories over 2 MTU; recorded once, the same everywhere.
EXPECTED = {
    "wilks-f18": "d53539b7c5a74b1b",
    "wilks-f20": "679dba33645f5f07",
    "arnold-c4": "7588275fe42fd296",
    "wide-k36": "9eb1c2232329a6b7",
    "conservative-f12": "d5ef9968ae7aceb6",
    "three-scale": "c1fbe771fb435829",
    "lorenz96-k40": "3277775176960310",
    "wilks-f20 perfect": "df9f95965b5636d1",
    "three-scale perfect": "b3155c26cc38128c",
    "resolved model": "cd37c529a2945d80",
}

# Without NUMBA_CPU_FEATURES Numba would add the host's own features to the named processor. The others change what
# NumPy's loops and matrix products run on, where it was built with such choices.
PROCESSORS = {
    "generic": {
        "NUMBA_CPU_NAME": "generic",
        "NUMBA_CPU_FEATURES": "",
        "OPENBLAS_CORETYPE": "Nehalem",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX2 AVX512F FMA3",
    },
    "haswell": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "", "OPENBLAS_CORETYPE": "Haswell"},
    "host": {},
}

Runs = dict[str, "Future[subprocess.CompletedProcess[str]]"]


def runnable(processor: str) -> bool:
    """Whether this machine can run code for that processor: haswell needs AVX2 and fused multiply-add."""
    if processor != "haswell":
        return True
    flags = Path("/proc/cpuinfo")
    return (
        platform.machine() in ("x86_64", "AMD64")
        and flags.exists()
        and {"avx2", "fma"} <= set(flags.read_text().split())
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """One process for each processor, two at a time, each compiling into a cache of its own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    caches = {name: {"NUMBA_CACHE_DIR": str(tmp_path_factory.mktemp(name))} for name in PROCESSORS}

    def run(processor: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(Path(__file__).with_name("program.py"))],
            env=inherited | PROCESSORS[processor] | caches[processor],
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )

    with ThreadPoolExecutor(2) as pool:
        return {name: pool.submit(run, name) for name in PROCESSORS if runnable(name)}


def report(runs: Runs, processor: str) -> dict[str, Any]:
    if processor not in runs:
        pytest.skip(f"this machine cannot run code for {processor}")
    done = runs[processor].result()
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("threads", ["1", "2"])
@pytest.mark.parametrize("processor", PROCESSORS)
def test_same_bits(runs: Runs, processor: str, threads: str) -> None:
    assert report(runs, processor)["digests"][threads] == EXPECTED


@pytest.mark.parametrize("processor", PROCESSORS)
def test_same_archives(runs: Runs, processor: str) -> None:
    """A whole part as recorded, and a short one of the other track as the other processors make it."""
    found, recorded = report(runs, processor)["archives"], digests()
    for name in ARRAYS:
        assert found[f"dense/valid/{name}"] == recorded[f"dense/valid/{name}"], name
    assert found == report(runs, "generic")["archives"]


@pytest.mark.parametrize("processor", PROCESSORS)
def test_same_instances(runs: Runs, processor: str) -> None:
    """An instance of every track as recorded, and what is observed of another as the other processors make it."""
    found, recorded = report(runs, processor)["instances"], digests()
    kept = {key: digest for key, digest in recorded.items() if "/instance-0/" in key}
    assert kept.items() <= found.items()
    assert len(kept) == len(found) - 2
    assert found == report(runs, "generic")["instances"]


@pytest.mark.parametrize("processor", PROCESSORS)
def test_no_fused_multiply_add(runs: Runs, processor: str) -> None:
    """A fused operation rounds once where others round twice."""
    assert report(runs, processor)["fused"] == []


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the registers are those of x86")
def test_processors_really_differ(runs: Runs) -> None:
    assert report(runs, "generic")["registers"] == ["xmm"]
    assert "ymm" in report(runs, "haswell")["registers"]

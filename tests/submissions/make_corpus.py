"""The corpus of hostile inputs: run this file to write it; tests check that what is committed is what it writes.

Each entry is a file and a part of the reason (for those that run, a pattern) with which it must be refused. Files of
`description` go to `Submission.parse`, `onnx` to `OnnxClosure`, `step` to `read_closure` and `check_step`,
`predictions` to `read_predictions`, `equations` to `read_equations` and `EquationSet.parse`, `result` to `Result.read`,
and those of `run` to a contained process.
"""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FOLDER = HERE / "corpus"
MANIFEST = FOLDER / "manifest.json"
NAMES = ("descriptions", "onnx_files", "onnx_running", "predictions", "equations", "two_readers", "steps")
PARTS: dict[str, dict[str, Any]] = {name: runpy.run_path(str(HERE / "hostile" / f"{name}.py")) for name in NAMES}
DIGEST, SHAPES = PARTS["predictions"]["DIGEST"], PARTS["predictions"]["SHAPES"]


def corpus() -> dict[str, tuple[bytes, str]]:
    """The content of every file of the corpus, and a part of the reason with which it is refused."""
    parts = (PARTS[name]["entries"]() for name in PARTS)
    return {name: (data, reason) for part in parts for name, data, reason in part}


def large() -> dict[str, tuple[bytes, str]]:
    """What is too large to be kept."""
    node, good = PARTS["onnx_files"]["node"], PARTS["descriptions"]["GOOD"].encode()
    nodes = [node("Neg", f"v{i}" if i else "X", f"v{i + 1}") for i in range(5001)] + [node("Identity", "v5001")]
    return {
        "description/oversized.yaml": (good + b"#" * 300_000, "expected at most 262,144 bytes"),
        "description/many.yaml": (b"[" + b"a, " * 60_000 + b"]", "expected at most 50,000 values"),
        "description/many-keys.yaml": (
            b"".join(b"k%d:\n" % i for i in range(30_000)),
            "expected at most 50,000 values",
        ),
        "onnx/many-nodes.onnx": (PARTS["onnx_files"]["model"](nodes), "expected 1 to 5,000 nodes"),
        "onnx/oversized.onnx": (bytes(50_000_001), "expected at most 50,000,000 bytes"),
        "equations/oversized.yaml": (b"- '0'\n" + b"#" * 1_000_001, "expected at most 1,000,000 bytes"),
        "equations/long.json": (json.dumps(["U[k] = " + "X[k] + " * 100_000 + "1"]).encode(), ""),
        "equations/many.json": (json.dumps(["0"] * 300_000).encode(), ""),
    }


def main() -> None:
    """Write the corpus and its manifest."""
    entries = corpus()
    for old in FOLDER.rglob("*.*"):
        old.unlink()
    for name, (data, _) in entries.items():
        (FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / name).write_bytes(data)
    reasons = {name: reason for name, (_, reason) in entries.items()}
    MANIFEST.write_text(json.dumps(reasons, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{len(entries)} files")


if __name__ == "__main__":
    main()

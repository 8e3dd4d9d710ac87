"""Files that two readers take for two things: the checks must not see the one, and what runs the other."""

from __future__ import annotations

import json
import runpy
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto

Entry = tuple[str, bytes, str]
PARTS: dict[str, dict[str, Any]] = {
    name: runpy.run_path(str(Path(__file__).with_name(f"{name}.py")))
    for name in ("onnx_files", "predictions", "descriptions")
}


def entries() -> Iterator[Entry]:
    yield from onnx_models()
    yield from archives()
    yield from headers()
    yield from texts()
    yield from results()


def onnx_models() -> Iterator[Entry]:
    """Models of onnxruntime's own format, and fields that ONNX does not have, at every depth."""
    model, node = PARTS["onnx_files"]["model"], PARTS["onnx_files"]["node"]
    good: bytes = model([node("Mul", "X w")], {"w": np.float32([2.0])})
    assert good.startswith(b"\x08\x08")
    named = good[:2] + b"\x12\x04ORTM" + good[2:]
    unknown = {"whole": b"\x98\x06\x01", "text": b"\x9a\x06\x04evil", "double": b"\x99\x06" + bytes(8)}
    yield "onnx/ortm-name.onnx", named, "ORTM"
    yield "onnx/ortm-cut.onnx", good[:2] + b"\x12\x01ORTM" + bytes(83) + good, "ORTM"
    yield "onnx/ortm-alone.onnx", b"\x20\0\0\0ORTM" + bytes(64), "onnx"
    for kind, field in unknown.items():
        yield f"onnx/unknown-{kind}.onnx", good + field, "fields that ONNX does not have"
        yield f"onnx/unknown-{kind}-first.onnx", field + good, "fields that ONNX does not have"
    for place in ("graph", "node", "initializer", "input", "output", "opset_import"):
        made = ModelProto.FromString(good)
        found = getattr(made if place in ("graph", "opset_import") else made.graph, place)
        part = found if place == "graph" else found[0]
        part.MergeFromString(unknown["text"])
        yield f"onnx/unknown-{place}.onnx", made.SerializeToString(deterministic=True), "fields that ONNX does not have"


def archives() -> Iterator[Entry]:
    """Archives whose headers, which some readers go by, say something else than the directory at their end."""
    npy, archive = PARTS["predictions"]["npy"], PARTS["predictions"]["archive"]
    U = np.linspace(-1, 1, 80).reshape(2, 5, 8)
    good: bytes = archive({"data.npy": npy(np.array("ab" * 32)), "test.npy": npy(U)})
    other: bytes = archive({"data.npy": npy(np.array("ab" * 32)), "test.npy": npy(-U)})
    second, directory = good.index(b"PK\x03\x04", 4), good.index(b"PK\x01\x02")
    hidden = BytesIO(good)
    with zipfile.ZipFile(hidden, "a") as file:
        file.writestr(zipfile.ZipInfo("evil.npy"), b"evil")
        file.start_dir = file.fp.tell()  # type: ignore[union-attr]
        del file.NameToInfo["evil.npy"], file.filelist[-1]
    nothing, says = "expected nothing but arrays", "expected its header to say what the directory says"
    files = {
        "prefix": (b"evil" + good, nothing),
        "prefix-script": (b"#!/bin/sh\nexit\n" + good, nothing),
        "prefix-archive": (other + good, nothing),
        "suffix": (good + b"evil", "at its end"),
        "suffix-archive": (good[:-2] + len(other).to_bytes(2, "little") + other, ""),
        "comment": (good[:-2] + b"\x04\0evil", "at its end"),
        "hidden-member": (hidden.getvalue(), nothing),
        "before-directory": (good[:directory] + b"evil" + good[directory:], nothing),
        "local-crc": (changed(good, second + 14, bytes(4)), says),
        "local-size": (changed(good, second + 22, b"\x01\0\0\0"), says),
        "local-packed": (changed(good, second + 18, b"\x01\0\0\0"), says),
        "local-method": (changed(good, second + 8, b"\x08\0"), says),
        "local-name": (changed(good, second + 30, b"evil.npy"), "expected an .npz file"),
        "local-extra": (changed(good, second + 28, b"\x08\0"), ""),
        "directory-offset": (changed(good, len(good) - 6, b"\0\0\0\0"), ""),
        "null-in-name": (good.replace(b"test.npy", b"test\0npy"), "expected the arrays"),
    }
    for key, (content, reason) in files.items():
        yield f"predictions/{key}.npz", content, reason


def headers() -> Iterator[Entry]:
    """Headers of arrays with keys twice, of which readers take the first or the last."""
    npy, archive, header = (PARTS["predictions"][name] for name in ("npy", "archive", "header"))
    texts = {
        "shape": b"{'descr': '<f8', 'fortran_order': False, 'shape': (9,), 'shape': (2, 5, 8)}",
        "descr": b"{'descr': '>f8', 'descr': '<f8', 'fortran_order': False, 'shape': (2, 5, 8)}",
        "order": b"{'descr': '<f8', 'fortran_order': True, 'fortran_order': False, 'shape': (2, 5, 8)}",
        "quotes": b"{'descr': '<f8', 'fortran_order': False, \"shape\": (9,), 'shape': (2, 5, 8)}",
        "unpacked": b"{'descr': '<f8', 'fortran_order': False, **{'shape': (2, 5, 8)}}",
    }
    data = npy(np.array("ab" * 32))
    for key, text in texts.items():
        members = {"data.npy": data, "test.npy": header(text) + bytes(640)}
        yield f"predictions/twice-{key}.npz", archive(members), "expected an .npz file"
    wide = header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 5, 8)}" + b" " * 40, (3, 0)) + bytes(640)
    yield "predictions/header-3.npz", archive({"data.npy": data, "test.npy": wide}), "expected an .npz file"
    long = b"\x93NUMPY\x02\0" + (90_000_000).to_bytes(4, "little") + b"{" * 5000
    yield "predictions/header-huge.npz", archive({"data.npy": data, "test.npy": long}), "expected an .npz file"
    yield (
        "predictions/data-twice.npz",
        archive({"data.npy": header(texts["shape"]), "test.npy": npy(np.zeros(3))}),
        "expected",
    )


def texts() -> Iterator[Entry]:
    """Texts on which versions and readers of YAML and JSON disagree."""
    replaced, good = PARTS["descriptions"]["replaced"], PARTS["descriptions"]["GOOD"].encode()
    breaks = {"next-line": "\x85", "line-separator": "\u2028", "paragraph": "\u2029", "second-mark": "\ufeff"}
    for key, character in breaks.items():
        yield f"description/{key}.yaml", replaced("name", f"name: honest{character}kind: other"), "is not allowed"
        yield f"equations/{key}.yaml", f"- U[k] = X[k]{character}- U[k] = 0\n".encode(), "is not allowed"
    for key, number in {"octal": "010", "octal-negative": "-007", "octal-zero": "00"}.items():
        yield f"description/{key}.yaml", replaced("license", "") + f"license: {number}\n".encode(), "octal"
        yield f"equations/{key}.yaml", f"- {number}\n".encode(), "octal"
    yield "description/mark-twice.yaml", b"\xef\xbb\xbf\xef\xbb\xbf" + good, "is not allowed"
    yield "equations/escaped-twice.json", b'{"equations": ["0"], "\\u0065quations": ["X[k]"]}', "twice"
    yield "equations/inner-twice.json", b'{"equations": [{"a": "0", "a": "1"}]}', "twice"
    yield "equations/half.json", b'["X[k]", "\\ud800"]', "surrogate"
    yield "equations/half-key.json", b'{"\\udfff": ["X[k]"]}', "surrogate"
    yield "equations/mark.json", b'\xef\xbb\xbf["X[k]"]', "not valid JSON"
    yield "equations/wide.json", json.dumps(["X[k]"]).encode("utf-16"), "not valid JSON"
    yield "equations/two-texts.json", b'["X[k]"]["0"]', "not valid JSON"
    yield "equations/minus-infinity.json", b'["X[k]", -Infinity]', "no number"


def results() -> Iterator[Entry]:
    """Rows of the board of which readers may show one score or another."""
    path = Path(__file__).parents[3] / "tests" / "submissions" / "hostile" / "row.json"
    row = path.read_text(encoding="utf-8")
    score = '"value": 50.0'
    assert row.count(score) == 1
    texts = {
        "score-twice": (row.replace(score, f'"value": 99.5, {score}'), "twice"),
        "score-twice-escaped": (row.replace(score, f'"v\\u0061lue": 99.5, {score}'), "twice"),
        "task-twice": (row.replace('"task":', '"task": "subgrid-forcing/arnold-c4-v1", "task":', 1), "twice"),
        "score-nan": (row.replace(score, '"value": NaN'), "score"),
        "score-infinite": (row.replace(score, '"value": 1e999'), "score"),
        "score-text": (row.replace(score, '"value": "50.0"'), "score"),
        "name-half": (row.replace('"name": "', '"name": "\\ud800', 1), "not a valid result"),
        "mark": ("\ufeff" + row, "not a valid result"),
        "two": (row + row, "not a valid result"),
        "deep": ("[" * 100_000, "not a valid result"),
        "empty": ("", "not a valid result"),
        "unknown": (row.replace(score, f'"rank": 1, {score}'), "rank"),
    }
    for key, (text, reason) in texts.items():
        yield f"result/{key}.json", text.encode("utf-8", "surrogatepass"), reason


def changed(content: bytes, place: int, new: bytes) -> bytes:
    return content[:place] + new + content[place + len(new) :]

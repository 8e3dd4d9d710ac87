"""Hostile files of predictions: zip archives, headers and arrays of every wrong kind."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

Entry = tuple[str, bytes, str]

DIGEST = "ab" * 32
SHAPES = {"test": (2, 5, 8), "shift": (2, 5, 8)}


def archive(members: dict[str, bytes], compressed: bool = False, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as file:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = file.compression
            for key, option in options.items():
                setattr(info, key, option)
            file.writestr(info, content)
    return buffer.getvalue()


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def header(text: bytes, version: tuple[int, int] = (1, 0)) -> bytes:
    text += b" " * (118 - len(text) - 1) + b"\n"
    size = len(text).to_bytes(2 if version == (1, 0) else 4, "little")
    return b"\x93NUMPY" + bytes(version) + size + text


class Boom:
    """Leaves a trace when it is unpickled."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("executed"),)


def entries() -> Iterator[Entry]:
    U = np.linspace(-1, 1, 80).reshape(SHAPES["test"])
    data, good = npy(np.array(DIGEST)), npy(U)
    wrong = {
        "shape": (U[0], "expected shape (2, 5, 8), got (5, 8)"),
        "transposed": (U.T, "expected shape"),
        "int": (U.astype(int), "expected float32"),
        "bool": (U > 0, "expected float32"),
        "complex": (U + 0j, "expected float32"),
        "text": (U.astype(str), "expected float32"),
        "half": (U.astype(np.float16), "expected float32"),
        "long": (np.zeros((2, 5, 8), np.longdouble), "expected float32"),
        "object": (np.array([Boom()]), "objects (pickles) are never loaded"),
        "structured": (np.zeros(2, "f8,i4"), "expected float32"),
        "bytes": (np.array([b"a"]), "expected float32"),
        "date": (np.zeros(3, "M8[s]"), "expected float32"),
        "none": (np.zeros((0, 5, 8)), "expected shape"),
        "more": (np.zeros((3, 5, 8)), "expected shape"),
        "scalar": (np.array(1.0), "expected shape"),
    }
    files: dict[str, tuple[bytes, str]] = {
        key: (archive({"data.npy": data, "test.npy": npy(array)}), reason) for key, (array, reason) in wrong.items()
    }
    zeros = npy(np.zeros(SHAPES["test"])) + bytes(10_000_000)
    members: dict[str, tuple[dict[str, bytes], str]] = {
        "no-data": ({"test.npy": good}, "expected an array `data`"),
        "other-data": ({"data.npy": npy(np.array("cd" * 32)), "test.npy": good}, "predictions for other data"),
        "other-data-bytes": ({"data.npy": npy(np.array(b"cd" * 32)), "test.npy": good}, "predictions for other data"),
        "data-list": ({"data.npy": npy(np.array([DIGEST])), "test.npy": good}, "predictions for other data"),
        "data-object": ({"data.npy": npy(np.array([Boom()])), "test.npy": good}, "Object arrays cannot be loaded"),
        "data-pickle": ({"data.npy": pickle.dumps(Boom()), "test.npy": good}, "expected an .npz file"),
        "data-number": ({"data.npy": npy(np.array(1.5)), "test.npy": good}, "predictions for other data"),
        "no-test": ({"data.npy": data, "shift.npy": good}, "expected the arrays `test`"),
        "extra": ({"data.npy": data, "test.npy": good, "run.py": b"import os"}, "expected the arrays `test`"),
        "traversal": ({"data.npy": data, "../test.npy": good}, "expected the arrays `test`"),
        "absolute": ({"data.npy": data, "/etc/test.npy": good}, "expected the arrays `test`"),
        "folder": ({"data.npy": data, "test.npy": good, "a/": b""}, "expected the arrays `test`"),
        "shift-shape": ({"data.npy": data, "test.npy": good, "shift.npy": npy(U[:1])}, "shift: expected shape"),
        "pickle": ({"data.npy": data, "test.npy": pickle.dumps(Boom())}, "expected an .npz file"),
        "text": ({"data.npy": data, "test.npy": b"1,2,3"}, "expected an .npz file"),
        "empty-array": ({"data.npy": data, "test.npy": b""}, "expected an .npz file"),
        "cut-array": ({"data.npy": data, "test.npy": good[:-8]}, "got fewer"),
        "long-array": ({"data.npy": data, "test.npy": good + bytes(8)}, "got more"),
        "huge-shape": (
            {
                "data.npy": data,
                "test.npy": header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 8), }"),
            },
            "expected shape",
        ),
        "code-in-header": (
            {
                "data.npy": data,
                "test.npy": header(b"{'descr': __import__('os').system('touch executed'), 'shape': (1,)}"),
            },
            "expected an .npz file",
        ),
        "header-version": (
            {
                "data.npy": data,
                "test.npy": header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (2, 5, 8), }", (9, 9)),
            },
            "expected",
        ),
        "header-keys": ({"data.npy": data, "test.npy": header(b"{'descr': '<f8'}")}, "expected an .npz file"),
        "header-long": (
            {"data.npy": data, "test.npy": b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535},
            "expected an .npz file",
        ),
        "header-nested": ({"data.npy": data, "test.npy": header(b"(" * 100)}, "expected an .npz file"),
        "negative-shape": (
            {"data.npy": data, "test.npy": header(b"{'descr': '<f8', 'fortran_order': False, 'shape': (-2, 5, 8), }")},
            "expected shape",
        ),
    }
    files |= {key: (archive(each), reason) for key, (each, reason) in members.items()}
    files |= {
        "empty": (b"", "expected an .npz file"),
        "not-a-zip": (b"PK\x03\x04 no", "expected an .npz file"),
        "bare-npy": (good, "expected an .npz file"),
        "bare-pickle": (pickle.dumps({"test": Boom()}), "expected an .npz file"),
        "cut": (archive({"data.npy": data, "test.npy": good})[:-30], "expected an .npz file"),
        "bomb": (archive({"data.npy": data, "test.npy": zeros}, compressed=True), "got more"),
        "bomb-data": (archive({"data.npy": data + bytes(10_000_000), "test.npy": zeros}, compressed=True), "got more"),
        "encrypted": (encrypted(archive({"data.npy": data, "test.npy": good})), "not encrypted"),
        "member-twice": (twice(data, good), "expected each array once"),
        "wrong-crc": (
            archive({"data.npy": data, "test.npy": good}).replace(good[-16:-8], b"12345678", 1),
            "expected an .npz",
        ),
        "lying-size": (lying(archive({"data.npy": data, "test.npy": good})), "expected"),
    }
    for key, (content, reason) in files.items():
        yield f"predictions/{key}.npz", content, reason


def encrypted(content: bytes) -> bytes:
    """The archive with every member said to be encrypted."""
    out = bytearray(content)
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = out.find(mark)
        while at >= 0:
            out[at + offset] |= 1
            at = out.find(mark, at + 4)
    return bytes(out)


def lying(content: bytes) -> bytes:
    """The archive whose directory says that members hold 4 GB."""
    out = bytearray(content)
    at = out.find(b"PK\x01\x02")
    while at >= 0:
        out[at + 20 : at + 28] = b"\xfe\xff\xff\xff" * 2
        at = out.find(b"PK\x01\x02", at + 4)
    return bytes(out)


def twice(data: bytes, good: bytes) -> bytes:
    content = archive({"data.npy": data, "test.npy": good, "tess.npy": good})
    return content.replace(b"tess.npy", b"test.npy")

"""Read the artifact files of a submission once, and check them before they are unpacked; nothing is executed."""

from __future__ import annotations

import hashlib
import io
import os
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l96bench.data.store import digests
from l96bench.errors import SubmissionError
from l96bench.files import read_json, read_plain
from l96bench.graphs.onnx_file import MAX_ONNX_BYTES
from l96bench.graphs.onnx_remedies import EXTERNAL_DATA
from l96bench.submissions.plain_yaml import MAX_BYTES, read_yaml
from l96bench.tasks.artifacts import EQUATIONS, ONNX, PREDICTIONS, Content, Expected
from l96bench.tasks.base import Task
from l96bench.tasks.described import NOTHING_SAID, Described

__all__ = [
    "Artifact",
    "left_out",
    "read_content",
    "read_equations",
    "read_file",
    "read_predictions",
    "unexpected_files",
]

_NAMES = {ONNX: "a closure (.onnx)", EQUATIONS: "equations (.yaml or .json)", PREDICTIONS: "predictions (.npz)"}
_KINDS = {".onnx": ONNX, ".yaml": EQUATIONS, ".json": EQUATIONS, ".npz": PREDICTIONS}
SUFFIXES = tuple(_KINDS)
"""The suffixes of artifact files."""
MAX_YAML_BYTES, MAX_JSON_BYTES = 1_000_000, 20_000_000
"""The largest equations file, as YAML and as JSON."""
MAX_NPZ_BYTES = 100_000_000
_MAX_HEADER = 4096
_KEYS = re.compile(rb"descr|fortran_order|shape")
_BESIDE = re.compile(
    r"(\..+|__MACOSX|__pycache__|Thumbs\.db|desktop\.ini|(LICEN[CS]E|COPYING|NOTICE)(\.(md|txt))?|CITATION\.cff)",
    re.IGNORECASE,
)
"""Names of files that programs and people put into a folder, and that are not submitted."""
_PLAIN_HEADER = "expected an .npz file of plain arrays (np.savez): .npy format 1 or 2, each key of its header once"
_LOCAL = struct.Struct("<4s5H3L2H")
"""The header of a member of a zip archive."""
_SIZES64, _LARGE, _STREAMED = struct.Struct("<2H2Q"), 0xFFFFFFFF, 8
"""An extra field of sizes (kind, length, size, packed size), the size that points to it, the flag of later sizes."""
_SIZES = {
    ".onnx": MAX_ONNX_BYTES,
    ".yaml": MAX_YAML_BYTES,
    ".json": MAX_JSON_BYTES,
    ".npz": MAX_NPZ_BYTES,
    ".md": MAX_BYTES,
}


@dataclass(frozen=True, slots=True)
class Artifact:
    """The bytes of an artifact file and how to run them, read once, so that what is checked is what is scored."""

    name: str
    data: bytes
    described: Described = NOTHING_SAID

    @property
    def kind(self) -> str:
        """`ONNX`, `EQUATIONS` or `PREDICTIONS`."""
        return _KINDS[Path(self.name).suffix]

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes; where the description says how they are run, of their SHA-256 and of what it says."""
        own, said = hashlib.sha256(self.data).hexdigest(), self.described.text
        return hashlib.sha256(f"{own}\n{said}".encode()).hexdigest() if said else own

    @classmethod
    def read(cls, folder: Path, name: str) -> Artifact:
        """Read the artifact of that name from a folder; see `read_file`."""
        return cls(name, read_file(folder, name, _SIZES[Path(name).suffix]))


def read_file(folder: Path, name: str, max_bytes: int) -> bytes:
    """Read a plain file directly inside a folder; links, devices, folders and large files raise SubmissionError."""
    if name != os.path.basename(name) or name in {"", ".", ".."} or "\0" in name:
        raise SubmissionError(f"{name!r:.100}: expected the name of a file in the folder")
    try:
        return read_plain(folder / name, max_bytes)
    except OSError as error:
        raise SubmissionError(f"{name}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise SubmissionError(f"{name}: {error}") from error


def read_equations(artifact: Artifact) -> list[str] | dict[str, list[str]]:
    """Return the texts of an equations file, unparsed: one list, or lists by problem id; SubmissionError otherwise."""
    name = artifact.name
    is_json = name.endswith(".json")
    found = _read_json(artifact) if is_json else read_yaml(artifact.data, name, MAX_YAML_BYTES)
    expected = f"{name}: expected a list of equations, or a mapping of the ids of problems to such lists"
    if isinstance(found, dict) and set(found) == {"equations"}:
        found = found["equations"]
    if isinstance(found, dict) and found:
        for key, value in found.items():
            if not _are_texts(value):
                raise SubmissionError(f"{expected}; got {value!r:.60} for {key!r:.60}")
        return found
    if not _are_texts(found):
        raise SubmissionError(f"{expected}, got {found!r:.100}")
    return list(found)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, str) for each in value)


def _read_json(artifact: Artifact) -> Any:
    try:
        return read_json(artifact.data)
    except ValueError as error:
        raise SubmissionError(f"{artifact.name}: not valid JSON: {str(error)[:200]}") from error


def read_content(artifact: Artifact, task: Task) -> Content:
    """Return the checked content of an artifact for a task to score, or raise SubmissionError."""
    if artifact.kind not in task.artifact_kinds:
        kinds = " or ".join(_NAMES[kind] for kind in task.artifact_kinds)
        raise SubmissionError(f"{artifact.name}: {task.id} cannot score a file of {artifact.kind}; expected {kinds}")
    if artifact.kind == ONNX:
        return Content(artifact.name, ONNX, artifact.data, artifact.described)
    if artifact.kind == EQUATIONS:
        return Content(artifact.name, EQUATIONS, read_equations(artifact), artifact.described)
    return Content(artifact.name, PREDICTIONS, read_predictions(artifact, task.expected_predictions))


def read_predictions(artifact: Artifact, expected: Expected) -> dict[str, NDArray[np.float64]]:
    """Return the arrays ``test`` and, if given, ``shift`` of a predictions file, or raise SubmissionError.

    The file is a zip archive of plain .npy files: ``test``, ``shift`` (optional) and ``data``, the SHA-256 of the test
    X as a text, without which a file for another regime would be scored unremarked. Headers are read first; then never
    more than the bytes that an array of the expected shape has.
    """
    name = artifact.name
    try:
        with warnings.catch_warnings(), zipfile.ZipFile(io.BytesIO(artifact.data)) as archive:
            warnings.simplefilter("error")
            _check_members(archive, artifact.data, name)
            _check_data(archive, name, expected.digest)
            return {
                key: _read_array(archive, f"{key}.npy", name, expected.shapes)
                for key in ("test", "shift")
                if f"{key}.npy" in archive.namelist()
            }
    except SubmissionError:
        raise
    except Exception as error:  # a damaged archive makes zipfile, zlib and NumPy raise almost anything
        text = " ".join(str(error).split())[:200]
        raise SubmissionError(f"{name}: expected an .npz file of plain arrays (np.savez), got {text}") from error


def _check_members(archive: zipfile.ZipFile, data: bytes, name: str) -> None:
    members = [each.filename for each in archive.infolist()]
    if len(set(members)) < len(members):
        raise SubmissionError(f"{name}: expected each array once")
    if "test.npy" not in members or set(members) - {"test.npy", "shift.npy", "data.npy"}:
        shown = [each.removesuffix(".npy")[:40] for each in sorted(members)][:5]
        raise SubmissionError(f"{name}: expected the arrays `test`, `data` and, if wanted, `shift`, got {shown}")
    for each in archive.infolist():
        if each.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or each.flag_bits & 1:
            raise SubmissionError(f"{name}: {each.filename}: expected it stored or deflated, and not encrypted")
    _check_layout(archive, data, name)


def _check_layout(archive: zipfile.ZipFile, data: bytes, name: str) -> None:
    """Raise unless the members, as their own headers say them, and the directory fill the archive from end to end.

    Some readers go by the directory at the end, others by the headers: whatever the one sees, the other must see.
    """
    end = 0
    for each in sorted(archive.infolist(), key=lambda each: each.header_offset):
        if each.header_offset != end or each.orig_filename != each.filename:
            raise SubmissionError(f"{name}: expected nothing but arrays, got other bytes before {each.filename}")
        signature, _, flags, method, _, _, crc, packed, size, n_name, n_extra = _LOCAL.unpack_from(data, end)
        streamed = bool(flags & _STREAMED)  # the sizes then follow the data
        start = end + _LOCAL.size + n_name + n_extra
        own = crc, packed, size
        if _LARGE in own[1:] and n_extra >= _SIZES64.size:  # the sizes are in a field of their own
            own = crc, *_SIZES64.unpack_from(data, start - n_extra)[:1:-1]
        wanted = each.CRC, each.compress_size, each.file_size
        if signature != b"PK\x03\x04" or method != each.compress_type or not (streamed or own == wanted):
            raise SubmissionError(f"{name}: {each.filename}: expected its header to say what the directory says")
        end = start + each.compress_size
        if streamed:
            marked = data[end : end + 4] == b"PK\x07\x08"
            end += 4 * marked + (20 if n_extra >= _SIZES64.size else 12)
    if archive.start_dir != end or archive.comment or data[-22:-18] != b"PK\x05\x06":
        raise SubmissionError(f"{name}: expected nothing but arrays, got other bytes at its end")


def _check_data(archive: zipfile.ZipFile, name: str, digest: str) -> None:
    if "data.npy" not in archive.namelist():
        hint = "l96bench.export_predictions(path, task, U), or np.savez(.., data=task.expected_predictions.digest)"
        raise SubmissionError(f"{name}: expected an array `data`, the digest of the data it is for; try {hint}")
    with archive.open("data.npy") as file:
        raw = file.read(_MAX_HEADER)
    if raw[6:8] not in (b"\1\0", b"\2\0") or len(_KEYS.findall(raw)) != 3:
        raise SubmissionError(f"{name}: {_PLAIN_HEADER}")
    array = np.lib.format.read_array(io.BytesIO(raw), allow_pickle=False, max_header_size=_MAX_HEADER)
    came = str(array) if array.dtype.kind in "US" and array.ndim == 0 else repr(array)[:80]
    if array.dtype.kind == "S" and array.ndim == 0:
        came = bytes(array.item()).decode("ascii", "replace")
    if came != digest:
        known = [key for key, each in digests().items() if each == came]
        of = f", that of {known[0]}" if known else ""
        raise SubmissionError(f"{name}: predictions for other data: expected data {digest}, got {came!r:.80}{of}")


def _read_array(
    archive: zipfile.ZipFile, member: str, name: str, shapes: Mapping[str, tuple[int, ...]]
) -> NDArray[np.float64]:
    """Read one array, after its header has been checked against what is expected."""
    key = member.removesuffix(".npy")
    label = f"{name}: {key}"
    if key not in shapes:
        raise SubmissionError(f"{label}: the task has no warmer climate")
    with archive.open(member) as file:
        head = file.read(_MAX_HEADER)
        lead = 10 if head[6:7] == b"\1" else 12
        size = lead + int.from_bytes(head[8:lead], "little")
        if not head.startswith(b"\x93NUMPY") or head[6:8] not in (b"\1\0", b"\2\0") or size > len(head):
            raise SubmissionError(f"{name}: {_PLAIN_HEADER}")
        if len(_KEYS.findall(head[:size])) != 3:
            raise SubmissionError(f"{name}: {_PLAIN_HEADER}")
        read = np.lib.format.read_array_header_1_0 if lead == 10 else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(io.BytesIO(head[8:size]), max_header_size=_MAX_HEADER)
        if dtype.hasobject:
            raise SubmissionError(f"{label}: objects (pickles) are never loaded; save plain numbers")
        if dtype.kind != "f" or dtype.itemsize not in (4, 8):
            raise SubmissionError(f"{label}: expected float32 or float64, got {dtype}")
        if shape != shapes[key]:
            raise SubmissionError(f"{label}: expected shape {shapes[key]}, got {shape}")
        n_bytes = int(np.prod(shape)) * dtype.itemsize
        raw = head[size:] + file.read(max(0, n_bytes - len(head) + size))
        if len(raw) != n_bytes or file.read(1):
            raise SubmissionError(
                f"{label}: expected {n_bytes:,} bytes of numbers, got {'fewer' if len(raw) < n_bytes else 'more'}"
            )
    array = np.frombuffer(raw, dtype=dtype).reshape(shape, order="F" if fortran else "C")
    return np.ascontiguousarray(array, dtype=np.float64)


def left_out(folder: Path) -> list[str]:
    """Return the names of what lies in a folder and is not submitted: hidden files, licenses and the like."""
    return sorted(each.name for each in os.scandir(folder) if _is_beside(each))


def _is_beside(entry: os.DirEntry[str]) -> bool:
    return bool(_BESIDE.fullmatch(entry.name)) and not entry.is_symlink()


def unexpected_files(folder: Path, expected: Sequence[str]) -> list[str]:
    """Return a line for everything in a folder that is none of these files, nor `left_out`."""
    faults = []
    for index, entry in enumerate(sorted(os.scandir(folder), key=lambda each: each.name)):
        if index == 100:
            faults.append("expected a folder of a few files, got over 100")
            break
        if _is_beside(entry):
            continue
        if entry.is_symlink():
            faults.append(f"{entry.name!r:.100}: symbolic links are not allowed")
        elif entry.name not in expected:
            what, hint = "folder" if entry.is_dir() else "file", ""
            if any(each.endswith(".onnx") and entry.name.startswith(each) for each in expected):
                hint = f"; are these its weights? {EXTERNAL_DATA}"
            faults.append(f"{entry.name!r:.100}: an unexpected {what}; expected only {', '.join(expected)}{hint}")
    return faults

"""Write the rows of a board as data, beside its page: ``results.csv``, ``results.json`` and ``results.parquet``."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from l96bench.board.tables import Table, family
from l96bench.metrics.glossary import find_metric
from l96bench.results.frame import COLUMNS, METRICS, make_frame, result_record
from l96bench.results.load import DATA, rows_digest

__all__ = ["CSV", "PARQUET", "data_files", "stale_data_files", "table_records"]

CSV, PARQUET = "results.csv", "results.parquet"
_SCHEMA = "l96bench/results/1"


def table_records(tables: Sequence[Table]) -> list[dict[str, Any]]:
    """Return a record of every row, as `result_record`, with what only a board knows: rank, flags, season."""
    records = []
    for one in tables:
        for row in one.rows:
            gap, behind = row.gap, row.behind
            known: dict[str, Any] = {}
            if behind is not None:
                known = {"behind_best": behind.value, "behind_low": behind.low, "behind_high": behind.high}
            if gap is not None:
                known |= {"season": one.season, "season_difference": gap.value}
                known |= {"season_low": gap.low, "season_high": gap.high}
            flags = " ".join(dict.fromkeys(flag.kind for flag in row.flags))
            records.append(result_record(row.result, rank=row.rank, origin=row.kind, flags=flags, **known))
    return records


def data_files(tables: Sequence[Table], results: Path, board: Path) -> dict[str, str | bytes | None]:
    """Return the content of the files by name; None for the Parquet file without pyarrow, so that no old one is left.

    Parquet files name the versions that wrote them: one with the same rows stays as it is.
    """
    records = table_records(tables)
    frame = make_frame(records)
    files: dict[str, str | bytes | None] = {
        CSV: frame.to_csv(index=False, lineterminator="\n"),
        DATA: _json(records, rows_digest(results, board)),
        PARQUET: None,
    }
    if _has_pyarrow():
        buffer = io.BytesIO()
        frame.to_parquet(buffer, engine="pyarrow", index=False, compression="zstd", write_statistics=False)
        content, path = buffer.getvalue(), board / PARQUET
        files[PARQUET] = path.read_bytes() if path.is_file() and _same_rows(path.read_bytes(), content) else content
    return files


def stale_data_files(tables: Sequence[Table], results: Path, board: Path) -> list[str]:
    """Return what differs between the files of a board and its rows; the Parquet file is read only with pyarrow."""
    differences = []
    for name, content in data_files(tables, results, board).items():
        path = board / name
        if content is None:
            continue
        if not path.is_file():
            differences.append(f"{name}: missing")
        elif path.read_bytes() != (content.encode() if isinstance(content, str) else content):
            differences.append(f"{name}: out of date")
    return differences


def _json(records: Sequence[dict[str, Any]], digest: str) -> str:
    """Return a JSON text with the definitions of all columns and metrics, and one line for each row."""
    head = {
        "schema": _SCHEMA,
        "rows_sha256": digest,
        "columns": [
            {"name": one.name, "type": one.type}
            | ({"unit": one.unit} if one.type in ("integer", "number") else {})
            | {"definition": one.definition}
            for one in COLUMNS
        ],
        METRICS: _definitions(records),
    }
    parts = [f"{_line(key)}: {_line(value)}" for key, value in head.items()]
    rows = ",\n".join(map(_line, records))
    return "{\n" + ",\n".join(parts) + f',\n"rows": [\n{rows}\n]\n}}\n'


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _definitions(records: Sequence[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return title, unit, direction and definition of the metrics that each family's rows have, by family and key."""
    keys: dict[str, dict[str, None]] = {}
    for record in records:
        keys.setdefault(record["family"], {}).update(dict.fromkeys(record[METRICS]))
    return {
        name: {
            key: {"title": own.title, "unit": own.unit, "better": own.direction, "definition": own.definition}
            for key in sorted(found)
            if (own := find_metric(family(name).glossary, key)) is not None
        }
        for name, found in keys.items()
    }


def _has_pyarrow() -> bool:
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return False
    return True


def _same_rows(one: bytes, other: bytes) -> bool:
    """Return whether two Parquet files hold the same columns and values."""
    import pyarrow.parquet

    try:
        first, second = (pyarrow.parquet.read_table(io.BytesIO(each)) for each in (one, other))
    except pyarrow.ArrowInvalid:
        return False
    return bool(first.equals(second))

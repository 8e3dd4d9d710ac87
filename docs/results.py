"""The columns of results as data, as docs/results.md. Run by `make figures`."""

import json
from pathlib import Path

import l96bench

PAGE = Path(__file__).with_name("results.md")
DATA = PAGE.parents[1] / "leaderboard" / "results.json"
INTRODUCTION = """# Results as data

`l96bench.load_results()` returns all rows of the board as a pandas DataFrame, one row an entry and task;
`load_results("online-rollout")` those of a family, `load_results("online-rollout/wilks-f20-v2")` those of a task, and
`load_results(results=FOLDER)` those of a folder of your own. The same rows lie beside the board's page, written by
`l96bench leaderboard --write` and checked by `l96bench leaderboard --check`:

- `leaderboard/results.csv`: the columns below, texts in UTF-8; what is missing is empty, and a list is a JSON list.
- `leaderboard/results.parquet`: the same columns, with their types; written with `pip install 'l96bench[parquet]'`.
- `leaderboard/results.json`: an object with `schema` (the version of this layout), `rows_sha256` (of the files that the
  rows were made of), `columns` and `metrics` (definitions, as on this page and in [metrics.md](metrics.md)) and `rows`.
  A row has the columns below, without those that are missing, and `metrics`, in which each key has a list of the value
  and, where there is an interval, its ends.

Replicates of the bootstrap and curves, such as skill by lead, are in `leaderboard/results/FAMILY/TASK/SLUG.json`;
`l96bench.read_results(FOLDER)` returns these as `Result` objects. The difference of two entries needs the replicates:
`l96bench.compare(A, B, TASK)`, or `l96bench compare A B`, gives it with the interval of the paired bootstrap, by which
the board ranks. The intervals of two scores say less, since both depend on the same test data.

Made by `make figures` (`docs/results.py`).

## Columns of every table
"""
METRICS = """## Columns of the metrics

Every metric that a row of the table has is a column under its key, followed by the ends of its interval, `KEY_low` and
`KEY_high`, where a row has one; the level is that of the score. It is missing in families that do not have it. The
keys, with unit, direction and definition, are those of [metrics.md](metrics.md). A key that is the name of a column
above would have `metric_` before it.
"""


def page() -> str:
    """The page as Markdown."""
    columns = json.loads(DATA.read_bytes())["columns"]
    rows = [
        (l96bench.Markdown(f"`{one['name']}`"), one["type"], one.get("unit", ""), one["definition"]) for one in columns
    ]
    header = ("column", "type", "unit", "definition")
    return "\n\n".join([INTRODUCTION.strip(), str(l96bench.markdown_table(header, rows, left=header)), METRICS])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

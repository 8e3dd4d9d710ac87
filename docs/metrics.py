"""The glossary of all metrics, as docs/metrics.md. Run by `make figures`."""

from pathlib import Path

import l96bench

PAGE = Path(__file__).with_name("metrics.md")
INTRODUCTION = """# Metrics

What every number in a result file means, its unit, and which way is better. Made by `make figures` (`docs/metrics.py`)
from `l96bench.glossary`, which the tables of the board, the cards and the reports use too. How the scores are made of
them is in [definitions.md](definitions.md).

X is a number of the model, without a unit of its own; U is a tendency, X / MTU. A unit of 1 is a ratio. Names in braces
stand for numbers, written with two digits and with `_` for the decimal point: `r2_quantile_05_25`, `f1_h_0_1`.
Intervals of metrics are those of the score, at 95 %; curves have none.
"""


def table(metrics: list[l96bench.Metric]) -> str:
    """Metrics, or curves with what they run over."""
    curves = any(each.axis for each in metrics)
    header = ("key", "number", "unit", "direction", "definition", *(["runs over"] if curves else []))
    rows = [
        (
            *(l96bench.Markdown(f"`{each.key}`"), each.title, each.unit, each.direction, each.definition),
            *([each.axis] if curves else []),
        )
        for each in metrics
    ]
    return l96bench.markdown_table(header, rows, left=header)


def page() -> str:
    """The page as Markdown."""
    parts = [INTRODUCTION]
    families = {id.partition("/")[0]: l96bench.make_task(id) for id in l96bench.list_tasks()}
    for name, family in families.items():
        if not type(family).__module__.startswith("l96bench."):
            continue  # of another package
        own = l96bench.glossary(name)
        parts.append(f"## `{name}`\n\n{family.question}\n\n{table([each for each in own if not each.axis])}")
        if curves := [each for each in own if each.axis]:
            parts.append(f"Curves:\n\n{table(curves)}")
    return "\n\n".join(each.strip() for each in parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

"""The board as one HTML file that needs nothing else: no server, no network, and for its tables no script."""

from __future__ import annotations

import base64
import functools
import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from l96bench.board.flags import KINDS, is_reference, marks
from l96bench.board.seasons import summary
from l96bench.board.tables import Family, Row, Table, change_markdown, family
from l96bench.board.text import NONE, interval, number, one_line
from l96bench.results.record import Result, Value

__all__ = ["FIELDS", "THUMBNAILS", "page", "thumbnails"]

FIELDS = (
    *("entry", "rank", "score", "low", "high", "seeds", "status", "kind", "inputs", "parameters"),
    *("training", "call", "steps", "failures", "digest", "flags", "gap", "metrics"),
)
"""What a row of the page's data holds, in this order."""

THUMBNAILS = "thumbnails"
"""The folder of the pictures beside the page: ``thumbnails/REGIME/SLUG.png``, ``truth.png`` among them."""

_CURVES = ("crps", "rmse", "anomaly_correlation")
"""Series by lead that the page draws."""
_N_LEADS = 30
_N_CURVES = 150
"""So many of the best rows of a table have curves: enough to choose from, and the page stays small."""
_N_STATIC = 10
"""So many rows of each table can be read without a script."""

Pictures = Mapping[str, Mapping[str, bytes]]


def page(tables: Sequence[Table], pictures: Pictures | None = None) -> str:
    """The page's HTML: the same tables and pictures give the same bytes.

    Every string of a result is escaped where it stands in HTML, and where it stands in the data of the script, whose
    code only ever sets text. The policy in the page lets nothing be loaded, and nothing run but the page's own script.

    Parameters
    ----------
    tables : sequence of Table
        What to show.
    pictures : dict of dict of bytes, optional
        PNG files by regime and slug, see `thumbnails`.
    """
    script, style = _own_text("page.js"), _own_text("page.css")
    static = [
        (family(name), [(one, _static_rows(one)) for one in group])
        for name, group in itertools.groupby(tables, key=lambda one: one.family)
    ]
    return (
        _templates()
        .get_template("page.html.j2")
        .render(
            policy="; ".join(
                (
                    "default-src 'none'",
                    f"script-src {_source(script)}",
                    f"style-src {_source(style)}",
                    "img-src data:",
                    "base-uri 'none'",
                    "form-action 'none'",
                )
            ),
            script=Markup(script),
            style=Markup(style),
            data=_json_in_html(_data(tables, pictures or {})),
            static=static,
            n_static=_N_STATIC,
            n_entries=len({row.result.slug for one in tables for row in one.rows}),
            n_tables=len(tables),
            has_gaps=any(one.season is not None for one in tables),
            kinds=KINDS if any(row.flags for one in tables for row in one.rows) else (),
        )
    )


def thumbnails(folder: Path) -> dict[str, dict[str, bytes]]:
    """The PNG files of a folder ``thumbnails/REGIME/SLUG.png`` by regime and slug; empty where there is none."""
    pictures: dict[str, dict[str, bytes]] = {}
    for path in sorted(folder.glob("*/*.png")):
        pictures.setdefault(path.parent.name, {})[path.stem] = path.read_bytes()
    return pictures


def _data(tables: Sequence[Table], pictures: Pictures) -> dict[str, Any]:
    """Everything that the script shows; strings that come again and again stand once, in ``texts``."""
    texts, entries = _Numbered(), _Numbered()
    keys = [f"{one.family}/{one.regime}" for one in tables]
    shown = [
        {
            # Two versions of a task need their whole ids.
            "id": key if keys.count(key) == 1 else one.task,
            "task": one.task,
            "family": one.family,
            "regime": one.regime if keys.count(key) == 1 else one.task.partition("/")[2],
            "level": one.rows[0].result.score.level,
            "about": _about(one.rows[0].result),
            "season": _season(one),
            "rows": [_row(row, family(one.family), texts, entries) for row in one.rows],
            "curves": _curves(one.rows),
            "pictures": _pictures(one, pictures),
        }
        for key, one in zip(keys, tables, strict=True)
    ]
    families = [family(name) for name in dict.fromkeys(one.family for one in tables)]
    models = _models(tables)
    return {
        "fields": FIELDS,
        "families": [
            {
                "id": each.id,
                "title": each.title,
                "question": each.question,
                "columns": [[column.header, int(column.format[1])] for column in each.columns],
            }
            for each in families
        ],
        "kinds": {kind.mark: kind.meaning for kind in KINDS},
        "tables": shown,
        "entries": [models[slug] for slug in entries.items],
        "texts": texts.items,
    }


class _Numbered:
    """Strings, each once, by the order in which they first come."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def place(self, text: str) -> int:
        return self._places.setdefault(text, len(self._places))

    @property
    def items(self) -> list[str]:
        return list(self._places)


def _row(row: Row, own: Family, texts: _Numbered, entries: _Numbered) -> list[Any]:
    result = row.result
    score, cost = result.score, result.cost
    return [
        entries.place(result.slug),
        row.rank,
        *(round(value, 3) for value in (score.value, score.low, score.high)),
        [round(seed.value, 2) for seed in score.seeds],
        texts.place(result.status),
        texts.place(one_line(result.model.kind)),
        texts.place(one_line(result.model.inputs)),
        result.model.parameters,
        *(_digits(value) for value in (cost.training_seconds, cost.microseconds_per_call, cost.kernel_steps_per_call)),
        texts.place(_failures(result)),
        result.predictions_digest[:12],
        [[flag.mark, one_line(flag.text)] for flag in row.flags],
        _gap(row.gap),
        [_metric(result.metrics.get(column.key)) for column in own.columns],
    ]


def _models(tables: Sequence[Table]) -> dict[str, list[Any]]:
    """By slug: name, slug, description, source, what it was trained on, authors, commands."""
    rows: dict[str, list[Result]] = {}
    for one in tables:
        for row in one.rows:
            rows.setdefault(row.result.slug, []).append(row.result)
    return {
        slug: [
            one_line(own[0].model.name),
            slug,
            _distinct(result.model.description for result in own),
            _distinct(result.model.source for result in own),
            _distinct(result.model.trained_on or "" for result in own),
            _distinct(author for result in own if result.submission for author in result.submission.authors),
            list(dict.fromkeys(one_line(result.model.command) for result in own if result.model.command)),
        ]
        for slug, own in rows.items()
    }


def _distinct(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(one_line(text) for text in texts if text))


def _about(result: Result) -> str:
    data = ", ".join(f"{name} {digest[:12]}" for name, digest in sorted(result.data_digests.items()))
    return one_line(
        f"Task version {result.task_version}, scorer {result.scorer_version}, split {result.split}. Data: {data}."
    )


def _gap(gap: Value | None) -> list[float] | None:
    """Value, low and high with the decimals that are shown, which also say whether it is 0 (see `is_apart`)."""
    if gap is None or gap.low is None or gap.high is None:
        return None
    return [round(each, 2) for each in (gap.value, gap.low, gap.high)]


def _season(one: Table) -> list[str] | None:
    """The season that a table's rows are compared with: its name, and how many entries differ."""
    if one.season is None:
        return None
    gaps = [row.gap for row in one.rows if row.gap is not None and not is_reference(row.result)]
    return [one.season, summary(gaps, one.rows[0].result.score.level)]


def _failures(result: Result) -> str:
    own = result.failures
    counts = [f"{n} {what}" for n, what in ((own.non_finite, "not finite"), (own.diverged, "diverged")) if n]
    return one_line(f"{', '.join(counts) or 'none'} of {own.of:,d}" + (f" ({own.note})" if own.note else ""))


def _digits(value: float | None, n: int = 4) -> float | None:
    return None if value is None else float(f"{value:.{n}g}")


def _metric(value: Value | None) -> float | list[float | None] | None:
    if value is None or value.low is None:
        return _digits(value.value) if value else None
    return [_digits(each) for each in (value.value, value.low, value.high)]


def _curves(rows: Sequence[Row]) -> dict[str, Any] | None:
    """Forecast skill by lead of the best rows and the references, by their place in the table."""
    chosen = [place for place, row in enumerate(rows) if place < _N_CURVES or row.rank is None]
    with_leads = [place for place in chosen if rows[place].result.series.get("lead")]
    if not with_leads:
        return None
    lead = rows[with_leads[0]].result.series["lead"]
    step = -(-len(lead) // _N_LEADS)
    curves: dict[str, dict[int, list[float | None]]] = {name: {} for name in _CURVES}
    for place, name in itertools.product(with_leads, _CURVES):
        series = rows[place].result.series
        curve = series.get(f"{name}_by_lead")
        if curve is not None and series["lead"] == lead and len(curve) == len(lead):
            curves[name][place] = [_digits(value, 3) for value in curve[step - 1 :: step]]
    return {"lead": [_digits(value) for value in lead[step - 1 :: step]], **{k: v for k, v in curves.items() if v}}


def _pictures(one: Table, pictures: Pictures) -> list[list[str]]:
    """Title, slug and address of each picture of a regime: the truth, then the entries by their score."""
    own = pictures.get(one.regime, {}) if one.family == "online-rollout" else {}
    shown = [("truth", "")] + [(one_line(row.result.model.name), row.result.slug) for row in one.rows]
    return [
        [title, slug, f"data:image/png;base64,{base64.b64encode(own[slug or 'truth']).decode()}"]
        for title, slug in shown
        if (slug or "truth") in own
    ]


def _static_rows(one: Table) -> list[dict[str, Any]]:
    return [
        {
            "rank": NONE if row.rank is None else row.rank,
            "result": row.result,
            "marks": marks(row.flags),
            "score": interval(row.result.score.value, row.result.score.low, row.result.score.high, ".1f"),
            "gap": change_markdown(row.gap),
            "call": number(row.result.cost.microseconds_per_call, ".2f"),
        }
        for row in one.rows[:_N_STATIC]
    ]


def _json_in_html(data: Any) -> Markup:
    """JSON that stays inside its script element: no character in it can begin a tag, a comment or an entity."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _source(text: str) -> str:
    """The source expression that lets exactly this inline text run (Content Security Policy Level 3, section 8)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _own_text(name: str) -> str:
    return resources.files("l96bench.board").joinpath("templates", name).read_text(encoding="utf-8").strip()


@functools.cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("l96bench.board"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        # `Markup` is ours; all other text keeps to one line and to characters that print.
        finalize=lambda value: value if isinstance(value, Markup) else one_line(str(value)),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )

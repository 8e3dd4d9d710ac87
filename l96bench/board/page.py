"""Make the board as one HTML file, whose tables need no server, no network and no script."""

from __future__ import annotations

import base64
import functools
import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from l96bench.board.flags import KINDS, is_reference, marks
from l96bench.board.seasons import summary
from l96bench.board.tables import Family, Row, Table, change_markdown, family, provenance, score_markdown
from l96bench.board.text import NONE, distinct, number, one_line, templates
from l96bench.results.origin import FreshDraw
from l96bench.results.record import Result, Value

__all__ = ["FIELDS", "THUMBNAILS", "page", "thumbnails"]

FIELDS = (
    *("entry", "rank", "score", "low", "high", "seeds", "origin", "kind", "inputs", "parameters"),
    *("training", "call", "steps", "failures", "digest", "flags", "gap", "fresh", "metrics"),
)
"""The fields of a row in the page's data, in order."""

THUMBNAILS = "thumbnails"
"""The folder beside the page with the pictures ``thumbnails/REGIME/SLUG.png``, and ``truth.png`` of each regime."""

_CURVES = ("crps", "rmse", "anomaly_correlation")
"""Series by lead that the page draws."""
_N_LEADS = 30
_N_CURVES = 150
"""Number of the best rows of a table that have curves; more would make the page large."""
_N_STATIC = 10
"""Number of rows of each table that can be read without a script."""

Pictures = Mapping[str, Mapping[str, bytes]]


def page(tables: Sequence[Table], pictures: Pictures | None = None) -> str:
    """Return the board's HTML page, all strings escaped, under a content security policy; deterministic."""
    script, style = _own_text("page.js"), _own_text("page.css")
    static = [
        (family(name), [(one, _static_rows(one)) for one in group])
        for name, group in itertools.groupby(tables, key=lambda one: one.family)
    ]
    sources = f"default-src 'none'; script-src {_source(script)}; style-src {_source(style)}; img-src data:"
    return (
        _templates()
        .get_template("page.html.j2")
        .render(
            policy=f"{sources}; base-uri 'none'; form-action 'none'",
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
    """Return the PNG files of a folder ``thumbnails`` by regime and slug; empty where there is none."""
    pictures: dict[str, dict[str, bytes]] = {}
    for path in sorted(folder.glob("*/*.png")):
        pictures.setdefault(path.parent.name, {})[path.stem] = path.read_bytes()
    return pictures


def _data(tables: Sequence[Table], pictures: Pictures) -> dict[str, Any]:
    """Return all that the script shows; rows hold the places of their strings in ``texts``, where each stands once."""
    texts: dict[str, int] = {}
    entries: dict[str, int] = {}
    keys = [f"{one.family}/{one.regime}" for one in tables]
    shown = [
        {
            # Two versions of a task need their whole ids.
            "id": key if keys.count(key) == 1 else one.task,
            "task": one.task,
            "family": one.family,
            "regime": one.regime if keys.count(key) == 1 else one.task.partition("/")[2],
            "level": one.rows[0].result.score.level,
            "about": one_line("{}. Data: {}. {}".format(*provenance(one), one.to_come)),
            "season": _season(one),
            "rows": [_row(row, family(one.family), texts, entries) for row in one.rows],
            "curves": _curves(one.rows),
            "pictures": _pictures(one, pictures),
        }
        for key, one in zip(keys, tables, strict=True)
    ]
    models = _models(tables)
    return {
        "fields": FIELDS,
        "families": [
            {
                "id": each.id,
                "title": each.title,
                "question": each.question,
                "columns": [[column.header, int(column.format[1]), each.meaning(column)] for column in each.columns],
            }
            for each in map(family, dict.fromkeys(one.family for one in tables))
        ],
        "kinds": {kind.mark: kind.meaning for kind in KINDS},
        "tables": shown,
        "entries": [models[slug] for slug in entries],
        "texts": list(texts),
    }


def _row(row: Row, own: Family, texts: dict[str, int], entries: dict[str, int]) -> list[Any]:
    """Return the `FIELDS` of a row; strings that are new are added to `texts` and `entries`."""
    result = row.result
    score, cost = result.score, result.cost
    origin, kind, inputs, failures = (
        texts.setdefault(text, len(texts))
        for text in (row.kind, one_line(result.model.kind), one_line(result.model.inputs), _failures(result))
    )
    return [
        entries.setdefault(result.slug, len(entries)),
        row.rank,
        *(round(value, 3) for value in (score.value, score.low, score.high)),
        [round(seed.value, 2) for seed in score.seeds],
        *(origin, kind, inputs),
        result.model.parameters,
        *(_digits(value) for value in (cost.training_seconds, cost.microseconds_per_call, cost.kernel_steps_per_call)),
        failures,
        result.predictions_digest[:12],
        [[flag.mark, one_line(flag.text)] for flag in row.flags],
        _gap(row.gap),
        _fresh(result.fresh),
        [_metric(result.metrics.get(column.key)) for column in own.columns],
    ]


def _models(tables: Sequence[Table]) -> dict[str, list[Any]]:
    """Return name, slug, description, source, training data, authors and commands of every entry, by slug."""
    rows: dict[str, list[Result]] = {}
    for one in tables:
        for row in one.rows:
            rows.setdefault(row.result.slug, []).append(row.result)
    return {
        slug: [
            one_line(own[0].model.name),
            slug,
            distinct(one_line(result.model.description) for result in own),
            distinct(one_line(result.model.source) for result in own),
            distinct(one_line(result.model.trained_on or "") for result in own),
            distinct(one_line(name) for result in own if result.submission for name in result.submission.authors),
            list(dict.fromkeys(one_line(result.model.command) for result in own if result.model.command)),
        ]
        for slug, own in rows.items()
    }


def _gap(gap: Value | None) -> list[float] | None:
    """Return value, low and high with the decimals that are shown, which also say whether it is 0 (see `is_apart`)."""
    if gap is None or gap.low is None or gap.high is None:
        return None
    return [round(each, 2) for each in (gap.value, gap.low, gap.high)]


def _fresh(fresh: FreshDraw | None) -> list[float] | None:
    """Return value, low and high of a row's score less that on a fresh draw, with the decimals that are shown."""
    return None if fresh is None else [round(each, 2) for each in (fresh.difference, fresh.low, fresh.high)]


def _season(one: Table) -> list[str] | None:
    """Return the name of the season that a table's rows are compared with, and how many entries differ."""
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
    """Return forecast skill by lead of the best rows and the references, by their place in the table."""
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
    """Return title, slug and address of each picture of a regime: the truth, then the entries by their score."""
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
            "kind": row.kind,
            "marks": marks(row.flags),
            "score": score_markdown(row.result),
            "gap": change_markdown(row.gap),
            "call": number(row.result.cost.microseconds_per_call, ".2f"),
        }
        for row in one.rows[:_N_STATIC]
    ]


def _json_in_html(data: Any) -> Markup:
    """Return JSON that stays inside its script element: no character in it can begin a tag, a comment or an entity."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _source(text: str) -> str:
    """Return the source that lets exactly this inline text run (Content Security Policy Level 3, section 8)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _own_text(name: str) -> str:
    return resources.files("l96bench.board").joinpath("templates", name).read_text(encoding="utf-8").strip()


@functools.cache
def _templates() -> jinja2.Environment:
    # `Markup` is ours; all other text keeps to one line and to characters that print.
    return templates(lambda value: value if isinstance(value, Markup) else one_line(str(value)), autoescape=True)

"""Make the board as one HTML file, whose tables need no server, no network and no script."""

from __future__ import annotations

import base64
import functools
import hashlib
import itertools
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

import l96bench
from l96bench.board.columns import PageColumn, columns_of, shared_columns, significant
from l96bench.board.flags import KINDS, is_reference, marks
from l96bench.board.script import joined_script
from l96bench.board.seasons import summary
from l96bench.board.tables import Row, Table, change_markdown, family, provenance, score_markdown
from l96bench.board.text import NONE, distinct, interval, number, one_line, templates
from l96bench.board.winners import attacks, winners
from l96bench.results.record import Result

__all__ = ["ENTRY_FIELDS", "FIELDS", "REPORTS", "THUMBNAILS", "Links", "page", "report_names", "thumbnails"]

FIELDS = ("number", "shared", "metrics", "seeds", "failures", "digest", "flags")
"""The fields of a row in the page's data, in order; `shared` and `metrics` are its cells of these columns."""
ENTRY_FIELDS = (
    *("name", "slug", "description", "source", "trained", "authors", "commands"),
    *("script", "files", "reports"),
)
"""The fields of an entry in the page's data, in order."""

THUMBNAILS = "thumbnails"
"""The folder beside the page with the pictures ``thumbnails/REGIME/SLUG.png``, and ``truth.png`` of each regime."""
REPORTS = "reports"
"""The folder beside the page with reports, ``reports/ENTRY-PLACE/index.html``."""

_CURVES = ("crps_above", "crps", "rmse", "anomaly_correlation")
"""Series by lead that the page draws; the first is CRPS less that of perfect physics."""
_N_LEADS = 30
_N_CURVES = 150
"""Number of the best rows of a table that have curves; more would make the page large."""
_N_STATIC = 10
"""Number of rows of each table that can be read without a script."""

_CEILING_FROM = 50.0
"""References above this score are ceilings: perfect physics."""
_NAME = re.compile(r"[a-z][a-z0-9_]*")
"""Scripts of the repository; others are files of somebody's own."""
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
"""Files of a submission that can be linked; code is named otherwise."""

Pictures = Mapping[str, Mapping[str, bytes]]


@dataclass(frozen=True, slots=True)
class Links:
    """Addresses that the page links to, relative to it: as in the repository, if not given."""

    docs: str = "../README.md"
    code: str = "../"
    add: str = "../docs/submissions.md"
    cite: str = "../CITATION.cff"
    attacks: str = "../docs/definitions.md#what-does-not-win"
    csv: str = "results.csv"
    json: str = "results.json"
    baselines: str = "../baselines/"
    submissions: str = "submissions/"
    cards: str = "cards/"
    reports: str = f"{REPORTS}/"


def page(
    tables: Sequence[Table],
    pictures: Pictures | None = None,
    reports: Collection[str] = (),
    links: Links | None = None,
) -> str:
    """Return the board's HTML page, all strings escaped, under a content security policy; deterministic.

    Reports are named by the folders that they are in; see `report_names`.
    """
    links = links or Links()
    script, style = joined_script(), _style()
    ids = _table_ids(tables)
    static = [
        (family(name), [(one, _static_rows(one)) for one in group])
        for name, group in itertools.groupby(tables, key=lambda one: one.family)
    ]
    won = [
        (family(name), [(ids[each.table.task], each) for each in group])
        for name, group in itertools.groupby(winners(tables), key=lambda each: each.table.family)
    ]
    sources = f"default-src 'none'; script-src {_source(script)}; style-src {_source(style)}; img-src data:"
    return (
        _templates()
        .get_template("page.html.j2")
        .render(
            policy=f"{sources}; base-uri 'none'; form-action 'none'",
            script=Markup(script),
            style=Markup(style),
            data=_json_in_html(_data(tables, ids, pictures or {}, reports, links)),
            links=links,
            won=won,
            lost=attacks(tables),
            ids=ids,
            margin=lambda own: interval(own.value, own.low, own.high, ".2f"),
            score=score_markdown,
            static=static,
            n_static=_N_STATIC,
            n_entries=len({row.result.slug for one in tables for row in one.rows}),
            n_tables=len(tables),
            has_gaps=any(one.season is not None for one in tables),
            kinds=KINDS if any(row.flags for one in tables for row in one.rows) else (),
        )
    )


def report_names(board: Path) -> list[str]:
    """Return the names of the folders of a board's reports, ``ENTRY-PLACE``."""
    return sorted(path.parent.name for path in (board / REPORTS).glob("*/index.html"))


def thumbnails(folder: Path) -> dict[str, dict[str, bytes]]:
    """Return the PNG files of a folder ``thumbnails`` by regime and slug; empty where there is none."""
    pictures: dict[str, dict[str, bytes]] = {}
    for path in sorted(folder.glob("*/*.png")):
        pictures.setdefault(path.parent.name, {})[path.stem] = path.read_bytes()
    return pictures


def _table_ids(tables: Sequence[Table]) -> dict[str, str]:
    """Return the names of tables in addresses by task; two versions of a task need their whole ids."""
    keys = [f"{one.family}/{one.regime}" for one in tables]
    return {one.task: key if keys.count(key) == 1 else one.task for key, one in zip(keys, tables, strict=True)}


def _data(
    tables: Sequence[Table], ids: Mapping[str, str], pictures: Pictures, reports: Collection[str], links: Links
) -> dict[str, Any]:
    """Return all that the script shows; rows hold the places of their strings in ``texts``, where each stands once."""
    texts: dict[str, int] = {}
    entries: dict[str, int] = {}
    level = tables[0].rows[0].result.score.level if tables else 0.95
    shared = shared_columns(level)
    names = dict.fromkeys(one.family for one in tables)
    own = {name: tuple(columns_of(family(name), [one for one in tables if one.family == name])) for name in names}
    shown = [
        {
            "id": ids[one.task],
            "task": one.task,
            "family": one.family,
            "regime": one.regime if ids[one.task] != one.task else one.task.partition("/")[2],
            "about": one_line("{}. Data: {}. {}".format(*provenance(one), one.to_come)),
            "season": _season(one),
            "missing": [one_line(name) for name in one.missing],
            "rows": [_row(row, shared, own[one.family], texts, entries) for row in one.rows],
            "curves": _curves(one.rows),
            "pictures": _pictures(one, pictures),
        }
        for one in tables
    ]
    models = _models(tables, reports)
    return {
        "version": l96bench.__version__,
        "links": asdict(links),
        "fields": FIELDS,
        "entry_fields": ENTRY_FIELDS,
        "columns": [column.record for column in shared],
        "families": [
            {
                "id": each.id,
                "title": each.title,
                "question": each.question,
                "columns": [column.record for column in own[each.id]],
            }
            for each in map(family, names)
        ],
        "tables": shown,
        "entries": [models[slug] for slug in entries],
        "texts": list(texts),
    }


def _row(
    row: Row, shared: Sequence[PageColumn], own: Sequence[PageColumn], texts: dict[str, int], entries: dict[str, int]
) -> list[Any]:
    """Return the `FIELDS` of a row; strings that are new are added to `texts` and `entries`."""

    def cell(column: PageColumn) -> Any:
        value = column.value(row)
        if column.look == "entry":
            return None  # it is the row's number
        return texts.setdefault(value, len(texts)) if column.look == "text" else value

    result = row.result
    return [
        entries.setdefault(result.slug, len(entries)),
        [cell(column) for column in shared],
        [cell(column) for column in own],
        [round(seed.value, 2) for seed in result.score.seeds],
        texts.setdefault(_failures(result), len(texts)),
        result.predictions_digest[:12],
        [[flag.mark, one_line(flag.text)] for flag in row.flags],
    ]


def _models(tables: Sequence[Table], reports: Collection[str]) -> dict[str, list[Any]]:
    """Return the `ENTRY_FIELDS` of every entry, by slug."""
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
            next((name for result in own if _NAME.fullmatch(name := result.model.script)), ""),
            list(dict.fromkeys(name for result in own if _FILE.fullmatch(name := _artifact(result)))),
            _reports(own, reports),
        ]
        for slug, own in rows.items()
    }


def _artifact(result: Result) -> str:
    return "" if result.submission is None else result.submission.artifact


def _reports(own: Sequence[Result], reports: Collection[str]) -> list[list[str]]:
    """Return place and folder of the reports of an entry."""
    places = dict.fromkeys((result.regime, f"{result.model.script or result.slug}-{result.regime}") for result in own)
    return [[place, name] for place, name in places if name in reports]


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


def _curves(rows: Sequence[Row]) -> dict[str, Any] | None:
    """Return forecast skill by lead of the best rows and the references, by their place in the table."""
    chosen = [place for place, row in enumerate(rows) if place < _N_CURVES or row.rank is None]
    with_leads = [place for place in chosen if rows[place].result.series.get("lead")]
    if not with_leads:
        return None
    lead = rows[with_leads[0]].result.series["lead"]
    step = -(-len(lead) // _N_LEADS)
    perfect = next((row for row in rows if is_reference(row.result) and row.result.score.value > _CEILING_FROM), None)
    curves: dict[str, dict[int, list[float | None]]] = {name: {} for name in _CURVES}
    for place, name in itertools.product(with_leads, _CURVES):
        curve = _curve(rows[place], name, perfect)
        if curve is not None and rows[place].result.series["lead"] == lead and len(curve) == len(lead):
            curves[name][place] = [significant(value, 3) for value in curve[step - 1 :: step]]
    shown = {name: found for name, found in curves.items() if found}
    return {"lead": [significant(value) for value in lead[step - 1 :: step]], **shown}


def _curve(row: Row, name: str, perfect: Row | None) -> Sequence[float] | None:
    """Return a series by lead; for ``crps_above`` its CRPS less that of perfect physics."""
    series = row.result.series
    if name != "crps_above":
        return series.get(f"{name}_by_lead")
    own = series.get("crps_by_lead")
    least = None if perfect is None else perfect.result.series.get("crps_by_lead")
    if own is None or least is None or len(own) != len(least):
        return None
    return [a - b for a, b in zip(own, least, strict=True)]


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


def _style() -> str:
    return resources.files("l96bench.board").joinpath("templates", "page.css").read_text(encoding="utf-8").strip()


@functools.cache
def _templates() -> jinja2.Environment:
    # `Markup` is ours; all other text keeps to one line and to characters that print.
    return templates(lambda value: value if isinstance(value, Markup) else one_line(str(value)), autoescape=True)

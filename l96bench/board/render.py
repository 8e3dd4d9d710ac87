"""Make the board's Markdown pages from its tables; the same tables give the same bytes."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import jinja2

from l96bench.board.flags import KINDS, is_reference
from l96bench.board.tables import (
    Family,
    Row,
    Table,
    change_markdown,
    compact_markdown,
    family,
    fresh_markdown,
    provenance,
    score_markdown,
    table_markdown,
)
from l96bench.board.text import (
    NONE,
    Markdown,
    code_block,
    count,
    distinct,
    escape,
    interval,
    markdown_table,
    number,
    templates,
)
from l96bench.board.winners import Winner, winners
from l96bench.errors import ResultError
from l96bench.results.score import Value
from l96bench.tasks.registry import families

CARDS = "cards"


def render(tables: Sequence[Table]) -> dict[str, str]:
    """Return the text of the board's files (``README.md``, ``cards/<slug>.md``) by relative name."""
    entries: dict[str, list[Row]] = {}
    for one in tables:
        for row in one.rows:
            entries.setdefault(row.result.slug, []).append(row)
    pages = {"README.md": _board(tables)}
    for slug, rows in sorted(entries.items()):
        names = sorted({row.result.model.name for row in rows})
        if len(names) > 1:
            raise ResultError(
                f"expected names that differ in letters or digits, got {names}; rename one of these entries"
            )
        pages[f"{CARDS}/{slug}.md"] = _card(rows, entries.keys())
    return pages


def changes(folder: str | os.PathLike[str], tables: Sequence[Table]) -> dict[str, str | None]:
    """Return the text of every file of a folder's board by name; None for the cards of entries that are gone."""
    pages = render(tables)
    return pages | dict.fromkeys(_extra_cards(Path(folder), pages))


def check(folder: str | os.PathLike[str], tables: Sequence[Table]) -> list[str]:
    """Return what differs between a folder's board and the one that the tables make; empty when it is up to date."""
    folder = Path(folder)
    pages = render(tables)
    differences = []
    for name, text in pages.items():
        try:
            found = (folder / name).read_bytes()
        except FileNotFoundError:
            differences.append(f"{name}: missing")
            continue
        if found != text.encode():
            differences.append(f"{name}: out of date, {_first_difference(found, text.encode())}")
    return differences + [f"{name}: no result has this name" for name in _extra_cards(folder, pages)]


def compact_tables(tables: Sequence[Table], cards: str, best: int | None = None) -> str:
    """Return compact tables of all tasks, to print or to `embed` in a page; see `compact_markdown`."""
    parts = []
    for one in tables:
        n = sum(row.rank is not None for row in one.rows)
        title = f"**`{one.task}`**" + (f", the best {best} of {n}" if best is not None and best < n else "")
        title += f"; {len(one.missing)} more to come" if one.missing else ""
        parts.append(f"{title}\n\n{compact_markdown(one, cards, best)}")
    return "\n\n".join(parts)


def winners_table(tables: Sequence[Table], cards: str) -> Markdown:
    """Return one row a question: the best entry of its first task, its lead, and its cost.

    The first task is that of the first of the family's default regimes that has rows.
    """
    groups: dict[str, list[Table]] = {}
    for one in tables:
        groups.setdefault(one.family, []).append(one)
    found = winners([_first(name, group) for name, group in groups.items()])
    header = ("question", "best entry", "score (95 %)", "ahead of the next by", "training (s a seed)", "µs a call")
    return markdown_table(header, [_winner(each, cards) for each in found], left=header[:2])


def _first(name: str, group: Sequence[Table]) -> Table:
    """Return the table of the first of a family's default regimes that has one, or else the first table."""
    known = families().get(name)
    order = () if known is None else known.default_regimes
    return min(group, key=lambda one: order.index(one.regime) if one.regime in order else len(order))


def _winner(each: Winner, cards: str) -> list[str | Markdown]:
    """Return the cells of a winner, with how many cannot be told apart from it."""
    result = each.first.result
    entry = f"[{escape(result.model.name)}]({cards}/{result.slug}.md)"
    entry += f", tied with {len(each.tied)}" if each.tied else ""
    amounts = (number(own, ".3g") for own in (result.cost.training_seconds, result.cost.microseconds_per_call))
    question = Markdown(f"{escape(family(each.table.family).title)}, `{each.table.task}`")
    return [question, Markdown(entry), score_markdown(result), each.margin, *amounts]


def embed(text: str, marker: str, content: str) -> str:
    """Return a page with the part between its two ``l96bench:MARKER`` comments replaced, or raise `ResultError`."""
    start, end = f"<!-- l96bench:{marker} -->", f"<!-- /l96bench:{marker} -->"
    if text.count(start) != 1 or text.count(end) != 1 or text.index(start) > text.index(end):
        raise ResultError(
            f"expected one {start} and one {end} after it, got {text.count(start)} and {text.count(end)}; "
            "put both, each on a line of its own, where the text belongs"
        )
    before, after = text.partition(start)[0], text.partition(end)[2]
    return f"{before}{start}\n\n{content.strip()}\n\n{end}{after}"


def render_template(name: str, /, **values: object) -> str:
    """Return the text of one of the board's templates; every value that is not `Markdown` is escaped."""
    return _templates().get_template(name).render(**values)


def _extra_cards(folder: Path, pages: dict[str, str]) -> list[str]:
    return sorted(name for path in (folder / CARDS).glob("*.md") if (name := f"{CARDS}/{path.name}") not in pages)


def _first_difference(found: bytes, expected: bytes) -> str:
    lines = itertools.zip_longest(found.splitlines(keepends=True), expected.splitlines(keepends=True), fillvalue=b"")
    place, (old, new) = next((place, pair) for place, pair in enumerate(lines, 1) if pair[0] != pair[1])
    return f"line {place} is {old.decode(errors='replace')!r:.100}, expected {new.decode()!r:.100}"


def _board(tables: Sequence[Table]) -> str:
    results = [row.result for one in tables for row in one.rows]
    sections = [
        (
            own := family(name),
            _meanings(own),
            [(one, table_markdown(one, CARDS), "{}; data: {}.".format(*provenance(one))) for one in group],
        )
        for name, group in itertools.groupby(tables, key=lambda one: one.family)
    ]
    versions = {
        name: distinct(sorted(getattr(result.environment, name.lower()) for result in results))
        for name in ("Python", "NumPy", "Numba")
    }
    # Explained where a row has one, so that a board of baselines stays as it is.
    kinds = KINDS if any(row.flags for one in tables for row in one.rows) else ()
    seasons = sorted({one.season for one in tables if one.season is not None})
    return render_template("board.md.j2", sections=sections, versions=versions, kinds=kinds, seasons=seasons)


def _meanings(own: Family) -> dict[str, str]:
    """Return the meaning of each of a family's columns that the glossary has, by header."""
    meanings = {column.header: own.meaning(column) for column in own.columns}
    return {header: meaning for header, meaning in meanings.items() if meaning}


def _card(rows: Sequence[Row], slugs: Collection[str]) -> str:
    """Return the card of an entry, which links to the card of its successor if that is among `slugs`."""
    models = [row.result.model for row in rows]
    origins = [row.result.submission for row in rows if row.result.submission is not None]
    facts = {
        "Kind": distinct(model.kind for model in models),
        "Inputs": distinct(model.inputs for model in models),
        "Parameters": distinct(count(model.parameters) for model in models if model.parameters is not None),
        "Trained on": distinct(model.trained_on or "" for model in models),
        "Source": distinct(model.source for model in models),
        "Kind of row": distinct(row.kind for row in rows),
        "Status": distinct(row.result.status for row in rows) if origins else "",
        "Authors": distinct(", ".join(origin.authors) for origin in origins),
        "License": distinct(origin.license for origin in origins),
        "Artifact": distinct(
            origin.artifact + (f", SHA-256 {origin.artifact_sha256}" if origin.artifact_sha256 else "")
            for origin in origins
        ),
        "Run as": distinct(origin.run_as for origin in origins),
        "Training took": distinct(origin.training_cost for origin in origins),
        "Links": _links({label: link for origin in origins for label, link in origin.links.items()}),
        "Superseded by": _successors([origin.superseded_by for origin in origins], slugs),
    }
    families = [(name, list(group)) for name, group in itertools.groupby(rows, key=lambda row: row.result.family)]
    return render_template(
        "card.md.j2",
        name=models[0].name,
        description=distinct(model.description for model in models),
        facts={label: text for label, text in facts.items() if text},
        flags=[f"{row.result.task}: {flag.text}" for row in rows for flag in row.flags],
        side_by_side=_side_by_side(families),
        details=[(own := family(name), _details(own, group)) for name, group in families],
        commands=[code_block(command) for command in dict.fromkeys(model.command for model in models) if command],
    )


def _links(links: Mapping[str, str]) -> str:
    """Return links by their labels; rows hold no others than such as Markdown takes as they are."""
    return Markdown(", ".join(f"[{escape(label)}]({link})" for label, link in links.items()))


def _successors(named: Sequence[str], slugs: Collection[str]) -> str:
    """Return links to the cards of the submissions that replace one, and the names of those that have none."""
    names = dict.fromkeys(each for each in named if each)
    return Markdown(", ".join(f"[{escape(each)}]({each}.md)" if each in slugs else escape(each) for each in names))


def _side_by_side(families: Sequence[tuple[str, Sequence[Row]]]) -> Markdown:
    """Return a table of scores and ranks with a row for each regime and a column for each family."""
    header = ["regime", *(family(name).title for name, _ in families)]
    cells: dict[str, dict[str, str]] = {}
    for name, rows in families:
        for row in rows:
            rank = row.kind if is_reference(row.result) else "no rank" if row.rank is None else f"rank {row.rank}"
            regime = row.result.regime
            if name in cells.get(regime, {}):  # two versions of a task keep a line each
                regime = row.result.task.partition("/")[2]
            cells.setdefault(regime, {})[name] = f"{score_markdown(row.result)}, {rank}"
    body = [[regime, *(Markdown(cells[regime].get(name, NONE)) for name, _ in families)] for regime in sorted(cells)]
    return markdown_table(header, body, left=("regime",))


def _details(own: Family, rows: Sequence[Row]) -> Markdown:
    """Return a table of all numbers of one family with a column for each regime."""
    results = [row.result for row in rows]
    keys = list(dict.fromkeys(key for result in results for key in result.metrics))

    def metric(value: Value | None) -> str:
        return NONE if value is None else interval(value.value, value.low, value.high, ".3f")

    def column(row: Row) -> list[tuple[str, object]]:
        result, failures, cost = row.result, row.result.failures, row.result.cost
        seeds = [f"{number(seed.value, '.1f')} (seed {seed.seed})" for seed in result.score.seeds]
        return [
            ("score", score_markdown(result)),
            ("score of each seed", ", ".join(seeds) or NONE),
            *([("public - season", change_markdown(row.gap))] if any(each.gap for each in rows) else []),
            *(
                [("public - fresh draw", fresh_markdown(result.fresh))]
                if any(each.result.fresh for each in rows)
                else []
            ),
            ("kind of row", row.kind),
            *((own.label(key), metric(result.metrics.get(key))) for key in keys),
            ("not finite", f"{failures.non_finite} of {failures.of}"),
            ("diverged", f"{failures.diverged} of {failures.of}"),
            ("note on failures", failures.note or NONE),
            ("training, s", number(cost.training_seconds, ".1f")),
            ("a call, µs", number(cost.microseconds_per_call, ".2f")),
            ("a call, steps of the kernel", number(cost.kernel_steps_per_call, ".2f")),
            ("predictions", result.predictions_digest[:12]),
        ]

    lines = [[line[0][0], *(cell for _, cell in line)] for line in zip(*map(column, rows), strict=True)]
    return markdown_table(["", *(result.task.partition("/")[2] for result in results)], lines, left=("",))


@functools.cache
def _templates() -> jinja2.Environment:
    return templates(escape)

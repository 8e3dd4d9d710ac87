"""A page of every entry of the board and every baseline, made from the scripts and the results."""

import ast
import re
from pathlib import Path

import pandas
from sources import write_pages
from sphinx.application import Sphinx

import l96bench
from l96bench.tasks import families

PARTS = {
    "da_": "Data assimilation",
    "er_": "Recovery of equations",
    "ob_": "Closures from observations alone",
    "up_": "Closures for systems never seen",
    "rl_": "Reinforcement learning",
    "emulator_": "Emulators",
    "attack_": "What does not win",
    "": "Closures",
}
"""Headings of the gallery, by how the names of the scripts begin."""
WIDE = "---\nhtml_theme.sidebar_secondary.remove: true\n---\n"
"""The start of a page whose tables need the place that its own contents would take."""
DOI = re.compile(r"(?<![\w/])(doi:(10\.\S+?)|arXiv:(\d{4}\.\d{4,5}))(?=[;,.]?(?:\s|$))")


def sourced(text: str) -> l96bench.Markdown:
    """A citation whose DOI or arXiv number is a link."""

    def link(match: re.Match[str]) -> str:
        address = f"https://doi.org/{match[2]}" if match[2] else f"https://arxiv.org/abs/{match[3]}"
        return f"[{match[1]}]({address})"

    return l96bench.Markdown(DOI.sub(link, text))


def about(script: Path) -> str:
    """The docstring of a script."""
    return ast.get_docstring(ast.parse(script.read_text(encoding="utf-8"))) or ""


def number(value: float, spec: str) -> str:
    """A number, or a dash where there is none."""
    return "–" if pandas.isna(value) else f"{value:{spec}}"


def interval(row: pandas.Series) -> str:
    """A score with its interval."""
    return f"{row.score:.1f} [{row.score_low:.1f}, {row.score_high:.1f}]"


def rows_table(rows: pandas.DataFrame) -> str:
    """The rows of one entry: what it scores on every task, and what it costs there."""
    header = ("task", "rank", "score (95 %)", "seeds", "training (s a seed)", "µs a call", "kernel steps a call")
    cells = [
        (
            row.task,
            number(row["rank"], ".0f"),
            interval(row),
            str(len(row.seeds)),
            number(row.training_seconds, ".3g"),
            number(row.microseconds_per_call, ".3g"),
            number(row.kernel_steps_per_call, ".3g"),
        )
        for _, row in rows.iterrows()
    ]
    return l96bench.markdown_table(header, cells, left=("task",))


def fact(name: str, value: object) -> list[str]:
    """A line of the list of facts; none where nothing is known."""
    known = (
        value is not None and not (isinstance(value, float) and pandas.isna(value)) and str(value) not in ("", "<NA>")
    )
    return [f"- **{name}:** {value}"] if known else []


def entry_page(title: str, rows: pandas.DataFrame, scripts: list[Path]) -> str:
    """The page of one entry: what it is, its source, its rows, its cost and its code."""
    first = None if rows.empty else rows.iloc[0]
    lines = [WIDE, f"# {l96bench.markdown_table((title,), [], left=(title,)).splitlines()[0].strip('| ')}", ""]
    for script in scripts:
        lines += [about(script), ""]
    if first is not None:
        text = "" if pandas.isna(first.description) else first.description
        lines += [text, ""] if text and not scripts else []
        lines += [
            *fact("Kind", first.kind),
            *fact("Sees", first.inputs if pandas.isna(first.inputs) else f"`{first.inputs}`"),
            *fact("Parameters", None if pandas.isna(first.parameters) else f"{first.parameters:,.0f}"),
            *fact("Trained on", first.trained_on),
            *fact("Source", None if pandas.isna(first.source) else sourced(first.source)),
            *fact("Authors", first.authors),
            *fact("Kind of row", first.origin),
            "",
        ]
    for script in scripts:
        lines += [
            f"`l96bench run {script.stem}` makes its rows, `l96bench report {script.stem}` its page of diagnostics.",
            "",
        ]
    lines += ["## Rows and cost", "", "No row yet." if first is None else rows_table(rows), ""]
    lines += ["## Code", ""] if scripts else []
    for script in scripts:
        name = f"baselines/{script.name}"
        lines += [
            f"[{name}](../../{name}):",
            "",
            f"```{{literalinclude}} ../../{name}",
            ":language: python",
            "```",
            "",
        ]
    return "\n".join(lines)


def gallery(scripts: list[Path]) -> dict[str, str]:
    """All pages by file name: one an entry, and the index."""
    frame = l96bench.load_results()
    by_script = dict(frame[frame.script.notna()].groupby("script").slug.first())
    index: dict[Path, str] = {}
    titles = dict(frame.groupby("slug", sort=False).entry.first())
    for script in scripts:
        slug = by_script.get(script.stem)
        if slug is None:  # no row yet
            title = l96bench.find_entry(script.stem)[0].name
            slug = l96bench.slug_of(title)
            titles.setdefault(slug, title)
        index[script] = slug
    pages = {
        f"{slug}.md": entry_page(title, frame[frame.slug == slug], [each for each in scripts if index[each] == slug])
        for slug, title in titles.items()
    }
    pages["index.md"] = index_page(index, frame, sorted(set(pages) - {f"{slug}.md" for slug in index.values()}))
    return pages


def index_page(index: dict[Path, str], frame: pandas.DataFrame, others: list[str]) -> str:
    """The page that leads to all others: a table a part."""
    order = {name: number for number, name in enumerate(families())}
    parts: dict[str, list[tuple[object, ...]]] = {}
    for script, slug in index.items():
        rows = frame[frame.slug == slug]
        part = next(title for start, title in PARTS.items() if script.stem.startswith(start))
        text = about(script).split("\n\n")[0].replace("\n", " ")
        ranked = [each for _, each in rows.iterrows() if not pandas.isna(each["rank"])]
        best = min(ranked, key=lambda each: (each["rank"], order[each.family], each.task), default=None)
        first = "–" if best is None else f"{best['rank']:.0f} in {best.task}"
        seconds = "–" if rows.empty else number(rows.training_seconds.median(), ".3g")
        parts.setdefault(part, []).append((l96bench.Markdown(f"[{script.stem}]({slug}.md)"), text, first, seconds))
    header = ("baseline", "what it is", "best rank", "training (s a seed)")
    lines = ["# Gallery of baselines", ""]
    lines += ["Every baseline of the board: its description, source, rows, cost and code on a page of its own.", ""]
    for part in sorted(parts, key=list(PARTS.values())[::-1].index):
        table = l96bench.markdown_table(header, parts[part], left=header[:3])
        lines += [f"## {part}", "", ":::{div} gallery", table, ":::", ""]
    lines += ["## Other entries", "", "References, and models that were handed in as files.", ""]
    lines += [f"- [{frame[frame.slug == each[:-3]].iloc[0].entry}]({each})" for each in others]
    names = [*dict.fromkeys(index.values())] + [each[:-3] for each in others]
    lines += ["", "```{toctree}", ":hidden:", "", *names, "```", ""]
    return "\n".join(lines)


def make(app: Sphinx) -> None:
    """Write the pages into docs/gallery."""
    folder = Path(app.srcdir).parent / "baselines"
    scripts = [folder / f"{name}.py" for name in l96bench.baseline_names()]
    write_pages(Path(app.srcdir) / "gallery", gallery(scripts))


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to the build."""
    app.connect("builder-inited", make)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""The board as one HTML file."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from l96bench.board.columns import SEASON, shared_columns
from l96bench.board.page import ENTRY_FIELDS, FIELDS, Links, page, report_names, thumbnails
from l96bench.board.script import MODULES, joined_script, module_text
from l96bench.board.seasons import SeasonRows
from l96bench.board.tables import family, make_tables
from l96bench.metrics.glossary import find_metric
from l96bench.results.frame import COLUMNS
from l96bench.results.origin import SubmissionInfo
from l96bench.results.record import Result

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "</script><script>alert(1)</script><!-- <img src=x onerror=alert(1)> **b** `c` | {{ 7*7 }} \u2028\u202e&amp;"
PIXEL = b"\x89PNG\r\n\x1a\n"


class Elements(HTMLParser):
    """Every start tag with its attributes, and the text of scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] in ("script", "style") and data.strip():
            self.raw.append((self.tags[-1][0], data))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def data_of(html: str) -> dict:
    return json.loads(Elements(html).raw[1][1])


def cells_of(data: dict, values: list) -> dict:
    """The cells of a row by the key of their shared column, texts in place of their numbers."""
    own = dict(zip(data["fields"], values, strict=True))
    cells = zip(data["columns"], own["shared"], strict=True)
    return own | {column["key"]: data["texts"][cell] if column["look"] == "text" else cell for column, cell in cells}


@pytest.fixture
def hostile(make_result: Callable[..., Result]) -> list[Result]:
    texts = dict.fromkeys(("inputs", "trained_on", "command", "source", "description"), HOSTILE)
    origin = SubmissionInfo(status="self-reported", authors=[HOSTILE], artifact="closure.onnx", overlaps=[HOSTILE])
    name = HOSTILE[:90]
    return [make_result(name, 50.0, model=texts | {"kind": name}, submission=origin), make_result("honest", 60.0)]


def test_the_same_results_give_the_same_bytes_in_any_order(results: list[Result]) -> None:
    assert page(make_tables(results)) == page(make_tables(results[::-1]))


def test_data_hold_what_the_tables_show(results: list[Result]) -> None:
    data = data_of(page(make_tables(results)))
    assert tuple(data["fields"]) == FIELDS
    for shown, table in zip(data["tables"], make_tables(results), strict=True):
        assert shown["task"] == table.task
        for values, row in zip(shown["rows"], table.rows, strict=True):
            own = cells_of(data, values)
            assert data["entries"][own["number"]][:2] == [row.result.model.name, row.result.slug]
            assert own["rank"] == row.rank
            value, low, high = own["score"]
            assert value == pytest.approx(row.result.score.value, abs=5e-3)
            assert low <= value <= high
            assert own["kind"] == row.result.model.kind
            assert own["origin"] == row.kind


def test_replicates_stay_out(make_result: Callable[..., Result]) -> None:
    html = page(make_tables([make_result(f"entry {i}", 50.0 + i) for i in range(20)]))
    # 500 replicates a row would take 4 kB each.
    assert len(data_of(html)["tables"][0]["rows"]) == 20
    assert len(json.dumps(data_of(html))) < 20 * 600


def test_hostile_text_is_text(hostile: list[Result]) -> None:
    html = page(make_tables(hostile))
    elements = Elements(html)
    # The page's own: data, script; nothing that a name brought along.
    assert len(elements.named("script")) == 2
    assert not elements.named("img")
    assert "<!-- <img" not in html
    assert "alert(1)</script>" not in html
    assert "\u202e" not in html
    assert "\u2028" not in html
    texts = data_of(html)["texts"]
    assert "</script><script>alert(1)</script>" in "".join(texts)
    assert "{{ 7*7 }}" in "".join(texts)


def test_nothing_is_loaded_and_only_own_code_runs(results: list[Result]) -> None:
    html = page(make_tables(results))
    elements = Elements(html)
    policy = next(each["content"] for each in elements.named("meta") if "http-equiv" in each)
    assert policy is not None
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    for kind, text in (elements.raw[0], elements.raw[2]):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[f"{kind}-src"] == f"'sha256-{digest}'"
    for _, attributes in elements.tags:
        for name in ("src", "href", "action", "srcset", "style"):
            here = (attributes.get(name) or "").startswith(("#", "data:"))
            assert name not in attributes or here or (name == "href" and attributes[name] in asdict(Links()).values())
        assert not any(name.startswith("on") for name in attributes)
    namespace = "http://www.w3.org/2000/svg"
    assert set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+[^\s\"']*", html)) <= {namespace}
    assert "@import" not in html
    assert "url(" not in html


def test_the_best_rows_can_be_read_without_a_script(results: list[Result]) -> None:
    html = page(make_tables(results))
    static = html[html.index("<noscript>") : html.index("</noscript>")]
    for table in make_tables(results):
        assert f"<h3>{table.task}</h3>" in static
    assert static.index("Stencil network") < static.index("Wilks (2005)")
    assert "<td>70.0 [" in static


def test_semantic_and_labelled(results: list[Result]) -> None:
    elements = Elements(page(make_tables(results)))
    names = [tag for tag, _ in elements.tags]
    assert elements.named("html") == [{"lang": "en"}]
    assert [names.count(tag) for tag in ("h1", "main", "header", "footer", "dialog")] == [1] * 5
    ids = [attributes["id"] for _, attributes in elements.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    # The script makes the card's title.
    named = {each["aria-labelledby"] for _, each in elements.tags if "aria-labelledby" in each}
    assert named <= {*ids, "card-title"}


@pytest.mark.slow
def test_curves_of_the_best_rows_only(make_result: Callable[..., Result]) -> None:
    series = {"lead": [0.05 * i for i in range(1, 61)], "crps_by_lead": [0.1 * i for i in range(60)]}
    rows = [make_result(f"entry {i}", i / 4, task="online-rollout/wilks-f20-v2", series=series) for i in range(160)]
    curves = data_of(page(make_tables(rows)))["tables"][0]["curves"]
    assert curves["lead"] == [round(0.1 * i, 4) for i in range(1, 31)]
    assert curves["crps"]["0"][:2] == [0.1, 0.3]
    assert len(curves["crps"]) == 150
    assert "rmse" not in curves


def test_thumbnails_stand_beside_their_rows(tmp_path: Path, results: list[Result]) -> None:
    for name in ("truth", "stencil-network", "gone"):
        path = tmp_path / "wilks-f20" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(PIXEL)
    shown = {
        each["id"]: each["pictures"] for each in data_of(page(make_tables(results), thumbnails(tmp_path)))["tables"]
    }
    address = "data:image/png;base64," + base64.b64encode(PIXEL).decode()
    assert shown["online-rollout/wilks-f20"] == [
        ["truth", "", address],
        ["Stencil network", "stencil-network", address],
    ]
    assert shown["subgrid-forcing/wilks-f20"] == []
    assert thumbnails(tmp_path / "nowhere") == {}


def test_two_versions_of_a_task_have_addresses_of_their_own(make_result: Callable[..., Result]) -> None:
    task = "subgrid-forcing/wilks-f20-v{}"
    rows = [make_result("one", 50.0, task=task.format(version), task_version=version) for version in (1, 2)]
    assert [each["id"] for each in data_of(page(make_tables(rows)))["tables"]] == [task.format(1), task.format(2)]


def test_an_empty_board_has_a_page() -> None:
    assert data_of(page(make_tables([])))["tables"] == []


def test_the_season_stands_beside_the_score(make_result: Callable[..., Result]) -> None:
    rows = [make_result(name, value, noise=0.0) for name, value in (("Tuned", 95.0), (HOSTILE[:90], 90.0))]
    there = {rows[0].slug: make_result("Tuned", 88.125, noise=0.0)}
    html = page(make_tables(rows, {rows[0].task: SeasonRows("trial", there)}))
    data = data_of(html)
    (table,) = data["tables"]
    assert [cells_of(data, row)["season_difference"] for row in table["rows"]] == [[6.88, 6.88, 6.88], None]
    name, counts = table["season"]
    assert name == "trial"
    assert counts.startswith("Of 1 entries, 1 score lower on the season")
    static = html[html.index("<noscript>") : html.index("</noscript>")]
    assert '<th scope="col">public - season</th>' in static
    assert "<td>+6.88 [+6.88, +6.88] ≠ 0</td>" in static
    assert html.count('id="season-text"') == 1
    assert len(Elements(html).named("script")) == 2
    without = page(make_tables(rows))
    assert data_of(without)["tables"][0]["season"] is None
    assert 'id="season-text"' not in without


def test_flags_are_shown(hostile: list[Result]) -> None:
    data = data_of(page(make_tables(hostile)))
    own = [dict(zip(FIELDS, row, strict=True))["flags"] for row in data["tables"][0]["rows"]]
    assert own[0] == []
    assert [mark for mark, _ in own[1]] == ["D", "T", "S", "U"]


def test_the_committed_board_is_small() -> None:
    path = ROOT / "leaderboard" / "index.html"
    if not path.exists():
        pytest.skip("leaderboard/index.html is made by `l96bench leaderboard`")
    assert path.stat().st_size < 3e6


def test_columns_are_defined_once(results: list[Result]) -> None:
    """Name, unit and definition are those of results.csv, and every metric's those of the family's glossary."""
    own = {column.name: column for column in COLUMNS}
    for column in shared_columns(0.95):
        assert column.unit == own[column.key].unit
        assert column.meaning == own[column.key].definition
    assert [column.label for column in shared_columns(0.95) if column.shown] == [
        *("rank", "entry", "score", "behind the best [95 %]", "µs per call", "status"),
    ]
    assert next(column for column in shared_columns(0.95) if column.key == "season_difference").label == SEASON
    data = data_of(page(make_tables(results)))
    for shown in data["families"]:
        known = family(shown["id"])
        headers = [column.header for column in known.columns]
        assert [column["label"] for column in shown["columns"]] == [
            header for header in headers if header in {each["label"] for each in shown["columns"]}
        ]
        for column in shown["columns"]:
            assert find_metric(known.glossary, column["key"]).definition in column["meaning"]


def test_how_far_a_row_is_behind_the_best(results: list[Result]) -> None:
    """The paired difference from the best ranked row; the floor and the ceiling have none."""
    data = data_of(page(make_tables(results)))
    (table,) = (each for each in data["tables"] if each["id"] == "subgrid-forcing/wilks-f20")
    rows = {data["entries"][row[0]][0]: cells_of(data, row) for row in table["rows"]}
    scores = {one.model.name: one.score for one in results if one.task == table["task"]}
    best = max((name for name in scores if name not in ("Mean", "Perfect")), key=lambda name: scores[name].value)
    assert rows[best]["behind_best"] is rows["Mean"]["behind_best"] is rows["Perfect"]["behind_best"] is None
    value, low, high = rows["Wilks (2005)"]["behind_best"]
    gaps = np.subtract(scores[best].replicates, scores["Wilks (2005)"].replicates)
    assert value == pytest.approx(scores[best].value - scores["Wilks (2005)"].value, abs=0.01)
    assert [low, high] == pytest.approx(list(np.quantile(gaps, [0.025, 0.975])), abs=0.02)


def test_curves_are_above_perfect_physics(make_result: Callable[..., Result]) -> None:
    def row(name: str, value: float, scale: float, kind: str = "network") -> Result:
        lead = [0.05 * i for i in range(1, 31)]
        series = {"lead": lead, "crps_by_lead": [scale * each for each in lead]}
        model = {"kind": kind, "command": ""}
        return make_result(name, value, task="online-rollout/wilks-f20-v2", series=series, model=model)

    rows = [row("perfect physics", 100.0, 1.0, "reference"), row("entry", 90.0, 3.0), row("no closure", 0.0, 9.0)]
    (table,) = data_of(page(make_tables(rows)))["tables"]
    curves = table["curves"]
    assert curves["crps_above"]["1"] == pytest.approx([2.0 * each for each in curves["lead"]], rel=1e-2)
    assert set(curves["crps_above"]["0"]) == {0.0}


def test_an_entry_links_its_script_files_and_reports(make_result: Callable[..., Result], tmp_path: Path) -> None:
    origin = SubmissionInfo(status="verified", authors=["A"], artifact="closure.onnx")
    code = SubmissionInfo(status="verified", authors=["A"], artifact="python:model:make")
    rows = [
        make_result("one", 50.0, model={"command": "l96bench run one_script --task t"}),
        make_result("two", 40.0, submission=origin),
        make_result("three", 30.0, submission=code, model={"command": "l96bench run ../../elsewhere.py --task t"}),
    ]
    report = tmp_path / "reports" / "one_script-wilks-f20" / "index.html"
    report.parent.mkdir(parents=True)
    report.touch()
    data = data_of(page(make_tables(rows), reports=report_names(tmp_path)))
    found = {each[0]: dict(zip(ENTRY_FIELDS, each, strict=True)) for each in data["entries"]}
    assert found["one"]["script"] == "one_script"
    assert found["one"]["reports"] == [["wilks-f20", "one_script-wilks-f20"]]
    assert [found[name]["files"] for name in ("one", "two", "three")] == [[], ["closure.onnx"], []]
    assert found["three"]["script"] == ""
    assert found["two"]["reports"] == []


def test_links_lead_somewhere() -> None:
    """Every address of the committed page is a file or a folder of the repository."""
    path = ROOT / "leaderboard" / "index.html"
    if not path.exists():
        pytest.skip("leaderboard/index.html is made by `l96bench leaderboard`")
    html = path.read_text(encoding="utf-8")
    for address in {each["href"] for each in Elements(html).named("a") if not (each["href"] or "").startswith("#")}:
        assert (path.parent / str(address).partition("#")[0]).exists(), address
    data = data_of(html)
    for each in data["entries"]:
        entry, links = dict(zip(ENTRY_FIELDS, each, strict=True)), data["links"]
        named = [f"{links['baselines']}{entry['script']}.py"] if entry["script"] else []
        named += [f"{links['submissions']}{entry['slug']}/{file}" for file in entry["files"]]
        for address in (*named, f"{links['cards']}{entry['slug']}.md"):
            assert (path.parent / address).exists(), address


def test_modules_of_the_script_are_small_and_whole() -> None:
    """Each module has at most 300 lines, imports what an earlier one exports and uses it, and no name stands twice."""
    exported: dict[str, set[str]] = {}
    defined: list[str] = []
    for name in MODULES:
        text = module_text(name)
        assert text.count("\n") <= 300, name
        body = re.sub(r'^import .*?";$', "", text, flags=re.MULTILINE | re.DOTALL)
        for names, source in re.findall(r'^import \{([^}]*)\} from "\./([a-z]+)\.js";$', text, flags=re.MULTILINE):
            for each in names.split(","):
                assert each.strip() in exported[source], f"{name}: {each} of {source}"
                assert re.search(rf"(?<!\w)(?<!\w\.){re.escape(each.strip())}(?!\w)", body), (
                    f"{name}: {each} is not used"
                )
        own = re.findall(r"^(export )?(?:const|let|function) (?:\{[^}]*\}|(\$|\w+))", text, flags=re.MULTILINE)
        exported[name] = {each for is_exported, each in own if is_exported}
        defined += [each for _, each in own]
    assert len(defined) == len(set(defined))
    assert {*MODULES} == {path.stem for path in (ROOT / "l96bench" / "board" / "templates" / "page").glob("*.js")}


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node on the PATH; browsers parse the script otherwise")
def test_the_script_parses(tmp_path: Path) -> None:
    for name, text in [(f"{name}.mjs", module_text(name)) for name in MODULES] + [("joined.js", joined_script())]:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        found = subprocess.run(["node", "--check", str(path)], capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stderr


def test_attacks_stand_below_the_winners(make_result: Callable[..., Result]) -> None:
    attack = {"kind": "attack", "description": "knows nothing", "command": ""}
    rows = [make_result("honest", 90.0), make_result("attack: replay", 30.0, model=attack)]
    text = page(make_tables(rows))
    section = text[text.index('<section id="attacks"') :].partition("</section>")[0]
    assert '<a href="#card=attack-replay">replay</a>' in section
    assert "knows nothing" in section
    assert "below 1 of 1" in section
    assert '<section id="attacks"' not in page(make_tables(rows[:1]))

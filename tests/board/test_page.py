"""The board as one HTML file."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from l96bench.board.page import FIELDS, page, thumbnails
from l96bench.board.seasons import SeasonRows
from l96bench.board.tables import make_tables
from l96bench.results.origin import SubmissionInfo
from l96bench.results.record import Result

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
            own = dict(zip(FIELDS, values, strict=True))
            assert data["entries"][own["entry"]][:2] == [row.result.model.name, row.result.slug]
            assert own["rank"] == row.rank
            assert own["score"] == pytest.approx(row.result.score.value, abs=5e-4)
            assert own["low"] <= own["score"] <= own["high"]
            assert data["texts"][own["kind"]] == row.result.model.kind


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
            assert name not in attributes or (attributes[name] or "").startswith(("#", "data:"))
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
    (table,) = data_of(html)["tables"]
    assert [dict(zip(FIELDS, row, strict=True))["gap"] for row in table["rows"]] == [[6.88, 6.88, 6.88], None]
    name, counts = table["season"]
    assert name == "trial"
    assert counts.startswith("Of 1 entries, 1 score lower on the season")
    static = html[html.index("<noscript>") : html.index("</noscript>")]
    assert '<th scope="col">public - season</th>' in static
    assert "<td>+6.88 [+6.88, +6.88] ≠ 0</td>" in static
    assert html.count('id="gap-text"') == 1
    assert len(Elements(html).named("script")) == 2
    without = page(make_tables(rows))
    assert data_of(without)["tables"][0]["season"] is None
    assert 'id="gap-text"' not in without


def test_flags_are_shown(hostile: list[Result]) -> None:
    data = data_of(page(make_tables(hostile)))
    own = [dict(zip(FIELDS, row, strict=True))["flags"] for row in data["tables"][0]["rows"]]
    assert own[0] == []
    assert [mark for mark, _ in own[1]] == ["D", "T", "S", "U"]
    assert set(data["kinds"]) >= {"T", "S"}


def test_the_committed_board_is_small() -> None:
    root = Path(__file__).resolve().parents[2] / "leaderboard" / "index.html"
    if not root.exists():
        pytest.skip("leaderboard/index.html is made by `l96bench leaderboard`")
    assert root.stat().st_size < 3e6

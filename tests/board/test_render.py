"""The board's pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from l96bench.board.render import changes, check, compact_tables, embed, render
from l96bench.board.seasons import SeasonRows
from l96bench.board.tables import Table, make_tables
from l96bench.board.text import NONE
from l96bench.errors import ResultError
from l96bench.files import locked, replace_all
from l96bench.results.record import Result


def write(folder: Path, tables: Sequence[Table]) -> None:
    with locked(folder):
        replace_all(folder, changes(folder, tables))


def test_one_page_of_tables_and_a_card_for_every_entry(results: list[Result]) -> None:
    pages = render(make_tables(results))
    assert set(pages) == {
        "README.md",
        "cards/forest.md",
        "cards/mean.md",
        "cards/perfect.md",
        "cards/stencil-network.md",
        "cards/wilks-2005.md",
    }
    assert "### subgrid-forcing/wilks-f20-v1" in pages["README.md"]
    assert "data: test abababababab." in pages["README.md"]
    assert all(text.endswith("\n") and "\n\n\n" not in text for text in pages.values())


BOARD = Path(__file__).parents[2] / "leaderboard"


def test_every_link_leads_to_a_page(results: list[Result]) -> None:
    pages = render(make_tables(results))
    for token in MarkdownIt().enable("table").parse(pages["README.md"]):
        for child in token.children or []:
            if child.type == "link_open":
                href = str(child.attrs["href"])
                assert href in pages or (BOARD / href.partition("#")[0]).is_file()


def test_two_versions_of_a_task_keep_a_line_each(make_result: Callable[..., Result]) -> None:
    rows = [make_result("Net", score, task=f"online-rollout/wilks-f20-v{i}") for i, score in ((1, 80.0), (2, 70.0))]
    card = render(make_tables(rows))["cards/net.md"]
    lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in card.splitlines() if line[:1] == "|"]
    assert [(line[0], line[1][:4]) for line in lines[2:4]] == [("wilks-f20", "80.0"), ("wilks-f20-v2", "70.0")]


def test_a_card_shows_offline_beside_online(results: list[Result]) -> None:
    card = render(make_tables(results))["cards/stencil-network.md"]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in card.splitlines() if line[:1] == "|"]
    assert rows[0] == ["regime", "Subgrid forcing", "Online rollout"]
    assert [row[0] for row in rows[2:4]] == ["arnold-c4", "wilks-f20"]
    assert rows[2][1].startswith("80.0 [")
    assert rows[2][2] == NONE
    assert [cell.split(", ")[-1] for cell in rows[3][1:]] == ["rank 1", "rank 2"]
    assert ["survival (higher is better)", "1.000 [0.930, 1.000]"] in rows
    assert "    run Stencil network\n" in card
    assert "80.0 (seed 0)" in card


def test_the_season_stands_beside_the_score(make_result: Callable[..., Result]) -> None:
    rows = [make_result("Tuned", 95.0, noise=0.0), make_result("Late", 90.0, noise=0.0)]
    season = SeasonRows("trial", {"tuned": make_result("Tuned", 88.0, noise=0.0)})
    pages = render(make_tables(rows, {rows[0].task: season}))
    header, _, first, second = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in pages["README.md"].splitlines()
        if line.startswith("|")
    ]
    place = header.index("public - season")
    assert (first[place], second[place]) == ("+7.00 [+7.00, +7.00] ≠ 0", NONE)
    assert "[trial](seasons/trial.md)" in pages["README.md"]
    assert "| public - season" in pages["cards/tuned.md"]
    assert "+7.00 [+7.00, +7.00] ≠ 0" in pages["cards/tuned.md"]
    assert "public - season" not in pages["cards/late.md"] + "".join(render(make_tables(rows)).values())


def test_the_order_of_results_does_not_matter(results: list[Result]) -> None:
    assert render(make_tables(results[::-1])) == render(make_tables(results))


def test_no_machine_is_named(results: list[Result]) -> None:
    for text in render(make_tables(results)).values():
        assert "secret-host" not in text
        assert "znver9" not in text


def test_names_from_results_are_escaped_everywhere(make_result: Callable[..., Result]) -> None:
    evil = "<img src=x>|[x](http://evil.example)`\n# y"
    model = dict.fromkeys(("name", "inputs", "trained_on", "source", "description"), evil)
    row = make_result("evil", 1.0, model=model, data_digests={evil: evil}, scorer_version=evil, predictions_digest=evil)
    for text in render(make_tables([row])).values():
        page = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
        tokens = [token for block in page for token in [block, *(block.children or [])]]
        links = [token.attrs["href"] for token in tokens if token.type == "link_open"]
        assert not {token.type for token in tokens} & {"html_inline", "image"}
        assert not any("evil" in token.content for token in tokens if token.type == "code_inline")
        own = {"../README.md", f"cards/{row.slug}.md", "../docs/submissions.md#how-a-row-gets-in", "../docs/results.md"}
        own |= {"../docs/definitions.md#what-does-not-win"}
        assert set(links) <= own | {f"results.{kind}" for kind in ("csv", "json", "parquet")}
        assert sum(token.type == "html_block" for token in page) == 1  # the page's own first line
        assert sum(token.type == "heading_open" and token.tag == "h1" for token in page) == 1


def test_two_names_for_one_file_are_refused(make_result: Callable[..., Result]) -> None:
    with pytest.raises(ResultError, match="rename"):
        render(make_tables([make_result("A b", 1.0), make_result("a-b", 2.0)]))


def test_an_empty_board_says_so() -> None:
    assert "no results yet" in render(make_tables([]))["README.md"]


def test_what_is_written_is_up_to_date(tmp_path: Path, results: list[Result]) -> None:
    write(tmp_path, make_tables(results))
    assert check(tmp_path, make_tables(results)) == []
    assert {name: (tmp_path / name).read_bytes() for name in render(make_tables(results))} == {
        name: text.encode() for name, text in render(make_tables(results)).items()
    }


@pytest.mark.parametrize("name", ["README.md", "cards/forest.md"])
def test_check_sees_one_character(tmp_path: Path, results: list[Result], name: str) -> None:
    write(tmp_path, make_tables(results))
    page = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(page.replace(b"91.3", b"91.4", 1))
    (difference,) = check(tmp_path, make_tables(results))
    assert difference.startswith(f"{name}: out of date, line ")
    assert "91.4" in difference


def test_check_sees_missing_stale_and_extra_pages(tmp_path: Path, results: list[Result]) -> None:
    assert len(check(tmp_path, make_tables(results))) == 6
    write(tmp_path, make_tables(results))
    (tmp_path / "cards/forest.md").unlink()
    (tmp_path / "cards/gone.md").write_text("old")
    assert check(tmp_path, make_tables(results)) == [
        "cards/forest.md: missing",
        "cards/gone.md: no result has this name",
    ]


def test_writing_removes_the_cards_of_entries_that_are_gone(tmp_path: Path, results: list[Result]) -> None:
    write(tmp_path, make_tables(results))
    (tmp_path / "results").mkdir()
    (tmp_path / "results/keep.json").write_text("{}")
    write(tmp_path, make_tables(results[:1]))
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["README.md", "keep.json", "wilks-2005.md"]


def test_names_that_cannot_stand_together_leave_the_old_board(
    tmp_path: Path, results: list[Result], make_result: Callable[..., Result]
) -> None:
    write(tmp_path, make_tables(results))
    with pytest.raises(ResultError):
        write(tmp_path, make_tables([*results, make_result("wilks 2005", 1.0)]))
    assert check(tmp_path, make_tables(results)) == []


def test_tables_in_another_page(results: list[Result]) -> None:
    page = "# Title\n<!-- l96bench:tables -->\nformer text\n<!-- /l96bench:tables -->\nend\n"
    tables = compact_tables(make_tables(results), "leaderboard/cards")
    once = embed(page, "tables", tables)
    assert once.startswith("# Title\n<!-- l96bench:tables -->\n\n**`subgrid-forcing/arnold-c4-v1`**\n\n| rank | entry")
    assert once.endswith("|\n\n<!-- /l96bench:tables -->\nend\n")
    assert "[Forest](leaderboard/cards/forest.md)" in once
    assert "former text" not in once
    assert embed(once, "tables", tables) == once


def test_only_the_best_rows_of_each_task(results: list[Result]) -> None:
    short = compact_tables(make_tables(results), "cards", best=1)
    assert "the best 1 of 2" in short
    assert "[Forest](cards/forest.md)" in short
    assert "*[Perfect](cards/perfect.md)*" in short
    assert "[net](cards/net.md)" not in short.split("**`subgrid-forcing/wilks-f20-v1`**")[1]


@pytest.mark.parametrize(
    "page",
    [
        "",
        "<!-- l96bench:a -->",
        "<!-- /l96bench:a --> <!-- l96bench:a -->",
        "<!-- l96bench:a --> <!-- l96bench:a --> <!-- /l96bench:a -->",
    ],
)
def test_markers_must_be_there(page: str) -> None:
    with pytest.raises(ResultError, match="l96bench:a"):
        embed(page, "a", "text")

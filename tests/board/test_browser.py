"""The page in a browser: what a reader does, with mouse, keyboard and phone."""

from __future__ import annotations

import csv
import io
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from l96bench.board.page import page
from l96bench.board.seasons import SeasonRows
from l96bench.board.tables import make_tables
from l96bench.results.frame import COLUMNS
from l96bench.results.origin import SubmissionInfo
from l96bench.results.record import Cost, Failures, Result

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
WANTED = "needs chromium and chromedriver on the PATH"
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER) and "CI" not in os.environ, reason=WANTED)

AXE = Path(__file__).with_name("axe.min.js")
ONLINE, OFFLINE = "online-rollout/wilks-f20-v2", "subgrid-forcing/wilks-f20-v1"
HOSTILE = "<img src=x onerror=document.title='hacked'>"
GAP = "public - season"
FIRST = "#table=online-rollout/wilks-f20"
SIZES = [(1440, 900), (1024, 768), (390, 844)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    assert CHROMIUM, WANTED
    assert DRIVER, WANTED
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def board(make_result: Callable[..., Result]) -> list[Result]:
    """30 entries on two families, two regimes, and perfect physics online.

    One has a hostile name, one is verified, one self-reported; two have no cost of training, one has not run
    everywhere, one has failed.
    """
    lead = np.arange(1, 61) * 0.05
    rows = []

    def curves(scale: float) -> dict[str, Any]:
        return {"lead": list(lead), "crps_by_lead": list(lead * scale)}

    for i in range(30):
        name = HOSTILE if i == 7 else f"entry {i:02d}"
        status = {3: "verified", 4: "self-reported"}.get(i)
        origin = SubmissionInfo(status=status, authors=["somebody"], artifact="closure.onnx") if status else None
        command = f"l96bench run entry_{i:02d} --task" if i == 5 else f"run {name}"
        model = {"kind": ("network", "trees", "polynomial")[i % 3], "description": f"the description of {i}"}
        more: dict[str, Any] = {"cost": Cost(training_seconds=5.0 if i > 1 else None, microseconds_per_call=2.0)}
        more |= {"failures": Failures(of=50, diverged=50)} if i == 29 else {}
        for task in (ONLINE, OFFLINE):
            own = {"series": curves(2 + i)} if task == ONLINE else {}
            for each in (task, task.replace("wilks-f20", "arnold-c4")):
                if i == 28 and each == ONLINE.replace("wilks-f20", "arnold-c4"):
                    continue
                value, noise = (0.0, 0.0) if i == 29 else (90.0 - 2 * i, 0.1)
                made = make_result(
                    name, value, each, noise, model=model | {"command": command}, submission=origin, **more, **own
                )
                rows.append(made.model_copy(update={"predictions_digest": f"{i:064x}"}))
    ceiling = {"kind": "reference", "command": ""}
    return [*rows, make_result("perfect physics", 100.0, ONLINE, model=ceiling, series=curves(1.0))]


@pytest.fixture
def season(make_result: Callable[..., Result]) -> SeasonRows:
    """Four entries of the online board on a season, which have lost 0, 4, -1 and 2 points there."""
    lost = {"entry 00": (90.0, 0.0), "entry 03": (84.0, 4.0), "entry 05": (80.0, -1.0), HOSTILE: (76.0, 2.0)}
    rows = [make_result(name, public - change, task=ONLINE) for name, (public, change) in lost.items()]
    return SeasonRows("trial", {row.slug: row for row in rows})


@pytest.fixture
def visit(browser: Any, board: list[Result], season: SeasonRows, tmp_path: Path) -> Callable[..., Any]:
    """Opens the page at an address; afterwards the console must be empty."""
    path = tmp_path / "index.html"
    path.write_text(page(make_tables(board, {ONLINE: season})), encoding="utf-8")

    def open_page(fragment: str = "", width: int = 1280, height: int = 900, theme: str = "light") -> Any:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": theme}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        browser.get("about:blank")
        browser.get_log("browser")
        browser.get(path.as_uri() + fragment)
        if fragment.startswith(FIRST):
            until(browser, lambda driver: driver.find_elements(By.CSS_SELECTOR, "#heat table"))
        return browser

    return open_page


@pytest.fixture(autouse=True)
def no_message_in_the_console(browser: Any) -> Iterator[None]:
    yield
    assert browser.get_log("browser") == []


WIDER = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
"""How much wider than its window the page is."""


def until(browser: Any, condition: Callable[[Any], Any]) -> Any:
    return WebDriverWait(browser, 10, poll_frequency=0.02).until(condition)


def names(browser: Any) -> list[str]:
    return [each.text for each in browser.find_elements(By.CSS_SELECTOR, "#table tbody th a")]


def sort_button(browser: Any, header: str) -> Any:
    return browser.find_element(By.XPATH, f"//*[@id='table']//thead//button[.='{header}']")


def sorted_as(browser: Any, header: str) -> str | None:
    return browser.find_element(By.XPATH, f"//*[@id='table']//thead//th[.//button[.='{header}']]").get_attribute(
        "aria-sort"
    )


def is_card_open(browser: Any) -> bool:
    return browser.execute_script("return document.getElementById('card').open")


def axe(browser: Any) -> list[str]:
    """What axe-core finds against WCAG 2.2 A and AA and its own best practices."""
    browser.execute_script(AXE.read_text(encoding="utf-8"))
    found = browser.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
    return [
        f"{each['id']}: {node['html'][:200]} {node['any'][0]['message'] if node['any'] else ''}"
        for each in found["violations"]
        for node in each["nodes"]
    ]


def test_sort_by_any_column(visit: Callable[..., Any]) -> None:
    browser = visit("#table=online-rollout/wilks-f20")
    assert names(browser)[:3] == ["perfect physics", "entry 00", "entry 01"]
    assert sorted_as(browser, "score") == "descending"
    sort_button(browser, "score").click()
    assert sorted_as(browser, "score") == "ascending"
    assert names(browser)[0] == "entry 29"
    sort_button(browser, "entry").click()
    assert sorted_as(browser, "entry") == "ascending"
    assert sorted_as(browser, "score") is None
    assert names(browser) == sorted(names(browser))
    # The focus stays where it was, though the table is another one.
    assert browser.switch_to.active_element.text == "entry"
    assert "sort=entry" in browser.current_url


def test_filter_and_search(visit: Callable[..., Any]) -> None:
    browser = visit(FIRST)
    Select(browser.find_element(By.ID, "kind")).select_by_visible_text("trees")
    assert len(names(browser)) == 10
    assert "10 of 31 rows" in browser.find_element(By.ID, "count").text
    browser.find_element(By.ID, "q").send_keys("entry 1")
    assert names(browser) == ["entry 01", "entry 10", "entry 13", "entry 16", "entry 19"]
    assert "kind=trees" in browser.current_url
    browser.find_element(By.ID, "reset").click()
    assert len(names(browser)) == 31
    Select(browser.find_element(By.ID, "origin")).select_by_visible_text("declared")
    assert names(browser) == ["entry 03", "entry 04"]


def test_families_and_regimes_are_links(visit: Callable[..., Any]) -> None:
    browser = visit(FIRST)
    browser.find_element(By.LINK_TEXT, "Subgrid forcing").click()
    assert browser.find_element(By.ID, "table-title").text == "Subgrid forcing, wilks-f20"
    until(browser, lambda driver: not driver.find_element(By.ID, "curves").is_displayed())
    browser.find_element(By.LINK_TEXT, "Online rollout").click()
    browser.find_element(By.LINK_TEXT, "arnold-c4").click()
    assert browser.find_element(By.ID, "table-title").text == "Online rollout, arnold-c4"
    assert "table=online-rollout/arnold-c4" in browser.current_url
    until(browser, lambda driver: driver.find_elements(By.CSS_SELECTOR, "#curves path.curve"))
    assert len(browser.find_elements(By.CSS_SELECTOR, "#curves path.curve")) == 12
    assert len(browser.find_elements(By.CSS_SELECTOR, "#heat tbody tr")) == 29
    browser.back()
    assert browser.find_element(By.ID, "table-title").text == "Online rollout, wilks-f20"


def test_a_link_opens_what_it_says(visit: Callable[..., Any]) -> None:
    browser = visit("#table=online-rollout/wilks-f20&kind=network&sort=entry&order=down&card=entry-09")
    assert is_card_open(browser)
    assert browser.find_element(By.ID, "card-title").text == "entry 09"
    assert "the description of 9" in browser.find_element(By.ID, "card").text
    assert names(browser)[0] == "entry 27"
    assert browser.find_element(By.ID, "table-title").text == "Online rollout, wilks-f20"


@pytest.mark.parametrize(
    "fragment", ["#table=no/such", "#table=no/such&sort=__proto__&card=nobody&page=-7", "#%00&&==;card", "#q=%3Cb%3E"]
)
def test_a_wrong_link_shows_the_board(visit: Callable[..., Any], fragment: str) -> None:
    browser = visit(fragment)
    assert not is_card_open(browser)
    if "sort=" in fragment or "q=" in fragment:  # of a table, if not said of which
        assert browser.find_element(By.ID, "table-title").text == "Online rollout, wilks-f20"
    else:
        assert browser.find_element(By.ID, "overview").is_displayed()


def test_a_card_shows_offline_beside_online(visit: Callable[..., Any]) -> None:
    browser = visit(FIRST)
    browser.find_element(By.LINK_TEXT, "entry 02").click()
    card = browser.find_element(By.ID, "card")
    tasks = [each.text for each in card.find_elements(By.CSS_SELECTOR, "table")[0].find_elements(By.TAG_NAME, "th")]
    assert tasks[:2] == ["task", "score"]
    assert {"Subgrid forcing, wilks-f20", "Online rollout, arnold-c4"} <= set(tasks)
    assert "Offline against online" in card.text
    card.find_element(By.XPATH, ".//summary[.='Online rollout: all numbers']").click()
    assert "X, radius 2" in card.find_elements(By.TAG_NAME, "details")[1].text
    assert "run entry 02" in card.text
    card.find_element(By.TAG_NAME, "button").click()
    until(browser, lambda driver: "card=" not in driver.current_url)
    assert not is_card_open(browser)


def test_sort_by_the_gap_to_the_season(visit: Callable[..., Any]) -> None:
    browser = visit(f"{FIRST}&columns=rank,season_difference")
    sort_button(browser, GAP).click()
    assert sorted_as(browser, GAP) == "ascending"
    sort_button(browser, GAP).click()
    assert sorted_as(browser, GAP) == "descending"
    assert names(browser)[:5] == ["entry 03", HOSTILE, "entry 00", "entry 05", "perfect physics"]
    head = [each.text for each in browser.find_elements(By.CSS_SELECTOR, "#table thead button[data-sort]")]
    rows = browser.find_elements(By.CSS_SELECTOR, "#table tbody tr")
    cells = [row.find_elements(By.CSS_SELECTOR, "th, td")[head.index(GAP)] for row in rows[:5]]
    for cell, shown in zip(cells, (r"\+4\.00 \[\+3\.\d\d, \+4\.\d\d\] ≠ 0", r"\+2\.00 .* ≠ 0"), strict=False):
        assert re.fullmatch(shown, cell.text)
    assert re.fullmatch(r"\+0\.00 \[-0\.\d\d, \+0\.\d\d\]", cells[2].text)
    assert cells[3].text.startswith("-1.00 [-1.")
    assert cells[4].text == "–"
    browser.find_element(By.LINK_TEXT, "Subgrid forcing").click()
    assert not browser.find_elements(By.XPATH, f"//*[@id='table']//button[.='{GAP}']")


def test_a_card_shows_the_gap_to_the_season(visit: Callable[..., Any]) -> None:
    browser = visit("#table=subgrid-forcing/arnold-c4&card=entry-03")
    card = browser.find_element(By.ID, "card")
    facts = dict(
        zip(*([each.text for each in card.find_elements(By.TAG_NAME, tag)] for tag in ("dt", "dd")), strict=True)
    )
    [gap] = [text for term, text in facts.items() if term.startswith(GAP)]
    assert re.fullmatch(r"Online rollout, wilks-f20: \+4\.00 \[\+3\.\d\d, \+4\.\d\d\] ≠ 0", gap)
    browser.get(browser.current_url.replace("entry-03", "entry-04"))
    until(browser, lambda driver: driver.find_element(By.ID, "card-title").text == "entry 04")
    assert GAP not in browser.find_element(By.ID, "card").text


@pytest.mark.parametrize("place", ["#table thead", "#card"])
def test_the_gap_is_explained_to_keyboard_and_phone(visit: Callable[..., Any], place: str) -> None:
    fragment = f"{FIRST}&columns=season_difference" + ("&card=entry-03" if place == "#card" else "")
    browser = visit(fragment, width=360, height=740)
    button = browser.find_element(By.CSS_SELECTOR, f"{place} .about[aria-label*='season']")
    text = browser.execute_script("return arguments[0].popoverTargetElement", button)
    assert button.accessible_name == f"What is {GAP}?"
    assert not text.is_displayed()
    # Both targets are large enough for a finger (WCAG 2.2, 2.5.8).
    assert min(button.size.values()) >= 24
    button.send_keys(Keys.ENTER)
    assert text.is_displayed()
    assert "drawn from a secret" in text.text
    assert "season trial. Of 4 entries, 2 score lower" in text.text
    box = browser.execute_script("return arguments[0].getBoundingClientRect().toJSON()", text)
    assert 0 <= box["left"] < box["right"] <= 360
    assert 0 <= box["top"] < box["bottom"] <= 740
    assert axe(browser) == []
    browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert not text.is_displayed()
    assert is_card_open(browser) == (place == "#card")
    button.click()
    assert text.is_displayed()


def test_everything_from_the_keyboard(visit: Callable[..., Any]) -> None:
    browser = visit("#table=online-rollout/wilks-f20")

    def press(key: str) -> Any:
        browser.switch_to.active_element.send_keys(key)
        return browser.switch_to.active_element

    def tab_to(text: str) -> Any:
        for _ in range(60):
            if press(Keys.TAB).text == text:
                return browser.switch_to.active_element
        raise AssertionError(f"{text} cannot be reached")

    first = browser.find_element(By.TAG_NAME, "body")
    first.send_keys(Keys.TAB)
    assert browser.switch_to.active_element.text == "To the content"
    tab_to("entry")
    press(Keys.ENTER)
    assert sorted_as(browser, "entry") == "ascending"
    tab_to("entry 05")
    press(Keys.ENTER)
    assert is_card_open(browser)
    assert browser.execute_script("return document.getElementById('card').contains(document.activeElement)")
    press(Keys.ESCAPE)
    until(browser, lambda driver: not is_card_open(driver))
    assert browser.switch_to.active_element.text == "entry 05"


def test_a_phone_scrolls_the_table_not_the_page(visit: Callable[..., Any]) -> None:
    browser = visit("#table=online-rollout/wilks-f20", width=360, height=740)
    assert browser.execute_script(WIDER) == 0
    table = browser.find_element(By.ID, "table")
    assert browser.execute_script("return arguments[0].scrollWidth > arguments[0].clientWidth", table)
    browser.find_element(By.LINK_TEXT, "entry 00").click()
    assert browser.find_element(By.ID, "card").rect["width"] <= 360
    assert browser.execute_script(WIDER) == 0


def test_light_and_dark(visit: Callable[..., Any]) -> None:
    def lightness(browser: Any) -> float:
        colour = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        return sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(", "))) / 3

    assert lightness(visit()) > 240
    browser = visit(theme="dark")
    assert lightness(browser) < 40
    browser.find_element(By.ID, "theme").click()
    assert lightness(browser) > 240


def test_names_are_text(visit: Callable[..., Any]) -> None:
    browser = visit(FIRST)
    assert HOSTILE in names(browser)
    browser.find_element(By.LINK_TEXT, HOSTILE).click()
    assert browser.find_element(By.ID, "card-title").text == HOSTILE
    assert not browser.find_elements(By.CSS_SELECTOR, "img")
    assert browser.title == f"{HOSTILE} – l96bench leaderboard"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("fragment", ["", f"{FIRST}&columns=rank,score,kind,inputs,parameters", "#card=entry-03"])
def test_accessible(visit: Callable[..., Any], fragment: str, width: int, height: int, theme: str) -> None:
    browser = visit(fragment, width, height, theme)
    assert axe(browser) == []
    assert browser.execute_script(WIDER) == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_first_screen_answers(visit: Callable[..., Any], width: int, height: int, theme: str) -> None:
    """Who wins, who is tied, by how much, at what cost, and how to add yours, for every question, without a scroll."""
    browser = visit("", width, height, theme)
    rows = browser.find_elements(By.CSS_SELECTOR, "#overview tbody tr")
    assert len(rows) == 4
    assert [row.find_element(By.TAG_NAME, "th").text for row in rows] == ["arnold-c4", "wilks-f20"] * 2
    for row in rows:
        assert "entry 00" in row.text
        assert re.search(r"2\.00 \[1\.\d\d, 2\.\d\d\]", row.text)
        assert "2.00 µs" in row.text
        assert row.rect["y"] + row.rect["height"] <= height
    assert "l96bench submit mine" in browser.find_element(By.CSS_SELECTOR, "#overview .add").text
    rows[1].find_element(By.CSS_SELECTOR, "th a").click()
    assert browser.find_element(By.ID, "table-title").text == "Subgrid forcing, wilks-f20"
    assert not browser.find_element(By.ID, "overview").is_displayed()
    browser.find_element(By.LINK_TEXT, "Who wins").click()
    assert browser.find_element(By.ID, "overview").is_displayed()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_the_head_of_the_table_stays(visit: Callable[..., Any], width: int, height: int) -> None:
    browser = visit(FIRST, width, height)
    assert [each.text for each in browser.find_elements(By.CSS_SELECTOR, "#table thead button[data-sort]")] == [
        *("rank", "entry", "score", "behind the best [95 %]", "µs per call", "status"),
    ]
    table, note = browser.find_element(By.ID, "table"), browser.find_element(By.ID, "wide-note")
    is_wide = browser.execute_script("return arguments[0].scrollWidth > arguments[0].clientWidth + 1", table)
    assert is_wide == (width == 390)
    until(browser, lambda _: note.is_displayed() == is_wide)
    place = "return arguments[0].getBoundingClientRect()"
    last = browser.find_elements(By.CSS_SELECTOR, "#table tbody tr")[-1]
    browser.execute_script("arguments[0].scrollIntoView({block: 'end'})", last)
    head = browser.execute_script(place, browser.find_element(By.CSS_SELECTOR, "#table thead"))
    region = browser.execute_script(place, table)
    assert head["top"] == pytest.approx(max(0, region["top"]), abs=2)
    assert head["bottom"] < height


def test_columns_are_picked_and_kept_in_the_address(visit: Callable[..., Any]) -> None:
    browser = visit(FIRST)
    browser.find_element(By.CSS_SELECTOR, "#picker summary").click()
    browser.find_element(By.CSS_SELECTOR, "#columns input[value='kind']").click()
    browser.find_element(By.CSS_SELECTOR, "#columns input[value='origin']").click()
    shown = "#table thead button[data-sort]"
    wanted = ["rank", "entry", "score", "behind the best [95 %]", "µs per call", "kind"]
    assert [each.text for each in browser.find_elements(By.CSS_SELECTOR, shown)] == wanted
    assert "columns=rank,score,behind_best,microseconds_per_call,kind" in browser.current_url
    browser.find_element(By.ID, "default-columns").click()
    assert [each.text for each in browser.find_elements(By.CSS_SELECTOR, shown)] == [*wanted[:5], "status"]
    assert "columns=" not in browser.current_url


def test_the_address_keeps_the_whole_view(visit: Callable[..., Any]) -> None:
    fragment = (
        f"{FIRST}&kind=trees&sort=entry&order=down&columns=rank,score,kind&cost=parameters&measure=crps&theme=dark"
    )
    browser = visit(fragment)
    assert names(browser)[0] == "entry 28"
    assert [each.text for each in browser.find_elements(By.CSS_SELECTOR, "#table thead button[data-sort]")] == [
        *("rank", "entry", "score", "kind"),
    ]
    assert Select(browser.find_element(By.ID, "cost")).first_selected_option.text == "parameters"
    assert Select(browser.find_element(By.ID, "measure")).first_selected_option.text == "CRPS"
    assert browser.execute_script("return document.documentElement.dataset.theme") == "dark"
    address = browser.current_url
    browser.find_element(By.ID, "skip").send_keys(Keys.ENTER)
    assert browser.current_url == address
    assert browser.switch_to.active_element.get_attribute("id") == "table"
    browser.find_element(By.ID, "theme").click()
    assert "theme=light" in browser.current_url
    assert names(browser)[0] == "entry 28"


def test_every_view_has_a_title(visit: Callable[..., Any]) -> None:
    browser = visit()
    assert browser.title == "Who wins – l96bench leaderboard"
    browser.find_element(By.LINK_TEXT, "Online rollout").click()
    assert browser.title.startswith("Online rollout, ")
    browser.find_element(By.LINK_TEXT, "entry 00").click()
    assert browser.title == "entry 00 – l96bench leaderboard"


def test_the_export_is_what_the_table_shows(visit: Callable[..., Any]) -> None:
    browser = visit(f"{FIRST}&q=entry 0&columns=rank,score,behind_best,origin".replace(" ", "%20"))
    browser.execute_script(
        "URL.createObjectURL = (blob) => { window.text = blob.text(); return '#'; };"
        "HTMLAnchorElement.prototype.click = () => {};"
    )
    browser.find_element(By.ID, "export").click()
    text = browser.execute_async_script("window.text.then(arguments[arguments.length - 1])")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == [
        *("rank", "entry", "score", "score_low", "score_high", "behind_best", "behind_low", "behind_high", "origin"),
    ]
    assert [row["entry"] for row in rows] == names(browser)
    assert float(rows[0]["score"]) == 90.0
    assert rows[0]["behind_best"] == ""
    assert float(rows[1]["behind_low"]) < float(rows[1]["behind_best"]) == 2.0 < float(rows[1]["behind_high"])
    assert {column.name for column in COLUMNS} >= set(rows[0])


def test_the_front_says_which_best_row_has_no_cost(visit: Callable[..., Any]) -> None:
    """entry 01 has the second best score and no cost of training; entry 00 neither."""
    browser = visit(f"{FIRST}&cost=training_seconds")
    free = browser.find_elements(By.CSS_SELECTOR, "#cost-plot .free")
    assert len(free) == 2
    assert "entry 00: cost not known" in browser.find_element(By.ID, "cost-plot").text
    assert "Cost not known: 2." in browser.find_element(By.ID, "cost-note").text
    browser = visit(f"{FIRST}&cost=microseconds_per_call")
    assert not browser.find_elements(By.CSS_SELECTOR, "#cost-plot .free")
    assert browser.find_element(By.CSS_SELECTOR, "#cost-plot a.best").get_attribute("aria-label").startswith("entry 00")


def test_failed_and_never_run_cells_differ(visit: Callable[..., Any]) -> None:
    browser = visit(FIRST)
    cells = {
        row.find_element(By.TAG_NAME, "th").text: row.find_elements(By.TAG_NAME, "td")
        for row in browser.find_elements(By.CSS_SELECTOR, "#heat tbody tr")
    }
    assert [each.get_attribute("class") for each in cells["entry 28"]] == ["never", ""]
    assert [each.get_attribute("class") for each in cells["entry 29"]] == ["failed", "failed"]
    assert cells["entry 28"][0].text == "–"
    assert cells["entry 29"][0].text == "0.0 ✕"
    assert cells["entry 29"][0].value_of_css_property("outline-style") == "solid"
    assert "never run" in browser.find_element(By.ID, "heat-bar").text
    assert len(browser.find_elements(By.CSS_SELECTOR, "#heat-bar .ramp span")) == 11


def test_curves_above_perfect_physics(visit: Callable[..., Any]) -> None:
    browser = visit(FIRST)
    until(browser, lambda driver: driver.find_elements(By.CSS_SELECTOR, "#curves path.curve"))
    assert Select(browser.find_element(By.ID, "measure")).first_selected_option.text == "CRPS above perfect physics"
    assert "Perfect physics is at 0" in browser.find_element(By.ID, "curves-note").text
    Select(browser.find_element(By.ID, "measure")).select_by_visible_text("CRPS")
    assert "measure=crps" in browser.current_url


def test_a_phone_shows_the_current_tab(visit: Callable[..., Any]) -> None:
    browser = visit(FIRST, 390, 844)
    for nav in ("families", "regimes"):
        box = browser.find_element(By.CSS_SELECTOR, f"#{nav} [aria-current]").rect
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390


def test_a_card_links_what_it_is_made_of(visit: Callable[..., Any]) -> None:
    browser = visit("#card=entry-03")
    card = browser.find_element(By.ID, "card")
    addresses = {each.text: each.get_attribute("href") for each in card.find_elements(By.CSS_SELECTOR, ".links a")}
    assert addresses["file closure.onnx"].endswith("submissions/entry-03/closure.onnx")
    assert addresses["permalink"].endswith("#card=entry-03")
    assert addresses["all numbers as text"].endswith("cards/entry-03.md")
    bib = card.find_element(By.CLASS_NAME, "bibtex").text
    assert bib.startswith("@misc{l96bench-entry-03,")
    assert "author = {somebody}" in bib
    head = [each.text for each in card.find_element(By.TAG_NAME, "thead").find_elements(By.TAG_NAME, "th")]
    assert GAP in head
    browser = visit("#card=entry-05")
    links = browser.find_element(By.ID, "card").find_elements(By.CSS_SELECTOR, ".links a")
    assert links[0].get_attribute("href").endswith("baselines/entry_05.py")


def test_print(visit: Callable[..., Any]) -> None:
    browser = visit(FIRST, 390, 844, "light")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert not browser.find_element(By.ID, "filters").is_displayed()
        assert not browser.find_element(By.ID, "theme").is_displayed()
        assert browser.find_element(By.ID, "table").value_of_css_property("overflow-x") == "visible"
        assert len(names(browser)) == 31
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_no_request_leaves_the_page(visit: Callable[..., Any]) -> None:
    browser = visit("#table=online-rollout/wilks-f20&card=entry-03")
    entries = browser.execute_script("return performance.getEntriesByType('resource').map((each) => each.name)")
    assert [each for each in entries if not each.startswith("data:")] == []


def test_ten_thousand_rows(browser: Any, make_result: Callable[..., Result], tmp_path: Path) -> None:
    """How fast they are painted is measured by `make bench`."""
    first = make_result("entry", 50.0)
    rows = [
        first.model_copy(
            update={
                "model": first.model.model_copy(update={"name": f"entry {i}"}),
                "predictions_digest": f"{i:064x}",
            }
        )
        for i in range(10_000)
    ]
    path = tmp_path / "many.html"
    path.write_text(page(make_tables(rows)), encoding="utf-8")
    browser.get(f"{path.as_uri()}#table=subgrid-forcing/wilks-f20")
    assert "10,000 rows" in until(browser, lambda driver: driver.find_element(By.ID, "count").text)
    assert len(names(browser)) == 100
    browser.find_element(By.ID, "next").click()
    assert "101 to 200" in browser.find_element(By.ID, "count").text
    browser.find_element(By.ID, "q").send_keys("9999")
    assert names(browser) == ["entry 9999"]

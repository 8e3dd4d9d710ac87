"""How fast a browser paints the board's page with ten thousand rows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from l96bench.board.page import page
from l96bench.board.tables import make_tables
from l96bench.results.record import Cost, Environment, Failures, ModelInfo, Result
from l96bench.results.score import Score, Value

if TYPE_CHECKING:
    from benchmarks.conftest import Measured

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium (the dev extra)")

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver on the PATH")
N_ROWS = 10_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser without a window."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a page with rows of one task, all of other names."""
    rng = np.random.default_rng(0)
    replicates = (50.0 + rng.standard_normal(200)).tolist()
    first = Result(
        task="subgrid-forcing/wilks-f20-v1",
        task_version=1,
        data_digests={"test": "ab" * 32},
        scorer_version="1",
        split="test",
        model=ModelInfo(name="entry", kind="network", inputs="X", parameters=100, command="run entry"),
        score=Score(value=50.0, low=48.0, high=52.0, method="bootstrap", replicates=replicates),
        metrics={"r2": Value(value=0.5), "rmse": Value(value=1.5, low=1.4, high=1.6)},
        failures=Failures(of=50),
        cost=Cost(training_seconds=5.0, microseconds_per_call=2.0, kernel_steps_per_call=2.2),
        environment=Environment(python="3.11", numpy="2.4", numba="0.68", cpu="any", platform="any"),
        predictions_digest="ef" * 32,
    )
    rows = [
        first.model_copy(
            update={
                "model": first.model.model_copy(update={"name": f"entry {i}"}),
                "predictions_digest": f"{i:064x}",
            }
        )
        for i in range(N_ROWS)
    ]
    path: Path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(page(make_tables(rows)), encoding="utf-8")
    return f"{path.as_uri()}#table=subgrid-forcing/wilks-f20"


def first_paint(browser: Any, address: str) -> float:
    """Seconds from the navigation to the first paint."""
    browser.get("about:blank")
    browser.get(address)
    browser.get_screenshot_as_png()  # has a frame drawn, if none was
    return browser.execute_script("return performance.getEntriesByType('paint')[0].startTime") / 1000.0


def test_first_paint(benchmark: Any, measured: Measured, browser: Any, address: str) -> None:
    """The quickest of three."""
    painted: list[float] = []
    benchmark.pedantic(lambda: painted.append(first_paint(browser, address)), rounds=3, warmup_rounds=1)
    name = f"first paint of {N_ROWS:,d} rows, s"
    benchmark.extra_info.update(measured.promise(name, min(painted), "<=", 2.0))

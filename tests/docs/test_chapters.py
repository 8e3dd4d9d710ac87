"""The chapters run, on small samples, and find what their pages say."""

import importlib
import re
import sys
from pathlib import Path

import pytest

CHAPTERS = Path(__file__).resolve().parents[2] / "docs" / "chapters"
NAMES = ("gcm", "neural_networks", "data_assimilation", "equation_discovery", "other_methods")
SCALE = 0.2


@pytest.fixture
def numbers(request, real_data, monkeypatch, tmp_path):
    """The numbers of one chapter, run on small samples, its page written and looked through."""
    monkeypatch.syspath_prepend(str(CHAPTERS))
    module = importlib.import_module(request.param)
    made = module.chapter(SCALE)
    made.write(tmp_path)
    page = (tmp_path / f"{request.param}.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", page)
    assert pictures
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in pictures)
    assert page.count("| yes ") + page.count("| **no** ") == len(made.claims)
    yield made.numbers
    for name in (*NAMES, "common"):
        sys.modules.pop(name, None)


def chapter(name):
    return pytest.mark.parametrize("numbers", [name], indirect=True, ids=[name])


@chapter("gcm")
def test_gcm(numbers):
    errors = {name: row[1] for name, row in numbers["sources"].items()}  # at 0.5 MTU
    assert max(errors, key=errors.get) == "no closure"
    assert numbers["euler"] > 0.05  # Euler's method at the book's step costs more than
    assert numbers["numerics_rk4"] < 0.03  # RK4 at five times that step
    assert errors["quartic of Wilks 2005"] < errors["linear closure"]
    assert numbers["mean_error"]["quartic, fitted"] < numbers["mean_error"]["linear, fitted"]
    assert numbers["short"] > 0.05  # the mean of 5 MTU is no reference
    assert numbers["crps_gain"].low > 0
    assert numbers["board_gain"].low > 0
    assert numbers["tuned_as_good"] < numbers["repeats"]
    assert abs(numbers["tuned_many"].value) < 0.02


@chapter("neural_networks")
def test_neural_networks(numbers):
    assert numbers["better"].low > 0
    assert numbers["offline"]["stencil network, scaled"].value > numbers["offline"]["local network"].value + 0.02
    assert numbers["book_spread"] < 0.1  # one fixed state: no closure can be told from another
    assert numbers["fair_ratio"].low > 1.2  # many states: they can
    assert numbers["own"] > 0.5
    assert all(swapped < right for right, swapped in numbers["swapped"].values())


@chapter("data_assimilation")
def test_data_assimilation(numbers):
    skills = numbers["skills"]
    assert abs(skills[0.1, "increments"]["share"] - 1.0) < 0.1
    assert skills[0.1, "increments"]["correlation"] > 0.98 > skills[1.0, "increments"]["correlation"]
    assert all(gain.low > 0 for gain in numbers["gain"].values())
    assert all(left.low > 0 for left in numbers["left"].values())
    assert numbers["again"].low > 0
    assert numbers["board_dense"].low > 0


@chapter("equation_discovery")
def test_equation_discovery(numbers):
    found = numbers["couplings"]
    assert found["weak", False]["f1"].value > 0.97
    assert found["strong", False]["f1"].high < found["strong", True]["f1"].low
    for coupling in ("weak", "strong"):  # what SINDy finds is the best linear closure, which is fitted to U
        assert found[coupling, True]["damping"].value == pytest.approx(found[coupling]["damping"], abs=0.05)
        assert found[coupling, True]["forcing"].value == pytest.approx(found[coupling]["forcing"], abs=0.2)
    network, linear, quadratic, fine, coarse, genetic = (each.value for each in numbers["independent"].values())
    assert network > quadratic > fine > coarse > linear
    assert genetic > coarse - 0.02


@chapter("other_methods")
def test_other_methods(numbers):
    sizes, choice = numbers["sizes"], numbers["choice"]
    assert choice["shuffled rows"] > choice["elsewhere"]
    at = list(numbers["leaves"]).index(choice["shuffled rows"])
    assert sizes["shuffled rows"][at] > sizes["elsewhere"][at] + 0.03
    assert sizes["training rows"][-1] > sizes["elsewhere"][-1] + 0.05
    assert numbers["memory_r2"].low > 0
    assert numbers["gp_ratio"] < 0.1
    assert numbers["inside"]["function"].high < 0.3
    assert numbers["inside"]["function and noise"].low > 0.97


@pytest.mark.parametrize("name", NAMES)
def test_committed_page(name):
    """Its pictures lie beside it and are small, and the index leads to it."""
    page = (CHAPTERS / f"{name}.md").read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", page)
    assert pictures
    assert all((CHAPTERS / each).stat().st_size < 120_000 for each in pictures)
    assert f"({name}.md)" in (CHAPTERS / "README.md").read_text(encoding="utf-8")

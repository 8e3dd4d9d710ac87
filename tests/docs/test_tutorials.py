"""The tutorials run, on small samples, and find what their texts say."""

import runpy
import sys
from pathlib import Path

import pytest

TUTORIALS = Path(__file__).resolve().parents[2] / "docs" / "tutorials"
NAMES = ("gcm", "neural_networks", "data_assimilation", "equation_discovery", "other_methods")
PARAMETERS = "scale = 1.0 "
SCALE = 0.2


@pytest.fixture
def numbers(request, real_data, monkeypatch, tmp_path):
    """The numbers of one tutorial, run on small samples."""
    pytest.importorskip("IPython")
    monkeypatch.syspath_prepend(str(TUTORIALS))
    text = (TUTORIALS / f"{request.param}.py").read_text(encoding="utf-8")
    assert text.count(PARAMETERS) == 1
    (tmp_path / "small.py").write_text(text.replace(PARAMETERS, f"scale = {SCALE} "), encoding="utf-8")
    made = runpy.run_path(str(tmp_path / "small.py"))["made"]
    pictures = [value for name, value in made.numbers.items() if name.startswith("picture of ")]
    assert pictures
    assert all(each.startswith(b"\x89PNG") for each in pictures)
    assert made.claims
    yield made.numbers
    sys.modules.pop("common", None)


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


def test_every_tutorial_is_on_the_site():
    """The list of tutorials is that of the files, and the index leads to each."""
    assert sorted(path.stem for path in TUTORIALS.glob("*.py")) == sorted([*NAMES, "common"])
    index = (TUTORIALS / "index.md").read_text(encoding="utf-8").split("```{toctree}")[1]
    assert index.split("\n\n")[1].split("\n```")[0].split() == list(NAMES)

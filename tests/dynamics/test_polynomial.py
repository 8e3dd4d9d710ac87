"""Polynomial closures, and the published ones against the numbers in their papers."""

from __future__ import annotations

import numpy as np
import pytest

from l96bench.dynamics.closures import Closure, checked_step
from l96bench.dynamics.polynomial import PUBLISHED, NoClosure, Polynomial
from l96bench.errors import UnknownIdError

X = np.random.default_rng(0).normal(3.0, 5.0, (40, 8))

# Typed from the papers, as the term that is SUBTRACTED from the tendency: coefficients, phi and sigma per 0.005 MTU.
PRINTED = {
    "wilks2005_f18": ([0.275, 1.59, -0.0190, -0.0130, 0.000707], 0.984, 1.74),
    "wilks2005_f20": ([0.262, 1.45, -0.0121, -0.00713, 0.000296], 0.986, 1.99),
    "arnold2013_c10": ([0.341, 1.30, -0.0136, -0.00235], 0.986, 1.99),
    "arnold2013_c4": ([-0.198, 0.575, -0.00550, -0.000223], 0.993, 2.12),
}


@pytest.mark.parametrize("degree", [0, 1, 4, 8])
def test_value_agrees_with_numpy(degree: int) -> None:
    coefficients = np.random.default_rng(degree).normal(size=degree + 1)
    polynomial = Polynomial(coefficients)
    expected = np.polynomial.polynomial.polyval(X, coefficients)
    assert polynomial.degree == degree
    np.testing.assert_allclose(polynomial.predict(X), expected, rtol=1e-12)
    np.testing.assert_array_equal(polynomial(X), polynomial.predict(X))
    np.testing.assert_array_equal(checked_step(polynomial, X), polynomial.predict(X))


def test_horner_order_is_fixed() -> None:
    c0, c1, c2, c3 = 0.1, -1.3, 0.07, -0.003
    expected = [((c3 * x + c2) * x + c1) * x + c0 for x in X.ravel().tolist()]  # Python floats: one rounding each
    np.testing.assert_array_equal(Polynomial([c0, c1, c2, c3])(X).ravel(), expected)


def test_a_polynomial_is_a_closure_and_does_not_change() -> None:
    given = np.array([1.0, 2.0])
    polynomial = Polynomial(given)
    given[0] = 5.0
    assert isinstance(polynomial, Closure)
    assert polynomial.deterministic
    assert polynomial.coefficients.dtype == np.float64
    np.testing.assert_array_equal(polynomial.coefficients, [1.0, 2.0])
    with pytest.raises(ValueError, match="read-only"):
        polynomial.coefficients[0] = 3.0
    with pytest.raises(AttributeError):
        polynomial.coefficients = given  # type: ignore[misc]
    assert repr(polynomial) == "Polynomial([1.0, 2.0])"
    assert polynomial == Polynomial([1, 2])
    assert polynomial != Polynomial([1, 3])
    assert len({polynomial, Polynomial([1.0, 2.0])}) == 1


def test_no_closure_adds_nothing() -> None:
    np.testing.assert_array_equal(NoClosure()(X), np.zeros_like(X))
    np.testing.assert_array_equal(NoClosure().coefficients, [0.0])
    assert repr(NoClosure()) == "NoClosure()"


@pytest.mark.parametrize("coefficients", [[], [[1.0]], 1.0, [1.0, np.nan], [np.inf]])
def test_unusable_coefficients_are_refused(coefficients: object) -> None:
    with pytest.raises(ValueError, match="non-empty list of finite numbers, lowest order first; got shape"):
        Polynomial(coefficients)


def test_published_numbers_are_those_of_the_papers_negated() -> None:
    assert set(PUBLISHED) == set(PRINTED)
    for id, (printed, phi, sigma) in PRINTED.items():
        closure = PUBLISHED[id]
        assert closure.id == id
        np.testing.assert_array_equal(closure.polynomial.coefficients, np.negative(printed))
        assert (closure.phi, closure.sigma, closure.noise_interval) == (phi, sigma, 0.005)
        assert closure.source[:5] in ("Wilks", "Arnol")
        assert closure.regimes


def test_published_closures_damp_warm_points_and_warm_cold_ones() -> None:
    for closure in PUBLISHED.values():
        assert closure.polynomial(np.array(8.0)) < 0 < closure.polynomial(np.array(-4.0))


def test_stochastic_form_is_rescaled_to_the_step() -> None:
    closure = PUBLISHED["wilks2005_f18"].stochastic(dt=0.01)
    assert closure.phi_dt == pytest.approx(0.984**2, rel=1e-12)
    closure.start(4000, np.random.default_rng(0))
    states = np.zeros((4000, 8))
    residual = closure.step(states) + 0.275
    assert residual.std() == pytest.approx(1.74, rel=0.02)


def test_an_unknown_id_names_the_nearest() -> None:
    with pytest.raises(UnknownIdError, match=r"No published closure 'wilks2005_f19'.*wilks2005_f18"):
        PUBLISHED["wilks2005_f19"]
    assert "wilks2005_f19" not in PUBLISHED
    assert PUBLISHED.get("nothing") is None
    assert len(PUBLISHED) == 4


def test_the_registry_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        PUBLISHED["mine"] = PUBLISHED["wilks2005_f18"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        PUBLISHED["wilks2005_f18"].phi = 0.5  # type: ignore[misc]

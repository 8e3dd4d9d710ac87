"""pysindy's models and ready equations as models of the benchmark."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LassoCV, LinearRegression

from l96bench.equations.discoverers import KnownEquations, PySINDyRegression, as_discoverer
from l96bench.equations.library import RingLibrary
from l96bench.equations.regression import SparseRegression
from l96bench.errors import ModelError

ps = pytest.importorskip("pysindy")


def weak(t: np.ndarray) -> Any:
    quadratics = ps.PolynomialLibrary(2, include_bias=False)
    library = ps.WeakPDELibrary(quadratics, spatiotemporal_grid=t, K=200, H_xt=0.2, include_bias=True)
    return ps.SINDy(ps.STLSQ(0.1), library)


MODELS = {
    "default": ps.SINDy(),
    "SR3": ps.SINDy(
        ps.SR3(reg_weight_lam=0.01, unbias=True, max_iter=100), ps.PolynomialLibrary(2), ps.SmoothedFiniteDifference()
    ),
    "ensemble": ps.SINDy(ps.EnsembleOptimizer(ps.STLSQ(0.1), bagging=True, n_models=5), ps.PolynomialLibrary(2)),
    "functions": ps.SINDy(
        feature_library=ps.CustomLibrary(
            [lambda x: x, lambda x, y: x * y], [lambda x: x, lambda x, y: f"{x} * {y}"], include_bias=True
        )
    ),
    "joined": ps.SINDy(feature_library=ps.PolynomialLibrary(1) + ps.PolynomialLibrary(2, include_bias=False)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_models_of_pysindy(ring: Any, name: str) -> None:
    model = as_discoverer(MODELS[name])
    assert isinstance(model, PySINDyRegression)
    texts = clone(model).fit(ring.X, ring.t).equations()
    assert ring.error(texts) < 0.05
    assert not hasattr(MODELS[name].optimizer, "coef_")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*axes labeled")
def test_the_weak_library_of_pysindy(ring: Any) -> None:
    np.random.seed(0)  # noqa: NPY002 (where pysindy draws its windows from)
    for model in (PySINDyRegression(weak), as_discoverer(weak(ring.t))):
        assert ring.error(clone(model).fit(ring.X, ring.t).equations()) < 1e-3


@pytest.mark.slow
def test_functions_that_are_no_monomials(ring: Any) -> None:
    model = PySINDyRegression(ps.SINDy(ps.STLSQ(0.0), ps.FourierLibrary(2))).fit(ring.X, ring.t)
    tendency = ring.parse(model.equations()).tendency(ring.X)
    np.testing.assert_allclose(tendency, model.model_.predict(ring.X), rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_two_scales(two_rings: Any) -> None:
    library = ps.PolynomialLibrary(2)
    model = as_discoverer(ps.SINDy(ps.STLSQ(0.05), library), J=3).fit(two_rings.X, two_rings.t)
    tendency = two_rings.parse(model.equations()).tendency(two_rings.X)
    np.testing.assert_allclose(tendency, model.model_.predict(two_rings.X), rtol=1e-6, atol=1e-6)


@pytest.mark.slow
def test_models_that_give_no_equation_for_each_variable(ring: Any) -> None:
    model = PySINDyRegression(ps.SINDy()).fit(ring.X, ring.t)
    model.model_.optimizer.coef_ = model.model_.optimizer.coef_[:2]
    with pytest.raises(ModelError, match=r"each of 6 variables .* \(2, 28\)"):
        model.equations()


def test_parameters_stay_together() -> None:
    model = PySINDyRegression(ps.SINDy(), J=3)
    assert model.get_params().keys() == {"model", "J"}
    copy = clone(model)
    assert copy.J == 3
    assert copy.model is not model.model


def test_what_is_a_model_already_is_left_alone() -> None:
    for model in (KnownEquations(["0"]), SparseRegression(LinearRegression()), PySINDyRegression(ps.SINDy())):
        assert as_discoverer(model) is model


@pytest.mark.slow
@pytest.mark.parametrize("estimator", [LinearRegression(), LassoCV(), ps.STLSQ()], ids=lambda each: type(each).__name__)
def test_regressors_get_candidates(two_rings: Any, estimator: Any) -> None:
    model = as_discoverer(estimator, J=3)
    assert isinstance(model, SparseRegression)
    assert model.library == RingLibrary(J=3)
    assert model.estimator is estimator


@pytest.mark.parametrize(
    "thing", [None, "0", LinearRegression, object(), ps.PolynomialLibrary()], ids=lambda thing: type(thing).__name__
)
def test_what_can_be_no_model(thing: Any) -> None:
    with pytest.raises(ModelError, match="expected a model with fit"):
        as_discoverer(thing)


def test_known_equations_learn_nothing(ring: Any) -> None:
    model = clone(KnownEquations(ring.texts)).fit(np.zeros((3, 6)), np.arange(3.0))
    assert ring.error(model.equations()) == 0.0

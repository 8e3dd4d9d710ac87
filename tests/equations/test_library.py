"""Candidate terms: their number, their values and their texts."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from l96bench.equations import EquationSet
from l96bench.equations.library import RingLibrary
from l96bench.errors import ModelError

K, J = 5, 3


@pytest.mark.parametrize("degree", [1, 2, 3])
@pytest.mark.parametrize("radius", [0, 1, 2, None])
def test_there_are_as_many_terms_as_monomials(degree: int, radius: int | None) -> None:
    (slow,) = RingLibrary(degree, radius).candidates(K)
    width = K if radius is None else 2 * radius + 1
    assert len(slow.terms) == len(set(slow.terms)) == comb(width + degree, degree)


def test_what_couples_the_scales_is_added() -> None:
    slow, fast = RingLibrary(2, 2, J).candidates(K + K * J)
    assert len(slow.terms) == comb(7, 2) + J
    assert len(fast.terms) == comb(7, 2) + 1
    slow, _ = RingLibrary(2, 2, J, pooled=True).candidates(K + K * J)
    assert len(slow.terms) == comb(7, 2) + 1


@pytest.mark.parametrize(
    "library", [RingLibrary(2, 2), RingLibrary(3), RingLibrary(2, 1, J), RingLibrary(2, 2, J, True)]
)
@pytest.mark.parametrize("shared", [True, False])
def test_texts_say_what_features_are(library: RingLibrary, shared: bool) -> None:
    rng = np.random.default_rng(0)
    n_state = K + K * library.J
    states = rng.standard_normal((20, n_state))
    kinds = library.candidates(n_state)
    texts, tendencies = [], []
    for kind in kinds:
        shape = len(kind.terms) if shared else (kind.n_targets, len(kind.terms))
        coefficients = rng.standard_normal(shape)
        texts += [kind.shared_text(coefficients)] if shared else kind.texts(coefficients)
        features = kind.features(states[:, :K], states[:, K:])
        tendencies.append(np.einsum("tvi,...i->tv" if shared else "tvi,vi->tv", features, coefficients))
    read = EquationSet.parse(texts, K, library.J)
    np.testing.assert_allclose(read.tendency(states), np.hstack(tendencies), rtol=1e-7, atol=1e-7)


def test_texts_have_ten_digits_and_leave_out_what_is_zero() -> None:
    (slow,) = RingLibrary(1, 1).candidates(K)
    assert slow.shared_text(np.array([1 / 3, 0.0, -2.0, 1e-5])) == "dX[k]/dt = 0.3333333333 - 2*X[k] + 1e-05*X[k+1]"
    assert slow.texts(np.zeros((K, 4)))[4] == "dX[4]/dt = 0"


def test_states_that_no_ring_has() -> None:
    with pytest.raises(ModelError, match="J = 3, got 7"):
        RingLibrary(J=J).candidates(7)
    with pytest.raises(ModelError, match="needs 5 points, there are 4"):
        RingLibrary(radius=2).candidates(4)

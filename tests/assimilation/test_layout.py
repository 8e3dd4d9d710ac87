"""Localization against the published function, and what it must be to make covariances."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from l96bench.assimilation.layout import GLOBAL, Layout, gaspari_cohn, groups, ring_taper, taper_between
from l96bench.errors import L96BenchError


def test_gaspari_cohn_at_known_distances() -> None:
    """Their equation 4.10: 1 at 0, 5/24 at c, 0 from 2 c on, smooth and falling."""
    assert_allclose(gaspari_cohn([0.0, 3.0, 6.0, 60.0], 3.0), [1, 5 / 24, 0, 0], atol=1e-15)
    z = np.linspace(0, 2.2, 2001)
    slope = np.gradient(gaspari_cohn(z, 1.0), z)
    assert np.abs(np.diff(slope)).max() < 0.006
    assert (np.diff(gaspari_cohn(z, 1.0)) <= 0).all()
    # The Gaussian that it resembles has L = c sqrt(3 / 10) (Lorenc 2003).
    assert_allclose(gaspari_cohn(z, 1.0), np.exp(-0.5 * z**2 / 0.3), atol=0.06)


@pytest.mark.parametrize("radius", [1.0, 2.5, 7.28, 10.0])
def test_a_taper_is_a_correlation_on_the_ring(radius: float) -> None:
    K = 40
    taper = ring_taper(K, radius)
    matrix = taper[(np.arange(K) - np.arange(K)[:, None]) % K]
    assert_array_equal(matrix, matrix.T)
    assert np.linalg.eigvalsh(matrix).min() > -1e-12


def test_no_localization() -> None:
    assert_array_equal(ring_taper(8, np.inf), np.ones(8))
    for radius in (0.0, -1.0, np.nan):
        with pytest.raises(L96BenchError, match="positive localization radius"):
            gaspari_cohn(1.0, radius)


def test_groups_and_global_components() -> None:
    layout = Layout(4, (0, 1, 2, 3, 3, 0, GLOBAL, 1))
    order, starts = groups(layout, True)
    members = [sorted(order[starts[k] : starts[k + 1]].tolist()) for k in range(5)]
    assert members == [[0, 5], [1, 7], [2], [3, 4], [6]]
    order, starts = groups(layout, False)
    assert order[starts[4] :].tolist() == list(range(8))
    taper = taper_between(layout, np.array([[0, 2]]), 0.5)
    assert_array_equal(taper[0, :, 0], [1, 0, 0, 0, 0, 1, 1, 0])
    assert layout.coefficients.tolist() == [6]


@pytest.mark.parametrize("positions", [(0, 1, 2), (1, 0, 2, 3), (0, 1, 2, 3, 4), (0, 1, 2, 3, -2)])
def test_states_begin_with_X(positions: tuple[int, ...]) -> None:
    with pytest.raises(L96BenchError, match=r"begin with 0 \.\. 3"):
        Layout(4, positions)

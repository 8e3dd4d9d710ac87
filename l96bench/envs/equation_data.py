"""Correlations of candidate terms with the tendency along a trajectory, and actions as coefficients of the terms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from l96bench.data.instances import RecoveryTrack
from l96bench.equations.derivatives import WeakForm
from l96bench.equations.library import Candidates, RingLibrary

Array = NDArray[np.float64]

ACTION_SCALE = 3.0
"""Coefficient of a term for an action of 1, over the one with which the term alone is as large as the tendency."""
DEAD_ZONE = 0.003
"""Smaller actions leave a term out."""
CUT_OFF = 10.0
"""The largest size of an observation."""
BLOCK = 5.0
"""MTU of the blocks that windows of data are made of; the shortest budget."""
STRIDE = 4
"""Samples from one window of the weak form to the next."""
_HALF_WIDTH = 10
"""Samples to each side of a window's centre."""
_WEAK_FORM = WeakForm(half_width=_HALF_WIDTH)


def candidates_of(track: RecoveryTrack) -> tuple[Candidates, ...]:
    """Return the library of each kind of variable that the track shows; all of the same size."""
    J = 0 if track.hidden else track.J
    return RingLibrary(degree=2, radius=2, J=J, pooled=True).candidates(track.K * (1 + J))


def block_of(states: Array, track: RecoveryTrack, block: int) -> Array:
    """Return a block of observed states (time, n), and those after it that its last windows reach."""
    length = round(BLOCK / track.interval)
    return states[block * length : (block + 1) * length + 2 * _HALF_WIDTH]


def windows(candidates: Candidates, states: Array, track: RecoveryTrack) -> tuple[Array, Array]:
    """Return weak-form terms (window, variable, term) and tendency (window, variable) of one kind of variable."""
    X, Y = states[:, : track.K], states[:, track.K :]
    _, (scheme,) = _WEAK_FORM.schemes([X if candidates.kind == "X" else Y], track.interval, [STRIDE])
    return candidates.features(X, Y, scheme.project), scheme.tendency


def sums_of_block(states: Array, track: RecoveryTrack) -> tuple[Array, Array, Array]:
    """Return the `sums` of the windows of a block of states, by kind of variable: (K, kind, ..)."""
    return stacked([sums(*windows(each, states, track), track.K) for each in candidates_of(track)], axis=1)


def sums(features: Array, tendency: Array, K: int) -> tuple[Array, Array, Array]:
    """Return products terms x terms, terms x tendency, tendency x tendency (K, ..), of features (row, variable, term).

    All rows of a grid point go together: its variables of this kind, at all times.
    """
    n_terms = features.shape[2]
    A = features.reshape(len(features), K, -1, n_terms).swapaxes(0, 1).reshape(K, -1, n_terms)
    y = tendency.reshape(len(tendency), K, -1).swapaxes(0, 1).reshape(K, -1)
    return A.swapaxes(1, 2) @ A, (A.swapaxes(1, 2) @ y[:, :, None])[:, :, 0], (y * y).sum(axis=1)


def stacked(parts: list[tuple[Array, Array, Array]], axis: int = 0) -> tuple[Array, Array, Array]:
    """Return several `sums` as one with a new axis."""
    gram, moment, square = (np.stack(part, axis=axis) for part in zip(*parts, strict=True))
    return gram, moment, square


def normalized(gram: Array, moment: Array, square: Array, local: bool) -> tuple[Array, Array, Array]:
    """Return correlations of terms, those with the tendency, and the terms' units, from `sums` (K, kind, ..).

    The first axis of each are the agents: with `local` the points, otherwise one for all of them.
    """
    if not local:
        gram, moment, square = (part.sum(axis=0, keepdims=True) for part in (gram, moment, square))
    norm, size = np.sqrt(np.diagonal(gram, axis1=-2, axis2=-1)), np.sqrt(square)[..., None]
    return gram / (norm[..., :, None] * norm[..., None, :]), moment / (norm * size), size / norm


def acted(actions: NDArray[np.float32]) -> Array:
    """Return actions as they count: 0 inside of the dead zone."""
    return np.where(np.abs(actions) < DEAD_ZONE, 0.0, actions.astype(np.float64))


def seen(moment: Array, left: Array, actions: Array, residual: Array) -> Array:
    """Return what agents see of their correlations and present actions (.., kind, term) and residuals (.., kind)."""
    lead = residual.shape[:-1]
    parts = [part.reshape(*lead, -1) for part in (moment, left, actions, residual)]
    return np.clip(np.concatenate(parts, axis=-1), -CUT_OFF, CUT_OFF)


def texts_of(candidates: tuple[Candidates, ...], actions: Array, scale: Array, local: bool) -> list[str]:
    """Return the equations that actions (agent, kind, term) make, in the terms' units `scale`."""
    coefficients = ACTION_SCALE * actions * scale
    texts: list[str] = []
    for i, each in enumerate(candidates):
        if local:
            texts += each.texts(np.repeat(coefficients[:, i], each.n_targets // each.K, axis=0))
        else:
            texts.append(each.shared_text(coefficients[0, i]))
    return texts

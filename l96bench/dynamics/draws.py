"""Random numbers: one stream for each purpose and experiment, and normal numbers with the same bits everywhere."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from l96bench.checks import checked_seed, seed_words
from l96bench.errors import L96BenchError
from l96bench.jit import kernel

__all__ = ["Seed", "draw_normals", "draw_subsets", "standard_normal", "streams"]

Seed = int | Sequence[int | Sequence[int]]
Streams = Sequence[np.random.Generator]

_CENTRE = (
    (3.3871328727963666080, 133.14166789178437745, 1971.5909503065514427, 13731.693765509461125),
    (45921.953931549871457, 67265.770927008700853, 33430.575583588128105, 2509.0809287301226727),
    (1.0, 42.313330701600911252, 687.18700749205790830, 5394.1960214247511077),
    (21213.794301586595867, 39307.895800092710610, 28729.085735721942674, 5226.4952788528545610),
)
_MIDDLE = (
    (1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550, 3.64784832476320460504),
    (1.27045825245236838258, 0.241780725177450611770, 0.0227238449892691845833, 7.7454501427834140764e-4),
    (1.0, 2.05319162663775882187, 1.67638483018380384940, 0.689767334985100004550),
    (0.148103976427480074590, 0.0151986665636164571966, 5.475938084995344946e-4, 1.05075007164441684324e-9),
)
_TAIL = (
    (6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580, 0.296560571828504891230),
    (0.0265321895265761230930, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7),
    (1.0, 0.599832206555887937690, 0.136929880922735805310, 0.0148753612908506148525),
    (7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15),
)


@kernel
def portable_log(x: float) -> float:
    """Return the natural logarithm of a positive number: 2 artanh((m - 1) / (m + 1)) + exponent log 2, m near 1."""
    m, exponent = math.frexp(x)
    if m < 0.70710678118654752:
        m *= 2.0
        exponent -= 1
    s = (m - 1.0) / (m + 1.0)
    square, total = s * s, 0.0
    for k in range(23, 0, -2):
        total = total * square + 1.0 / k
    return 2.0 * s * total + exponent * 0.69314718055994531


@kernel
def _ratio(table: tuple[tuple[float, ...], ...], r: float) -> float:
    """Return the ratio of the two polynomials of degree 7 in the table, lowest order first."""
    above, below = 0.0, 0.0
    for row in range(1, -1, -1):
        for i in range(3, -1, -1):
            above = above * r + table[row][i]
            below = below * r + table[row + 2][i]
    return above / below


@kernel
def _quantiles(uniforms: NDArray) -> None:
    """Turn uniform numbers into standard normal quantiles in place (AS 241, Wichura 1988, Appl. Stat. 37, 477)."""
    for i in range(uniforms.size):
        u = uniforms[i]
        q = (u - 0.5) + 2.0**-54
        if abs(q) <= 0.425:
            uniforms[i] = q * _ratio(_CENTRE, 0.180625 - q * q)
            continue
        tail = u + 2.0**-54 if q < 0.0 else (1.0 - u) - 2.0**-54
        r = math.sqrt(-portable_log(tail))
        x = _ratio(_MIDDLE, r - 1.6) if r <= 5.0 else _ratio(_TAIL, r - 5.0)
        uniforms[i] = -x if q < 0.0 else x


def standard_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return independent standard normal numbers of that shape from the uniform numbers of `rng`."""
    out = rng.random(shape)
    _quantiles(out.reshape(-1))
    return out


def draw_normals(rngs: Streams, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return standard normal numbers (experiment, ...) of that shape for every experiment, each from its own stream."""
    out = np.empty((len(rngs), *shape))
    for i, rng in enumerate(rngs):
        rng.random(out=out[i])
    _quantiles(out.reshape(-1))
    return out


def draw_subsets(rng: np.random.Generator, n_draws: int, K: int, size: int) -> NDArray[np.int64]:
    """Return random subsets (draw, size) of the points 0 .. K - 1, each sorted and without repetition."""
    return np.sort(np.argsort(rng.random((n_draws, K)), axis=1)[:, :size], axis=1)


def words_of(seed: Seed, n_experiments: int) -> list[list[int]]:
    """Return the seed words of every experiment: those given, or `seed` followed by the experiment's number."""
    if isinstance(seed, str) or not hasattr(seed, "__iter__"):
        return [[checked_seed(seed), i] for i in range(n_experiments)]
    words = [seed_words(each) for each in seed]
    if len(words) != n_experiments:
        raise L96BenchError(f"expected one seed, or one for each of {n_experiments} experiments, got {len(words)}")
    return words


def streams(seed: Seed, n_experiments: int, purpose: int) -> list[np.random.Generator]:
    """Return a generator for each experiment; different purposes are independent, equal seeds give equal numbers."""
    sequences = [np.random.SeedSequence(words, spawn_key=(purpose,)) for words in words_of(seed, n_experiments)]
    return [np.random.Generator(np.random.PCG64(sequence)) for sequence in sequences]

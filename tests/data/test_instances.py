"""What is drawn: coefficients, seeds, and equations that say what is integrated."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, astuple, replace

import numpy as np
import pytest
from scipy.stats import kstest

from l96bench.data import instances as module
from l96bench.data.instances import (
    RECOVERY_TRACKS,
    Instance,
    draw_instance,
    get_track,
    instances,
    textbook_instance,
)
from l96bench.dynamics.generalized import Coefficients, advance, random_state
from l96bench.equations import EquationSet
from l96bench.errors import BlowUpError, L96BenchError, UnknownIdError
from l96bench.regimes import Regime, get_regime

BASES = ("single", "two-scale", "hidden")
every_base = pytest.mark.parametrize("base", BASES)


def ratios(instance: Instance) -> dict[str, float]:
    """Each coefficient over what it was drawn around."""
    o, t = instance.coefficients, instance.textbook
    found = {name: getattr(o, name) / getattr(t, name) for name in ("a1", "d", "F")} | {"a2": o.a2 / o.a1}
    if instance.J:
        found |= {name: getattr(o, name) / getattr(t, name) for name in ("hx", "p1", "c", "hy")} | {"p2": o.p2 / o.p1}
    return found


# Tracks.


def test_tracks_are_those_of_the_design() -> None:
    assert list(RECOVERY_TRACKS) == [*BASES, *(f"{base}-coarse" for base in BASES)]
    assert [track.J for track in RECOVERY_TRACKS.values()] == 2 * [0, 8, 32]
    for id, track in RECOVERY_TRACKS.items():
        assert (track.id, track.base) == (id, id.removesuffix("-coarse"))
        assert track.K == 8
        assert track.interval == (0.05 if id.endswith("-coarse") else 0.01)
        assert (track.noises, track.budgets, track.n_instances) == ((0.0, 0.01, 0.05, 0.1), (5.0, 20.0, 100.0), 10)
        assert track.hidden == (track.base == "hidden")
        assert get_track(id) is get_track(track) is track


def test_unknown_tracks() -> None:
    with pytest.raises(UnknownIdError, match=r"no track 'singel'\. Did you mean 'single'"):
        instances("singel")


# Draws.


@pytest.mark.slow
@every_base
def test_coefficients_are_near_the_textbook_but_not_there(base: str) -> None:
    for instance in [*instances(base), *instances(base, 11)]:
        for name, ratio in ratios(instance).items():
            least, most = (0.05, 0.15) if name in ("a2", "p2") else (0.1, 0.3)
            assert least - 1e-3 <= abs(ratio - 1) <= most + 1e-3, (name, ratio)
        for number in astuple(instance.coefficients):
            assert float(f"{number:.4g}") == number


def test_draws_are_uniform_on_either_side() -> None:
    """Of the draws themselves, of which a track keeps those that are bounded and chaotic."""
    textbook = Coefficients.of(get_regime("wilks-f18"))
    drawn = [module._draw(textbook, [1, 2, i]) for i in range(400)]
    for name in ("a1", "d", "F", "hx", "p1", "c", "hy"):
        away = np.array([getattr(o, name) / getattr(textbook, name) - 1 for o in drawn])
        for side in (away[away > 0], -away[away < 0]):
            assert 150 < len(side) < 250
            assert kstest(side, "uniform", (0.1, 0.2)).pvalue > 1e-3
    assert abs(np.corrcoef([[o.a1, o.d, o.F, o.hx, o.c, o.hy] for o in drawn], rowvar=False) - np.eye(6)).max() < 0.2


@pytest.mark.slow
@every_base
def test_instances_differ_and_are_drawn_again_alike(base: str) -> None:
    registered, other = instances(base), instances(base, 11)
    every = [*registered, *other, draw_instance(base, 0, 0), draw_instance(base, 0, 2**40)]
    assert len({instance.words for instance in every}) == len({instance.coefficients for instance in every}) == 22
    assert [instance.index for instance in other] == list(range(10))
    assert draw_instance.__wrapped__(base, 4, 11) == other[4]
    assert instances(f"{base}-coarse") == registered


@pytest.mark.slow
def test_bases_have_streams_of_their_own() -> None:
    assert instances("single")[0].words[0] != instances("hidden")[0].words[0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [None, 11])
def test_hidden_instances_are_around_weak_and_strong_coupling(seed: int | None) -> None:
    found = instances("hidden", seed)
    assert {instance.textbook for instance in found[:5]} == {Coefficients.of(get_regime("weak-h01"))}
    assert {instance.textbook for instance in found[5:]} == {Coefficients.of(get_regime("wilks-f18"))}


@pytest.mark.slow
def test_single_scale_instances_are_chaotic() -> None:
    assert all(0.5 < instance.clock < 6 for instance in [*instances("single"), *instances("single", 11)])
    assert {instance.clock for base in BASES[1:] for instance in instances(base)} == {1.0}


def usable(o: Coefficients, J: int = 0) -> bool:
    return module._usable(o, 8, J, [1])


@pytest.mark.slow
def test_systems_that_run_away_die_or_repeat_themselves_are_not_usable() -> None:
    strong = Coefficients.of(get_regime("wilks-f18"))
    assert usable(Coefficients(1.0, 1.1, 1.0, 10.0))
    assert usable(replace(strong, F=28.0), 32)
    wild = Coefficients(1.5, 0.5, 1.0, 10.0)
    X, Y = random_state(wild, 8, 0, [1])
    advance(wild, X, Y, 100_000)
    assert not np.abs(X).max() < 1e3
    assert not usable(wild)
    assert not usable(Coefficients(1.0, 1.0, 1.0, 0.5))
    assert not usable(Coefficients(1.0, 1.0, 1.0, 3.0))
    assert not usable(replace(strong, F=13.0, d=1.2), 32)


def test_such_systems_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    still, good = Coefficients(1.0, 1.0, 1.0, 0.5), Coefficients(1.0, 1.1, 1.0, 10.0)
    queue = [still, still, good]
    monkeypatch.setattr(module, "_draw", lambda textbook, words: queue[words[-1]])
    assert draw_instance.__wrapped__("single", 0).coefficients == good
    monkeypatch.setattr(module, "_MAX_ATTEMPTS", 2)
    with pytest.raises(BlowUpError, match="no usable system of 'single' in 2 draws"):
        draw_instance.__wrapped__("single", 0)


def test_negative_seeds() -> None:
    with pytest.raises(L96BenchError, match="expected seed as a whole number from 0 on, got -1"):
        instances("single", -1)


# Instances.


@pytest.mark.slow
def test_an_instance_is_a_value() -> None:
    instance = instances("two-scale")[3]
    assert pickle.loads(pickle.dumps(instance)) == instance
    assert hash(instance) == hash(replace(instance))
    with pytest.raises(FrozenInstanceError):
        instance.index = 4  # type: ignore[misc]
    sizes = {base: (each.J, each.observed_J, each.n_state) for base in BASES for each in instances(base)[:1]}
    assert sizes == {"single": (0, 0, 8), "two-scale": (8, 8, 72), "hidden": (32, 0, 8)}


@pytest.mark.slow
@every_base
def test_the_texts_say_what_the_tendency_computes(base: str) -> None:
    for instance in instances(base)[:2]:
        equations = EquationSet.parse(instance.texts, instance.K, instance.observed_J)
        states = 5 * np.random.default_rng(0).standard_normal((6, instance.n_state))
        np.testing.assert_allclose(equations.tendency(states), instance.tendency(states), rtol=1e-12, atol=1e-9)
        around = replace(instance, coefficients=instance.textbook)
        assert instance.textbook_texts == around.texts != instance.texts
        assert equations.support == EquationSet.parse(around.texts, instance.K, instance.observed_J).support


@pytest.mark.slow
@every_base
def test_the_tendency_is_that_of_the_integration(base: str) -> None:
    """(x(dt) - x(-dt)) / 2 dt of the kernels, with the hidden tendency added."""
    instance = instances(base)[7]
    o = instance.coefficients
    X, Y = random_state(o, instance.K, instance.J, [1])
    advance(o, X, Y, 3000)
    state = np.concatenate([X, Y.ravel()])[None, : instance.n_state]
    U = -o.hx * Y.sum(axis=1)[None] if instance.hidden else None
    moved = []
    for dt in (1e-6, -1e-6):
        x, y = X.copy(), Y.copy()
        advance(o, x, y, 1, dt)
        moved.append(np.concatenate([x, y.ravel()])[: instance.n_state])
    expected = (moved[0] - moved[1]) / 2e-6
    np.testing.assert_allclose(instance.tendency(state, U)[0], expected, atol=1e-7 * np.abs(expected).max())


def test_textbook_instances() -> None:
    weak = textbook_instance("weak-h01")
    assert weak.coefficients == weak.textbook == Coefficients(1.0, 1.0, 1.0, 18.0, 0.1, 100.0, 100.0, 10.0, 0.1)
    assert weak.texts == ["dX[k]/dt = 1.0*X[k-1]*X[k+1] - 1.0*X[k-1]*X[k-2] - 1.0*X[k] + 18.0"]
    assert (weak.base, weak.K, weak.J, weak.n_state) == ("hidden", 8, 32, 8)
    assert textbook_instance("lorenz96-k40").base == textbook_instance("single").base == "single"
    both = textbook_instance("two-scale")
    assert (both.base, both.n_state, len(both.texts)) == ("two-scale", 72, 2)
    assert textbook_instance(Regime("mine", 6, 4, 9)).coefficients.F == 9.0
    assert len({textbook_instance(id).words for id in ("weak-h01", "wilks-f18", "single", "two-scale")}) == 4
    with pytest.raises(UnknownIdError, match="weak-h01"):
        textbook_instance("weak-h1")
    with pytest.raises(L96BenchError, match="local coupling"):
        textbook_instance("conservative-f12")

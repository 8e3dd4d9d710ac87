"""The table of regimes against the literature, and what `Regime` refuses."""

from __future__ import annotations

import hashlib
from dataclasses import FrozenInstanceError, replace

import pytest

from l96bench.errors import L96BenchError, UnknownIdError
from l96bench.regimes import REGIMES, SHIFT, Regime, get_regime, list_regimes

# K, J, F, h, b, c, as printed in the sources that the regimes cite.
TABLE = {
    "wilks-f18": (8, 32, 18, 1, 10, 10),
    "wilks-f20": (8, 32, 20, 1, 10, 10),
    "arnold-c4": (8, 32, 20, 1, 10, 4),
    "wide-k36": (36, 10, 10, 1, 10, 10),
    "da-k40": (40, 10, 10, 1, 10, 10),
    "weak-h01": (8, 32, 18, 0.1, 10, 10),
    "conservative-f12": (8, 32, 12, 1, 10, 10),
}


@pytest.mark.parametrize("name", TABLE)
def test_two_scale_parameters(name: str) -> None:
    regime = get_regime(name)
    assert (regime.K, regime.J, regime.F, regime.h, regime.b, regime.c) == TABLE[name]
    assert regime.scales == 2
    assert regime.state_shapes == ((regime.K,), (regime.K, regime.J))
    assert regime.coupling == ("flux" if name == "conservative-f12" else "local")


def test_single_scale_parameters() -> None:
    regime = get_regime("lorenz96-k40")
    assert (regime.K, regime.J, regime.F, regime.scales, regime.state_shapes) == (40, 0, 8, 1, ((40,),))


def test_three_scale_parameters() -> None:
    regime = get_regime("three-scale")
    assert (regime.K, regime.J, regime.I, regime.F, regime.h) == (8, 8, 8, 20, 1)
    assert regime.b == regime.c == regime.d == regime.e == regime.g == 10
    assert regime.state_shapes == ((8,), (8, 8), (8, 8, 8))


def test_every_regime_is_listed_once_with_its_source() -> None:
    own = list_regimes()[: len(REGIMES)]  # others may have been registered
    assert sorted(own) == sorted([*TABLE, "lorenz96-k40", "three-scale"])
    assert all(regime.source for regime in REGIMES)
    assert len({regime.word for regime in REGIMES}) == len(REGIMES)


def test_seed_word_is_the_start_of_the_sha256() -> None:
    regime = get_regime("wilks-f20")
    assert regime.word == int(hashlib.sha256(b"wilks-f20").hexdigest()[:8], 16)


def test_shifted_changes_the_forcing_alone() -> None:
    regime = get_regime("arnold-c4")
    assert SHIFT == 4.0
    assert regime.shifted() == replace(regime, F=24.0)
    assert regime.shifted(-2.0).F == 18.0


def test_get_regime_returns_a_regime_as_it_is() -> None:
    mine = Regime("mine", 5, 3, 8.0)
    assert get_regime(mine) is mine


@pytest.mark.parametrize(
    ("asked", "meant"), [("wilks-f2O", "wilks-f20"), ("lorenz96", "lorenz96-k40"), ("arnold", "arnold-c4")]
)
def test_unknown_id_names_the_nearest(asked: str, meant: str) -> None:
    with pytest.raises(UnknownIdError, match=meant) as caught:
        get_regime(asked)
    assert isinstance(caught.value, KeyError)
    assert asked in str(caught.value)


def test_unknown_id_without_anything_near_lists_all() -> None:
    with pytest.raises(UnknownIdError) as caught:
        get_regime("qqq")
    assert all(name in str(caught.value) for name in list_regimes())


def test_regimes_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        get_regime("wilks-f20").F = 3.0  # type: ignore[misc]


@pytest.mark.parametrize(
    "wrong",
    [
        {"K": 3},
        {"J": -1},
        {"J": 0, "I": 4},
        {"I": -1},
        {"F": float("nan")},
        {"h": float("inf")},
        {"b": 0.0},
        {"d": 0.0},
        {"coupling": "global"},
    ],
)
def test_impossible_regimes_are_refused(wrong: dict[str, object]) -> None:
    fields: dict[str, object] = {"id": "mine", "K": 8, "J": 4, "F": 8.0} | wrong
    with pytest.raises(L96BenchError, match="mine"):
        Regime(**fields)  # type: ignore[arg-type]

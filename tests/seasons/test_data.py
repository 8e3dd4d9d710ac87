"""Seasons' data: unpredictable without the secret, the same for everybody with it, like the public data otherwise."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from l96bench.data.generate import generate
from l96bench.data.splits import DATA_REGIMES, Cases, get_split, split_seed
from l96bench.data.store import array_digest, cache_folder
from l96bench.errors import DataError
from l96bench.regimes import get_regime
from l96bench.seasons.data import RANGES, Season

SECRET = bytes(range(32))
SEASON = Season("trial", SECRET)
STREAMS = ("test", "shift", "perfect", "climate", "climate-twin", "climate-shift", "climate-shift-twin")
TEST = replace(get_split("wilks-f20", "test"), n_trajectories=2, duration=2.0)


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("L96BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_commitment_is_the_digest_that_sha256sum_prints() -> None:
    # printf of the 32 bytes 00 .. 1f, through sha256sum of GNU coreutils.
    assert SEASON.commitment == "630dcd2966c4336691125448bbb25b4ff412a49c732db2c8abc1b8581bd710dd"


def test_seeds_are_hmac_of_their_purpose() -> None:
    for version in (1, 2):
        text = b'["l96bench season",%d,"trial","wilks-f20","named","test"]' % version
        expected = hmac.new(SECRET, text, hashlib.sha256).digest()
        words = Season("trial", SECRET, version).seed_of(False)(get_regime("wilks-f20"), "test")
        assert b"".join(word.to_bytes(4, "big") for word in words) == expected


def test_no_two_streams_share_their_seeds() -> None:
    seasons = [SEASON, Season("other", SECRET), Season("trial", SECRET[::-1])]
    words = [
        season.seed_of(drawn)(get_regime(regime), stream)
        for season in seasons
        for drawn in (False, True)
        for regime in DATA_REGIMES
        for stream in STREAMS
    ]
    assert len(set(words)) == len(words)
    bits = np.unpackbits(np.array(words, dtype=">u4").view(np.uint8))
    # About 64,000 bits of a fair coin: their mean is within 5 standard deviations of a half.
    assert abs(bits.mean() - 0.5) < 5 * 0.5 / np.sqrt(len(bits))


@pytest.mark.slow
def test_the_same_secret_makes_the_same_bits_and_another_makes_others(own_cache: Path) -> None:
    first = array_digest(SEASON.arrays("wilks-f20", TEST, False)["X"])
    made = generate(get_regime("wilks-f20"), TEST, seed_of=SEASON.seed_of(False))
    assert array_digest(made["X"]) == first
    public = generate(get_regime("wilks-f20"), TEST)
    others = [Season("trial", bytes(32)).arrays("wilks-f20", TEST, False), SEASON.arrays("wilks-f20", TEST, True)]
    digests = {first, array_digest(public["X"]), *(array_digest(each["X"]) for each in others)}
    assert len(digests) == 4


@pytest.mark.slow
def test_a_damaged_cache_is_noticed_and_made_again() -> None:
    first = np.array(SEASON.arrays("wilks-f20", TEST, False)["X"])
    [path] = (cache_folder() / "v1" / "seasons").rglob("X.npy")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert np.array_equal(SEASON.arrays("wilks-f20", TEST, False)["X"], first)


def test_the_secret_cannot_be_read_off_the_cache(own_cache: Path) -> None:
    SEASON.arrays("wilks-f20", TEST, False)
    for path in own_cache.rglob("*"):
        assert SECRET.hex() not in str(path)
        assert path.is_dir() or SECRET not in path.read_bytes()
    assert SECRET.hex() not in repr(SEASON)
    assert repr(SECRET) not in repr(SEASON)


@pytest.mark.slow
def test_forecasts_of_the_perfect_model_start_on_the_seasons_own_climate() -> None:
    cases = Cases(per_trajectory=1, n_trajectories=2, spacing=6.0, lead=0.05, members=2)
    split = replace(get_split("wilks-f20", "climate"), n_trajectories=2, duration=6.0)
    X = SEASON.arrays("wilks-f20", split, False)["X"]
    perfect = SEASON.arrays("wilks-f20", get_split("wilks-f20", "perfect"), False, cases)["X"]
    assert perfect.shape == (1, 2, 2, 8)
    # In 0.05 MTU X moves by about 1 and the members by less than that from the truth.
    assert np.abs(perfect - cases.truth(X)[:, :, None]).max() < 0.5
    assert np.abs(cases.initial(X) - cases.initial(generate(get_regime("wilks-f20"), split)["X"])).max() > 1.0


@pytest.mark.parametrize("regime", DATA_REGIMES)
def test_drawn_parameters_are_near_the_named_ones(regime: str) -> None:
    named = get_regime(regime)
    assert SEASON.regime(regime, False) == named
    seasons = [Season("trial", hashlib.sha256(bytes([i])).digest()) for i in range(200)]
    for name, reach in RANGES.items():
        factors = np.array([getattr(season.regime(regime, True), name) / getattr(named, name) for season in seasons])
        assert np.abs(factors - 1).max() <= reach * 1.001
        # Uniform: the standard deviation is the reach over the square root of 3.
        assert factors.std() == pytest.approx(reach / np.sqrt(3), rel=0.15)
        assert abs(factors.mean() - 1) < 4 * reach / np.sqrt(3 * len(seasons))
    drawn = SEASON.regime(regime, True)
    assert replace(drawn, F=named.F, h=named.h, c=named.c) == named


def test_a_secret_has_32_bytes() -> None:
    with pytest.raises(DataError, match="expected a secret of 32 bytes, got 3"):
        Season("trial", b"abc")


@pytest.mark.slow
def test_public_seeds_are_what_they_were() -> None:
    regime = get_regime("wilks-f20")
    assert np.array_equal(generate(regime, TEST)["X"], generate(regime, TEST, seed_of=split_seed)["X"])

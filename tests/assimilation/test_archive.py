"""The archives: what they hold, that it is what the filter did, and that it can be made again to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from l96bench.assimilation.archive import (
    ARRAYS,
    PARTS,
    SPIN_UP,
    TRACKS,
    ArchivePart,
    get_track,
    load_archive,
    make_archive,
    run_cycle,
    seeds,
)
from l96bench.assimilation.cycling import cycle
from l96bench.assimilation.ensemble_filters import ETKF, LETKF
from l96bench.assimilation.filters import NoAssimilation
from l96bench.assimilation.models import ResolvedModel
from l96bench.data.splits import DATA_VERSION
from l96bench.data.store import array_digest, digests
from l96bench.dynamics.truth import simulate
from l96bench.errors import UnknownIdError
from l96bench.regimes import seed_word

Array = NDArray[np.float64]
Archive = dict[str, Array]

MINI = ArchivePart("mini", 3, 6)


@pytest.fixture(scope="module", params=TRACKS)
def track_id(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def archive(track_id: str) -> Archive:
    """Three segments of six cycles."""
    return make_archive(TRACKS[track_id], MINI, progress=False)


# What the design fixes.


def test_tracks_are_those_of_the_design() -> None:
    dense, sparse = get_track("dense"), get_track("sparse")
    assert (dense.regime.id, sparse.regime.id) == ("wilks-f20", "da-k40")
    assert (dense.network.std, dense.window, dense.network.n_random) == (1.0, 0.05, None)
    assert (sparse.network.std, sparse.window, sparse.network.n_random) == (0.5, 0.1, 20)
    assert isinstance(dense.filter, ETKF)
    assert isinstance(sparse.filter, LETKF)
    assert dense.n_members == sparse.n_members == 20
    for track in (dense, sparse):
        assert track.network.K == track.regime.K
        assert track.network.points is None
        assert track.network.every == 1
    assert SPIN_UP == 100
    assert {(part.name, part.n_segments, part.n_cycles) for part in PARTS.values()} == {
        *(("train", 1, 6000), ("valid", 1, 2000), ("test", 10, 400)),
    }


def test_the_grid_of_inflations_holds_the_archives_and_rises_from_none(track_id: str) -> None:
    track = get_track(track_id)
    assert track.inflations[0] == 1.0
    assert list(track.inflations) == sorted(set(track.inflations))
    assert track.archive_inflation in track.inflations[1:-1]


def test_an_unknown_track_names_the_nearest() -> None:
    with pytest.raises(UnknownIdError, match=r"no track 'dence'\. Did you mean 'dense'"):
        get_track("dence")


# What an archive holds.


@pytest.mark.real_data
def test_shapes(track_id: str, archive: Archive) -> None:
    K = get_track(track_id).regime.K
    assert tuple(archive) == ARRAYS
    assert archive["truth"].shape == (3, 1 + SPIN_UP + 6, K)
    for name in ("background", "spread", "increment"):
        assert archive[name].shape == (3, 6, K)
    for array in archive.values():
        assert array.dtype == np.float64
        assert np.isfinite(array).all()
    assert (archive["spread"] > 0).all()


@pytest.mark.slow
def test_the_truth_is_a_simulation_from_the_recorded_seeds(track_id: str, archive: Archive) -> None:
    track = get_track(track_id)
    seed = (track.regime.word, DATA_VERSION, seed_word(f"{track_id} mini"))
    run = simulate(track.regime, 107 * track.window, interval=track.window, seed=seed, n_trajectories=3)
    np.testing.assert_array_equal(archive["truth"], run.X)


def test_segments_and_parts_and_tracks_have_seeds_of_their_own() -> None:
    words = [tuple(each) for track in TRACKS.values() for part in PARTS.values() for each in seeds(track, part)]
    assert len(set(words)) == len(words) == 2 * (1 + 1 + 10)


@pytest.mark.slow
def test_segments_share_nothing(track_id: str, archive: Archive) -> None:
    """Neither the truth nor the errors of the observations: increments of two segments are not alike."""
    truth = archive["truth"]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(truth[a] - truth[b]).max(axis=1).min() > 0.5
        assert abs(np.corrcoef(archive["increment"][a].ravel(), archive["increment"][b].ravel())[0, 1]) < 0.5


@pytest.mark.slow
def test_fewer_segments_or_cycles_are_the_beginning_of_more(track_id: str, archive: Archive) -> None:
    short = make_archive(get_track(track_id), replace(MINI, n_segments=2, n_cycles=4), progress=False)
    np.testing.assert_array_equal(short["truth"], archive["truth"][:2, :-2])
    for name in ("background", "spread", "increment"):
        np.testing.assert_array_equal(short[name], archive[name][:2, :4])


# What the filter did.


@pytest.mark.slow
def test_an_archive_is_the_cycle_of_the_model_without_closure(track_id: str, archive: Archive) -> None:
    track = get_track(track_id)
    run = run_cycle(track, MINI, archive["truth"], ResolvedModel(track.regime))
    np.testing.assert_array_equal(run.background_mean, archive["background"])
    np.testing.assert_array_equal(run.background_spread, archive["spread"])
    np.testing.assert_array_equal(run.analysis_mean - run.background_mean, archive["increment"])
    np.testing.assert_array_equal(run.truth, archive["truth"][:, 1 + SPIN_UP :])
    assert run.n_diverged == 0


@pytest.mark.slow
def test_increments_are_those_of_the_kalman_filter(kalman_update: Callable[..., tuple[Array, Array]]) -> None:
    """On `dense` the ETKF's mean is the Kalman filter's with the covariance of the ensemble, R = 1 and H = 1."""
    track = get_track("dense")
    made = make_archive(track, MINI, progress=False)
    run = cycle(
        made["truth"],
        ResolvedModel(track.regime),
        track.filter,
        track.network,
        seed=seeds(track, MINI),
        spin_up_cycles=SPIN_UP,
        inflation=track.archive_inflation,
        store_ensembles=True,
        progress=False,
    )
    observed = track.network.draw(made["truth"], seeds(track, MINI))
    assert run.background_ensembles is not None
    for segment, at in np.ndindex(3, 6):
        ensemble, y = run.background_ensembles[segment, at], observed.values[segment, SPIN_UP + at]
        mean, P, one = ensemble.mean(axis=0), np.cov(ensemble.T), np.eye(8)
        analysis, _ = kalman_update(mean, P, one, one, y)
        np.testing.assert_allclose(made["background"][segment, at], mean, rtol=0, atol=1e-12)
        np.testing.assert_allclose(made["spread"][segment, at], np.sqrt(np.diag(P)), rtol=1e-10)
        np.testing.assert_allclose(made["increment"][segment, at], analysis - mean, rtol=0, atol=1e-9)


@pytest.mark.slow
def test_the_observations_have_the_tracks_errors() -> None:
    """All points with errors of std 1 on `dense`; half of the points, other ones each time, of std .5 on `sparse`."""
    for track in TRACKS.values():
        truth = make_archive(track, replace(MINI, n_cycles=100), progress=False)["truth"]
        observed = track.network.draw(truth, seeds(track, MINI))
        errors = observed.values - np.take_along_axis(truth[:, 1:], observed.points, axis=2)
        std = float(track.network.std)  # type: ignore[arg-type]
        assert errors.std() == pytest.approx(std, rel=5 / np.sqrt(2 * errors.size))
        assert abs(errors.mean()) < 5 * std / np.sqrt(errors.size)
        n_seen = np.array([len(set(row)) for row in observed.points.reshape(-1, observed.points.shape[2])])
        assert (n_seen == track.regime.K / (1 if track.id == "dense" else 2)).all()
        varied = np.ptp(np.sort(observed.points, axis=2), axis=1).max()
        assert (varied > 0) == (track.id == "sparse")


# Experiments that differ in inflation alone.


@pytest.mark.slow
def test_inflations_are_compared_on_the_same_observations(track_id: str, archive: Archive) -> None:
    track = get_track(track_id)
    model, grid = ResolvedModel(track.regime), (1.05, track.archive_inflation)
    run = run_cycle(track, MINI, archive["truth"][:2], model, inflations=grid)
    assert run.background_mean.shape[0] == 4
    np.testing.assert_array_equal(run.points[:2], run.points[2:])
    seen = run.innovations + np.take_along_axis(run.background_mean, run.points, axis=2)
    np.testing.assert_allclose(seen[:2], seen[2:], rtol=0, atol=1e-12)
    assert not np.array_equal(run.background_mean[:2], run.background_mean[2:])
    # Each of them is what it is alone, and the second is the archive.
    alone = run_cycle(track, MINI, archive["truth"][:2], model, inflations=grid[:1])
    np.testing.assert_array_equal(run.background_mean[:2], alone.background_mean)
    np.testing.assert_array_equal(run.background_mean[2:], archive["background"][:2])


def test_another_filter_takes_the_tracks_place(archive: Archive, track_id: str) -> None:
    track = get_track(track_id)
    run = run_cycle(track, MINI, archive["truth"], ResolvedModel(track.regime), NoAssimilation())
    np.testing.assert_array_equal(run.increments, 0.0)
    assert run.pooled_rmse.min() > 2.0 * np.sqrt(np.square(archive["background"] - run.truth).mean())


# The real archives.


@pytest.mark.real_data
@pytest.mark.parametrize("part", PARTS)
def test_dense_is_made_again_to_the_last_bit(part: str) -> None:
    made = make_archive(get_track("dense"), PARTS[part], progress=False)
    recorded = digests()
    assert {name: array_digest(array) for name, array in made.items()} == {
        name: recorded[f"dense/{part}/{name}"] for name in ARRAYS
    }


@pytest.mark.real_data
def test_loading_gives_read_only_maps_of_the_files() -> None:
    arrays = load_archive(get_track("dense"), "test", progress=False)
    assert tuple(arrays) == ARRAYS
    assert {name: array.shape for name, array in arrays.items()} == {
        "truth": (10, 501, 8),
        "background": (10, 400, 8),
        "spread": (10, 400, 8),
        "increment": (10, 400, 8),
    }
    for array in arrays.values():
        assert isinstance(array, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0, 0] = 1.0

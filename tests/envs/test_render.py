"""Pictures of episodes: where the numbers are in them, that all have one size, and that a film of them plays."""

from __future__ import annotations

import time
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import RecordVideo
from gymnasium.wrappers.vector import RecordVideo as VectorRecordVideo
from matplotlib import colormaps
from numpy.typing import NDArray

from l96bench.envs.render import FPS, HEIGHT, WIDTH, EpisodePicture, History, Panel
from l96bench.errors import L96BenchError

STATES, ERROR = Panel("truth X", 4.0, 12.0), Panel("error", 0.0, 6.0, error=True)


def picture(n_times: int = 50, K: int = 8, n_lines: int = 0) -> EpisodePicture:
    return EpisodePicture("A title", (STATES, Panel("model X", 4.0, 12.0), ERROR), K, n_times, 0.05, n_lines)


def drawn(frame: NDArray[np.uint8], of: EpisodePicture, panel: int, sample: int, k: int) -> tuple[int, ...]:
    """The colour in the middle of the cell of one sample and point."""
    left, right = of._boxes()[panel]
    x = left + round((k + 0.5) * (right - left) / of.K)
    y = 70 + int((sample + 0.5) * of._height / of.n_times)
    return tuple(int(channel) for channel in frame[y, x])


def expected(panel: Panel, value: float) -> NDArray[np.float64]:
    """The colour that matplotlib itself gives the value."""
    share = (value - panel.centre) / panel.reach / 2 + 0.5
    return 255 * np.array(colormaps["PuOr_r" if panel.error else "RdBu_r"](share)[:3])


def test_every_cell_has_the_colour_of_its_value(rng: np.random.Generator) -> None:
    values = rng.uniform(-10, 18, (3, 40, 8))
    values[2] = 0.4 * values[1] - 1.0
    show = picture()
    frame = show.frame(list(values))
    for panel in range(3):
        for sample, k in ((0, 0), (7, 3), (39, 7)):
            found = drawn(frame, show, panel, sample, k)
            assert found == pytest.approx(expected(show.panels[panel], values[panel, sample, k]), abs=3.5)


def test_truth_and_model_have_one_scale_and_errors_another() -> None:
    show, same = picture(), np.full((50, 8), 9.0)
    frame = show.frame([same, same, same])
    assert drawn(frame, show, 0, 5, 5) == drawn(frame, show, 1, 5, 5) != drawn(frame, show, 2, 5, 5)


def test_what_is_still_to_come_and_what_is_missing_is_grey() -> None:
    show, values = picture(), np.full((20, 8), 4.0)
    values[10] = np.nan
    frame = show.frame([values] * 3)
    for sample in (10, 30):
        r, g, b = drawn(frame, show, 0, sample, 2)
        assert r == pytest.approx(g, abs=2)
        assert g == pytest.approx(b, abs=2)
    assert drawn(frame, show, 0, 10, 2) != drawn(frame, show, 0, 30, 2)


def test_values_beyond_the_scale_and_infinity_have_the_colour_of_its_end() -> None:
    show, values = picture(), np.full((50, 8), 16.0)
    values[1], values[2], values[3] = 40.0, np.inf, 1e300
    values[4], values[5] = -8.0, -np.inf
    frame = show.frame([values] * 3)
    high = {drawn(frame, show, 0, sample, 3) for sample in range(4)}
    assert len(high) == 1
    assert drawn(frame, show, 0, 4, 3) == drawn(frame, show, 0, 5, 3) not in high


def test_long_records_show_their_latest_part(rng: np.random.Generator) -> None:
    show, values = picture(), rng.uniform(-10, 18, (130, 8))
    latest = show.frame([values[80:]] * 3, start=80 * 0.05)
    assert np.array_equal(show.frame([values] * 3), latest)
    assert not np.array_equal(show.frame([values[80:]] * 3), latest), "other times"


@pytest.mark.slow
@pytest.mark.parametrize(("n_times", "K", "n_lines"), [(1, 8, 0), (101, 40, 0), (400, 36, 5), (20, 1, 2)])
def test_frames_have_one_size_whatever_is_in_them(n_times: int, K: int, n_lines: int) -> None:
    show = picture(n_times, K, n_lines)
    frames = [
        show.frame([np.zeros((n, K))] * 3, status="s" * n, lines=["x" * 300] * n) for n in (0, 1, n_times, n_times + 7)
    ]
    for frame in frames:
        assert frame.shape == (HEIGHT, WIDTH, 3)
        assert frame.dtype == np.uint8
    assert HEIGHT % 16 == WIDTH % 16 == 0, "what video encoders want"


def test_words_are_written() -> None:
    show, values = picture(n_lines=2), [np.zeros((5, 8))] * 3
    frame = show.frame(values)
    for changed in (
        show.frame(values, status="reward 3"),
        show.frame(values, lines=["dX[k]/dt = 1"]),
        show.frame(values, corner="step 7"),
        show.frame(values, start=3.0),
    ):
        assert not np.array_equal(changed, frame)
    assert np.array_equal(show.frame(values), frame), "and nothing stays"


def test_records_that_do_not_fit_are_refused() -> None:
    for records in ([np.zeros((5, 8))] * 2, [np.zeros((5, 7))] * 3, [np.zeros((5, 8))] * 2 + [np.zeros((4, 8))]):
        with pytest.raises(L96BenchError, match="expected 3 records"):
            picture().frame(records)


def test_a_frame_is_fast() -> None:
    show, values = picture(101), np.zeros((101, 8))
    show.frame([values] * 3)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        show.frame([values] * 3)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.05


def test_a_history_keeps_the_latest_samples_of_each_row(rng: np.random.Generator) -> None:
    history, kept = History(3, 2, 5, 4), [[], [], []]  # type: ignore[var-annotated]
    for step in range(12):
        rows = np.flatnonzero(rng.random(3) < 0.7)
        values = rng.random((2, len(rows), 4))
        history.add(rows, *values)
        for i, row in enumerate(rows):
            kept[row].append(values[:, i])
        if step == 6:
            history.clear(np.array([1]))
            kept[1].clear()
    for row in range(3):
        records, gone = history.of(row)
        assert gone == max(len(kept[row]) - 5, 0)
        for panel in range(2):
            assert np.array_equal(records[panel], np.array(kept[row][-5:])[:, panel])


# Films. The environment is the smallest of all; every family has its own pictures in its own tests.


def frames_of(path: Path) -> tuple[NDArray[np.uint8], float]:
    """The frames of a film, read by another library than the one that wrote it, and its rate."""
    imageio = pytest.importorskip("imageio.v2")
    with imageio.get_reader(path) as reader:
        return np.array([np.asarray(frame) for frame in reader]), reader.get_meta_data()["fps"]


@pytest.mark.real_data
def test_a_recorded_episode_plays(tmp_path: Path) -> None:
    pytest.importorskip("moviepy")
    env = gymnasium.make("l96bench/DAIncrement-v2", render_mode="rgb_array", episode_steps=12)
    seen = []
    with RecordVideo(env, str(tmp_path / "film"), episode_trigger=lambda episode: True) as recorded:
        recorded.reset(seed=1)
        seen.append(env.render())
        done = False
        while not done:
            _, _, terminated, truncated, _ = recorded.step(np.zeros(8, np.float32))
            seen.append(env.render())
            done = terminated or truncated
    frames, rate = frames_of(next((tmp_path / "film").glob("*.mp4")))
    assert frames.shape[1:] == (HEIGHT, WIDTH, 3)
    assert len(frames) == pytest.approx(len(seen), abs=1)
    assert rate == pytest.approx(FPS)
    first, last = (np.abs(frames[i].astype(float) - np.asarray(seen[i])).mean() for i in (0, -1))
    assert max(first, last) < 6.0, "the film shows the pictures, but for its compression"


@pytest.mark.real_data
def test_a_recorded_batch_plays(tmp_path: Path) -> None:
    pytest.importorskip("moviepy")
    envs = gymnasium.make_vec("l96bench/DAIncrement-v2", num_envs=4, render_mode="rgb_array", episode_steps=6)
    recorded = VectorRecordVideo(envs, str(tmp_path / "film"), episode_trigger=lambda episode: episode == 0)
    recorded.reset(seed=1)
    frames = envs.render()
    assert isinstance(frames, tuple)
    assert len(frames) == 4
    for _ in range(9):
        recorded.step(np.zeros((4, 8), np.float32))
    recorded.close()
    film, _ = frames_of(next((tmp_path / "film").glob("*.mp4")))
    assert film.shape[1:] == (2 * HEIGHT, 2 * WIDTH, 3)
    assert len(film) >= 6

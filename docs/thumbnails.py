"""The Hovmöller thumbnails of the board's page: leaderboard/thumbnails/REGIME/SLUG.png. Run by `make figures`."""

import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import l96bench

FOLDER = Path(__file__).resolve().parents[1] / "leaderboard" / "thumbnails"
BASELINES = ("no_closure", "linear", "quartic", "quartic_ar1", "stencil_network", "stencil_network_ar1")
LENGTH = 100
"""Samples of 0.05 MTU: 5 MTU, in which forecasts part from the truth."""


def write_picture(path: Path, X: NDArray[np.float64], mean: float, std: float) -> None:
    """A PNG of one pixel a point and time, from blue (3 std below the mean) by white to red (3 above)."""
    palette = (np.array(mpl.colormaps["RdBu_r"](np.linspace(0.02, 0.98, 128)))[:, :3] * 255).round().astype(np.uint8)
    level = np.clip((X - mean) / (6 * std) + 0.5, 0.0, 1.0)
    image = Image.fromarray((level * 127).round().astype(np.uint8))
    image.putpalette(palette.ravel().tolist())
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.getvalue())


def main() -> None:
    """Write the truth and one run of each baseline from its first state, for every regime."""
    for task_id in l96bench.list_tasks("online-rollout"):
        task = l96bench.make_task(task_id)
        truth = np.array(task.test.X[0, LENGTH : 2 * LENGTH])
        mean, std = float(np.mean(task.test.X)), float(np.std(task.test.X))
        write_picture(FOLDER / task.regime_id / "truth.png", truth, mean, std)
        for name in BASELINES:
            entry = l96bench.find_entry(name)[0]
            if not entry.accepts(task):
                continue
            model = entry.make(task, entry.seeds[0])
            if callable(getattr(model, "fit", None)) and entry.trained_on is None:
                model.fit(task.train.X, task.train.U)
            run = l96bench.rollout(model, truth[0], LENGTH * task.test.interval, regime=task.regime_id)
            write_picture(FOLDER / task.regime_id / f"{l96bench.slug_of(entry.name)}.png", run.X[:, 0], mean, std)


if __name__ == "__main__":
    main()

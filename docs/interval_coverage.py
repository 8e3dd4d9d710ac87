"""How often the intervals of scores hold the true mean, as a section of docs/measurements.md (`make measurements`).

Scores of new instances and the simulations are kept in the cache folder, so that a run that was stopped carries on.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import joblib
import numpy as np
from coverage_trials import CEILING, TEXTBOOK, scores_on_fresh
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

import l96bench
from l96bench.metrics import Draws, drawn_seeds, interval, stretched

Array = NDArray[np.float64]
RESULTS = Path(__file__).parents[1] / "leaderboard" / "results"
SCALE = (0.0, 100.0)
"""The smallest and the largest score."""
N_SIMULATED = 1000
"""Samples drawn for every row."""
N_DIRECT = 5000
"""Sets of ten instances drawn for every entry that is scored on fresh ones."""
LEAST_WIDTH = 0.1
"""Points on either side that an interval of few instances might have at least."""
LEAST_FIT = 0.5
"""Rows whose replicates are less linear in the weights of the blocks (R²) are left out: scores that are capped."""
PURPOSES = {
    "subgrid-forcing": {"offline": 200},
    "subgrid-forcing-memory": {"offline": 190},
    "da-increment": {"cycles": 100},
    "online-rollout": {
        "cases": 300,
        **{"members": 120, "truth": 50, "twin": 50},
        **{"members_shift": 60, "truth_shift": 50, "twin_shift": 50},
    },
}
PURPOSES["observed-closure"] = PURPOSES["online-rollout"]
"""What the bootstrap of each family resamples, and how many blocks of it; the first are in the order of time."""


@dataclass(frozen=True, slots=True)
class Covered:
    """The fractions of samples whose percentile and whose stretched interval hold the truth."""

    percentile: float
    stretched: float


def covered(samples: Array, replicates: Array, truth: float, draws: Sequence[Draws]) -> Covered:
    """Return how often the intervals of estimates (sample,) with replicates (sample, replicate) hold the truth."""
    held = np.zeros(2)
    for estimate, own, made_of in zip(samples, replicates, draws, strict=True):
        ends = interval(own)
        wide = stretched(ends, float(estimate), made_of.stretch(own), SCALE)
        held += [low - 1e-9 <= truth <= high + 1e-9 for low, high in (ends, wide)]
    low, high = held / len(samples)
    return Covered(float(low), float(high))


@lru_cache(maxsize=32)
def weights_of(task: str, purpose: str, n: int) -> Array:
    """Return the weight (replicate, block) of each block in the means that the replicates of a task are made of."""
    made = l96bench.make_task(task)
    return np.asarray(getattr(made, "online", made).weights(n, purpose) / n)


def of_instances(
    draw: Callable[[np.random.Generator, int], Array],
    truth: float,
    task: str,
    n_samples: int,
    purpose: str = "instances",
    within: float = 0.0,
) -> Covered:
    """Return the coverage for samples (sample, instance) of a task that `draw` makes.

    The replicates have normal noise of the standard deviation `within` on top.
    """
    rng = np.random.default_rng(0)
    samples = draw(rng, n_samples)
    n = samples.shape[1]
    made = samples @ weights_of(task, purpose, n).T
    made = made + within * rng.standard_normal(made.shape)
    return covered(samples.mean(axis=1), made, truth, [Draws(n)] * len(samples))


def hall(samples: Array) -> tuple[Array, Array]:
    """Return the ends of 95 % intervals of the means of samples (sample, instance) that heed their skewness.

    By the cubic transformation of Hall (1992), On the removal of skewness by transformation, J. R. Stat. Soc. B 54,
    221-228, with the quantiles of Student's t. A sample without variance has no length.
    """
    n, means, deviations = samples.shape[1], samples.mean(axis=1), samples - samples.mean(axis=1, keepdims=True)
    spread = np.maximum(samples.std(axis=1), 1e-12)
    skewness = (deviations**3).mean(axis=1) / spread**3
    slope = np.where(np.abs(skewness) < 1e-6, 1e-6, skewness) / 3.0
    ends = [
        (np.cbrt(1.0 + 3.0 * slope * (quantile / np.sqrt(n) - skewness / (6.0 * n))) - 1.0) / slope
        for quantile in stdtrit(n - 1.0, [0.975, 0.025])
    ]
    low, high = (means - samples.std(axis=1, ddof=1) * end for end in ends)
    return low, high


def alternatives(samples: Array, truth: float) -> tuple[float, float]:
    """Return how often `hall` holds the truth, as it is and with at least `LEAST_WIDTH` on either side."""
    (low, high), means = hall(samples), samples.mean(axis=1)
    held = (low <= truth) & (truth <= high)
    return float(held.mean()), float((held | (np.abs(truth - means) <= LEAST_WIDTH)).mean())


def direct(track: str, entry: str, n_sets: int) -> tuple[int, Covered, tuple[float, float]]:
    """Return the number of fresh instances that an entry was scored on, and the coverage for sets of ten of them.

    The last are those of `alternatives`.
    """
    scores = np.array(scores_on_fresh(track, entry, n_sets))
    groups = [scores[:, :5].ravel(), scores[:, 5:].ravel()] if track.startswith("hidden") else [scores.ravel()]
    size = 10 // len(groups)

    def draw(rng: np.random.Generator, n: int) -> Array:
        return np.hstack([rng.choice(group, (n, size)) for group in groups])

    truth = float(np.mean([group.mean() for group in groups]))
    found = of_instances(draw, truth, f"equation-recovery/{track}-v1", N_DIRECT)
    return scores.size, found, alternatives(draw(np.random.default_rng(0), N_DIRECT), truth)


def of_recovery(row: l96bench.Result) -> Covered | None:
    """Return the coverage for instances whose scores are beta distributed with mean and spread of a row's."""
    scores = np.array(row.series["score_by_instance"])
    groups = np.split(scores, 2) if row.regime.startswith("hidden") else [scores]
    if min(group.std() for group in groups) == 0.0:
        return None

    def draw(rng: np.random.Generator, n: int) -> Array:
        return np.hstack([beta(group, rng, n) for group in groups])

    return of_instances(draw, float(scores.mean()), row.task, N_SIMULATED)


def of_systems(row: l96bench.Result) -> Covered | None:
    """Return the coverage for systems whose scores are beta distributed with mean and spread of a row's.

    The replicates also resample within each system, which is the part of their variance that weights of systems leave.
    """
    scores = np.array(row.series["system_score"])
    if scores.std() == 0.0:
        return None
    weights = weights_of(row.task, "systems", len(scores))
    design = np.hstack([weights, np.ones((len(weights), 1))])
    replicates = np.array(row.score.replicates)
    found, *_ = np.linalg.lstsq(design, replicates, rcond=None)
    within = float(np.std(replicates - design @ found))
    return of_instances(
        lambda rng, n: beta(scores, rng, n), float(scores.mean()), row.task, N_SIMULATED, "systems", within
    )


def beta(scores: Array, rng: np.random.Generator, n: int) -> Array:
    """Return samples (n, score) of beta distributed scores with the mean and the spread of those given."""
    mean, variance = scores.mean() / 100.0, scores.var(ddof=1) / 1e4
    size = mean * (1.0 - mean) / variance - 1.0
    return 100.0 * rng.beta(mean * size, (1.0 - mean) * size, (n, len(scores)))


def seed_weights(row: l96bench.Result) -> Array:
    """Return the weight (replicate, seed) of each training seed in the replicates of a row; see `combine_seeds`."""
    n, n_replicates = len(row.model.seeds), len(row.score.replicates)
    if n < 2:
        return np.zeros((n_replicates, 0))
    _, drawn = drawn_seeds(row.model.name, n, n_replicates)
    return (drawn[..., None] == np.arange(n)).mean(axis=0)


@dataclass(frozen=True, slots=True)
class Contributions:
    """What the blocks of each kind and the training seeds add to a score, and the spread of what is not their sum."""

    blocks: tuple[Array, ...]
    left: float
    linear: float

    @property
    def correlation(self) -> float:
        """The lag-1 correlation of the blocks that are in the order of time."""
        values = self.blocks[0]
        return float(np.corrcoef(values[:-1], values[1:])[0, 1])


def contributions(row: l96bench.Result) -> Contributions | None:
    """Return the contributions to a row's score, by regressing its replicates on the recorded weights of the bootstrap.

    None for replicates that are all equal.
    """
    replicates = np.array(row.score.replicates) - row.score.value
    if np.ptp(replicates) == 0.0:
        return None
    design = np.hstack([*block_weights(row), seed_weights(row)])
    found, *_ = np.linalg.lstsq(design, replicates, rcond=None)
    left = float(np.sum((replicates - design @ found) ** 2)) / max(1, len(replicates) - design.shape[1])
    ends = np.cumsum(list(PURPOSES[row.family].values()))
    values = tuple(own - own.mean() for own in np.split(found, ends)[:-1])
    return Contributions(values, left**0.5, 1.0 - left / float(replicates.var()))


def block_weights(row: l96bench.Result) -> list[Array]:
    """Return the weights (replicate, block) of all that the bootstrap of a row resamples but seeds."""
    return [weights_of(row.task, purpose, n) for purpose, n in PURPOSES[row.family].items()]


def of_blocks(row: l96bench.Result, correlation: float) -> Covered | None:
    """Return the coverage for samples like the one behind a row; None if its replicates are no sums over blocks."""
    own = contributions(row)
    if own is None or own.linear < LEAST_FIT:
        return None
    rng = np.random.default_rng(0)
    weights, seeds = block_weights(row), seed_weights(row)
    samples = [like(values, rng, 0.0 if i else correlation) for i, values in enumerate(own.blocks)]
    scores = np.array([seed.value for seed in row.score.seeds]) if seeds.shape[1] else np.zeros(0)
    trained = rng.standard_normal((N_SIMULATED, len(scores))) * (scores.std(ddof=1) if len(scores) else 0.0)
    made = sum((each @ weight.T for each, weight in zip(samples, weights, strict=True)), trained @ seeds.T)
    other = own.left * rng.standard_normal(N_SIMULATED)
    made = made + other[:, None] + own.left * rng.standard_normal(made.shape)
    estimates = sum((each.mean(axis=1) for each in samples), other)
    if len(scores):
        estimates = estimates + trained.mean(axis=1)
    truth = 50.0  # in the middle of the scale, so that no interval meets its ends
    blocks = l96bench.make_task(row.task).blocks
    draws = [Draws(blocks, (tuple(drawn),) if len(drawn) else ()) for drawn in trained]
    return covered(estimates + truth, made + truth, truth, draws)


def like(values: Array, rng: np.random.Generator, phi: float) -> Array:
    """Return samples (sample, block) with the distribution of the values, of mean 0, and a lag-1 correlation.

    A Gaussian autoregressive series is mapped to the quantiles of the values, linear between them.
    """
    n = len(values)
    noise = rng.standard_normal((n, N_SIMULATED))
    for i in range(1, n):
        noise[i] = phi * noise[i - 1] + np.sqrt(1.0 - phi**2) * noise[i]
    places, ordered = (np.arange(n) + 0.5) / n, np.sort(values)
    middle = np.interp((np.arange(10_000) + 0.5) / 10_000, places, ordered).mean()
    return np.asarray(np.interp(ndtr(noise.T), places, ordered) - middle)


def of_row(path: str, numbers: str, correlation: float) -> Covered | None:
    """Return the coverage for the row in a file; `numbers`, a digest of what counts, tells a changed one apart."""
    row = l96bench.Result.read(RESULTS / path)
    if row.family == "equation-recovery":
        return of_recovery(row)
    return of_systems(row) if row.family == "unseen-physics" else of_blocks(row, correlation)


def percent(values: Sequence[float]) -> str:
    """Return the mean of fractions, and their range, in percent."""
    numbers = 100.0 * np.array(values)
    return f"{numbers.mean():.1f} ({numbers.min():.1f} to {numbers.max():.1f})"


def mean_correlation(family: str) -> float:
    """Return the lag-1 correlation of blocks in time, the mean over the rows of a family, to two digits."""
    if family not in PURPOSES:
        return 0.0
    rows = [l96bench.Result.read(path) for path in sorted((RESULTS / family).rglob("*.json"))]
    found = [own.correlation for row in rows if (own := contributions(row)) and own.linear >= LEAST_FIT]
    return round(float(np.mean(found)), 2)


def by_family() -> str:
    """The table of the families, and within them of one training seed and several."""
    keep = joblib.Memory(l96bench.cache_folder() / "coverage", verbose=0).cache(of_row)
    rows: list[tuple[str, ...]] = []
    for family in sorted(path.name for path in RESULTS.iterdir()):
        kinds: dict[str, list[Covered]] = {}
        left_out, correlation = 0, mean_correlation(family)
        for path in sorted((RESULTS / family).rglob("*.json")):
            row = l96bench.Result.read(path)
            score = row.score
            counts = (score.replicates, score.blocks, score.draws.seeds, row.series.get("score_by_instance"))
            found = keep(str(path.relative_to(RESULTS)), hashlib.sha256(repr(counts).encode()).hexdigest(), correlation)
            if found is None:
                left_out += 1
                continue
            kinds.setdefault("several seeds" if len(row.model.seeds) > 1 else "", []).append(found)
        every = [each for own in kinds.values() for each in own]
        for kind, own in ((family, every), *((f"{family}, {kind}", own) for kind, own in kinds.items() if kind)):
            wide = percent([each.stretched for each in own])
            told = (str(left_out), f"{correlation:+.2f}" if correlation else "") if kind == family else ("", "")
            rows.append((kind, str(len(own)), *told, percent([each.percentile for each in own]), wide))
    header = ("rows of", "rows", "left out", "correlation", "percentile interval", "interval of the score")
    return l96bench.markdown_table(header, rows, left=header[:1])


DIRECT = (
    ("single", TEXTBOOK, 20),
    ("two-scale", TEXTBOOK, 20),
    ("hidden", TEXTBOOK, 20),
    ("hidden", CEILING, 20),
    ("single-coarse", "er_symmetric_sindy", 4),
    ("two-scale-coarse", "er_symmetric_sindy", 4),
    ("hidden-coarse", "er_symmetric_sindy", 4),
)
"""Tracks, entries and numbers of sets of ten fresh instances."""


def on_fresh() -> str:
    """The table of entries that are scored on fresh instances."""
    rows = []
    for track, entry, n_sets in DIRECT:
        n, found, others = direct(track, entry, n_sets)
        name = "symmetric SINDy" if entry == "er_symmetric_sindy" else entry
        rows.append((track, name, n, *(f"{100.0 * each:.1f}" for each in (found.percentile, found.stretched, *others))))
    header = ("track", "entry", "fresh instances", "percentile interval", "interval of the score", "Hall's interval")
    header = (*header, f"at least {LEAST_WIDTH:g} either side")
    return l96bench.markdown_table(header, rows, left=header[:2])


def coverage() -> str:
    """The section of the page."""
    return (
        "Percent of samples whose 95 % interval holds the true mean, by simulation: of the percentile interval of the "
        "replicates, and of the interval of a score, which is stretched where the replicates are made of few draws "
        "([definitions.md](definitions.md#intervals-comparisons-ranks)).\n\n"
        f"`equation-recovery`, {N_DIRECT:,} sets of ten instances (of *hidden*, five of each coupling), drawn from "
        "fresh ones that the entry was scored on. This assumes nothing but that those are all that there are. "
        "Two faults remain. Where the couplings of *hidden* differ more than their instances, the interval is too "
        "long, because the bootstrap draws from all ten instead of five of each. Where one instance in many scores "
        "far worse, as for symmetric SINDy on *single-coarse*, ten often hold none like it, and no interval made of "
        "them can know. An interval that heeds the skewness of the ten (Hall 1992, J. R. Stat. Soc. B 54, 221-228) is "
        "in the last columns: it holds the truth often enough everywhere but there, where intervals are 0.2 points "
        f"long, and with at least {LEAST_WIDTH:g} points on either side, there too. No row has it: rows keep the "
        "scores of their instances, but not the other metrics of each, whose intervals are defined alike.\n\n"
        f"{on_fresh()}\n\n"
        f"All families, from the committed rows: mean over rows (smallest and largest), {N_SIMULATED:,} samples a row. "
        "In `equation-recovery`, an instance's score has a beta distribution with mean and spread of the row's ten (of "
        "*hidden*, of the five of each coupling), and in `unseen-physics` a system's that of the row's systems, whose "
        "replicates also resample within each system. In the other families, the contributions of "
        "blocks and members to the score are found from the row's replicates and the recorded draws. A sample has "
        "their distribution and, between consecutive blocks of time, their lag-1 correlation (mean over the family's "
        "rows, in the table); training seeds are normal with the row's spread. What is not a sum over blocks (of "
        "distances of climates) is normal noise, alike in score and replicates. Rows with more than "
        f"{100 * (1 - LEAST_FIT):.0f} % of it, whose score is capped, and rows without variance are left out.\n\n"
        f"{by_family()}"
    )


if __name__ == "__main__":
    print(coverage())

"""What the rewards teach, as docs/rewards.md and docs/learning-curves.png. Run by `make figures`."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
from measured import measured
from numpy.typing import NDArray
from scipy.optimize import minimize

import l96bench
from l96bench.metrics import DistanceGrid, member_cdfs

matplotlib.use("Agg")
from matplotlib import pyplot as plt

PAGE = Path(__file__).with_name("rewards.md")
PICTURE = Path(__file__).with_name("learning-curves.png")
RESULTS = Path(__file__).parents[1] / "leaderboard" / "results"
TRAINED = {
    "ppo-tendency-reward": "PPO, tendency",
    "ppo-forecast-reward": "PPO, forecast",
    "ppo-climate-reward": "PPO, climate",
    "ppo-ensemble-reward": "PPO, ensemble",
    "ppo-with-memory-and-red-noise": "PPO, memory",
    "td3-tendency-reward": "TD3, tendency",
}
SUPERVISED = (
    "stencil-network",
    "stencil-network-ar-1",
    "gru-ar-1",
    "probabilistic-rnn",
    "fitted-quartic",
    "fitted-quartic-ar-1",
)
REGIMES = ("wilks-f20", "arnold-c4")
GOOD = 60
"""Points above which closures are compared offline and online; the rest would decide every correlation."""

INTRODUCTION = """# Rewards: which teaches what

A policy is a closure: it sees the stencil X[k-2] .. X[k+2] and acts U[k], one policy for all points. All that follows
is trained in `OnlineRollout` on one processor thread, with five seeds, and scored like every other closure.

- **Tendency.** Every step starts on the truth, and its own error counts: least squares by trial and error. Nothing that
  is done now changes what is seen later, so the right discount is 0.
- **Forecast.** The model runs for 0.2 MTU and every error in X on the way counts. What is learned is not quite the mean
  of U given X: an error that lasts costs more than one that changes sign.
- **Ensemble.** Two members start from each state, and both are paid by the fair CRPS of their forecast. That score
  is best for members that are spread as the truth is. Under the squared error a policy's randomness only costs, and PPO
  unlearns it; here it is worth something, and PPO keeps as much of it as makes the best forecast. The closure samples
  its actions as the policy did in training.
- **Climate.** Only the distributions of an episode count, beside those of the truth's path over the same time.

In training each member is paid its share, what its own choice changes in that score (`MemberShares`): the errors of the
others are none of its doing.

The PPO is `l96bench.envs.BatchPPO`, by the recipe of `train_ppo`; each row's script in `baselines/` has its options.
"""


FINDINGS = """## What five seeds say

- **Through the model or not.** The tendency reward reaches the higher R² of U, in both regimes. The forecast reward
  gives some of it up, and online the two cannot be told apart on `wilks-f20`: what is best for the next step alone is
  nearly what is best for 0.2 MTU.
{correlations}
- **Deterministic policies come near.** After seconds of training by the tendency or the forecast reward they are a few
  points below the supervised stencil network, and above the fitted quartic on every seed. The CRPS of one member is its
  absolute error, which is the limit of every deterministic closure.
- **Noise that is paid for.** The ensemble reward beats the supervised stencil network beyond the intervals, on every
  seed and in both regimes. What makes the difference is that the closure is stochastic, not that it was trained by
  reinforcement: the quartic with a red noise fitted to its own errors comes near it. PPO needs no second fit for that:
  it finds the size of its noise by itself.
- **Memory and red noise.** A policy that sees half an MTU of past and a red noise, which it turns into a draw of U, is
  paid for the CRPS of one step, each of its two explorers against its twin under the same noise (`TwinShares`). It
  needs sixteen times the steps of the others, and is where the supervised recurrent closures are: {memory}.
- **A climate alone is hard to learn from.** The climate reward pays for an episode's distributions, and what an action
  did to them is seen late: four times the steps end with less R² and another climate on every seed.
- **Off-policy.** TD3 climbs a learned value of its actions. With the tendency reward its R² is close to PPO's, but its
  policy is rougher, and on `wilks-f20` so is its climate.
"""


def committed(regime: str, slug: str, task: str = "online-rollout/{}-v2") -> l96bench.Result | None:
    """A committed result, if there is one."""
    path = RESULTS / task.format(regime) / f"{slug}.json"
    return l96bench.Result.read(path) if path.exists() else None


def correlations() -> str:
    """How offline and online scores of the deterministic closures on the board go together, as an item of a list."""
    sentences = []
    for regime in REGIMES:
        rows = {
            each.slug: each.score.value
            for each in l96bench.read_results(RESULTS / "subgrid-forcing" / f"{regime}-v1")
            if each.competes and each.model.kind != "predictions" and each.score.value > GOOD
        }
        pairs = [(rows[slug], each) for slug in rows if (each := committed(regime, slug)) is not None]
        found = [
            (offline, online.score.value)
            for offline, online in pairs
            if online.metrics["spread_1"].value == 0.0 and online.score.value > GOOD
        ]
        sentences.append(
            f"Of the {len(found)} deterministic closures on `{regime}` that have more than {GOOD} points offline and "
            f"online, the two scores have a correlation of {np.corrcoef(np.transpose(found))[0, 1]:.2f}."
        )
    sentences.append("Offline skill tells nothing about noise, which R² misses.")
    text = " ".join(["- **Offline and online.**", *sentences])
    return textwrap.fill(text, 120, subsequent_indent="  ")


def beside_recurrent() -> str:
    """How the policy with memory stands beside the best closure with memory that was fitted to U."""
    found = []
    for regime in REGIMES:
        policy = committed(regime, "ppo-with-memory-and-red-noise")
        others = [each for slug in ("gru-ar-1", "probabilistic-rnn") if (each := committed(regime, slug))]
        if policy is not None:
            best = max(others, key=lambda each: each.score.value)
            versus = policy.score.compare(best.score)
            found.append(
                f"{policy.score.value:.1f} on `{regime}`, where the {best.model.name} has {best.score.value:.1f} "
                f"(less that: [{versus.low:+.1f}, {versus.high:+.1f}])"
            )
    return "; ".join(found)


def scores(regime: str) -> str:
    """How the rewards score, seed by seed, beside closures that were fitted to U."""
    supervised = committed(regime, "stencil-network")
    assert supervised is not None
    rows = []
    for slug in (*TRAINED, *SUPERVISED):
        result = committed(regime, slug)
        offline = committed(regime, slug, "subgrid-forcing/{}-v1") or committed(
            regime, slug, "subgrid-forcing-memory/{}-v1"
        )
        if result is None or offline is None:
            continue
        score, metrics = result.score, result.metrics
        versus = score.compare(supervised.score)
        # Of policies the processor's, which does not depend on what else ran.
        seconds = result.series.get("learning_seconds", [result.cost.training_seconds])[-1]
        rows.append(
            (
                result.model.name,
                f"{score.value:.1f} [{score.low:.1f}, {score.high:.1f}]",
                "" if slug == "stencil-network" else f"[{versus.low:+.1f}, {versus.high:+.1f}]",
                " ".join(f"{seed.value:.1f}" for seed in score.seeds),
                f"{offline.metrics['r2'].value:.3f}",
                *(f"{metrics[name].value:.3f}" for name in ("forecast_part", "climate_part", "climate_part_shift")),
                f"{metrics['spread_1'].value / metrics['rmse_1'].value:.2f}",
                "" if seconds is None else f"{seconds:.0f}",
            )
        )
    header = ("closure", "score", "less the stencil network", "by seed", "R² of U", "forecast", "climate", "shift")
    return l96bench.markdown_table((*header, "spread / error at 1 MTU", "training s"), rows, left=header[:1])


def fooled(regime: str) -> list[tuple[str, ...]]:
    """Noise that sees nothing, tuned to the mean and the variance of X, and to the climate distance."""
    task = l96bench.make_task(f"online-rollout/{regime}-v2")
    X, U, interval = np.asarray(task.train.X), np.asarray(task.train.U), task.train.interval
    grid = DistanceGrid.from_truth(X[:, None], interval, 400)
    truth = member_cdfs(X[:, None], interval, grid)[0]
    starts = X[:: len(X) // 20][:20]

    def noise(p: NDArray[np.float64]) -> l96bench.AR1Closure:
        phi = float(np.exp(-interval / max(p[2], 1e-2)))
        return l96bench.AR1Closure(l96bench.Polynomial([p[0]]), phi, abs(float(p[1])), interval)

    def moments(run: NDArray[np.float64]) -> float:
        return float(abs(run.mean() - X.mean()) + abs(run.std() - X.std())) / float(X.std())

    def distance(run: NDArray[np.float64]) -> float:
        apart = np.abs(member_cdfs(run, interval, grid).mean(axis=0) - truth).sum(axis=-1)
        return float(np.mean(np.asarray(grid.width) * apart / np.asarray(grid.std)))

    def tuned(loss: Callable[[NDArray[np.float64]], float]) -> l96bench.AR1Closure:
        def cost(p: NDArray[np.float64]) -> float:
            rng = np.random.default_rng(0)
            run = l96bench.rollout(noise(p), starts, 30.0, regime=regime, spin_up=10.0, rng=rng, progress=False)
            return loss(run.X) if run.survived.all() else np.inf

        first = np.array([U.mean() - 1.0, U.std(), 0.3])
        simplex = first + np.array([[0, 0, 0], [-3.0, 0, 0], [0, 2.0 * U.std(), 0], [0, 0, 0.6]])
        options = {"maxfev": 100, "xatol": 0.02, "fatol": 0.002, "initial_simplex": simplex}
        return noise(minimize(cost, first, method="Nelder-Mead", options=options).x)

    rows: list[tuple[str, ...]] = [("truth", f"{X.mean():.2f}", f"{X.std():.2f}", "", "", "", "")]
    for name, closure in (
        ("mean of U", l96bench.Polynomial([U.mean()])),
        ("noise, tuned to mean and std", tuned(moments)),
        ("noise, tuned to the climate distance", tuned(distance)),
        ("linear in X", l96bench.PolynomialRegressor(degree=1).fit(X, U)),
    ):
        metrics = task.evaluate(closure, progress=False).metrics
        names = ("climate_distance", "climate_part", "forecast_part", "rmse_over_std_1")
        own = (f"{metrics['mean'].value:.2f}", f"{metrics['std'].value:.2f}")
        rows.append((name, *own, *(f"{metrics[each].value:.3f}" for each in names)))
    return rows


def without_knowledge(regime: str) -> str:
    """What was found by `fooled`, as a table."""
    rows = measured("rewards", lambda: {each: fooled(each) for each in REGIMES})[regime]
    header = ("closure", "mean of X", "std of X", "climate distance", "climate part", "forecast part")
    return l96bench.markdown_table((*header, "RMSE / std at 1 MTU"), rows, left=header[:1])


def everywhere() -> str:
    """Every policy on the board, in every family, with its seeds and the processor seconds of its training."""
    rows = []
    for result in sorted(l96bench.read_results(RESULTS), key=lambda each: (each.task, -each.score.value)):
        if result.model.kind != "reinforcement learning" or not result.score.seeds:  # of a file nobody knows the seeds
            continue
        score, seconds = result.score, result.cost.training_seconds
        script = (result.model.command or "").removeprefix("l96bench run ").split()[0]
        rows.append(
            (
                result.task,
                result.model.name,
                f"{score.value:.1f} [{score.low:.1f}, {score.high:.1f}]",
                " ".join(f"{seed.value:.1f}" for seed in score.seeds),
                "" if seconds is None else f"{seconds:.0f}",
                script,
            )
        )
    header = ("task", "policy", "score", "by seed", "training s", "script")
    return l96bench.markdown_table(header, rows, left=(*header[:2], header[-1]))


def picture() -> None:
    """Draw the learning curves, means over seeds, from the committed results."""
    figure, axes = plt.subplots(2, len(REGIMES), figsize=(9, 6), sharex=True, squeeze=False)
    for column, regime in zip(axes.T, REGIMES, strict=True):
        for i, (slug, name) in enumerate(TRAINED.items()):
            result = committed(regime, slug)
            if result is not None and "learning_seconds" in result.series:
                for axis, key in zip(column, ("learning_r2", "learning_error"), strict=True):
                    axis.plot(
                        result.series["learning_seconds"][1:],
                        result.series[key][1:],
                        color=f"C{i}",
                        marker=".",
                        label=name,
                    )
        column[0].set(title=regime, ylim=(0.0, 0.95), ylabel="R² of U", xscale="log", xlim=(0.2, 300))
        column[1].set(xlabel="seconds of processor time", ylim=(0.2, 1.6), ylabel="RMSE / std at 1 MTU")
    axes[0, 1].legend(loc="center", fontsize="small")
    figure.tight_layout()
    figure.savefig(PICTURE, dpi=110, metadata={"Software": None})
    plt.close(figure)


def page() -> str:
    """Return docs/rewards.md."""
    parts = [INTRODUCTION + "\nMade by `make figures` (`docs/rewards.py`) from the committed results."]
    for regime in REGIMES:
        parts.append(f"## Scores on {regime}\n\n{scores(regime)}")
    parts.append(
        "The intervals of the third column are of the paired bootstrap, over the same test blocks and over seeds.\n\n"
        f"![Learning curves]({PICTURE.name})\n\nMeans of five seeds, on the validation trajectory."
    )
    parts.append(FINDINGS.strip().format(correlations=correlations(), memory=beside_recurrent()))
    parts.append(
        "## Policies in every family\n\nAll policies that the board has trained, with the processor seconds that a "
        "seed takes: for training, and in `equation-recovery` also for writing the equations of all problems. The "
        f"scripts are in `baselines/`.\n\n{everywhere()}"
    )
    parts.append(
        "## A climate can be had without knowing anything\n\n"
        "Three numbers, the mean, the size and the memory of a noise that never looks at X, were tuned to bring the "
        "model's statistics close to the truth's: once its mean and standard deviation, once the climate distance.\n\n"
        + "\n\n".join(f"{regime}\n\n{without_knowledge(regime)}" for regime in REGIMES)
        + "\n\nThe noise is paid for the statistics that it pushes the model into, not for being right about a state: "
        "its R² is at most 0. The fewer the statistics, the less they tell. The forecast and ensemble rewards are "
        "proper scores (Gneiting and Raftery 2007, J. Am. Stat. Assoc. 102, 359-378): best for what is right given X."
    )
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Write docs/rewards.md and its picture."""
    picture()
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()

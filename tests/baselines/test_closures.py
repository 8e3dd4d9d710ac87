"""What every closure among the baselines scores, offline and online, after little training.

On `wilks-f20`, where the entry enters it, else on the first of its regimes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from l96bench.entries.lookup import find_entry
from l96bench.results.record import ModelInfo, Result
from l96bench.tasks.online_rollout import OnlineRollout
from l96bench.tasks.subgrid_forcing import SubgridForcing

pytestmark = pytest.mark.training

FOLDER = Path(__file__).resolve().parents[2] / "baselines"
CLOSURES = sorted(
    path.stem
    for path in FOLDER.glob("[!_]*.py")
    if not path.stem.startswith(("attack_", "da_", "er_", "ob_", "rl_", "up_"))
)

EXPECTED = {
    "climatological mean": (0, 10, 0, 60),
    "no closure": (-150, 0, 0, 0),
    "linear": (75, 84, 50, 100),
    "fitted quadratic": (78, 88, 60, 100),
    "fitted cubic": (80, 90, 60, 100),
    "fitted quartic": (80, 90, 60, 100),
    "fitted quintic": (80, 90, 60, 100),
    "Wilks 2005": (70, 87, 50, 100),
    "Arnold et al. 2013": (70, 87, 50, 100),
    "linear, Powell on tendencies": (75, 84, 50, 100),
    "quartic, Powell on tendencies": (80, 90, 60, 100),
    "linear, Powell on trajectories": (74, 84, 50, 100),
    "quartic, Powell on trajectories": (79, 90, 60, 100),
    "linear, ensemble Kalman inversion": (74, 84, 50, 100),
    "quartic, ensemble Kalman inversion": (70, 88, 50, 100),
    "fitted quartic + AR(1)": (80, 90, 70, 100),
    "fitted quartic + white noise": (80, 90, 70, 100),
    "fitted cubic + AR(1)": (80, 90, 70, 100),
    "fitted cubic + white noise": (80, 90, 70, 100),
    "fitted cubic + state-dependent AR(1)": (80, 90, 70, 100),
    "fitted cubic + state-dependent white noise": (80, 90, 70, 100),
    "fitted cubic + multiplicative AR(1)": (80, 90, 70, 100),
    "fitted cubic + multiplicative white noise": (80, 90, 70, 100),
    "fitted cubic + multiplicative and additive AR(1)": (80, 90, 70, 100),
    "fitted cubic + multiplicative and additive white noise": (80, 90, 70, 100),
    "conditional Markov chain": (84, 93, 70, 100),
    "memory polynomial": (83, 93, 70, 100),
    "memory polynomial with advection": (90, 98, 60, 100),
    "quadratic stencil regression": (84, 95, 60, 100),
    "stencil network": (84, 95, 60, 100),
    "stencil network + AR(1)": (84, 95, 60, 100),
    "random forest": (82, 95, 60, 100),
    "network, radius 0": (80, 90, 60, 100),
    "network, radius 1": (82, 92, 60, 100),
    "network, radius 3": (86, 95, 60, 100),
    "network, weight decay": (84, 95, 60, 100),
    "network, dropout": (84, 95, 60, 100),
    "network, batch norm": (84, 95, 60, 100),
    "network, found rate": (84, 95, 60, 100),
    "network, deep": (85, 95, 60, 100),
    "network, residual": (85, 95, 60, 100),
    "network, global": (82, 93, 60, 100),
    "network of the book, global": (79, 90, 60, 100),
    "network of the book, local": (79, 90, 55, 100),
    "circular CNN": (86, 96, 60, 100),
    "network, 2 lags": (86, 97, 60, 100),
    "network, whitened lags": (86, 97, 60, 100),
    "GRU": (88, 97, 75, 100),
    "GRU + AR(1)": (85, 97, 75, 100),
    "GRU, inferred past": (88, 99, 60, 100),
    "probabilistic RNN": (88, 97, 75, 100),
    "GAN": (78, 93, 60, 100),
    "deep ensemble": (84, 95, 60, 100),
    "MC dropout": (84, 95, 60, 100),
    "heteroscedastic network + AR(1)": (84, 95, 60, 100),
    "network trained online, 0.05 MTU": (84, 95, 60, 100),
    "network trained online, 0.2 MTU": (84, 95, 60, 100),
    "stochastic network trained online": (84, 95, 60, 100),
    "coupled online learning": (84, 95, 60, 100),
    "decision tree": (80, 92, 60, 100),
    "gradient boosting": (82, 95, 60, 100),
    "random forest, lags": (82, 95, 50, 100),
    "gradient boosting, lags": (84, 97, 60, 100),
    "sparse Gaussian process": (84, 95, 60, 100),
    "sampled Gaussian process": (84, 95, 60, 100),
    "SINDy closure": (82, 93, 60, 100),
    "cubic stencil regression": (84, 95, 60, 100),
    "genetic programming closure": (78, 92, 60, 100),
    "emulator, local polynomial": (75, 92, 60, 100),
    "emulator, local network": (70, 95, 55, 100),
    "emulator, global network": (60, 93, 55, 100),
    "emulator, CNN": (70, 95, 55, 100),
    "free network, radius 3": (86, 97, 60, 100),
    "penalized mean": (84, 96, 60, 100),
    "flux form": (86, 97, 60, 100),
    "staggered flux": (86, 97, 60, 100),
    "gauge-free flux": (84, 96, 60, 100),
}
"""Where the scores lie, offline and online."""


def on(regime_id: str, task: SubgridForcing | OnlineRollout) -> SubgridForcing | OnlineRollout:
    """The same miniature of another regime."""
    return task if task.regime_id == regime_id else type(task)(regime_id).miniature()


@pytest.mark.parametrize("name", CLOSURES)
def test_every_closure_trains_and_scores(
    name: str,
    offline: SubgridForcing,
    memory: SubgridForcing,
    online: OnlineRollout,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entry, _ = find_entry(name)
    if "STEPS" in entry.make.__globals__:
        monkeypatch.setitem(entry.make.__globals__, "STEPS", 20)
    regime = "wilks-f20" if entry.regimes is None or "wilks-f20" in entry.regimes else entry.regimes[0]
    task = on(regime, memory if "subgrid-forcing-memory" in entry.families else offline)
    model = entry.make(task, 0)
    if entry.trained_on is None:
        task.fit(model)
    info = entry.info(task, model, 0, f"l96bench run {name}")
    assert info.parameters is not None
    low, high, low_online, high_online = EXPECTED[entry.name]
    if task.family in entry.families:
        assert low - 1e-6 <= scored(task, model, info).score.value <= high
    assert low_online <= scored(on(regime, online), model, info).score.value <= high_online


def scored(task: SubgridForcing | OnlineRollout, model: Any, info: ModelInfo) -> Result:
    """The result of a model, which its exported file has to the last bit."""
    result, filed = task.evaluate(model, info), task.evaluate_content(task.export(model), info)
    assert filed.predictions_digest == result.predictions_digest
    assert filed.score == result.score
    assert filed.metrics == result.metrics
    return result

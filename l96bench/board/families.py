"""What the tables of each task family show."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its header, the key of the metric that it shows, and the metric's number format.

    A column that is `optional` is left out of tables none of whose rows has the metric.
    """

    header: str
    key: str
    format: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Family:
    """A task family on the board: its title, its question, and the columns that only it has."""

    id: str
    title: str
    question: str
    columns: tuple[Column, ...] = ()


_OFFLINE = (
    Column("R² shift", "r2_shift", ".3f"),
    Column("R² 10 MTU", "r2_budget_10", ".3f"),
    Column("R² 100 MTU", "r2_budget_100", ".3f"),
    Column("RMSE", "rmse", ".3f"),
    Column("bias", "bias", ".3f"),
    Column("conservation error", "conservation_error", ".2g", optional=True),
)

FAMILIES = (
    Family(
        "subgrid-forcing",
        "Subgrid forcing",
        "Predict the subgrid forcing U from the resolved state X. "
        "0 points: the climatological mean of U. 100 points: U exactly.",
        _OFFLINE,
    ),
    Family(
        "subgrid-forcing-memory",
        "Subgrid forcing with memory",
        "Predict the subgrid forcing U from the resolved state X and its past. "
        "0 points: the climatological mean of U. 100 points: U exactly.",
        _OFFLINE,
    ),
    Family(
        "online-rollout",
        "Online rollout",
        "Couple the closure to the resolved model: is the forecast good, the climate right, the run stable? "
        "0 points: no closure. 100 points: perfect physics.",
        (
            Column("survival", "survival", ".2f"),
            Column("forecast part", "forecast_part", ".3f"),
            Column("climate part", "climate_part", ".3f"),
            Column("CRPS at 1 MTU", "crps_1", ".3f"),
            Column("valid time", "valid_prediction_time", ".2f"),
            Column("climate shift", "climate_part_shift", ".3f"),
            Column("conservation error", "conservation_error", ".2g", optional=True),
        ),
    ),
    Family(
        "da-increment",
        "Data assimilation",
        "Learn the increments of a biased model, or bring a better model or filter: does it assimilate better? "
        "0 points: the model without correction. 100 points: the two-scale model.",
        (
            Column("background RMSE", "background_rmse", ".3f"),
            Column("analysis RMSE", "analysis_rmse", ".3f"),
            Column("spread over error", "spread_over_error", ".2f"),
            Column("inflation", "inflation", ".2f"),
            Column("R² of increments", "r2_increment", ".3f"),
            Column("R² of true errors", "r2_error", ".3f"),
            Column("free RMSE at 1 MTU", "free_rmse_1", ".2f"),
            Column("climate distance", "climate_distance", ".3f"),
        ),
    ),
    Family(
        "equation-recovery",
        "Equation recovery",
        "Recover the governing equations, or the resolved ones with a closure, from noisy trajectories. "
        "0 points: the empty equation. 100 points: the exact equation.",
        (
            Column("F1", "f1", ".3f"),
            Column("precision", "precision", ".3f"),
            Column("recall", "recall", ".3f"),
            Column("coefficient error", "coefficient_error", ".3f"),
            Column("operator residual", "operator_residual", ".3f"),
            Column("valid time", "valid_prediction_time", ".2f"),
            Column("terms", "n_terms", ".0f"),
            Column("failed", "failed", ".2f"),
            Column("score, no noise", "score_noise_00", ".1f"),
            Column("score, 10 % noise", "score_noise_10", ".1f"),
        ),
    ),
)


def family(family_id: str) -> Family:
    """The family of that id; one without columns of its own when the board knows nothing about it."""
    known = {family.id: family for family in FAMILIES}
    return known.get(family_id, Family(family_id, family_id.replace("-", " ").capitalize(), ""))

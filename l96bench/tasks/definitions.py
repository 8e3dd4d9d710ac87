"""What every number in the results of the built-in families means; see `l96bench.metrics.Metric`."""

from __future__ import annotations

from l96bench.metrics.glossary import Metric, with_shift

__all__ = ["ASSIMILATION", "LEARNING", "OBSERVED", "OFFLINE", "ONLINE", "RECOVERY", "RESTART", "UNSEEN"]

RESTART = 2.0
"""The largest `restart` of a closure that goes on as it began."""

_LEAD = "lead"
_SYSTEM = "system"
_EVALUATION = "evaluation during training"

LEARNING = (
    Metric("learning_steps", "steps",
           "Policies only: steps of all rows of the environment.", "1", "none", _EVALUATION),
    Metric("learning_seconds", "processor time",
           "Policies only: processor time of training without that of the evaluations.", "s", "none", _EVALUATION),
    Metric("learning_r2", "R² of U",
           "Policies only: R² of U on the validation trajectory, about the training mean.",
           "1", "higher", _EVALUATION),
    Metric("learning_error", "RMSE over std at 1 MTU",
           "Policies only: RMSE of X after 1 MTU of forecasts from 50 states of the validation trajectory, over the "
           "standard deviation of the training X. Errors count up to 10 standard deviations.",
           "1", "lower", _EVALUATION),
    Metric("learning_reward", "reward",
           "Policies only: mean reward of a step and row since the evaluation before; there is none at the first "
           "one.", "1", "higher", _EVALUATION),
)  # fmt: skip
"""Curves of policies, which any family with an environment may report."""

OFFLINE = (
    *with_shift(
        Metric("r2", "R²",
               "1 - sum (U - P)² / sum (U - m)² over all scored times, points and test trajectories; P is the "
               "prediction, m the mean of the training U. U itself has 1, m has 0.", "1", "higher"),
        Metric("rmse", "RMSE",
               "Root of the mean of (predicted U - U)² over all scored times, points and test trajectories.",
               "X / MTU", "lower"),
        Metric("bias", "bias",
               "Mean of predicted U - U over all scored times, points and test trajectories.", "X / MTU", 0.0),
        Metric("crps", "CRPS",
               "Stochastic models only: continuous ranked probability score of 20 draws, as a distribution, averaged "
               "over times, points and test trajectories.", "X / MTU", "lower"),
        Metric("spread_skill", "spread over error",
               "Stochastic models only: root of 21/20 of the mean (unbiased) variance of 20 draws, over the RMSE of "
               "their mean.", "1", 1.0),
        Metric("conservation_error", "conservation error",
               "Where the coupling is a flux: root mean square over times (and draws) of the mean of the predicted U "
               "over the ring, which is 0 for U, over the standard deviation of the training U.", "1", "lower"),
    ),
    Metric("r2_quantile_{low}_{high}", "R², percentiles {low} to {high}",
           "R² with both sums over those points and times alone whose X lies between the percentiles {low} and "
           "{high} of the test X.", "1", "higher"),
    Metric("r2_budget_{mtu}", "R² of {mtu} MTU",
           "Quick entries only: R² of a copy of the model that was fitted to the first {mtu} MTU of the training "
           "trajectory.", "1", "higher"),
)  # fmt: skip
"""Of `subgrid-forcing` and `subgrid-forcing-memory`."""

ONLINE = (
    Metric("forecast_part", "forecast part",
           "(C_none - C) / (C_none - C_perfect), C being the mean CRPS of the forecasts up to 2 MTU; not capped. "
           "Perfect physics has 1, no closure 0.", "1", "higher"),
    Metric("members", "members",
           "Members of every forecast: 1 for a deterministic closure, whose CRPS is the absolute error of one "
           "state and cannot reach that of an ensemble.", "1", "none"),
    Metric("crps_mean", "mean CRPS",
           "Continuous ranked probability score of the forecast X, as a distribution, averaged over points, cases "
           "and leads to 2 MTU. With one member it is the absolute error.", "X", "lower"),
    Metric("crps_1", "CRPS at 1 MTU",
           "Continuous ranked probability score of the forecast X, as a distribution, averaged over points and cases "
           "at a lead of 1 MTU. With one member it is the absolute error.", "X", "lower"),
    Metric("rmse_1", "RMSE at 1 MTU",
           "Root mean square error of the ensemble mean over points and cases at a lead of 1 MTU.", "X", "lower"),
    Metric("rmse_over_std_1", "RMSE over std at 1 MTU",
           "Root mean square error of the ensemble mean at a lead of 1 MTU over the standard deviation of the "
           "training X.", "1", "lower"),
    Metric("spread_1", "spread at 1 MTU",
           "Root of (m + 1) / m times the mean (unbiased) variance of m members at a lead of 1 MTU; 0 for one "
           "member. A reliable ensemble has a spread equal to its RMSE.", "X", "none"),
    Metric("anomaly_correlation_1", "anomaly correlation at 1 MTU",
           "Correlation over points and cases of the ensemble mean and the truth at a lead of 1 MTU, both about the "
           "mean of the training X.", "1", "higher"),
    Metric("valid_prediction_time", "valid time",
           "First lead at which the RMSE of the ensemble mean exceeds 0.4 standard deviations of the training X; the "
           "last lead, 3 MTU, if none does.", "MTU", "higher"),
    *with_shift(
        Metric("survival", "survival",
               "Fraction of the climate members that stay finite and within 10 standard deviations of the truth's "
               "mean to the end.", "1", "higher"),
        Metric("climate_part", "climate part",
               "(D_none - D) / (D_none - D_truth), D being the climate distance; not capped. A second sample of the "
               "truth has 1, no closure 0.", "1", "higher"),
        Metric("climate_distance", "climate distance",
               "Mean of the distances of X, of its changes and of its differences from the truth's.", "1", "lower"),
        Metric("distance_value", "distance of X",
               "1-Wasserstein distance between the distributions of X_k in the climate run and in the truth's, over "
               "the truth's standard deviation of it.", "1", "lower"),
        Metric("distance_change", "distance of changes",
               "1-Wasserstein distance between the distributions of X_k(t + 0.2) - X_k(t) in the climate run and in "
               "the truth's, over the truth's standard deviation of it.", "1", "lower"),
        Metric("distance_difference", "distance of differences",
               "1-Wasserstein distance between the distributions of X_(k+1) - X_k in the climate run and in the "
               "truth's, over the truth's standard deviation of it.", "1", "lower"),
        Metric("mean", "mean of X", "Mean of X over the climate run.", "X", "truth"),
        Metric("std", "std of X", "Standard deviation of X over the climate run.", "X", "truth"),
        Metric("p001", "0.1 % quantile of X",
               "Value that 0.1 % of all X of the climate run lie below.", "X", "truth"),
        Metric("p999", "99.9 % quantile of X",
               "Value that 0.1 % of all X of the climate run lie above.", "X", "truth"),
        Metric("return_level_100", "100 MTU level",
               "Level that X at a point exceeds in one of ten blocks of 10 MTU of the climate run.", "X", "truth"),
        Metric("transitions", "transitions",
               "How often in the climate run another of the two waves around the ring that carry most variance in the "
               "truth comes to have the larger amplitude.", "1 / MTU", "truth"),
        Metric("autocorrelation_error", "autocorrelation error",
               "Root mean square difference between the autocorrelations of X in the climate run and in the truth's, "
               "over lags from 0 to 10 MTU.", "1", "lower"),
        Metric("conservation_error", "conservation error",
               "Where the coupling is a flux: root mean square over the climate run of the mean of the closure's U "
               "over the ring, which is 0 for the truth's, over the standard deviation of the training U.",
               "1", "lower"),
        Metric("momentum_drift", "momentum drift",
               "Where the coupling is a flux: mean over the climate run of the closure's U, over the standard "
               "deviation of the training U.", "1", 0.0),
        Metric("autocorrelation", "autocorrelation",
               "Autocorrelation of X in the climate run, about its mean.",
               "1", "truth", "lag, 0 to 10 MTU every 0.5"),
        Metric("spectrum", "spectrum",
               "Power spectral density in time of X in the climate run, averaged over points and members (Welch; "
               "Hann windows of 10 MTU).", "X² MTU", "truth", "frequency"),
        Metric("spectrum_frequency", "frequency", "Frequencies of the spectrum.", "1 / MTU", "none", "frequency"),
    ),
    Metric("response_mean", "response of the mean",
           "Mean of X over the climate run of the shifted forcing less that of the regime's own.", "X", "truth"),
    Metric("response_variance", "response of the variance",
           "Variance of X over the climate run of the shifted forcing less that of the regime's own.", "X²", "truth"),
    Metric("restart", "restart",
           "Root mean square difference of the free run from the same run started again half an MTU before, from its "
           "own past and a state disturbed by 0.01 standard deviations, over that of two such restarts, in the middle "
           "of the run; that at another time, or the factor by which disturbances shrink, where it is above 2. Near or "
           "below 1 for a closure that goes on as it began.", "1", "none", most=RESTART),
    Metric("training_distance", "distance from training",
           "Median distance of half an MTU of the climate run from the nearest half MTU of the training trajectory, "
           "turned around the ring, over that of the truth. 0 for a copy of the training data.", "1", 1.0, least=0.5),
    Metric("lead", "lead", "Leads of the curves of forecasts.", "MTU", "none", _LEAD),
    Metric("crps_by_lead", "CRPS by lead", "As `crps_1`, at every lead.", "X", "lower", _LEAD),
    Metric("rmse_by_lead", "RMSE by lead", "As `rmse_1`, at every lead.", "X", "lower", _LEAD),
    Metric("spread_by_lead", "spread by lead", "As `spread_1`, at every lead.", "X", "none", _LEAD),
    Metric("anomaly_correlation_by_lead", "anomaly correlation by lead",
           "As `anomaly_correlation_1`, at every lead.", "1", "higher", _LEAD),
)  # fmt: skip
"""Of `online-rollout`."""

ASSIMILATION = (
    Metric("background_rmse", "background RMSE",
           "Root mean square error of the mean of the forecast ensemble before each analysis, over cycles, points "
           "and test segments; a diverged segment has the errors of the one without correction.", "X", "lower"),
    Metric("analysis_rmse", "analysis RMSE",
           "Root mean square error of the mean of the ensemble after each analysis, over cycles, points and test "
           "segments; what has diverged counts as one standard deviation of the truth.", "X", "lower"),
    Metric("spread_over_error", "spread over error",
           "Root of (m + 1) / m times the mean (unbiased) variance of the m background members, over the background "
           "RMSE.", "1", 1.0),
    Metric("inflation", "inflation",
           "Factor on the deviations of the analysis members from their mean, chosen on the validation segment.",
           "1", "none"),
    Metric("r2_increment", "R² of increments",
           "Models of increments only: R² of the predicted against the archive's analysis increments at its test "
           "backgrounds, about the mean of the training increments.", "1", "higher"),
    Metric("r2_error", "R² of true errors",
           "Models of increments only: R² of the predicted increments against truth minus background, about the "
           "training mean of that.", "1", "higher"),
    Metric("free_rmse_1", "free RMSE at 1 MTU",
           "Root mean square error of X after 1 MTU of a forecast from true states without assimilation.",
           "X", "lower"),
    Metric("climate_distance", "climate distance",
           "Distance between a free run's climate and that of the training truth, as in `online-rollout`.",
           "1", "lower"),
    Metric("background_rmse_by_segment", "background RMSE by segment",
           "As `background_rmse`, of each segment.", "X", "lower", "test segment"),
)  # fmt: skip
"""Of `da-increment`."""

_HIDDEN = "Where Y is hidden: mean over the instances whose coupling h was drawn around {h}."
_BUDGET = "budget"

RECOVERY = (
    Metric("precision", "precision",
           "Fraction of the found terms that are true; mean over the problems.", "1", "higher"),
    Metric("recall", "recall", "Fraction of the true terms that are found; mean over the problems.", "1", "higher"),
    Metric("f1", "F1",
           "Twice the number of right terms over the number of found plus that of true terms; mean over the "
           "problems.", "1", "higher"),
    Metric("coefficient_error", "coefficient error",
           "Norm of the difference of found and true coefficients over that of the true ones, over the terms of "
           "both, at most 10; median over the problems.", "1", "lower"),
    Metric("operator_residual", "operator residual",
           "Norm of the difference of found and true tendencies over that of the true ones, at test states, at most "
           "10; mean over the problems.", "1", "lower"),
    Metric("effective_residual", "effective residual",
           "Where Y is hidden: norm of the difference of the tendencies found and those of the equations with the "
           "same terms that fit the training tendencies best, over that of the true ones; at most 10, mean over the "
           "problems.", "1", "lower"),
    Metric("valid_prediction_time", "valid time",
           "First lead at which the RMSE of X exceeds 0.4 standard deviations of the training X; the last lead if "
           "none does. Mean over the problems.", "Lyapunov times (single), MTU (other tracks)", "higher"),
    Metric("n_terms", "terms", "Number of terms; mean over the problems.", "1", "none"),
    Metric("failed", "failed", "Fraction of the problems without usable equations.", "1", "lower"),
    Metric("score_noise_{percent}", "score, {percent} % noise",
           "Mean over the problems with {percent} % noise.", "points", "higher"),
    Metric("f1_noise_{percent}", "F1, {percent} % noise",
           "Mean over the problems with {percent} % noise.", "1", "higher"),
    Metric("score_budget_{mtu}", "score, {mtu} MTU",
           "Mean over the problems with {mtu} MTU of data.", "points", "higher"),
    Metric("score_h_{h}", "score, h near {h}", _HIDDEN, "points", "higher"),
    Metric("f1_h_{h}", "F1, h near {h}", _HIDDEN, "1", "higher"),
    Metric("operator_residual_h_{h}", "operator residual, h near {h}", _HIDDEN, "1", "lower"),
    Metric("effective_residual_h_{h}", "effective residual, h near {h}", _HIDDEN, "1", "lower"),
    Metric("f1_noise_{percent}", "F1 by budget, {percent} % noise",
           "Mean over the instances with {percent} % noise.", "1", "higher", _BUDGET),
    Metric("operator_residual_noise_{percent}", "operator residual by budget, {percent} % noise",
           "Mean over the instances with {percent} % noise.", "1", "lower", _BUDGET),
    Metric("coefficient_error_noise_{percent}", "coefficient error by budget, {percent} % noise",
           "Median over the instances with {percent} % noise.", "1", "lower", _BUDGET),
    Metric("valid_prediction_time_noise_{percent}", "valid time by budget, {percent} % noise",
           "Mean over the instances with {percent} % noise.",
           "Lyapunov times (single), MTU (other tracks)", "higher", _BUDGET),
    Metric("score_by_instance", "score by instance",
           "Mean over the problems of each instance.", "points", "higher", "instance"),
)  # fmt: skip
"""Of `equation-recovery`."""

OBSERVED = (
    Metric("fresh_score", "score, observations anew",
           "The score of the same kind of closure, fitted to as many observations of another trajectory, whose seed "
           "follows from the predictions of the first.", "1", "higher"),
    Metric("fresh_difference", "score less that with observations anew",
           "The score less that of the same kind of closure fitted to observations of another trajectory; the interval "
           "is of the test alone, which both share.", "1", "none"),
    Metric("share", "share of given U",
           "The score over that of the same kind of closure fitted to the true X and U, on the same test; 0 where "
           "that has none.", "1", "higher"),
)  # fmt: skip
"""Metrics of `observed-closure`, beside those of `online-rollout`."""

UNSEEN = (
    Metric("informed", "told h and c",
           "1 for a closure that is told h and c of each test system, 0 for a blind one.", "1", "none"),
    Metric("worst_system", "score of the worst system",
           "The lowest score of a test system.", "1", "higher"),
    Metric("new_systems_score", "score, new systems",
           "The score on as many systems of the same track that are drawn from a seed which follows from the "
           "predictions, with a fifth of the trajectories of the truth.", "1", "higher"),
    Metric("new_systems_difference", "score less that on new systems",
           "The score less that on new systems; the interval is Student's, of the scores of the systems of both. A row "
           "has no rank where it is above 0.", "1", "none", most=0.0, flag="falls"),
    Metric("system", "system", "Numbers of the test systems.", "1", "none", _SYSTEM),
    Metric("system_score", "score of a system", "The score of each test system.", "1", "higher", _SYSTEM),
    Metric("system_forecast_part", "forecast part of a system", "The forecast part of each test system.", "1", "higher",
           _SYSTEM),
    Metric("system_climate_part", "climate part of a system", "The climate part of each test system.", "1", "higher",
           _SYSTEM),
    Metric("system_climate_part_shift", "climate shift of a system",
           "The climate part of each test system at F + 4.", "1", "higher", _SYSTEM),
)  # fmt: skip
"""Metrics and curves of `unseen-physics`, beside those of `online-rollout`."""

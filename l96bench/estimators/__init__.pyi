from .emulators import EmulatorClosure, EmulatorRegressor
from .flux import ConservativeNetwork, FluxClosure, FluxRegressor, flux_divergence, minimal_flux
from .gaussian_process import GaussianProcessClosure, SampledGaussianProcess, SparseGaussianProcess
from .generative import GANRegressor, ProbabilisticRecurrentRegressor, energy_score
from .heteroscedastic import HeteroscedasticClosure, HeteroscedasticRegressor
from .in_context import InContextRegressor
from .inversion import InvertedPolynomial, ensemble_kalman_inversion
from .markov import MarkovChainRegressor, MarkovChainStep
from .memory_polynomial import MemoryPolynomialRegressor, MemoryPolynomialStep
from .network import NetworkClosure, TorchRegressor
from .network_ensembles import DeepEnsembleClosure, DeepEnsembleRegressor, DropoutRegressor, DropoutStep
from .nudged import CoupledOnlineRegressor
from .online_training import OnlineNetworkRegressor, OnlineStochasticRegressor
from .past_likelihood import PastLikelihoodClosure, PastLikelihoodRegressor
from .recurrences import RecurrentStep
from .recurrent import RecurrentRegressor
from .regressors import AR1Regressor, LaggedStep, LocalRegressor, PolynomialRegressor, StencilClosure
from .ring_network import RingNetwork
from .rollout_training import StochasticNetworkClosure
from .similarity import (
    NearestSystem,
    OneForAll,
    SimilarityNetwork,
    SimilarityPolynomial,
    SimilarityRecurrentRegressor,
)
from .stochastic import StochasticClosure, StochasticRegressor
from .tuning import TunedPolynomial

__all__ = [
    "AR1Regressor",
    "ConservativeNetwork",
    "CoupledOnlineRegressor",
    "DeepEnsembleClosure",
    "DeepEnsembleRegressor",
    "DropoutRegressor",
    "DropoutStep",
    "EmulatorClosure",
    "EmulatorRegressor",
    "FluxClosure",
    "FluxRegressor",
    "GANRegressor",
    "GaussianProcessClosure",
    "HeteroscedasticClosure",
    "HeteroscedasticRegressor",
    "InContextRegressor",
    "InvertedPolynomial",
    "LaggedStep",
    "LocalRegressor",
    "MarkovChainRegressor",
    "MarkovChainStep",
    "MemoryPolynomialRegressor",
    "MemoryPolynomialStep",
    "NearestSystem",
    "NetworkClosure",
    "OneForAll",
    "OnlineNetworkRegressor",
    "OnlineStochasticRegressor",
    "PastLikelihoodClosure",
    "PastLikelihoodRegressor",
    "PolynomialRegressor",
    "ProbabilisticRecurrentRegressor",
    "RecurrentRegressor",
    "RecurrentStep",
    "RingNetwork",
    "SampledGaussianProcess",
    "SimilarityNetwork",
    "SimilarityPolynomial",
    "SimilarityRecurrentRegressor",
    "SparseGaussianProcess",
    "StencilClosure",
    "StochasticClosure",
    "StochasticNetworkClosure",
    "StochasticRegressor",
    "TorchRegressor",
    "TunedPolynomial",
    "energy_score",
    "ensemble_kalman_inversion",
    "flux_divergence",
    "minimal_flux",
]

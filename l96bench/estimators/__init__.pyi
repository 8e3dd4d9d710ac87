from .emulators import EmulatorClosure, EmulatorRegressor
from .flux import ConservativeNetwork, FluxClosure, FluxRegressor, flux_divergence, minimal_flux
from .gaussian_process import GaussianProcessClosure, SampledGaussianProcess, SparseGaussianProcess
from .generative import GANRegressor, ProbabilisticRecurrentRegressor, energy_score
from .heteroscedastic import HeteroscedasticClosure, HeteroscedasticRegressor
from .inversion import InvertedPolynomial, ensemble_kalman_inversion
from .markov import MarkovChainClosure, MarkovChainRegressor
from .memory_polynomial import MemoryPolynomialClosure, MemoryPolynomialRegressor
from .network import NetworkClosure, TorchRegressor
from .network_ensembles import DeepEnsembleClosure, DeepEnsembleRegressor, DropoutClosure, DropoutRegressor
from .nudged import CoupledOnlineRegressor
from .online_training import OnlineNetworkRegressor, OnlineStochasticRegressor
from .recurrences import RecurrentClosure
from .recurrent import RecurrentRegressor
from .regressors import AR1Regressor, LaggedClosure, LocalRegressor, PolynomialRegressor, StencilClosure
from .ring_network import RingNetwork
from .rollout_training import StochasticNetworkClosure
from .stochastic import StochasticClosure, StochasticRegressor
from .tuning import TunedPolynomial

__all__ = [
    "AR1Regressor",
    "ConservativeNetwork",
    "CoupledOnlineRegressor",
    "DeepEnsembleClosure",
    "DeepEnsembleRegressor",
    "DropoutClosure",
    "DropoutRegressor",
    "EmulatorClosure",
    "EmulatorRegressor",
    "FluxClosure",
    "FluxRegressor",
    "GANRegressor",
    "GaussianProcessClosure",
    "HeteroscedasticClosure",
    "HeteroscedasticRegressor",
    "InvertedPolynomial",
    "LaggedClosure",
    "LocalRegressor",
    "MarkovChainClosure",
    "MarkovChainRegressor",
    "MemoryPolynomialClosure",
    "MemoryPolynomialRegressor",
    "NetworkClosure",
    "OnlineNetworkRegressor",
    "OnlineStochasticRegressor",
    "PolynomialRegressor",
    "ProbabilisticRecurrentRegressor",
    "RecurrentClosure",
    "RecurrentRegressor",
    "RingNetwork",
    "SampledGaussianProcess",
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

from .archive import TRACKS, ArchivePart, Track, get_track, load_archive, make_archive, run_cycle
from .corrections import CorrectedClosure, corrected
from .cycling import cycle
from .ensemble_filters import ETKF, LETKF, EnKF, HybridEnKF
from .expectation_maximization import ExpectationMaximization
from .filters import Filter, NoAssimilation, OptimalInterpolation, static_covariance
from .inflation import Inflation
from .layout import GLOBAL, Layout, gaspari_cohn, ring_taper
from .models import AugmentedModel, ForecastModel, FunctionModel, ResolvedModel, TruthModel
from .network_maximization import NetworkMaximization, RedNoiseNetwork
from .observations import Network, Observations, Observed
from .observed import OBSERVED_TRACKS, ObservedSeries, ObservedTrack, observe
from .observed_climate import ClimateInversion
from .observed_learning import AugmentedPolynomial, IncrementNetwork, IncrementPolynomial
from .record import Cycled
from .smoother import Smoothed, ensemble_smoother
from .state_space import RedNoiseModel
from .statistics import InnovationStatistics, innovation_statistics, rank_counts, spread_error_ratio
from .variational import ThreeDVar
from .variational_learning import VariationalNetwork

__all__ = [
    "ETKF",
    "GLOBAL",
    "LETKF",
    "OBSERVED_TRACKS",
    "TRACKS",
    "ArchivePart",
    "AugmentedModel",
    "AugmentedPolynomial",
    "ClimateInversion",
    "CorrectedClosure",
    "Cycled",
    "EnKF",
    "ExpectationMaximization",
    "Filter",
    "ForecastModel",
    "FunctionModel",
    "HybridEnKF",
    "IncrementNetwork",
    "IncrementPolynomial",
    "Inflation",
    "InnovationStatistics",
    "Layout",
    "Network",
    "NetworkMaximization",
    "NoAssimilation",
    "Observations",
    "Observed",
    "ObservedSeries",
    "ObservedTrack",
    "OptimalInterpolation",
    "RedNoiseModel",
    "RedNoiseNetwork",
    "ResolvedModel",
    "Smoothed",
    "ThreeDVar",
    "Track",
    "TruthModel",
    "VariationalNetwork",
    "corrected",
    "cycle",
    "ensemble_smoother",
    "gaspari_cohn",
    "get_track",
    "innovation_statistics",
    "load_archive",
    "make_archive",
    "observe",
    "rank_counts",
    "ring_taper",
    "run_cycle",
    "spread_error_ratio",
    "static_covariance",
]

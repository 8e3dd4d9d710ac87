from .actor import Actor, Learned
from .climate_reward import ClimateReward
from .closure_env import ClosureEnv, PointEnv
from .core import BatchedEnv
from .da_increment import DAIncrementEnv, DAIncrementVectorEnv
from .equation_policy import EquationPolicy
from .equation_recovery import EquationRecoveryEnv, EquationRecoveryVectorEnv
from .memory_policy import MemoryPolicyClosure
from .observed_closure import ObservedClosureEnv, ObservedClosureVectorEnv
from .online_rollout import OnlineRolloutEnv, OnlineRolloutVectorEnv
from .parallel_points import ParallelPointsEnv
from .policy import PolicyClosure, SquashedPolicyClosure, StochasticPolicyClosure
from .policy_gradients import clipped_slope, generalized_advantages
from .ppo import BatchPPO, PPOOptions
from .recurrent_policy import RecurrentPolicyClosure
from .registration import ENVIRONMENTS
from .sb3 import SB3VecEnv
from .scalar import ScalarEnv
from .scaling import Scaling
from .shares import MemberShares, TwinShares
from .state_noise_policy import StateNoisePolicyClosure
from .subgrid_forcing import SubgridForcingEnv, SubgridForcingVectorEnv
from .trained_policy import PointPolicy, TrainedPolicy
from .training import LearningCurveCallback, ValidationSkill, train, train_ppo, training_rows
from .unseen_physics import UnseenPhysicsEnv, UnseenPhysicsVectorEnv
from .unseen_policy import InformedPolicy, PastPolicyClosure

__all__ = [
    "ENVIRONMENTS",
    "Actor",
    "BatchPPO",
    "BatchedEnv",
    "ClimateReward",
    "ClosureEnv",
    "DAIncrementEnv",
    "DAIncrementVectorEnv",
    "EquationPolicy",
    "EquationRecoveryEnv",
    "EquationRecoveryVectorEnv",
    "InformedPolicy",
    "Learned",
    "LearningCurveCallback",
    "MemberShares",
    "MemoryPolicyClosure",
    "ObservedClosureEnv",
    "ObservedClosureVectorEnv",
    "OnlineRolloutEnv",
    "OnlineRolloutVectorEnv",
    "PPOOptions",
    "ParallelPointsEnv",
    "PastPolicyClosure",
    "PointEnv",
    "PointPolicy",
    "PolicyClosure",
    "RecurrentPolicyClosure",
    "SB3VecEnv",
    "ScalarEnv",
    "Scaling",
    "SquashedPolicyClosure",
    "StateNoisePolicyClosure",
    "StochasticPolicyClosure",
    "SubgridForcingEnv",
    "SubgridForcingVectorEnv",
    "TrainedPolicy",
    "TwinShares",
    "UnseenPhysicsEnv",
    "UnseenPhysicsVectorEnv",
    "ValidationSkill",
    "clipped_slope",
    "generalized_advantages",
    "train",
    "train_ppo",
    "training_rows",
]

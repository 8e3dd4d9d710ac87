"""The ids under which Gymnasium finds the environments; importing l96bench registers them."""

from __future__ import annotations

from gymnasium.envs import registration as gymnasium_registration

__all__ = ["ENVIRONMENTS", "register"]

ENVIRONMENTS = {
    "l96bench/SubgridForcing-v2": "l96bench.envs.subgrid_forcing:SubgridForcingEnv",
    "l96bench/OnlineRollout-v2": "l96bench.envs.online_rollout:OnlineRolloutEnv",
    "l96bench/DAIncrement-v2": "l96bench.envs.da_increment:DAIncrementEnv",
    "l96bench/ObservedClosure-v2": "l96bench.envs.observed_closure:ObservedClosureEnv",
    "l96bench/UnseenPhysics-v1": "l96bench.envs.unseen_physics:UnseenPhysicsEnv",
    "l96bench/EquationRecovery-v2": "l96bench.envs.equation_recovery:EquationRecoveryEnv",
}
"""The scalar environment of every id; its batch is the class whose name ends in ``VectorEnv``."""


def register() -> None:
    """Register every id with Gymnasium, those that are not yet there; time limits are the environments' own."""
    for id, entry_point in ENVIRONMENTS.items():
        if id not in gymnasium_registration.registry:
            batch = f"{entry_point.removesuffix('Env')}VectorEnv"
            gymnasium_registration.register(id, entry_point=entry_point, vector_entry_point=batch)

"""The ids under which Gymnasium finds the environments; importing l96bench registers them."""

from __future__ import annotations

from gymnasium.envs import registration as gymnasium_registration

__all__ = ["ENVIRONMENTS", "register"]

ENVIRONMENTS = {
    "l96bench/SubgridForcing-v1": "l96bench.envs.subgrid_forcing:SubgridForcing",
    "l96bench/OnlineRollout-v1": "l96bench.envs.online_rollout:OnlineRollout",
    "l96bench/DAIncrement-v1": "l96bench.envs.da_increment:DAIncrement",
    "l96bench/EquationRecovery-v1": "l96bench.envs.equation_recovery:EquationRecovery",
}
"""The scalar environment of every id; its batch is the class of that name with ``Vector`` behind it."""


def register() -> None:
    """Register every id with Gymnasium, those that are not yet there.

    The time limit belongs to the environments themselves (`episode_steps`), since the native batch has no wrappers.
    """
    for id, entry_point in ENVIRONMENTS.items():
        if id not in gymnasium_registration.registry:
            gymnasium_registration.register(id, entry_point=entry_point, vector_entry_point=f"{entry_point}Vector")

"""Adam for one tensor: for small networks the bookkeeping of a general optimizer takes longer than its arithmetic."""

from __future__ import annotations

import torch

__all__ = ["Adam"]

_FIRST, _SECOND, _EPSILON = 0.9, 0.999, 1e-5
"""The decays of both moments, and what is added to the size of a gradient, as in stable-baselines3's PPO."""


class Adam:
    """Adam (Kingma and Ba 2015, arXiv:1412.6980) for a tensor by its gradient, which is cut off at a norm.

    Parameters
    ----------
    whole : tensor
        With a ``grad``; it is changed in its place.

    Attributes
    ----------
    first, second : tensors
        Running means of the gradient and its square.
    n_steps : int
    """

    def __init__(self, whole: torch.Tensor) -> None:
        self._whole, self.n_steps = whole, 0
        self.first, self.second = torch.zeros_like(whole), torch.zeros_like(whole)

    def step(self, learning_rate: float, max_norm: float) -> None:
        """Make one step."""
        slope = self._whole.grad
        assert slope is not None
        slope.mul_((max_norm / (slope.norm() + 1e-6)).clamp_(max=1.0))
        self.n_steps += 1
        self.first.lerp_(slope, 1.0 - _FIRST)
        self.second.mul_(_SECOND).addcmul_(slope, slope, value=1.0 - _SECOND)
        size = (self.second / (1.0 - _SECOND**self.n_steps)).sqrt_().add_(_EPSILON)
        self._whole.addcdiv_(self.first, size, value=-learning_rate / (1.0 - _FIRST**self.n_steps))

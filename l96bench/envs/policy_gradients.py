"""The formulas of proximal policy optimization: advantages, and the slope of the loss of a changed policy."""

from __future__ import annotations

import torch

__all__ = ["clipped_slope", "generalized_advantages"]


def generalized_advantages(
    rewards: torch.Tensor,
    values: torch.Tensor,
    following: torch.Tensor,
    ended: torch.Tensor,
    gamma: float,
    gae_lambda: float,
) -> torch.Tensor:
    """Return the advantages (step, row) of Schulman et al. (2016), arXiv:1506.02438, equation 16.

        A_t = d_t + gamma lambda (1 - ended_t) A_{t+1},        d_t = r_t + gamma V'_t - V_t

    Parameters
    ----------
    rewards, values : (step, row) tensors
        The rewards r and the values V.
    following : (step, row) tensor
        V', the value after each step: 0 after an end, but not where an episode is cut off.
    ended : (step, row) tensor of 0 and 1
        Whether the next step is one of another episode.
    gamma, gae_lambda : float
        Discount, and the decay of the advantages, both from 0 to 1.

    Returns
    -------
    (step, row) tensor
        The advantages A.

    Examples
    --------
    >>> import torch
    >>> from l96bench.envs import generalized_advantages
    >>> ones, zeros = torch.ones(3, 1), torch.zeros(3, 1)
    >>> generalized_advantages(ones, zeros, zeros, zeros, 0.5, 1.0).ravel()
    tensor([1.7500, 1.5000, 1.0000])
    """
    gains, surprise = torch.empty_like(rewards), rewards + gamma * following - values
    kept, last = gamma * gae_lambda * (1.0 - ended), torch.zeros_like(rewards[0])
    for t in reversed(range(len(rewards))):
        last = gains[t] = surprise[t] + kept[t] * last
    return gains


def clipped_slope(change: torch.Tensor, gains: torch.Tensor, clip_range: float) -> torch.Tensor:
    """Return the derivative by `change` of the loss of Schulman et al. (2017), arXiv:1707.06347, equation 7.

        L = -min(r A, clip(r, 1 - clip_range, 1 + clip_range) A),        r = exp(change)

    Parameters
    ----------
    change : (row,) tensor
        By how much the logarithm of the action's probability has changed.
    gains : (row,) tensor
        Advantages A.
    clip_range : float
        By how much r may differ from 1.

    Returns
    -------
    (row,) tensor
        The derivative of L.

    Examples
    --------
    >>> import torch
    >>> from l96bench.envs import clipped_slope
    >>> clipped_slope(torch.tensor([0.0, 0.5]), torch.tensor([1.0, 1.0]), 0.2)  # the second r is clipped
    tensor([-1., -0.])
    """
    ratio = change.exp()
    free = torch.where(gains > 0.0, ratio < 1.0 + clip_range, ratio > 1.0 - clip_range)
    return -gains * ratio * free

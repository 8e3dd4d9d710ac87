"""Small networks with their gradient written out, which for minibatches of thousands of rows is most of the speed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import nn

from l96bench.envs.activation_kernels import multiply_by_tanh_slope, tanh_in_place

__all__ = ["ACTIVATIONS", "Perceptron", "joined"]

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU, "gelu": nn.GELU}


class Perceptron:
    """A fully connected network, with orthogonal weights at first.

    Parameters
    ----------
    sizes : sequence of int
        Of the input, the hidden layers and the output.
    activation : {"tanh", "relu", "gelu"}
        Between the layers.
    gain : float
        Factor of the last layer's weights.
    generator : torch.Generator
        Its device is that of the network.

    Attributes
    ----------
    weights : list of tensors
        Weight and bias of each layer, with the ``grad`` that `backward` fills.
    """

    def __init__(self, sizes: Sequence[int], activation: str, gain: float, generator: torch.Generator) -> None:
        self.activation, self.weights = activation, list[torch.Tensor]()
        for i, (before, after) in enumerate(itertools.pairwise(sizes)):
            weight = torch.empty(after, before, device=generator.device)
            nn.init.orthogonal_(weight, gain if i == len(sizes) - 2 else math.sqrt(2.0), generator=generator)
            self.weights += [weight, torch.zeros(after, device=generator.device)]
        for each in self.weights:
            each.grad = torch.zeros_like(each)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return the output (row, n_outputs) for inputs (row, n_inputs)."""
        return self.layers(x)[-1]

    def layers(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the inputs (row, n_inputs), the outputs of all hidden layers and the output."""
        found, last = [x], len(self.weights) // 2 - 1
        self._before = list[torch.Tensor]()
        for i in range(last + 1):
            x = torch.addmm(self.weights[2 * i + 1], x, self.weights[2 * i].T)
            if i < last:
                x = self._activated(x)
            found.append(x)
        return found

    def backward(self, layers: Sequence[torch.Tensor], error: torch.Tensor) -> None:
        """Set the gradients of a loss, given the latest `layers` and its derivative by the output (row, n_outputs)."""
        for i in reversed(range(len(self.weights) // 2)):
            weight, bias = self.weights[2 * i : 2 * i + 2]
            assert weight.grad is not None
            assert bias.grad is not None
            torch.mm(error.T, layers[i], out=weight.grad)
            torch.sum(error, dim=0, out=bias.grad)
            if i:
                error = self._sloped(torch.mm(error, weight), layers[i], i)

    def _activated(self, x: torch.Tensor) -> torch.Tensor:
        """Return the activation of a layer, in its place where that can be."""
        if self.activation == "gelu":
            self._before.append(x)
            return nn.functional.gelu(x)
        if self.activation == "relu":
            return x.relu_()
        if x.device.type != "cpu":
            return x.tanh_()
        tanh_in_place(x.numpy().reshape(-1))
        return x

    def _sloped(self, error: torch.Tensor, kept: torch.Tensor, layer: int) -> torch.Tensor:
        """Return an error times the slope of the activation, whose values were `kept`."""
        if self.activation == "gelu":
            return torch.ops.aten.gelu_backward(error, self._before[layer - 1])
        if self.activation == "relu":
            return error.mul_(kept > 0.0)
        if error.device.type != "cpu":
            return error.mul_(1.0 - kept * kept)
        multiply_by_tanh_slope(error.numpy().reshape(-1), kept.numpy().reshape(-1))
        return error

    def module(self, weights: Sequence[torch.Tensor]) -> nn.Sequential:
        """Return the network as a torch module with other weights."""
        modules = list[nn.Module]()
        for weight, bias in zip(weights[::2], weights[1::2], strict=True):
            layer = nn.Linear(weight.shape[1], weight.shape[0], device=weight.device).requires_grad_(False)
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
            modules += [layer, ACTIVATIONS[self.activation]()]
        return nn.Sequential(*modules[:-1])


def joined(tensors: Sequence[torch.Tensor]) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return copies of some tensors side by side in one, and the parts of it that they are, all with a gradient."""
    whole = torch.cat([each.reshape(-1) for each in tensors])
    whole.grad = torch.zeros_like(whole)
    sizes = [each.numel() for each in tensors]
    parts = [part.view(each.shape) for part, each in zip(whole.split(sizes), tensors, strict=True)]
    for part, slope in zip(parts, whole.grad.split(sizes), strict=True):
        part.grad = slope.view(part.shape)
    return whole, parts

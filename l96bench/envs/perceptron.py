"""Small networks with their gradient written out, which for minibatches of thousands of rows is most of the speed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import nn

__all__ = ["ACTIVATIONS", "Perceptron"]

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
                if self.activation == "gelu":
                    self._before.append(x)
                    x = nn.functional.gelu(x)
                else:
                    x = x.tanh_() if self.activation == "tanh" else x.relu_()
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
                if self.activation == "gelu":
                    error = torch.ops.aten.gelu_backward(torch.mm(error, weight), self._before[i - 1])
                    continue
                kept = layers[i]
                slope = torch.addcmul(torch.ones((), device=kept.device), kept, kept, value=-1.0)
                error = torch.mm(error, weight).mul_(slope if self.activation == "tanh" else kept > 0.0)

    def module(self, weights: Sequence[torch.Tensor]) -> nn.Sequential:
        """Return the network as a torch module with other weights."""
        modules = list[nn.Module]()
        for weight, bias in zip(weights[::2], weights[1::2], strict=True):
            layer = nn.Linear(weight.shape[1], weight.shape[0], device=weight.device).requires_grad_(False)
            layer.weight.copy_(weight)
            layer.bias.copy_(bias)
            modules += [layer, ACTIVATIONS[self.activation]()]
        return nn.Sequential(*modules[:-1])

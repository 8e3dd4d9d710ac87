"""Write the files of this folder with JAX: a recurrent network of Equinox, a network of Flax. Needs jax2onnx."""

from __future__ import annotations

from pathlib import Path

import equinox as eqx
import flax.nnx as nnx
import jax
import onnx
from jax2onnx import to_onnx

K, HIDDEN = 8, 6
HERE = Path(__file__).parent


class Recurrent(eqx.Module):
    """A gated recurrent cell shared by the points of the ring, beside a line; its state has a row for each member."""

    cell: eqx.nn.GRUCell
    out: eqx.nn.Linear

    def __init__(self, key):
        a, b = jax.random.split(key)
        self.cell, self.out = eqx.nn.GRUCell(K, HIDDEN, key=a), eqx.nn.Linear(HIDDEN, K, key=b)

    def __call__(self, x, h):
        h = self.cell(x, h)
        return -0.8 * x + 0.1 * self.out(h), h


class Network(nnx.Module):
    """Two dense layers of the whole ring, beside a line."""

    def __init__(self, rngs):
        self.first, self.last = nnx.Linear(K, 16, rngs=rngs), nnx.Linear(16, K, rngs=rngs)

    def __call__(self, x):
        return -0.8 * x + 0.1 * self.last(nnx.swish(self.first(x)))


recurrent = Recurrent(jax.random.key(0))
model = to_onnx(jax.vmap(recurrent), [("B", K), ("B", HIDDEN)], model_name="recurrent")
onnx.save(model, HERE / "equinox_gru.onnx")
network = Network(nnx.Rngs(0))
onnx.save(to_onnx(network, [("B", K)], model_name="network"), HERE / "flax_network.onnx")

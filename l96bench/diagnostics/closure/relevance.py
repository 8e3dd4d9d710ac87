"""Show how much each input adds to an output, by layer-wise relevance propagation through a network (captum)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from l96bench.diagnostics.closure import importance
from l96bench.diagnostics.closure.importance import by_offset, locality, offsets_of
from l96bench.diagnostics.closure.subject import ClosureSubject
from l96bench.diagnostics.figures import BLACK, DIVERGING, PALETTE, Array, bin_edges, figure, integer_ticks
from l96bench.diagnostics.registry import LeftOutError, Results, Section, register_diagnostic
from l96bench.parallel import one_thread


@dataclass(frozen=True, slots=True)
class RelevanceNetwork:
    """A chain of fully connected layers from the stencil of radius r (None: all points) to U_k (None: all U)."""

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]
    activation: str
    radius: int | None

    def anomalous(self, mean: float) -> RelevanceNetwork:
        """Return the same function of X - mean: the mean's part of the first layer becomes its bias."""
        first = self.biases[0] + self.weights[0].sum(axis=1) * mean
        return RelevanceNetwork(self.weights, (first, *self.biases[1:]), self.activation, self.radius)


def find_network(model: Any) -> RelevanceNetwork:
    """Return the plain fully connected network inside a trained model, or raise `LeftOutError` if there is none."""
    radius, inner = None, model
    for _ in range(4):
        if isinstance(getattr(inner, "coefs_", None), list) and isinstance(getattr(inner, "activation", None), str):
            break
        if len(getattr(inner, "lags", ())):
            raise LeftOutError(
                "the network sees the past as well; relevance is shown for networks of the present state"
            )
        radius = getattr(inner, "radius", radius)
        inner = getattr(inner, "estimator_", None)
    else:
        inner = None
    if inner is None:
        raise LeftOutError(
            "the model is no chain of fully connected layers, whose relevance could be passed from one to the next"
        )
    if getattr(inner, "residual", False):
        raise LeftOutError("the network has residual connections: relevance is shown for plain chains of layers")
    weights, biases = (
        tuple(np.asarray(array, dtype=np.float64) for array in part) for part in (inner.coefs_, inner.intercepts_)
    )
    if any(after.shape[1] != before.shape[0] for before, after in pairwise(weights)):
        raise LeftOutError("the layers of the network do not follow one another: relevance is shown for plain chains")
    return RelevanceNetwork(weights, biases, inner.activation, radius)


def layerwise_relevance(network: RelevanceNetwork, rows: Array, output: int = 0, epsilon: float = 1e-6) -> Array:
    """Return the relevance of inputs (n, input) for one output: epsilon rule (doi:10.1371/journal.pone.0130140)."""
    import torch
    from captum.attr import LRP
    from captum.attr._utils.lrp_rules import EpsilonRule, IdentityRule

    activations = {"gelu": torch.nn.GELU, "relu": torch.nn.ReLU, "silu": torch.nn.SiLU, "tanh": torch.nn.Tanh}
    modules: list[Any] = []
    for weight, bias in zip(network.weights, network.biases, strict=True):
        layer = torch.nn.utils.skip_init(torch.nn.Linear, weight.shape[1], weight.shape[0], dtype=torch.float64)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weight))
            layer.bias.copy_(torch.from_numpy(bias))
        layer.rule = EpsilonRule(epsilon)
        modules.append(layer)
        modules.append(activations[network.activation]())
        modules[-1].rule = IdentityRule()
    inputs = torch.tensor(rows, dtype=torch.float64, requires_grad=True)
    with one_thread():
        found = LRP(torch.nn.Sequential(*modules[:-1])).attribute(inputs, target=output)
    return np.asarray(found.detach().numpy(), dtype=np.float64)


def ring_relevance(network: RelevanceNetwork, X: Array, mean: float) -> Array:
    """Return the relevance (n, K, r) of every X_{k+r} for U_k at states X (n, K), for anomalies about the mean."""
    n, K = X.shape
    anomalies = X - mean
    own = network.anomalous(mean)
    if network.radius is None:
        return by_offset(np.stack([layerwise_relevance(own, anomalies, k) for k in range(K)], axis=1))
    reach = np.arange(-network.radius, network.radius + 1)
    rows = anomalies[:, (np.arange(K)[:, None] + reach) % K].reshape(n * K, -1)
    found = layerwise_relevance(own, rows).reshape(n, K, -1)
    out = np.zeros((n, K, K))
    for i, offset in enumerate(reach):
        out[:, :, (offset + (K - 1) // 2) % K] += found[:, :, i]
    return out


@register_diagnostic("relevance", "What the network's output is made of", kind="closure", order=90)
def relevance(subject: ClosureSubject, results: Results) -> Section:
    """Show gradient times input and layer-wise relevance; left out for what is no network."""
    network = find_network(subject.model)
    X, _ = subject.states(importance.N_STATES)
    mean = subject.climatology[0]
    offsets = offsets_of(X.shape[1])
    gradient = importance.jacobian(importance.instant_forcing(subject.model), X)
    measures = {
        "gradient x input": by_offset(importance.gradient_times_input(gradient, X, mean)),
        "layer-wise relevance": ring_relevance(network, X, mean),
    }
    table = []
    for name, measure in measures.items():
        size = np.abs(measure).mean(axis=(0, 1))
        strongest = ", ".join(f"{offsets[i]:+d} ({size[i]:.2f})" for i in np.argsort(-size, kind="stable")[:3])
        scores = [f"{locality(measure, offsets, n):.3f}" for n in range(3)]
        table.append((name, strongest, *scores))
    caption = (
        "What each X_{k+r} contributes to U_k, for anomalies about the climatological mean, in units of U: "
        "gradient times input, and layer-wise relevance propagation by the epsilon rule (Bach et al. 2015), "
        f"which passes activations ({network.activation}) unchanged and leaves the part of biases with them. "
        f"{len(X)} test states. Left: mean size. Right: mean contribution by the state of the point itself. "
        "Locality: the share of the size within n points."
    )
    header = ("measure", "strongest offsets (mean size)", "locality n = 0", "n = 1", "n = 2")
    return Section(caption, header, table, draw(offsets, X, measures))


def draw(offsets: NDArray[np.int64], X: Array, measures: Mapping[str, Array]) -> Figure:
    """Draw the mean size of each measure (n, K, r) by offset, and each by offset and state of the point."""
    made = figure(11, 4.0)
    left, *maps = made.subplots(1, 1 + len(measures))
    width = 0.8 / len(measures)
    for i, ((name, measure), color) in enumerate(zip(measures.items(), PALETTE, strict=False)):
        size = np.abs(measure).mean(axis=(0, 1))
        left.bar(offsets + (i - (len(measures) - 1) / 2) * width, size, width, color=color, label=name)
    left.set(xlabel="offset r of X$_{k+r}$", ylabel="mean |relevance| (units of U)", title="size")
    left.margins(y=0.22)
    left.legend(loc="upper center", fontsize=9)
    integer_ticks(left, offsets)
    edges = bin_edges(X, (1.0, 99.0), 12)
    binned = {name: _binned(X, measure, edges) for name, measure in measures.items()}
    reach = max(float(np.nanmax(np.abs(values))) for values in binned.values())
    columns = np.append(offsets - 0.5, offsets[-1] + 0.5)
    for ax, (name, values) in zip(maps, binned.items(), strict=True):
        ax.set_facecolor("0.75")
        mesh = ax.pcolormesh(columns, edges, values, cmap=DIVERGING, vmin=-reach, vmax=reach)
        ax.axvline(0.0, color=BLACK, lw=0.6, ls=":")
        ax.set(xlabel="offset r", ylabel="X$_k$", title=name)
        integer_ticks(ax, offsets)
    made.colorbar(mesh, ax=list(maps), label="mean contribution to U$_k$", pad=0.02)
    return made


def _binned(X: Array, measure: Array, edges: Array) -> Array:
    """Return means of a measure (n, K, r) in bins of X_k, (bin, r); NaN in an empty bin."""
    places = np.digitize(X.ravel(), edges) - 1
    flat = measure.reshape(-1, measure.shape[-1])
    rows = [flat[places == i] for i in range(len(edges) - 1)]
    return np.array([row.mean(axis=0) if len(row) else np.full(flat.shape[1], np.nan) for row in rows])

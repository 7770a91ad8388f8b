"""The forward pass of a whole network in one process, from its weights: for `predict` and `eval` of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurond.neurons import make_neuron
from topology.plan import SOURCE, GroupPlan, Plan

Floats = NDArray[np.float32]
Weights = Mapping[str, Mapping[str, NDArray[Any]]]
"""Process name -> its arrays: ``w.<pre process>`` (size, n_pre) for each link in, ``b`` (size, 1) or (size,).

This is the layout of a checkpoint; what else a process keeps there is not looked at.
"""

_BYTES = 64 * 2**20  # what the activations of one chunk of stimuli may take


def forward(plan: Plan, weights: Weights, x: ArrayLike) -> Floats:
    """Activations of the readout, float32 (n, n_out), for the features x (n, features).

    Values are exact float32, as on links that do not say otherwise; a live network that sends float16 or
    uint8 rounds its spikes, and agrees only to that. Stimuli are taken in chunks, so memory stays bounded.

    Raises ValueError where x has another number of features than the network reads, or where an array is
    missing or has another shape.
    """
    x = np.asarray(x)
    if x.ndim != 2 or x.shape[1] != plan.source.features:
        raise ValueError(f"expected stimuli of {plan.source.features} features, got an array {x.shape}")
    readout = plan.group(plan.source.readout)
    check_weights(plan, weights)
    neurons = plan.source.features + sum(group.size for group in plan.groups)
    chunk = max(1, _BYTES // (4 * neurons))
    out = np.empty((len(x), readout.size), np.float32)
    for start in range(0, len(x), chunk):
        rows = slice(start, start + chunk)
        out[rows] = _chunk(plan, weights, x[rows].astype(np.float32))[readout.name]
    return out


def _chunk(plan: Plan, weights: Weights, x: Floats) -> dict[str, Floats]:
    """Activations of every process, by name, for a few stimuli."""
    activations = {SOURCE: x}
    for group in plan.groups:
        own = weights[group.name]
        z = np.repeat(own["b"].reshape(1, -1).astype(np.float32), len(x), axis=0)
        for link in group.links_in:
            pre = activations[link.pre]
            z += pre @ own[f"w.{link.pre}"].T
        activations[group.name] = make_neuron(group.neuron, group.slope).fire(z)
    return activations


def check_weights(plan: Plan, weights: Weights) -> None:
    """Raise ValueError unless every group of the plan has its weights and its bias, in the plan's shapes."""
    for group in plan.groups:
        _check(group, weights.get(group.name, {}))


def _check(group: GroupPlan, own: Mapping[str, NDArray[Any]]) -> None:
    shapes = {f"w.{link.pre}": ((group.size, link.n_pre),) for link in group.links_in}
    for name, allowed in {**shapes, "b": ((group.size, 1), (group.size,))}.items():
        if name not in own:
            raise ValueError(f"the weights of {group.name!r} have no {name!r}")
        if own[name].shape not in allowed:
            raise ValueError(f"{name!r} of {group.name!r} has shape {own[name].shape}, not {allowed[0]}")

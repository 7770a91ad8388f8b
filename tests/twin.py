"""The synchronous twin: the same topology trained by plain, dense mini-batch SGD in NumPy, one thread, in order.

It shares nothing with the network's machines but the initial weights and the order of the stimuli, so it is the
oracle of the exact case (window 1, no thresholds) and the yardstick of the rest. It works on whole groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from neurond.data import Dataset
from neurond.weights import initial_weights
from topology.plan import SOURCE, Plan

Matrix = np.ndarray

FIRE: dict[str, Callable[[Matrix], Matrix]] = {
    "relu": lambda z: np.maximum(z, 0),
    "tanh": np.tanh,
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "linear": lambda z: z,
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
}
SLOPE: dict[str, Callable[[Matrix], Matrix]] = {  # f'(z), as a function of a = f(z)
    "relu": lambda a: (a > 0).astype(a.dtype),
    "tanh": lambda a: 1 - a * a,
    "sigmoid": lambda a: a * (1 - a),
    "linear": np.ones_like,
    "leaky_relu": lambda a: np.where(a > 0, 1.0, 0.01).astype(a.dtype),
}


class Twin:
    """Weights by whole group: ``w[post][pre]`` of shape (n_post, n_pre), ``b[post]``."""

    def __init__(self, plan: Plan, dtype: type = np.float64) -> None:
        self.plan = plan
        self.dtype = dtype
        self.size = {g.group: g.group_size for g in plan.groups}
        self.neuron = {g.group: g.neuron for g in plan.groups}
        self.order = list(dict.fromkeys(g.group for g in plan.groups))
        self.w: dict[str, dict[str, Matrix]] = {}
        self.b: dict[str, Matrix] = {name: np.zeros(n, dtype) for name, n in self.size.items()}
        for g in plan.groups:
            for link in g.links_in:
                initial = initial_weights(
                    g.seed, link.pre_group, g.group, link.pre_size, g.group_size, g.fan_in, g.neuron, g.init, g.slope
                )
                self.w.setdefault(g.group, {})[link.pre_group] = initial.astype(dtype)
        self.readout = next(g for g in plan.groups if g.loss is not None).group
        self.loss = next(g.loss for g in plan.groups if g.loss is not None)

    def forward(self, x: Matrix) -> dict[str, Matrix]:
        """Activations of every group, (n, size) each."""
        a = {SOURCE: x}
        for name in self.order:
            z = sum(a[pre] @ w.T for pre, w in self.w[name].items()) + self.b[name]
            a[name] = FIRE[self.neuron[name]](z)
        return a

    def step(self, x: Matrix, y: Matrix, lr: float) -> None:
        """One mini-batch: the mean gradient over its rows, times lr."""
        a = self.forward(x)
        out = a[self.readout]
        if self.loss.kind == "cross-entropy":
            e = np.exp(out - out.max(axis=1, keepdims=True))
            e /= e.sum(axis=1, keepdims=True)
            e[np.arange(len(y)), y] -= 1
        else:
            e = out - (y if y.ndim == 2 else np.eye(out.shape[1])[y])
        error = {name: np.zeros_like(a[name]) for name in self.order}
        error[self.readout] += e
        gradients = []
        for name in reversed(self.order):
            d = error[name] * SLOPE[self.neuron[name]](a[name])
            for pre, w in self.w[name].items():
                if pre != SOURCE:
                    error[pre] += d @ w
                gradients.append((w, d.T @ a[pre]))
            gradients.append((self.b[name], d.sum(axis=0)))
        for parameter, g in gradients:
            parameter -= self.dtype(lr / len(x)) * g

    def accuracy(self, data: Dataset) -> float:
        """Share of the test part whose largest output is the right class."""
        hits = 0
        for at in range(0, len(data.x_test), 1000):
            x = data.x_test[at : at + 1000].astype(self.dtype) * self.dtype(data.scale)
            hits += int((self.forward(x)[self.readout].argmax(axis=1) == data.y_test[at : at + 1000]).sum())
        return hits / len(data.x_test)

    def train(self, data: Dataset, batch: int, stimuli: int, lr: Callable[[int], float]) -> None:
        """The source's own order of stimuli, in batches of `batch`; `lr(stimuli so far)`."""
        done = 0
        for rows in self._batches(len(data.x_train), batch, stimuli):
            done += len(rows)
            x = data.x_train[rows].astype(self.dtype) * self.dtype(data.scale)
            self.step(x, data.y_train[rows], lr(done))

    def _batches(self, n: int, batch: int, stimuli: int) -> Iterator[Matrix]:
        presented, epoch = 0, 0
        while presented < stimuli:
            order = np.random.default_rng(np.random.SeedSequence([self.plan.source.seed, epoch])).permutation(n)
            for at in range(0, n, batch):
                rows = order[at : at + batch][: stimuli - presented]
                presented += len(rows)
                if len(rows):
                    yield rows
            epoch += 1
